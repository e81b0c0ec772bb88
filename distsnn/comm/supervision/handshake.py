"""The first line of a connection, which shows that the peer belongs to this job.

It has a fixed size, and its token is compared before anything is parsed. Connections without this
line are closed: after a time, or earlier if there are many.

The witness runs this module too, on the standard library alone.
"""

import hmac
import os
import select
import socket
import struct
import time
from typing import NamedTuple

_PATIENCE = 5.0  # s, at most, from a connection to its first line
_MOST_PENDING = 64
_CREDENTIALS = struct.Struct("3i")


def introduction(token: str, rank: int, pid: int) -> bytes:
    """Return the first line that a rank sends."""
    return f"{token} {rank:010d} {pid:010d}\n".encode("ascii")


def credentials(connection: socket.socket) -> tuple[int, int]:
    """Return process and user at the other end of a Unix socket, as the kernel knows them."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, _ = _CREDENTIALS.unpack(told)
    return pid, user


class Peer(NamedTuple):
    """A connection whose first line was right: not blocking, with the rank and its process."""

    connection: socket.socket
    rank: int
    pid: int


class _Pending:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.since = time.monotonic()
        self.line = b""


class Handshakes:
    """Accepts connections and returns those whose first line is right.

    Processes of other users are refused at once on a Unix socket.

    Parameters
    ----------
    listener : socket
        Where ranks connect; the owner closes it.
    token : str
        The job's token.
    """

    def __init__(self, listener: socket.socket, token: str) -> None:
        self._listener, self._token = listener, token.encode("ascii")
        self._size = len(introduction(token, 0, 0))
        self._pending: dict[int, _Pending] = {}  # by descriptor, the oldest first
        listener.setblocking(False)
        self._poll = select.epoll()
        self._poll.register(listener, select.EPOLLIN)

    def fileno(self) -> int:
        """Return the descriptor that is readable when `wait` has something to do."""
        return self._poll.fileno()

    def wait(self, limit_s: float) -> list[Peer]:
        """Return the peers whose first line has arrived; wait for an event at most `limit_s`."""
        peers = []
        for descriptor, _ in self._poll.poll(limit_s):
            if descriptor == self._listener.fileno():
                self._accept()
            elif descriptor in self._pending:  # not dropped in favour of a new connection
                peer = self._read(self._pending[descriptor])
                peers += [] if peer is None else [peer]
        late = time.monotonic() - _PATIENCE
        for pending in list(self._pending.values()):
            if pending.since < late:
                self._drop(pending)
        return peers

    def close(self) -> None:
        """Close the connections without a first line."""
        for pending in list(self._pending.values()):
            self._drop(pending)
        self._poll.close()

    def _accept(self) -> None:
        try:
            connection = self._listener.accept()[0]
        except BlockingIOError:
            return  # the peer has gone
        except OSError:  # as when this process has too many files
            self._drop_oldest()
            return
        unix = connection.family == socket.AF_UNIX
        if unix and credentials(connection)[1] != os.geteuid():
            connection.close()
            return
        if len(self._pending) >= _MOST_PENDING:
            self._drop_oldest()
        connection.setblocking(False)
        self._pending[connection.fileno()] = _Pending(connection)
        self._poll.register(connection, select.EPOLLIN)

    def _read(self, pending: _Pending) -> Peer | None:
        try:
            data = pending.connection.recv(self._size - len(pending.line))
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        pending.line += data
        if data and len(pending.line) < self._size:
            return None
        token, rank, pid = self._fields(pending.line)
        if not (hmac.compare_digest(token, self._token) and rank.isdigit() and pid.isdigit()):
            self._drop(pending)
            return None
        self._release(pending)
        return Peer(pending.connection, int(rank), int(pid))

    def _fields(self, line: bytes) -> tuple[bytes, bytes, bytes]:
        end = len(self._token)
        return line[:end], line[end + 1 : end + 11], line[end + 12 : end + 22]

    def _drop_oldest(self) -> None:
        if self._pending:
            self._drop(next(iter(self._pending.values())))

    def _drop(self, pending: _Pending) -> None:
        self._release(pending)
        pending.connection.close()

    def _release(self, pending: _Pending) -> None:
        del self._pending[pending.connection.fileno()]
        self._poll.unregister(pending.connection)
