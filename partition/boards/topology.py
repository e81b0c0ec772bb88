"""Topology of a board: its nodes, links and dead parts, as described in the board file."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.partition.boards.board_parameters import CONFIDENCES, read_count, read_mapping

XY = tuple[int, int]

# Ports with their direction (dx, dy), in SpiNNaker's order. Opposite ports are half a list apart.
HEX_PORTS: dict[str, XY] = {
    "E": (1, 0),
    "NE": (1, 1),
    "N": (0, 1),
    "W": (-1, 0),
    "SW": (-1, -1),
    "S": (0, -1),
}
SQUARE_PORTS: dict[str, XY] = {"E": (1, 0), "N": (0, 1), "W": (-1, 0), "S": (0, -1)}
KINDS = ("hex_torus", "torus", "mesh2d", "graph", "crossbar")
WRAPS = ("none", "x", "y", "both", "tiled")
# Number of ports of all nodes; the SpiNNaker machine of a million cores has 345,600.
_MAX_PORTS = 1 << 22
_FIELDS = ["kind", "node", "width", "height", "wrap", "source", "confidence"]
_OPTIONAL = ("outline", "tiling", "fewer_cores", "dead", "edges", "boards")


@dataclass(frozen=True)
class BoardTiling:
    """Arrangement of boards in a larger machine.

    Board (i, j) is at x = column·i + (shift·j mod column), y = row·j.

    Parameters
    ----------
    column, row : int
        Nodes from one board of a row to the next, and from one row of boards to the next.
    shift : int
        Offset in x of a row of boards relative to the row below, modulo `column`, nodes.
    rows_to_wrap : int
        Number of rows of boards after which the pattern repeats, so that opposite edges can be
        linked; 0 if they never are.
    """

    column: int
    row: int
    shift: int = 0
    rows_to_wrap: int = 0


@dataclass(frozen=True)
class DeadParts:
    """Parts that do not work, in coordinates of the whole machine.

    Parameters
    ----------
    nodes : tuple of (x, y)
        Nodes, with all their links.
    cores : tuple of (x, y, p)
        Cores.
    links : tuple of (x, y, port)
        Links, in both directions, by the name of the port at one end.
    """

    nodes: tuple[XY, ...] = ()
    cores: tuple[tuple[int, int, int], ...] = ()
    links: tuple[tuple[int, int, str], ...] = ()


@dataclass(frozen=True)
class Topology:
    """Nodes of a board, tiling of boards, and dead parts.

    Parameters
    ----------
    kind : str
        ``hex_torus``: six links per node; ``torus``, ``mesh2d``: four; ``graph``: nodes in one
        row, linked by `edges`; ``crossbar``: every node is one hop from every other.
    node : str
        Kind of the nodes: ``chip``, or a part of a chip with a router: ``tile``, ``core``.
    width, height : int
        Nodes of a board in x and y.
    wrap : str
        Whether opposite edges are linked: ``none``, ``x``, ``y``, ``both``, or ``tiled``: both,
        if the pattern of tiled boards repeats.
    outline : tuple of (first x, last x)
        Nodes of each row, from y = 0; empty: all nodes of the rectangle.
    tiling : BoardTiling or None
        Arrangement of several boards; None if boards cannot be tiled.
    fewer_cores : tuple of (x, y, cores)
        Nodes of a board with other numbers of cores.
    edges : tuple of (node, node)
        Links of a graph.
    board_grid : (columns, rows)
        Boards that are joined.
    dead : DeadParts
        Parts that do not work.
    source, confidence : str
        Key of the board's table of sources, and one of `board_parameters.CONFIDENCES`.
    """

    kind: str
    node: str
    width: int
    height: int
    wrap: str = "none"
    outline: tuple[XY, ...] = ()
    tiling: BoardTiling | None = None
    fewer_cores: tuple[tuple[int, int, int], ...] = ()
    edges: tuple[XY, ...] = ()
    board_grid: XY = (1, 1)
    dead: DeadParts = DeadParts()
    source: str = ""
    confidence: str = ""

    @property
    def ports(self) -> dict[str, XY]:
        """Ports of a node with their directions (dx, dy); empty if links have no direction."""
        if self.kind == "hex_torus":
            return HEX_PORTS
        return SQUARE_PORTS if self.kind in ("torus", "mesh2d") else {}

    @property
    def max_links(self) -> int:
        """Maximum number of links of a node."""
        if self.kind == "crossbar":
            return self.width - 1
        ends = Counter(node for edge in self.edges for node in edge)
        return len(self.ports) or max(ends.values(), default=0)


def read_topology(data: object, sources: Collection[str], *, where: str) -> Topology:
    """Read the topology of a board file.

    Parameters
    ----------
    data : object
        The mapping from the file.
    sources : collection of str
        Keys of the file's table of sources.
    where : str
        File and section, for errors.

    Raises
    ------
    DescriptionError
        If it is not a valid topology.
    """
    values = read_mapping(data, _FIELDS, where=where, optional=_OPTIONAL)
    choices = {"kind": KINDS, "wrap": WRAPS, "source": [*sources], "confidence": CONFIDENCES}
    for key, allowed in choices.items():
        if values[key] not in allowed:
            raise unknown_name_error(key, values[key], allowed, where=f"{where}.{key}")
    if not isinstance(values["node"], str):
        raise DescriptionError("must be a name", where=f"{where}.node", value=values["node"])
    width, height = (
        read_count(values[key], where=f"{where}.{key}", low=1) for key in ("width", "height")
    )
    outline = _integer_rows(values.get("outline"), 2, where=f"{where}.outline")
    if outline and len(outline) != height:
        raise DescriptionError(
            "must have one range of x for each y",
            where=f"{where}.outline",
            value=f"{len(outline)} rows",
            allowed=f"{height} rows",
        )
    for y, (first, last) in enumerate(outline):
        if first > last or last >= width:
            context = f"{where}.outline[{y}]"
            raise DescriptionError(
                "the range is not within the width",
                where=context,
                value=[first, last],
                allowed=f"0 to {width - 1}",
            )
    tiling = None
    if values.get("tiling") is not None:
        context = f"{where}.tiling"
        keys = ["column", "row", "shift", "rows_to_wrap"]
        tiling_values = read_mapping(values["tiling"], keys, where=context)
        minimum = {"column": 1, "row": 1}
        tiling = BoardTiling(
            **{
                key: read_count(
                    tiling_values[key], where=f"{context}.{key}", low=minimum.get(key, 0)
                )
                for key in keys
            }
        )
    topology = Topology(
        values["kind"],
        values["node"],
        width,
        height,
        values["wrap"],
        outline,
        tiling,
        _integer_rows(values.get("fewer_cores"), 3, where=f"{where}.fewer_cores"),
        _integer_rows(values.get("edges"), 2, where=f"{where}.edges"),
        dead=_read_dead_parts(values.get("dead"), where=f"{where}.dead"),
        source=values["source"],
        confidence=values["confidence"],
    )
    if topology.edges and topology.kind != "graph":
        raise DescriptionError(
            "only a graph has edges", where=f"{where}.edges", value=topology.kind
        )
    if values["kind"] in ("graph", "crossbar") and topology.height != 1:
        raise DescriptionError(
            "nodes stand in one row", where=f"{where}.height", value=topology.height
        )
    _check_size(topology, where=where)
    if values.get("boards") is not None:
        columns, rows = _integer_rows([values["boards"]], 2, where=f"{where}.boards")[0]
        topology = tile_boards(topology, columns, rows, where=f"{where}.boards")
    return topology


def _check_size(topology: Topology, *, where: str) -> None:
    columns, rows = topology.board_grid
    nodes, links = topology.width * topology.height * columns * rows, topology.max_links
    if nodes * max(1, links) > _MAX_PORTS:
        raise DescriptionError(
            "the machine is too large for a mapping",
            where=where,
            value=f"{nodes:,} nodes with up to {links:,} links each",
            allowed=f"at most {_MAX_PORTS:,} links of all nodes",
        )


def tile_boards(topology: Topology, columns: int, rows: int, *, where: str) -> Topology:
    """Return the topology of a rectangle of boards.

    Raises
    ------
    DescriptionError
        If the rectangle is empty, boards cannot be tiled, or the machine is too large.
    """
    if columns < 1 or rows < 1:
        raise DescriptionError(
            "the machine must have at least one board", where=where, value=f"{columns}x{rows}"
        )
    if (columns, rows) != (1, 1) and topology.tiling is None:
        raise DescriptionError(
            "boards of this kind cannot be tiled",
            where=where,
            value=f"{columns}x{rows}",
            allowed="1x1",
        )
    tiled = replace(topology, board_grid=(columns, rows))
    _check_size(tiled, where=where)
    return tiled


def _read_dead_parts(data: object, *, where: str) -> DeadParts:
    if data is None:
        return DeadParts()
    values = read_mapping(data, [], where=where, optional=("nodes", "cores", "links"))
    links = values.get("links") or []
    if not isinstance(links, list):
        raise DescriptionError("must be a list", where=f"{where}.links", value=links)
    for index, link in enumerate(links):
        if not isinstance(link, list) or len(link) != 3 or not isinstance(link[2], str):
            raise DescriptionError(
                "must be a link",
                where=f"{where}.links[{index}]",
                value=link,
                allowed="[x, y, port]",
            )
        _integer_rows([link[:2]], 2, where=f"{where}.links[{index}]")
    return DeadParts(
        _integer_rows(values.get("nodes"), 2, where=f"{where}.nodes"),
        _integer_rows(values.get("cores"), 3, where=f"{where}.cores"),
        tuple((link[0], link[1], link[2]) for link in links),
    )


def _integer_rows(data: object, length: int, *, where: str) -> tuple[Any, ...]:
    if data is None:
        return ()
    if not isinstance(data, list):
        raise DescriptionError("must be a list", where=where, value=data)
    checked = []
    for index, row in enumerate(data):
        if not isinstance(row, list) or len(row) != length:
            raise DescriptionError(
                f"must be a list of {length} integers", where=f"{where}[{index}]", value=row
            )
        checked.append(tuple(read_count(number, where=f"{where}[{index}]") for number in row))
    return tuple(checked)
