"""mpiexec and its ranks, watched by the process that started it: which rank ends first, and how."""

import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from distsnn.comm.supervision import process_exit
from distsnn.comm.supervision.exit_monitor import ExitMonitor, MonitoredRank, RankExit
from distsnn.comm.supervision.job_exit import REPORTED_EXIT_CODES
from distsnn.comm.supervision.launcher import detect_launcher
from distsnn.comm.supervision.process_exit import ProcessExit, is_alive
from distsnn.deferred_signals import pending_signal
from distsnn.errors import Interrupted, Stopped

_POLL_S = 0.1
_CHECK_S = 0.5  # between two checks of timeouts
_MAX_NAMED_RANKS = 4
_FINALIZE_TIMEOUT_S = 30.0  # for ranks to free their memory once they have finished
_ORPHAN_TIMEOUT_S = 15.0  # for ranks to save the run after mpiexec has gone
_KILL_TIMEOUT_S = 2.0  # for mpiexec to end, before all of its processes are killed


@dataclass(frozen=True)
class JobResult:
    """The end of a job: its exit code, and the message about it, if any."""

    code: int
    message: str | None = None


def job_result(
    code: int, first: RankExit | None, banner: str, *, out_of_memory: bool = False
) -> JobResult:
    """Return the result of a job that no signal interrupted.

    Parameters
    ----------
    code : int
        mpiexec's exit code, which may be any rank's.
    first : RankExit or None
        The first rank that failed, if known.
    banner : str
        mpiexec's message about it. MPICH's names a process, but not always the right process.
    out_of_memory : bool
        Whether this machine has killed a process for lack of memory meanwhile.
    """
    number = None if first is None else process_exit.signal_of(first.status)
    if code in REPORTED_EXIT_CODES and (number is None or number in process_exit.LAUNCHER_SIGNALS):
        return JobResult(code)
    if first is None:
        # no rank was found: the job ended before the first search, or runs on other machines
        code = code if code >= 0 else 128 - code
        return JobResult(code, f"mpiexec ended with exit code {code}")
    if first.status is not None and number is None and first.status >> 8 in REPORTED_EXIT_CODES:
        return JobResult(first.status >> 8)
    return JobResult(1, describe_rank_exit(first, banner, out_of_memory=out_of_memory))


def describe_rank_exit(rank_exit: RankExit, banner: str, *, out_of_memory: bool = False) -> str:
    """Return a text that names the rank, its process and how it ended."""
    status = rank_exit.status
    if status is None:
        # mpiexec prints the code of the first rank, or the signal by which it ended the others
        match = re.search(r"EXIT CODE: (\d+)", banner)
        if match and (number := int(match[1]) & 0x7F) not in (0, *process_exit.LAUNCHER_SIGNALS):
            status = number
    cause = process_exit.describe_exit(status, out_of_memory=out_of_memory)
    return f"rank {rank_exit.rank} (process {rank_exit.pid}) {cause}"


