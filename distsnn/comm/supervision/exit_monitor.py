"""The witness: a small process on each node that outlives the ranks and notes how one died.

A launcher kills the surviving ranks within a millisecond of a death, before they could write
anything. So the first rank of a node starts this program, detached and in a session of its own.
Every rank of the node holds a socket to it and tells its steps; the kernel closes the socket when
the rank dies, however it dies. The witness ends with its last rank.

It runs as a plain script, on the standard library alone: it starts in some 30 ms and takes 10 MB.
Its orders come as JSON on standard input: ``listener`` (an inherited descriptor), ``token``,
``ranks`` (how many to expect). A rank introduces itself (`handshake`), and then speaks JSON, one
object a line::

    {"step": 12345}                              now and then
    {"notices": "RUN/attempt000/notices"}        where to write, once there is a store
    {"notice": {"rank": 0, "what": ..., ...}}    what befell another rank, to be written
    {"failing": true}                            a rank has failed and says so itself
    {"bye": true}                                last, from a rank that ends in good order
"""

import contextlib
import datetime
import json
import os
import select
import socket
import sys
import time
import uuid
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # a script: its own folder is no package of anybody's, and holds only what it needs
    sys.path.append(str(Path(__file__).parent))
    from handshake import Handshakes, Peer  # type: ignore[import-not-found]
    from process_exit import ProcessExit, describe_exit, oom_kill_count, signal_of  # type: ignore[import-not-found]
else:
    from distsnn.comm.supervision.handshake import Handshakes, Peer
    from distsnn.comm.supervision.process_exit import (
        ProcessExit,
        describe_exit,
        oom_kill_count,
        signal_of,
    )

MAX_LINE_BYTES = 8192  # bytes; whoever sends longer lines is no rank
_FIRST_WAIT = 60.0  # s, for the node's ranks to come
_LAUNCHER_KILLS = 15.0  # s after a death in which others killed are the launcher's work
_KILLS = (9, 15)


def write_exit_report(folder: Path, notice: dict[str, Any]) -> bool:
    """Write a notice about a rank, unless there is one, in one atomic step.

    It is a Zarr group without members, ``folder/rankNNNN``, whose attributes are the notice.

    Parameters
    ----------
    folder : Path
        The attempt's notices, ``RUN/attemptNNN/notices``; created in the attempt's folder.
    notice : dict
        ``rank`` and more, as `distsnn.io.schema` lists.

    Returns
    -------
    bool
        Whether it was written.

    Raises
    ------
    OSError
        If the attempt's folder is missing, as in a store that was removed, or the disk is full.
    """
    place = folder / f"rank{notice['rank']:04d}"
    # without parents: a store that was removed must not reappear as a skeleton
    folder.mkdir(exist_ok=True)
    place.mkdir(exist_ok=True)
    _write_group(folder, {})
    return _write_group(place, notice)


def _write_group(folder: Path, attributes: dict[str, Any]) -> bool:
    final = folder / "zarr.json"
    if final.exists():
        return False
    text = json.dumps({"attributes": attributes, "zarr_format": 3, "node_type": "group"})
    # named as zarr names its own, which are swept when a run is resumed
    partial = folder / f"zarr.{uuid.uuid4().hex}.partial"
    descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        left = text.encode()
        while left:  # a full disk takes a part, and the rest is an error
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
        # unlike a rename this fails if another was first
        os.link(partial, final)
    except FileExistsError:
        return False
    finally:
        os.close(descriptor)
        partial.unlink()
    return True


def utc_timestamp() -> str:
    """Return the wall time for a notice, ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


class JsonLineDecoder:
    """Cuts what arrives on a socket into JSON objects."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Return the objects that are complete now.

        Raises
        ------
        ValueError
            If the sender speaks something else.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES or any(len(line) > MAX_LINE_BYTES for line in lines):
            raise ValueError("a line is too long")
        try:
            objects = [json.loads(line) for line in lines]
        except RecursionError:
            raise ValueError("nested too deeply") from None
        if not all(isinstance(one, dict) for one in objects):
            raise ValueError("not an object")
        return objects


