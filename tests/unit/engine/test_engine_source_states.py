"""What is known of the sources of synapse models: drawn, advanced, settled, saved and put back."""

from typing import ClassVar

import numpy as np
import pytest
import thread_ranks
from decoded import layouts, scales

from distsnn.comm import Communicator
from distsnn.engine import snapshot, wiring
from distsnn.engine.layout import LocalLayout
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.source_states import OwnStates, SourceParameters, state_fields
from distsnn.engine.spikes_in_flight import SpikesInFlight
from distsnn.errors import DescriptionError
from distsnn.kernels.synapses import tsodyks2_synapse as kernels
from distsnn.network import (
    AllToAll,
    EquationTransmission,
    FixedIndegree,
    IafPscDelta,
    IafPscExp,
    Network,
    Population,
    Projection,
    SpikeSource,
    TransmissionEquations,
    Tsodyks2,
    Uniform,
    Value,
    parameter,
    registry,
)
from distsnn.network.registry import synapse_model
from distsnn.simulation import Simulation
from distsnn.simulation.end_states import read_end_states

DT, DELAY, SIZE = 0.1, 25, 200
RNG = np.random.default_rng(4)
KEYS = np.unique(RNG.integers(0, 300 * SIZE, 2500))
NEURONS, STEPS = KEYS % SIZE, KEYS // SIZE + 1
S = Population("S", SIZE, SpikeSource(STEPS * DT, NEURONS))
N = Population("N", 3, IafPscDelta(tau_m=1e9, E_L=0.0, V_th=1e9), precision="float64")
MODEL = Tsodyks2(U=Uniform(0.1, 0.9), tau_rec=RNG.uniform(5.0, 50.0, 120), tau_fac=Uniform(1.0, 30))
NETWORK = Network(
    [S, N],
    [
        Projection(S, N, FixedIndegree(5), weight=1.0, delay=0.1),
        Projection(S[50:170], N, AllToAll(), weight=8.0, delay=DELAY * DT, synapse=MODEL),
    ],
    dt=DT,
)
NAMES = [("S", "sources/S[50:170]->N", variable) for variable in ("x", "u", "last")]
SENT = [("S", "sent_factors/S[50:170]->N", name) for name in ("factor", "count")]


def engine(network: Network = NETWORK, **options) -> RankEngine:
    (layout,) = layouts(network, 1)
    fine = scales(network)
    made = RankEngine(layout, fine, wiring.build_local_synapses(layout, fine, 3, **options), 3)
    made.connect(None, 7, made.synapses.largest_delay)
    return made


def run(made: RankEngine, *pieces: int) -> None:
    for steps in pieces:
        made.run(steps, lambda step, gid: None)


def own_states(layout: LocalLayout, seed: int = 3) -> OwnStates:
    return OwnStates(layout, SourceParameters(layout, 1, seed))


def constants_of(states: OwnStates) -> list[np.ndarray]:
    """Return U, tau_rec and tau_fac of all neurons of S, times in steps."""
    first = len(kernels.STATES)
    columns = [first + kernels.CONSTANTS.index(name) for name in ("c_U", "tau_rec", "tau_fac")]
    return [states.records[:SIZE, column] for column in columns]


def after_spikes(step: int) -> dict[str, np.ndarray]:
    """Return x, u and last of all neurons of S by their spikes up to a step, in plain numpy."""
    (layout,) = layouts(NETWORK, 1)
    drawn = constants_of(own_states(layout))
    x, u, last = np.ones(SIZE), np.zeros(SIZE), np.zeros(SIZE)
    for neuron, now in zip(NEURONS, STEPS, strict=True):
        if now <= step and 50 <= neuron < 170:
            first, rec, fac = (values[neuron] for values in drawn)
            h = now - last[neuron]
            was, used = x[neuron], u[neuron]
            was = 1.0 + (was - 1.0) * np.exp(-h / rec)
            u[neuron] = first + used * (1.0 - first) * np.exp(-h / fac)
            x[neuron] = was - was * u[neuron]
            last[neuron] = now
    return {"x": x, "u": u, "last": last}


