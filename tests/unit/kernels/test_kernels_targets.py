"""The same bits at every length and on every instruction set."""

import json
import re
import subprocess

import pytest
from state_hashes import LENGTHS, hashes

TARGETS = ("generic", "haswell", "skylake-avx512")


@pytest.fixture(scope="module")
def own() -> dict[str, str]:
    return dict(hashes())


def test_bits_do_not_depend_on_the_length(own: dict[str, str]) -> None:
    kinds = {re.sub(rf" {size}$", "", name) for name in own for size in LENGTHS} - set(own)
    assert len(kinds) >= 9
    for kind in kinds:
        assert len({own[f"{kind} {size}"] for size in LENGTHS}) == 1, kind
    # and different kernels have different hashes
    assert len(set(own.values())) == len(own) - 2 * len(kinds)


@pytest.mark.parametrize("target", TARGETS)
def test_bits_do_not_depend_on_the_instruction_set(
    target: str, own: dict[str, str], others: dict[str, subprocess.Popen[str]]
) -> None:
    if target not in others:
        pytest.skip(f"this machine cannot run code for {target}")
    out, error = others[target].communicate(timeout=250)
    assert others[target].returncode == 0, error
    assert json.loads(out) == own
