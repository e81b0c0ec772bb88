"""One job per number of ranks simulates all cases in several ways, before they are compared."""

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from command_jobs import Job
from invariance_cases import write_edges
from invariance_examples import EXAMPLE_WAYS
from invariance_runs import Runs
from invariance_ways import CHAIN, CHAINED, WAYS

from distsnn.comm import mpiexec_path

PROGRAM = Path(__file__).parent / "programs" / "simulate_cases.py"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of all runs, with the edge files that some read."""
    made = tmp_path_factory.mktemp("invariance")
    write_edges(made)
    return made


@pytest.fixture(scope="session")
def runs(folder: Path) -> Callable[[int], Runs]:
    """Return a function that makes (once) the runs of a number of ranks."""

    @cache
    def made(ranks: int) -> Runs:
        simulate(folder, ranks, WAYS[ranks])
        return Runs(folder)

    return made


@pytest.fixture(scope="session")
def examples(folder: Path) -> Callable[[int], Runs]:
    """Return a function that makes (once) the runs of the examples on a number of ranks."""

    @cache
    def made(ranks: int) -> Runs:
        simulate(folder, ranks, EXAMPLE_WAYS[ranks], "examples")
        return Runs(folder)

    return made


@pytest.fixture(scope="session")
def chained(folder: Path) -> Runs:
    """Make the runs that were given up and resumed, each time on other ranks."""
    for ranks, options in CHAIN:
        simulate(folder, ranks, {CHAINED: options})
    return Runs(folder)


def simulate(
    folder: Path, ranks: int, ways: dict[str, dict[str, object]], cases: str = "small"
) -> None:
    words = [sys.executable, str(PROGRAM), str(folder), json.dumps(ways), cases]
    start = [] if ranks == 1 else [mpiexec_path(), "-n", str(ranks)]
    job = Job([*start, *words], None)
    try:
        ended = job.end(timeout=500)
    finally:
        job.kill()
    assert ended.code == 0, f"{ended.out}\n{ended.err}"