class _Rank:
    def __init__(self, peer: Peer) -> None:
        self.connection = peer.connection
        self.lines = JsonLineDecoder()
        self.rank: int = peer.rank
        self.exit = ProcessExit(peer.pid)
        self.step: int | None = None
        self.notices: Path | None = None
        self.bye = False


class _Witness:
    def __init__(self, listener: socket.socket, orders: dict[str, Any]) -> None:
        self._listener = listener
        self._handshakes = Handshakes(listener, str(orders["token"]))
        self._awaited = int(orders["ranks"])
        self._poll = select.epoll()
        self._ranks: dict[int, _Rank] = {}
        self._memory_kills = oom_kill_count()
        self._quiet_until = 0.0

    def run(self) -> None:
        self._poll.register(self._handshakes, select.EPOLLIN)
        limit = time.monotonic() + _FIRST_WAIT
        joining = True
        while self._ranks or joining:
            # epoll lists first what happened first: so the first death comes before those that
            # it brought about, even if both have happened meanwhile.
            for descriptor, _ in self._poll.poll(1.0):
                if descriptor in self._ranks:
                    self._hear(self._ranks[descriptor])
            if joining:
                for peer in self._handshakes.wait(0.0):
                    self._ranks[peer.connection.fileno()] = _Rank(peer)
                    self._poll.register(peer.connection, select.EPOLLIN)
                    self._awaited -= 1
                joining = self._awaited > 0 and time.monotonic() < limit
                if not joining:  # nobody else is let in
                    self._poll.unregister(self._handshakes)
                    self._handshakes.close()
                    self._listener.close()

    def _hear(self, rank: _Rank) -> None:
        # One read: an end after it comes again later, in its turn.
        try:
            data = rank.connection.recv(65536)
            for message in rank.lines.feed(data):
                self._take(rank, message)
        except BlockingIOError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            data = b""
        if not data:
            self._poll.unregister(rank.connection)
            del self._ranks[rank.connection.fileno()]
            rank.connection.close()
            if not rank.bye:
                self._note(rank)

    def _take(self, rank: _Rank, message: dict[str, Any]) -> None:
        if "step" in message:
            rank.step = int(message["step"])
        if "notices" in message:
            rank.notices = Path(str(message["notices"]))
        if "failing" in message:
            self._quiet_until = time.monotonic() + _LAUNCHER_KILLS
        if "notice" in message:
            self._write(rank, message["notice"])
        rank.bye = rank.bye or "bye" in message

    def _note(self, rank: _Rank) -> None:
        when, begin = utc_timestamp(), time.monotonic()
        status = rank.exit.status()
        if status is None and not rank.exit.ended(1.0):
            return  # it lives, and has closed the socket
        number = signal_of(status)
        follows = begin < self._quiet_until and (status is None or number in _KILLS)
        self._quiet_until = begin + _LAUNCHER_KILLS
        if follows or rank.notices is None:
            return
        notice = {
            "rank": rank.rank,
            "host": socket.gethostname(),
            "pid": rank.exit.pid,
            "when": when,
            "what": describe_exit(status, memory=oom_kill_count() > self._memory_kills),
        }
        if rank.step is not None:
            notice["step"] = rank.step
        if number is not None:
            notice["signal"] = number
        self._write(rank, notice)

    def _write(self, teller: _Rank, notice: dict[str, Any]) -> None:
        # a full disk, or a store that somebody has removed: there is nobody to tell
        if teller.notices is not None:
            with contextlib.suppress(OSError):
                write_exit_report(teller.notices, notice)


def main() -> None:
    """Read the orders, detach, and watch until the last rank has gone."""
    orders = json.loads(sys.stdin.read())
    listener = socket.socket(fileno=int(orders["listener"]))
    if os.fork() != 0:
        os._exit(0)  # whoever started this waits for no more
    os.setsid()
    os.chdir("/")
    _Witness(listener, orders).run()


if __name__ == "__main__":
    main()
