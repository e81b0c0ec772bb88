"""mpiexec and its ranks, watched by the process that started it: which rank dies first, and how."""

import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from distsnn.comm.supervision.job_exit import REPORTED_EXIT_CODES
from distsnn.comm.supervision.launcher import detect_launcher
from distsnn.comm.supervision.liveness_socket import LivenessSockets
from distsnn.comm.supervision.process_exit import (
    ProcessExit,
    describe_exit,
    is_alive,
    is_stopped,
    oom_kill_count,
    signal_of,
)
from distsnn.errors import Interrupted, Stopped
from distsnn.held_signals import held

_POLL = 0.1  # s
_SCAN = 0.5  # s, between two looks at which ranks live
_MOST_NAMED = 4
_FINALIZING = 30.0  # s, for ranks to free their memory once they have finished
_ORPHANS_SAVE = 15.0  # s, for ranks that mpiexec has left behind
_KILL_AFTER = 2.0  # s, from asking mpiexec to end to killing all of its processes

# What a launcher ends the other ranks with.
_LAUNCHER_KILLS = (signal.SIGKILL, signal.SIGTERM)


@dataclass(frozen=True)
class JobResult:
    """How a job ended: its exit code, and what is to be told about it, if anything."""

    code: int
    message: str | None = None


@dataclass(frozen=True)
class RankExit:
    """The end of a rank: which, its process, and its wait status if known."""

    rank: int
    pid: int
    status: int | None


def job_result(
    code: int, first: RankExit | None, banner: str, *, memory: bool = False
) -> JobResult:
    """Return how a job ended that nobody interrupted.

    Parameters
    ----------
    code : int
        mpiexec's code, which may be that of any rank.
    first : Death or None
        The first rank that did not end well, if it was seen.
    banner : str
        What mpiexec said about it. MPICH's names a process, but not always the right one.
    memory : bool
        Whether this machine has killed a process for lack of memory meanwhile.
    """
    number = None if first is None else signal_of(first.status)
    if code in REPORTED_EXIT_CODES and (number is None or number in _LAUNCHER_KILLS):
        return JobResult(code)
    if first is None:
        # nothing was seen: as before the first look, or where the ranks are on other machines
        code = code if code >= 0 else 128 - code
        return JobResult(code, f"mpiexec ended with exit code {code}")
    if first.status is not None and number is None and first.status >> 8 in REPORTED_EXIT_CODES:
        return JobResult(first.status >> 8)
    return JobResult(1, describe_rank_exit(first, banner, memory=memory))


def describe_rank_exit(death: RankExit, banner: str, *, memory: bool = False) -> str:
    """Return a death in words: which rank, which process, and how."""
    status = death.status
    if status is None:
        # mpiexec tells some rank's: the first one's unless it is what it ended the others with
        found = re.search(r"EXIT CODE: (\d+)", banner)
        if found and (number := int(found[1]) & 0x7F) not in (0, *_LAUNCHER_KILLS):
            status = number
    return f"rank {death.rank} (process {death.pid}) {describe_exit(status, memory=memory)}"


