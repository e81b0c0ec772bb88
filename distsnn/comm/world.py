"""The communicator of this process: MPI under a launcher, one process otherwise."""

import contextlib
import faulthandler
import importlib
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import cache

from distsnn.comm.local import SingleProcess
from distsnn.comm.protocol import Communicator
from distsnn.comm.supervision import liveness_socket
from distsnn.comm.supervision.heartbeat import (
    DEFAULT_TIMEOUT_S,
    Heartbeat,
    check_timeout,
    start_timeout,
)
from distsnn.comm.supervision.job_exit import PIPE_DELAY, install_hook, print_message, run_job
from distsnn.comm.supervision.launch import mpiexec_path
from distsnn.comm.supervision.launcher import Launcher, detect_launcher
from distsnn.errors import DescriptionError
from distsnn.units import counted

_WAIT_FOR_SPEAKER = 3.0  # s
_START_LOOK = 0.25  # s
# Ranks that wait for another to start report it one after the other: the first report ends the job.
_START_STAGGER, _MOST_STAGGERED = 0.5, 8  # s a rank, ranks


@cache
def world() -> Communicator:
    """Return the communicator of all ranks of this job; the same one every time.

    MPI is used, and mpi4py imported, only if an MPI launcher started this process (or the caller
    has imported ``mpi4py.MPI`` already). With more than one rank, an exception that nobody catches
    then ends the whole job.

    Raises
    ------
    DescriptionError
        The launcher started several processes that are no ranks of one MPI job: mpi4py is
        missing, or belongs to another MPI than the launcher.
    """
    launched = detect_launcher()
    if launched is None and "mpi4py.MPI" not in sys.modules:
        return SingleProcess()
    if importlib.util.find_spec("mpi4py") is None:
        if launched is not None and launched.size == 1:
            return SingleProcess()
        raise DescriptionError(
            f"{_started(launched)}, but mpi4py is not installed",
            where="MPI",
            allowed="one process, or pip install 'distsnn[mpi]'",
        )
    try:
        module = importlib.import_module("distsnn.comm.mpi")
    except (ImportError, RuntimeError) as error:
        raise DescriptionError(
            f"{_started(launched)}, but mpi4py cannot load an MPI library ({error})",
            where="MPI",
            allowed="the MPI that mpi4py was built for, or pip install 'distsnn[mpi]'",
        ) from error
    _check_family(launched, module.library(), wheel=module.is_wheel())
    communicator: Communicator = module.MPICommunicator()
    if launched is not None and launched.size not in {None, communicator.size}:
        raise _foreign(launched, module.library(), f"sees {communicator.size}")
    if communicator.size == 1:
        return SingleProcess()  # a call of MPI that reaches nobody takes tens of µs
    install_hook(communicator)
    return communicator


def run_program(
    main: Callable[[Communicator], int | None], *, heartbeat_s: float = DEFAULT_TIMEOUT_S
) -> int:
    """Run a program on all ranks and return its exit code: `world` and `run_job` in one.

    The ranks are watched from the start of MPI to the end of `main`.

    Parameters
    ----------
    main : callable
        Gets the communicator, returns an exit code (None for 0).
    heartbeat_s : float
        The job is ended if a rank is silent for this long, s, or takes `start_limit` of it to
        start; inf: never.

    Returns
    -------
    int
        Exit code, the same on all ranks.
    """
    liveness_socket.connect_liveness_socket()
    _show_crashes()
    launched = detect_launcher()
    started = threading.Event()
    try:
        check_timeout(heartbeat_s)
        if (
            launched is not None and not liveness_socket.is_held()
        ):  # else the launching process watches
            _limit_start(start_timeout(heartbeat_s), launched.rank, started)
        communicator = world()
    except DescriptionError as error:
        started.set()
        # No communicator to settle on a speaker, only the launcher's word.
        if launched is None or launched.rank == 0:
            print_message(str(error))
        else:
            # Launchers end all processes with the first: not before it has been said.
            time.sleep(_WAIT_FOR_SPEAKER)
        return 2
    heartbeat = Heartbeat(communicator, heartbeat_s)

    def watched() -> int | None:
        try:
            heartbeat.start()
            started.set()
            liveness_socket.report_start()
            return main(communicator)
        except BaseException as error:
            heartbeat.stop(error)
            raise

    try:
        code = run_job(communicator, watched)
        liveness_socket.report_code(code)
        return code
    finally:
        started.set()
        heartbeat.stop()


def _limit_start(limit_s: float, rank: int, started: threading.Event) -> None:
    """End this rank unless the job's start is reported within the limit."""

    def watch() -> None:
        # its own clock, which stands while the whole job is suspended
        left = limit_s + _START_STAGGER * min(rank, _MOST_STAGGERED)
        while not started.wait(_START_LOOK):
            left -= _START_LOOK
            if left <= 0.0:
                print_message(
                    f"rank {rank} waited {limit_s:g} s for all ranks to start MPI "
                    "(a rank is stopped, or its machine or network down): the job is ended"
                )
                time.sleep(PIPE_DELAY)
                os._exit(1)

    threading.Thread(target=watch, name="distsnn-start-limit", daemon=True).start()


def _show_crashes() -> None:
    # A segmentation fault then tells its place on standard error; it costs nothing before.
    if not faulthandler.is_enabled():
        with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):
            faulthandler.enable()  # not where standard error is no file


def _started(launched: Launcher | None) -> str:
    if launched is None:
        return "mpi4py.MPI is imported"
    if launched.size is None:
        return f"{launched.name} started an unknown number of processes"
    return f"{launched.name} started {counted(launched.size, 'process', 'processes')}"


def _check_family(launched: Launcher | None, library: str, *, wheel: bool) -> None:
    # Known before MPI is initialised, which can be fatal under a foreign launcher.
    if launched is not None and launched.name == "srun" and wheel and "PMIX_RANK" in os.environ:
        raise _foreign(launched, library, "knows no PMIx")
    if launched is None or launched.family is None:
        return
    is_mpich = any(name in library for name in ("MPICH", "Intel(R) MPI", "MVAPICH"))
    is_foreign = is_mpich if launched.family == "Open MPI" else "Open MPI" in library
    if is_foreign:
        raise _foreign(launched, library, "is what mpi4py has")


def _foreign(launched: Launcher, library: str, but: str) -> DescriptionError:
    try:
        path = mpiexec_path()
    except DescriptionError:
        path = "mpiexec"
    rest = f"-n {launched.size or 'N'} distsnn ..."
    commands = [f"{path} {rest}", f"srun --mpi={_srun_flag(library)} {rest}"]
    if launched.name == "srun":
        commands.reverse()
    return DescriptionError(
        f"{_started(launched)}, but {library} {but}: the launcher belongs to another MPI",
        where="MPI",
        allowed=", or ".join(commands),
    )


def _srun_flag(library: str) -> str:
    # MPICH and its kin speak PMI-2 with SLURM, Open MPI speaks PMIx.
    return "pmix" if "Open MPI" in library else "pmi2"
