"""Mappings deliver every packet exactly where it belongs; where not, the checker notices."""

from dataclasses import replace

import numpy as np
import pytest
from networks.slices import all_to_all, modular, of_matrix, sparse

from distsnn.errors import DescriptionError
from distsnn.partition.boards import placement
from distsnn.partition.boards.board import Board, load_board
from distsnn.partition.boards.check import check_cores, check_keys, check_tables
from distsnn.partition.boards.energy import energy_cost
from distsnn.partition.boards.geometry import build_machine
from distsnn.partition.boards.mapping import OBJECTIVES, BoardMapping, map_graph, route_mapping
from distsnn.partition.boards.placement import hilbert_order, hops_between
from distsnn.partition.boards.report import mapping_report
from distsnn.partition.boards.resources import (
    check_runnable,
    pack_slices,
    slice_resources,
    slice_to_fit,
)
from distsnn.partition.boards.tables import compress_tables, uncompressed_tables
from distsnn.partition.boards.topology import DeadParts, Topology


def mapped(graph, board: str | Board = "spin5", **more) -> BoardMapping:
    if isinstance(board, str):
        board = load_board(board)
    return map_graph(graph, board, **({"trials": 20_000} | more))


@pytest.fixture(scope="module")
def small() -> BoardMapping:
    # 96 slices on 6 chips, where tables have something to merge
    return mapped(sparse(96, 20))


def without_default(board: Board) -> Board:
    router = board.router
    default = replace(router.default_route, value=False)
    return replace(board, router=replace(router, default_route=default))


def kinds(mapping: BoardMapping) -> set[str]:
    return {one.kind for one in mapping.check()}


def crossed(mapping: BoardMapping) -> np.ndarray:
    parts = mapping.core_targets, mapping.board, mapping.machine, mapping.physical_core
    return check_tables(*parts, mapping.keys, mapping.tables)[1]


def test_what_is_mapped_is_right_and_its_loads_are_what_packets_cross(small: BoardMapping) -> None:
    assert small.check() == []
    assert small.tables.sizes.sum() < small.routes.source.size
    assert small.link_load.sum() == pytest.approx(
        (crossed(small) * small.core_targets.spike_rate).sum()
    )


def test_plain_tables_are_right_too(small: BoardMapping) -> None:
    plain = uncompressed_tables(small.routes, small.keys, small.machine.n_nodes)
    assert replace(small, tables=plain).check() == []


def test_the_same_seed_gives_the_same_mapping(small: BoardMapping) -> None:
    again = mapped(sparse(96, 20))
    assert np.array_equal(again.physical_core, small.physical_core)
    assert np.array_equal(again.tables.key, small.tables.key)


def test_routes_are_shortest_and_multicast_trees_use_no_more_links(small: BoardMapping) -> None:
    hops, node = hops_between(small.machine), small.machine.node_of_core[small.physical_core]
    for one in range(96):
        reached = np.unique(
            node[
                small.core_targets.target[
                    small.core_targets.start[one] : small.core_targets.start[one + 1]
                ]
            ]
        )
        ways = hops[small.node_of_slice[one], reached]
        assert ways.max() <= crossed(small)[one] <= ways.sum()


def test_placement_follows_the_modules() -> None:
    # each module fits a chip: nearly nothing need leave it
    graph = modular(8, 16, 0)
    spread, best = mapped(graph, trials=0), mapped(graph, trials=200_000)
    assert best.link_load.sum() < 0.25 * spread.link_load.sum()


def test_congestion_lowers_the_largest_load() -> None:
    graph = sparse(200, 10)
    short, even = mapped(graph), mapped(graph, objective="congestion")
    assert even.check() == []
    assert even.link_load.max() < short.link_load.max()


def test_fixed_routes_cannot_be_spread() -> None:
    for name in ("loihi", "truenorth", "dynapse2"):
        with pytest.raises(
            DescriptionError, match=r"routes of this board are fixed.*allowed: hops, energy"
        ):
            mapped(sparse(4, 1), name, objective="congestion")