class SupervisedJob:
    """A running job.

    Parameters
    ----------
    process : Popen
        mpiexec.
    size : int
        Number of ranks.
    patience : float
        Seconds that the job may outlive one of its ranks before it is killed.
    lifelines : Lifelines
        To which the ranks connect.
    start_limit : float
        Seconds until all ranks must have started MPI and their heartbeat.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        size: int,
        patience: float,
        lifelines: LivenessSockets,
        start_limit: float,
    ) -> None:
        self._process, self._size, self._patience = process, size, patience
        self._start_limit = start_limit
        self._signals: list[int] = []
        self._ranks: dict[int, int] = {}  # by process
        self._watched: dict[int, ProcessExit] = {}  # by process
        self._exits: dict[int, ProcessExit] = {}  # by descriptor, those that have not ended
        self._buried: set[int] = set()
        self._lifelines = lifelines
        self._lines: dict[int, int] = {}  # processes, by descriptor
        self._forwarded: dict[int, int] = {}  # number of signals, by process
        self._reports: dict[int, bytes] = {}  # the start and the code of a rank, by process
        self._poll = select.epoll()
        self._deaths: list[RankExit] = []
        self._first_missing: float | None = None
        self._finished_at: float | None = None
        self._killed: str | None = None  # the reason
        self._memory_kills = oom_kill_count()

    @contextmanager
    def forwarding_signals(self) -> Iterator[None]:
        """Pass signals on to the ranks meanwhile; a third Ctrl-C kills the job.

        A batch system repeats its signals: however many arrive, they only ask the ranks to stop.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            self._signals.append(number)

        saved = {
            number: signal.signal(number, note)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
        }
        noted = held(saved.values())
        if noted:
            self._signals.append(noted)
        try:
            yield
        finally:
            for number, handler in saved.items():
                signal.signal(number, handler)

    def wait(self) -> int:
        """Return mpiexec's code once it has ended, or the code of a job that had to be killed.

        A job is killed if it outlives one of its ranks, if a rank does not start in time, and after
        a third Ctrl-C.

        Raises
        ------
        Stopped, Interrupted
            After a signal that no rank could receive yet: nothing has begun, and the job is ended.
        """
        watched = ProcessExit(self._process.pid)
        if watched.descriptor is not None:
            self._poll.register(watched.descriptor, select.EPOLLIN)
        self._poll.register(self._lifelines, select.EPOLLIN)
        next_scan = 0.0
        # It stands while this process itself is suspended, as with the whole job.
        clock, last = 0.0, time.monotonic()
        try:
            while True:
                self._take_events(_POLL)
                if (code := self._process.poll()) is not None:
                    self._end_orphans()
                    return code
                if self._signals:
                    self._forward(clock)
                    if self._signals.count(signal.SIGINT) > 2:
                        self.kill()
                        return self._process.returncode
                clock += min(time.monotonic() - last, 3 * _POLL)
                last = time.monotonic()
                if len(self._ranks) < self._size or time.monotonic() >= next_scan:
                    next_scan = time.monotonic() + _SCAN
                    self._scan()
                    self._killed = self._late(clock)
                    if self._killed is not None:
                        self.kill()
                        self._take_events(0.0)
                        return 1
        finally:
            self._poll.close()
            for one in (watched, *self._watched.values()):
                one.close()

    def _take_events(self, timeout: float) -> None:
        # In the order in which they happened: the first death brings about the others.
        for descriptor, _ in self._poll.poll(timeout):
            if descriptor == self._lifelines.fileno():
                self._connect()
            elif descriptor in self._lines and (data := self._lifelines.receive(descriptor)):
                self._reports[self._lines[descriptor]] += data
            elif descriptor in self._lines or descriptor in self._exits:
                self._bury(descriptor)

    def _late(self, clock: float) -> str | None:
        """Return what the ranks did not do in time, if anything, s after the job's start."""
        now = time.monotonic()
        if len(self._codes()) == self._size:
            self._finished_at = self._finished_at or now
            if now - self._finished_at > _FINALIZING:
                return f"the ranks did not end within {_FINALIZING:g} s of their last step"
            return None
        if self._first_missing is None and any(not is_alive(pid) for pid in self._ranks):
            self._first_missing = now
        if self._first_missing is not None and now - self._first_missing > self._patience:
            return f"the others did not within {self._patience:g} s"
        # ranks that are not children of mpiexec, as on other nodes, cannot be seen from here
        n_started = sum(map(bool, self._reports.values()))
        if self._ranks and clock > self._start_limit and n_started < self._size:
            return self._not_started()
        return None

    def _not_started(self) -> str:
        missing = {p: r for p, r in self._ranks.items() if not self._reports.get(p)}
        stopped = {p: r for p, r in missing.items() if is_stopped(p)}
        silent = {p: r for p, r in missing.items() if p not in self._reports}
        named = sorted((stopped or silent or missing).items(), key=lambda one: one[1])
        ranks = " and ".join(f"rank {rank} (process {pid})" for pid, rank in named[:_MOST_NAMED])
        more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        why = " (stopped by a signal)" if stopped else ""
        return f"{ranks}{more} did not start within {self._start_limit:g} s{why}"

    def _codes(self) -> list[int]:
        """Return the exit codes that ranks have reported, of which all are the same."""
        return [one[1] for one in self._reports.values() if len(one) > 1]

    def _end_orphans(self) -> None:
        """End the ranks that mpiexec has left behind: it was killed, or its helper was.

        They may still save the run, as upon any SIGTERM.
        """
        self._take_events(0.0)
        left = [pid for pid in self._ranks if is_alive(pid)]
        for pid in left:
            _signal(pid, signal.SIGTERM)
        limit = time.monotonic() + _ORPHANS_SAVE
        while any(map(is_alive, left)) and time.monotonic() < limit:
            self._take_events(_POLL)
        for pid in filter(is_alive, left):
            _signal(pid, signal.SIGKILL)

    def verdict(self, code: int, banner: str) -> JobResult:
        """Return how the job ended.

        Parameters
        ----------
        code : int
            What `wait` returned.
        banner : str
            What mpiexec said about a rank that died.
        """
        codes = self._codes()
        if len(codes) == self._size:
            if code == codes[0]:
                return JobResult(code)
            how = self._killed or f"mpiexec ended with exit code {code}"
            return JobResult(codes[0], f"{how}, after all ranks had finished with {codes[0]}")
        memory = oom_kill_count() > self._memory_kills
        first = next((one for one in self._deaths if one.status != 0), None)
        if self._killed is not None:
            what = self._killed
            if self._first_missing is not None:
                death = (
                    "a rank ended"
                    if first is None
                    else describe_rank_exit(first, banner, memory=memory)
                )
                what = f"{death}, and {what}"
            return JobResult(1, f"{what}: all its processes were ended")
        if code not in REPORTED_EXIT_CODES and self._signals:
            return JobResult(128 + self._signals[0])
        return job_result(code, first, banner, memory=memory)

    def kill(self, grace: float = _KILL_AFTER) -> None:
        """End all processes of the job, mpiexec after so many seconds at most."""
        # mpiexec first, which can end ranks on other machines; then whatever is left here.
        family = _descendants(self._process.pid)
        self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in family | set(self._ranks):
            if is_alive(pid):
                _signal(pid, signal.SIGKILL)

    def _forward(self, clock: float) -> None:
        """Send the ranks the signals that they have not received yet, s after the job's start.

        A rank that has not connected may not handle signals yet, and would die of a signal.
        """
        if not self._ranks and clock > self._start_limit:
            # they run, but are not children of mpiexec, which passes signals on
            while self._signals:
                self._process.send_signal(self._signals.pop(0))
            return
        if not self._forwarded:
            number = self._signals[0]
            self.kill(0.0)
            if number == signal.SIGINT:
                raise Interrupted(at_ms=0.0, store=None)
            raise Stopped(signal.Signals(number).name, at_ms=0.0, store=None)
        n_signals = len(self._signals)
        for pid in self._lines.values():
            # Straight to the ranks: mpiexec would add words of its own to a SIGINT.
            for number in dict.fromkeys(self._signals[self._forwarded[pid] : n_signals]):
                _signal(pid, number)
            self._forwarded[pid] = n_signals

    def _scan(self) -> None:
        for pid, rank in _ranks_below(self._process.pid).items():
            if pid not in self._ranks:
                self._ranks[pid] = rank
                watched = self._watched[pid] = ProcessExit(pid)
                if watched.descriptor is not None:
                    self._exits[watched.descriptor] = watched
                    self._poll.register(watched.descriptor, select.EPOLLIN)

    def _connect(self) -> None:
        accepted = self._lifelines.accept()
        if accepted is None:
            return
        descriptor, pid = accepted
        if pid not in self._ranks:
            self._scan()
        if pid in self._ranks:
            self._lines[descriptor] = pid
            self._forwarded[pid], self._reports[pid] = 0, b""
            self._poll.register(descriptor, select.EPOLLIN)
        else:
            self._lifelines.drop(descriptor)

    def _bury(self, descriptor: int) -> None:
        # A broken lifeline comes first; without one the end of the process is all there is.
        self._poll.unregister(descriptor)
        if descriptor in self._lines:
            pid = self._lines.pop(descriptor)
            self._lifelines.drop(descriptor)
        else:
            pid = self._exits.pop(descriptor).pid
        if pid not in self._buried:
            self._buried.add(pid)
            self._deaths.append(RankExit(self._ranks[pid], pid, self._watched[pid].status()))


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for child in _children(pid):
        found |= {child, *_descendants(child)}
    return found


def _ranks_below(pid: int) -> dict[int, int]:
    # Ranks by process; what a rank starts is its own business.
    found: dict[int, int] = {}
    for child in _children(pid):
        rank = _rank_of(child)
        found |= _ranks_below(child) if rank is None else {child: rank}
    return found


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # gone meanwhile, or a kernel that does not tell
        return []


def _rank_of(pid: int) -> int | None:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    environ = dict(entry.partition("=")[::2] for entry in entries)
    started = detect_launcher({k: v for k, v in environ.items() if not k.startswith("SLURM_")})
    return None if started is None else started.rank


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
