"""Synapse models with states of sources as texts, in whole runs: against closed forms."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from own_transmissions import DEPRESSING, FACILITATING, TSODYKS

from distsnn.errors import DescriptionError, StateError
from distsnn.network import (
    ConnectionList,
    IafPscDelta,
    Network,
    OneToOne,
    ParrotNeuron,
    Population,
    Projection,
    SpikeSource,
    SynapseModel,
    TransmissionModel,
    Tsodyks,
    Tsodyks2,
    Uniform,
)
from distsnn.simulation import Simulation

Floats = npt.NDArray[np.float64]
DT, N, STEPS, DELAY = 0.1, 70, 400, 3.0
KEYS = np.unique(np.random.default_rng(8).integers(0, STEPS * N, 1500))
SPIKES, SOURCES = KEYS // N + 1, KEYS % N
S = Population("S", N, SpikeSource(SPIKES * DT, SOURCES))
VIEW = S[3:67]
# each neuron adds up what its source transmits, and forgets nothing
T = Population("T", 64, IafPscDelta(tau_m=1e9, E_L=0.0, V_th=1e9), precision="float64")


def network(synapse: SynapseModel | TransmissionModel, source: Population = S) -> Network:
    projection = Projection(
        *(source[3:67], T, OneToOne(), 1.0, DELAY), weight_bits=30, synapse=synapse, name="p"
    )
    return Network([source, T], [projection], dt=DT)


def transmitted(synapse: SynapseModel | TransmissionModel, **options: Any) -> Floats:
    """Return the sum of the factors of each source's spikes."""
    with Simulation(network(synapse), seed=5, **options) as simulation:
        simulation.run(STEPS * DT + DELAY)
        return simulation["T"].state["V_m"]


def facilitated(use: Floats, tau: Floats, until: float = STEPS * DT) -> tuple[Floats, Floats]:
    """Return the sums of factors up to a time, and u then, in closed form."""
    sums, values = np.zeros(VIEW.size), np.array(use)
    for source in range(VIEW.size):
        u, last = use[source], 0.0
        for time in SPIKES[source + VIEW.start == SOURCES] * DT:
            if time > until + 1e-9:
                break
            u = use[source] + (u - use[source]) * np.exp((last - time) / tau[source])
            sums[source] += u
            u, last = u + use[source] * (1.0 - u), time
        values[source] = use[source] + (u - use[source]) * np.exp((last - until) / tau[source])
    return sums, values


@pytest.mark.parametrize("delivery", ["push", "pull"])
def test_facilitation_alone_follows_its_closed_form(delivery: str) -> None:
    use, tau = np.linspace(0.05, 0.6, VIEW.size), np.linspace(60.0, 5.0, VIEW.size)
    found = transmitted(FACILITATING(U=use, tau_fac=tau), delivery=delivery)
    expected, _ = facilitated(use, tau)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert np.unique(found).size == VIEW.size and found.max() > 5.0


def test_states_that_relax_to_others_are_those_of_the_same_model_by_synapse() -> None:
    values = {"tau_rec": 30.0, "tau_psc": 6.0, "tau_fac": 15.0, "U": 0.6}
    by_source = transmitted(TSODYKS(**values))
    by_synapse = transmitted(Tsodyks(**values, w_max=1.0, precision="float64"))
    np.testing.assert_allclose(by_source, by_synapse, atol=1e-7)
    assert np.abs(by_source - transmitted(TSODYKS(**{**values, "tau_psc": 1.0}))).max() > 0.01


def test_states_and_parameters_have_units_of_their_own() -> None:
    # beside ms, mV and pA, in which equations are computed; names that kernels use, too
    model = TransmissionModel(
        traces="""
            dstep/dt = (V_0 + R*np_ - step)/tau : uV (pre)
            dnp_/dt = -np_/tau_i : nA (pre)
            ratio = clip(step/(30*uV), 0, 1) : 1
        """,
        on_pre="k0 = where(step > V_0, 2*nA, 1*nA); np_ += k0; records = ratio**0.5",
        transmit="-w*(-records)/2",
        initial={"np_": 3.0, "step": "V_1"},
        parameters={
            "V_0": (0.01, "mV"),
            "V_1": (5.0, "uV"),
            "R": (1.0, "kOhm"),
            "tau": (0.008, "s"),
            "tau_i": (3000.0, "us"),
        },
    )
    expected = np.zeros(VIEW.size)
    for source in range(VIEW.size):
        v, i, last = 5.0, 3.0, 0.0
        for time in SPIKES[source + VIEW.start == SOURCES] * DT:
            # uV, nA and ms, where 1 kOhm nA is 1 uV; the forced part of v has the input's decay
            h, forced = time - last, i / (1.0 - 8.0 / 3.0)
            v = 10.0 + (v - 10.0 - forced) * np.exp(-h / 8.0) + forced * np.exp(-h / 3.0)
            i, last = i * np.exp(-h / 3.0), time
            expected[source] += np.sqrt(np.clip(v / 30.0, 0.0, 1.0)) / 2.0
            i += 2.0 if v > 10.0 else 1.0
    np.testing.assert_allclose(transmitted(model), expected, atol=1e-7)


def test_a_text_like_a_built_in_model_s_transmits_the_same_bits() -> None:
    values = {"U": np.linspace(0.2, 0.8, 64), "tau_rec": 50.0, "tau_fac": np.linspace(0, 30, 64)}
    expected = transmitted(Tsodyks2(**values))
    np.testing.assert_array_equal(transmitted(DEPRESSING(**values)), expected)


