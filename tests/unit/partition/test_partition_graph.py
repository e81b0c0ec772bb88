"""The graph strategy: clusters by delay, refinement, balance."""

import ctypes
import pickle
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.network import (
    DopamineSTDP,
    FixedIndegree,
    IafPscExp,
    Izhikevich,
    Network,
    Population,
    Projection,
)
from distsnn.network.blocks import make_blocks
from distsnn.partition import external_partitioners, graph_partitioner
from distsnn.partition.assignment import Assignment
from distsnn.partition.delays import MAX_EPOCH_STEPS, cluster_by_delay, min_delay_across
from distsnn.partition.external_partitioners import metis_assignments, mtkahypar_assignments
from distsnn.partition.graph import CostModel, Graph
from distsnn.partition.graph_partitioner import partition_graph
from distsnn.partition.metrics import expected_metrics
from distsnn.partition.refinement import RefinementGraph, refine, remote_spike_rate
from distsnn.partition.traffic import NO_DELAY, TrafficGraph, build_traffic_graph


def by_hand(n: int, edges: list[tuple[int, int, float, int]]) -> TrafficGraph:
    """Return a graph of slices of 64 neurons: source, target, synapses, delay."""
    table = np.array(sorted(edges)).reshape(-1, 4)
    return TrafficGraph(
        np.zeros(n, np.int32),
        np.arange(n) * 64,
        np.full(n, 64),
        np.ones(n),
        np.searchsorted(table[:, 0], np.arange(n + 1)),
        table[:, 1].astype(np.int32),
        table[:, 2],
        table[:, 3].astype(np.int32),
    )


def areas(n: int, near: float = 0.1, far: float = 3.0) -> Network:
    cells = [Population(f"a{at}", 128, IafPscExp()) for at in range(n)]
    inside = [Projection(one, one, FixedIndegree(50), 1.0, near) for one in cells]
    between = [
        Projection(one, cells[(at + step) % n], FixedIndegree(5), 1.0, far)
        for at, one in enumerate(cells)
        for step in (1, 3)
    ]
    return Network(cells, inside + between)


def random_flow(
    n: int, seed: int, density: float | np.ndarray = 0.4, least: float = 0.0
) -> RefinementGraph:
    draw = np.random.default_rng(seed)
    dense = draw.random((n, n)) < density
    target, source = np.nonzero(dense)
    return RefinementGraph(
        draw.uniform(0.0, 9.0, n),
        draw.uniform(1.0, 2.0, n),
        np.searchsorted(target, np.arange(n + 1)),
        source,
        draw.exponential(0.7, source.size) + least,
    )


def test_cost_is_the_expected_number_of_remote_ranks() -> None:
    # 0 -> 1, 2, 3 with 0.5, 0.25, 0.25 synapses a neuron; 0 and 3 share a rank
    flow = RefinementGraph(
        *(np.array([4.0, 1.0, 1.0, 1.0]), np.ones(4), np.array([0, 0, 1, 2, 3])),
        *(np.zeros(3, np.int64), np.array([0.5, 0.25, 0.25])),
    )
    owner = np.array([0, 1, 2, 0])
    assert remote_spike_rate(flow, owner, 3) == pytest.approx(
        4 * (2 - np.exp(-0.5) - np.exp(-0.25))
    )
    assert remote_spike_rate(flow, np.zeros(4, np.int64), 3) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_refinement_ends_where_no_move_helps_and_within_capacity(seed: int) -> None:
    flow = random_flow(24, seed)
    start = np.arange(24) % 3
    capacity = np.full(3, 1.1 * flow.weight.sum() / 3)
    made = refine(flow, start, capacity)
    np.testing.assert_array_equal(made, refine(flow, start, capacity))  # a pure function
    load = np.bincount(made, flow.weight, minlength=3)
    assert np.all(load <= capacity)
    least = remote_spike_rate(flow, made, 3)
    assert least < 0.97 * remote_spike_rate(flow, start, 3)
    for vertex, rank in product(range(24), range(3)):
        if load[rank] + flow.weight[vertex] <= capacity[rank]:
            other = made.copy()
            other[vertex] = rank
            assert remote_spike_rate(flow, other, 3) >= least - 1e-9


