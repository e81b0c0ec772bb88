"""A batch job, described: what runs, on what, and for how long."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path, PurePath

from distsnn.errors import DescriptionError
from distsnn.slurm.directives import seeds_of, time_limit_s

# Seconds before the limit at which SLURM asks the run to save, and the part of a short limit.
_LEAD, _LEAD_SHARE = 120, 4

# Without these a job would not be saved, queued again or found: no --sbatch may change them.
OWN_OPTIONS = {
    "array": "--array",
    "chdir": "",
    "error": "",
    "no-requeue": "",
    "nodes": "--nodes",
    "ntasks": "--ntasks",
    "open-mode": "",
    "output": "",
    "requeue": "",
    "signal": "--checkpoint-lead",
    "time": "--time-limit",
    "wrap": "",
}


@dataclass(frozen=True)
class BatchJob:
    """One simulation as a batch job, or one a seed as a job array.

    Parameters
    ----------
    model : str
        MODEL of ``distsnn run``.
    out : str
        The run's store; of an array, with ``-seedN`` put before its ending.
    time_limit : str
        Wall time of one start, as sbatch takes it.
    ntasks : int
        Ranks.
    nodes : int or None
        Nodes; None leaves their number to SLURM.
    partition, account, qos, mem : str or None
        The options of sbatch; None leaves them out.
    settings : tuple of str
        The model's parameters, each ``NAME=VALUE``.
    time_ms : float or None
        Biological time, ms; None where MODEL is a run with a time of its own.
    seed : int or None
        Seed; None for the model's own.
    array : str or None
        Seeds of a job array, as sbatch takes them.
    checkpoint_wall_time : str
        Wall time between checkpoints, as ``distsnn run`` takes it.
    run_options : tuple of str
        Further words for ``distsnn run``.
    checkpoint_lead : int or None
        Seconds before the time limit at which the run is asked to save; None: 120, or a quarter of
        a limit shorter than 8 minutes.
    mpi : str
        What ``srun --mpi`` gets.
    sbatch : tuple of (str, str)
        Further options of sbatch, by name; an empty value is a flag.
    prologue : tuple of str
        Shell commands that come first, such as ``module load``.
    program : tuple of str
        What starts distsnn, by default this Python, without the working folder on its path.
    folder : str
        Where the job runs; relative paths are meant from there.

    Raises
    ------
    DescriptionError
        If something is out of range, or two things contradict each other.
    """

    model: str
    out: str
    time_limit: str
    ntasks: int = 1
    nodes: int | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    mem: str | None = None
    settings: tuple[str, ...] = ()
    time_ms: float | None = None
    seed: int | None = None
    array: str | None = None
    checkpoint_wall_time: str = "5min"
    run_options: tuple[str, ...] = ()
    checkpoint_lead: int | None = None
    mpi: str = "pmi2"
    sbatch: tuple[tuple[str, str], ...] = ()
    prologue: tuple[str, ...] = ()
    program: tuple[str, ...] = (sys.executable, "-P", "-m", "distsnn")
    folder: str = "."

    def __post_init__(self) -> None:
        for name, value in (("ntasks", self.ntasks), ("nodes", self.nodes)):
            if value is not None and value < 1:
                raise DescriptionError("must be 1 or more", where=name, value=value)
        if self.nodes is not None and self.nodes > self.ntasks:
            raise DescriptionError(
                "more nodes than tasks", where="nodes", value=self.nodes, allowed=self._at_most()
            )
        limit = time_limit_s(self.time_limit)
        if not 1 <= self.checkpoint_lead_s < limit:
            raise DescriptionError(
                "the run would be asked to save before it begins, or never",
                where="checkpoint_lead",
                value=self.checkpoint_lead_s,
                allowed=f"1 to {limit - 1} s, less than the time limit",
            )
        if self.array is not None:
            seeds_of(self.array)
            if self.seed is not None:
                raise DescriptionError(
                    "the array's numbers are the seeds", where="seed", value=self.seed
                )
        if not re.fullmatch(r"[\w.-]+", self.mpi):
            raise DescriptionError("not a name", where="mpi", value=self.mpi)
        for name, _ in self.sbatch:
            if name in OWN_OPTIONS:
                field_name = OWN_OPTIONS[name]
                raise DescriptionError(
                    f"has an option of its own, {field_name}"
                    if field_name
                    else "is needed as it is",
                    where="sbatch",
                    value=name,
                )
        # Log and status file carry the run's name into the script's directives.
        if not PurePath(self.out).name or not self.out.isprintable() or set(self.out) & set('"\\%'):
            raise DescriptionError(
                "cannot be the name of a job's run",
                where="out",
                value=self.out,
                allowed='a path without line breaks, ", \\ and %',
            )

    def _at_most(self) -> str:
        return f"at most --ntasks {self.ntasks}"

    @property
    def checkpoint_lead_s(self) -> int:
        """Seconds before the time limit at which the run is asked to save."""
        if self.checkpoint_lead is not None:
            return self.checkpoint_lead
        return min(_LEAD, time_limit_s(self.time_limit) // _LEAD_SHARE)

    @property
    def path_stem(self) -> str:
        """The run's path without its ending ``.zarr``: log, status and report begin with it."""
        path = PurePath(self.out)
        return str(path.with_suffix("") if path.suffix == ".zarr" else path)

    @property
    def ending(self) -> str:
        """The ending of the run's path."""
        return ".zarr" if PurePath(self.out).suffix == ".zarr" else ""

    @property
    def name(self) -> str:
        """The job's name."""
        return re.sub(r"[^\w.-]", "_", Path(self.path_stem).name)

    @property
    def run_paths(self) -> tuple[str, ...]:
        """The stores that the job makes, one a seed."""
        if self.array is None:
            return (self.out,)
        return tuple(f"{self.path_stem}-seed{seed}{self.ending}" for seed in seeds_of(self.array))