def states_at(step: int, now: int) -> dict[str, np.ndarray]:
    """Return x and u at a step after the spikes of `after_spikes`."""
    (layout,) = layouts(NETWORK, 1)
    _, rec, fac = constants_of(own_states(layout))
    found = after_spikes(step)
    h = now - found["last"]
    return {"x": 1.0 + (found["x"] - 1.0) * np.exp(-h / rec), "u": found["u"] * np.exp(-h / fac)}


def test_parameters_are_drawn_per_source_whatever_the_rank() -> None:
    (whole,) = layouts(NETWORK, 1)
    every = own_states(whole).records[:SIZE]
    first, rec, fac = (values[50:170] for values in constants_of(own_states(whole)))
    assert np.unique(first).size == 120
    assert 0.1 < first.min() < 0.2
    assert np.corrcoef(first, fac)[0, 1] < 0.3
    np.testing.assert_allclose(rec, MODEL.tau_rec / DT)
    for layout in layouts(NETWORK, 3):
        one = own_states(layout)
        real = one.neurons >= 0
        np.testing.assert_array_equal(one.records[real], every[one.neurons[real]])
    assert not np.array_equal(own_states(whole, 4).records[:SIZE], every)


@pytest.mark.parametrize("pieces", [(230,), (1, 100, 0, 7, 122)])
def test_what_is_saved_has_taken_all_spikes(pieces: tuple[int, ...]) -> None:
    made = engine()
    run(made, *pieces)
    taken = snapshot.take_snapshot(made)
    assert [name for name in taken.states if name[0] == "S"] == [*NAMES, *SENT]
    assert [field.key for field in state_fields(NETWORK.projections[1])] == NAMES
    for variable, expected in after_spikes(230).items():
        found = taken.states["S", "sources/S[50:170]->N", variable]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert not found[:50].any() or variable == "x"
    in_flight = (STEPS > 230 - DELAY) & (STEPS <= 230) & (NEURONS >= 50) & (NEURONS < 170)
    assert sum(taken.states[SENT[1]]) == taken.states[SENT[0]].size == in_flight.sum() > 30
    assert taken.spikes[0].min() > 230 - DELAY
    # and once more, with nothing run in between
    again = snapshot.take_snapshot(made)
    np.testing.assert_array_equal(again.digests, taken.digests)


def test_states_can_be_read_between_two_runs() -> None:
    with Simulation(NETWORK, seed=3) as simulation:
        for time, step in ((0.0, 0), (11.1, 111), (11.9, 230)):
            simulation.run(time)
            for _ in range(2):
                found = simulation["S[50:170]->N"].state
                assert [*found] == ["x", "u"]
                for variable, expected in states_at(step, step).items():
                    np.testing.assert_allclose(found[variable], expected[50:170], rtol=1e-12)
        with pytest.raises(
            DescriptionError, match="not plastic and has no synapse model; allowed: its c"
        ):
            _ = simulation["S->N"].state


def test_all_ranks_read_the_states_of_all_sources() -> None:
    fine, engines = scales(NETWORK), []
    for layout in layouts(NETWORK, 3):
        engines.append(RankEngine(layout, fine, wiring.build_local_synapses(layout, fine, 3), 3))
        engines[-1].connect(None, 7, DELAY)
        mine = layout.to_local(0, NEURONS) >= 0
        engines[-1].sources[1].advance(STEPS[mine].astype(np.int32), NEURONS[mine])

    def work(communicator: Communicator) -> dict[str, np.ndarray]:
        states = read_end_states(engines[communicator.rank], communicator, "S[50:170]->N")
        return {name: state.values for name, state in states.items()}

    results, _ = thread_ranks.run(3, work)
    for found in results:
        for variable, expected in states_at(STEPS.max(), 0).items():
            np.testing.assert_allclose(found[variable], expected[50:170], rtol=1e-12)


