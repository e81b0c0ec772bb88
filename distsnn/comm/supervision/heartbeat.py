"""A thread in every rank that detects when another rank dies or stalls, and then ends the job.

MPI does not: the other ranks would wait for the lost rank for ever. The threads exchange a small
message a second over sockets of their own, whatever the main threads do: compiled code runs without
Python's lock. A closed socket is a death, silence a stall. The rank that detects either informs the
others; every rank ends itself, and a single rank prints the reason.
"""

import atexit
import contextlib
import math
import os
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from distsnn.comm.local import SingleProcess
from distsnn.comm.protocol import Communicator
from distsnn.comm.supervision import liveness_socket
from distsnn.comm.supervision.channel import Channel
from distsnn.comm.supervision.exit_monitor import run_within, utc_timestamp, write_exit_report
from distsnn.comm.supervision.heartbeat_peers import (
    Peer,
    PeerListener,
    RankAddress,
    children_of,
    machine_id,
)
from distsnn.comm.supervision.job_exit import PIPE_DELAY_S, print_message, stagger_s
from distsnn.comm.supervision.process_exit import describe_exit
from distsnn.errors import DescriptionError

DEFAULT_TIMEOUT_S = 60.0
MIN_TIMEOUT_S = 1.0
_MAX_PERIOD_S = 1.0  # between two messages
_MIN_MESSAGES = 8  # within the timeout: some may be late
# After a death the launcher ends the job, or a failing rank reports the reason. A rank waits this
# time before it reports the death itself.
_DEATH_GRACE_S = 3.0
_FOLLOWER_GRACE_S = 1.0  # for the rank that reports
_WRITE_TIMEOUT_S = 2.0  # for an exit report or the message
# A start takes longer than a heartbeat: hundreds of ranks load Python from one file server.
_START_TIMEOUTS, _MIN_START_TIMEOUT_S = 5.0, 30.0

# The heartbeat of each communicator: simulations of a process share its sockets and its thread.
_running: dict[Communicator, "Heartbeat"] = {}


def check_timeout(timeout_s: float, *, where: str = "heartbeat_timeout") -> float:
    """Return a timeout of the heartbeat, s.

    Raises
    ------
    DescriptionError
        If it is less than 1 s or not a number. With infinity, stalls are not detected.
    """
    if math.isnan(timeout_s) or timeout_s < MIN_TIMEOUT_S:
        raise DescriptionError(
            "out of range",
            where=where,
            value=timeout_s,
            allowed=f"at least {MIN_TIMEOUT_S:g} s, or inf",
        )
    return float(timeout_s)


def start_timeout(timeout_s: float) -> float:
    """Return the time in which ranks must start, s, for a timeout of the heartbeat, s."""
    return max(_MIN_START_TIMEOUT_S, _START_TIMEOUTS * timeout_s)


