"""The same bits at every length and on every instruction set."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from state_hashes import LENGTHS, hashes

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# what each CPU name needs of the machine; its features are those of the name, not the host's
TARGETS = {"generic": set(), "haswell": {"avx2", "fma", "bmi2"}}
# The widest vectors are those of this process, on a machine that has them.
WIDEST = {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"}
# Three processes compile every kernel at once in CI, beside other tests.
pytestmark = [pytest.mark.validation, pytest.mark.timeout(900)]


def missing(features: set[str]) -> set[str]:
    """Return the features that this machine lacks."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return {"x86"}
    info = Path("/proc/cpuinfo")
    found = re.search(r"^flags\s*:(.*)$", info.read_text() if info.exists() else "", re.MULTILINE)
    return features - set(found.group(1).split() if found else ())


def start(target: str) -> subprocess.Popen[str]:
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


@dataclass(frozen=True)
class Found:
    """Hashes of what this process computed, and the processes that do so for other targets."""

    hashes: dict[str, str]
    others: dict[str, subprocess.Popen[str]]


@pytest.fixture(scope="module")
def found() -> Iterator[Found]:
    """Compute hashes, for all targets at once: compiling takes long."""
    others = {name: start(name) for name, needed in TARGETS.items() if not missing(needed)}
    try:
        yield Found(dict(hashes()), others)
    finally:
        for process in others.values():
            process.kill()
            process.communicate()


def test_bits_do_not_depend_on_the_length(found: Found) -> None:
    shortened = {re.sub(rf" {size}$", "", name) for name in found.hashes for size in LENGTHS}
    kinds = shortened - set(found.hashes)
    assert len(kinds) >= 30
    for kind in kinds:
        assert len({found.hashes[f"{kind} {size}"] for size in LENGTHS}) == 1, kind
    # and different kernels have different hashes
    assert len(set(found.hashes.values())) == len(found.hashes) - 2 * len(kinds)


def test_bits_do_not_depend_on_the_instruction_set(found: Found) -> None:
    for process in found.others.values():
        out, error = process.communicate(timeout=800)
        assert process.returncode == 0, error
        assert json.loads(out) == found.hashes
    lacking = missing(set().union(WIDEST, *TARGETS.values()))
    if lacking:
        pytest.skip(f"this machine lacks {', '.join(sorted(lacking))}")
