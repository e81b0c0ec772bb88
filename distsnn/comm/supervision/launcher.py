"""Which MPI launcher, if any, started this process: read from the environment it left."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Launcher:
    """What a launcher says about this process.

    Attributes
    ----------
    name : str
        The launcher, in words.
    rank : int
        This process among those it started.
    size : int or None
        How many it started; None if it does not say.
    family : str or None
        The libraries whose ranks it can start, ``"Open MPI"`` or ``"MPICH"``; None for any.
    """

    name: str
    rank: int
    size: int | None
    family: str | None = None


# (name, variable of the rank, variables of the size); the first that is present counts. A launcher
# proper comes before SLURM: mpiexec in an allocation starts its helpers by srun, whose variables
# then speak of the helpers.
_KNOWN: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Open MPI's mpirun", "OMPI_COMM_WORLD_RANK", ("OMPI_COMM_WORLD_SIZE",)),
    ("MVAPICH's mpirun", "MV2_COMM_WORLD_RANK", ("MV2_COMM_WORLD_SIZE",)),
    ("mpiexec", "PMI_RANK", ("PMI_SIZE",)),
    ("PALS", "PALS_RANKID", ("PALS_SIZE",)),
    ("srun", "SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")),
    ("a PMIx launcher", "PMIX_RANK", ()),
)
# Batch scripts and interactive shells run in steps of their own, numbered down from here; what
# they start is no parallel job.
_FIRST_SPECIAL_STEP = 0xFFFFFFF0

RANK_VARIABLES = tuple(variable for _, variable, _ in _KNOWN if variable != "SLURM_PROCID")
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
    """Return the launcher that started this process, or None if none did."""
    for name, rank_variable, size_variables in _KNOWN:
        rank = _number(environ.get(rank_variable))
        if rank is None or (rank_variable.startswith("SLURM") and not _in_step(environ)):
            continue
        sizes = (_number(environ.get(variable)) for variable in size_variables)
        size = next((size for size in sizes if size is not None), None)
        return Launcher(name, rank, size, _family(rank_variable, environ))
    return None


def _family(rank_variable: str, environ: Mapping[str, str]) -> str | None:
    if rank_variable.startswith("OMPI"):
        return "Open MPI"
    # PMI_RANK alone is no sign: SLURM's PMI serves both.
    return "MPICH" if "HYDI_CONTROL_FD" in environ else None


def _in_step(environ: Mapping[str, str]) -> bool:
    step = _number(environ.get("SLURM_STEP_ID", environ.get("SLURM_STEPID")))
    return step is not None and step < _FIRST_SPECIAL_STEP


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