class Heartbeat:
    """Watches the ranks of a job from `start` to `stop`. A context manager does both.

    A single rank needs none. A rank has one thread: a second heartbeat of the same ranks joins the
    first, and its timeout, folder and step are this rank's until it stops.

    Parameters
    ----------
    communicator : Communicator
        The ranks; starting is collective.
    timeout_s : float
        The job is aborted if this rank sends no message for this time, s.
    exit_reports : Path, optional
        The folder for exit reports of the current attempt in the run store.

    Attributes
    ----------
    step : int
        The step that this rank has reached; its owner may update it. Exit reports contain it.
    unmonitored_ranks : tuple of int
        Ranks that could not be connected, after `start`.

    Raises
    ------
    DescriptionError
        If the timeout is out of range.
    """

    def __init__(
        self,
        communicator: Communicator,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        exit_reports: Path | None = None,
    ) -> None:
        self.timeout_s = check_timeout(timeout_s)
        self.step = 0
        self.unmonitored_ranks: tuple[int, ...] = ()
        self._communicator = communicator
        self._period_s = min(_MAX_PERIOD_S, self.timeout_s / _MIN_MESSAGES)
        # The heartbeat whose settings the thread sends: this heartbeat, or one that joined it.
        self._current = self
        self._joined: Heartbeat | None = None
        self._peers: list[Peer] = []
        self._monitor: Channel | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._failed = False
        # The thread's own clock: it stands while the whole job is suspended.
        self._clock = 0.0
        self.exit_reports = exit_reports

    @property
    def exit_reports(self) -> Path | None:
        """The folder for exit reports; may be set once there is a store."""
        return self._exit_reports

    @exit_reports.setter
    def exit_reports(self, folder: Path | None) -> None:
        self._exit_reports = None if folder is None else folder.absolute()
        self._wake()

    def start(self) -> None:
        """Connect the ranks and start the thread. Collective; takes at most 20 s on one machine,
        otherwise 6 s."""
        rank, size = self._communicator.rank, self._communicator.size
        # a dry run has no other ranks either
        if size == 1 or isinstance(self._communicator, SingleProcess) or self._thread is not None:
            return
        running = _running.get(self._communicator)
        if running is not None:
            self._joined, self.unmonitored_ranks = running, running.unmonitored_ranks
            running._current = self
            running._wake()
            return
        listener = PeerListener(
            has_children=bool(children_of(rank, size)),
            is_one_machine=len(set(self._communicator.allgather(machine_id()))) == 1,
        )
        try:
            addresses = self._communicator.allgather(listener.address(rank))
            peers = listener.connect(addresses, rank)
            neighbours = [other for other in addresses if other.machine == addresses[rank].machine]
            token, monitor = neighbours[0].token, liveness_socket.supervisor()
            if monitor is None and neighbours[0].rank == rank:
                liveness_socket.start_exit_monitor(token, len(neighbours))
            # A connection counts if both sides have it.
            connected = self._communicator.allgather([peer.address.rank for peer in peers])
        finally:
            listener.close()
        for peer in peers:
            if rank in connected[peer.address.rank]:
                peer.timeout_s = self.timeout_s  # until its first message
                self._peers.append(peer)
            else:
                peer.channel.close()
        self._monitor = monitor or liveness_socket.connect(token, rank)
        self._report_unmonitored(addresses, connected)
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._thread = threading.Thread(target=self._watch, name="distsnn-heartbeat", daemon=True)
        self._thread.start()
        _running[self._communicator] = self
        # an owner that forgets to stop leaves in good order too
        atexit.register(self.stop)

    def stop(self, error: BaseException | None = None) -> None:
        """Stop the thread: this rank leaves in good order, or reports itself why it fails.

        Not collective; a second call does nothing.
        """
        if self._joined is not None:
            # the job's heartbeat continues, and reports the failure if it is the job's
            self._joined._current, self._joined = self._joined, None
        if self._thread is None or self._stopping.is_set():
            return
        self._failed = error is not None
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

    def _report_unmonitored(self, addresses: list[RankAddress], connected: list[list[int]]) -> None:
        size = len(addresses)
        self.unmonitored_ranks = tuple(
            child
            for parent in range(size)
            for child in children_of(parent, size)
            if child not in connected[parent] or parent not in connected[child]
        )
        if self.unmonitored_ranks and self._communicator.rank == 0:
            ranks = ", ".join(
                f"{rank} on {addresses[rank].host}" for rank in self.unmonitored_ranks
            )
            print_message(
                f"heartbeat: no connection to rank {ranks}: a stall there will not be detected"
            )

    def _wake(self) -> None:
        if self._joined is not None:
            self._joined._wake()
        elif self._thread is not None:
            # if full, the thread will wake anyway; if closed, it has ended
            with contextlib.suppress(OSError):
                self._waker.send(b".")

    # The methods below run in the thread.

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for peer in self._peers:
                selector.register(peer.channel, selectors.EVENT_READ, peer)
            if self._monitor is not None:
                selector.register(self._monitor, selectors.EVENT_READ, self._monitor)
            last = next_message = time.monotonic()
            while not self._stopping.is_set():
                period_s = self._current._period_s
                if time.monotonic() >= next_message:
                    next_message = time.monotonic() + period_s
                    self._send_settings()
                events = selector.select(max(0.0, next_message - time.monotonic()))
                # A thread that was suspended itself, with the whole job, must not count that time
                # as silence of the others. Messages that it reads now are as old as this time.
                self._clock += min(time.monotonic() - last, 2 * period_s)
                last = time.monotonic()
                for key, _ in events:
                    if key.data is None:
                        self._woken.recv(4096)
                        next_message = last
                    elif not self._receive(key.data):
                        selector.unregister(key.fileobj)
                if self._silent_peers():
                    # with those that are about to be: the ranks of a machine fall silent together
                    self._abort_silent(self._silent_peers(1.5 * period_s))
            self._send_all({"failing": True, "bye": True} if self._failed else {"bye": True})
        for peer in self._peers:
            peer.channel.close()
        if self._monitor is not None and self._monitor is not liveness_socket.supervisor():
            self._monitor.close()
        self._woken.close()

    def _silent_peers(self, remaining_s: float = 0.0) -> list[Peer]:
        """Return the peers whose timeout has passed, or has so much time remaining."""
        now = self._clock + remaining_s
        return [peer for peer in self._peers if now - peer.last_message_s > peer.timeout_s]

    def _send_settings(self) -> None:
        # Every rank states its own timeout and sends often enough for it, so ranks need not agree
        # when a timeout changes.
        self._send_all({"step": self._current.step, "timeout_s": self._current.timeout_s})
        if self._current.exit_reports is not None:
            self._inform_monitor({"exit_reports": str(self._current.exit_reports)})

    def _inform_monitor(self, message: dict[str, Any]) -> None:
        if self._monitor is not None:
            self._monitor.send(message)

    def _send_all(self, message: dict[str, Any], source: Peer | None = None) -> None:
        """Send a message to all peers but its source, and to the monitor."""
        for peer in self._peers:
            if peer is not source:
                peer.channel.send(message)
        self._inform_monitor(message)

    def _receive(self, source: Peer | Channel) -> bool:
        """Return whether the source remains connected, after its messages have been handled."""
        if isinstance(source, Channel):  # the monitor, which sends none
            if source.receive() is None:
                self._monitor = None
            return self._monitor is not None
        messages = source.channel.receive()
        if messages is None:
            self._drop(source)
            self._abort_dead(source)
            return False
        source.last_message_s = self._clock
        for message in messages:
            source.step = message.get("step", source.step)
            source.timeout_s = float(message.get("timeout_s", source.timeout_s))
            if "failing" in message:
                self._send_all({"failing": True}, source)
            if "lost" in message:
                self._send_all(message, source)
                self._abort(None, _FOLLOWER_GRACE_S + float(message["grace_s"]))
            if "bye" in message:
                self._drop(source)
                return False
        return True

    def _drop(self, peer: Peer) -> None:
        peer.channel.close()
        self._peers.remove(peer)

    def _abort_dead(self, peer: Peer) -> None:
        grace_s = _DEATH_GRACE_S + self._stagger_s([peer])
        self._send_all({"lost": [peer.address.rank], "grace_s": grace_s})
        cause = describe_exit(None)
        message = f"{_names([peer])} {cause}{_last_step([peer])}; aborting the job"
        if not self._stopping.wait(grace_s):
            self._write_reports(cause, [peer])
            self._abort(message, 0.0)

    def _abort_silent(self, peers: list[Peer]) -> None:
        grace_s = self._stagger_s(peers)
        cause = f"sent no heartbeat for {min(peer.timeout_s for peer in peers):g} s"
        self._write_reports(cause, peers)  # at once: the launcher kills the ranks that remain
        self._send_all({"lost": [peer.address.rank for peer in peers], "grace_s": grace_s})
        reason = "process stopped, or node or network down"
        message = f"{_names(peers)} {cause}{_last_step(peers)}: {reason}; aborting the job"
        self._abort(message, grace_s)

    def _stagger_s(self, lost: Sequence[Peer]) -> float:
        # The children of a lost rank cannot inform each other: they report in turn, and the first
        # to end makes the launcher end the others.
        is_orphan = any(peer.address.rank < self._communicator.rank for peer in lost)
        return stagger_s(self._communicator) if is_orphan else 0.0

    def _write_reports(self, cause: str, peers: Sequence[Peer]) -> None:
        folder = self._current.exit_reports
        if folder is None:
            return
        for peer in peers:
            report = {"rank": peer.address.rank, "host": peer.address.host, "step": peer.step}
            report |= {"pid": peer.address.pid, "time": utc_timestamp(), "cause": cause}
            if self._monitor is None:
                run_within(_WRITE_TIMEOUT_S, partial(write_exit_report, folder, report))
            # The monitor outlives this process, however long the disk takes.
            self._inform_monitor({"exit_reports": str(folder), "exit_report": report})

    def _abort(self, message: str | None, grace_s: float) -> None:
        # Unless the main thread ends in order meanwhile, end this process: a main thread that
        # waits inside MPI cannot be interrupted.
        if self._stopping.wait(grace_s):
            return
        if message is not None:
            run_within(_WRITE_TIMEOUT_S, lambda: print_message(message))
            time.sleep(PIPE_DELAY_S)
        reported = {} if message is None else {"reported": True}
        self._inform_monitor({"failing": True, "bye": True, **reported})
        os._exit(1)


def _names(peers: Sequence[Peer]) -> str:
    addresses = sorted((peer.address for peer in peers), key=lambda address: address.rank)
    return " and ".join(f"rank {a.rank} (process {a.pid} on {a.host})" for a in addresses)


def _last_step(peers: Sequence[Peer]) -> str:
    steps = [peer.step for peer in peers if peer.step]
    return f", last step {min(steps)}" if steps else ""
