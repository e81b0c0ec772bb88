"""The sockets of a heartbeat: who is connected to whom, and how the connections are made.

Ranks form a tree, each with at most `FAN_OUT` children, so that no process holds many sockets
however large the job. No MPI call is made over them, so a thread may use them at any time.
"""

import contextlib
import fcntl
import json
import os
import secrets
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from distsnn.comm.supervision import exit_monitor
from distsnn.comm.supervision.exit_monitor import JsonLineDecoder
from distsnn.comm.supervision.handshake import Handshakes, credentials, introduction

FAN_OUT = 16
_SETUP = 6.0  # s, at most, to connect; unreachable hosts must not keep a job from starting
# Time limit on one machine, s, where a late rank is only busy; shorter than any start limit (at
# least 30 s).
_SETUP_ONE_MACHINE = 20.0
_ONE_ADDRESS = 2.0  # s, at most, to open a connection to one of a host's addresses
_RETRY = 0.05  # s between two attempts
_BACKLOG = 128  # connections that wait to be accepted, of ranks and of strangers
_SIOCGIFADDR = 0x8915


def parent_of(rank: int) -> int | None:
    """Return the rank that this one connects to, None for the first."""
    return (rank - 1) // FAN_OUT if rank > 0 else None


def children_of(rank: int, size: int) -> range:
    """Return the ranks that connect to this one."""
    first = rank * FAN_OUT + 1
    return range(min(first, size), min(first + FAN_OUT, size))


@dataclass(frozen=True)
class RankAddress:
    """Where a rank is and how it is reached, as all ranks are told.

    Attributes
    ----------
    rank, pid : int
        The rank and its process.
    host : str
        Its machine, for people.
    machine : str
        The same for comparison: equal where a process of that id can be looked at.
    addresses : tuple of str
        Of the machine, other than loopback; none where all ranks are on one machine.
    port : int or None
        Where it listens, if it has children.
    witness : str or None
        The name of its witness's socket, on the first rank of a node.
    token : str
        The first rank's is the job's: who connects must know it.
    """

    rank: int
    pid: int
    host: str
    machine: str
    addresses: tuple[str, ...]
    port: int | None
    witness: str | None
    token: str


@dataclass
class Peer:
    """A connection to another rank, or to the witness (then without a place).

    Attributes
    ----------
    connection : socket
        Not blocking.
    place : Place or None
        The rank at the other end.
    heard : float
        When it was heard of last, on the owner's clock, s.
    step : int or None
        Its last step, as it said.
    """

    connection: socket.socket
    place: RankAddress | None
    heard: float = 0.0
    step: int | None = None
    lines: JsonLineDecoder = field(default_factory=JsonLineDecoder)
    _unsent: bytes = b""

    def send(self, message: dict[str, Any]) -> None:
        """Send a message, as far as the other side takes it; the rest goes with the next.

        A side that is gone is told by reading from it.
        """
        self.send_bytes(json.dumps(message).encode() + b"\n")

    def send_bytes(self, line: bytes) -> None:
        """Send a line, likewise."""
        if len(self._unsent) < exit_monitor.MAX_LINE_BYTES:
            self._unsent += line
        with contextlib.suppress(OSError):
            self._unsent = self._unsent[self.connection.send(self._unsent) :]

    def receive(self) -> list[dict[str, Any]] | None:
        """Return the messages that have arrived, None if the other side has closed."""
        try:
            data = self.connection.recv(65536)
            return self.lines.feed(data) if data else None
        except BlockingIOError:
            return []
        except (OSError, ValueError):
            return None


