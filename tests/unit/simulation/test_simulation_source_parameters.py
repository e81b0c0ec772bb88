"""Parameters of synapse models change between runs: from then on as if described so."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from thread_ranks import run

from distsnn.comm import Communicator
from distsnn.errors import DescriptionError, UsageError
from distsnn.network import (
    AllToAll,
    IafBw2001,
    IafPscDelta,
    Network,
    NmdaSynapse,
    Population,
    Projection,
    SpikeSource,
    SynapseModel,
    Tsodyks2,
    Uniform,
)
from distsnn.simulation import Simulation

DT, N_SOURCES, DELAY = 0.1, 70, 3.0
KEYS = np.unique(np.random.default_rng(2).integers(0, 400 * N_SOURCES, 1500))
STEPS, NEURONS = KEYS // N_SOURCES + 1, KEYS % N_SOURCES
S = Population("S", N_SOURCES, SpikeSource(STEPS * DT, NEURONS))
N = Population("N", 70, IafPscDelta(tau_m=1e9, E_L=0.0, V_th=1e9), precision="float64")
# within the sources' population, and with delays that differ
VIEW = S[3:67]


def network(model: SynapseModel) -> Network:
    delays = Uniform(0.1, DELAY)
    return Network(
        [S, N], [Projection(VIEW, N, AllToAll(), 0.5, delays, synapse=model, name="p")], dt=DT
    )


def added(simulation: Simulation, time: float) -> np.ndarray:
    before = simulation["N"].state["V_m"]
    simulation.run(time)
    return simulation["N"].state["V_m"] - before


def test_set_before_the_first_step_they_are_those_of_the_description() -> None:
    values = {"U": Uniform(0.1, 0.4), "tau_rec": np.linspace(5.0, 90.0, 64), "tau_fac": 7.0}
    with Simulation(network(Tsodyks2(**values)), seed=5) as simulation:
        expected = added(simulation, 45.0)
        described = {name: simulation["p"].parameters[name] for name in values}
    with Simulation(network(Tsodyks2()), seed=5) as simulation:
        assert dict(simulation["p"].parameters) == {"U": 0.5, "tau_rec": 800.0, "tau_fac": 0.0}
        for name, value in values.items():
            simulation["p"].parameters[name] = value
            np.testing.assert_array_equal(simulation["p"].parameters[name], described[name])
        np.testing.assert_array_equal(added(simulation, 45.0), expected)


def test_states_follow_the_old_and_then_the_new_values() -> None:
    """Two spikes on either side of a change, one of them in flight: x and u in closed form."""
    sent, changed, later = np.array([1.0, 9.0]), 10.0, 14.0
    source = Population("S", 1, SpikeSource([*sent, later], [0, 0, 0]))
    target = Population("N", 1, N.model, precision="float64")
    old, new = {"U": 0.3, "tau_rec": 20.0, "tau_fac": 15.0}, {"U": 0.6, "tau_rec": 5.0}
    projection = Projection(source, target, AllToAll(), 1.0, 2.0, synapse=Tsodyks2(**old), name="p")
    x, u, now, factors = 1.0, 0.0, 0.0, []

    def pass_until(time: float, values: dict[str, float]) -> None:
        nonlocal x, u, now
        x = 1.0 + (x - 1.0) * np.exp((now - time) / values["tau_rec"])
        u, now = u * np.exp((now - time) / values["tau_fac"]), time

    def spike(values: dict[str, float]) -> None:
        nonlocal x, u
        u += values["U"] * (1.0 - u)
        factors.append(x * u)
        x -= x * u

    for time in sent:
        pass_until(time, old)
        spike(old)
    pass_until(changed, old)
    with Simulation(Network([source, target], [projection], dt=DT)) as simulation:
        simulation.run(changed)
        for _ in range(2):
            assert simulation["p"].state["x"] == pytest.approx(x, rel=1e-12)
            assert simulation["p"].state["u"] == pytest.approx(u, rel=1e-12)
            for name, value in new.items():
                simulation["p"].parameters[name] = value
        pass_until(later, old | new)
        spike(old | new)
        # the second spike arrives after the change, with its factor of before
        assert added(simulation, 3.0) == pytest.approx(factors[1], abs=1e-5)
        assert added(simulation, 7.0) == pytest.approx(factors[2], abs=1e-5)


def test_gating_of_nmda_receptors_follows_the_old_and_then_the_new_values() -> None:
    source = Population("S", 1, SpikeSource([1.0, 12.0], [0, 0]))
    target = Population("N", 1, IafBw2001())
    old = NmdaSynapse(alpha=0.5, tau_rise=2.0, tau_decay=100.0)
    with Simulation(
        Network(
            [source, target],
            [Projection(source, target, AllToAll(), 1.0, 1.0, "NMDA", synapse=old, name="p")],
            dt=DT,
        )
    ) as simulation:
        simulation.run(6.0)
        first = simulation["p"].state["s"]
        simulation["p"].parameters["tau_decay"] = 300.0
        assert simulation["p"].state["s"] == first
        simulation.run(5.0)
        np.testing.assert_allclose(
            simulation["p"].state["s"], first * np.exp(-5.0 / 300.0), rtol=1e-12
        )
        with pytest.raises(DescriptionError, match="'p', tau_rise: a spike could add more than"):
            simulation["p"].parameters["tau_rise"] = 20.0
        with pytest.raises(DescriptionError, match=r"tau_rise: must be below tau_decay.*500"):
            simulation["p"].parameters["tau_rise"] = 500.0


def work(path: Path, delivery: str, *, split: bool) -> np.ndarray:
    """Set parameters while spikes are in flight; save and resume between, if told so."""
    model = Tsodyks2(U=Uniform(0.2, 0.6), tau_rec=30.0, tau_fac=12.0)

    def rest(simulation: Simulation) -> np.ndarray:
        simulation.run(0.7)
        simulation["p"].parameters["tau_rec"] = Uniform(5.0, 60.0)
        simulation.run(12.0)
        return np.concatenate(
            [simulation["N"].state["V_m"], *simulation["p"].state.values()]
            + [np.atleast_1d(value) for value in simulation["p"].parameters.values()]
        )

    with Simulation(network(model), seed=5, delivery=delivery) as simulation:
        simulation.run(15.0)
        simulation["p"].parameters["U"] = np.linspace(0.9, 0.1, VIEW.size)
        simulation.run(0.4)
        simulation["p"].parameters["U"] = np.linspace(0.1, 0.9, VIEW.size)
        simulation["p"].parameters["tau_fac"] = 0.0
        simulation.run(0.3)
        if not split:
            return rest(simulation)
        simulation.save(path)
    with Simulation.restore(path, network=network(model), delivery=delivery) as simulation:
        return rest(simulation)


@pytest.mark.parametrize("delivery", ["push", "pull"])
def test_they_act_the_same_after_a_resume(tmp_path: Path, delivery: str) -> None:
    expected = work(tmp_path / "none", "auto", split=False)
    np.testing.assert_array_equal(work(tmp_path / "a.zarr", delivery, split=True), expected)
    assert np.unique(expected).size > 200


def test_a_reset_keeps_them() -> None:
    model = Tsodyks2(U=0.2, tau_rec=30.0)
    with Simulation(network(dataclasses.replace(model, U=0.7)), seed=5) as simulation:
        expected = added(simulation, 20.0)
    with Simulation(network(model), seed=5) as simulation:
        simulation.run(7.0)
        simulation["p"].parameters["U"] = 0.7
        simulation.run(3.0)
        simulation.reset()
        np.testing.assert_array_equal(added(simulation, 20.0), expected)


def test_values_that_cannot_be_are_refused() -> None:
    with Simulation(network(Tsodyks2()), seed=5) as simulation:
        parameters = simulation["p"].parameters
        for name, value, message in (
            ("tau_recc", 1.0, "parameters of 'p': unknown parameter 'tau_recc'.*tau_rec"),
            ("U", 1.2, "parameters of 'p', U: out of range; given 1.2"),
            ("U", np.ones(70), "U: .*64"),
            ("tau_rec", 0.0, "tau_rec: out of range"),
        ):
            with pytest.raises(DescriptionError, match=message):
                parameters[name] = value
        assert dict(parameters) == {"U": 0.5, "tau_rec": 800.0, "tau_fac": 0.0}

    def differ(communicator: Communicator) -> None:
        with (
            Simulation(network(Tsodyks2()), seed=5, communicator=communicator) as simulation,
            pytest.raises(UsageError, match="other neurons, variables or values"),
        ):
            simulation["p"].parameters["U"] = 0.1 + 0.1 * communicator.rank

    assert run(2, differ) == ([None, None], None)  # and no error
