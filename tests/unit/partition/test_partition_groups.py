"""Groups of ranks: when they are made, how slices are dealt out to them, what they come to."""

import numpy as np
import pytest
from campaigns import sampled

from distsnn.network import (
    DopamineSTDP,
    FixedIndegree,
    IafPscExp,
    Network,
    Population,
    Projection,
)
from distsnn.network.blocks import make_blocks
from distsnn.partition.assignment import Assignment
from distsnn.partition.delays import MAX_EPOCH_STEPS, EpochLengths, expected_epochs, max_epoch_steps
from distsnn.partition.graph import Graph
from distsnn.partition.graph_partitioner import partition_graph, rank_capacities
from distsnn.partition.metrics import expected_metrics, measured_metrics
from distsnn.partition.rank_groups import message_rounds
from distsnn.partition.traffic import build_traffic_graph


def modules(n: int, near: float = 0.1, far: float = 3.0, modulation: float = 0.0) -> Network:
    """Return a ring of modules of 8 blocks."""
    cells = [Population(f"m{at}", 512, IafPscExp()) for at in range(n)]
    rule = DopamineSTDP(modulator="m0", modulation_delay=modulation) if modulation else None
    made = [Projection(one, one, FixedIndegree(50), 1.0, near) for one in cells]
    made += [
        Projection(one, cells[at - 1], FixedIndegree(9), 1.0, far, synapse=rule)
        for at, one in enumerate(cells)
    ]
    return Network(cells, made)


def partitioned(network: Network, ranks: int, **options) -> tuple[Assignment, EpochLengths]:
    table = make_blocks(network)
    made = Graph(**options).assign(network, table, ranks)
    return made, expected_epochs(network, build_traffic_graph(network, table), made)


def test_epochs_are_what_delays_allow() -> None:
    assert EpochLengths.from_delays(1, 30, 256) == EpochLengths(1, 30)
    assert EpochLengths.from_delays(4, 30, 256) == EpochLengths(
        4, 28
    )  # whole epochs inside of long ones
    assert EpochLengths.from_delays(16, 30, 256) == EpochLengths(16, 16)
    assert EpochLengths.from_delays(7, 300, 256) == EpochLengths(7, 252)
    assert EpochLengths.from_delays(300, 400, 256) == EpochLengths(256, 256)
    assert EpochLengths.from_delays(1, 30, 0) == EpochLengths(1, 1)  # less than a step is none
    assert [EpochLengths(*one).in_groups for one in ((1, 30), (5, 5))] == [True, False]


