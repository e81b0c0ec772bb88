"""Dealing weights out within capacities, and what that means for delays: beside brute force."""

from itertools import product

import numpy as np
import pytest

from distsnn.kernels.bin_packing import RULES, pack_by_search, pack_greedily
from distsnn.network import FixedIndegree, IafPscExp, Network, Population, Projection
from distsnn.network.blocks import make_blocks
from distsnn.partition import rank_packing
from distsnn.partition.delays import (
    MAX_EPOCH_STEPS,
    cluster_by_delay,
    expected_epochs,
    min_delay_across,
)
from distsnn.partition.graph import Graph
from distsnn.partition.graph_partitioner import rank_capacities
from distsnn.partition.rank_packing import pack_clusters
from distsnn.partition.traffic import NO_DELAY, TrafficGraph, build_traffic_graph


def by_rules(weight: np.ndarray, capacity: np.ndarray) -> list[bool]:
    heavy, found = np.sort(weight)[::-1].copy(), np.empty(weight.size, np.int64)
    return [pack_greedily(rule, heavy, capacity, found) for rule in RULES]


def is_packed(owner: np.ndarray | None, weight: np.ndarray, capacity: np.ndarray) -> bool:
    if owner is None:
        return False
    load = np.bincount(owner, weight, minlength=capacity.size)
    assert np.all(load <= capacity * (1.0 + 1e-9))
    return True


def can_be_packed(weight: np.ndarray, capacity: np.ndarray) -> bool:
    ways = np.array(list(product(range(capacity.size), repeat=weight.size)))
    load = [(weight * (ways == rank)).sum(axis=1) for rank in range(capacity.size)]
    return bool(np.any(np.all(np.array(load) <= capacity[:, np.newaxis], axis=0)))


@pytest.mark.parametrize(
    ("weight", "capacity", "rules"),
    [
        # to the roomiest, the first, and the one that is filled best
        ([1.0, 3.0, 2.0], [3.0, 3.0], [True, True, True]),
        ([3.0, 3.0, 2.0, 2.0, 2.0], [6.1, 6.1], [False, True, True]),
        ([3.0, 2.0, 2.0], [3.5, 4.0], [False, True, True]),
        ([6.0, 5.0, 5.0, 4.0, 3.0, 3.0], [13.0, 13.0], [True, False, False]),
        # only a search finds 7 + 3 + 3 | 5 + 4 + 4, and 9 + 7 + 7 + 3 | 8 + 5
        ([7.0, 5.0, 4.0, 4.0, 3.0, 3.0], [13.0, 13.0], [False, False, False]),
        ([9.0, 8.0, 7.0, 7.0, 5.0, 3.0], [26.0, 13.0], [False, False, False]),
    ],
)
def test_packing_rules_and_search_complement_each_other(
    weight: list[float], capacity: list[float], rules: list[bool]
) -> None:
    given = np.array(weight), np.array(capacity)
    assert by_rules(*given) == rules
    assert is_packed(pack_clusters(*given), *given)


def test_what_cannot_be_packed_is_not() -> None:
    for weight, capacity in (
        ([1.0, 3.0, 3.0], [3.0, 3.0]),
        ([3.0, 3.0, 3.0], [5.0, 5.0]),  # room for all, but not for three
        ([5.0], [4.0, 4.0]),
    ):
        assert pack_clusters(np.array(weight), np.array(capacity)) is None
    assert pack_clusters(np.empty(0), np.ones(2)).size == 0


@pytest.mark.parametrize("seed", range(60))
def test_small_sets_are_packed_if_that_is_possible(seed: int) -> None:
    draw = np.random.default_rng(seed)
    ranks = int(draw.integers(2, 5))
    weight = draw.integers(1, 30, draw.integers(1, 9 if ranks < 4 else 8)).astype(float)
    shares = draw.integers(1, 4, ranks).astype(float) if seed % 2 else np.ones(ranks)
    capacity = draw.uniform(1.0, 1.1) * weight.sum() * shares / shares.sum()
    found = pack_clusters(weight, capacity)
    assert is_packed(found, weight, capacity) == can_be_packed(weight, capacity)
    if found is not None:
        np.testing.assert_array_equal(pack_clusters(weight, capacity), found)


