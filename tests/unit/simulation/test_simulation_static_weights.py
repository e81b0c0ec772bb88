"""Weights of static projections, set between two runs."""

from pathlib import Path

import numpy as np
import pytest
import thread_ranks
from recorded import assert_same, recorded, state_digest

from distsnn.comm import Communicator
from distsnn.engine.connection_table import static_connections
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    AllToAll,
    ConnectionList,
    ConnectionRule,
    FixedIndegree,
    IafBw2001,
    IafPscExp,
    Network,
    NmdaSynapse,
    Normal,
    ParrotNeuron,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    SpikeInput,
    SpikeSource,
    Tsodyks2,
    Uniform,
)
from distsnn.simulation import Simulation, connection_access

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
        (
            1e-9,
            r"synapse 0 from gid \d+ to gid \d+: the projection cannot store the "
            r"weight to 1/1024 of its value; given 1e-09; allowed: 0, magnitudes from",
        ),
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


def test_synapses_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def count(*arguments: object) -> object:
        drawn.append(arguments)
        return static_connections(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(connection_access, "static_connections", count)
    with Simulation(network()) as simulation:
        weights = simulation["E->I"].weights
        simulation["E->I"].weights = 2.0 * weights
        np.testing.assert_array_equal(simulation["E->I"].weights, 2.0 * weights)
        with pytest.raises(ValueError, match="read-only"):
            simulation["E->I"].weights[:] = 0.0
        np.testing.assert_array_equal(simulation["E->I"].weights, 2.0 * weights)
    assert len(drawn) == 1


def scaled(
    weight: float | Normal | np.ndarray, rule: ConnectionRule, delay: Uniform | np.ndarray
) -> Projection:
    """Return a projection that a synapse model with drawn parameters scales."""
    model = Tsodyks2(U=Uniform(0.2, 0.7), tau_rec=80.0, tau_fac=Uniform(0.0, 30.0))
    return Projection(E, OTHERS, rule, weight, delay, synapse=model, name="E->I", weight_bits=12)


@pytest.mark.parametrize("weight", [150.0, Normal(150.0, 30.0)])
@pytest.mark.parametrize("delivery", ["push", "pull"])
def test_scaled_weights_act_as_if_described(
    tmp_path: Path, weight: float | Normal, delivery: str
) -> None:
    changed, described, again = (tmp_path / name for name in ("changed", "described", "again"))
    parts = [E, OTHERS], DRIVE, RECORDS
    first = Network(parts[0], [scaled(weight, FixedIndegree(40), DELAYS)], *parts[1:])
    with Simulation(first, seed=5, out=changed, delivery=delivery) as simulation:
        synapses = simulation["E->I"]
        new = np.round(150.0 * np.sin(np.arange(synapses.weights.size)))
        # negative weights would have another quantum in the other description
        new = new if isinstance(weight, Normal) else np.abs(new)
        new[::7] = synapses.weights[::7]
        edges = ConnectionList(
            synapses.sources.astype(np.int32), (synapses.targets - E.size).astype(np.int32)
        )
        delays = synapses.delays
        synapses.weights = new
        np.testing.assert_array_equal(synapses.weights, new)
        simulation.run(100.0)
        simulation.reset(out=again)
        simulation.run(100.0)
    assert_same(recorded(changed), recorded(again))
    second = Network(parts[0], [scaled(new, edges, delays)], *parts[1:])
    with Simulation(second, seed=5, out=described, delivery=delivery) as simulation:
        simulation.run(100.0)
    assert_same(recorded(changed), recorded(described))
    assert StoreReader(changed).n_spikes > 200


def test_weights_of_nmda_synapses_act_as_if_described() -> None:
    source = Population("S", 30, SpikeSource(0.5 * np.arange(1, 400), np.arange(399) % 30))
    target = Population("T", 70, IafBw2001())
    edges = ConnectionList(np.repeat(np.arange(30), 20), (7 * np.arange(600)) % 70)
    new = (1.0 + np.arange(600) % 64) / 64.0
    delays, found = 1.0 + 0.1 * (np.arange(600) % 40), []
    for weights in (np.ones(600), new):
        projection = Projection(
            *(source, target, edges, weights, delays),
            receptor="NMDA",
            synapse=NmdaSynapse(),
            weight_bits=14,
        )
        with Simulation(Network([source, target], [projection])) as simulation:
            order = np.lexsort((edges.targets, edges.sources))
            simulation["S->T"].weights = new[order]
            simulation.run(150.0)
            found.append([simulation["T"].state[name] for name in ("V_m", "s_NMDA")])
    np.testing.assert_array_equal(*found)
    assert np.max(found[0][1]) > 1.0


@pytest.mark.parametrize("delivery", ["push", "pull"])
def test_spikes_in_flight_keep_their_factors(delivery: str) -> None:
    # two sources, of which the second relays two spikes in one step
    source, relay = (
        Population("S", 1, SpikeSource([1.0, 3.0], [0, 0])),
        Population("R", 2, ParrotNeuron()),
    )
    target = Population("T", 1, IafPscExp())
    emitted = SpikeInput(relay, [1.0, 1.0, 3.0], [1, 1, 1], 1.0)
    model = Tsodyks2(U=0.5, tau_rec=100.0, tau_fac=50.0)
    projections = [
        Projection(one, target, AllToAll(), 8.0, 6.0, synapse=model) for one in (source, relay)
    ]
    network = Network([source, relay, target], projections, [emitted])
    with Simulation(network, delivery=delivery) as simulation:
        simulation.run(5.0)
        simulation._engine.settle()
        factors = [simulation._engine.sources[index].sent._factor.copy() for index in (0, 1)]
        for name, weights in (("S->T", 16.0), ("R->T", [0.0, 32.0])):
            simulation[name].parameters["U"] = 0.1
            simulation[name].weights = weights
        simulation.run(12.0)
        state = simulation["T"].state
        found = [state[name] for name in ("V_m", "I_syn_ex", "I_syn_in")]
    assert [one.size for one in factors] == [2, 3]
    weights = np.concatenate([16.0 * factors[0], 32.0 * factors[1]])
    given = SpikeInput(target, [7.0, 9.0, 7.0, 7.0, 9.0], np.zeros(5, int), weights)
    with Simulation(Network([target], [], [given])) as simulation:
        simulation.run(17.0)
        state = simulation["T"].state
        for name, values in zip(("V_m", "I_syn_ex", "I_syn_in"), found, strict=True):
            np.testing.assert_allclose(values, state[name], rtol=1e-3)


HEAVY = [1.0, 1.0, 0.5, 0.25]


def fine_network(n_heavier: int = 1) -> Network:
    """Return a network with sums of weights near 2^31 quanta; with 5, one block exceeds them."""
    source = Population("S", 130, SpikeSource([1.0, 3.0, 9.0], [0, 1, 129]))
    target = Population("T", 200, IafPscExp(V_th=-69.99995))
    edges = ConnectionList([0, 1, 64, 129, *range(n_heavier)], [0, 0, 0, 0, *[140] * n_heavier])
    delays = [1.5, 1.5, 2.0, 2.5, *[3.0] * n_heavier]
    projection = Projection(
        source, target, edges, [*HEAVY, *[1.0] * n_heavier], delays, weight_bits=30
    )
    return Network([source, target], [projection], [], [RecordSpikes(target)])


def test_smaller_weights_are_set_whatever_the_sums() -> None:
    with Simulation(fine_network()) as simulation:
        engine, synapses = simulation._engine, simulation["S->T"]
        described = synapses.weights
        assert engine.ring.bits == 32 and engine.max_weight_sums.max() > 2**30
        # also if partial sums of described weights and differences exceed 32 bits
        for weights in (0.0, [1.0, *described[1:]], described[::-1], described):
            synapses.weights = weights
            np.testing.assert_array_equal(synapses.weights, weights)
        with pytest.raises(DescriptionError, match="a step's input could overflow"):
            synapses.weights = 2.0 * described
        np.testing.assert_array_equal(synapses.weights, described)


def test_partial_sums_may_exceed_the_input_type() -> None:
    source = Population("S", 6, SpikeSource([1.0] * 6, list(range(6))))
    target = Population("T", 1, IafPscExp())
    edges = ConnectionList(list(range(6)), [0] * 6)
    weights, found = [2.0**-10, 2.0**-10, 2.0**-10, 0.875, 1.0, 1.0], []
    for first, second in ((weights, weights[::-1]), (weights[::-1], None)):
        projection = Projection(source, target, edges, first, 2.0, weight_bits=30)
        with Simulation(Network([source, target], [projection])) as simulation:
            if second is not None:
                assert simulation._engine.ring.bits == 32
                assert simulation._engine.max_weight_sums.max() > 0.7 * 2**31
                simulation["S->T"].weights = second
            simulation.run(10.0)
            found.append(simulation["T"].state["V_m"][0])
    assert found[0] == found[1] > -70.0


def begin_fine(path: Path, communicator: Communicator | None = None) -> None:
    """Set weights that only 64 bits hold, and end the run after a checkpoint."""
    with Simulation(
        fine_network(5), out=path, partition="contiguous", communicator=communicator
    ) as made:
        assert made._engine.ring.bits == 64
        made.run(2.0)
        made["S->T"].weights = 2.0 * made["S->T"].weights
        made.save()


@pytest.mark.parametrize(("begun", "resumed"), [(1, 2), (1, 3), (2, 1), (3, 7), (7, 2)])
def test_set_weights_are_restored_on_any_ranks(tmp_path: Path, begun: int, resumed: int) -> None:
    alone, parts = tmp_path / "alone", tmp_path / "parts"

    def go_on(path: Path, communicator: Communicator | None = None) -> None:
        with Simulation.resume(path, communicator=communicator) as simulation:
            simulation.run(20.0)
            simulation.save()

    begin_fine(alone)
    go_on(alone)
    for ranks, part in ((begun, begin_fine), (resumed, go_on)):
        results, aborted = thread_ranks.run(ranks, lambda rank, part=part: part(parts, rank))
        assert results == [None] * ranks and aborted is None
    assert_same(recorded(alone), recorded(parts))
    assert state_digest(alone) == state_digest(parts)


@pytest.mark.parametrize("member", ["settle", "sent_factors", "use_changed_weights"])
def test_an_error_of_one_rank_ends_all(monkeypatch: pytest.MonkeyPatch, member: str) -> None:
    called = getattr(RankEngine, member)

    def fail(engine: RankEngine, *arguments: object) -> object:
        if engine.layout.rank == 1:
            raise MemoryError("no memory is left")
        return called(engine, *arguments)

    def work(communicator: Communicator) -> None:
        with Simulation(network(), communicator=communicator) as simulation:
            simulation.run(2.0)
            monkeypatch.setattr(RankEngine, member, fail)
            simulation["E->I"].weights = 20.0

    results, aborted = thread_ranks.run(2, work)
    assert aborted is None
    assert str(results[0]) == "rank 1: setting weights: MemoryError: no memory is left"
    assert isinstance(results[1], MemoryError)
