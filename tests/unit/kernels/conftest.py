"""Processes that compute hashes for other CPU targets, started before anything else."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# what each CPU name needs of the machine; its features are those of the name, not the host's
TARGETS = {
    "generic": set(),
    "haswell": {"avx2", "fma", "bmi2"},
    "skylake-avx512": {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"},
}


def missing(target: str) -> set[str]:
    """Return what this machine lacks to run code for a target."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return {"x86"}
    info = Path("/proc/cpuinfo")
    found = re.search(r"^flags\s*:(.*)$", info.read_text() if info.exists() else "", re.MULTILINE)
    return TARGETS[target] - set(found.group(1).split() if found else ())


def _start(target: str, models: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": target,
        "NUMBA_CPU_FEATURES": "",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", HERE))),
    }
    return subprocess.Popen(
        [sys.executable, str(HERE / "state_hashes.py"), models],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


Others = dict[tuple[str, str], subprocess.Popen[str]]


@pytest.fixture(scope="session", autouse=True)
def others(request: pytest.FixtureRequest) -> Iterator[Others]:
    """Start them beside the first test: compiling takes long, and their own test comes late."""
    wanted = [
        models
        for models in ("few", "every")
        if any(
            "targets.py::" in item.nodeid and f"[{models}" in item.nodeid
            for item in request.session.items
        )
    ]
    started = {
        (name, models): _start(name, models)
        for name in TARGETS
        for models in wanted
        if not missing(name)
    }
    yield started
    for process in started.values():
        process.kill()
        process.communicate()
