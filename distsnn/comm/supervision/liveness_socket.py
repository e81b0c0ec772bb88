"""A rank's socket to its exit monitor, which the kernel closes when the rank ends.

The monitor is the supervisor of a job that `launch` started, else a process that the first rank of
the machine starts (`exit_monitor`).
"""

import contextlib
import fcntl
import hashlib
import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from distsnn.comm.supervision.channel import Channel, credentials, introduction

# The token of the supervisor's socket, in the environment of the ranks that it starts.
VARIABLE = "DISTSNN_LIVENESS_SOCKET"
# Runs the exit monitor without the package's `__init__` files, which import numpy.
RUN_MONITOR = """
import sys, types
path = sys.argv[1]
for name in ("distsnn", "distsnn.comm", "distsnn.comm.supervision"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from distsnn.comm.supervision.exit_monitor import run_detached
run_detached()
"""
_MAX_DESCRIPTOR = 1024
_MONITOR_START_TIMEOUT_S = 10.0
# The channel of this process, which closes when the process ends: so the supervisor notices it.
_supervisor: Channel | None = None


def open_listener(token: str) -> socket.socket:
    """Return a Unix socket on which an exit monitor accepts the ranks that know a token.

    Its address is abstract and leaves no file behind. Any user can read it, and it does not reveal
    the token: `channel.Handshakes` checks both the user and the token.
    """
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(_address(token))
    listener.listen(4096)
    return listener


def connect(token: str, rank: int) -> Channel | None:
    """Return this rank's channel to the exit monitor of a token; None if no monitor is there.

    It checks that the monitor is a process of the same user, before it sends the token.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(_address(token))
        is_trusted = credentials(connection)[1] == os.geteuid()
    except OSError:  # the monitor is on another machine, or has ended
        is_trusted = False
    if not is_trusted:
        connection.close()
        return None
    # The kernel closes files from the highest number down: with a high number this socket closes
    # before the launcher's.
    soft_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    lowest = (soft_limit if 0 < soft_limit < _MAX_DESCRIPTOR else _MAX_DESCRIPTOR) - 64
    with connection:
        descriptor = fcntl.fcntl(connection.fileno(), fcntl.F_DUPFD_CLOEXEC, lowest)
    connection = socket.socket(fileno=descriptor)
    with contextlib.suppress(OSError):
        connection.sendall(introduction(token, rank))
    return Channel(connection)


def connect_to_supervisor(rank: int) -> bool:
    """Connect this rank to its supervisor, for the life of the process.

    Returns
    -------
    bool
        Whether this rank has a supervisor.
    """
    global _supervisor
    token = os.environ.pop(VARIABLE, None)  # a process that a rank starts is not a rank
    if token is not None:
        _supervisor = connect(token, rank)
    return _supervisor is not None


def supervisor() -> Channel | None:
    """Return the channel to the supervisor, if this rank has one."""
    return _supervisor


def report(message: dict[str, Any]) -> None:
    """Send a message to the supervisor, if this rank has one."""
    if _supervisor is not None:
        _supervisor.send(message)


def start_exit_monitor(token: str, n_ranks: int) -> None:
    """Start a detached exit monitor for the ranks of this machine.

    If it does not start, ranks still notice a death, but its cause may go unrecorded.
    """
    with (
        contextlib.suppress(OSError, subprocess.SubprocessError),
        open_listener(token) as listener,
    ):
        settings = {"listener": listener.fileno(), "token": token, "ranks": n_ranks}
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", RUN_MONITOR, str(Path(__file__).parent)],
            input=json.dumps(settings).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(listener.fileno(),),
            timeout=_MONITOR_START_TIMEOUT_S,
        )


def _address(token: str) -> str:
    return f"\0distsnn-{hashlib.sha256(token.encode()).hexdigest()[:32]}"