@pytest.mark.parametrize("delivery", ["push", "pull"])
def test_saved_run_continues_identically(delivery: str) -> None:
    whole, first = engine(), engine(delivery=delivery)
    run(whole, 280)
    run(first, 150)
    taken = snapshot.take_snapshot(first)
    resumed = engine(delivery=delivery)
    snapshot.restore_snapshot(resumed, taken.states, 150, taken.spikes)
    np.testing.assert_array_equal(snapshot.take_snapshot(resumed).digests, taken.digests)
    run(resumed, 130)
    found, expected = (snapshot.take_snapshot(one) for one in (resumed, whole))
    np.testing.assert_array_equal(found.digests, expected.digests)
    assert expected.states["N", "neurons", "V_m"].min() > 100.0


def test_several_spikes_of_a_source_in_one_step_use_up_what_is_left() -> None:
    made = own_states(layouts(NETWORK, 1)[0])
    made.advance(np.array([5, 5, 5], np.int32), np.array([60, 60, 49], np.uint32))
    first = constants_of(made)[0][60]
    x, u = made.records[60, [kernels.STATES.index(name) for name in ("x", "u")]]
    assert u == pytest.approx(first + first * (1.0 - first))
    assert x == pytest.approx((1.0 - first) * (1.0 - u))
    # a neuron beyond the view is no source
    assert made.records[49, kernels.STATES.index("last")] == 0.0


def test_history_drops_spikes_in_the_order_of_steps() -> None:
    history = SpikesInFlight()
    for step in (np.array([1, 1, 4], np.int32), np.array([5, 9], np.int32)):
        history.append(step, step.astype(np.uint32) + 10)
    gone = [pair for step, gid in history.drop_until(4) for pair in zip(step, gid, strict=True)]
    assert gone == [(1, 11), (1, 11), (4, 14)]
    assert [step.tolist() for step, _ in history.drop_until(7)] == [[5]]
    assert [column.tolist() for column in history.remaining()] == [[9], [19]]
    assert list(history.drop_until(8)) == []


def test_static_projections_have_no_states() -> None:
    network = Network([S, N], [NETWORK.projections[0]])
    made = engine(network)
    assert made._delivered_states == []
    assert made._row_states == []
    assert state_fields(network.projections[0]) == ()


def test_ranks_without_sources_or_targets_run() -> None:
    few = Population("F", 5, IafPscExp(I_e=500.0))
    network = Network([few], [Projection(few, few, AllToAll(), 1.0, 1.0, synapse=Tsodyks2())])
    for layout in layouts(network, 2):
        fine = scales(network)
        made = RankEngine(layout, fine, wiring.build_local_synapses(layout, fine, 3), 3)
        made.connect(None, 1, 10)
        run(made, 300)
        assert len(snapshot.take_snapshot(made).states) == (9 if layout.n_neurons else 0)


@pytest.mark.parametrize("delivery", ["push", "pull"])
def test_a_model_of_a_user_scales_weights_by_its_equations(
    delivery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_SYNAPSES", dict(registry._SYNAPSES))

    @synapse_model
    class Harmonic(EquationTransmission):
        """The n-th spike acts with gain/n of the weight."""

        name: ClassVar[str] = "harmonic_of_a_test"
        equations: ClassVar[TransmissionEquations] = TransmissionEquations(
            "dn/dt = 0 : 1 (pre)  # spikes so far", "n += 1", "gain*w/n", max_factor=3.0
        )
        gain: Value = parameter(default=1.0, unit="1", doc="factor", low=0.0, high=3.0)

    source = Population("S", 2, SpikeSource([1.0, 2.0, 2.5, 3.0], [0, 0, 1, 0]))
    synapse = Harmonic(gain=[3.0, 2.0])
    network = Network([source, N], [Projection(source, N, AllToAll(), 8.0, 0.5, synapse=synapse)])
    made = engine(network, delivery=delivery)
    run(made, 50)
    found = snapshot.take_snapshot(made).states
    expected = 3.0 * 8.0 * (1.0 + 1.0 / 2.0 + 1.0 / 3.0) + 2.0 * 8.0
    assert found["N", "neurons", "V_m"] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(found["S", "sources/S->N", "n"], [3.0, 1.0])
