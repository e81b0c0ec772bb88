"""Start ranks from a plain Python process: find mpiexec, run it, never leave ranks behind."""

import importlib.util
import math
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from distsnn.comm.supervision.job_exit import print_message
from distsnn.comm.supervision.launcher import LAUNCHER_PREFIXES, detect_launcher
from distsnn.comm.supervision.launcher_output import OutputForwarder
from distsnn.comm.supervision.liveness_socket import VARIABLE, LivenessSockets
from distsnn.comm.supervision.supervised_job import JobResult, SupervisedJob
from distsnn.errors import DescriptionError
from distsnn.units import counted

_ASK_AND_START = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
os.execv(sys.argv[1], sys.argv[1:])
"""
# Ranks a core: from the first on they are slow, beyond the second the machine no longer responds.
_MANY_A_CORE, _MOST_A_CORE = 2, 16
# Ranks write to a pipe; this variable states whether the pipe leads to a terminal.
TERMINAL_VARIABLE = "DISTSNN_TERMINAL"
_INSTALL = "pip install 'distsnn[mpi]'"

# One rank has one core: libraries that start a thread per core would get in each other's way.
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
    DescriptionError
        There is none.
    """
    # Not resolved: in a virtual environment the interpreter is a link out of it.
    folders = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
    found = shutil.which("mpiexec", path=os.pathsep.join(map(str, folders)))
    found = found or shutil.which("mpiexec")
    if found is None:
        raise DescriptionError(
            "several ranks need MPI, and there is no mpiexec",
            where="MPI",
            allowed=f"one rank, or {_INSTALL}",
        )
    return found