def test_energy_keeps_chips_off_and_lets_packets_share_their_ways() -> None:
    graph = sparse(100, 10)
    short, least = (
        mapping_report(mapped(graph, objective=what, trials=100_000)) for what in ("hops", "energy")
    )
    assert least["chips"] == 6 < short["chips"]  # each has room for 16 or 17
    assert least["power_W"]["total"] < short["power_W"]["total"]
    mapping = mapped(graph, objective="energy")
    assert mapping.check() == []
    parts = (
        mapping.board,
        mapping.machine,
        graph,
        mapping.core_targets,
        mapping.resources,
        mapping.physical_core,
    )
    plain = route_mapping(*parts)
    assert mapping.link_load.sum() < plain.link_load.sum()


def test_energy_of_loihi_prefers_the_cheaper_direction() -> None:
    board = load_board("loihi")
    made = build_machine(board)
    cost = energy_cost(board, made)
    dx, dy = (abs(np.subtract.outer(at, at)) for at in (made.x, made.y))
    assert cost.packet_cost == pytest.approx(3.0e-12 * dx + 4.2e-12 * dy)
    # a slice a core: all of them fill half of the chip
    core = replace(board.core, max_neurons=replace(board.core.max_neurons, value=256))
    graph, small = sparse(60, 6), replace(board, core=core)
    powers = [
        mapping_report(mapped(graph, small, objective=what))["power_W"]
        for what in ("hops", "energy")
    ]
    hops, energy = (one["hop_x"] + one["hop_y"] for one in powers)
    assert energy < hops


def test_energy_is_refused_where_it_is_unknown() -> None:
    for board, figure in (
        (load_board("loihi2").tiled(2, 1), r"energy\.hop_x"),
        (load_board("loihi").tiled(2, 1), r"energy\.idle_chip"),
    ):
        with pytest.raises(DescriptionError, match=figure):
            mapped(sparse(4, 2), board, objective="energy")


def test_all_to_all_needs_few_entries() -> None:
    mapping = mapped(all_to_all(160), trials=0)
    assert mapping.tables.sizes.max() <= 2 * 10
    assert mapping.check() == []


def test_a_merged_entry_does_not_come_before_the_block_of_which_it_takes_a_part() -> None:
    # slices 0 and 2 merge to keys ..10...., half of those of slice 1, which goes the same way and
    # cannot join them: what goes another way lies between
    matrix = np.zeros((7, 7))
    matrix[:3, 0] = matrix[3:, 1] = 1.0
    mapping = mapped(of_matrix(matrix, neurons=np.array([16, 64, *[16] * 5])), trials=0)
    key = np.array([0x20, 0x40, 0xE0, 0x00, 0x10, 0x30, 0x80])
    keys = replace(mapping.keys, key=key)
    tables = compress_tables(mapping.routes, keys, mapping.machine, default=True)
    assert tables.key[:2].tolist() == [0x40, 0x20]
    assert replace(mapping, keys=keys, tables=tables).check() == []


def test_a_machine_of_one_node_without_links_is_mapped_onto() -> None:
    board = load_board("spin5")
    alone = replace(board, topology=Topology("crossbar", "chip", 1, 1))
    for what in OBJECTIVES:
        assert mapped(all_to_all(4), alone, objective=what, trials=10).link_load.size == 0


def test_the_curve_visits_neighbours() -> None:
    made = build_machine(load_board("loihi").tiled(1, 2))
    order = hilbert_order(made)
    assert sorted(order) == list(range(64))
    assert (hops_between(made)[order[:-1], order[1:]] == 1).all()


# what goes wrong, on purpose


def flipped(mapping: BoardMapping, entry: int, port: int) -> set[str]:
    """Return what is noticed where an entry has a link more, or fewer."""
    links = mapping.tables.links.copy()
    links[entry] ^= 1 << port
    return kinds(replace(mapping, tables=replace(mapping.tables, links=links)))


def test_a_corrupt_route_is_noticed(small: BoardMapping) -> None:
    made, tables = small.machine, small.tables
    node = np.repeat(np.arange(made.n_nodes), tables.sizes)
    lost = edge = 0
    for entry, links in enumerate(tables.links):
        for port in range(made.n_ports):
            if links >> port & 1:
                assert flipped(small, entry, port) == {"missing delivery"}
                lost += 1
            elif made.neighbour[node[entry], port] < 0:
                assert flipped(small, entry, port) == {"dead link"}
                edge += 1
    assert min(lost, edge) > 0
    # a packet that also goes back comes to where it was
    plain = replace(small, tables=uncompressed_tables(small.routes, small.keys, made.n_nodes))
    arrival = small.routes.arrival[np.argsort(small.routes.node, kind="stable")]
    passing = np.flatnonzero(arrival >= 0)
    assert passing.size
    for entry in passing:
        assert flipped(plain, entry, arrival[entry]) == {"loop"}