def test_refinement_empties_ranks_that_are_too_full() -> None:
    flow = random_flow(24, 9)
    capacity = np.full(3, 1.15 * flow.weight.sum() / 3)
    made = refine(flow, np.zeros(24, np.int64), capacity)
    assert np.all(np.bincount(made, flow.weight, minlength=3) <= capacity)


def test_the_largest_delay_is_what_balance_allows() -> None:
    graph = by_hand(4, [(0, 1, 1.0, 2), (2, 3, 1.0, 4), (1, 2, 1.0, 30), (3, 0, 1.0, 50)])
    weight = np.ones(4)
    assert cluster_by_delay(graph, weight, np.full(2, 2.0), NO_DELAY).min_delay == 30
    assert cluster_by_delay(graph, weight, np.full(3, 2.0), NO_DELAY).min_delay == 30
    assert cluster_by_delay(graph, weight, np.full(4, 1.0), NO_DELAY).min_delay == 2
    assert cluster_by_delay(graph, weight, np.array([2.0, 1.0, 1.0]), NO_DELAY).min_delay == 4
    # all on one rank, the other has nothing: no synapse between ranks at all
    assert cluster_by_delay(graph, weight, np.full(2, 4.0), NO_DELAY).min_delay == NO_DELAY
    assert cluster_by_delay(by_hand(4, []), weight, np.full(2, 2.0), NO_DELAY).min_delay == NO_DELAY
    # where an epoch cannot last so long, what is farther than that need not be put together
    for longest, cluster in ((31, [0, 0, 1, 1]), (30, [0, 0, 1, 1]), (4, [0, 0, 1, 2])):
        found = cluster_by_delay(graph, weight, np.full(2, 2.0), longest)
        assert (found.min_delay, found.cluster.tolist()) == (min(30, longest), cluster)


@pytest.mark.parametrize(("modulation", "epoch"), [(None, MAX_EPOCH_STEPS), (5.0, 50)])
def test_what_is_farther_than_an_epoch_may_be_is_parted_where_traffic_is_least(
    modulation: float | None, epoch: int
) -> None:
    # A and B, C and D are 300 steps apart, and few synapses; others 400, and many
    a, b, c, d = (Population(name, 1024, IafPscExp()) for name in "ABCD")
    rule = None if modulation is None else DopamineSTDP(modulator="A", modulation_delay=modulation)
    few, many = (FixedIndegree(1), 1.0, 30.0), (FixedIndegree(200), 1.0, 40.0)
    ways = [(a, b, few), (c, d, few), (a, c, many), (b, d, many)]
    made = [Projection(pre, post, *how, synapse=rule) for pre, post, how in ways]
    made += [Projection(post, pre, *how) for pre, post, how in ways]
    network = Network([a, b, c, d], made)
    table = make_blocks(network)
    graph = build_traffic_graph(network, table)
    found = expected_metrics(network, graph, Graph().assign(network, table, 2))
    apart = Assignment(2, np.isin(table.population, (1, 3)).astype(np.int32))
    best = expected_metrics(network, graph, apart)
    assert found.epoch_steps == best.epoch_steps == epoch
    assert found.remote_spike_rate == pytest.approx(best.remote_spike_rate)
    assert best.remote_spike_rate == pytest.approx(4 * 1024 * (1.0 - np.exp(-1.0)), rel=1e-2)


