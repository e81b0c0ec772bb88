"""The exit monitor: the process on each compute node that learns how its ranks end.

A launcher kills the surviving ranks within a millisecond of a death, before they could write
anything. So every rank holds a liveness socket to another process. The kernel closes the socket as
soon as the rank begins to end, so the order of closing sockets shows which rank ended first. The
monitor then reads the exit status and writes an exit report into the run store.

The supervisor of a job is its exit monitor. Under another launcher the first rank of each compute
node starts a monitor, detached and in a session of its own, which ends with its last rank. It needs
the standard library alone: it starts in some 30 ms and takes 10 MB.

A rank introduces itself (`channel`) and then sends messages::

    {"started": true}                             MPI and the heartbeat have started
    {"step": 12345, "timeout_s": 60}              every second at least, as to other ranks
    {"exit_reports": "RUN/attempt000/..."}        folder for exit reports, once there is a store
    {"exit_report": {"rank": 0, "cause": ...}}    report about another rank, to be written
    {"failing": true}                             a rank has failed and reports the reason itself
    {"reported": true}                            a rank has printed why it ends the job
    {"exit_code": 0}                              the exit code on which all ranks agreed
    {"bye": true}                                 last, from a rank that ends in good order
"""

import contextlib
import datetime
import json
import os
import selectors
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from distsnn.comm.supervision import process_exit
from distsnn.comm.supervision.channel import Channel, Handshakes
from distsnn.comm.supervision.process_exit import ProcessExit

_CONNECT_TIMEOUT_S = 60.0  # for the ranks of a compute node to connect
_SECONDARY_S = 15.0  # after a death, in which the launcher kills the other ranks


@dataclass(frozen=True)
class RankExit:
    """The end of a rank: the rank, its process, and its wait status if known."""

    rank: int
    pid: int
    status: int | None


class MonitoredRank:
    """The state of a rank, as its messages report it."""

    def __init__(self, rank: int, pid: int) -> None:
        self.rank, self.process = rank, ProcessExit(pid)
        self.channel: Channel | None = None  # while it is connected
        self.has_started = self.has_ended = False
        self.has_left = False  # in good order
        self.exit_code: int | None = None
        self.step: int | None = None
        self.folder: Path | None = None  # for exit reports