def test_a_corrupt_core_is_noticed(small: BoardMapping) -> None:
    cores = small.tables.cores.copy()
    entry = int(np.flatnonzero(cores.any(axis=1))[0])
    number = int(cores[entry, 0]).bit_length() - 1
    cores[entry, 0] ^= np.uint64(1 << number)
    assert kinds(replace(small, tables=replace(small.tables, cores=cores))) == {"missing delivery"}
    cores[entry, 0] |= np.uint64(1 << 0)  # the monitor's core
    assert "dead core" in kinds(replace(small, tables=replace(small.tables, cores=cores)))


def test_a_corrupt_key_is_noticed(small: BoardMapping) -> None:
    made = small.machine
    plain = uncompressed_tables(small.routes, small.keys, made.n_nodes)
    arrival = small.routes.arrival[np.argsort(small.routes.node, kind="stable")]

    def corrupt(entry: int, mapping: BoardMapping) -> set[str]:
        key = plain.key.copy()
        key[entry] ^= 1 << 31  # no slice has such keys
        return kinds(replace(mapping, tables=replace(plain, key=key)))

    own, passing = (int(np.flatnonzero(of)[0]) for of in (arrival < 0, arrival >= 0))
    assert corrupt(own, small) == {"no entry", "missing delivery"}
    # where nothing goes by default
    strict = replace(small, board=without_default(small.board))
    assert replace(strict, tables=plain).check() == []
    assert corrupt(passing, strict) == {"dropped packet", "missing delivery"}


def test_an_entry_that_splits_a_block_is_noticed(small: BoardMapping) -> None:
    mask = small.tables.mask.copy()
    mask[:] |= 1
    assert "split keys" in kinds(replace(small, tables=replace(small.tables, mask=mask)))


def test_a_lost_table_is_noticed(small: BoardMapping) -> None:
    empty = replace(small.tables, start=np.zeros_like(small.tables.start))
    assert kinds(replace(small, tables=empty)) == {"no entry", "missing delivery"}


def test_dropped_packets_are_found_without_default_routes() -> None:
    mapping = mapped(sparse(200, 10))
    made, routes = mapping.machine, mapping.routes
    plain = uncompressed_tables(routes, mapping.keys, made.n_nodes)
    turns = ~routes.is_default_routed(made)[np.argsort(routes.node, kind="stable")]
    assert not turns.all()
    start = np.concatenate(([0], np.cumsum(turns)))[plain.start]
    arrays = {name: getattr(plain, name)[turns] for name in ("key", "mask", "links", "cores")}
    relying = replace(mapping, tables=replace(plain, start=start, **arrays))
    assert relying.check() == []
    board = without_default(mapping.board)
    assert kinds(replace(relying, board=board)) == {"dropped packet", "missing delivery"}
    assert mapped(sparse(200, 10), board).check() == []


def test_a_loop_and_a_duplicate_are_noticed() -> None:
    # node 2 stands above node 0, and below it too: two links lead there
    mapping = mapped(of_matrix(np.array([[0.0, 1.0], [0.0, 0.0]])), "spin3", trials=0)
    made = mapping.machine
    places = np.array([made.first_core[0], made.first_core[2]])
    there, twice = (int(port) for port in np.flatnonzero(made.neighbour[0] == 2))
    core = np.array([[0], [1 << int(made.core[places[1]])]], np.uint64)
    tables = replace(
        mapping.tables,
        start=np.array([0, 1, 1, 2, 2]),
        key=mapping.keys.key[[0, 0]],
        mask=mapping.keys.mask[[0, 0]],
        links=np.array([1 << there, 0]),
        cores=core,
    )
    good = replace(mapping, physical_core=places, tables=tables)
    assert good.check() == []
    back = int(made.opposite[0, there])
    loop = replace(tables, links=np.array([1 << there, 1 << back]))
    assert kinds(replace(good, tables=loop)) == {"loop"}
    both = replace(tables, links=np.array([1 << there | 1 << twice, 0]))
    assert kinds(replace(good, tables=both)) == {"duplicate"}


