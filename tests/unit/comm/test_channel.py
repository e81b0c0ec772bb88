"""Handshakes: introductions in pieces, strangers, other users, and the exit monitor."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_ci import IN_CI

from distsnn.comm.supervision import channel, liveness_socket
from distsnn.comm.supervision.channel import Handshakes, Introduced, introduction

TOKEN = "0123456789abcdef" * 2
OTHER_USER = 65534


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0distsnn-test-{os.getpid()}-{time.monotonic_ns()}")
        listening.listen(4096)
        yield listening


def connect(listener: socket.socket) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(listener.getsockname())
    return connection


def peers(handshakes: Handshakes, seconds: float = 0.3) -> list[Introduced]:
    """Return the first peers within a time."""
    limit = time.monotonic() + seconds
    introduced: list[Introduced] = []
    while not introduced and (remaining := limit - time.monotonic()) > 0:
        introduced += handshakes.wait(remaining)
    return introduced


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_handshake_may_arrive_in_parts_and_keeps_later_data(listener: socket.socket) -> None:
    handshakes, line = Handshakes(listener, TOKEN), introduction(TOKEN, 12)
    connection = connect(listener)
    connection.sendall(line[:40])
    assert peers(handshakes) == []
    connection.sendall(line[40:] + b"more")
    (peer,) = peers(handshakes)
    assert (peer.rank, peer.pid) == (12, os.getpid())
    assert peer.connection.recv(100) == b"more"
    handshakes.close()
    assert not is_closed(connection)
    peer.connection.close()
    connection.close()


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 2000,
        b"[" * 2000 + b"\n",
        introduction("f" * 32, 1),
        introduction(TOKEN, 1).replace(b"1", b"x"),
        introduction(TOKEN, 1)[:33] + b" " * 11,
        b"\xff" * 100,
        b"\n" * 100,
    ],
)
def test_wrong_first_line_is_refused_at_once(listener: socket.socket, line: bytes) -> None:
    handshakes = Handshakes(listener, TOKEN)
    with connect(listener) as connection:
        connection.sendall(line)
        assert peers(handshakes, 0.1) == []
        assert is_closed(connection)
    handshakes.close()


def test_silent_connections_are_dropped_by_time_and_number(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_MAX_PENDING", 8)
    handshakes = Handshakes(listener, TOKEN)
    silent = [connect(listener) for _ in range(20)]
    rank = connect(listener)
    rank.sendall(introduction(TOKEN, 3))
    (peer,) = peers(handshakes)
    assert peer.rank == 3
    assert [is_closed(connection) for connection in silent] == [True] * 13 + [False] * 7
    monkeypatch.setattr(channel, "_HANDSHAKE_TIMEOUT_S", 0.0)
    assert handshakes.wait(0.01) == []
    assert all(map(is_closed, silent))
    assert not is_closed(rank)
    handshakes.close()
    for connection in (*silent, rank, peer.connection):
        connection.close()


def as_other_user(listener: socket.socket, line: bytes) -> subprocess.Popen[bytes]:
    """Return a process of another user that connects, sends a line, and waits to be refused."""
    code = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        f"s.connect({listener.getsockname()!r})\n"
        "try:\n"
        f"    s.sendall({line!r})\n"
        "    sys.exit(s.recv(1) != b'')\n"
        "except OSError:\n"
        "    pass\n"
    )
    return subprocess.Popen(["/proc/self/exe", "-I", "-S", "-c", code], user=OTHER_USER)


needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and not IN_CI, reason="only root starts a process of another user"
)


@needs_root
def test_another_user_is_refused_though_the_token_is_right(listener: socket.socket) -> None:
    handshakes = Handshakes(listener, TOKEN)
    with as_other_user(listener, introduction(TOKEN, 1)) as stranger:
        introduced: list[Introduced] = []
        while stranger.poll() is None:
            introduced += handshakes.wait(0.05)
    assert (introduced, stranger.returncode) == ([], 0)
    handshakes.close()


RANK = """
import sys
from distsnn.comm.supervision import liveness_socket
token, rank, folder, *messages = sys.argv[1:]
channel = liveness_socket.connect(token, int(rank))
channel.send({"exit_reports": folder})
channel.send({"step": 12})
input()
for message in messages:
    channel.send({message: True})
"""


def test_monitor_outlives_strangers_and_ends_with_its_ranks(tmp_path: Path) -> None:
    token = secrets.token_hex(16)
    listener = liveness_socket.open_listener(token)
    listener.set_inheritable(True)
    settings = {"listener": listener.fileno(), "token": token, "ranks": 2}
    # not detached: its end is seen here
    attached = "import os; os.fork = lambda: 0\n" + liveness_socket.RUN_MONITOR
    folder = str(Path(liveness_socket.__file__).parent)
    monitor = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", attached, folder],
        stdin=subprocess.PIPE,
        pass_fds=(listener.fileno(),),
    )
    assert monitor.stdin is not None
    monitor.stdin.write(json.dumps(settings).encode())
    monitor.stdin.close()
    strangers = [connect(listener) for _ in range(100)]
    for stranger in strangers[:50]:
        stranger.sendall(b"[" * 2000 + b"\n")
    # a rank whose process ends without a goodbye is reported, whatever strangers do
    reports = str(tmp_path / "exit_reports")
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, token, str(rank), reports, *messages],
            stdin=subprocess.PIPE,
        )
        for rank, messages in enumerate((["bye"], []))
    ]
    for rank in ranks:
        assert monitor.poll() is None
        rank.communicate(b"\n")
    assert monitor.wait(timeout=5.0) == 0
    (report,) = [
        json.loads(file.read_text()) for file in tmp_path.glob("exit_reports/rank*/zarr.json")
    ]
    assert report["attributes"].items() >= {"rank": 1, "pid": ranks[1].pid, "step": 12}.items()
    listener.close()
    assert all(map(is_closed, strangers))
    for stranger in strangers:
        stranger.close()