class ExitMonitor:
    """Watches ranks of this machine by their liveness sockets and their processes.

    Parameters
    ----------
    listener : socket
        A Unix socket on which ranks connect; the monitor closes it.
    token : str
        The job's token.
    n_ranks : int
        Number of ranks to expect. After that many connections no other is accepted.
    disk_timeout_s : float, optional
        Maximum wait for the disk to take an exit report; by default without limit.

    Attributes
    ----------
    ranks : dict of int to MonitoredRank
        The ranks that are known so far.
    exits : list of RankExit
        The ends of ranks in the order in which they happened.
    n_connected : int
        Number of ranks that have connected so far.
    has_reported : bool
        Whether a rank has printed why it ends the job.
    """

    def __init__(
        self,
        listener: socket.socket,
        token: str,
        n_ranks: int,
        disk_timeout_s: float | None = None,
    ) -> None:
        self._listener, self._handshakes = listener, Handshakes(listener, token)
        self._n_ranks, self._disk_timeout_s = n_ranks, disk_timeout_s
        self._is_accepting, self.n_connected = True, 0
        self._selector = selectors.EpollSelector()
        self._selector.register(self._handshakes, selectors.EVENT_READ, self._accept)
        self._oom_kills = process_exit.oom_kill_count()
        self._secondary_until, self.has_reported = 0.0, False
        self.ranks: dict[int, MonitoredRank] = {}
        self.exits: list[RankExit] = []

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are events to handle."""
        return self._selector.fileno()

    @property
    def is_connected(self) -> bool:
        """Whether a rank is connected, or may still connect."""
        return self._is_accepting or any(rank.channel for rank in self.ranks.values())

    @property
    def out_of_memory(self) -> bool:
        """Whether this machine has killed a process for lack of memory since the start."""
        return process_exit.oom_kill_count() > self._oom_kills

    def watch(self, rank: int, pid: int) -> MonitoredRank:
        """Watch the process of a rank, which need not have connected."""
        if rank not in self.ranks:
            monitored = self.ranks[rank] = MonitoredRank(rank, pid)
            self._register(monitored.process.descriptor, partial(self._end, monitored))
        return self.ranks[rank]

    def handle_events(self, timeout_s: float) -> bool:
        """Handle all events, in the order in which they happened; wait at most `timeout_s`.

        Returns
        -------
        bool
            Whether there was an event.
        """
        # epoll lists the earliest event first: the first death before the deaths that it causes.
        events = self._selector.select(timeout_s)
        for key, _ in events:
            if self._selector.get_map().get(key.fd) is key:  # an earlier event may have closed it
                key.data()
        if self._is_accepting:
            self._accept()  # drops silent connections
        return bool(events)

    def stop_accepting(self) -> None:
        """Accept no further connection."""
        if self._is_accepting:
            self._is_accepting = False
            self._selector.unregister(self._handshakes)
            self._handshakes.close()
            self._listener.close()

    def close(self) -> None:
        """Close all sockets and descriptors."""
        self.stop_accepting()
        for monitored in self.ranks.values():
            self._disconnect(monitored)
            monitored.process.close()
        self._selector.close()

    def _accept(self) -> None:
        for introduced in self._handshakes.wait(0.0):
            monitored = self.watch(introduced.rank, introduced.pid)
            if monitored.has_ended or monitored.channel is not None:
                introduced.connection.close()
                continue
            monitored.channel = Channel(introduced.connection)
            self._register(monitored.channel.fileno(), partial(self._receive, monitored))
            self.n_connected += 1
        if self.n_connected == self._n_ranks:
            self.stop_accepting()

    def _register(self, descriptor: int | None, handler: Callable[[], None]) -> None:
        if descriptor is not None:
            self._selector.register(descriptor, selectors.EVENT_READ, handler)

    def _unregister(self, descriptor: int | None) -> None:
        if descriptor is not None:
            self._selector.unregister(descriptor)

    def _disconnect(self, monitored: MonitoredRank) -> None:
        if monitored.channel is not None:
            self._unregister(monitored.channel.fileno())
            monitored.channel.close()
            monitored.channel = None

    def _receive(self, monitored: MonitoredRank) -> None:
        # One read: an end that follows shows in a later event, in its turn.
        if not self._read(monitored):
            self._disconnect(monitored)
            if not monitored.has_left:
                self._end(monitored)

    def _read(self, monitored: MonitoredRank) -> bool:
        """Handle the messages that have arrived; return whether the channel remains open."""
        messages = None if monitored.channel is None else monitored.channel.receive()
        try:
            for message in messages or ():
                self._take(monitored, message)
        except (KeyError, TypeError, ValueError):
            return False
        return messages is not None

    def _take(self, monitored: MonitoredRank, message: dict[str, Any]) -> None:
        if "started" in message:
            monitored.has_started = True
        if "step" in message:
            monitored.step = int(message["step"])
        if "exit_reports" in message:
            monitored.folder = Path(str(message["exit_reports"]))
        if "exit_report" in message:
            self._write(monitored, message["exit_report"])
        if "failing" in message:
            self._secondary_until = time.monotonic() + _SECONDARY_S
        self.has_reported |= "reported" in message
        if "exit_code" in message:
            monitored.exit_code = int(message["exit_code"])
        monitored.has_left = "bye" in message or "exit_code" in message

    def _end(self, monitored: MonitoredRank) -> None:
        begin, timestamp = time.monotonic(), utc_timestamp()
        status = monitored.process.status()
        if status is None and not monitored.process.has_ended(1.0):
            return  # it has closed its socket and runs on
        self._read(monitored)  # its last messages
        self._disconnect(monitored)
        self._unregister(monitored.process.descriptor)
        monitored.has_ended = True
        self.exits.append(RankExit(monitored.rank, monitored.process.pid, status))
        if monitored.has_left:
            return
        number = process_exit.signal_of(status)
        is_launcher_kill = status is None or number in process_exit.LAUNCHER_SIGNALS
        if begin > self._secondary_until or not is_launcher_kill:
            cause = process_exit.describe_exit(status, out_of_memory=self.out_of_memory)
            report = {"rank": monitored.rank, "host": socket.gethostname()}
            report |= {"pid": monitored.process.pid, "time": timestamp, "cause": cause}
            self._write(monitored, report | {"step": monitored.step, "signal": number})
        self._secondary_until = begin + _SECONDARY_S

    def _write(self, sender: MonitoredRank, report: dict[str, Any]) -> None:
        folder = sender.folder
        if folder is not None:
            run_within(self._disk_timeout_s, lambda: write_exit_report(folder, report))


def write_exit_report(folder: Path, report: dict[str, Any]) -> bool:
    """Write an exit report about a rank, unless there is one, in one atomic step.

    It is a Zarr group without members, ``folder/rankNNNN``, whose attributes are the report.

    Parameters
    ----------
    folder : Path
        The attempt's folder for exit reports, ``RUN/attemptNNN/exit_reports``; created if the
        attempt's folder exists.
    report : dict
        ``rank`` and more, as `distsnn.io.schema` lists; values of None are left out.

    Returns
    -------
    bool
        Whether it was written.

    Raises
    ------
    OSError
        If the attempt's folder is missing, as in a store that was removed, or the disk is full.
    """
    path = folder / f"rank{report['rank']:04d}"
    # without parents: a store that was removed must not reappear as a skeleton
    folder.mkdir(exist_ok=True)
    path.mkdir(exist_ok=True)
    _write_group(folder, {})
    return _write_group(path, {k: value for k, value in report.items() if value is not None})


def _write_group(folder: Path, attributes: dict[str, Any]) -> bool:
    final = folder / "zarr.json"
    if final.exists():
        return False
    text = json.dumps({"attributes": attributes, "zarr_format": 3, "node_type": "group"})
    # named as zarr names its own, which are swept when a run is resumed
    partial = folder / f"zarr.{uuid.uuid4().hex}.partial"
    descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        unwritten = text.encode()
        while unwritten:  # a full disk takes a part; the next write is an error
            unwritten = unwritten[os.write(descriptor, unwritten) :]
        os.fsync(descriptor)
        # unlike a rename this fails if another process was first
        os.link(partial, final)
    except FileExistsError:
        return False
    finally:
        os.close(descriptor)
        partial.unlink()
    return True


def utc_timestamp() -> str:
    """Return the time of day for an exit report, ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def run_within(timeout_s: float | None, action: Callable[[], object]) -> None:
    """Run an action that writes, and wait for it at most `timeout_s`; ignore an OSError.

    Files and pipes may be beyond a network that is down, where a write never returns. A full disk
    or a removed store cannot be reported: the job is already ending.
    """

    def run() -> None:
        with contextlib.suppress(OSError):
            action()

    thread = threading.Thread(target=run, name="distsnn-supervision-writing", daemon=True)
    thread.start()
    thread.join(timeout_s)


def run_detached() -> None:
    """Read settings from standard input, detach, and monitor until the last rank has gone.

    The settings are a JSON object: ``listener`` (an inherited descriptor), ``token``, ``ranks``
    (number to expect).
    """
    settings = json.loads(sys.stdin.read())
    listener = socket.socket(fileno=int(settings["listener"]))
    if os.fork() != 0:
        os._exit(0)  # the rank that started this process waits for no more
    os.setsid()
    os.chdir("/")
    monitor = ExitMonitor(listener, str(settings["token"]), int(settings["ranks"]))
    deadline = time.monotonic() + _CONNECT_TIMEOUT_S
    while monitor.is_connected:
        monitor.handle_events(1.0)
        if time.monotonic() > deadline:
            monitor.stop_accepting()
