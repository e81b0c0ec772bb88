"""The traffic graph: expectations beside what is wired, and beside edges that are given."""

from pathlib import Path

import decoded
import numpy as np
import pytest
from decoded import DELAY, SOURCE, TARGET

from distsnn.engine import edges
from distsnn.errors import DescriptionError
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
    Projection,
    Uniform,
)
from distsnn.network.blocks import BlockTable, make_blocks, make_slices
from distsnn.partition.traffic import NO_DELAY, TrafficGraph, build_traffic_graph, neuron_rates

E, INH = Population("E", 150, IafPscExp()), Population("I", 70, IafPscExp())
SEEDS = 40


def dense(graph: TrafficGraph, values: np.ndarray, missing: float = 0.0) -> np.ndarray:
    found = np.full((graph.n, graph.n), missing)
    found[graph.source, graph.target] = values
    return found


def wired(network: Network, table: BlockTable, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Count the synapses between slices as they are built, and their smallest delays."""
    found = decoded.synapses(network, seed=seed)
    n = table.n_blocks
    cell = table.block_of_gid(found[:, SOURCE]) * n + table.block_of_gid(found[:, TARGET])
    delay = np.full(n * n, NO_DELAY)
    np.minimum.at(delay, cell, found[:, DELAY].astype(np.int32))
    return np.bincount(cell, minlength=n * n).reshape(n, n), delay.reshape(n, n)


@pytest.mark.parametrize(
    ("rule", "ends"),
    [
        (FixedIndegree(9), (E, INH)),
        (FixedIndegree(9, autapses=False, multapses=False), (E, E)),
        (FixedIndegree(9), (E[20:90], INH[3:50])),
        (FixedOutdegree(9, autapses=False), (E, E)),
        (FixedTotalNumber(3000), (E[10:130], E)),
        (PairwiseBernoulli(0.1, autapses=False), (E, E)),
        (FixedIndegree(9), (E[[0, 1, 70, 129]], INH[::3])),
        (FixedTotalNumber(3000, autapses=False), (E[1::2], E[1::2])),
    ],
)
def test_expected_synapses_are_the_mean_of_what_is_wired(rule: ConnectionRule, ends: tuple) -> None:
    network = Network([E, INH], [Projection(*ends, rule, 1.0, Uniform(0.5, 2.0))])
    table = make_slices(network, 64)
    graph = build_traffic_graph(network, table)
    made = np.array([wired(network, table, seed)[0] for seed in range(SEEDS)])
    assert graph.synapses.sum() == pytest.approx(network.expected_synapses())
    expected = dense(graph, graph.synapses)
    # No cell's count varies more than a binomial one's.
    tolerance = 4.0 * np.sqrt(np.maximum(expected, made.var(axis=0)) / SEEDS)
    assert np.all(np.abs(made.mean(axis=0) - expected) <= tolerance)
    assert np.all(made[:, expected == 0.0] == 0)
    assert np.all(dense(graph, graph.min_delay, NO_DELAY) <= wired(network, table, 0)[1])
    assert set(graph.min_delay) == {5}


def test_what_is_given_is_counted(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    ends = draw.integers(10, 40, 500), draw.integers(0, 70, 500)
    np.savez(tmp_path / "edges.npz", sources=ends[0], targets=ends[1], d=ends[0] * 0.1)
    network = Network(
        [E, INH],
        [
            Projection(E[5:105], INH, ConnectionList(*ends), 1.0, draw.integers(2, 90, 500) * 0.1),
            Projection(INH, E[70:140], OneToOne(), 1.0, np.arange(1, 71) * 0.1),
            Projection(E[3:], INH, ConnectionFile(str(tmp_path / "edges.npz"), delays="d"), 1.0),
            Projection(INH, INH, AllToAll(autapses=False), 1.0, 0.7),
        ],
    )
    table = make_slices(network, 32)
    with pytest.raises(
        DescriptionError, match=r"projection 'E.3:150.->I': the edges are in a file"
    ):
        build_traffic_graph(network, table)
    graph = build_traffic_graph(
        network, table, edges=lambda one: edges.file_records(one, network.dt, [(0, 500)])
    )
    synapses, delay = wired(network, table, 1)
    np.testing.assert_array_equal(dense(graph, graph.synapses), synapses)
    np.testing.assert_array_equal(dense(graph, graph.min_delay, NO_DELAY), delay)
    # rows are sorted, without empty or double entries
    assert np.all(graph.synapses > 0)
    assert np.all(np.diff(graph.source.astype(np.int64) * graph.n + graph.target) > 0)


def test_rates_make_spikes_and_events() -> None:
    network = Network([E, INH], [Projection(E, INH, FixedIndegree(10), 1.0, 1.0)])
    table = make_blocks(network)
    np.testing.assert_array_equal(table.size, [64, 64, 22, 64, 6])
    each = np.arange(150.0)
    graph = build_traffic_graph(network, table, {"E": each, "I": 2.0})
    np.testing.assert_allclose(graph.rate, [31.5, 95.5, 138.5, 2.0, 2.0])
    np.testing.assert_allclose(graph.spike_rate.sum(), each.sum() + 140.0)
    # every target neuron gets 10 synapses, of sources with the mean rate
    np.testing.assert_allclose(graph.event_rate, np.array([0, 0, 0, 64, 6]) * 10 * each.mean())
    np.testing.assert_allclose(graph.incoming_synapses, [0, 0, 0, 640, 60])


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"E": 1.0}, "rates, population 'I': the rate is missing"),
        ({"E": 1.0, "I": 1.0, "Ee": 2.0}, "unknown population 'Ee'.*did you mean 'E'"),
        ({"E": -1.0, "I": 1.0}, "rates, population 'E'.*-1"),
        ({"E": np.ones(149), "I": 1.0}, r"rates, population 'E'.*\(149,\)"),
        ({"E": np.nan, "I": 1.0}, "rates, population 'E'.*nan"),
    ],
)
def test_invalid_rates_are_refused(rates: dict, message: str) -> None:
    network = Network([E, INH])
    with pytest.raises(DescriptionError, match=message):
        neuron_rates(network, rates)
