"""Runs of pairs of way and case: made once, by one job for each number of ranks."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from command_jobs import Job
from invariance_examples import EXAMPLE_WAYS
from invariance_ways import CHAINS, WAYS

from distsnn.comm import mpiexec_path

PROGRAM = Path(__file__).parent / "programs" / "simulate_cases.py"
ALL_WAYS = {
    way: (ranks, options)
    for group in (WAYS, EXAMPLE_WAYS)
    for ranks, ways in group.items()
    for way, options in ways.items()
}

Pair = tuple[str, str]


@dataclass(frozen=True)
class Runs:
    """The runs of a test session.

    Parameters
    ----------
    folder : Path
        Where the run stores are.
    pairs : set of (str, str)
        The pairs (way, case) to simulate.
    """

    folder: Path
    pairs: frozenset[Pair]

    def path(self, way: str, case: str) -> Path:
        """Return the run store of a pair, after it was simulated."""
        assert (way, case) in self.pairs, f"no selected test declares that it reads {way}, {case}"
        if way in CHAINS:
            _simulate_chain(self, way)
        else:
            _simulate_ways(self, ALL_WAYS[way][0])
        return self.folder / way / f"{case}.zarr"

    def counted(self, way: str, case: str) -> dict:
        """Return how many blocks each rank owned in a run, and how many exchanges overflowed."""
        path = self.path(way, case)
        counted: dict = json.loads(path.with_suffix(".json").read_text())
        return counted

    def cases(self, way: str) -> list[str]:
        """Return the cases that are simulated in a way."""
        return sorted(case for name, case in self.pairs if name == way)


def once(simulate: Callable[..., None]) -> Callable[..., None]:
    """Call a function once for its arguments; what it raised is raised at each further call."""
    raised = cache(lambda *arguments: _raised_by(simulate, *arguments))

    def call(*arguments: object) -> None:
        if (error := raised(*arguments)) is not None:
            raise error

    return call


def _raised_by(simulate: Callable[..., None], *arguments: object) -> Exception | None:
    try:
        simulate(*arguments)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        return error
    return None


@once
def _simulate_ways(runs: Runs, ranks: int) -> None:
    ways = {name: options for name, (n, options) in ALL_WAYS.items() if n == ranks}
    _simulate(runs, ranks, ways)


@once
def _simulate_chain(runs: Runs, way: str) -> None:
    for ranks, options in CHAINS[way]:
        _simulate(runs, ranks, {way: options})


def _simulate(runs: Runs, ranks: int, ways: dict[str, dict[str, object]]) -> None:
    jobs = [[way, options, runs.cases(way)] for way, options in ways.items() if runs.cases(way)]
    words = [sys.executable, str(PROGRAM), str(runs.folder), json.dumps(jobs)]
    start = [] if ranks == 1 else [mpiexec_path(), "-n", str(ranks)]
    job = Job([*start, *words], None)
    try:
        ended = job.end(timeout=500)
    finally:
        job.kill()
    assert ended.code == 0, f"{ended.out}\n{ended.err}"
