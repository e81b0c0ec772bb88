"""A thread in every rank that notices when another dies or stalls, and then ends the job.

MPI does not: the ranks that are left wait for the lost one for good. Threads exchange a small
message a second over sockets of their own, whatever the main threads are busy with: compiled code
runs without Python's lock. A closed socket is a death, silence a stall. Who notices either tells
the others, and each ends itself; one of them says why.
"""

import atexit
import contextlib
import math
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from distsnn.comm.agreement import error_summary
from distsnn.comm.local import SingleProcess
from distsnn.comm.protocol import Communicator
from distsnn.comm.supervision.exit_monitor import utc_timestamp, write_exit_report
from distsnn.comm.supervision.heartbeat_peers import (
    Listeners,
    Peer,
    RankAddress,
    children_of,
    machine,
    parent_of,
)
from distsnn.comm.supervision.job_exit import PIPE_DELAY, print_message
from distsnn.errors import DescriptionError

DEFAULT_TIMEOUT_S = 60.0
MIN_TIMEOUT_S = 1.0
_PERIOD = 1.0  # s between two messages, at most
_BEATS = 8  # within a limit on silence, at least: some may come late
# After a death the launcher ends the job, or a rank that fails says why; only then do we, s.
_DEATH_PATIENCE = 3.0
_FOLLOWER_PATIENCE = 1.0  # s that ranks wait for the one that speaks
_STAGGER, _MOST_STAGGER = 0.4, 1.6  # s, between ranks that may all want to speak
_WRITING = 2.0  # s, at most, for a notice or the message
# Starting takes longer than a beat: hundreds of ranks load Python from one file server.
_START_LIMITS, _SHORTEST_START = 5.0, 30.0  # of the limit on silence; s

_running: dict[Communicator, "Heartbeat"] = {}


def check_timeout(limit_s: float, *, where: str = "heartbeat") -> float:
    """Return a limit on a rank's silence, s, if it is one.

    Raises
    ------
    DescriptionError
        If it is less than 1 s or not a number. Infinity is fine: stalls are not noticed then.
    """
    if math.isnan(limit_s) or limit_s < MIN_TIMEOUT_S:
        raise DescriptionError(
            "out of range",
            where=where,
            value=limit_s,
            allowed=f"at least {MIN_TIMEOUT_S:g} s, or inf",
        )
    return float(limit_s)


def start_timeout(limit_s: float) -> float:
    """Return how long ranks may take to start, s, where a rank may be silent for so long, s."""
    return max(_SHORTEST_START, _START_LIMITS * limit_s)


