"""A socket from each rank to the process that launched it, closed by nothing but the rank's end.

The kernel closes it the moment that a rank begins to end, before the launcher itself can know and
end the others. So the order in which lifelines break tells who was first.
"""

import contextlib
import fcntl
import os
import resource
import secrets
import socket

from distsnn.comm.supervision.handshake import credentials

VARIABLE = "DISTSNN_LIFELINE"
_HIGH = 1024
_STARTED = b"s"
_own: int | None = None  # this rank's end, a descriptor


def connect_liveness_socket() -> None:
    """Connect this rank to the process that launched it, if it asks for that; once."""
    global _own
    name = os.environ.pop(VARIABLE, None)  # what a rank starts is no rank
    if name is None:
        return
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(f"\0{name}")
    except OSError:
        # on another machine, or nobody listens any more: the rank is watched less closely
        line.close()
        return
    # The kernel closes files from the highest number down, among them those that tell mpiexec: so
    # this one gets a high number. It stays open to the very end.
    soft_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    highest = (soft_limit if 0 < soft_limit < _HIGH else _HIGH) - 8
    _own = fcntl.fcntl(line.fileno(), fcntl.F_DUPFD_CLOEXEC, highest)
    line.close()


def is_held() -> bool:
    """Return whether this rank is connected to the process that launched it."""
    return _own is not None


def report_start() -> None:
    """Report to the launching process that MPI and the heartbeat of this rank have started."""
    _report(_STARTED)


def report_code(code: int) -> None:
    """Report to the launching process the exit code on which all ranks agreed, 0 to 255."""
    _report(bytes([code]))


def _report(message: bytes) -> None:
    if _own is not None:
        with contextlib.suppress(OSError):  # the launcher has ended: its death ends the ranks
            os.write(_own, message)


class LivenessSockets:
    """The launching process's ends.

    Attributes
    ----------
    name : str
        What ranks find in the environment variable DISTSNN_LIFELINE.
    """

    def __init__(self) -> None:
        self.name = f"distsnn-{secrets.token_hex(16)}"
        self._listener = socket.socket(socket.AF_UNIX)
        # an abstract name: no file is left behind
        self._listener.bind(f"\0{self.name}")
        self._listener.listen(4096)
        self._listener.setblocking(False)
        self._held: dict[int, socket.socket] = {}

    def fileno(self) -> int:
        """Return the descriptor that is readable when a rank connects."""
        return self._listener.fileno()

    def accept(self) -> tuple[int, int] | None:
        """Return a new line's descriptor, readable when it breaks, and the process behind it."""
        try:
            line = self._listener.accept()[0]
        except OSError:
            return None
        pid, user = credentials(line)
        if user != os.geteuid():
            line.close()
            return None
        line.setblocking(False)
        self._held[line.fileno()] = line
        return line.fileno(), pid

    def receive(self, descriptor: int) -> bytes:
        """Return what a readable line brings: a byte for a rank's start, its code; b"": broken."""
        try:
            return self._held[descriptor].recv(16)
        except OSError:
            return b""

    def drop(self, descriptor: int) -> None:
        """Close a line."""
        self._held.pop(descriptor).close()

    def close(self) -> None:
        """Close all."""
        self._listener.close()
        for line in self._held.values():
            line.close()