def test_rounds_grow_with_the_logarithm_of_ranks() -> None:
    assert message_rounds(EpochLengths(1, 1), 16, 1) == 4.0
    assert message_rounds(EpochLengths(2, 2), 16, 4) == 2.0  # nothing is exchanged inside
    assert message_rounds(EpochLengths(1, 40), 16, 4) == pytest.approx(2.1)
    assert message_rounds(EpochLengths(1, 40), 16, 1) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("n", "ranks", "groups", "epochs"),
    [
        (2, 2, (), (30, 30)),
        (2, 3, (), (1, 1)),  # no groups of like size
        (2, 4, (2, 2), (1, 30)),
        (3, 6, (2, 2, 2), (1, 30)),
        (4, 8, (2, 2, 2, 2), (1, 30)),
        (4, 4, (), (30, 30)),
        (1, 4, (), (1, 1)),  # nobody is far
    ],
)
def test_modules_that_ranks_share_make_groups(
    n: int, ranks: int, groups: tuple[int, ...], epochs: tuple[int, int]
) -> None:
    network = modules(n)
    made, found = partitioned(network, ranks)
    assert (made.groups, (found.group_steps, found.global_steps)) == (groups, epochs)
    if groups:
        # modules stay whole, and every rank has its share
        group = made.group_of_rank[made.owner].reshape(n, 8)
        assert np.all(group == group[:, :1])
        assert np.all(np.bincount(made.owner) == 8 * n // ranks)
        again, _ = partitioned(network, ranks)
        np.testing.assert_array_equal(again.owner, made.owner)


def test_groups_must_be_worth_it() -> None:
    # far is twice as far as near: 2 of 4 ranks exchange in every epoch, and 4 in every other
    assert partitioned(modules(2, far=0.2), 4)[0].groups == ()
    assert partitioned(modules(2, far=0.4), 4)[0].groups == (2, 2)
    # what is far already gains nothing
    assert partitioned(modules(2, near=MAX_EPOCH_STEPS * 0.1, far=100.0), 4)[0].groups == ()
    # a modulator tells all ranks
    assert partitioned(modules(2, modulation=0.2), 4)[0].groups == ()
    made, found = partitioned(modules(2, modulation=1.0), 4)
    assert (made.groups, found.global_steps) == ((2, 2), 10)


def test_shares_are_kept_within_and_between_groups() -> None:
    made, _ = partitioned(modules(4), 4, rank_speeds=[2.0, 1.0, 3.0, 2.0], imbalance=0.1)
    assert made.groups == ()
    made, _ = partitioned(modules(3), 6, rank_speeds=[3.0, 1.0, 2.0, 2.0, 1.0, 3.0])
    assert made.groups == (2, 2, 2)
    np.testing.assert_array_equal(np.bincount(made.owner), [6, 2, 4, 4, 2, 6])


def test_subgraph_keeps_its_inner_edges() -> None:
    network = modules(3)
    graph = build_traffic_graph(network, make_blocks(network), {"m0": 1.0, "m1": 2.0, "m2": 3.0})
    part = graph.subgraph(np.repeat([True, False, True], 8))
    assert part.n == 16
    assert set(part.rate) == {1.0, 3.0}
    assert set(part.min_delay) == {1, 30}
    inside = part.source // 8 == part.target // 8
    assert set(part.min_delay[inside]) == {1}
    # of the ring one way is left
    assert set(zip(part.source[~inside] // 8, part.target[~inside] // 8, strict=True)) == {(0, 1)}
    np.testing.assert_array_equal(graph.subgraph(np.ones(24, bool)).synapses, graph.synapses)


def test_metrics_cover_groups_and_all_ranks() -> None:
    network = modules(2)
    table = make_blocks(network)
    owner = np.repeat([0, 1, 2, 0, 1, 2, 3, 3], 2).astype(np.int32)
    owner = np.where(table.population == 0, owner % 3, 3).astype(np.int32)
    rates = {"m0": 3.0, "m1": 5.0}
    graph = build_traffic_graph(network, table, rates)
    flat, grouped = (
        expected_metrics(network, graph, Assignment(4, owner, groups=groups), rates)
        for groups in ((), (3, 1))
    )
    assert (flat.epoch_steps, flat.exchanges, flat.groups) == (1, pytest.approx(1e4), ())
    assert (flat.group_epoch_steps, flat.group_exchanges) == (0, 0.0)
    assert (grouped.epoch_steps, grouped.exchanges) == (30, pytest.approx(1e3 / 3.0))
    assert (grouped.group_epoch_steps, grouped.group_exchanges) == (1, pytest.approx(1e4))
    assert grouped.groups == (3, 1)
    inside, others = 512 * 3.0, 512 * 5.0
    assert flat.bytes == pytest.approx(4 * (0.75 * (inside + others) + 3 * 2 * 1e4))
    # of the first group each spike comes to two others, who are 3/4 of all ranks' 2 on average
    assert grouped.bytes == pytest.approx(
        4 * (0.75 * (inside + others) + 3 * 31 * 1e3 / 3.0 + 2 * inside / 4 + 1.5 * 2 * 1e4)
    )
    data = grouped.to_dict()
    assert (data["groups"], data["group_epoch_ms"]) == ([3, 1], 0.1)


def test_runs_from_before_there_were_groups_are_read() -> None:
    one = dict.fromkeys(
        ("steps", "neurons", "synaptic_events", "own_spikes", "epoch_steps", "exchanges"), 10
    )
    one |= {"received_spikes": 4, "received_bytes": 4}
    lists = {name: [0, 1] for name in ("sources", "spikes_from_rank", "synapses", "min_delay")}
    found = measured_metrics([one | lists] * 2, Assignment(2, np.array([0, 1], np.int32)), 0.1)
    assert found is not None
    assert (found.groups, found.group_epoch_steps, found.group_exchanges) == ((), 0, 0.0)
    assert found.bytes == pytest.approx(4 * (4 + 11 * 10) / 1e-3)


def random_network(draw: np.random.Generator) -> Network:
    """Return a few populations of a few slices, with delays of all kinds."""
    sizes = [int(draw.choice([1, 40, 64, 130, 300])) for _ in range(draw.integers(1, 6))]
    cells = [Population(f"m{at}", size, IafPscExp()) for at, size in enumerate(sizes)]
    delays = [0.1, 0.3, 1.0, 3.0, 30.0]
    made = [
        Projection(pre, post, FixedIndegree(3), 1.0, float(draw.choice(delays)))
        for pre in cells
        for post in cells
        if draw.random() < 0.6
    ]
    return Network(cells, made)


def random_modules(draw: np.random.Generator, ranks: int) -> Network:
    """Return populations that are near in themselves and far from each other, two ranks large."""
    cells = [
        Population(f"P{at}", int(draw.choice([384, 512, 640])), IafPscExp())
        for at in range(ranks // 2)
    ]
    made = [Projection(one, one, FixedIndegree(30), 1.0, 0.1) for one in cells]
    made += [
        Projection(one, cells[at - 1], FixedIndegree(3), 1.0, float(draw.choice([3.0, 30.0])))
        for at, one in enumerate(cells)
    ]
    return Network(cells, made)


def checked(network: Network, draw: np.random.Generator, ranks: int, speeds: list[float]) -> bool:
    """Check that no rank is much fuller than without groups; return whether there are groups."""
    shares = None if draw.random() < 0.5 else list(draw.choice(speeds, ranks))
    rates = {one.name: float(draw.choice([0.0, 1.0, 50.0])) for one in network.populations}
    imbalance = float(draw.choice([0.0, 0.03, 0.5, 1.0]))
    strategy = Graph(rates, shares, imbalance=imbalance)
    graph = build_traffic_graph(network, make_blocks(network), rates)
    weight, of_ranks = strategy.cost.of_slices(graph, network), strategy.relative_speeds(ranks)
    capacity = rank_capacities(weight, of_ranks, imbalance)
    made = strategy.assign_graph(graph, network, ranks)
    longest = max_epoch_steps(network)
    flat = partition_graph(graph, weight, of_ranks, max_epoch=longest, imbalance=imbalance)
    fullest, without = (
        float((np.bincount(owner, weight, minlength=ranks) / capacity).max())
        for owner in (made.owner, flat)
    )
    assert fullest <= 1.1 * max(1.0, without)
    if made.groups:
        assert set(made.group_of_rank[made.owner]) == set(range(len(made.groups)))
        assert not np.array_equal(made.owner, flat)
    return bool(made.groups)


@pytest.mark.parametrize("seed", sampled([102, *range(20), 21], 8))
def test_groups_that_would_make_a_rank_much_fuller_are_not_made(seed: int) -> None:
    draw = np.random.default_rng(seed)
    network, ranks = random_network(draw), int(draw.choice([2, 4, 6, 8, 12]))
    assert not checked(network, draw, ranks, [1e-3, 1.0, 2.0, 5.0])


@pytest.mark.ci
def test_groups_leave_no_rank_much_fuller_than_it_would_be() -> None:
    grouped = 0
    for seed in range(10):
        draw = np.random.default_rng(seed)
        ranks = int(draw.choice([4, 6]))
        grouped += checked(random_modules(draw, ranks), draw, ranks, [1.0, 2.0])
    assert 3 <= grouped < 10
