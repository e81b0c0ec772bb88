"""JSON messages on sockets between the processes of a job, and the handshake that precedes them.

The first line of a connection proves that the peer belongs to the job. It has a fixed size, and its
token is compared before anything is parsed. Connections without this line are closed after a time,
or earlier if there are many.

Standard library only: the exit monitor runs this module without the rest of distsnn.
"""

import contextlib
import hmac
import json
import os
import select
import socket
import struct
import threading
import time
from typing import Any, NamedTuple

MAX_LINE_BYTES = 8192
_HANDSHAKE_TIMEOUT_S = 5.0
_MAX_PENDING = 64
_CREDENTIALS = struct.Struct("3i")


def introduction(token: str, rank: int) -> bytes:
    """Return the first line that a rank sends."""
    return f"{token} {rank:010d}\n".encode("ascii")


def credentials(connection: socket.socket) -> tuple[int, int]:
    """Return process and user at the other end of a Unix socket, as the kernel knows them."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, _ = _CREDENTIALS.unpack(data)
    return pid, user


class Channel:
    """A socket that carries JSON objects, one a line. No call blocks; threads may share it.

    Parameters
    ----------
    connection : socket
        Connected, after the handshake.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._received = self._unsent = b""
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._connection.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message as far as the peer accepts it; the remainder precedes the next message.

        A peer that has closed shows in `receive` only.
        """
        with self._lock:
            if len(self._unsent) < MAX_LINE_BYTES:
                self._unsent += json.dumps(message).encode() + b"\n"
            with contextlib.suppress(OSError):
                self._unsent = self._unsent[self._connection.send(self._unsent) :]

    def receive(self) -> list[dict[str, Any]] | None:
        """Return the messages that have arrived.

        Returns
        -------
        list of dict or None
            None if the peer has closed, or sends anything but JSON objects of at most 8192 bytes.
        """
        try:
            data = self._connection.recv(65536)
        except BlockingIOError:
            return []
        except OSError:
            return None
        *lines, self._received = (self._received + data).split(b"\n")
        if not data or max(map(len, (*lines, self._received))) > MAX_LINE_BYTES:
            return None
        try:
            messages = [json.loads(line) for line in lines]
        except (ValueError, RecursionError):
            return None
        return messages if all(isinstance(message, dict) for message in messages) else None

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()


class Introduced(NamedTuple):
    """A connection after its handshake; `pid` is 0 where the kernel does not know the process."""

    connection: socket.socket
    rank: int
    pid: int


class _Pending:
    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.connection, self.pid = connection, pid
        self.since = time.monotonic()
        self.line = b""


class Handshakes:
    """Accepts connections and returns those with the right first line.

    On a Unix socket it closes connections of other users at once.

    Parameters
    ----------
    listener : socket
        Where ranks connect; its owner closes it.
    token : str
        The job's token.
    """

    def __init__(self, listener: socket.socket, token: str) -> None:
        self._listener, self._token = listener, token.encode("ascii")
        self._size = len(introduction(token, 0))
        self._pending: dict[int, _Pending] = {}  # by descriptor, the oldest first
        listener.setblocking(False)
        self._poll = select.epoll()
        self._poll.register(listener, select.EPOLLIN)

    def fileno(self) -> int:
        """Return the descriptor that is readable when `wait` has an event to handle."""
        return self._poll.fileno()

    def wait(self, timeout_s: float) -> list[Introduced]:
        """Return the connections whose first line has arrived; wait at most `timeout_s`."""
        introduced = []
        for descriptor, _ in self._poll.poll(timeout_s):
            if descriptor == self._listener.fileno():
                self._accept()
            elif descriptor in self._pending:  # a new connection may have displaced it
                introduced += self._read(self._pending[descriptor])
        oldest_start = time.monotonic() - _HANDSHAKE_TIMEOUT_S
        for pending in list(self._pending.values()):
            if pending.since < oldest_start:
                self._drop(pending)
        return introduced

    def close(self) -> None:
        """Close the connections without a first line."""
        for pending in list(self._pending.values()):
            self._drop(pending)
        self._poll.close()

    def _accept(self) -> None:
        try:
            connection = self._listener.accept()[0]
        except BlockingIOError:
            return  # the peer has closed
        except OSError:  # as when this process has too many open files
            self._drop_oldest()
            return
        pid, user = 0, os.geteuid()
        if connection.family == socket.AF_UNIX:
            pid, user = credentials(connection)
        if user != os.geteuid():
            connection.close()
            return
        if len(self._pending) >= _MAX_PENDING:
            self._drop_oldest()
        connection.setblocking(False)
        self._pending[connection.fileno()] = _Pending(connection, pid)
        self._poll.register(connection, select.EPOLLIN)

    def _read(self, pending: _Pending) -> list[Introduced]:
        try:
            data = pending.connection.recv(self._size - len(pending.line))
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        pending.line += data
        if data and len(pending.line) < self._size:
            return []
        end = len(self._token)
        token, rank = pending.line[:end], pending.line[end + 1 : -1]
        if not (hmac.compare_digest(token, self._token) and rank.isdigit()):
            self._drop(pending)
            return []
        self._release(pending)
        return [Introduced(pending.connection, int(rank), pending.pid)]

    def _drop_oldest(self) -> None:
        if self._pending:
            self._drop(next(iter(self._pending.values())))

    def _drop(self, pending: _Pending) -> None:
        self._release(pending)
        pending.connection.close()

    def _release(self, pending: _Pending) -> None:
        del self._pending[pending.connection.fileno()]
        self._poll.unregister(pending.connection)
