"""Plastic synapses as the user sees them: weights read and set, learning switched, runs resumed."""

from pathlib import Path

import numpy as np
import pytest
from campaigns import sampled
from recorded import state_digest
from rewarded import Rewarded
from thread_ranks import run as run_ranks

from distsnn.comm import Communicator
from distsnn.errors import DescriptionError
from distsnn.kernels.plastic import BATCH
from distsnn.network import (
    STDP,
    ConnectionFile,
    ConnectionList,
    FixedIndegree,
    IafPscExp,
    Network,
    Oja,
    OneToOne,
    PoissonInput,
    Population,
    Projection,
    SpikeSource,
    Uniform,
)
from distsnn.simulation import RunPolicy, Simulation

E = Population("E", 140, IafPscExp(), {"V_m": Uniform(-70.0, -50.0)})
S = Population("S", 70, SpikeSource(np.arange(1, 400) * 0.5, np.arange(399) * 11 % 70))
PAIRS = ConnectionList([3, 3, 1, 3, 65, 1], [9, 120, 4, 9, 70, 4])
GIVEN = [-10.0, -20.0, -30.0, -40.0, -50.0, -60.0]
NETWORK = Network(
    [S, E],
    [
        Projection(S, E, PAIRS, GIVEN, [1.0, 1.1, 1.2, 1.3, 1.4, 1.5], synapse=STDP(w_max=-90.0)),
        Projection(E, E, FixedIndegree(9), 30.0, Uniform(1.0, 3.0), synapse=STDP(alpha=0.5)),
        Projection(S, E, FixedIndegree(3), 50.0, 1.0, name="static"),
    ],
    [PoissonInput(E, 9000.0, 55.0)],
)


def test_weights_are_in_the_order_of_source_and_target() -> None:
    with Simulation(NETWORK) as simulation:
        given = simulation["S->E"]
        np.testing.assert_array_equal(given.sources, [1, 1, 3, 3, 3, 65])
        np.testing.assert_array_equal(given.targets, [74, 74, 79, 79, 190, 140])
        np.testing.assert_allclose(given.delays, [1.2, 1.5, 1.0, 1.3, 1.1, 1.4])
        np.testing.assert_allclose(given.weights, [-30.0, -60.0, -10.0, -40.0, -20.0, -50.0])
        drawn = simulation["E->E"]
        assert drawn.weights.shape == (140 * 9,)
        np.testing.assert_array_equal(drawn.weights, 30.0)
        pairs = list(zip(drawn.sources.tolist(), drawn.targets.tolist(), strict=True))
        assert pairs == sorted(pairs)


def test_reading_changes_nothing_and_setting_does() -> None:
    with Simulation(NETWORK) as one, Simulation(NETWORK) as other:
        for _ in range(30):
            one.run(5.0)
            one["E->E"].weights.sum()
        other.run(150.0)
        learnt = other["E->E"]
        np.testing.assert_array_equal(one["E->E"].weights, learnt.weights)
        assert np.unique(learnt.weights).size > 500
        new = np.linspace(0.0, 100.0, learnt.weights.size).astype(np.float32)
        learnt.weights = new
        np.testing.assert_array_equal(learnt.weights, new)
        other["S->E"].weights = -7.0
        np.testing.assert_array_equal(other["S->E"].weights, -7.0)


def test_without_learning_weights_stay() -> None:
    with Simulation(NETWORK) as simulation:
        simulation.run(60.0)
        simulation["E->E"].learning = False
        before = simulation["E->E"].weights
        simulation.run(60.0)
        synapses = simulation["E->E"]
        np.testing.assert_array_equal(synapses.weights, before)
        simulation["E->E"].learning = True
        np.testing.assert_array_equal(synapses.weights, before)
        simulation.run(60.0)
        assert (synapses.weights != before).mean() > 0.5


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("E->A", 1.0, "unknown part of the network 'E->A'; allowed: E, E->E, S, S->E, static; did"),
        ("static", [1.0], "array of the wrong shape"),
        ("S->E", 1.0, "synapse 0 from gid 1 to gid 74: out of range; given 1.0; allowed: >= -90"),
        ("S->E", [-1.0, -2.0, -3.0, -91.0, -4.0, -5.0], "synapse 3 from gid 3 to gid 79"),
        ("S->E", [-1.0], "array of the wrong shape"),
        ("E->E", np.nan, "out of range; given nan"),
        ("E->E", Uniform(0.0, 1.0), "must be a number or an array"),
    ],
)
def test_errors_name_the_place(name: str, value: object, message: str) -> None:
    with Simulation(NETWORK) as simulation, pytest.raises(DescriptionError) as caught:
        simulation[name].weights = value  # type: ignore[assignment]
    assert message in str(caught.value)


