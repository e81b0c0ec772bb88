"""Weights of static projections, set between two runs."""

from pathlib import Path

import numpy as np
import pytest
from recorded import assert_same, recorded, state_digest

from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    AllToAll,
    ConnectionList,
    FixedIndegree,
    IafPscExp,
    Network,
    Normal,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    SpikeInput,
    SpikeSource,
    Tsodyks2,
    Uniform,
)
from distsnn.simulation import Simulation

E = Population("E", 150, IafPscExp())
OTHERS = Population("I", 100, IafPscExp())
DELAYS = Uniform(0.5, 6.0)
DRIVE = [PoissonInput(E, 9000.0, 50.0), PoissonInput(OTHERS, 9000.0, 50.0)]
RECORDS = [RecordSpikes(E), RecordSpikes(OTHERS)]


def network(weight: float | Normal = 40.0) -> Network:
    """Return a network with a projection whose weights are set, and others beside it."""
    return Network(
        [E, OTHERS],
        [
            Projection(E, OTHERS, FixedIndegree(30), weight, DELAYS),
            Projection(E, E, FixedIndegree(10), 25.0, DELAYS),
            Projection(E, OTHERS, AllToAll(), 1.0, 1.5, name="beside"),
        ],
        DRIVE,
        RECORDS,
    )


def _new(simulation: Simulation) -> np.ndarray:
    """Return weights of both signs that are whole numbers, also with synapses that stay."""
    synapses = simulation["E->I"]
    new = np.round(60.0 * np.sin(np.arange(synapses.weights.size)))
    new[::7] = synapses.weights[::7]
    return new


@pytest.mark.parametrize(
    ("storage", "delivery"),
    [
        *((storage, way) for storage in ("packed", "explicit", "auto") for way in ("push", "pull")),
        ("procedural", "push"),
    ],
)
def test_a_changed_run_equals_one_that_was_described_so(
    tmp_path: Path, storage: str, delivery: str
) -> None:
    made, changed, described = network(), tmp_path / "changed", tmp_path / "described"
    with Simulation(made, seed=5, out=changed, storage=storage, delivery=delivery) as simulation:
        synapses = simulation["E->I"]
        new = _new(simulation)
        edges = ConnectionList(
            synapses.sources.astype(np.int32), (synapses.targets - E.size).astype(np.int32)
        )
        delays = synapses.delays
        synapses.weights = new
        np.testing.assert_array_equal(synapses.weights, new)
        np.testing.assert_array_equal(synapses.connections()["weight"], new)
        simulation.run(100.0)
        events = simulation.counters()
    again = Network(
        made.populations,
        [Projection(E, OTHERS, edges, new, delays), *made.projections[1:]],
        DRIVE,
        RECORDS,
    )
    with Simulation(again, seed=5, out=described, delivery=delivery) as simulation:
        simulation.run(100.0)
        assert simulation.counters().events == events.events
    assert_same(recorded(changed), recorded(described))
    assert StoreReader(changed).n_spikes > 200
    assert StoreReader(changed).metadata["script_changes"] == ["E->I"]


@pytest.mark.parametrize("delivery", ["push", "pull"])
def test_spikes_in_flight_act_with_the_new_weights(delivery: str) -> None:
    source = Population("S", 2, SpikeSource([2.0, 3.0, 4.0, 9.0], [0, 1, 0, 1]))
    target = Population("T", 1, IafPscExp())
    edges = ConnectionList([0, 0, 1, 1], [0, 0, 0, 0])
    projection = Projection(source, target, edges, 8.0, [1.0, 4.0, 2.5, 6.0])
    with Simulation(Network([source, target], [projection]), delivery=delivery) as simulation:
        simulation.run(4.5)
        simulation["S->T"].weights = [16.0, 32.0, -4.0, 64.0]
        simulation.run(0.7)
        simulation["S->T"].weights = [16.0, 128.0, -4.0, 64.0]
        simulation.run(12.0)
        state = simulation["T"].state
        found = [state[name] for name in ("V_m", "I_syn_ex", "I_syn_in")]
    # arrivals: at 3 and 5, 6 and 8, 5.5 and 9, 11.5 and 15
    times = np.array([3.0, 5.0, 6.0, 8.0, 5.5, 9.0, 11.5, 15.0])
    given = SpikeInput(
        target, times, np.zeros(8, int), [8.0, 16.0, 128.0, 128.0, -4.0, 64.0, -4.0, 64.0]
    )
    with Simulation(Network([target], [], [given])) as simulation:
        simulation.run(17.2)
        state = simulation["T"].state
        for name, values in zip(("V_m", "I_syn_ex", "I_syn_in"), found, strict=True):
            np.testing.assert_array_equal(state[name], values)


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for path in (whole, parts):
        with Simulation(network(), seed=5, out=path) as simulation:
            simulation.run(40.0)
            simulation["E->I"].weights = new = _new(simulation)
            simulation.run(2.3)
            if path == parts:
                simulation.save()
                continue
            simulation.run(50.0)
            simulation.save()
    with Simulation.resume(parts) as simulation:
        np.testing.assert_array_equal(simulation["E->I"].weights, new)
        simulation.run(50.0)
        simulation.save()
    assert_same(recorded(whole), recorded(parts))
    assert state_digest(whole) == state_digest(parts)


def test_a_reset_keeps_weights_or_returns_to_the_described_ones(tmp_path: Path) -> None:
    with Simulation(network(), seed=5, out=tmp_path / "first") as simulation:
        before = simulation["E->I"].weights
        simulation["E->I"].weights = new = _new(simulation)
        simulation.run(60.0)
        simulation.reset(out=tmp_path / "again")
        np.testing.assert_array_equal(simulation["E->I"].weights, new)
        simulation.run(60.0)
        simulation.reset(weights="described", out=tmp_path / "described")
        np.testing.assert_array_equal(simulation["E->I"].weights, before)
        simulation.run(60.0)
    with Simulation(network(), seed=5, out=tmp_path / "plain") as simulation:
        simulation.run(60.0)
    assert_same(recorded(tmp_path / "first"), recorded(tmp_path / "again"))
    assert_same(recorded(tmp_path / "described"), recorded(tmp_path / "plain"))
    assert StoreReader(tmp_path / "again").metadata["script_changes"] == ["E->I"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0], "array of the wrong shape"),
        (np.nan, "weight"),
        (1e-9, r"synapse 0 from gid \d+ to gid \d+: the projection cannot store .*; given 1e-09"),
        (1e12, r"cannot store the weight"),
        (
            4000.0,
            r"weights of projection 'E->I': a step's input could overflow with the new weights",
        ),
        (Normal(1.0, 1.0), "must be a number or an array"),
    ],
)
def test_weights_that_do_not_fit_are_refused(value: object, message: str) -> None:
    with Simulation(network()) as simulation:
        before = simulation["E->I"].weights
        with pytest.raises(DescriptionError, match=message):
            simulation["E->I"].weights = value  # type: ignore[assignment]
        np.testing.assert_array_equal(simulation["E->I"].weights, before)


def test_scaled_weights_are_refused() -> None:
    scaled = Projection(E, OTHERS, FixedIndegree(3), 40.0, 1.0, synapse=Tsodyks2())
    with (
        Simulation(Network([E, OTHERS], [scaled])) as simulation,
        pytest.raises(DescriptionError, match="weights that a synapse model scales cannot be set"),
    ):
        simulation["E->I"].weights = 3.0
