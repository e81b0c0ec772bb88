"""A machine as arrays: its nodes, which node is behind each port, and the cores that are alive."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.topology import XY, Topology

NO_NODE = -1
# Of a machine; all boards of the first SpiNNaker have a million.
_MOST_CORES = 1 << 23


@dataclass(frozen=True, eq=False)
class Machine:
    """The parts of a machine that are alive.

    Parameters
    ----------
    x, y : ndarray of int64, shape (n,)
        Coordinates of the nodes, ordered by (board, y, x).
    board : ndarray of int64, shape (n,)
        Board of each node.
    neighbour : ndarray of int32, shape (n, n_ports)
        Node behind each port, or -1.
    opposite : ndarray of int32, shape (n, n_ports)
        Port by which a packet that leaves here arrives there, or -1.
    ports : tuple of str
        Names of the ports.
    core : ndarray of int64, shape (n_cores,)
        Number on its node of each core that can host neurons, ordered by node.
    first_core : ndarray of int64, shape (n + 1,)
        The cores of node i are ``first_core[i]`` to ``first_core[i + 1]``.
    width, height : int
        Size of the box around it, nodes.
    """

    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    board: npt.NDArray[np.int64]
    neighbour: npt.NDArray[np.int32]
    opposite: npt.NDArray[np.int32]
    ports: tuple[str, ...]
    core: npt.NDArray[np.int64]
    first_core: npt.NDArray[np.int64]
    width: int
    height: int

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return self.x.size

    @property
    def n_ports(self) -> int:
        """Number of ports of a node."""
        return int(self.neighbour.shape[1])

    @property
    def directed(self) -> bool:
        """Whether each port has an opposite one on the same node."""
        return bool(self.ports) and not self.ports[0].isdigit()

    @cached_property
    def cores(self) -> npt.NDArray[np.int64]:
        """Number of cores of each node that can host neurons."""
        return np.diff(self.first_core)

    @cached_property
    def node_of_core(self) -> npt.NDArray[np.int64]:
        """Node of each core."""
        return np.repeat(np.arange(self.n_nodes), self.cores)

    def label(self, node: int) -> str:
        """Return a node's name in messages, such as ``(3, 4)``."""
        return f"({self.x[node]}, {self.y[node]})"


def machine(board: Board) -> Machine:
    """Return the living parts of a board, or of the rectangle of boards that it was made.

    Raises
    ------
    DescriptionError
        If a dead part is no part of it, nothing is left, or the number of cores is unknown or too
        large.
    """
    topology = board.topology
    where = f"board {board.name!r}, topology"
    nodes, width, height = _nodes(topology)
    cores = board.chip.cores.need("which cores there are")
    reserved = board.chip.reserved.need("which cores can host neurons")
    alive = dict(nodes)
    for index, xy in enumerate(topology.dead.nodes):
        if xy not in nodes:
            raise _no_node(xy, f"{where}.dead.nodes[{index}]", topology)
        alive.pop(xy, None)
    if not alive:
        raise DescriptionError("no node is alive", where=f"{where}.dead.nodes")
    order = {xy: number for number, xy in enumerate(alive)}
    neighbour, opposite, names = _links(topology, order, width, height)
    for index, (x, y, port) in enumerate(topology.dead.links):
        place = f"{where}.dead.links[{index}]"
        if port not in names:
            raise unknown("port", port, names, where=place)
        if (x, y) not in nodes:
            raise _no_node((x, y), place, topology)
        if (x, y) in order:
            _cut(neighbour, opposite, order[x, y], names.index(port))
    numbers = _cores(topology, alive, cores, reserved, where)
    return Machine(
        np.array([xy[0] for xy in alive], np.int64),
        np.array([xy[1] for xy in alive], np.int64),
        np.array([at[0] for at in alive.values()], np.int64),
        neighbour,
        opposite,
        names,
        np.array([one for row in numbers for one in row], np.int64),
        np.cumsum([0, *map(len, numbers)], dtype=np.int64),
        width,
        height,
    )


def _nodes(topology: Topology) -> tuple[dict[XY, tuple[int, XY]], int, int]:
    # (x, y) -> (board, place on the board); and the size of the box around all.
    columns, rows = topology.boards
    tiling = topology.tiling
    outline = topology.outline or ((0, topology.width - 1),) * topology.height
    wrapped = _wraps(topology)
    if tiling is None:
        width, height = topology.width, topology.height
        origins = [(0, 0)]
    else:
        origins = [
            (tiling.column * i + tiling.shift * j % tiling.column, tiling.row * j)
            for j in range(rows)
            for i in range(columns)
        ]
        width, height = tiling.column * columns, tiling.row * rows
        if topology.wrap != "tiled" or not all(wrapped):
            width = max(x for x, _ in origins) + topology.width
            height = max(y for _, y in origins) + topology.height
    nodes: dict[XY, tuple[int, XY]] = {}
    for number, (left, bottom) in enumerate(origins):
        for y, (first, last) in enumerate(outline):
            for x in range(first, last + 1):
                nodes[(left + x) % width, (bottom + y) % height] = number, (x, y)
    return nodes, width, height


