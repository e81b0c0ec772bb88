"""The sockets of a heartbeat: which rank connects to which, and how.

Ranks form a tree, each with at most `FAN_OUT` children, so that no process holds many sockets
however large the job. No MPI call uses these sockets, so a thread may use them at any time.
"""

import contextlib
import fcntl
import math
import os
import secrets
import socket
import struct
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from distsnn.comm.supervision.channel import Channel, Handshakes, introduction

FAN_OUT = 16
# Maximum time to connect, s: unreachable machines must not prevent a job from starting.
_CONNECT_TIMEOUT_S = 6.0
# The same on one machine, where a late rank is only busy; shorter than any start timeout.
_CONNECT_TIMEOUT_ONE_MACHINE_S = 20.0
_ADDRESS_TIMEOUT_S = 2.0  # to open a connection to a single address of a machine
_RETRY_S = 0.05
_BACKLOG = 128  # connections that wait to be accepted, of ranks and of strangers
_SIOCGIFADDR = 0x8915


def parent_of(rank: int) -> int | None:
    """Return the rank that this rank connects to, None for rank 0."""
    return (rank - 1) // FAN_OUT if rank > 0 else None


def children_of(rank: int, size: int) -> range:
    """Return the ranks that connect to this rank."""
    start = rank * FAN_OUT + 1
    return range(min(start, size), min(start + FAN_OUT, size))


@dataclass(frozen=True)
class RankAddress:
    """The address of a rank, which all ranks receive."""

    rank: int
    pid: int
    host: str  # name of its machine, for messages
    machine: str  # equal for ranks that share loopback and process ids
    addresses: tuple[str, ...]  # of its machine; none if all ranks are on one machine
    port: int | None  # where it listens, if it has children
    token: str  # rank 0's is the job's token; that of a machine's first rank, its exit monitor's


@dataclass
class Peer:
    """A connected rank."""

    channel: Channel
    address: RankAddress
    last_message_s: float = 0.0  # on the owner's clock
    timeout_s: float = math.inf  # maximum silence, as it states itself
    step: int | None = None  # its last reported step


class PeerListener:
    """The socket on which a rank's children connect while the heartbeat starts.

    Parameters
    ----------
    has_children : bool
        Whether ranks will connect to this rank.
    is_one_machine : bool
        Whether all ranks are on this machine: it then listens on loopback only.
    """

    def __init__(self, *, has_children: bool, is_one_machine: bool) -> None:
        self._is_one_machine = is_one_machine
        self._socket = _listen(loopback=is_one_machine) if has_children else None

    def address(self, rank: int) -> RankAddress:
        """Return the address of this rank."""
        return RankAddress(
            rank=rank,
            pid=os.getpid(),
            host=socket.gethostname(),
            machine=machine_id(),
            addresses=() if self._is_one_machine else _addresses(),
            port=None if self._socket is None else int(self._socket.getsockname()[1]),
            token=secrets.token_hex(16),
        )

    def connect(self, addresses: list[RankAddress], rank: int) -> list[Peer]:
        """Connect to the parent and to the children of a rank, as far as they can be reached."""
        timeout_s = _CONNECT_TIMEOUT_ONE_MACHINE_S if self._is_one_machine else _CONNECT_TIMEOUT_S
        token, deadline = addresses[0].token, time.monotonic() + timeout_s
        peers = []
        parent = parent_of(rank)
        if parent is not None:
            # a parent that cannot be reached leaves time for the children
            parent_deadline = deadline if self._socket is None else deadline - timeout_s / 3.0
            channel = _connect(addresses[parent], addresses[rank], token, parent_deadline)
            if channel is not None:
                peers.append(Peer(channel, addresses[parent]))
        missing = {child: addresses[child] for child in children_of(rank, len(addresses))}
        if self._socket is not None:
            peers += _accept(self._socket, missing, token, deadline)
        return peers

    def close(self) -> None:
        """Accept no further connection."""
        if self._socket is not None:
            self._socket.close()


def _listen(*, loopback: bool) -> socket.socket | None:
    families = ((socket.AF_INET6, ""), (socket.AF_INET, ""))
    for family, host in ((socket.AF_INET, "127.0.0.1"),) if loopback else families:
        is_dual = family == socket.AF_INET6
        if is_dual and not socket.has_dualstack_ipv6():
            continue
        with contextlib.suppress(OSError):
            return socket.create_server(
                (host, 0), family=family, dualstack_ipv6=is_dual, backlog=_BACKLOG
            )
    return None


def _connect(
    parent: RankAddress, child: RankAddress, token: str, deadline: float
) -> Channel | None:
    if parent.port is None:
        return None
    loopback = ("127.0.0.1",) if parent.machine == child.machine else ()
    addresses = (*loopback, *parent.addresses)
    for address in cycle(addresses):
        remaining = deadline - time.monotonic()
        if remaining <= 0.0:
            break
        connection = None
        try:
            timeout_s = min(_ADDRESS_TIMEOUT_S, remaining)
            connection = socket.create_connection((address, parent.port), timeout=timeout_s)
            # The parent answers to a rank of the job, once it is connected itself. Where it has
            # several addresses, another service may listen at the first.
            connection.settimeout(remaining if len(addresses) == 1 else remaining / 2.0)
            connection.sendall(introduction(token, child.rank))
            if connection.recv(1) == b"\n":
                return Channel(connection)
        except OSError:
            pass  # the next address
        if connection is not None:
            connection.close()
        time.sleep(min(_RETRY_S, remaining))
    return None


def _accept(
    listener: socket.socket, missing: dict[int, RankAddress], token: str, deadline: float
) -> list[Peer]:
    peers = []
    with contextlib.closing(Handshakes(listener, token)) as handshakes:
        while missing and (remaining := deadline - time.monotonic()) > 0.0:
            for introduced in handshakes.wait(remaining):
                try:
                    if introduced.rank in missing and introduced.connection.send(b"\n"):
                        address = missing.pop(introduced.rank)
                        peers.append(Peer(Channel(introduced.connection), address))
                        continue
                except OSError:
                    pass  # the child has closed
                introduced.connection.close()
    return peers


def machine_id() -> str:
    """Return an identifier of this machine: equal for ranks that share loopback and process ids."""
    # Containers and network namespaces of one machine share neither.
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    for name in ("net", "pid"):
        with contextlib.suppress(OSError):
            parts.append(str(Path(f"/proc/self/ns/{name}").readlink()))
    return " ".join(parts) or socket.gethostname()


def _addresses() -> tuple[str, ...]:
    addresses = []
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with contextlib.suppress(OSError):
                reply = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
                addresses.append(socket.inet_ntoa(reply[20:24]))
    addresses = [address for address in addresses if not address.startswith("127.")]
    if addresses:
        return tuple(addresses)
    # With IPv6 only, machines know each other by name. A name service that does not respond is
    # slow to fail, so it is the last resort.
    with contextlib.suppress(OSError):
        for *_, address in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM):
            addresses.append(str(address[0]))
    remote = (address for address in addresses if not address.startswith(("127.", "::1")))
    return tuple(dict.fromkeys(remote))