def test_sums_may_be_rounded() -> None:
    # 0.3 - 0.2 is less than 0.1 by its last bit
    assert pack_clusters(np.array([0.2, 0.1, 0.3]), np.array([0.3, 0.3])) is not None


def test_a_search_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    given = np.array([7.0, 5.0, 4.0, 4.0, 3.0, 3.0]), np.array([13.0, 13.0])
    assert pack_clusters(*given) is not None
    monkeypatch.setattr(rank_packing, "_SEARCH_BUDGET", 8)
    assert pack_clusters(*given) is None
    # calls may share what they look at
    left = np.array([1 << 10])
    assert pack_clusters(*given, left) is not None
    spent = (1 << 10) - left[0]
    assert 0 < spent < 1 << 9
    left[0] = spent - 1
    assert pack_clusters(*given, left) is None
    assert left[0] == 0


def modules(sizes: list[int], near: float = 0.1, far: float = 3.0) -> Network:
    """Return a ring of modules with few synapses inside, so that traffic alone would cut them."""
    cells = [Population(f"m{at}", size, IafPscExp()) for at, size in enumerate(sizes)]
    made = [Projection(one, one, FixedIndegree(3), 1.0, near) for one in cells]
    made += [
        Projection(one, cells[at - 1], FixedIndegree(50), 1.0, far) for at, one in enumerate(cells)
    ]
    return Network(cells, made)


@pytest.mark.parametrize(
    ("sizes", "shares"),
    [
        ([3072, 3072, 2048, 2048, 2048], [1.0, 1.0]),
        ([3072, 2048, 2048, 3072, 2048], [1.0, 1.0]),
        ([3072, 2048, 1024, 3072], [2.0, 1.0]),
        # only a search finds it, here and with shares
        ([3584, 2560, 2048, 2048, 1536, 1536], [1.0, 1.0]),
        ([448, 320, 256, 256, 192, 192, 832], [1.0, 1.0, 1.0]),
        ([576, 512, 448, 448, 320, 192], [2.0, 1.0]),
    ],
)
def test_modules_of_any_size_stay_whole_where_that_is_balanced(
    sizes: list[int], shares: list[float]
) -> None:
    network = modules(sizes)
    table = make_blocks(network)
    graph = build_traffic_graph(network, table)
    strategy = Graph(rank_speeds=shares)
    weight = strategy.cost.of_slices(graph, network)
    capacity = rank_capacities(weight, np.array(shares), strategy.imbalance)
    assert cluster_by_delay(graph, weight, capacity, MAX_EPOCH_STEPS).min_delay == 30
    made = strategy.assign(network, table, len(shares))
    assert expected_epochs(network, graph, made).global_steps == 30
    load = np.bincount(made.owner, table.size, minlength=len(shares))
    np.testing.assert_array_less(load, 1.03 * sum(sizes) * np.array(shares) / sum(shares) + 1.0)


def random_graph(draw: np.random.Generator, n: int) -> TrafficGraph:
    dense = draw.random((n, n)) < 0.25
    source, target = np.nonzero(dense)
    return TrafficGraph(
        np.zeros(n, np.int32),
        np.arange(n) * 64,
        draw.integers(1, 65, n),
        np.ones(n),
        np.searchsorted(source, np.arange(n + 1)),
        target.astype(np.int32),
        np.ones(source.size),
        draw.integers(1, 9, source.size).astype(np.int32),
    )