def _wraps(topology: Topology) -> tuple[bool, bool]:
    """Return whether links lead around in x and in y."""
    if topology.wrap == "tiled":
        tiling = topology.tiling
        period = tiling.rows_to_wrap if tiling is not None else 0
        both = period > 0 and topology.boards[1] % period == 0
        return both, both
    return topology.wrap in ("x", "both"), topology.wrap in ("y", "both")


def _links(
    topology: Topology, order: dict[XY, int], width: int, height: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], tuple[str, ...]]:
    if topology.kind in ("graph", "crossbar"):
        return _free_links(topology, order)
    steps = topology.ports
    wrap_x, wrap_y = _wraps(topology)
    neighbour = np.full((len(order), len(steps)), NO_NODE, np.int32)
    for (x, y), number in order.items():
        for port, (dx, dy) in enumerate(steps.values()):
            there = x + dx, y + dy
            if (wrap_x or 0 <= there[0] < width) and (wrap_y or 0 <= there[1] < height):
                there = there[0] % width, there[1] % height
                neighbour[number, port] = order.get(there, NO_NODE)
    half = len(steps) // 2
    back = (np.arange(len(steps), dtype=np.int32) + half) % len(steps)
    opposite = np.where(neighbour == NO_NODE, NO_NODE, back).astype(np.int32)
    return neighbour, opposite, tuple(steps)


def _free_links(
    topology: Topology, order: dict[XY, int]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], tuple[str, ...]]:
    # Ports are numbered in the order of the edges, dead ones too; none is opposite another, so
    # nothing is ever routed by default.
    size = topology.width
    edges = topology.edges
    if topology.kind == "crossbar":
        edges = tuple((a, b) for a in range(size) for b in range(a + 1, size))
    used = [0] * size
    links = []
    for index, (a, b) in enumerate(edges):
        if not (a < size and b < size) or a == b:
            raise DescriptionError(
                "is no link between two nodes",
                where=f"topology.edges[{index}]",
                value=[a, b],
                allowed=f"two of 0 to {size - 1}",
            )
        links.append((a, used[a], b, used[b]))
        used[a], used[b] = used[a] + 1, used[b] + 1
    neighbour, opposite = np.full((2, len(order), max(used)), NO_NODE, np.int32)
    for a, port, b, back in links:
        if (a, 0) in order and (b, 0) in order:
            one, other = order[a, 0], order[b, 0]
            neighbour[one, port], opposite[one, port] = other, back
            neighbour[other, back], opposite[other, back] = one, port
    return neighbour, opposite, tuple(map(str, range(max(used))))


def _cut(
    neighbour: npt.NDArray[np.int32],
    opposite: npt.NDArray[np.int32],
    node: int,
    port: int,
) -> None:
    there, back = neighbour[node, port], opposite[node, port]
    if there == NO_NODE:
        return  # dead twice, or at the edge of a machine whose neighbour is dead
    neighbour[node, port] = opposite[node, port] = NO_NODE
    neighbour[there, back] = opposite[there, back] = NO_NODE


def _cores(
    topology: Topology, alive: dict[XY, tuple[int, XY]], cores: int, reserved: int, where: str
) -> list[list[int]]:
    special = {(x, y): number for x, y, number in topology.fewer_cores}
    total = sum(special.get(place, cores) for _, place in alive.values())
    if total > _MOST_CORES:
        raise DescriptionError(
            "the machine has too many cores to be mapped onto",
            where=where,
            value=total,
            allowed=f"at most {_MOST_CORES:,}",
        )
    numbers = {
        xy: list(range(reserved, special.get(place, cores))) for xy, (_, place) in alive.items()
    }
    dead_nodes = set(topology.dead.nodes)
    for index, (x, y, core) in enumerate(topology.dead.cores):
        place = f"{where}.dead.cores[{index}]"
        if (x, y) in dead_nodes:
            continue
        if (x, y) not in alive:
            raise _no_node((x, y), place, topology)
        if not 0 <= core < special.get(alive[x, y][1], cores):
            raise DescriptionError("no such core", where=place, value=[x, y, core])
        if core in numbers[x, y]:
            numbers[x, y].remove(core)
    return list(numbers.values())


def _no_node(xy: XY, where: str, topology: Topology) -> DescriptionError:
    columns, rows = topology.boards
    return DescriptionError(
        "no such node",
        where=where,
        value=list(xy),
        allowed=f"a {topology.node} of {columns}x{rows} boards",
    )