def launch(
    ranks: int,
    arguments: Sequence[str],
    *,
    program: Sequence[str] = ("-P", "-m", "distsnn"),
    patience: float | None = None,
    start_limit_s: float = math.inf,
    oversubscribe: bool = False,
    lost: Callable[[JobResult], JobResult] | None = None,
) -> int:
    """Run ``python -P -m distsnn ARGUMENTS`` on several ranks of this machine and wait for it.

    With ``-P`` no rank imports a module from the working folder by accident.

    Output goes to this process's standard output and error (to ``sys.stdout`` and ``sys.stderr``
    where these are something else, as in a notebook), but for the launcher's own words about a
    rank that died: a message of ours names the rank and the cause instead. SIGINT, SIGTERM,
    SIGHUP and SIGUSR1 are passed on to every rank once it handles them; a third Ctrl-C kills the
    job.

    Parameters
    ----------
    ranks : int
        Number of ranks; may exceed the number of cores. A warning is printed from twice the cores
        that this process may use.
    arguments : sequence of str
        Command line arguments.
    program : sequence of str, optional
        What Python runs instead of distsnn. It must begin and end through `start`: an exception
        outside would leave the other ranks waiting, and a rank that does not begin is waited for.
    patience : float, optional
        Seconds that the job may outlive one of its ranks before it is killed; by default 3, and
        more for more than 12 ranks.
    start_limit_s : float
        Seconds until all ranks must have started, longer in proportion where they share cores; a
        job whose ranks have not is ended.
    oversubscribe : bool
        Allow more than 16 ranks a core.
    lost : callable, optional
        Gets the verdict on a job that did not end by itself, and returns it, or a better one: what
        became of the results.

    Returns
    -------
    int
        The job's exit code; 1 if a rank died or the job had to be killed, which has then been told;
        128 + the number if ended by a signal; that of the ranks if all had finished before.

    Raises
    ------
    DescriptionError
        mpi4py or mpiexec is missing, `ranks` is not positive or more than 16 a core, or this
        process is itself one of several ranks.
    """
    cores = len(os.sched_getaffinity(0))
    _check(ranks, math.inf if oversubscribe else _MOST_A_CORE * cores)
    if ranks >= _MANY_A_CORE * cores:
        print_message(f"warning: {ranks} ranks share {counted(cores, 'core')}: they take turns")
    command = [mpiexec_path(), "-n", str(ranks), sys.executable, *program, *arguments]
    terminal = "1" if sys.stderr.isatty() else "0"
    lifelines = LivenessSockets()
    with (
        closing(lifelines),
        subprocess.Popen(
            _ending_with_us(command),
            env=_environment({TERMINAL_VARIABLE: terminal, VARIABLE: lifelines.name}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C in a terminal then reaches the ranks once, through us.
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None and process.stderr is not None
        outputs = [
            OutputForwarder(process.stdout, sys.stdout, 1),
            OutputForwarder(process.stderr, sys.stderr, 2),
        ]
        patience = max(3.0, 0.25 * ranks) if patience is None else patience
        job = SupervisedJob(
            process, ranks, patience, lifelines, start_limit_s * max(1.0, ranks / cores)
        )
        try:
            with job.forwarding_signals():
                code = job.wait()
        finally:
            if process.poll() is None:
                job.kill()
            for output in outputs:
                output.finish()
        verdict = job.verdict(code, " ".join(output.banner for output in outputs))
        crashes = _shortened("".join(output.crashes for output in outputs))
        if verdict.message is not None:
            verdict = replace(verdict, message=verdict.message + _place(crashes))
            verdict = verdict if lost is None else lost(verdict)
            print_message(str(verdict.message))
        sys.stderr.write(crashes)
        sys.stderr.flush()
    return verdict.code


def _check(ranks: int, most: float) -> None:
    if ranks < 1:
        raise DescriptionError(
            "number of ranks must be positive", where="ranks", value=ranks, allowed="1 or more"
        )
    if ranks > most:
        raise DescriptionError(
            f"more than {_MOST_A_CORE} ranks a core",
            where="ranks",
            value=ranks,
            allowed=f"1 to {most:g} with the cores of this process, or more with --oversubscribe "
            "(in Python oversubscribe=True)",
        )
    if importlib.util.find_spec("mpi4py") is None:
        raise DescriptionError(
            "several ranks need MPI, and mpi4py is not installed",
            where="MPI",
            allowed=f"one rank, or {_INSTALL}",
        )
    launched = detect_launcher()
    if launched is not None and launched.size != 1:
        raise DescriptionError(
            f"this process is one of those that {launched.name} started; it starts no others",
            where="ranks",
            value=ranks,
            allowed="no number of ranks under an MPI launcher",
        )


def _ending_with_us(command: list[str]) -> list[str]:
    # The command gets a SIGTERM when we are killed: ranks that nobody waits for would run on. The
    # system takes the thread that started it for the parent.
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return command
    # not by preexec_fn, which is unsafe where there are other threads
    # (the interpreter itself: nothing of an environment is needed)
    return [str(Path("/proc/self/exe").readlink()), "-I", "-S", "-c", _ASK_AND_START, *command]


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    # What an outer launcher told this process would mislead the ranks.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHER_PREFIXES)}
    for name in _ONE_THREAD:
        environment[name] = "1"
    for name, value in _ON_THIS_NODE.items():
        environment.setdefault(name, value)
    # A rank that crashes then says where; what it says is shown after our message.
    environment.setdefault("PYTHONFAULTHANDLER", "1")
    environment.update(added)
    return environment


def _shortened(crashes: str) -> str:
    # without the list of all compiled modules that are loaded
    return re.sub(r"\n+Extension modules: .*", "", crashes)


def _place(crashes: str) -> str:
    # Where a rank crashed: the innermost line that is not the standard library's, of the thread
    # that crashed. Python lists the others, such as a heartbeat's, before it.
    crashes = crashes.partition("Current thread ")[2] or crashes
    standard = sysconfig.get_path("stdlib")
    for file, line, name in re.findall(r'^  File "(.+)", line (\d+) in (\S+)', crashes, re.M):
        if not file.startswith(standard) or "site-packages" in file:
            return f" in {name} ({file}, line {line})"
    return ""
