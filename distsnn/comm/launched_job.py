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

from distsnn.comm.ending import SAID
from distsnn.comm.exits import ProcessExit, alive, memory_kills, signal_of, words
from distsnn.comm.launcher import launcher
from distsnn.comm.lifeline import Lifelines
from distsnn.errors import Stopped
from distsnn.held_signals import held

_POLL = 0.1  # s
_SCAN = 0.5  # s, between two looks at which ranks live
_KILL_AFTER = 2.0  # s, from asking mpiexec to end to killing all of its processes

# What a launcher ends the other ranks with.
_LAUNCHER_KILLS = (signal.SIGKILL, signal.SIGTERM)


@dataclass(frozen=True)
class Verdict:
    """How a job ended: its exit code, and what is to be told about it, if anything."""

    code: int
    message: str | None = None


@dataclass(frozen=True)
class Death:
    """The end of a rank: which, its process, and its wait status if known."""

    rank: int
    pid: int
    status: int | None


def judge(code: int, first: Death | None, banner: str, *, memory: bool = False) -> Verdict:
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
    if code in SAID and (number is None or number in _LAUNCHER_KILLS):
        return Verdict(code)
    if first is None:
        # nothing was seen: as before the first look, or where the ranks are on other machines
        return Verdict(code if code >= 0 else 128 - code)
    if first.status is not None and number is None and first.status >> 8 in SAID:
        return Verdict(first.status >> 8)
    return Verdict(1, told(first, banner, memory=memory))


def told(death: Death, banner: str, *, memory: bool = False) -> str:
    """Return a death in words: which rank, which process, and how."""
    status = death.status
    if status is None:
        # mpiexec tells some rank's: the first one's unless it is what it ended the others with
        found = re.search(r"EXIT CODE: (\d+)", banner)
        if found and (number := int(found[1]) & 0x7F) not in (0, *_LAUNCHER_KILLS):
            status = number
    return f"rank {death.rank} (process {death.pid}) {words(status, memory=memory)}"


class Job:
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
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        size: int,
        patience: float,
        lifelines: Lifelines,
    ) -> None:
        self._process, self._size, self._patience = process, size, patience
        self._signals: list[int] = []
        self._ranks: dict[int, int] = {}  # by process
        self._watched: dict[int, ProcessExit] = {}  # by process
        self._exits: dict[int, ProcessExit] = {}  # by descriptor, those that have not ended
        self._buried: set[int] = set()
        self._lifelines = lifelines
        self._lines: dict[int, int] = {}  # processes, by descriptor
        self._poll = select.epoll()
        self._deaths: list[Death] = []
        self._first_missing: float | None = None
        self._killed = False
        self._memory_kills = memory_kills()

    @contextmanager
    def forwarding_signals(self) -> Iterator[None]:
        """Pass signals on to the ranks meanwhile; a third one kills the job.

        Raises
        ------
        Stopped
            If a signal was noted before: the ranks have not begun.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def forward(number: int, frame: FrameType | None) -> None:
            self._signals.append(number)
            if len(self._signals) > 2:
                self.kill()
            elif self._process.poll() is None:
                self._send(number)

        noted = held()
        saved = {
            number: signal.signal(number, forward)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
        }
        try:
            if noted:
                raise Stopped(signal.Signals(noted).name, at_ms=0.0, store=None)
            yield
        finally:
            for number, handler in saved.items():
                signal.signal(number, handler)

    def wait(self) -> int:
        """Return mpiexec's code once it has ended, or been killed for outliving its ranks."""
        watched = ProcessExit(self._process.pid)
        if watched.descriptor is not None:
            self._poll.register(watched.descriptor, select.EPOLLIN)
        self._poll.register(self._lifelines, select.EPOLLIN)
        next_scan = 0.0
        try:
            while True:
                # In the order in which they happened: the first death brings about the others.
                for descriptor, _ in self._poll.poll(_POLL):
                    if descriptor == self._lifelines.fileno():
                        self._connect()
                    elif descriptor != watched.descriptor:
                        self._bury(descriptor)
                if (code := self._process.poll()) is not None:
                    return code
                if len(self._ranks) < self._size or time.monotonic() >= next_scan:
                    next_scan = time.monotonic() + _SCAN
                    self._scan()
                    if self._overdue():
                        self.kill()
                        self._killed = True
                        return 1
        finally:
            self._poll.close()
            for one in (watched, *self._watched.values()):
                one.close()

    def verdict(self, code: int, banner: str) -> Verdict:
        """Return how the job ended.

        Parameters
        ----------
        code : int
            What `wait` returned.
        banner : str
            What mpiexec said about a rank that died.
        """
        memory = memory_kills() > self._memory_kills
        first = next((one for one in self._deaths if one.status != 0), None)
        if self._killed:
            what = "a rank ended" if first is None else told(first, banner, memory=memory)
            what += f", and the others did not within {self._patience:g} s"
            return Verdict(1, f"{what}: all its processes were ended")
        if code not in SAID and self._signals:
            return Verdict(128 + self._signals[0])
        return judge(code, first, banner, memory=memory)

    def kill(self) -> None:
        """End all processes of the job."""
        # mpiexec first, which can end ranks on other machines; then whatever is left here.
        family = _descendants(self._process.pid)
        self._process.terminate()
        try:
            self._process.wait(_KILL_AFTER)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in family | set(self._ranks):
            if alive(pid):
                _signal(pid, signal.SIGKILL)

    def _send(self, number: int) -> None:
        # Straight to the ranks, which stop in good order: mpiexec would add words of its own to
        # a SIGINT, and end the ranks at once on the others.
        ranks = _ranks_below(self._process.pid)
        for pid in ranks:
            _signal(pid, number)
        if not ranks:
            self._process.send_signal(number)

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
            self._deaths.append(Death(self._ranks[pid], pid, self._watched[pid].status()))

    def _overdue(self) -> bool:
        if self._first_missing is None:
            if any(not alive(pid) for pid in self._ranks):
                self._first_missing = time.monotonic()
            return False
        return time.monotonic() - self._first_missing > self._patience


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
    started = launcher({k: v for k, v in environ.items() if not k.startswith("SLURM_")})
    return None if started is None else started.rank


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