def test_every_synapse_keeps_to_its_own_bound() -> None:
    bounds = np.array([-60.0, -20.0, -30.0, -40.0, -50.0, -99.0])
    one = Projection(S, E, PAIRS, 0.5 * bounds, 1.0, synapse=STDP(w_max=bounds))
    with Simulation(Network([S, E], [one])) as simulation:
        synapses = simulation["S->E"]
        order = np.lexsort((PAIRS.targets, PAIRS.sources))
        np.testing.assert_array_equal(synapses.weights, 0.5 * bounds[order])
        synapses.weights = bounds[order]
        np.testing.assert_array_equal(synapses.weights, bounds[order])
        with pytest.raises(DescriptionError, match="synapse 2 from gid 3 to gid 79: out of range"):
            synapses.weights = bounds[order] - np.array([0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
        synapses.weights = -1.0
        synapses.normalise(-150.0)
        sums = np.bincount(synapses.targets, weights=synapses.weights)
        assert (synapses.weights >= bounds[order]).all()
        np.testing.assert_array_equal(sums[[74, 79]], [-105.0, -100.0])


def test_weights_stay_above_their_lower_bounds() -> None:
    bounds = np.array([-60.0, -20.0, -30.0, -40.0, -50.0, -99.0])
    each = STDP(w_max=bounds, w_min=0.25 * bounds)
    one = Projection(S, E, PAIRS, 0.25 * bounds, 1.0, synapse=each)
    with Simulation(Network([S, E], [one])) as simulation:
        synapses = simulation["S->E"]
        least = 0.25 * bounds[np.lexsort((PAIRS.targets, PAIRS.sources))]
        np.testing.assert_array_equal(synapses.weights, least)
        with pytest.raises(DescriptionError, match=r"given -4.0; allowed: >= -20 and <= -5"):
            synapses.weights = np.where(least == -5.0, -4.0, least)
        synapses.weights = 2.0 * least
        synapses.normalise(-1.0)
        np.testing.assert_array_equal(synapses.weights, least)


@pytest.mark.parametrize("precision", sampled(["float32", "float64"], 2))
def test_weights_at_their_bounds_may_be_set_as_they_were_read(precision: str) -> None:
    # in float32 one bound is rounded up, the other down
    given = np.array([0.7, 0.7, 0.7, 1.1, 1.1, 1.1])
    each = Oja(w_min=0.7, w_max=1.1, precision=precision)
    one = Projection(S, E, PAIRS, given, 1.0, synapse=each)
    with Simulation(Network([S, E], [one])) as simulation:
        synapses = simulation["S->E"]
        found = synapses.weights
        np.testing.assert_allclose(found, given[np.lexsort((PAIRS.targets, PAIRS.sources))])
        synapses.weights = found
        np.testing.assert_array_equal(synapses.weights, found)
        simulation.run(20.0)
        assert synapses.weights.min() >= found.min()
        for outside in (0.699, 1.101):
            with pytest.raises(DescriptionError, match=r"allowed: >= 0.7 and <= 1.1"):
                synapses.weights = outside


def test_first_weights_with_few_bits_keep_to_their_own_bounds() -> None:
    most = np.array([10.0, 11.0, 12.0, 13.0, 14.0, 15.0])
    each = STDP(w_max=most, w_min=0.9 * most)
    one = Projection(S, E, PAIRS, most, 1.0, synapse=each, weight_bits=2)
    with Simulation(Network([S, E], [one])) as simulation:
        synapses = simulation["S->E"]
        order = np.lexsort((PAIRS.targets, PAIRS.sources))
        # multiples of 4 where the bounds allow
        expected = np.array([9.0, 11.0, 12.0, 12.0, 14.0, 15.0])
        np.testing.assert_allclose(synapses.weights, expected[order])
        synapses.weights = synapses.weights


@pytest.mark.parametrize("bits", [None, 2])
def test_weights_in_a_file_are_compared_with_their_bounds_as_they_are_given(
    tmp_path: Path, bits: int | None
) -> None:
    def built(*weights: float, w_max: float = 15.0, w_min: float = 8.0) -> np.ndarray:
        np.savez(tmp_path / "edges.npz", sources=[3, 1], targets=[9, 4], w=weights)
        rule = ConnectionFile(tmp_path / "edges.npz", weights="w")
        learning = STDP(w_max=w_max, w_min=w_min)
        one = Projection(S, E, rule, delay=1.0, synapse=learning, weight_bits=bits)
        with Simulation(Network([S, E], [one])) as simulation:
            return simulation["S->E"].weights

    # sorted by source
    np.testing.assert_array_equal(built(15.0, 8.0), [8.0, 15.0])
    for outside in (15.001, 7.999, -9.0):
        message = rf"from gid 1 to gid 74: out of range; given {outside}; allowed: >= 8 and <= 15$"
        with pytest.raises(DescriptionError, match=message):
            built(15.0, outside)
    # a bound as it was read in float32
    assert float(np.float32(1.1)) > 1.1
    built(np.float32(1.1), 1.0, w_max=1.1, w_min=0.1)


def test_switch_must_be_one() -> None:
    with Simulation(NETWORK) as simulation, pytest.raises(DescriptionError, match="True or False"):
        simulation["E->E"].learning = 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("E->E", 1.0, "signal of projection 'E->E': no signal modulates it"),
        ("by spikes", 1.0, "no signal modulates it"),
        ("by signal", np.inf, "signal: must be finite; given inf"),
        ("by signals", 1.0, "did you mean 'by signal'?"),
    ],
)
def test_signals_must_be_such(name: str, value: float, message: str) -> None:
    modulated = [
        Projection(S, E, FixedIndegree(3), 50.0, 1.0, name=f"by {kind}", synapse=synapse)
        for kind, synapse in (("spikes", Rewarded(modulator="E")), ("signal", Rewarded()))
    ]
    network = Network(NETWORK.populations, [*NETWORK.projections, *modulated])
    with Simulation(network) as simulation, pytest.raises(DescriptionError) as caught:
        simulation[name].signal = value
    assert message in str(caught.value)


