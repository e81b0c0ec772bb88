"""Which neurons have a synapse onto which core: expected, counted in what is built, and limited."""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import decoded
import numpy as np
import pytest

from distsnn.engine import edges as edges_module
from distsnn.errors import DescriptionError
from distsnn.network import (
    AllToAll,
    ConnectionFile,
    ConnectionList,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscExp,
    Network,
    OneToOne,
    PairwiseBernoulli,
    Population,
    Projection,
)
from distsnn.network.blocks import make_slices
from distsnn.partition import connectivity as contacts_module
from distsnn.partition.boards import slice_connectivity as reached_module
from distsnn.partition.boards.board import Board, load_board
from distsnn.partition.boards.core_targets import find_core_targets
from distsnn.partition.boards.export import to_json_data
from distsnn.partition.boards.mapping import BoardMapping, map_graph
from distsnn.partition.boards.packet_counts import count_packets
from distsnn.partition.boards.report import mapping_report
from distsnn.partition.boards.resources import NetworkSize, SlicedNetwork, pack_slices, slice_to_fit
from distsnn.partition.boards.slice_connectivity import (
    with_built_connectivity,
    with_expected_connectivity,
)
from distsnn.partition.traffic import TrafficGraph, build_traffic_graph
from distsnn.simulation.edge_routing import read_edges
from distsnn.tools.board_slices import iterate_network_synapses

E, INH = Population("E", 300, IafPscExp()), Population("I", 170, IafPscExp())


def drawn(rule: Any, pre: Any = E, post: Any = INH, name: str = "p") -> Projection:
    return Projection(pre, post, rule, weight=1.0, delay=1.0, name=name)


def limited(**core: int) -> Board:
    """Return Loihi with other figures of its cores."""
    board = load_board("loihi")
    figures = {name: replace(getattr(board.core, name), value=core[name]) for name in core}
    return replace(board, core=replace(board.core, **figures))


def expected(network: Network, n: int, rates: Any = 1.0) -> TrafficGraph:
    table = make_slices(network, n)

    def read(one: Projection) -> Any:
        return read_edges(one, network.dt)

    return with_expected_connectivity(
        build_traffic_graph(network, table, rates, read), network, table, read
    )


def counted(network: Network, n: int, rates: Any = 1.0, seed: int = 1) -> TrafficGraph:
    table, made = make_slices(network, n), expected(network, n, rates)
    return with_built_connectivity(
        made, network, table, rates, iterate_network_synapses(network, seed)
    )


def truth(network: Network, n: int, seed: int = 1) -> set[tuple[int, int]]:
    """Return each neuron and slice that it reaches, from the list of all synapses."""
    found = decoded.synapses(network, seed=seed)
    onto = make_slices(network, n).block_of_gid(found[:, decoded.TARGET])
    return set(zip(found[:, decoded.SOURCE].tolist(), onto.tolist(), strict=True))


def mixed() -> Network:
    """Return a network of all rules that draw, parts of populations among them."""
    return Network(
        [E, INH],
        [
            drawn(FixedIndegree(9), name="a"),
            drawn(FixedIndegree(5, autapses=False, multapses=False), E, E, name="b"),
            drawn(FixedOutdegree(4), INH, E, name="c"),
            drawn(FixedOutdegree(3, multapses=False), E[20:110], E[10:290], name="d"),
            drawn(FixedTotalNumber(500), INH, INH, name="e"),
            drawn(PairwiseBernoulli(0.02), INH[:100], E, name="f"),
            drawn(FixedIndegree(3), E[::3], INH[[0, 1, *range(90, 130)]], name="g"),
            drawn(PairwiseBernoulli(0.02, autapses=False), INH[1::2], INH[1::2], name="h"),
        ],
    )