def test_an_overfull_core_is_noticed(small: BoardMapping) -> None:
    needs = replace(
        small.resources, neurons=small.resources.neurons + np.eye(96, dtype=int)[7] * 100
    )
    (found,) = check_cores(
        small.core_targets, needs, small.board, small.machine, small.physical_core
    )
    assert (found.kind, "neurons 356, allowed 256" in found.message) == ("overfull core", True)
    places = small.physical_core.copy()
    places[3] = places[2]
    assert "shared core" in kinds(replace(small, physical_core=places))


def test_overfull_memory_is_noticed(small: BoardMapping) -> None:
    needs = replace(small.resources, memory=np.full(96, 1e7))
    found = check_cores(small.core_targets, needs, small.board, small.machine, small.physical_core)
    assert {one.kind for one in found} == {"overfull node"}


def test_a_link_that_is_cut_is_noticed(small: BoardMapping) -> None:
    node, port = np.unravel_index(small.link_load.argmax(), small.link_load.shape)
    made = small.machine
    dead = DeadParts(links=((int(made.x[node]), int(made.y[node]), made.ports[port]),))
    cut = replace(small, machine=build_machine(small.board.without(dead)))
    assert kinds(cut) == {"dead link", "missing delivery"}


def test_a_duplicate_key_is_noticed(small: BoardMapping) -> None:
    key = small.keys.key.copy()
    key[5] = key[9]
    found = check_keys(small.resources.neurons, replace(small.keys, key=key))
    assert [one.kind for one in found] == ["duplicate key"]
    assert "slices 5 and 9" in found[0].message or "slices 9 and 5" in found[0].message


def test_keys_too_few_or_unaligned_are_noticed(small: BoardMapping) -> None:
    mask = small.keys.mask.copy()
    mask[4] |= 128
    found = check_keys(small.resources.neurons, replace(small.keys, mask=mask))
    assert [one.kind for one in found] == ["too few keys"]
    key = small.keys.key.copy()
    key[4] += 3
    assert "unaligned key" in {
        one.kind for one in check_keys(small.resources.neurons, replace(small.keys, key=key))
    }


def test_a_key_out_of_range_is_noticed(small: BoardMapping) -> None:
    # the last block that there is, and the one after it
    for first, noticed in ((2**32 - 256, []), (2**32, ["key out of range"])):
        key = small.keys.key.copy()
        key[4] = first
        found = check_keys(small.resources.neurons, replace(small.keys, key=key))
        assert [one.kind for one in found] == noticed


def test_a_table_that_is_too_large_is_refused() -> None:
    board = load_board("spin5")
    router = board.router
    tight = replace(board, router=replace(router, entries=replace(router.entries, value=5)))
    with pytest.raises(DescriptionError, match="table too large"):
        mapped(sparse(96, 20), tight)


# what does not fit, or cannot run


def test_too_many_slices_are_refused() -> None:
    with pytest.raises(DescriptionError, match="does not fit"):
        mapped(sparse(69, 2), "spin3")


@pytest.mark.parametrize("large_first", [True, False])
def test_chips_that_were_passed_are_returned_to_where_memory_is_short(large_first: bool) -> None:
    # 40 cores of 70 MB and 40 of 50 MB: two large ones fit no chip, but one of each do
    sizes = (70e6, 50e6) if large_first else (50e6, 70e6)
    synapses = np.repeat(sizes, 40) / 4 - 3 * 256
    mapping = mapped(of_matrix(np.diag(synapses)), trials=0)
    assert mapping.check() == []
    assert np.bincount(mapping.node_of_slice).max() == 2
    assert np.unique(mapping.node_of_slice).size == 40
    with pytest.raises(DescriptionError, match="does not fit"):
        mapped(of_matrix(np.diag(np.full(49, 17e6))), trials=0)


def test_too_few_cores_are_refused_at_once_without_shared_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Loihi's cores have memory of their own: in any order they are as many
    monkeypatch.setattr(placement, "_first_fit", lambda *_: pytest.fail("tried"))
    assert mapped(of_matrix(np.eye(128), neurons=1024), "loihi", trials=0).check() == []
    with pytest.raises(DescriptionError, match="given '129 cores'; allowed: 128 cores"):
        mapped(of_matrix(np.eye(129), neurons=1024), "loihi", trials=0)


