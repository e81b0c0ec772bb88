"""Start ranks from a plain Python process: find mpiexec, run it, leave no rank behind."""

import importlib.util
import math
import os
import re
import secrets
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from distsnn.comm.supervision import liveness_socket
from distsnn.comm.supervision.exit_monitor import ExitMonitor
from distsnn.comm.supervision.job_exit import print_message
from distsnn.comm.supervision.launcher import LAUNCHER_PREFIXES, detect_launcher
from distsnn.comm.supervision.launcher_output import OutputForwarder
from distsnn.comm.supervision.supervised_job import JobResult, SupervisedJob
from distsnn.errors import UsageError
from distsnn.units import format_count

_EXEC_WITH_PARENT_DEATH_SIGNAL = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
os.execv(sys.argv[1], sys.argv[1:])
"""
# Ranks per core: from the first number on they are slow, beyond the second the machine no longer
# responds.
_SLOW_RANKS_PER_CORE, _MAX_RANKS_PER_CORE = 2, 16
_WRITE_TIMEOUT_S = 2.0  # for the disk to take an exit report
# Ranks write to a pipe; this variable states whether the pipe leads to a terminal.
TERMINAL_VARIABLE = "DISTSNN_TERMINAL"
_INSTALL = "pip install 'distsnn[mpi]'"

# A rank has one core: libraries that start a thread per core would compete for cores.
# (numba's variable is left alone: no kernel is parallel, and it names the kernels' disk cache.)
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
# Open MPI refuses more ranks than cores without these (4.x and 5.x); MPICH has no such rule.
_ON_THIS_NODE = {
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    # inside an allocation of SLURM, MPICH's mpiexec would start the ranks by srun
    "HYDRA_LAUNCHER": "fork",
    "HYDRA_RMK": "user",
}


def mpiexec_path() -> str:
    """Return the mpiexec to start ranks with: this Python's own, else the one on PATH.

    Raises
    ------
    UsageError
        mpiexec was not found.
    """
    # Not resolved: in a virtual environment the interpreter is a link out of it.
    folders = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
    path = shutil.which("mpiexec", path=os.pathsep.join(map(str, folders)))
    path = path or shutil.which("mpiexec")
    if path is None:
        raise UsageError(
            "several ranks need MPI, and mpiexec was not found",
            where="MPI",
            hint=f"use one rank, or {_INSTALL}",
        )
    return path


def launch(
    ranks: int,
    arguments: Sequence[str],
    *,
    program: Sequence[str] = ("-P", "-m", "distsnn"),
    grace_period_s: float | None = None,
    start_timeout_s: float = math.inf,
    oversubscribe: bool = False,
    complete_result: Callable[[JobResult], JobResult] | None = None,
) -> int:
    """Run ``python -P -m distsnn ARGUMENTS`` on several ranks of this machine and wait for it.

    With ``-P`` no rank imports a module from the working folder by accident.

    Output goes to this process's standard output and error, or to ``sys.stdout`` and
    ``sys.stderr`` where these were replaced, as in a notebook. The launcher's own message about a
    rank that died is left out: a message of distsnn names the rank and the cause instead. SIGINT,
    SIGTERM, SIGHUP and SIGUSR1 are forwarded to every rank once it handles them; a third Ctrl-C
    kills the job.

    Parameters
    ----------
    ranks : int
        Number of ranks; may exceed the number of cores. A warning is printed from twice the cores
        that this process may use.
    arguments : sequence of str
        Command line arguments.
    program : sequence of str, optional
        Arguments of Python that run another program than distsnn. The program must begin and end
        in `run_program`: after an exception outside of it the other ranks would wait.
    grace_period_s : float, optional
        Seconds that the job may outlive one of its ranks before it is killed; by default 3, and
        more for more than 12 ranks.
    start_timeout_s : float
        Seconds in which all ranks must start, longer in proportion where they share cores;
        otherwise the job is killed.
    oversubscribe : bool
        Allow more than 16 ranks per core.
    complete_result : callable, optional
        Receives the result of a job that failed, and returns it, or a result whose message
        includes the state of the run's results.

    Returns
    -------
    int
        The job's exit code; 1 if a rank died or the job had to be killed, after a message about it;
        128 + the signal's number if a signal ended the job; the code of the ranks if all had
        finished before.

    Raises
    ------
    UsageError
        mpi4py or mpiexec is missing, `ranks` is not positive or more than 16 per core, or this
        process is itself one of several ranks.
    """
    cores = len(os.sched_getaffinity(0))
    _check(ranks, math.inf if oversubscribe else _MAX_RANKS_PER_CORE * cores)
    if ranks >= _SLOW_RANKS_PER_CORE * cores:
        print_message(
            f"warning: {ranks} ranks share {format_count(cores, 'core')}: they take turns"
        )
    command = [mpiexec_path(), "-n", str(ranks), sys.executable, *program, *arguments]
    token = secrets.token_hex(16)
    listener = liveness_socket.open_listener(token)
    variables = {
        TERMINAL_VARIABLE: "1" if sys.stderr.isatty() else "0",
        liveness_socket.VARIABLE: token,
    }
    with (
        closing(ExitMonitor(listener, token, ranks, _WRITE_TIMEOUT_S)) as monitor,
        subprocess.Popen(
            _with_parent_death_signal(command),
            env=_environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C in a terminal then reaches the ranks once, through this process.
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None and process.stderr is not None
        outputs = [
            OutputForwarder(process.stdout, sys.stdout, 1),
            OutputForwarder(process.stderr, sys.stderr, 2),
        ]
        if grace_period_s is None:
            grace_period_s = max(3.0, 0.25 * ranks)
        start_timeout_s *= max(1.0, ranks / cores)
        job = SupervisedJob(process, ranks, monitor, grace_period_s, start_timeout_s)
        try:
            with job.forwarding_signals():
                code = job.wait()
        finally:
            if process.poll() is None:
                job.kill()
            for output in outputs:
                output.finish()
        result = job.result(code, " ".join(output.banner for output in outputs))
        crashes = _without_modules("".join(output.crashes for output in outputs))
        if result.message is not None:
            result = replace(result, message=result.message + _crash_location(crashes))
            result = result if complete_result is None else complete_result(result)
            print_message(str(result.message))
        sys.stderr.write(crashes)
        sys.stderr.flush()
    return result.code


def _check(ranks: int, max_ranks: float) -> None:
    if ranks < 1:
        raise UsageError(
            "number of ranks must be positive", where="ranks", value=ranks, allowed="1 or more"
        )
    if ranks > max_ranks:
        raise UsageError(
            f"more than {_MAX_RANKS_PER_CORE} ranks per core",
            where="ranks",
            value=ranks,
            allowed=f"1 to {max_ranks:g} with the cores of this process",
            hint="set oversubscribe=True (--oversubscribe) to start more",
        )
    if importlib.util.find_spec("mpi4py") is None:
        raise UsageError(
            "several ranks need MPI, and mpi4py is not installed",
            where="MPI",
            hint=f"use one rank, or {_INSTALL}",
        )
    started_by = detect_launcher()
    if started_by is not None and started_by.size != 1:
        raise UsageError(
            f"this process already runs under {started_by.name} and cannot start more ranks",
            where="ranks",
            value=ranks,
            hint="leave out `ranks`",
        )


def _with_parent_death_signal(command: list[str]) -> list[str]:
    # mpiexec gets a SIGTERM when this process is killed: its ranks would run on unattended. The
    # kernel takes the thread that started mpiexec for its parent.
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return command
    # Not by preexec_fn, which is unsafe if there are other threads. The interpreter itself is
    # enough: the code needs no package of an environment.
    python = str(Path("/proc/self/exe").readlink())
    return [python, "-I", "-S", "-c", _EXEC_WITH_PARENT_DEATH_SIGNAL, *command]


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    # The variables of an outer launcher would mislead the ranks.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHER_PREFIXES)}
    for name in _ONE_THREAD:
        environment[name] = "1"
    for name, value in _ON_THIS_NODE.items():
        environment.setdefault(name, value)
    # A rank that crashes then prints its location, which is shown after the message.
    environment.setdefault("PYTHONFAULTHANDLER", "1")
    environment.update(variables)
    return environment


def _without_modules(crashes: str) -> str:
    # without the list of all compiled modules that are loaded
    return re.sub(r"\n+Extension modules: .*", "", crashes)


def _crash_location(crashes: str) -> str:
    # The innermost line outside the standard library, of the thread that crashed. Python lists the
    # other threads, such as a heartbeat's, before it.
    crashes = crashes.partition("Current thread ")[2] or crashes
    standard = sysconfig.get_path("stdlib")
    for file, line, name in re.findall(r'^  File "(.+)", line (\d+) in (\S+)', crashes, re.M):
        if not file.startswith(standard) or "site-packages" in file:
            return f" in {name} ({file}, line {line})"
    return ""