class Heartbeat:
    """Watches over the ranks of a job from `start` to `stop`. A context manager does both.

    Nothing is done for a single rank. A job has one heartbeat: a second one of the same ranks joins
    it, and its limit, notices and step are those of the job until it stops.

    Parameters
    ----------
    communicator : Communicator
        The ranks; starting is collective.
    limit_s : float
        The job is ended if a rank is not heard of for so long, s.
    notices : Path, optional
        The current attempt's ``notices`` in the run's store, where what befell a rank is noted.

    Attributes
    ----------
    step : int
        The step that this rank has reached; its owner may update it, and notices tell it.
    unreached : tuple of int
        Ranks that could not be connected, after `start`: they are not watched.

    Raises
    ------
    DescriptionError
        If the limit is out of range.
    """

    def __init__(
        self,
        communicator: Communicator,
        limit_s: float = DEFAULT_TIMEOUT_S,
        notices: Path | None = None,
    ) -> None:
        self.limit_s = check_timeout(limit_s)
        self.step = 0
        self.unmonitored_ranks: tuple[int, ...] = ()
        self._communicator = communicator
        self._notices = None if notices is None else notices.absolute()
        self._period = min(_PERIOD, self.limit_s / _BEATS)
        # What the thread watches by: this heartbeat, or one that has joined it.
        self._current = self
        self._joined: Heartbeat | None = None
        self._links: list[Peer] = []
        self._witness: Peer | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._failed: str | None = None
        # The thread's own clock: it stands while the whole job is suspended.
        self._clock = 0.0
        self._own: RankAddress | None = None

    @property
    def notices(self) -> Path | None:
        """Where notices are written; may be set once there is a store."""
        return self._notices

    @notices.setter
    def notices(self, folder: Path | None) -> None:
        self._notices = None if folder is None else folder.absolute()
        self._wake()

    def start(self) -> None:
        """Connect the ranks and begin to watch. Collective; takes at most 20 s on one machine,
        otherwise 6 s."""
        rank, size = self._communicator.rank, self._communicator.size
        # nor for ranks that are only imitated
        if size == 1 or isinstance(self._communicator, SingleProcess) or self._thread is not None:
            return
        running = _running.get(self._communicator)
        if running is not None:
            self._join(running)
            return
        listeners = Listeners(
            has_children=bool(children_of(rank, size)),
            is_first_on_node=self._communicator.node_rank == 0,
            is_one_machine=len(set(self._communicator.allgather(machine()))) == 1,
        )
        try:
            places = self._communicator.allgather(listeners.place(rank))
            self._own = places[rank]
            links = listeners.connect(places, rank)
            # A connection counts where both sides have it.
            reached = self._communicator.allgather([one.place.rank for one in links if one.place])
            for link in links:
                assert link.place is not None
                if rank in reached[link.place.rank]:
                    self._links.append(link)
                else:
                    link.connection.close()
            self._witness = listeners.witness(places, rank)
        finally:
            listeners.close()
        self._tell_unreached(places, reached)
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._thread = threading.Thread(target=self._watch, name="distsnn-heartbeat", daemon=True)
        self._thread.start()
        _running[self._communicator] = self
        # an owner that forgets to stop leaves in good order too
        atexit.register(self.stop)

    def stop(self, failed: BaseException | None = None) -> None:
        """End watching: this rank leaves in good order, or says itself why it fails.

        Not collective; stopping again does nothing.
        """
        if self._joined is not None:
            # the job's heartbeat continues, and reports the failure if it is the job's
            self._joined._current, self._joined = self._joined, None
        if self._thread is None or self._stopping.is_set():
            return
        self._failed = None if failed is None else error_summary(failed)
        self._stopping.set()
        self._wake()
        self._thread.join(timeout=5.0)
        _running.pop(self._communicator, None)
        self._waker.close()
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop(error)

    def _join(self, running: "Heartbeat") -> None:
        # All ranks send as often as the new limit asks for before any of them watches by it; and
        # go on to, for the others may watch by it for longer.
        running._period = min(running._period, self._period)
        running._wake()
        self._communicator.barrier()
        self._joined, self.unmonitored_ranks = running, running.unmonitored_ranks
        running._current = self
        running._wake()

    def _tell_unreached(self, places: list[RankAddress], reached: list[list[int]]) -> None:
        parents = ((one.rank, parent_of(one.rank)) for one in places)
        self.unmonitored_ranks = tuple(
            rank
            for rank, parent in parents
            if parent is not None
            if not (rank in reached[parent] and parent in reached[rank])
        )
        if self.unmonitored_ranks and self._communicator.rank == 0:
            ranks = ", ".join(f"{rank} on {places[rank].host}" for rank in self.unmonitored_ranks)
            print_message(
                f"heartbeat: no connection to rank {ranks}: a stall there will not be noticed"
            )

    def _wake(self) -> None:
        if self._joined is not None:
            self._joined._wake()
        elif self._thread is not None:
            # full: it will wake anyway; closed: it has ended
            with contextlib.suppress(OSError):
                self._waker.send(b".")

    # From here on: the thread.

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for link in self._all():
                selector.register(link.connection, selectors.EVENT_READ, link)
            told: Path | None = None
            last = next_beat = time.monotonic()
            while not self._stopping.is_set():
                notices = self._current.notices
                if notices != told and notices is not None:
                    told = notices
                    self._tell_witness({"notices": str(told)})
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + self._period
                    for link in self._all():
                        link.send({"step": self._current.step})
                events = selector.select(max(0.0, next_beat - time.monotonic()))
                # A thread that was held up itself, as when the whole job was suspended, must not
                # take that time for the others' silence. What is read now was sent until now.
                self._clock += min(time.monotonic() - last, 2 * self._period)
                last = time.monotonic()
                for key, _ in events:
                    if key.data is None:
                        self._woken.recv(4096)
                        next_beat = min(next_beat, last + self._period)  # it may be shorter now
                    elif not self._hear(key.data):
                        selector.unregister(key.fileobj)
                limit_s = self._current.limit_s
                silent = [one for one in self._links if self._silence(one) > limit_s]
                if silent:
                    # those that will be next: a host's ranks fall silent together
                    slack = limit_s - 1.5 * self._period
                    self._end_silent([o for o in self._links if self._silence(o) > slack])
            self._say_bye()
        for link in self._all():
            link.connection.close()
        self._woken.close()

    def _all(self) -> list[Peer]:
        return self._links if self._witness is None else [*self._links, self._witness]

    def _silence(self, link: Peer) -> float:
        return self._clock - link.heard

    def _tell_witness(self, message: dict[str, Any]) -> None:
        if self._witness is not None:
            self._witness.send(message)

    def _say_bye(self) -> None:
        failed = {} if self._failed is None else {"failing": True}
        for link in self._all():
            link.send({**failed, "bye": True})

    def _hear(self, link: Peer) -> bool:
        # False once there is nothing more to be heard.
        messages = link.receive()
        if link.place is None:
            if messages is None:
                self._witness = None
            return messages is not None
        if messages is None:
            self._drop(link)
            self._end_dead(link)
            return False
        link.heard = self._clock
        for message in messages:
            link.step = message.get("step", link.step)
            if "failing" in message:
                self._pass_on({"failing": True}, link)
                self._tell_witness({"failing": True})
            if "lost" in message:
                self._pass_on(message, link)
                self._end(None, _FOLLOWER_PATIENCE + float(message["patience"]))
            if "bye" in message:
                self._drop(link)
                return False
        return True

    def _drop(self, link: Peer) -> None:
        link.connection.close()
        self._links.remove(link)

    def _pass_on(self, message: dict[str, Any], source: Peer | None = None) -> None:
        for link in self._links:
            if link is not source:
                link.send(message)

    def _end_dead(self, link: Peer) -> None:
        assert link.place is not None and self._own is not None
        patience = _DEATH_PATIENCE + self._stagger([link])
        self._pass_on({"lost": [link.place.rank], "patience": patience})
        what = "ended without a word"
        message = f"{_named([link])} {what}{_at([link])}: the job is ended"
        self._end(message, patience, {"what": what}, [link])

    def _end_silent(self, links: list[Peer]) -> None:
        what = f"not heard of for {self._current.limit_s:g} s"
        patience = self._stagger(links)
        self._note({"what": f"was {what}"}, links)  # at once: the launcher kills whoever is left
        self._pass_on({"lost": [o.place.rank for o in links if o.place], "patience": patience})
        why = "stopped, or its machine or network down"
        verb = "was" if len(links) == 1 else "were"
        message = f"{_named(links)} {verb} {what}{_at(links)} ({why}): the job is ended"
        self._end(message, patience)

    def _stagger(self, links: Iterable[Peer]) -> float:
        # The children of a lost rank do not hear of each other: they speak one after the other,
        # and the first to end takes the launcher, and so the rest, with it.
        assert self._own is not None
        rank, size = self._communicator.rank, self._communicator.size
        orphaned = any(one.place is not None and one.place.rank < rank for one in links)
        return min(_STAGGER, _MOST_STAGGER / size) * rank if orphaned else 0.0

    def _note(self, about: dict[str, Any], links: Iterable[Peer]) -> None:
        folder = self._current.notices
        if folder is None:
            return
        notices = []
        for place, step in ((one.place, one.step) for one in links):
            assert place is not None
            notice = {
                "rank": place.rank,
                "host": place.host,
                "pid": place.pid,
                "when": utc_timestamp(),
            }
            notices.append(notice | about | ({} if step is None else {"step": step}))

        if self._witness is not None:
            # It outlives this process, however long the disk takes.
            for notice in notices:
                self._witness.send({"notices": str(folder), "notice": notice})
            return

        def write_all() -> None:
            # Nothing can be done about a full disk now; the message on the screen stays.
            with contextlib.suppress(OSError):
                for notice in notices:
                    write_exit_report(folder, notice)

        _within(_WRITING, write_all)

    def _end(
        self,
        message: str | None,
        patience: float,
        about: dict[str, Any] | None = None,
        links: Iterable[Peer] = (),
    ) -> None:
        # Unless the main thread ends in order meanwhile, end this process: nothing else can be
        # done for a main thread that waits inside MPI.
        if self._stopping.wait(patience):
            return
        if about is not None:
            self._note(about, links)
        if message is not None:
            _within(_WRITING, lambda: print_message(message))
            time.sleep(PIPE_DELAY)
        self._tell_witness({"failing": True, "bye": True})
        os._exit(1)


def _within(limit_s: float, action: Callable[[], None]) -> None:
    # Files and pipes may be beyond the network that is down, and a write to them never return.
    thread = threading.Thread(target=action, name="distsnn-heartbeat-writing", daemon=True)
    thread.start()
    thread.join(timeout=limit_s)


def _named(links: list[Peer]) -> str:
    places = sorted((one.place for one in links if one.place), key=lambda place: place.rank)
    return " and ".join(f"rank {p.rank} (process {p.pid} on {p.host})" for p in places)


def _at(links: list[Peer]) -> str:
    steps = [one.step for one in links if one.step]
    return f", at step {min(steps)}" if steps else ""
