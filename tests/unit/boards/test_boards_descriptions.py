"""Boards are read from YAML, checked field by field, and what is unknown is refused."""

import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from distsnn.errors import DescriptionError
from distsnn.partition.boards.board import Board, builtin_boards, load_board, parse_board
from distsnn.partition.boards.geometry import Machine, build_machine
from distsnn.partition.boards.topology import DeadParts

SPIN5 = Path(__file__).parents[3] / "partition/boards/descriptions/spin5.yaml"


def spin5() -> dict:
    return yaml.safe_load(SPIN5.read_text())


def links(made: Machine) -> set[tuple[int, int, str, int, int]]:
    return {
        (int(made.x[a]), int(made.y[a]), made.ports[p], int(made.x[b]), int(made.y[b]))
        for a, p in zip(*np.nonzero(made.neighbour >= 0), strict=True)
        for b in [made.neighbour[a, p]]
    }


def check_links(made: Machine) -> None:
    """Every link has another one back, at the port that it tells."""
    for node, port in zip(*np.nonzero(made.neighbour >= 0), strict=True):
        there, back = made.neighbour[node, port], made.opposite[node, port]
        assert (made.neighbour[there, back], made.opposite[there, back]) == (node, port)


@pytest.mark.parametrize("name", builtin_boards())
def test_every_shipped_board_is_valid_and_names_its_sources(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    check_links(build_machine(board))


@pytest.mark.parametrize(
    ("name", "nodes", "cores", "directed_links"),
    [("spin5", 48, 808, 240), ("spin3", 4, 68, 16), ("loihi", 32, 128, 104), ("akida", 1, 80, 0)],
)
def test_sizes(name: str, nodes: int, cores: int, directed_links: int) -> None:
    made = build_machine(load_board(name))
    assert (made.n_nodes, made.core.size, len(links(made))) == (nodes, cores, directed_links)


@pytest.mark.parametrize(
    ("columns", "rows", "box", "directed_links"),
    [
        (1, 3, (12, 12), 144 * 6),  # a triad: every link is there
        (3, 3, (36, 12), 432 * 6),
        (1, 2, (16, 12), 496),
        (2, 1, (20, 8), None),
    ],
)
def test_boards_join_to_rectangles(
    columns: int, rows: int, box: tuple[int, int], directed_links: int | None
) -> None:
    made = build_machine(load_board("spin5").tiled(columns, rows))
    assert made.n_nodes == 48 * columns * rows
    assert (made.width, made.height) == box
    assert directed_links in (None, len(links(made)))
    assert set(np.bincount(made.board)) == {48}
    check_links(made)


def test_dead_parts_are_left_out() -> None:
    board = load_board("spin5")
    whole = build_machine(board)
    dead = DeadParts(
        nodes=((3, 3),), cores=((0, 0, 5), (3, 3, 2)), links=((4, 4, "NE"), (5, 5, "SW"))
    )
    made = build_machine(board.without(dead))
    lost = links(whole) - links(made)
    assert lost == {one for one in links(whole) if (3, 3) in (one[:2], one[3:])} | {
        (4, 4, "NE", 5, 5),
        (5, 5, "SW", 4, 4),
    }
    first = next(one for one in range(made.n_nodes) if (made.x[one], made.y[one]) == (0, 0))
    mine = made.core[made.first_core[first] : made.first_core[first + 1]]
    assert list(mine) == [1, 2, 3, 4, *range(6, 18)]
    check_links(made)


@pytest.mark.parametrize(
    ("dead", "what"),
    [
        (DeadParts(nodes=((7, 0),)), "dead.nodes[0]: no such node"),
        (DeadParts(cores=((1, 1, 17),)), "dead.cores[0]: no such core"),
        (DeadParts(cores=((7, 0, 1),)), "dead.cores[0]: no such node"),
        (DeadParts(links=((0, 0, "NNE"),)), "did you mean 'NE'"),
    ],
)
def test_invalid_dead_component_is_refused(dead: DeadParts, what: str) -> None:
    with pytest.raises(DescriptionError) as error:
        build_machine(load_board("spin5").without(dead))
    assert what in str(error.value)


def in_a_row(kind: str, nodes: int, edges: list[list[int]], scheme: str = "multicast") -> Board:
    """Read a board of spin5's chips, in one row, with links of their own."""
    data = spin5()
    for key in ("outline", "tiling", "fewer_cores"):
        data["topology"].pop(key)
    row = {"kind": kind, "width": nodes, "height": 1, "wrap": "none", "edges": edges}
    data["topology"] |= row
    data["router"]["scheme"]["value"] = scheme
    return parse_board(data, where="mine.yaml")


def test_graph_and_crossbar() -> None:
    made = build_machine(in_a_row("graph", 4, [[0, 1], [1, 2], [3, 1]]))
    check_links(made)
    assert [sorted(row[row >= 0]) for row in made.neighbour] == [[1], [0, 2, 3], [1], [1]]
    made = build_machine(in_a_row("crossbar", 4, []))
    check_links(made)
    assert [sorted(row[row >= 0]) for row in made.neighbour] == [
        [one for one in range(4) if one != node] for node in range(4)
    ]
    with pytest.raises(DescriptionError, match=r"edges\[0\]"):
        build_machine(in_a_row("graph", 4, [[0, 4]]))


def test_ports_of_a_graph_keep_their_numbers_where_parts_are_dead() -> None:
    dead = DeadParts(nodes=((1, 0),), links=((0, 0, "2"),))
    made = build_machine(in_a_row("graph", 4, [[0, 1], [0, 2], [0, 3]]).without(dead))
    check_links(made)
    # nodes 0, 2 and 3 are left, and the link from 0 to 2
    assert made.neighbour.tolist() == [[-1, 1, -1], [0, -1, -1], [-1, -1, -1]]


@pytest.mark.parametrize("kind", ["crossbar", "graph"])
def test_more_links_than_a_route_can_name_are_refused(kind: str) -> None:
    def star(nodes: int, scheme: str = "multicast") -> Board:
        edges = [[0, one] for one in range(1, nodes)] if kind == "graph" else []
        return in_a_row(kind, nodes, edges, scheme)

    assert build_machine(star(63)).n_ports == 62
    assert build_machine(star(64, "unicast")).n_ports == 63
    with pytest.raises(DescriptionError, match=r"mine\.yaml: topology: .*63; allowed: at most 62"):
        star(64)


def broken(**changes: object) -> Board:
    """Read spin5 with some fields, such as ``router__entries``, replaced."""
    data = spin5()
    for key, value in changes.items():
        *sections, last = key.split("__")
        place = data
        for section in sections:
            place = place[section]
        place[last] = value
    return parse_board(data, where="mine.yaml")


FIGURE = {"value": 1, "source": "furber2014", "confidence": "high"}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"router__entires": FIGURE}, ("mine.yaml: router", "'entires'", "'entries'")),
        ({"router__entries": 1023}, ("mine.yaml: router.entries", "must be a mapping")),
        ({"router__entries__value": -1}, ("mine.yaml: router.entries", "-1", ">= 1")),
        ({"router__entries__value": True}, ("router.entries", "an integer")),
        ({"router__entries__source": "furber"}, ("router.entries", "'furber2014'")),
        ({"router__entries__confidence": "hihg"}, ("router.entries", "did you mean 'high'")),
        ({"router__scheme__value": "multicas"}, ("router.scheme", "did you mean 'multicast'")),
        ({"router__key_bits__value": 64}, ("router.key_bits", "at most 32")),
        ({"energy__hop_x__value": "1e-9"}, ("energy.hop_x", "1.0e-9")),
        ({"energy__hop_x__value": float("nan")}, ("energy.hop_x", "finite")),
        ({"core__models__value": "any"}, ("core.models", "list of names")),
        ({"core__recurrent__value": 1}, ("core.recurrent", "true or false")),
        ({"chip__reserved__value": 18}, ("chip.reserved", "all cores of a chip are reserved")),
        ({"topology__kind": "hex"}, ("topology.kind", "hex_torus")),
        ({"topology__source": "spin_machine"}, ("topology.source", "mean 'spinn_machine'")),
        ({"topology__source": ["spinn_machine"]}, ("topology.source", "spinn_machine")),
        ({"topology__confidence": "hihg"}, ("topology.confidence", "did you mean 'high'")),
        ({"router__entries__source": ["furber2014"]}, ("router.entries", "furber2014")),
        ({"topology__outline": [[0, 4]]}, ("topology.outline", "1 rows", "8 rows")),
        ({"topology__dead": {"links": [[0, 0, 1]]}}, ("dead.links[0]", "[x, y, port]")),
        ({"topology__boards": [0, 1]}, ("topology.boards", "0x1")),
        ({"topology__boards": [10**5, 10**5]}, ("topology.boards", "640,000,000,000 nodes")),
        (
            {"topology__width": 10**9, "topology__outline": None},
            ("topology: ", "at most 4,194,304"),
        ),
        ({"router__entries__value": 10**5000}, ("router.entries", "an integer of 16,610 bits")),
        ({"energy__hop_x__value": 10**400}, ("energy.hop_x", "1,329 bits; allowed: finite")),
        ({"format": 2}, ("mine.yaml: format", "2")),
        ({"colour": "green"}, ("mine.yaml", "'colour'")),
    ],
)
def test_mistakes_are_named_with_file_and_field(
    changes: dict[str, object], parts: tuple[str, ...]
) -> None:
    with pytest.raises(DescriptionError) as error:
        broken(**changes)
    assert [part for part in parts if part not in str(error.value)] == []