class Listeners:
    """The sockets on which a rank is reached while the heartbeat is set up.

    Parameters
    ----------
    has_children : bool
        Whether ranks will connect to this one.
    is_first_on_node : bool
        Whether this rank starts the node's witness.
    is_one_machine : bool
        Whether all ranks are on this machine: they are then reached by loopback only.
    """

    def __init__(self, *, has_children: bool, is_first_on_node: bool, is_one_machine: bool) -> None:
        self._is_one_machine = is_one_machine
        self._ranks = _listen(loopback=is_one_machine) if has_children else None
        self._witness: socket.socket | None = None
        self._witness_name: str | None = None
        if is_first_on_node:
            # an abstract name: no file is left behind, whatever happens
            self._witness_name = f"\0distsnn-{secrets.token_hex(16)}"
            self._witness = socket.socket(socket.AF_UNIX)
            self._witness.bind(self._witness_name)
            self._witness.listen(4096)

    def place(self, rank: int) -> RankAddress:
        """Return what the other ranks must know."""
        return RankAddress(
            rank=rank,
            pid=os.getpid(),
            host=socket.gethostname(),
            machine=machine(),
            addresses=() if self._is_one_machine else _addresses(),
            port=None if self._ranks is None else int(self._ranks.getsockname()[1]),
            witness=self._witness_name,
            token=secrets.token_hex(16),
        )

    def connect(self, places: list[RankAddress], rank: int) -> list[Peer]:
        """Connect to the parent and to the children of a rank, as far as they can be reached."""
        setup = _SETUP_ONE_MACHINE if self._is_one_machine else _SETUP
        token, limit = places[0].token, time.monotonic() + setup
        links = []
        parent = parent_of(rank)
        if parent is not None:
            # a parent that cannot be reached leaves time for the children
            until = limit if self._ranks is None else limit - setup / 3.0
            reached = _connect(places[parent], places[rank], token, until)
            if reached is not None:
                links.append(Peer(reached, places[parent]))
        awaited = set(children_of(rank, len(places)))
        if self._ranks is not None:
            links += _accept(self._ranks, awaited, places, token, limit)
        return links

    def witness(self, places: list[RankAddress], rank: int) -> Peer | None:
        """Connect to the node's witness, which its first rank starts; None if there is none."""
        own = places[rank]
        neighbours = [one for one in places if one.machine == own.machine]
        name = next((one.witness for one in neighbours if one.witness is not None), None)
        if self._witness is not None and name == self._witness_name:
            _start_witness(self._witness, places[0].token, len(neighbours))
        if name is None:
            return None
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(name)
            stranger = credentials(connection)[1] != os.geteuid()
        except OSError:
            stranger = True
        if stranger:  # or nobody: the name is free where no witness could be started
            connection.close()
            return None
        connection.setblocking(False)
        link = Peer(connection, None)
        link.send_bytes(introduction(places[0].token, rank, own.pid))
        return link

    def close(self) -> None:
        """Accept no more."""
        for listener in (self._ranks, self._witness):
            if listener is not None:
                listener.close()


def _start_witness(listener: socket.socket, token: str, ranks: int) -> None:
    orders = {"listener": listener.fileno(), "token": token, "ranks": ranks}
    # Without it deaths are still noticed, only less surely written down.
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            [sys.executable, "-I", "-S", str(Path(exit_monitor.__file__))],
            input=json.dumps(orders).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(listener.fileno(),),
            timeout=10.0,
        )


def _listen(*, loopback: bool) -> socket.socket | None:
    kinds = ((socket.AF_INET6, ""), (socket.AF_INET, ""))
    for family, host in ((socket.AF_INET, "127.0.0.1"),) if loopback else kinds:
        both = family == socket.AF_INET6
        if both and not socket.has_dualstack_ipv6():
            continue
        with contextlib.suppress(OSError):
            return socket.create_server(
                (host, 0), family=family, dualstack_ipv6=both, backlog=_BACKLOG
            )
    return None


def _connect(
    parent: RankAddress, own: RankAddress, token: str, limit: float
) -> socket.socket | None:
    if parent.port is None:
        return None
    near = parent.machine == own.machine
    addresses = (*(("127.0.0.1",) if near else ()), *parent.addresses)
    for address in cycle(addresses):
        left = limit - time.monotonic()
        if left <= 0.0:
            break
        connection = None
        try:
            patience = min(_ONE_ADDRESS, left)
            connection = socket.create_connection((address, parent.port), timeout=patience)
            # the other side answers if it has taken us for who we are, once it is connected itself
            # (where it has several addresses, another service may listen at the first)
            connection.settimeout(left if len(addresses) == 1 else left / 2.0)
            connection.sendall(introduction(token, own.rank, own.pid))
            if connection.recv(1) == b"\n":
                connection.setblocking(False)
                return connection
        except OSError:
            pass  # the next address
        if connection is not None:
            connection.close()
        time.sleep(min(_RETRY, left))
    return None


def _accept(
    listener: socket.socket, awaited: set[int], places: list[RankAddress], token: str, limit: float
) -> list[Peer]:
    links = []
    with contextlib.closing(Handshakes(listener, token)) as handshakes:
        while awaited and (left := limit - time.monotonic()) > 0.0:
            for peer in handshakes.wait(left):
                try:
                    if peer.rank in awaited and peer.connection.send(b"\n"):
                        awaited.remove(peer.rank)
                        links.append(Peer(peer.connection, places[peer.rank]))
                        continue
                except OSError:
                    pass  # it has gone
                peer.connection.close()
    return links


def machine() -> str:
    """Return this machine's name, equal for ranks that share loopback and process ids."""
    # Containers and network namespaces of one machine do not see each other's loopback or ids.
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    for name in ("net", "pid"):
        with contextlib.suppress(OSError):
            parts.append(str(Path(f"/proc/self/ns/{name}").readlink()))
    return " ".join(parts) or socket.gethostname()


def _addresses() -> tuple[str, ...]:
    found = []
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(any_.fileno(), _SIOCGIFADDR, request)
                found.append(socket.inet_ntoa(answer[20:24]))
    found = [one for one in found if not one.startswith("127.")]
    if found:
        return tuple(found)
    # Where there is only IPv6, machines know each other by name. Not asked for without need: a
    # name service that does not answer takes long to say so.
    with contextlib.suppress(OSError):
        for *_, address in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM):
            found.append(str(address[0]))
    return tuple(dict.fromkeys(one for one in found if not one.startswith(("127.", "::1"))))
