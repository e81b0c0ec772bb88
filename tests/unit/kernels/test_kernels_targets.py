"""The same bits at every length and on every instruction set."""

import json
import re
import subprocess

import pytest
from state_hashes import LENGTHS, hashes

TARGETS = ("generic", "haswell", "skylake-avx512")
MODELS = (
    "few",
    pytest.param("every", marks=[pytest.mark.validation, pytest.mark.timeout(900)]),
)


@pytest.fixture(scope="module", params=MODELS)
def own(request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    return request.param, dict(hashes(every=request.param == "every"))


def test_bits_do_not_depend_on_the_length(own: tuple[str, dict[str, str]]) -> None:
    models, found = own
    kinds = {re.sub(rf" {size}$", "", name) for name in found for size in LENGTHS} - set(found)
    assert len(kinds) >= {"few": 11, "every": 30}[models]
    for kind in kinds:
        assert len({found[f"{kind} {size}"] for size in LENGTHS}) == 1, kind
    # and different kernels have different hashes
    assert len(set(found.values())) == len(found) - 2 * len(kinds)


@pytest.mark.parametrize("target", TARGETS)
def test_bits_do_not_depend_on_the_instruction_set(
    own: tuple[str, dict[str, str]],
    target: str,
    others: dict[tuple[str, str], subprocess.Popen[str]],
) -> None:
    models, found = own
    if (target, models) not in others:
        pytest.skip(f"this machine cannot run code for {target}")
    out, error = others[target, models].communicate(timeout=250 if models == "few" else 800)
    assert others[target, models].returncode == 0, error
    assert json.loads(out) == found
