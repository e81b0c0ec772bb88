"""Jobs as `distsnn submit` makes them, with the stand-in for the simulation, and what they left."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from slurm_cluster import Cluster

from distsnn.slurm import BatchJob, job_script
from distsnn.slurm.submission import job_number

STANDIN = Path(__file__).parent / "programs" / "standin.py"


@dataclass(frozen=True)
class Job:
    """A submitted job.

    Attributes
    ----------
    cluster : Cluster
        Where.
    number : str
        Its number.
    run : Path
        Its run.
    """

    cluster: Cluster
    number: str
    run: Path

    @property
    def state(self) -> dict[str, str]:
        """Its fields now."""
        return self.cluster.job(self.number)

    @property
    def log(self) -> str:
        """What it printed."""
        return self._file("log")

    @property
    def status(self) -> list[str]:
        """What its status file says, without the times."""
        return [line.partition(" ")[2] for line in self._file("status").splitlines()]

    def _file(self, ending: str) -> str:
        path = self.run.with_name(f"{self.run.stem}-{self.number}.{ending}")
        return path.read_text() if path.exists() else ""

    def listening(self, ranks: int, start: int = 0) -> None:
        """Wait until all ranks of a start have said that they are there."""
        self.cluster.until(lambda: self.log.count("rank ") >= ranks * (start + 1), self.log)

    def end(self, *states: str, timeout: float = 240.0) -> dict[str, str]:
        """Wait for the end; return the fields."""
        return self.cluster.wait(self.number, *states, timeout=timeout)

    def counted(self, rank: int) -> list[int]:
        """The numbers that a rank of the stand-in has counted."""
        return [int(word) for word in (self.run / f"rank{rank}").read_text().split()]


def submit(
    cluster: Cluster,
    run: Path,
    *settings: str,
    variables: Mapping[str, str] = MappingProxyType({}),
    **options: Any,
) -> Job:
    """Submit a job of two ranks on two nodes; `options` are those of BatchJob."""
    chosen = {"ntasks": 2, "nodes": 2, "time_limit": "5"} | options
    job = BatchJob(
        model="standin",
        out=run.name,
        settings=settings,
        program=(sys.executable, str(STANDIN)),
        folder=str(run.parent),
        **chosen,
    )
    script = run.parent / f"{run.stem}.sh"
    script.write_text(job_script(job))
    return Job(cluster, job_number(cluster.run("sbatch", "--parsable", script, **variables)), run)


def starts(log: str) -> list[str]:
    """Return the nodes of a job's starts."""
    return re.findall(r"start \d+: on (\S+)", log)