def test_what_is_counted_is_what_is_built() -> None:
    network = mixed()
    graph, all_of_them = counted(network, 37), decoded.synapses(network)
    contacts = graph.connectivity
    neuron = np.repeat(np.arange(470), np.diff(contacts.start))
    found = list(zip(neuron.tolist(), contacts.target.tolist(), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == truth(network, 37)
    assert graph.synapses.sum() == len(all_of_them)
    for column, each in ((decoded.TARGET, contacts.fan_in), (decoded.SOURCE, contacts.fan_out)):
        assert np.bincount(all_of_them[:, column], minlength=470).tolist() == each.tolist()
    # pieces of one block each are the same network
    pieces = iterate_network_synapses(network, 1, chunk_size=1)
    other = with_built_connectivity(
        expected(network, 37), network, make_slices(network, 37), 1.0, pieces
    )
    assert (other.connectivity.target == contacts.target).all()
    assert (other.synapses == graph.synapses).all()
    assert (other.min_delay == 10).all()


def test_connectivity_does_not_depend_on_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    network, core = mixed(), np.arange(19) % 7
    graph, rng = counted(network, 25), np.random.default_rng(3)
    whole = find_core_targets(graph, core)
    assert find_core_targets(graph, core) is whole
    # pieces that end within a slice, and groups of slices that are put in order again and again
    monkeypatch.setattr(contacts_module, "_PAIRS_PER_CHUNK", 30)
    monkeypatch.setattr(reached_module, "_MIN_UNSORTED", 10)
    order = rng.permutation(graph.connectivity.target.size * 2) // 2  # each twice
    ends = np.repeat(np.arange(470), np.diff(graph.connectivity.start))[order]
    onto = make_slices(network, 25).gid[graph.connectivity.target[order]]
    pieces = [(ends[at : at + 200], onto[at : at + 200]) for at in range(0, order.size, 200)]
    table = make_slices(network, 25)
    other = with_built_connectivity(expected(network, 25), network, table, 1.0, pieces)
    assert other.connectivity.start.tolist() == graph.connectivity.start.tolist()
    assert other.connectivity.target.tolist() == graph.connectivity.target.tolist()
    pieced = find_core_targets(other, core)
    for name in ("start", "target", "n_sending_neurons", "sending_rate"):
        assert getattr(pieced, name).tolist() == getattr(whole, name).tolist()


def peak_bytes(work: Callable[[], Any]) -> int:
    """Return the most memory that arrays took while something was done."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_contacts_are_counted_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reached_module, "_MIN_UNSORTED", 1000)
    every, rng = Population("E", 4000, IafPscExp()), np.random.default_rng(3)
    network = Network([every], [drawn(FixedIndegree(500), every, every)])
    table = make_slices(network, 16)
    graph, found = build_traffic_graph(network, table, 1.0), []

    def pieces() -> Iterator[Any]:
        for first in range(0, 4000, 40):
            yield rng.integers(0, 4000, 20_000), np.repeat(np.arange(first, first + 40), 500)

    peak = peak_bytes(
        lambda: found.append(with_built_connectivity(graph, network, table, 1.0, pieces())),
    )
    number = found[0].connectivity.target.size
    assert number > 800_000
    assert peak < 16 * number


def test_contacts_are_expected_pair_by_pair() -> None:
    several = [Population(f"p{at}", 200, IafPscExp()) for at in range(8)]
    network = Network(
        several,
        [drawn(FixedIndegree(3), a, b, f"{a.name}{b.name}") for a in several for b in several],
    )
    table = make_slices(network, 2)
    graph = build_traffic_graph(network, table, 1.0)
    peak = peak_bytes(lambda: with_expected_connectivity(graph, network, table))
    # mean and variance are 16 bytes of an edge
    assert peak < 24 * graph.target.size


def test_expected_contacts_are_the_means_of_counted_ones() -> None:
    network, seeds = mixed(), 40
    graph = expected(network, 50)
    index = {pair: at for at, pair in enumerate(zip(graph.source, graph.target, strict=True))}
    total = np.zeros(graph.target.size)
    for seed in range(seeds):
        neuron, onto = np.array(sorted(truth(network, 50, seed))).T
        for pair in zip(make_slices(network, 50).block_of_gid(neuron), onto, strict=True):
            total[index[pair]] += 1
    off = total / seeds - graph.connectivity.neurons
    deviations = off / np.sqrt(graph.connectivity.variance / seeds)
    assert np.abs(deviations).max() < 4.5
    assert abs(deviations.mean()) < 3.0 / np.sqrt(deviations.size)


def test_connectivity_of_explicit_edges_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # files are read in pieces, over which a neuron's edges onto a slice are spread
    monkeypatch.setattr(edges_module, "SLICE", 30)
    monkeypatch.setattr(reached_module, "_MIN_UNSORTED", 10)
    rng = np.random.default_rng(2)
    sources, targets = rng.integers(0, 170, 400), rng.integers(0, 300, 400)
    np.savez(tmp_path / "edges.npz", s=sources, t=targets)
    names = {"sources": "s", "targets": "t"}
    arrays, file = (
        ConnectionList(sources, targets),
        ConnectionFile(str(tmp_path / "edges.npz"), **names),
    )
    some = ConnectionList(sources % 50, targets % 100)
    for made in (
        [drawn(arrays, INH, E)],
        [drawn(file, INH, E)],
        # the same neurons once more, some onto the same slices
        [drawn(file, INH, E), drawn(some, INH[20:70], E[70:170], "q")],
        [drawn(file, INH, E), drawn(some, INH[1::3], E[::3], "q")],
    ):
        network = Network([E, INH], made)
        graph = expected(network, 50)
        assert (graph.connectivity.variance == 0.0).all()
        found = np.zeros((10, 10))
        for neuron, onto in truth(network, 50):
            found[make_slices(network, 50).block_of_gid(neuron), onto] += 1
        np.testing.assert_allclose(graph.connectivity.neurons, found[graph.source, graph.target])
    same = Network([E, INH], [drawn(OneToOne(), E, E)])
    assert expected(same, 50).connectivity.neurons.tolist() == [50.0] * 6
    # all but the neuron itself, which others of its slice reach
    every = expected(Network([E], [drawn(AllToAll(autapses=False), E, E)]), 50)
    assert every.connectivity.neurons.tolist() == [50.0] * 36


# limits


def sparse() -> Network:
    """Return neurons that each get 20 synapses of 600 others."""
    every = Population("E", 600, IafPscExp())
    return Network([every], [drawn(FixedIndegree(20), every, every)])


def fitted(board: Board, network: Network, rates: Any = 1.0) -> tuple[SlicedNetwork, BoardMapping]:
    start = slice_to_fit(lambda n: expected(network, n, rates), board, estimate=True)
    made = slice_to_fit(lambda n: counted(network, n, rates), board, start.neurons_per_core)
    made = made._replace(limit=made.limit or start.limit)
    return made, map_graph(made.graph, board, neurons=made.neurons_per_core, trials=2000)


def held(network: Network, mapping: BoardMapping) -> tuple[np.ndarray, np.ndarray]:
    """Return in-axons and out-axons of each core, from the list of all synapses."""
    found, neurons = decoded.synapses(network), mapping.graph.neurons
    core = np.repeat(mapping.core_targets.core_of_slice, neurons)
    pairs = np.unique(found[:, decoded.SOURCE] * 1000 + core[found[:, decoded.TARGET]])
    return (
        np.bincount(pairs % 1000, minlength=mapping.core_targets.n_cores),
        np.bincount(core[pairs // 1000], minlength=mapping.core_targets.n_cores),
    )


@pytest.mark.parametrize(
    ("name", "limit", "board"),
    [
        ("in_axons", 250, limited(in_axons=250)),
        ("out_axons", 400, limited(out_axons=400)),
    ],
)
def test_cores_hold_as_many_neurons_as_their_axons_allow(
    name: str, limit: int, board: Board
) -> None:
    network = sparse()
    made, mapping = fitted(board, network)
    # were all slices' neurons to reach all others', not one neuron could be held
    assert 1 < made.neurons_per_core < 1024
    assert made.limit == name
    assert mapping.check() == []
    for counts, said in zip(
        held(network, mapping),
        (mapping.core_targets.in_axons(), mapping.core_targets.out_axons()),
        strict=True,
    ):
        assert counts.tolist() == said.tolist()
    most = held(network, mapping)[name == "out_axons"].max()
    assert 0.8 * limit < most <= limit
    assert mapping_report(mapping)["axons"][name] == {"max": most, "allowed": limit}
    data = to_json_data(mapping)
    reached = np.zeros(mapping.core_targets.n_cores)
    for one in data["slices"]:
        for core, neurons in one["targets"]:
            reached[core] += neurons
    assert reached.tolist() == mapping.core_targets.in_axons().tolist()
    assert len(data["cores"]) == mapping.core_targets.n_cores


def test_a_network_that_does_not_fit_is_refused_with_the_figure() -> None:
    # the 20 synapses onto a neuron come from 17 to 20 others
    with pytest.raises(
        DescriptionError, match=r"single neuron exceeds the in_axons limit.*20.*at most 16"
    ):
        fitted(limited(in_axons=16).tiled(3, 2), sparse())
    with pytest.raises(DescriptionError, match=r"the fan_out limit.*at most 20"):
        fitted(limited(fan_out=20), sparse())
    assert fitted(limited(fan_in=20), sparse())[1].check() == []
    with pytest.raises(DescriptionError, match=r"the fan_in limit.*20.*at most 19"):
        fitted(limited(fan_in=19), sparse())


@pytest.mark.parametrize("told", [False, True], ids=["unknown", "known"])
def test_slices_for_which_there_are_too_few_cores_are_not_made(told: bool) -> None:
    # a neuron has up to 20 sources, so that 35 axons are enough for one, not for two
    network, made = sparse(), []

    def graph_of(neurons: int) -> TrafficGraph:
        made.append(neurons)
        return expected(network, neurons)

    extent = NetworkSize(np.array([600])) if told else None
    what = r"in_axons limit of a core\) it needs at least 200 cores; allowed: at most 128"
    with pytest.raises(DescriptionError, match=what):
        slice_to_fit(graph_of, limited(in_axons=35), network_size=extent, estimate=True)
    assert min(made) > 3
    made.clear()
    with pytest.raises(
        DescriptionError, match=r"does not fit the board: with slices of 4 neurons it needs"
    ):
        slice_to_fit(graph_of, limited(), 4, network_size=NetworkSize(np.array([600])))
    assert made == []


def test_graphs_that_are_too_large_are_not_made() -> None:
    extent = NetworkSize(np.array([600, 30]), {(0, 0), (0, 1)}, 2e4)
    # so many slices at a time are enough to find out that they must be smaller
    network, made = sparse(), []

    def graph_of(neurons: int) -> TrafficGraph:
        made.append(neurons)
        return expected(network, neurons)

    with pytest.raises(
        DescriptionError, match=r"in_axons limit of a core\) the connectivity of .* free memory"
    ):
        slice_to_fit(graph_of, limited(in_axons=150), network_size=extent)
    assert max(made) == 1024
    assert all(64 * (-(-600 // n)) * (-(-600 // n) + -(-30 // n)) <= 2e4 for n in made)


def test_the_checker_notices_too_many_axons() -> None:
    _, mapping = fitted(limited(in_axons=250), sparse())
    for name in ("in_axons", "out_axons"):
        tight = limited(**{name: int(mapping_report(mapping)["axons"][name]["max"]) - 1})
        (one, *_) = replace(mapping, board=tight).check()
        assert (one.kind, name in one.message) == ("overfull core", True)
    # it counts by itself: one more neuron that reaches a full core
    contacts = mapping.graph.connectivity
    full = int(np.argmax(mapping.core_targets.in_axons()))
    tight = limited(in_axons=int(mapping.core_targets.in_axons()[full]))
    assert replace(mapping, board=tight).check() == []
    there = int(np.flatnonzero(mapping.core_targets.core_of_slice == full)[0])
    neuron = next(
        g
        for g in range(600)
        if full
        not in mapping.core_targets.core_of_slice[
            contacts.target[contacts.start[g] : contacts.start[g + 1]]
        ]
    )
    more = replace(
        contacts,
        start=contacts.start + (np.arange(601) > neuron),
        target=np.insert(contacts.target, contacts.start[neuron], there),
    )
    spoilt = replace(mapping, board=tight, graph=replace(mapping.graph, connectivity=more))
    assert [one.kind for one in spoilt.check()] == ["overfull core"]


def test_a_cores_memory_for_neurons_limits_them() -> None:
    board = limited(neuron_memory=6400, bytes_per_neuron=100)
    made, _ = fitted(board, sparse())
    assert (made.neurons_per_core, made.limit) == (64, "neurons")
    unknown = limited(neuron_memory=6400)
    assert "core.bytes_per_neuron" in mapping_report(fitted(unknown, sparse())[1])["unknown_limits"]


def test_an_estimate_is_no_less_than_what_is_counted() -> None:
    network, board = sparse(), limited(in_axons=250)
    made = slice_to_fit(lambda n: expected(network, n), board)
    core = pack_slices(made.graph, board, made.neurons_per_core)
    most = find_core_targets(made.graph, core).in_axons()
    assert most.max() <= 250
    assert find_core_targets(made.graph, core).variance.max() > 0.0
    assert (
        find_core_targets(counted(network, made.neurons_per_core), core).in_axons() <= most
    ).all()
    mapping = map_graph(made.graph, board, neurons=made.neurons_per_core, trials=100)
    assert mapping_report(mapping)["connectivity"] == "expected"
    with pytest.raises(DescriptionError, match="expected connectivity only"):
        count_packets(mapping, np.ones(600, np.int64))


def test_packets_are_those_of_neurons_that_have_a_synapse_there() -> None:
    network, rng = sparse(), np.random.default_rng(4)
    spikes = rng.poisson(3.0, 600)
    _, mapping = fitted(limited(in_axons=250), network, {"E": spikes.astype(float)})
    made, said = count_packets(mapping, spikes), mapping_report(mapping)
    assert (made.spikes, made.packets) == (spikes.sum(), said["packets_per_s"])
    assert made.hops == pytest.approx(said["link_crossings_per_s"])
    assert said["lower_bound_hops"] <= said["rate_weighted_hops"]
    core = np.repeat(mapping.core_targets.core_of_slice, mapping.graph.neurons)
    found = decoded.synapses(network)
    pairs = np.unique(found[:, decoded.SOURCE] * 1000 + core[found[:, decoded.TARGET]])
    assert made.packets == spikes[pairs // 1000].sum()


def test_a_neuron_with_one_axon_reaches_one_core() -> None:
    a, b = Population("a", 200, IafPscExp()), Population("b", 400, IafPscExp())
    sources = np.arange(200)
    board = load_board("truenorth")
    # halves of a slice go to different cores: no neuron goes to two
    apart = Network([a, b], [drawn(ConnectionList(sources, 2 * sources), a, b)])
    _, mapping = fitted(board, apart)
    assert np.diff(mapping.core_targets.start).max() == 2
    assert mapping.check() == []
    both = ConnectionList(np.append(sources, 7), np.append(2 * sources, 399))
    with pytest.raises(DescriptionError, match="several axons: neuron 7 reaches 2 cores"):
        fitted(board, Network([a, b], [drawn(both, a, b)]))


def test_slices_without_a_synapse_are_not_reached() -> None:
    every = Population("E", 4000, IafPscExp())
    network = Network([every], [drawn(FixedTotalNumber(20), every, every)])
    board, sizes = load_board("spin5"), []
    for graph in (expected(network, 250), counted(network, 250)):
        mapping = map_graph(graph, board, trials=100)
        assert mapping.check() == []
        sizes.append(mapping.core_targets.target.size)
    assert sizes[0] == 256
    assert sizes[1] == counted(network, 250).target.size <= 20
