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
from distsnn.comm.supervision.job_exit import PIPE_DELAY_S, install_hook, print_message, run_job
from distsnn.comm.supervision.launch import mpiexec_path
from distsnn.comm.supervision.launcher import Launcher, detect_launcher
from distsnn.errors import InputError, UsageError
from distsnn.units import format_count

_REPORT_S = 3.0  # for the first rank to report
_START_POLL_S = 0.25
# Ranks that wait for another to start report in turn: the first report ends the job.
_START_STAGGER_S, _MAX_STAGGERED_RANKS = 0.5, 8  # s per rank, ranks


@cache
def world() -> Communicator:
    """Return the communicator of all ranks of this job; the same one every time.

    MPI is used, and mpi4py imported, only if an MPI launcher started this process (or the caller
    has imported ``mpi4py.MPI`` already). With more than one rank, an uncaught exception then ends
    the whole job.

    Raises
    ------
    UsageError
        The launcher started several processes that cannot form an MPI job: mpi4py is missing, or
        belongs to another MPI than the launcher.
    """
    launcher = detect_launcher()
    if launcher is None and "mpi4py.MPI" not in sys.modules:
        return SingleProcess()
    if importlib.util.find_spec("mpi4py") is None:
        if launcher is not None and launcher.size == 1:
            return SingleProcess()
        raise UsageError(
            f"{_launcher_text(launcher)}, but mpi4py is not installed",
            where="MPI",
            hint="start one process, or pip install 'distsnn[mpi]'",
        )
    try:
        module = importlib.import_module("distsnn.comm.mpi")
    except (ImportError, RuntimeError) as error:
        raise UsageError(
            f"{_launcher_text(launcher)}, but mpi4py cannot load an MPI library ({error})",
            where="MPI",
            hint="install the MPI that mpi4py was built for, or pip install 'distsnn[mpi]'",
        ) from error
    _check_family(launcher, module.library(), wheel=module.is_wheel())
    communicator: Communicator = module.MPICommunicator()
    if launcher is not None and launcher.size not in {None, communicator.size}:
        raise _wrong_launcher_error(launcher, module.library(), f"sees {communicator.size}")
    if communicator.size == 1:
        return SingleProcess()  # a call of MPI takes tens of µs even with a single rank
    install_hook(communicator)
    return communicator


def run_program(
    main: Callable[[Communicator], int | None], *, heartbeat_s: float = DEFAULT_TIMEOUT_S
) -> int:
    """Run a program on all ranks and return its exit code; combines `world` and `run_job`.

    The ranks are watched from the start of MPI to the end of `main`.

    Parameters
    ----------
    main : callable
        Takes the communicator, returns an exit code (None for 0).
    heartbeat_s : float
        The job is aborted if a rank sends no heartbeat for this time, s, or if a rank takes longer
        than `start_timeout` of this time to start; inf: never.

    Returns
    -------
    int
        Exit code, the same on all ranks.
    """
    launcher = detect_launcher()
    has_supervisor = launcher is not None and liveness_socket.connect_to_supervisor(launcher.rank)
    _show_crashes()
    started = threading.Event()
    try:
        check_timeout(heartbeat_s)
        if launcher is not None and not has_supervisor:
            _limit_start(start_timeout(heartbeat_s), launcher.rank, started)
        communicator = world()
    except InputError as error:
        started.set()
        # Without a communicator, only the first process of the launcher reports.
        if launcher is None or launcher.rank == 0:
            print_message(str(error))
        else:
            # Launchers end all processes with the first that ends: wait for the report.
            time.sleep(_REPORT_S)
        return 2
    heartbeat = Heartbeat(communicator, heartbeat_s)

    def supervised() -> int | None:
        try:
            heartbeat.start()
            started.set()
            liveness_socket.report({"started": True})
            return main(communicator)
        except BaseException as error:
            heartbeat.stop(error)
            raise

    try:
        code = run_job(communicator, supervised)
        liveness_socket.report({"exit_code": code})
        return code
    finally:
        started.set()
        heartbeat.stop()


def _limit_start(timeout_s: float, rank: int, started: threading.Event) -> None:
    """End this process unless `started` is set within the timeout."""

    def watch() -> None:
        # a clock of its own, which stands while the whole job is suspended
        remaining = timeout_s + _START_STAGGER_S * min(rank, _MAX_STAGGERED_RANKS)
        while not started.wait(_START_POLL_S):
            remaining -= _START_POLL_S
            if remaining <= 0.0:
                print_message(
                    f"rank {rank} waited {timeout_s:g} s for all ranks to start MPI (process "
                    "stopped, or node or network down); aborting the job"
                )
                time.sleep(PIPE_DELAY_S)
                os._exit(1)

    threading.Thread(target=watch, name="distsnn-start-timeout", daemon=True).start()


def _show_crashes() -> None:
    # A segmentation fault then prints its location on standard error, at no cost before.
    if not faulthandler.is_enabled():
        with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):
            faulthandler.enable()  # not if standard error is not a file


def _launcher_text(launcher: Launcher | None) -> str:
    if launcher is None:
        return "mpi4py.MPI is imported"
    if launcher.size is None:
        return f"{launcher.name} started an unknown number of processes"
    return f"{launcher.name} started {format_count(launcher.size, 'process', 'processes')}"


def _check_family(launcher: Launcher | None, library: str, *, wheel: bool) -> None:
    # Before MPI is initialised, which can be fatal under the launcher of another MPI.
    if launcher is not None and launcher.name == "srun" and wheel and "PMIX_RANK" in os.environ:
        raise _wrong_launcher_error(launcher, library, "does not support PMIx")
    if launcher is None or launcher.family is None:
        return
    is_mpich = any(name in library for name in ("MPICH", "Intel(R) MPI", "MVAPICH"))
    is_foreign = is_mpich if launcher.family == "Open MPI" else "Open MPI" in library
    if is_foreign:
        raise _wrong_launcher_error(launcher, library, "is the library of mpi4py")


def _wrong_launcher_error(launcher: Launcher, library: str, but: str) -> UsageError:
    try:
        path = mpiexec_path()
    except InputError:
        path = "mpiexec"
    arguments = f"-n {launcher.size or 'N'} distsnn ..."
    commands = [f"{path} {arguments}", f"srun --mpi={_srun_flag(library)} {arguments}"]
    if launcher.name == "srun":
        commands.reverse()
    return UsageError(
        f"{_launcher_text(launcher)}, but {library} {but}: the launcher belongs to another MPI",
        where="MPI",
        hint=f"start it with {', or '.join(commands)}",
    )


def _srun_flag(library: str) -> str:
    # MPICH and its derivatives use PMI-2 with SLURM, Open MPI uses PMIx.
    return "pmix" if "Open MPI" in library else "pmi2"
