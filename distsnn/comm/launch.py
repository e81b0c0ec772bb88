"""Start ranks from a plain Python process: find mpiexec, run it, never leave ranks behind."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from distsnn.comm.ending import write
from distsnn.comm.launched_job import Job
from distsnn.comm.launcher import PREFIXES, launcher
from distsnn.comm.lifeline import VARIABLE, Lifelines
from distsnn.comm.output import Output
from distsnn.errors import DescriptionError

_ASK_AND_START = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
os.execv(sys.argv[1], sys.argv[1:])
"""
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
_OVERSUBSCRIBE = {
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
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
    env: Mapping[str, str] | None = None,
    *,
    program: Sequence[str] = ("-m", "distsnn"),
    patience: float | None = None,
) -> int:
    """Run ``python -m distsnn ARGUMENTS`` on several ranks of this machine and wait for it.

    Output goes to this process's standard output and error (to ``sys.stdout`` and ``sys.stderr``
    where these are something else, as in a notebook), but for the launcher's own words about a
    rank that died: a message of ours names the rank and the cause instead. SIGINT, SIGTERM,
    SIGHUP and SIGUSR1 are passed on; a third signal kills the job.

    Parameters
    ----------
    ranks : int
        Number of ranks; may exceed the number of cores.
    arguments : sequence of str
        Command line arguments.
    env : mapping, optional
        Variables added to the ranks' environment.
    program : sequence of str, optional
        What Python runs instead of distsnn. It must end through `guard` or `start`: an
        exception outside would leave the other ranks waiting.
    patience : float, optional
        Seconds that the job may outlive one of its ranks before it is killed; by default 3, and
        more for more than 12 ranks.

    Returns
    -------
    int
        The job's exit code; 1 if a rank died or the job had to be killed, which has then been told;
        128 + the number if ended by a signal.

    Raises
    ------
    DescriptionError
        mpi4py or mpiexec is missing, `ranks` is not positive, or this process is itself one of
        several ranks.
    """
    _check(ranks)
    command = [mpiexec_path(), "-n", str(ranks), sys.executable, *program, *arguments]
    lifelines = Lifelines()
    with (
        closing(lifelines),
        subprocess.Popen(
            _ending_with_us(command),
            env=_environment({**(env or {}), VARIABLE: lifelines.name}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C in a terminal then reaches the ranks once, through us.
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None and process.stderr is not None
        outputs = [Output(process.stdout, sys.stdout, 1), Output(process.stderr, sys.stderr, 2)]
        patience = max(3.0, 0.25 * ranks) if patience is None else patience
        job = Job(process, ranks, patience, lifelines)
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
            write(verdict.message + _place(crashes))
        sys.stderr.write(crashes)
        sys.stderr.flush()
    return verdict.code


def _check(ranks: int) -> None:
    if ranks < 1:
        raise DescriptionError(
            "number of ranks must be positive", where="ranks", value=ranks, allowed="1 or more"
        )
    if importlib.util.find_spec("mpi4py") is None:
        raise DescriptionError(
            "several ranks need MPI, and mpi4py is not installed",
            where="MPI",
            allowed=f"one rank, or {_INSTALL}",
        )
    launched = launcher()
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
    environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIXES)}
    for name in _ONE_THREAD:
        environment[name] = "1"
    for name, value in _OVERSUBSCRIBE.items():
        environment.setdefault(name, value)
    # A rank that crashes then says where; what it says is shown after our message.
    environment.setdefault("PYTHONFAULTHANDLER", "1")
    environment.update(added)
    return environment


def _shortened(crashes: str) -> str:
    # without the list of all compiled modules that are loaded
    return re.sub(r"\n+Extension modules: .*", "", crashes)


def _place(crashes: str) -> str:
    # Where a rank crashed: the innermost line that is not the standard library's.
    standard = sysconfig.get_path("stdlib")
    for file, line, name in re.findall(r'^  File "(.+)", line (\d+) in (\S+)', crashes, re.M):
        if not file.startswith(standard) or "site-packages" in file:
            return f" in {name} ({file}, line {line})"
    return ""