def test_a_missing_field_is_no_unknown_one() -> None:
    data = spin5()
    del data["links"]["latency"]
    with pytest.raises(DescriptionError, match="'latency' is missing"):
        parse_board(data, where="mine.yaml")


def test_an_unknown_figure_is_refused_and_listed() -> None:
    board = load_board("spin5")
    assert "links.latency" in board.unknown_parameters()
    with pytest.raises(DescriptionError) as error:
        board.links.latency.require("the latency of a spike")
    assert "spin5.yaml: links.latency" in str(error.value)
    assert board.router.entries.require("tables") == 1023


def test_files_are_read_and_names_are_corrected(tmp_path: Path) -> None:
    copy = tmp_path / "mine.yaml"
    copy.write_text(SPIN5.read_text().replace("name: spin5", "name: mine"))
    assert load_board(copy).name == "mine"
    copy.write_text("a: [")
    with pytest.raises(DescriptionError, match="not YAML"):
        load_board(copy)
    copy.write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(DescriptionError, match="not YAML"):
        load_board(copy)
    with pytest.raises(DescriptionError, match="cannot be read"):
        load_board(tmp_path / "other.yaml")
    with pytest.raises(DescriptionError, match="did you mean 'spin5'"):
        load_board("spin-5")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("a: {" * 50_000, "nested too deeply"),
        ("- " * 100_000, "nested too deeply"),
        (f"width: {'9' * 5000}", "a value cannot be read .*digits"),
        ("day: 2026-13-40", "a value cannot be read"),
        (f"name: {'x' * 300_000}", "too large for a board; allowed: at most 250,000 bytes"),
    ],
)
def test_files_that_would_take_long_are_refused(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    begin = time.process_time()
    with pytest.raises(DescriptionError, match=what) as error:
        load_board(path)
    assert time.process_time() - begin < 2.0
    assert str(path) in str(error.value) and len(str(error.value)) < 600


def test_machines_that_would_fill_the_memory_are_refused() -> None:
    with pytest.raises(
        DescriptionError, match=r"too many cores .*; given 48000000000; allowed: at"
    ):
        build_machine(broken(chip__cores__value=10**9, topology__fewer_cores=None))
    with pytest.raises(DescriptionError, match=r"cores .*given 1000000846; allowed: at most 8,388"):
        build_machine(broken(topology__fewer_cores=[[0, 0, 10**9]]))
    with pytest.raises(DescriptionError, match="10,000 nodes with up to 9,999 links each"):
        in_a_row("crossbar", 10_000, [], "unicast")


def test_boards_that_cannot_be_joined() -> None:
    with pytest.raises(DescriptionError, match="cannot be tiled"):
        load_board("spin3").tiled(2, 1)