def _on_ranks(ranks: Communicator) -> list[np.ndarray]:
    policy = RunPolicy(heartbeat_timeout=np.inf)
    with Simulation(NETWORK, communicator=ranks, policy=policy) as simulation:
        synapses = simulation["E->E"]
        synapses.weights = np.linspace(0.0, 100.0, synapses.sources.size)
        return [synapses.sources, synapses.targets, synapses.delays, synapses.weights]


def test_synapses_are_the_same_on_all_ranks() -> None:
    (alone,), _ = run_ranks(1, _on_ranks)
    found, _ = run_ranks(3, _on_ranks)
    for one in found:
        for expected, values in zip(alone, one, strict=True):
            np.testing.assert_array_equal(values, expected)


def test_learning_resumes_from_a_checkpoint(tmp_path: Path) -> None:
    network = Network(
        NETWORK.populations,
        [
            *NETWORK.projections[:2],
            Projection(
                *(E, E, FixedIndegree(9), 30.0, Uniform(2.0, 9.0)),
                synapse=STDP(axonal_delay=1.5, learning_rate=0.1),
                name="axonal",
            ),
            Projection(
                *(E, E, FixedIndegree(4), 30.0, 2.0),
                synapse=Rewarded(w_max=90.0),
                name="rewarded",
            ),
            Projection(
                *(E, E, FixedIndegree(4), 30.0, Uniform(2.0, 4.0)),
                synapse=Rewarded(modulator="S", modulation_delay=8.3, tau_n=5.0),
                name="by spikes",
            ),
        ],
        NETWORK.stimuli,
    )

    def end(simulation: Simulation, store: Path) -> list[np.ndarray]:
        simulation["axonal"].learning = True
        simulation.run(70.3)
        simulation.save(store)
        return [simulation[one.name or ""].weights for one in network.projections]

    with Simulation(network) as simulation:
        simulation.run(50.0)
        simulation["axonal"].learning = False
        simulation["rewarded"].signal = 0.02
        simulation.run(30.7)
        simulation.save(tmp_path / "middle.zarr")
        whole = end(simulation, tmp_path / "whole.zarr")
    with Simulation.restore(tmp_path / "middle.zarr") as simulation:
        assert [one.learns for one in simulation._engine.plastic] == [
            *(True, True, False, True, True)
        ]
        resumed = end(simulation, tmp_path / "resumed.zarr")
    for expected, values in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(values, expected)
        assert np.unique(values).size > 3
    digests = [
        state_digest(store) for store in (tmp_path / "whole.zarr", tmp_path / "resumed.zarr")
    ]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("axonal_delay", [0.0, 1.0])
def test_all_rows_take_their_events_where_there_are_more_than_a_batch(axonal_delay: float) -> None:
    n = 2 * BATCH + 7
    times = np.repeat([5.0, 25.0, 45.0], n)
    pre = Population("pre", n, SpikeSource(times, np.tile(np.arange(n), 3)))
    post = Population("post", n, IafPscExp(I_e=900.0))
    rule = STDP(learning_rate=0.1, w_max=100.0, axonal_delay=axonal_delay)
    one_to_one = Projection(pre, post, OneToOne(), 50.0, 1.5, name="p", synapse=rule)
    with Simulation(Network([pre, post], [one_to_one]), seed=1) as simulation:
        simulation.run(60.0)
        values = simulation["p"].weights
    assert values.size == n
    assert abs(values[0] - 50.0) > 0.1
    np.testing.assert_array_equal(values, values[0])
