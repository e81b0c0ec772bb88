"""Chooses the value of ``srun --mpi`` for an MPI library."""

import re
import shutil
import subprocess
import sys
from collections.abc import Collection

from distsnn.errors import DescriptionError, unknown_name_error

# Loading an MPI library may kill the process that tries, or leave it initialised.
_PRINT_LIBRARY = "from distsnn.comm.mpi import library; print(library())"
_TIMEOUT = 120  # s
# Found in the text that a library gives as its version; the first that fits counts. MPICH's wheel
# comes with PMI-1 and 2 alone: under pmix or none each process would be a world of its own.
_FLAGS = (
    ("CRAY MPICH", ("cray_shasta", "pmi2")),
    ("Open MPI", ("pmix",)),
    ("MPICH", ("pmi2",)),
    ("Intel(R) MPI", ("pmi2",)),
    ("MVAPICH", ("pmi2",)),
)


def mpi_flag(library: str | None, ntasks: int, supported: Collection[str] | None = None) -> str:
    """Return what ``srun --mpi`` must get.

    Parameters
    ----------
    library : str or None
        The MPI library's name and version; None where mpi4py has none.
    ntasks : int
        Number of ranks.
    supported : collection of str, optional
        What this SLURM knows (`known_flags`); by default everything.

    Raises
    ------
    DescriptionError
        If several ranks need MPI and it is missing, the library is unknown, or this SLURM cannot
        start its ranks.
    """
    if library is None:
        if ntasks == 1:
            return "none"
        raise DescriptionError(
            f"{ntasks} ranks need MPI, and mpi4py is not installed or finds no library",
            where="ntasks",
            value=ntasks,
            allowed="1, or pip install 'distsnn[mpi]'",
        )
    preferred = next((flags for name, flags in _FLAGS if name in library), ())
    for flag in preferred:
        if supported is None or flag in supported:
            return flag
    which = f"srun --mpi={preferred[-1]}" if preferred else "an unknown way"
    raise DescriptionError(
        f"ranks of {library} start by {which}, which is not known here",
        where="mpi",
        allowed=", ".join(sorted(supported)) if supported else "what srun --mpi=list prints",
    )


def known_flags(listing: str) -> frozenset[str]:
    """Return the names in what ``srun --mpi=list`` prints."""
    names = re.findall(r"^\s+(\w+)\s*$", listing, flags=re.MULTILINE)
    versions = re.search(r"versions available:(.*)", listing)
    return frozenset(names) | frozenset(versions[1].replace(",", " ").split() if versions else ())


def choose_mpi_flag(mpi: str | None, ntasks: int) -> str:
    """Return what ``srun --mpi`` must get on this machine.

    Parameters
    ----------
    mpi : str or None
        A name that srun must know; None: what the library of mpi4py needs.
    ntasks : int
        Number of ranks.

    Raises
    ------
    DescriptionError
        If srun does not know the name, or as in `mpi_flag`.
    """
    supported = _supported_flags()
    if mpi is None:
        return mpi_flag(_mpi_library(), ntasks, supported)
    if supported is not None and mpi not in supported:
        raise unknown_name_error("name", mpi, supported, where="mpi")
    return mpi


def _mpi_library() -> str | None:
    command = [sys.executable, "-P", "-c", _PRINT_LIBRARY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT)
    return done.stdout.strip() or None if done.returncode == 0 else None


def _supported_flags() -> frozenset[str] | None:
    # None if srun is missing or does not list them: the script is written nevertheless.
    srun = shutil.which("srun")
    if srun is None:
        return None
    done = subprocess.run([srun, "--mpi=list"], capture_output=True, text=True, timeout=_TIMEOUT)
    return known_flags(done.stdout + done.stderr) or None