@pytest.mark.parametrize("library", [True, False])
@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_areas_stay_whole(ranks: int, library: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not library:
        monkeypatch.setitem(__import__("sys").modules, "pymetis", None)
        assert metis_assignments(random_flow(9, 0), np.ones(2), 3) == []
    network = areas(12)
    table = make_blocks(network)
    made = Graph().assign(network, table, ranks)
    assert made.strategy == "graph"
    of_area = made.owner.reshape(12, 2)
    np.testing.assert_array_equal(of_area[:, 0], of_area[:, 1])
    np.testing.assert_array_equal(np.bincount(of_area[:, 0]), np.full(ranks, 12 // ranks))
    assert min_delay_across(build_traffic_graph(network, table), made.owner) == 30
    np.testing.assert_array_equal(Graph().assign(network, table, ranks).owner, made.owner)


def test_shares_are_kept() -> None:
    network = areas(12)
    table = make_blocks(network)
    made = Graph(rank_speeds=[3.0, 1.0]).assign(network, table, 2)
    np.testing.assert_array_equal(np.bincount(made.owner), [18, 6])


def test_rates_decide_what_is_cut() -> None:
    # a ring of four: either pair may be cut, and the loud one should not be
    cells = [Population(f"a{at}", 64, IafPscExp()) for at in range(4)]
    ring = [
        Projection(one, cells[(at + step) % 4], FixedIndegree(9), 1.0, 1.0)
        for at, one in enumerate(cells)
        for step in (1, 3)
    ]
    network = Network(cells, ring)
    table = make_blocks(network)
    for loud, partner in ((0, 1), (1, 2), (2, 3)):
        rates = {f"a{at}": 20.0 if at in (loud, partner) else 1.0 for at in range(4)}
        owner = Graph(rates=rates, imbalance=0.5).assign(network, table, 2).owner
        assert owner[loud] == owner[partner]


def test_dense_networks_end_balanced() -> None:
    cells = [Population(f"p{at}", size, IafPscExp()) for at, size in enumerate((700, 320, 64, 9))]
    network = Network(
        cells, [Projection(a, b, FixedIndegree(30), 1.0, 1.0) for a, b in product(cells, cells)]
    )
    table = make_blocks(network)
    graph = build_traffic_graph(network, table, 5.0)
    weight = CostModel().total(graph.neurons, graph.event_rate, 0.1)
    owner = partition_graph(graph, weight, np.ones(3), max_epoch=MAX_EPOCH_STEPS)
    load = np.bincount(owner, weight, minlength=3)
    assert load.max() <= 1.03 * weight.sum() / 3 + weight.max()
    np.testing.assert_array_equal(
        partition_graph(graph, weight, np.ones(1), max_epoch=MAX_EPOCH_STEPS), 0
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"imbalance": -0.1}, "partition graph, field imbalance.*-0.1"),
        ({"rank_speeds": [1.0, 0.0]}, "partition graph, field rank_speeds"),
        ({"quality": "bset"}, "unknown quality 'bset'.*did you mean 'best'"),
    ],
)
def test_invalid_settings_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        Graph(**arguments)


def test_dear_events_draw_the_line_elsewhere() -> None:
    # two populations without a synapse between them, one of which gets a hundred events a neuron
    quiet, busy = (Population(name, 640, IafPscExp()) for name in ("quiet", "busy"))
    network = Network([quiet, busy], [Projection(busy, busy, FixedIndegree(100), 1.0, 1.0)])
    table = make_blocks(network)
    cheap, dear = (
        Graph(5.0, cost=CostModel(1.0, event)).assign(network, table, 2).owner
        for event in (1e-6, 100.0)
    )
    busy_of = [np.bincount(one[table.population == 1], minlength=2) for one in (cheap, dear)]
    assert sorted(busy_of[0]) == [0, 10]  # as many neurons on either rank
    assert sorted(busy_of[1])[0] >= 3  # the busy ones have to be shared


def test_neurons_of_dear_models_draw_the_line_elsewhere() -> None:
    plain, dear = Population("plain", 1280, IafPscExp()), Population("dear", 640, Izhikevich())
    network = Network([plain, dear])
    table = make_blocks(network)
    cost = CostModel(1.0, 1.0, {"izhikevich": 4.0})
    graph = build_traffic_graph(network, table)
    weight = cost.of_slices(graph, network)
    assert weight.tolist() == (table.size * np.where(table.population, 4e4, 1e4)).tolist()
    for given, ratio in ((CostModel(), 1.0), (cost, 4.0)):
        owner = Graph(cost=given).assign(network, table, 2).owner
        each = table.size * np.where(table.population, ratio, 1.0)
        load = np.bincount(owner, each, minlength=2)
        assert load.max() / load.mean() <= 1.03 + 64 * ratio / load.mean()
        made = expected_metrics(network, graph, Assignment(2, owner, "graph"), cost=given)
        assert made.cost == pytest.approx(1e4 * load)
    network = Network([plain, dear, Population("more", 64, Izhikevich())])
    table = make_blocks(network)
    names = r"allowed: iaf_psc_exp, izhikevich; did you mean 'izhikevich'"
    with pytest.raises(DescriptionError, match=names):
        Graph(cost=CostModel(models={"izhikevitch": 2.0})).assign(network, table, 2)