@pytest.mark.parametrize("seed", range(40))
def test_no_balanced_assignment_is_farther(seed: int) -> None:
    draw = np.random.default_rng(seed)
    ranks, n = int(draw.integers(2, 4)), int(draw.integers(2, 9))
    graph = random_graph(draw, n)
    weight = graph.neurons.astype(float)
    shares = draw.integers(1, 4, ranks).astype(float)
    capacity = rank_capacities(weight, shares, float(draw.choice([0.0, 0.03, 0.3])))
    ways = np.array(list(product(range(ranks), repeat=n)), np.int32)
    load = np.array([(weight * (ways == rank)).sum(axis=1) for rank in range(ranks)])
    balanced = ways[np.all(load <= capacity[:, np.newaxis] * (1.0 + 1e-9), axis=0)]
    most = max(min_delay_across(graph, owner) for owner in balanced)
    for longest in (int(NO_DELAY), int(draw.integers(1, 9))):
        found = cluster_by_delay(graph, weight, capacity, longest)
        assert found.min_delay == min(most, longest)
        owner = found.owner[found.cluster].astype(np.int32)
        assert min_delay_across(graph, owner) >= found.min_delay
        assert np.all(np.bincount(owner, weight, minlength=ranks) <= capacity * (1.0 + 1e-9))


def test_clusters_hold_all_that_is_nearer() -> None:
    # far cycles of near pairs: 0 ~ 3, 1 ~ 4 ~ 5; 2 alone
    edges = [(0, 3, 5), (2, 2, 1), (4, 1, 2), (5, 4, 9)]
    source, target, delay = np.array(edges).T
    graph = TrafficGraph(
        *(np.zeros(6, np.int32), np.arange(6) * 64, np.full(6, 64), np.ones(6)),
        np.searchsorted(source, np.arange(7)),
        *(target.astype(np.int32), np.ones(4), delay.astype(np.int32)),
    )
    for most, delay, cluster in (
        (1, 2, [0, 1, 2, 3, 4, 5]),
        (2, 9, [0, 1, 2, 0, 1, 3]),
        (3, NO_DELAY, [0, 1, 2, 0, 1, 1]),
    ):
        found = cluster_by_delay(graph, np.ones(6), np.full(6, float(most)), NO_DELAY)
        assert (found.min_delay, found.cluster.tolist()) == (delay, cluster)
    # the smallest delay between owners, whoever they are
    assert min_delay_across(graph, np.array([0, 1, 0, 0, 1, 2], np.int32)) == 9
    assert min_delay_across(graph, np.zeros(6, np.int32)) == NO_DELAY
    # nothing fits: the most that can be done is to leave all apart
    found = cluster_by_delay(graph, np.ones(6), np.full(6, 0.5), NO_DELAY)
    assert (found.min_delay, found.cluster.tolist(), found.owner) == (2, [0, 1, 2, 3, 4, 5], None)


def test_searches_for_all_delays_share_what_they_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    # a chain of slices whose weights make no two equal halves: each delay leaves one cluster more
    n, looked = 40, []
    edges = np.arange(n - 1)
    graph = TrafficGraph(
        *(np.zeros(n, np.int32), np.arange(n) * 64, np.full(n, 64), np.ones(n)),
        np.searchsorted(edges, np.arange(n + 1)),
        *((edges + 1).astype(np.int32), np.ones(n - 1), (edges + 1).astype(np.int32)),
    )
    weight = 1.0 + np.random.default_rng(3).random(n)

    def searched(heavy, room, visits, found):  # type: ignore[no-untyped-def]
        before = int(visits[0])
        done = pack_by_search(heavy, room, visits, found)
        looked.append(before - int(visits[0]))
        return done

    monkeypatch.setattr(rank_packing, "pack_by_search", searched)
    monkeypatch.setattr(rank_packing, "_SEARCH_BUDGET", 1 << 17)
    found = cluster_by_delay(graph, weight, np.full(2, weight.sum() / 2), MAX_EPOCH_STEPS)
    assert found.owner is None
    assert sum(looked) == 1 << 17
    assert np.count_nonzero(looked) > 5
    assert looked[-1] == 0
