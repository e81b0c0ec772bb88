"""Start ranks from a plain Python process: find mpiexec, run it, never leave ranks behind."""

import codecs
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, TextIO

from distsnn.comm.ending import write
from distsnn.comm.launcher import PREFIXES, RANK_VARIABLES, launcher
from distsnn.errors import DescriptionError

_INSTALL = "pip install 'distsnn[mpi]'"
_POLL = 0.1  # s
_SCAN = 0.5  # s, between two looks at which ranks live
_KILL_AFTER = 2.0  # s, from asking mpiexec to end to killing all of its processes

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
    where these are something else, as in a notebook). SIGINT, SIGTERM and SIGHUP are passed on;
    a third signal kills the job.

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
        The job's exit code; 1 if it had to be killed, 128 + the number if ended by a signal.

    Raises
    ------
    DescriptionError
        mpi4py or mpiexec is missing, `ranks` is not positive, or this process is itself one of
        several ranks.
    """
    _check(ranks)
    command = [mpiexec_path(), "-n", str(ranks), sys.executable, *program, *arguments]
    outputs = [(sys.stdout, _descriptor(sys.stdout, 1)), (sys.stderr, _descriptor(sys.stderr, 2))]
    with subprocess.Popen(
        command,
        env=_environment(env),
        stdin=subprocess.DEVNULL,
        stdout=outputs[0][1],
        stderr=outputs[1][1],
        # Ctrl-C in a terminal then reaches the ranks once, through us.
        start_new_session=True,
    ) as process:
        pumps = [
            _pump(pipe, stream)
            for pipe, (stream, _) in zip((process.stdout, process.stderr), outputs, strict=True)
            if pipe is not None
        ]
        job = _Job(process, max(3.0, 0.25 * ranks) if patience is None else patience)
        try:
            with job.forwarding_signals():
                code = job.wait()
        finally:
            if process.poll() is None:
                job.kill()
        for pump in pumps:
            pump.join(timeout=2.0)
    return code


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


def _environment(added: Mapping[str, str] | None) -> dict[str, str]:
    # What an outer launcher told this process would mislead the ranks.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIXES)}
    for name in _ONE_THREAD:
        environment[name] = "1"
    for name, value in _OVERSUBSCRIBE.items():
        environment.setdefault(name, value)
    environment.update(added or {})
    return environment


def _descriptor(stream: TextIO, expected: int) -> int | None:
    # None: inherit the descriptor; else a pipe to be copied to the stream.
    try:
        inherit = stream.fileno() == expected
    except (AttributeError, OSError, ValueError):
        inherit = False
    if inherit:
        stream.flush()
    return None if inherit else subprocess.PIPE


def _pump(pipe: IO[bytes], stream: TextIO) -> threading.Thread:
    def copy() -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        while chunk := os.read(pipe.fileno(), 65536):
            stream.write(decoder.decode(chunk))
            stream.flush()

    thread = threading.Thread(target=copy, name="distsnn-launch-output", daemon=True)
    thread.start()
    return thread


class _Job:
    # mpiexec and its ranks, watched through /proc.

    def __init__(self, process: subprocess.Popen[bytes], patience: float) -> None:
        self._process = process
        self._patience = patience
        self._signals: list[int] = []
        self._ranks: set[int] = set()
        self._first_death: float | None = None

    @contextmanager
    def forwarding_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def forward(number: int, frame: FrameType | None) -> None:
            self._signals.append(number)
            if len(self._signals) > 2:
                self.kill()
            elif self._process.poll() is None:
                self._send(number)

        saved = {
            number: signal.signal(number, forward)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            yield
        finally:
            for number, handler in saved.items():
                signal.signal(number, handler)

    def wait(self) -> int:
        next_scan = 0.0
        while True:
            try:
                code = self._process.wait(_POLL)
                break
            except subprocess.TimeoutExpired:
                pass
            if time.monotonic() >= next_scan:
                next_scan = time.monotonic() + _SCAN
                if self._overdue():
                    self.kill()
                    write(
                        f"a rank ended and the job did not within {self._patience:g} s: "
                        "all its processes were ended"
                    )
                    return 1
        if code != 0 and self._signals:
            return 128 + self._signals[0]
        return code if code >= 0 else 128 - code

    def _send(self, number: int) -> None:
        # Straight to the ranks, which stop in good order: mpiexec would add words of its own to
        # a SIGINT, and end the ranks at once on the others.
        ranks = _descendants(self._process.pid, ranks_only=True)
        for pid in ranks:
            _signal(pid, number)
        if not ranks:
            self._process.send_signal(number)

    def kill(self) -> None:
        # mpiexec first, which can end ranks on other machines; then whatever is left here.
        family = _descendants(self._process.pid)
        self._process.terminate()
        try:
            self._process.wait(_KILL_AFTER)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in family | self._ranks:
            if _alive(pid):
                _signal(pid, signal.SIGKILL)

    def _overdue(self) -> bool:
        self._ranks |= {pid for pid in _descendants(self._process.pid, ranks_only=True)}
        if self._first_death is None:
            if any(not _alive(pid) for pid in self._ranks):
                self._first_death = time.monotonic()
            return False
        return time.monotonic() - self._first_death > self._patience


def _descendants(pid: int, *, ranks_only: bool = False) -> set[int]:
    found: set[int] = set()
    for child in _children(pid):
        if ranks_only and _is_rank(child):
            found.add(child)  # what a rank starts is its own business
            continue
        found |= _descendants(child, ranks_only=ranks_only)
        if not ranks_only:
            found.add(child)
    return found


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # gone meanwhile, or a kernel that does not tell
        return []


def _is_rank(pid: int) -> bool:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(
        entry.partition(b"=")[0].decode(errors="replace") in RANK_VARIABLES for entry in entries
    )


def _alive(pid: int) -> bool:
    # An ending process has no command line any more while its memory is being freed.
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