def test_costs_are_positive() -> None:
    with pytest.raises(DescriptionError, match=r"cost, field event.*-1"):
        CostModel(event=-1.0)
    with pytest.raises(DescriptionError, match=r"cost, field models\['hh'\].*0"):
        CostModel(models={"hh": 0.0})
    with pytest.raises(DescriptionError, match="cost, field models: the costs must be a mapping"):
        CostModel(models=2.0)
    with pytest.raises(DescriptionError, match=r"must be a mapping.*, not None$"):
        CostModel(models=None)


def test_settings_are_described_and_made_again() -> None:
    made = Graph({"a": [1.0, 2.0], "b": 4.0}, [1.0, 2.0], 0.1, cost=CostModel(2.0, 3.0))
    again = Graph.from_dict(made.to_dict())
    assert again.to_dict() == made.to_dict()
    assert (again.rates, again.cost) == ({"a": 1.5, "b": 4.0}, CostModel(2.0, 3.0))
    dear = CostModel(2.0, 3.0, {"hh": 9.0})
    assert Graph.from_dict(Graph(cost=dear).to_dict()).cost == dear


class UserMapping(Mapping[str, Any]):
    """A mapping of a script, which no other process knows."""

    def __init__(self, **values: Any) -> None:
        self.values_by_name = values

    def __getitem__(self, name: str) -> Any:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


def test_launched_ranks_need_no_class_of_the_user() -> None:
    rates, models = UserMapping(a0=[1.0, 2.0], a1=4), UserMapping(iaf_psc_exp=2.0)
    made = Graph(rates, deque([1.0, 2.0]), cost=CostModel(models=models))
    assert b"UserMapping" not in pickle.dumps(made)
    assert b"deque" not in pickle.dumps(made)
    assert made.to_dict()["rates"] == {"a0": 1.5, "a1": 4.0}
    assert (made.to_dict()["rank_speeds"], made.cost.models) == ([1.0, 2.0], {"iaf_psc_exp": 2.0})
    assignment = Assignment(1, np.zeros(1, np.int32), settings=models)
    assert b"UserMapping" not in pickle.dumps(assignment)
    with pytest.raises(DescriptionError, match=r"rates, population 'a0': must be an array of num"):
        Graph(UserMapping(a0="many"))


def test_shares_must_be_one_for_each_rank() -> None:
    network = areas(4)
    with pytest.raises(DescriptionError, match=r"field rank_speeds.*\(2,\)"):
        Graph(rank_speeds=[1.0, 1.0]).assign(network, make_blocks(network), 3)


def test_the_best_quality_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mtkahypar", None)
    monkeypatch.setattr(
        external_partitioners, "_mtkahypar", external_partitioners._mtkahypar.__wrapped__
    )
    network = areas(4)
    with pytest.raises(DescriptionError, match="needs the library mtkahypar"):
        Graph(quality="best").assign(network, make_blocks(network), 2)


def modular_flow(n: int, seed: int) -> RefinementGraph:
    """Return vertices of which every tenth talk much to each other."""
    module = np.arange(n) % 10
    density = np.where(module[:, np.newaxis] == module, 0.9, 0.15)
    return random_flow(n, seed, density, least=0.5)


@pytest.mark.parametrize("imbalance", [0.03, 0.3])
@pytest.mark.parametrize("shares", [[1.0, 1.0, 1.0, 1.0], [3.0, 1.0, 1.0, 2.0]])
def test_mtkahypar_keeps_to_capacities_and_cuts_as_little_as_metis(
    shares: list[float], imbalance: float
) -> None:
    flow, speeds = modular_flow(120, 4), np.array(shares)
    ideal = flow.weight.sum() * speeds / speeds.sum()
    capacity = (1.0 + imbalance) * ideal
    (made,) = mtkahypar_assignments(flow, capacity)
    (again,) = mtkahypar_assignments(flow, capacity)
    np.testing.assert_array_equal(made, again)
    load = np.bincount(made, flow.weight, minlength=4)
    assert np.all(load <= 1.001 * capacity)
    metis = min(remote_spike_rate(flow, one, 4) for one in metis_assignments(flow, ideal, 4))
    assert remote_spike_rate(flow, made, 4) <= 1.05 * metis
    assert remote_spike_rate(flow, refine(flow, made, capacity), 4) <= remote_spike_rate(
        flow, made, 4
    )