def test_slices_too_large_are_refused_with_the_limit() -> None:
    with pytest.raises(DescriptionError, match=r"neurons.*300.*at most 256"):
        mapped(sparse(4, 2, neurons=300))


def test_slices_shrink_until_they_fit() -> None:
    def graph_of(neurons: int):
        pieces = -(-1000 // neurons)
        sizes = np.full(pieces, neurons)
        sizes[-1] = 1000 - neurons * (pieces - 1)
        return of_matrix(0.5 * np.outer(sizes, sizes), neurons=sizes)

    board = load_board("spin5")
    assert slice_to_fit(graph_of, board)[1] == 256
    core = board.core
    memory = replace(core.max_neurons, value=400_000)
    tight = replace(board, core=replace(core, synapse_memory=memory))
    graph, neurons, _ = slice_to_fit(graph_of, tight)
    assert slice_resources(graph, tight).memory.max() <= 400_000
    assert slice_resources(graph_of(neurons + 10), tight).memory.max() > 400_000


def test_akida_refuses_integrators_and_recurrence_with_the_reason() -> None:
    board = load_board("akida")
    with pytest.raises(DescriptionError, match=r"thresholds without memory.*iaf_psc_exp"):
        map_graph(sparse(4, 2), board, models=["iaf_psc_exp"])
    with pytest.raises(DescriptionError, match="recurrent network: layers feed forward"):
        map_graph(all_to_all(4), board)


@pytest.mark.parametrize(
    "links", [[(0, 0)], [(0, 1), (1, 0)], [(0, 1), (1, 2), (3, 2), (2, 4), (4, 1)]]
)
def test_a_population_that_reaches_itself_is_recurrent(links: list[tuple[int, int]]) -> None:
    with pytest.raises(DescriptionError, match="recurrent network: layers feed forward"):
        check_runnable(load_board("akida"), [], links)


class Looked(int):
    """A population that tells how often any is looked up."""

    times = 0

    def __hash__(self) -> int:
        Looked.times += 1
        return int(self)


def test_many_layers_that_feed_forward_are_seen_to_in_one_pass() -> None:
    links = [(Looked(a), Looked(b)) for b in range(60) for a in range(b)]
    check_runnable(load_board("akida"), [], links)
    # not once for each layer
    assert 0 < Looked.times < 10 * len(links)


def test_loihi_sends_a_packet_to_each_core_and_shares_cores() -> None:
    ring = np.eye(60)
    ring = sum(np.roll(ring, shift, axis=1) for shift in (1, 2, 11)) * 100.0
    graph = of_matrix(ring, neurons=512)
    board = load_board("loihi")
    core = pack_slices(graph, board)
    assert core.max() == 29
    mapping = mapped(graph, board)
    assert mapping.tables is None
    assert mapping.check() == []
    hops, node = hops_between(mapping.machine), mapping.machine.node_of_core[mapping.physical_core]
    expected = sum(
        mapping.core_targets.spike_rate[one] * hops[mapping.node_of_slice[one], node[target]]
        for one in range(60)
        for target in mapping.core_targets.target[
            mapping.core_targets.start[one] : mapping.core_targets.start[one + 1]
        ]
    )
    assert mapping.link_load.sum() == pytest.approx(expected)


def test_truenorth_takes_one_target_core_a_slice() -> None:
    chain = np.roll(np.eye(6) * 100.0, 1, axis=1)
    assert mapped(of_matrix(chain, neurons=100), "truenorth", trials=100).check() == []
    chain[2, 5] = 100.0
    with pytest.raises(
        DescriptionError, match=r"out_axons limit; given 300\.0; allowed: at most 256"
    ):
        mapped(of_matrix(chain, neurons=100), "truenorth", trials=100)
    board = load_board("truenorth")
    unshared = replace(board.core, populations=replace(board.core.populations, value=1))
    with pytest.raises(DescriptionError, match="several axons: slice 2 reaches 2"):
        mapped(of_matrix(chain, neurons=100), replace(board, core=unshared), trials=100)


def test_an_unknown_objective_is_named() -> None:
    with pytest.raises(DescriptionError, match="did you mean 'hops'"):
        mapped(sparse(4, 2), objective="hop")
