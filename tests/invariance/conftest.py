"""One job per number of ranks simulates all cases in several ways, before they are compared."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from command_jobs import Job
from invariance_cases import write_edges
from invariance_ways import WAYS

from distsnn.comm import mpiexec_path

PROGRAM = Path(__file__).parent / "programs" / "simulate_cases.py"


@dataclass(frozen=True)
class Runs:
    """Where the runs are."""

    folder: Path

    def path(self, way: str, case: str) -> Path:
        return self.folder / way / f"{case}.zarr"

    def counted(self, way: str) -> dict[str, dict]:
        found: dict[str, dict] = json.loads((self.folder / f"{way}.json").read_text())
        return found


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Runs]:
    """Return a function that makes (once) the runs of a number of ranks."""
    folder = tmp_path_factory.mktemp("invariance")
    write_edges(folder)

    @cache
    def made(ranks: int) -> Runs:
        words = [sys.executable, str(PROGRAM), str(folder), json.dumps(WAYS[ranks])]
        start = [] if ranks == 1 else [mpiexec_path(), "-n", str(ranks)]
        job = Job([*start, *words], None)
        try:
            ended = job.end()
        finally:
            job.kill()
        assert ended.code == 0, f"{ended.out}\n{ended.err}"
        return Runs(folder)

    return made