def test_mtkahypar_is_spared_what_needs_no_cut(capfd: pytest.CaptureFixture[str]) -> None:
    flow = modular_flow(6, 1)
    assert mtkahypar_assignments(flow, np.full(6, 9.0)) == []
    # one edge, from a vertex to itself, and one that hardly any neuron has
    rare = RefinementGraph(
        *(flow.spike_rate, flow.weight, np.array([0, 1, 2, 2, 2, 2, 2])),
        *(np.array([0, 0]), np.array([5.0, 0.1])),
    )
    assert mtkahypar_assignments(rare, np.full(2, 9.0)) == []
    # too little room in all: as much more as it takes
    (made,) = mtkahypar_assignments(flow, np.full(2, 0.3 * flow.weight.sum()))
    assert set(made) == {0, 1}
    assert capfd.readouterr() == ("", "")


def test_the_best_quality_starts_from_what_ranks_may_get(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    network = areas(12)
    table = make_blocks(network)
    graph, given = build_traffic_graph(network, table), []

    def noted(flow: RefinementGraph, capacity: np.ndarray) -> list[np.ndarray]:
        given.append(capacity / flow.weight.sum())
        return mtkahypar_assignments(flow, capacity)

    monkeypatch.setattr(graph_partitioner, "mtkahypar_assignments", noted)
    strategy = Graph(rank_speeds=[3.0, 1.0], imbalance=0.25, quality="best")
    made = strategy.assign_graph(graph, network, 2)
    np.testing.assert_allclose(given[0], [1.25 * 0.75, 1.25 * 0.25])
    np.testing.assert_array_equal(strategy.assign_graph(graph, network, 2).owner, made.owner)
    assert made.settings["quality"] == "best"
    neurons = np.bincount(made.owner, graph.neurons, minlength=2)
    assert np.all(neurons <= 1.25 * 12 * 128 * np.array([0.75, 0.25]) + 1.0)
    # groups of ranks ask for it several times
    given.clear()
    network = areas(2)
    table = make_blocks(network)
    made = Graph(quality="best").assign(network, table, 4)
    assert made.groups == (2, 2)
    assert len(given) >= 2
    assert capfd.readouterr() == ("", "")


def test_the_best_quality_is_no_worse() -> None:
    flow, ideal = modular_flow(60, 3), np.full(3, 1.03 * modular_flow(60, 3).weight.sum() / 3)
    graph = by_hand(
        60,
        [
            (int(a), b, 64 * m, 10)
            for b in range(60)
            for a, m in zip(
                flow.source[flow.start[b] : flow.start[b + 1]],
                flow.mean_synapses[flow.start[b] : flow.start[b + 1]],
                strict=True,
            )
        ],
    )
    fast, best = (
        partition_graph(graph, flow.weight, np.ones(3), max_epoch=MAX_EPOCH_STEPS, quality=quality)
        for quality in ("fast", "best")
    )
    made = graph_partitioner._refinement_graph(graph, flow.weight, np.arange(60))
    assert remote_spike_rate(made, best.astype(np.int64), 3) <= remote_spike_rate(
        made, fast.astype(np.int64), 3
    )
    assert np.bincount(best, flow.weight).max() <= ideal[0]


def test_metis_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    # vertices of more than two shares: parts without a vertex are cut again
    for seed in range(300):
        draw = np.random.default_rng(seed)
        ranks = int(draw.integers(4, 17))
        flow = random_flow(int(draw.integers(ranks + 1, 3 * ranks)), seed)
        flow = replace(flow, weight=np.where(draw.random(flow.weight.size) < 0.2, 10.0, 1.0))
        speeds = draw.choice([1e-3, 1.0, 2.0], ranks)
        metis_assignments(flow, flow.weight.sum() * speeds / speeds.sum(), 1)
    ctypes.CDLL(None).fflush(None)
    assert capfd.readouterr() == ("", "")
