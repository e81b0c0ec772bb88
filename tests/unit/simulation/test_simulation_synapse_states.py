"""States of synapse models and plasticity rules, set between two runs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from recorded import assert_same, recorded
from thread_ranks import run

from distsnn.comm import Communicator
from distsnn.errors import DescriptionError, UsageError
from distsnn.network import (
    STDP,
    AllToAll,
    DopamineSTDP,
    FixedIndegree,
    IafPscDelta,
    IafPscExp,
    Network,
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

S = Population("S", 70, SpikeSource(np.arange(1, 400) * 0.5, np.arange(399) * 11 % 70))
E = Population("E", 140, IafPscExp())
NETWORK = Network(
    [S, E],
    [
        Projection(
            *(S, E, FixedIndegree(20), 90.0, Uniform(1.0, 4.0)),
            synapse=Tsodyks2(U=0.3, tau_rec=200.0, tau_fac=50.0),
        ),
        Projection(
            *(E, E, FixedIndegree(9), 30.0, Uniform(1.0, 3.0)),
            synapse=DopamineSTDP(w_max=90.0, tau_c=500.0),
        ),
    ],
    [PoissonInput(E, 9000.0, 55.0)],
    [RecordSpikes(E)],
)


def test_a_source_continues_from_the_state_that_was_set() -> None:
    source = Population("S", 2, SpikeSource([9.0, 9.0, 9.5], [0, 1, 0]))
    model = Tsodyks2(U=0.4, tau_rec=100.0, tau_fac=50.0)
    target = Population("T", 3, IafPscExp())
    made = Network(
        [source, target], [Projection(source, target, AllToAll(), 1.0, 1.0, synapse=model)]
    )
    with Simulation(made) as simulation:
        simulation.run(5.0)
        state = simulation["S->T"].state
        state["x"], state["u"] = [0.2, 0.7], 0.5
        np.testing.assert_allclose(state["x"], [0.2, 0.7], rtol=1e-15)
        np.testing.assert_allclose(state["u"], [0.5, 0.5], rtol=1e-15)
        simulation.run(4.2)  # past the spikes at 9 ms
        x = 1.0 + (np.array([0.2, 0.7]) - 1.0) * np.exp(-4.0 / 100.0)
        u = 0.4 + 0.5 * 0.6 * np.exp(-4.0 / 50.0)
        used = x * u
        x = 1.0 + (x * (1.0 - u) - 1.0) * np.exp(-0.2 / 100.0)
        np.testing.assert_allclose(state["x"], x, rtol=1e-12)
        np.testing.assert_allclose(state["u"], u * np.exp(-0.2 / 50.0), rtol=1e-12)
        # the rows of synapses have the state, too: the spikes arrive 1 ms later
        simulation.run(0.8)
        np.testing.assert_allclose(simulation["T"].state["I_syn_ex"], used.sum(), rtol=1e-6)


def test_a_synapse_learns_with_the_eligibility_that_was_set() -> None:
    with Simulation(NETWORK) as simulation:
        synapses = simulation["E->E"]
        eligible = np.linspace(-1.0, 1.0, synapses.weights.size).astype(np.float32)
        before = synapses.weights
        synapses.state["c"] = eligible
        np.testing.assert_array_equal(synapses.state["c"], eligible)
        np.testing.assert_array_equal(synapses.connections()["c"], eligible)
        simulation.run(0.5)  # no spike yet
        np.testing.assert_allclose(synapses.state["c"], eligible * np.exp(-0.5 / 500.0), rtol=1e-6)
        np.testing.assert_array_equal(synapses.weights, before)
        synapses.signal = 0.5
        simulation.run(0.5)
        assert np.corrcoef(synapses.weights - before, eligible)[0, 1] > 0.999


def test_traces_of_a_rule_are_sums_over_spikes() -> None:
    source = Population("S", 3, SpikeSource([2.0, 5.0, 9.5, 9.9, 30.0], [0, 0, 1, 0, 0]))
    target = Population("T", 2, IafPscDelta())
    rule = STDP(tau_plus=20.0, tau_minus=30.0, w_max=2.0)
    made = Network(
        [source, target],
        [Projection(source, target, AllToAll(), 1.0, 1.5, synapse=rule)],
        [SpikeInput(target, [4.0, 8.0, 9.8], [1, 1, 0], 50.0)],
    )
    with Simulation(made) as simulation:
        simulation.run(10.0)
        state, (stamps, gids) = simulation["S->T"].state, simulation["T"].spikes()
        assert gids.tolist() == [4, 4, 3]
        since = 10.0 - 0.1 * stamps
        assert [*state] == ["x", "y"]
        for _ in range(2):
            x = [np.exp(-np.array([8.0, 5.0, 0.1]) / 20.0).sum(), np.exp(-0.5 / 20.0), 0.0]
            np.testing.assert_allclose(state["x"], x, rtol=1e-6)
            y = [np.exp(-since[gids == gid] / 30.0).sum() for gid in (3, 4)]
            np.testing.assert_allclose(state["y"], y, rtol=1e-6)
        simulation["S->T"].parameters["tau_plus"] = 10.0  # from now on
        simulation.run(1.0)
        np.testing.assert_allclose(state["x"], np.array(x) * np.exp(-1.0 / 10.0), rtol=1e-6)


def test_traces_cannot_be_set_and_continue_after_a_resume(tmp_path: Path) -> None:
    with Simulation(NETWORK, out=tmp_path / "run") as simulation:
        simulation.run(60.0)
        simulation.save()
        state = simulation["E->E"].state
        assert [*state] == ["c", "x", "y"]
        with pytest.raises(DescriptionError, match="'x'; allowed: c"):
            state["x"] = 1.0
        saved = dict(state)
        simulation.run(7.3)
        later = dict(state)
    assert np.unique(saved["x"]).size > 20
    with Simulation.restore(tmp_path / "run") as simulation:
        state = simulation["E->E"].state
        for name, values in saved.items():
            np.testing.assert_array_equal(state[name], values)
        simulation.run(7.3)
        for name, values in later.items():
            np.testing.assert_array_equal(state[name], values)


def test_what_is_read_may_be_set_again(tmp_path: Path) -> None:
    """Neither rounding nor the time at which it is set changes a spike of a synapse model."""
    for name in ("one", "other"):
        with Simulation(NETWORK, out=tmp_path / name) as simulation:
            simulation.run(60.0)
            before = simulation["S->E"].state["x"]
            if name == "other":
                simulation["S->E"].state["x"] = before
            np.testing.assert_array_equal(simulation["S->E"].state["x"], before)
            simulation["S->E"].state["u"] = np.linspace(0.0, 1.0, S.size)
            simulation.run(60.0)
    assert_same(recorded(tmp_path / "one"), recorded(tmp_path / "other"))


def test_a_reset_forgets_states() -> None:
    with Simulation(NETWORK) as simulation:
        initial = simulation["S->E"].state["x"]
        simulation["S->E"].state["x"], simulation["E->E"].state["c"] = 0.5, 3.0
        simulation.reset()
        np.testing.assert_array_equal(simulation["S->E"].state["x"], initial)
        assert (simulation["E->E"].state["c"] == 0.0).all()


def _set(name: str, state: str, value: object) -> Callable[[Simulation], None]:
    def act(simulation: Simulation) -> None:
        simulation[name].state[state] = value

    return act


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (_set("S->E", "y", 1.0), r"state of projection 'S->E': unknown state 'y'; allowed: u, x"),
        (_set("S->E", "x", 1.5), r"projection 'S->E', x: out of range; given 1.5; allowed: .*1"),
        (_set("S->E", "x", [0.5]), "x: array of the wrong shape.*one value per source"),
        (_set("E->E", "c", [0.5]), "c: array of the wrong shape.*one value per synapse"),
        (_set("E->E", "c", 1e39), "c: out of range"),
        (_set("E->E", "c", np.nan), "c: "),
        (_set("E->E", "c", Uniform(0.0, 1.0)), "must be a number or an array"),
    ],
)
def test_errors_name_projection_and_state(act: Callable[[Simulation], None], message: str) -> None:
    with Simulation(NETWORK) as simulation:
        before = simulation["S->E"].state["x"], simulation["E->E"].state["c"]
        with pytest.raises(DescriptionError, match=message):
            act(simulation)
        np.testing.assert_array_equal(simulation["S->E"].state["x"], before[0])
        np.testing.assert_array_equal(simulation["E->E"].state["c"], before[1])


@pytest.mark.parametrize(("projection", "names"), [("S->E", "xu"), ("E->E", "xy")])
def test_ranks_that_read_different_states_are_refused(projection: str, names: str) -> None:
    def main(communicator: Communicator) -> str:
        with Simulation(NETWORK, communicator=communicator) as simulation:
            state = simulation[projection].state
            with pytest.raises(UsageError) as caught:
                state[names[communicator.rank]]
            return str(caught.value)

    results, _ = run(2, main)
    expected = f"state of projection '{projection}': rank 1 was given other"
    assert all(expected in message for message in results), results
