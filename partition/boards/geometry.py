"""Machine as arrays: nodes, links between nodes, and working cores."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.topology import XY, Topology

NO_NODE = -1
# Maximum number of cores of a machine; the largest SpiNNaker machine has a million.
_MAX_CORES = 1 << 23


@dataclass(frozen=True, eq=False)
class Machine:
    """Working parts of a machine.

    Parameters
    ----------
    x, y : ndarray of int64, shape (n,)
        Coordinates of the nodes, ordered by (board, y, x).
    board : ndarray of int64, shape (n,)
        Board of each node.
    neighbour : ndarray of int32, shape (n, n_ports)
        Node behind each port, or -1.
    opposite : ndarray of int32, shape (n, n_ports)
        Port of the neighbour through which packets from this port arrive, or -1.
    ports : tuple of str
        Names of the ports.
    core : ndarray of int64, shape (n_cores,)
        Core number, on its node, of each core that can host neurons, ordered by node.
    first_core : ndarray of int64, shape (n + 1,)
        The cores of node i are ``first_core[i]`` to ``first_core[i + 1]``.
    width, height : int
        Size of the bounding box, nodes.
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
    def cores_of_node(self) -> npt.NDArray[np.int64]:
        """Number of cores of each node that can host neurons."""
        return np.diff(self.first_core)

    @cached_property
    def node_of_core(self) -> npt.NDArray[np.int64]:
        """Node of each core."""
        return np.repeat(np.arange(self.n_nodes), self.cores_of_node)

    def label(self, node: int) -> str:
        """Return a node's name in messages, such as ``(3, 4)``."""
        return f"({self.x[node]}, {self.y[node]})"


def build_machine(board: Board) -> Machine:
    """Build the working parts of a machine of one or several boards.

    Raises
    ------
    DescriptionError
        If a dead part does not exist, all nodes are dead, or the number of cores is unknown or
        too large.
    """
    topology = board.topology
    where = f"board {board.name!r}, topology"
    nodes, width, height = _node_positions(topology)
    cores_per_node = board.chip.cores.require("the number of cores")
    reserved = board.chip.reserved.require("the number of cores for neurons")
    living = dict(nodes)
    for index, xy in enumerate(topology.dead.nodes):
        if xy not in nodes:
            raise _missing_node_error(xy, f"{where}.dead.nodes[{index}]", topology)
        living.pop(xy, None)
    if not living:
        raise DescriptionError("all nodes are dead", where=f"{where}.dead.nodes")
    index_of = {xy: number for number, xy in enumerate(living)}
    neighbour, opposite, names = _links(topology, index_of, width, height)
    for index, (x, y, port) in enumerate(topology.dead.links):
        context = f"{where}.dead.links[{index}]"
        if port not in names:
            raise unknown_name_error("port", port, names, where=context)
        if (x, y) not in nodes:
            raise _missing_node_error((x, y), context, topology)
        if (x, y) in index_of:
            _remove_link(neighbour, opposite, index_of[x, y], names.index(port))
    cores = _cores_by_node(topology, living, cores_per_node, reserved, where)
    return Machine(
        np.array([xy[0] for xy in living], np.int64),
        np.array([xy[1] for xy in living], np.int64),
        np.array([position[0] for position in living.values()], np.int64),
        neighbour,
        opposite,
        names,
        np.array([core for row in cores for core in row], np.int64),
        np.cumsum([0, *map(len, cores)], dtype=np.int64),
        width,
        height,
    )


def _node_positions(topology: Topology) -> tuple[dict[XY, tuple[int, XY]], int, int]:
    # (x, y) -> (board, position on the board); and the size of the bounding box.
    columns, rows = topology.board_grid
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
    """Return whether links wrap around in x and in y."""
    if topology.wrap == "tiled":
        tiling = topology.tiling
        period = tiling.rows_to_wrap if tiling is not None else 0
        closes = period > 0 and topology.board_grid[1] % period == 0
        return closes, closes
    return topology.wrap in ("x", "both"), topology.wrap in ("y", "both")


