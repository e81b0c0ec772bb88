"""Detects the MPI launcher that started this process, from its environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Launcher:
    """The launcher of this process.

    Attributes
    ----------
    name : str
        Name of the launcher, for messages.
    rank : int
        Index of this process among the processes of the launcher.
    size : int or None
        Number of processes that it started; None if it sets no variable for it.
    family : str or None
        The libraries whose ranks it can start, ``"Open MPI"`` or ``"MPICH"``; None for any.
    """

    name: str
    rank: int
    size: int | None
    family: str | None = None


# (name, variable of the rank, variables of the size); the first that is present counts. SLURM comes
# after the launchers proper: mpiexec in an allocation starts its helpers by srun, whose variables
# then describe the helpers.
_LAUNCHERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Open MPI's mpirun", "OMPI_COMM_WORLD_RANK", ("OMPI_COMM_WORLD_SIZE",)),
    ("MVAPICH's mpirun", "MV2_COMM_WORLD_RANK", ("MV2_COMM_WORLD_SIZE",)),
    ("mpiexec", "PMI_RANK", ("PMI_SIZE",)),
    ("PALS", "PALS_RANKID", ("PALS_SIZE",)),
    ("srun", "SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")),
    ("a PMIx launcher", "PMIX_RANK", ()),
)
# Batch scripts and interactive shells run in steps of their own, numbered down from here; the
# processes that they start are not a parallel job.
_MIN_SPECIAL_STEP = 0xFFFFFFF0

LAUNCHER_PREFIXES = (
    "OMPI_COMM_",
    "OMPI_UNIVERSE",
    "MV2_COMM_",
    "PMI_",
    "PMIX_",
    "PALS_",
    "HYDI_",
    "MPI_LOCAL",
)


def detect_launcher(environ: Mapping[str, str] = os.environ) -> Launcher | None:
    """Return the launcher that started this process, or None if no launcher did."""
    for name, rank_variable, size_variables in _LAUNCHERS:
        rank = _parse_int(environ.get(rank_variable))
        if rank is None or (rank_variable.startswith("SLURM") and not _in_step(environ)):
            continue
        sizes = (_parse_int(environ.get(variable)) for variable in size_variables)
        size = next((size for size in sizes if size is not None), None)
        return Launcher(name, rank, size, _family(rank_variable, environ))
    return None


def _family(rank_variable: str, environ: Mapping[str, str]) -> str | None:
    if rank_variable.startswith("OMPI"):
        return "Open MPI"
    # PMI_RANK alone is not a sign: SLURM's PMI serves both families.
    return "MPICH" if "HYDI_CONTROL_FD" in environ else None


def _in_step(environ: Mapping[str, str]) -> bool:
    step = _parse_int(environ.get("SLURM_STEP_ID", environ.get("SLURM_STEPID")))
    return step is not None and step < _MIN_SPECIAL_STEP


def _parse_int(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
