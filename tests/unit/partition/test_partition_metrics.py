"""Metrics of an assignment: expectations beside what is counted in built wirings."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import decoded
import numpy as np
import pytest
from decoded import DELAY, SOURCE, TARGET

from distsnn.network import (
    AllToAll,
    ConnectionFile,
    ConnectionList,
    ConnectionRule,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscExp,
    Network,
    OneToOne,
    PairwiseBernoulli,
    Population,
    PopulationView,
    Projection,
    Uniform,
)
from distsnn.network.blocks import make_blocks
from distsnn.partition.assignment import Assignment, make_assignment
from distsnn.partition.metrics import AssignmentMetrics, expected_metrics
from distsnn.partition.traffic import build_traffic_graph

E, INH = Population("E", 200, IafPscExp()), Population("I", 70, IafPscExp())
SEEDS = 30
RATES = {"E": np.linspace(1.0, 9.0, 200), "I": 20.0}


def counted(network: Network, assignment: Assignment, seed: int) -> tuple[float, float, int, int]:
    """Return connectivity, traffic, cut synapses and smallest delay of a built network."""
    found = decoded.synapses(network, seed=seed)
    owner = np.repeat(assignment.owner, make_blocks(network).size).astype(np.int64)
    remote = owner[found[:, SOURCE]] != owner[found[:, TARGET]]
    pairs = np.unique(found[remote, SOURCE] * assignment.ranks + owner[found[remote, TARGET]])
    rate = np.concatenate([RATES["E"], np.full(70, RATES["I"])])
    spikes = rate[pairs // assignment.ranks].sum()
    return pairs.size, spikes, int(remote.sum()), int(found[remote, DELAY].min())


def expected(network: Network, ranks: int, strategy: str = "round_robin") -> AssignmentMetrics:
    table = make_blocks(network)
    return expected_metrics(
        network,
        build_traffic_graph(network, table, RATES),
        make_assignment(table, ranks, strategy),
        RATES,
    )


@pytest.mark.parametrize(
    "rule",
    [
        FixedIndegree(2),
        FixedIndegree(2, autapses=False, multapses=False),
        FixedOutdegree(2, autapses=False),
        FixedOutdegree(2, multapses=False),
        FixedTotalNumber(400),
        PairwiseBernoulli(0.01, autapses=False),
    ],
)
@pytest.mark.parametrize(
    ("every", "some"),
    [(E[:], E[30:150]), (E[::2], E[np.arange(200) % 7 < 3])],
    ids=["range", "list"],
)
def test_expectations_are_the_means_of_what_is_wired(
    rule: ConnectionRule, every: PopulationView, some: PopulationView
) -> None:
    network = Network(
        [E, INH],
        [
            Projection(every, every, rule, 1.0, Uniform(0.7, 2.0)),
            # a second way for the same sources, and sources from the middle of a block
            Projection(some, INH, FixedIndegree(2), 1.0, 1.0),
        ],
    )
    table = make_blocks(network)
    assignment = make_assignment(table, 3, "round_robin")
    made = np.array([counted(network, assignment, seed)[:3] for seed in range(SEEDS)])
    found = expected(network, 3)
    error = made.std(axis=0, ddof=1) / np.sqrt(SEEDS)
    values = (found.source_rank_pairs, found.remote_spike_rate, found.cut_synapses)
    # FixedOutdegree and FixedIndegree may have cuts that hardly vary
    assert np.all(np.abs(made.mean(axis=0) - values) <= 4.0 * error + 1e-9)
    # of 90 counts, chance lets a quarter of one be farther away than that
    within = np.abs(made - values) <= 3.0 * made.std(axis=0, ddof=1) + 1e-9
    assert np.count_nonzero(~within) <= 2
    assert found.epoch_steps <= counted(network, assignment, 0)[3]
    assert found.epoch_steps == 7


def test_what_is_given_is_exact() -> None:
    draw = np.random.default_rng(3)
    edges = ConnectionList(draw.integers(0, 200, 300), draw.integers(0, 70, 300))
    network = Network(
        [E, INH],
        [
            Projection(E, INH, edges, 1.0, draw.integers(3, 50, 300) * 0.1),
            Projection(E[:70], INH, OneToOne(), 1.0, 4.0),
            Projection(E[::5], INH[[*range(0, 40, 2), *range(50, 70)]], OneToOne(), 1.0, 4.0),
            Projection(E[1::5], INH[1::2], AllToAll(), 1.0, 5.0),
            Projection(INH, INH, AllToAll(autapses=False), 1.0, 0.2),
        ],
    )
    table = make_blocks(network)
    for strategy in ("round_robin", "contiguous", "population"):
        assignment = make_assignment(table, 2, strategy)
        found = expected_metrics(
            network, build_traffic_graph(network, table, RATES), assignment, RATES
        )
        connectivity, spikes, cut, delay = counted(network, assignment, 1)
        assert found.source_rank_pairs == pytest.approx(connectivity)
        assert found.remote_spike_rate == pytest.approx(spikes)
        assert (found.cut_synapses, found.epoch_steps) == (cut, delay)
        assert found.strategy == strategy
    # E on one rank, I on the other: I's fast synapses are its own rank's
    assert found.min_delay.tolist() == [[0, delay], [0, 2]]
    assert (found.connected_rank_pairs, found.exchanges) == (1, pytest.approx(1e4 / delay))
    np.testing.assert_array_equal(found.neurons, [200, 70])


def test_metrics_of_one_rank_have_no_traffic() -> None:
    network = Network([E], [Projection(E, E, FixedIndegree(5), 1.0, 1.0)])
    table = make_blocks(network)
    found = expected_metrics(
        network, build_traffic_graph(network, table), make_assignment(table, 1, "contiguous")
    )
    assert (found.source_rank_pairs, found.remote_spike_rate, found.cut_synapses) == (0.0, 0.0, 0.0)
    assert (found.epoch_steps, found.exchanges, found.connected_rank_pairs, found.bytes) == (
        0,
        0.0,
        0,
        0.0,
    )
    assert (found.imbalance, found.spikes) == (0.0, 200.0)


def test_imbalance_is_that_of_the_costliest_rank() -> None:
    network = Network([E, INH], [Projection(E, INH, FixedIndegree(5), 1.0, 1.0)])
    found = expected(network, 2, "population")
    cost = found.cost
    # neurons' steps, and events onto I
    assert cost[0] == pytest.approx(200 * 1e4)
    assert cost[1] == pytest.approx(70 * 1e4 + 1.7 * 70 * 5 * RATES["E"].mean())
    assert found.imbalance == pytest.approx(cost[0] / cost.mean() - 1.0)
    data = found.to_dict()
    assert data["synapses"] == [0.0, 350.0]
    assert data["epoch_ms"] == 1.0


def test_files_are_read_once_and_piece_by_piece(tmp_path: Path) -> None:
    n, size = 60, 20_000
    draw = np.random.default_rng(5)
    np.savez(tmp_path / "edges.npz", s=np.zeros(n * size, np.int32), t=np.zeros(n * size, np.int32))
    file = ConnectionFile(str(tmp_path / "edges.npz"), sources="s", targets="t")
    network = Network([E, INH], [Projection(E[50:], INH, file, 1.0, 1.0)])
    readings, hit = [], np.zeros((200, 70), bool)

    def read(one: Projection) -> Iterator[np.ndarray]:
        readings.append(one.name)
        for _ in range(n):
            piece = np.empty(size, [("source", "u4"), ("target", "u4"), ("number", "i8")])
            piece["source"], piece["target"] = draw.choice(140, 5)[np.arange(size) % 5], 3
            piece["target"][:9] = draw.integers(0, 70, 9)
            hit[50 + piece["source"], piece["target"]] = True
            yield piece

    table = make_blocks(network)
    graph, assignment = (
        build_traffic_graph(network, table, RATES, read),
        make_assignment(table, 3, "round_robin"),
    )
    hit[:] = False
    readings.clear()
    tracemalloc.start()
    found = expected_metrics(network, graph, assignment, RATES, read)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(readings) == 1
    assert peak < 8 * 16 * size  # some pieces, of 60
    owner = np.repeat(assignment.owner, table.size)
    known = np.zeros((3, 3))
    for rank in range(3):
        reach = hit[:, owner[200:] == rank].any(axis=1) & (owner[:200] != rank)
        known[:, rank] = np.bincount(owner[:200], reach, minlength=3)
    np.testing.assert_allclose(found.sources, known)
    assert known.sum() > 50
