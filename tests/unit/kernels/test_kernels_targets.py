"""The same bits at every length and on every instruction set."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from state_hashes import LENGTHS, hashes

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# what each CPU name needs of the machine; its features are those of the name, not the host's
TARGETS = {
    "generic": set(),
    "haswell": {"avx2", "fma", "bmi2"},
    "skylake-avx512": {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"},
}


def _missing(target: str) -> set[str]:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^flags\s*:(.*)$", info.read_text() if info.exists() else "", re.MULTILINE)
    return TARGETS[target] - set(found.group(1).split() if found else ())


def _start(target: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": target,
        "NUMBA_CPU_FEATURES": "",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", HERE))),
    }
    return subprocess.Popen(
        [sys.executable, str(HERE / "state_hashes.py")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def others() -> Iterator[dict[str, subprocess.Popen[str]]]:
    # all at once: compiling takes the longest
    x86 = platform.machine().lower() in {"x86_64", "amd64"}
    started = {name: _start(name) for name in TARGETS if x86 and not _missing(name)}
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def own(others: dict[str, subprocess.Popen[str]]) -> dict[str, str]:
    return dict(hashes())


def test_bits_do_not_depend_on_the_length(own: dict[str, str]) -> None:
    kinds = {re.sub(rf" {size}$", "", name) for name in own for size in LENGTHS} - set(own)
    assert len(kinds) >= 9
    for kind in kinds:
        assert len({own[f"{kind} {size}"] for size in LENGTHS}) == 1, kind
    # and different kernels have different hashes
    assert len(set(own.values())) == len(own) - 2 * len(kinds)


@pytest.mark.parametrize("target", list(TARGETS))
def test_bits_do_not_depend_on_the_instruction_set(
    target: str, own: dict[str, str], others: dict[str, subprocess.Popen[str]]
) -> None:
    if target not in others:
        pytest.skip(f"this machine cannot run x86 code for {target}: {sorted(_missing(target))}")
    out, error = others[target].communicate(timeout=250)
    assert others[target].returncode == 0, error
    assert json.loads(out) == own