class SupervisedJob:
    """A running job.

    Parameters
    ----------
    process : Popen
        mpiexec.
    size : int
        Number of ranks.
    monitor : ExitMonitor
        The exit monitor to which the ranks connect.
    grace_period_s : float
        Seconds that the job may outlive one of its ranks before it is killed.
    start_timeout_s : float
        Seconds in which all ranks must start MPI and their heartbeat.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        size: int,
        monitor: ExitMonitor,
        grace_period_s: float,
        start_timeout_s: float,
    ) -> None:
        self._process, self._size, self._monitor = process, size, monitor
        self._grace_period_s, self._start_timeout_s = grace_period_s, start_timeout_s
        self._signals: list[int] = []
        self._n_forwarded: dict[int, int] = {}  # signals, by rank
        self._first_end: float | None = None
        self._finish_time: float | None = None
        self._kill_reason: str | None = None

    @contextmanager
    def forwarding_signals(self) -> Iterator[None]:
        """Forward signals to the ranks meanwhile; a third Ctrl-C kills the job.

        A batch system repeats its signals: however many arrive, they only ask the ranks to stop.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def record(number: int, frame: FrameType | None) -> None:
            self._signals.append(number)

        previous = {
            number: signal.signal(number, record)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
        }
        pending = pending_signal(previous.values())
        if pending:
            self._signals.append(pending)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def wait(self) -> int:
        """Return mpiexec's exit code once it has ended, or 1 if the job had to be killed.

        A job is killed if it outlives one of its ranks, if a rank does not start in time, and after
        a third Ctrl-C.

        Raises
        ------
        Stopped, Interrupted
            After a signal that no rank could receive yet: the job is killed before it begins.
        """
        mpiexec = ProcessExit(self._process.pid)
        poll = select.poll()
        poll.register(self._monitor, select.POLLIN)
        if mpiexec.descriptor is not None:
            poll.register(mpiexec.descriptor, select.POLLIN)
        next_check = 0.0
        # It stands while this process itself is suspended, as with the whole job.
        clock, last = 0.0, time.monotonic()
        try:
            while True:
                poll.poll(_POLL_S * 1e3)
                self._monitor.handle_events(0.0)
                if (code := self._process.poll()) is not None:
                    self._end_orphans()
                    return code
                if self._signals:
                    self._forward(clock)
                    if self._signals.count(signal.SIGINT) > 2:
                        self.kill()
                        return self._process.returncode
                clock += min(time.monotonic() - last, 3 * _POLL_S)
                last = time.monotonic()
                if len(self._monitor.ranks) < self._size:
                    self._find_ranks()
                if time.monotonic() >= next_check:
                    next_check = time.monotonic() + _CHECK_S
                    self._kill_reason = self._check_timeouts(clock)
                    if self._kill_reason is not None:
                        self.kill()
                        return 1
        finally:
            mpiexec.close()

    def _find_ranks(self) -> None:
        """Watch the ranks below mpiexec, also those that have not connected."""
        for pid in _descendants(self._process.pid):
            rank = _rank_of(pid)
            if rank is not None:
                self._monitor.watch(rank, pid)  # not its descendants, which follow it

    def _check_timeouts(self, clock: float) -> str | None:
        """Return the timeout that has passed, if any, `clock` s after the job's start."""
        now, ranks = time.monotonic(), self._monitor.ranks.values()
        if len(self._exit_codes()) == self._size:
            self._finish_time = self._finish_time or now
            if now - self._finish_time > _FINALIZE_TIMEOUT_S:
                return f"the ranks did not end within {_FINALIZE_TIMEOUT_S:g} s of their last step"
            return None
        if self._first_end is None and any(rank.process.has_ended() for rank in ranks):
            self._first_end = now
        if self._first_end is not None and now - self._first_end > self._grace_period_s:
            return f"the others did not within {self._grace_period_s:g} s"
        missing = [rank for rank in ranks if not rank.has_started]
        # ranks on other compute nodes are unknown here
        n_started = len(ranks) - len(missing)
        if ranks and clock > self._start_timeout_s and n_started < self._size:
            return self._describe_missing(missing)
        return None

    def _describe_missing(self, missing: list[MonitoredRank]) -> str:
        stopped = [rank for rank in missing if process_exit.is_stopped(rank.process.pid)]
        unconnected = [rank for rank in missing if rank.channel is None]
        named = sorted(stopped or unconnected or missing, key=lambda rank: rank.rank)
        texts = [f"rank {rank.rank} (process {rank.process.pid})" for rank in named]
        text = " and ".join(texts[:_MAX_NAMED_RANKS])
        if len(named) > _MAX_NAMED_RANKS:
            text += f" and {len(named) - _MAX_NAMED_RANKS} more"
        reason = " (stopped by a signal)" if stopped else ""
        return f"{text} did not start within {self._start_timeout_s:g} s{reason}"

    def _exit_codes(self) -> list[int]:
        """Return the exit codes that ranks have reported, which are all equal."""
        codes = (rank.exit_code for rank in self._monitor.ranks.values())
        return [code for code in codes if code is not None]

    def _end_orphans(self) -> None:
        """End the ranks that remain after mpiexec: it was killed, or its helper was.

        They may still save the run, as after any SIGTERM.
        """
        self._handle_remaining_events()
        orphans = [pid for pid in self._pids() if is_alive(pid)]
        for pid in orphans:
            _send_signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + _ORPHAN_TIMEOUT_S
        while any(map(is_alive, orphans)) and time.monotonic() < deadline:
            self._monitor.handle_events(_POLL_S)
        for pid in filter(is_alive, orphans):
            _send_signal(pid, signal.SIGKILL)
        self._handle_remaining_events()

    def _handle_remaining_events(self) -> None:
        while self._monitor.handle_events(0.0):
            pass

    def _pids(self) -> set[int]:
        return {rank.process.pid for rank in self._monitor.ranks.values()}

    def result(self, code: int, banner: str) -> JobResult:
        """Return the result of the job.

        Parameters
        ----------
        code : int
            The value that `wait` returned.
        banner : str
            mpiexec's message about a rank that died.
        """
        codes = self._exit_codes()
        if len(codes) == self._size:
            if code == codes[0]:
                return JobResult(code)
            cause = self._kill_reason or f"mpiexec ended with exit code {code}"
            return JobResult(codes[0], f"{cause}, after all ranks had finished with {codes[0]}")
        out_of_memory = self._monitor.out_of_memory
        first = next((end for end in self._monitor.exits if end.status != 0), None)
        if self._kill_reason is not None:
            cause = self._kill_reason
            if self._first_end is not None:
                subject = "a rank ended"
                if first is not None:
                    subject = describe_rank_exit(first, banner, out_of_memory=out_of_memory)
                cause = f"{subject}, and {cause}"
            return JobResult(1, f"{cause}: all its processes were ended")
        if code not in REPORTED_EXIT_CODES and self._signals:
            return JobResult(128 + self._signals[0])
        if self._monitor.has_reported:
            # mpiexec may have killed other ranks before the end of that rank was seen
            return JobResult(code if code in REPORTED_EXIT_CODES else 1)
        return job_result(code, first, banner, out_of_memory=out_of_memory)

    def kill(self, timeout_s: float = _KILL_TIMEOUT_S) -> None:
        """End all processes of the job; mpiexec may take `timeout_s` to end by itself."""
        # mpiexec first, which can end ranks on other machines; then the processes that remain here
        descendants = _descendants(self._process.pid)
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in {*descendants, *self._pids()}:
            if is_alive(pid):
                _send_signal(pid, signal.SIGKILL)
        self._handle_remaining_events()

    def _forward(self, clock: float) -> None:
        """Send the ranks the signals that they have not received yet, s after the job's start.

        A rank that has not connected may not handle signals yet, and would die of a signal.
        """
        ranks = self._monitor.ranks.values()
        if not ranks and clock > self._start_timeout_s:
            # the ranks are not children of mpiexec, which forwards signals
            while self._signals:
                self._process.send_signal(self._signals.pop(0))
            return
        if self._monitor.n_connected == 0:
            number = self._signals[0]
            self.kill(0.0)
            if number == signal.SIGINT:
                raise Interrupted(at_ms=0.0, store=None)
            raise Stopped(signal.Signals(number).name, at_ms=0.0, store=None)
        n_signals = len(self._signals)
        for rank in (rank for rank in ranks if rank.channel is not None):
            # Straight to the ranks: mpiexec would print a message of its own after a SIGINT.
            start = self._n_forwarded.get(rank.rank, 0)
            for number in dict.fromkeys(self._signals[start:n_signals]):
                _send_signal(rank.process.pid, number)
            self._n_forwarded[rank.rank] = n_signals


def _descendants(pid: int) -> list[int]:
    """Return the processes below a process, each before its own descendants."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    except OSError:  # the process has gone, or the kernel does not list children
        return []
    return [descendant for child in children for descendant in (child, *_descendants(child))]


def _rank_of(pid: int) -> int | None:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    environ = dict(entry.partition("=")[::2] for entry in entries)
    # srun's variables may describe the job to which the supervisor itself belongs
    launcher = detect_launcher({k: v for k, v in environ.items() if not k.startswith("SLURM_")})
    return None if launcher is None else launcher.rank


def _send_signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
