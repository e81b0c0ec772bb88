"""For all tests: one thread a process, no fsync, what is timed alone, no skip without a reason.

mpi4py stays out of this file: a test that spawns mpiexec must not have initialised MPI itself.
"""

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression
from quick_files import use_quick_files

# Graphs of slices, and what runs in peers' Pythons, are the benchmarks' too.
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

# The tests start many processes; a pool of BLAS threads in each would oversubscribe the machine.
# numba's own variables stay untouched: they are part of the name of the kernel cache.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# What compiles modules anew in each process takes its time, and memory that tests measure.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_unexplained: list[str] = []


# Files of tests are small and short-lived: they are kept in memory where there is room.
_MEMORY, _ROOM_BYTES = Path("/dev/shm"), 4 * 2**30

# Tests with these marks measure times or use all cores, when they are asked for.
ALONE = ("faults", "slurm", "validation")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    marks = config.option.markexpr
    # Without an expression every test is selected.
    selects = Expression.compile(marks).evaluate if marks else lambda _: True
    if any(selects(mark.__eq__) for mark in ALONE):
        config.option.numprocesses = 0
    elif os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_collection_finish() -> None:
    """Collect garbage seldom: looking at numba's objects, which stay, takes a fifth of the time."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _quick_files() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        use_quick_files(patch.setattr)
        yield


def pytest_runtest_logreport(report: pytest.TestReport | pytest.CollectReport) -> None:
    # The text is "Skipped: <reason>"; pytest invents the reason of a bare mark.
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped").lstrip(": ")
        if reason in {"", "unconditional skip"}:
            _unexplained.append(report.nodeid)


pytest_collectreport = pytest_runtest_logreport


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _unexplained:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for nodeid in _unexplained:
        terminalreporter.write_line(f"SKIPPED WITHOUT A REASON {nodeid}", red=True)
