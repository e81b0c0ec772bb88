"""SpiNNaker's own tools: the same machines, our routes valid, our tables right and no larger."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from boards import GRAPHS, SPIN5, beside_pacman, edges
from networks.slices import sparse

from distsnn.partition.boards.board import load_board
from distsnn.partition.boards.export import pacman_placements, pacman_tables
from distsnn.partition.boards.geometry import build_machine
from distsnn.partition.boards.mapping import map_graph

pytestmark = pytest.mark.validation

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(ask_peer: Callable[[str], Ask]) -> Ask:
    """Return ``ask(task=..., **fields)``, which has PACMAN answer in a process of its own."""
    return ask_peer("pacman")


@pytest.mark.parametrize(
    ("name", "boards", "fields"),
    [
        ("spin3", (1, 1), {"version": 3, "width": 2, "height": 2}),
        ("spin5", (1, 1), SPIN5),
        ("spin5", (1, 3), {"version": 5, "width": 12, "height": 12}),
        ("spin5", (3, 3), {"version": 5, "width": 36, "height": 12}),
        ("spin5", (2, 6), {"version": 5, "width": 24, "height": 24}),
    ],
)
def test_machines_are_spinn_machines(
    ask: Ask, name: str, boards: tuple[int, int], fields: dict[str, int]
) -> None:
    board = load_board(name)
    made = build_machine(board.tiled(*boards))
    chips = {(one["x"], one["y"]): one for one in ask(task="machine", **fields)["chips"]}
    assert len(chips) == made.n_nodes
    for node in range(made.n_nodes):
        chip = chips[int(made.x[node]), int(made.y[node])]
        cores = made.core[made.first_core[node] : made.first_core[node + 1]].tolist()
        assert [*range(board.chip.reserved.require("test")), *cores] == chip["cores"]
        assert chip["reserved"] == board.chip.reserved.value
        assert chip["entries"] == board.router.entries.value
        assert chip["sdram"] == board.chip.shared_memory.value
        links = [
            [port, int(made.x[there]), int(made.y[there])]
            for port, there in enumerate(made.neighbour[node])
            if there >= 0
        ]
        assert links == chip["links"]


def test_pacman_follows_our_routes(ask: Ask) -> None:
    # 255 neurons, as PACMAN takes the key after the last for one of the slice's
    graph = sparse(96, 20, neurons=255)
    mapping = map_graph(graph, load_board("spin5"))
    assert mapping.keys is not None
    fields = {
        "neurons": graph.neurons.tolist(),
        "edges": edges(graph),
        "keys": np.column_stack([mapping.keys.key, mapping.keys.mask]).tolist(),
        "placements": pacman_placements(mapping),
    }
    plain = pacman_tables(mapping, compressed=False)
    assert ask(task="validate", plain=plain, **fields, **SPIN5) == {"valid": 96}
    broken = next(table["entries"] for table in plain if table["entries"])
    broken[0]["spinnaker_route"] ^= 1 << 6
    with pytest.raises(RuntimeError, match="PacmanRoutingException"):
        ask(task="validate", plain=plain, **fields, **SPIN5)


@pytest.mark.parametrize("name", GRAPHS)
def test_tables_are_right_and_smaller_and_spikes_travel_less(ask: Ask, name: str) -> None:
    found = beside_pacman(GRAPHS[name](), ask)
    for what in ("entries", "largest_table"):
        assert found[what]["ours"] <= found[what]["pacman"]
    assert found["rate_hops"]["ours"] <= 0.8 * found["rate_hops"]["pacman"]