def test_several_spikes_in_a_step_see_no_time_pass() -> None:
    relay = Population("R", 1, ParrotNeuron())
    source = Population("S", 1, SpikeSource([1.0, 3.0], [0, 0]))
    for tau, expected in ((1e9, [0.5, 0.75, 0.875, 0.9375]), (0.0, [0.5] * 4)):
        twice = Projection(source, relay, ConnectionList([0, 0], [0, 0]), 1.0, 1.0)
        projection = Projection(
            *(relay, T, ConnectionList([0], [0]), 1.0, 1.0),
            **{"weight_bits": 30, "synapse": DEPRESSING(tau_rec=1e-6, tau_fac=tau)},
        )
        with Simulation(Network([source, relay, T], [twice, projection], dt=DT)) as simulation:
            simulation.run(10.0)
            found = simulation["T"].state["V_m"][0]
        # x recovers between the two steps, and not within one
        x = [1.0, 1.0 - expected[0], 1.0, 1.0 - expected[2]]
        assert found == pytest.approx(np.dot(expected, x), abs=1e-7)


def test_states_and_parameters_are_read_and_set() -> None:
    use, tau = np.full(VIEW.size, 0.2), np.full(VIEW.size, 40.0)
    sums, u = facilitated(use, tau, 20.0)
    with Simulation(network(FACILITATING()), seed=5) as simulation:
        handle = simulation["p"]
        assert dict(handle.parameters) == {"U": 0.2, "tau_fac": 40.0}
        np.testing.assert_allclose(handle.state["u"], 0.2)
        simulation.run(20.0)
        for _ in range(2):
            np.testing.assert_allclose(handle.state["u"], u, rtol=1e-12)
        handle.parameters["tau_fac"] = 5.0
        simulation.run(0.0)
        np.testing.assert_allclose(handle.state["u"], u, rtol=1e-12)
        handle.state["u"] = 0.9
        simulation.run(STEPS * DT - 20.0)
        # by the values of before until they were set, and from 0.9 later
        u, last = np.full(VIEW.size, 0.9), np.full(VIEW.size, 20.0)
        for step, neuron in zip(SPIKES, SOURCES - VIEW.start, strict=True):
            if step * DT > 20.0 + 1e-9 and 0 <= neuron < VIEW.size:
                u[neuron] = 0.2 + (u[neuron] - 0.2) * np.exp((last[neuron] - step * DT) / 5.0)
                sums[neuron] += u[neuron]
                u[neuron], last[neuron] = u[neuron] + 0.2 * (1.0 - u[neuron]), step * DT
        u = 0.2 + (u - 0.2) * np.exp((last - STEPS * DT) / 5.0)
        np.testing.assert_allclose(handle.state["u"], u, rtol=1e-12)
        simulation.run(DELAY)
        np.testing.assert_allclose(simulation["T"].state["V_m"], sums, atol=1e-7)
        simulation.reset()
        np.testing.assert_allclose(handle.state["u"], 0.2)
        assert handle.parameters["tau_fac"] == 5.0


def test_a_reset_begins_at_the_values_of_parameters_that_were_set() -> None:
    with Simulation(network(FACILITATING()), seed=5) as simulation:
        simulation["p"].parameters["U"] = 0.4
        simulation.run(5.0)
        simulation.reset()
        np.testing.assert_allclose(simulation["p"].state["u"], 0.4)


@pytest.mark.parametrize("delivery", ["push", "pull"])
def test_a_resumed_run_needs_no_file_and_is_the_same(tmp_path: Path, delivery: str) -> None:
    model = TSODYKS(U=Uniform(0.1, 0.9), tau_fac=np.linspace(0.0, 30.0, VIEW.size))
    path = tmp_path / "run.zarr"
    with Simulation(network(model), seed=5) as simulation:
        simulation.run(STEPS * DT)
        expected = {**simulation["p"].state, "V_m": simulation["T"].state["V_m"]}
    with Simulation(network(model), seed=5, out=path) as simulation:
        simulation.run(17.3)
        simulation.save()
    with Simulation.resume(path, delivery=delivery) as simulation:
        simulation.run(STEPS * DT - 17.3)
        found = {**simulation["p"].state, "V_m": simulation["T"].state["V_m"]}
    assert found.keys() == {"x", "y", "u", "V_m"}
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("delivery", ["push", "pull"])
@pytest.mark.parametrize(
    ("transmit", "given"), [("w*n*0.4", "1.2"), ("-w*n", "-1"), ("w*n/(n - 2)", "-1")]
)
def test_a_factor_beyond_its_bounds_stops_the_run(delivery: str, transmit: str, given: str) -> None:
    model = TransmissionModel("dn/dt = 0 : 1 (pre)", "n += 1", transmit)
    message = rf"projection 'p', spike of gid \d+: .* by {given}, beyond 0 to 1"
    with (
        Simulation(network(model), delivery=delivery) as simulation,
        pytest.raises(StateError, match=message),
    ):
        simulation.run(STEPS * DT)


def test_factors_above_1_have_headroom_and_constants_must_be_numbers() -> None:
    model = TransmissionModel(
        transmit="w*lower_gamma(a, 1)", parameters={"a": (0.5, "1")}, max_factor=2.0
    )
    counts = np.bincount(SOURCES)[VIEW.start : VIEW.stop]
    np.testing.assert_allclose(transmitted(model) / counts, 1.493648265624854, rtol=1e-7)
    with pytest.raises(DescriptionError, match=r"projection 'p', field synapse.* not a number"):
        transmitted(model(a=-1.0))