def _links(
    topology: Topology, index_of: dict[XY, int], width: int, height: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], tuple[str, ...]]:
    if topology.kind in ("graph", "crossbar"):
        return _undirected_links(topology, index_of)
    steps = topology.ports
    wrap_x, wrap_y = _wraps(topology)
    neighbour = np.full((len(index_of), len(steps)), NO_NODE, np.int32)
    for (x, y), node in index_of.items():
        for port, (dx, dy) in enumerate(steps.values()):
            target = x + dx, y + dy
            if (wrap_x or 0 <= target[0] < width) and (wrap_y or 0 <= target[1] < height):
                target = target[0] % width, target[1] % height
                neighbour[node, port] = index_of.get(target, NO_NODE)
    half = len(steps) // 2
    opposite_port = (np.arange(len(steps), dtype=np.int32) + half) % len(steps)
    opposite = np.where(neighbour == NO_NODE, NO_NODE, opposite_port).astype(np.int32)
    return neighbour, opposite, tuple(steps)


def _undirected_links(
    topology: Topology, index_of: dict[XY, int]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], tuple[str, ...]]:
    # Ports are numbered in the order of the edges, including dead edges. They have no opposite
    # port on their node, and therefore no default route.
    size = topology.width
    edges = topology.edges
    if topology.kind == "crossbar":
        edges = tuple((a, b) for a in range(size) for b in range(a + 1, size))
    n_used = [0] * size
    links = []
    for index, (a, b) in enumerate(edges):
        if not (a < size and b < size) or a == b:
            raise DescriptionError(
                "the edge does not connect two nodes",
                where=f"topology.edges[{index}]",
                value=[a, b],
                allowed=f"two of 0 to {size - 1}",
            )
        links.append((a, n_used[a], b, n_used[b]))
        n_used[a], n_used[b] = n_used[a] + 1, n_used[b] + 1
    neighbour, opposite = np.full((2, len(index_of), max(n_used)), NO_NODE, np.int32)
    for a, port_a, b, port_b in links:
        if (a, 0) in index_of and (b, 0) in index_of:
            node_a, node_b = index_of[a, 0], index_of[b, 0]
            neighbour[node_a, port_a], opposite[node_a, port_a] = node_b, port_b
            neighbour[node_b, port_b], opposite[node_b, port_b] = node_a, port_a
    return neighbour, opposite, tuple(map(str, range(max(n_used))))


def _remove_link(
    neighbour: npt.NDArray[np.int32],
    opposite: npt.NDArray[np.int32],
    node: int,
    port: int,
) -> None:
    other_node, other_port = neighbour[node, port], opposite[node, port]
    if other_node == NO_NODE:
        return  # listed twice, at the edge of the machine, or the neighbour is dead
    neighbour[node, port] = opposite[node, port] = NO_NODE
    neighbour[other_node, other_port] = opposite[other_node, other_port] = NO_NODE


def _cores_by_node(
    topology: Topology, living: dict[XY, tuple[int, XY]], cores: int, reserved: int, where: str
) -> list[list[int]]:
    core_counts = {(x, y): count for x, y, count in topology.fewer_cores}
    total = sum(core_counts.get(context, cores) for _, context in living.values())
    if total > _MAX_CORES:
        raise DescriptionError(
            "the machine has too many cores for a mapping",
            where=where,
            value=total,
            allowed=f"at most {_MAX_CORES:,}",
        )
    cores_of_node = {
        xy: list(range(reserved, core_counts.get(context, cores)))
        for xy, (_, context) in living.items()
    }
    dead_nodes = set(topology.dead.nodes)
    for index, (x, y, core) in enumerate(topology.dead.cores):
        context = f"{where}.dead.cores[{index}]"
        if (x, y) in dead_nodes:
            continue
        if (x, y) not in living:
            raise _missing_node_error((x, y), context, topology)
        if not 0 <= core < core_counts.get(living[x, y][1], cores):
            raise DescriptionError("no such core", where=context, value=[x, y, core])
        if core in cores_of_node[x, y]:
            cores_of_node[x, y].remove(core)
    return list(cores_of_node.values())


def _missing_node_error(xy: XY, where: str, topology: Topology) -> DescriptionError:
    columns, rows = topology.board_grid
    return DescriptionError(
        "no such node",
        where=where,
        value=list(xy),
        allowed=f"a {topology.node} of {columns}x{rows} boards",
    )
