"""What relays and neurons that spike by themselves refuse."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from distsnn.errors import DescriptionError, StateError
from distsnn.io.reader import StoreReader
from distsnn.kernels.neurons import parrot_neuron
from distsnn.network import (
    AllToAll,
    ConnectionFile,
    ConstantCurrent,
    IafPscDelta,
    IafPscExp,
    LeakyIntegrator,
    Network,
    Neuron,
    NeuronModel,
    Normal,
    ParrotNeuron,
    PoissonInput,
    PoissonNeuron,
    Population,
    Projection,
    RecordSpikes,
    SpikeInput,
    Tsodyks2,
    Uniform,
)
from distsnn.simulation import Simulation

CELLS = Population("cells", 3, IafPscExp())
PARROTS = Population("parrots", 3, ParrotNeuron())


@pytest.mark.parametrize("weight", [-1.0, 0.5, np.array([[1.0, 2.0, 1.5]] * 3), Normal(1.0, 0.1)])
def test_a_relay_takes_whole_numbers_of_spikes(weight: object) -> None:
    one = Projection(CELLS, PARROTS, AllToAll(), weight=weight, delay=1.0)
    with pytest.raises(DescriptionError, match=r"'cells->parrots', field weight: .*integers"):
        Network([CELLS, PARROTS], [one])


@pytest.mark.parametrize(
    "stimulus",
    [
        PoissonInput(PARROTS, 10.0, -1.0),
        SpikeInput(PARROTS, [1.0, 2.0], [0, 1], [1.0, 2.5]),
        ConstantCurrent(PARROTS, 1.0),
    ],
)
def test_a_relay_takes_no_other_stimuli(stimulus: object) -> None:
    with pytest.raises(DescriptionError, match=r"integers|current"):
        Network([PARROTS], stimuli=[stimulus])


def test_a_relay_emits_what_its_weights_say(tmp_path: Path) -> None:
    events = SpikeInput(PARROTS, [0.5, 0.5, 0.7], [1, 1, 2], [1.0, 100.0, 0.0])
    network = Network([PARROTS], stimuli=[events], recordings=[RecordSpikes(PARROTS)])
    with Simulation(network, out=tmp_path / "run.zarr") as simulation:
        simulation.run(1.0)
    step, gid = StoreReader(tmp_path / "run.zarr").spikes(0, 10)
    assert set(zip(step.tolist(), gid.tolist(), strict=True)) == {(5, 1)}
    assert step.size == 101


def test_every_spike_of_a_relay_uses_a_synapses_resources() -> None:
    cell = Population("cell", 1, IafPscDelta(tau_m=1e9, E_L=0.0, V_th=1e9), precision="float64")
    # three spikes in one step, and two later
    events = SpikeInput(PARROTS, [1.0, 5.5], [1, 1], [3.0, 2.0])
    synapse = Tsodyks2(U=0.4, tau_rec=20.0, tau_fac=50.0)
    one = Projection(
        PARROTS, cell, AllToAll(), weight=8.0, delay=0.5, weight_bits=30, synapse=synapse
    )
    expected, x, u = 0.0, 1.0, 0.4
    for interval in (0.0, 0.0, 4.5, 0.0, 0.0):
        expected += 8.0 * x * u
        x = 1.0 + (x - x * u - 1.0) * np.exp(-interval / 20.0)
        u = 0.4 + u * 0.6 * np.exp(-interval / 50.0)
    with Simulation(Network([PARROTS, cell], [one], [events])) as simulation:
        simulation.run(10.0)
        assert simulation[cell].state["V_m"][0] == pytest.approx(expected, abs=1e-6)


def test_a_relay_takes_no_shares_of_spikes() -> None:
    one = Projection(CELLS, PARROTS, AllToAll(), weight=1.0, delay=1.0, synapse=Tsodyks2())
    with pytest.raises(DescriptionError, match=r"field synapse: .*relays whole spikes"):
        Network([CELLS, PARROTS], [one])


def from_file(path: Path, weights: list[float]) -> Network:
    """Return a network in which a neuron that spikes in every step has edges to a relay."""
    ends = np.zeros(len(weights), int)
    np.savez(path, sources=ends, targets=ends + 2, weights=weights)
    source = Population("source", 1, PoissonNeuron(rate=10_000.0))
    rule = ConnectionFile(str(path), weights="weights")
    return Network([source, PARROTS], [Projection(source, PARROTS, rule, delay=0.3)])


@pytest.mark.parametrize(
    # two beyond 32-bit integers, of which the second's low bits are those of an allowed number
    "weights",
    [[0.0, 0.5, 2.0], [127.0, 1.0], [2.0**31], [2.0**32 + 2.0**10, 0.0]],
)
def test_what_cannot_be_relayed_stops_the_run(weights: list[float], tmp_path: Path) -> None:
    expected = (
        r"^population 'parrots', gid 3, step 4: its number of spikes in the step is not an "
        "integer from 0 to 127"
    )
    with (
        Simulation(from_file(tmp_path / "edges.npz", weights)) as simulation,
        pytest.raises(StateError, match=expected),
    ):
        simulation.run(1.0)


@pytest.mark.parametrize("count", [-(2**31), -1, 128, 2**31 - 1, 2**40, 2**62])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_no_number_of_arriving_spikes_is_beyond_the_relays_integers(
    count: int, precision: str
) -> None:
    with warnings.catch_warnings():
        # numpy warns of a conversion whose result is undefined
        warnings.simplefilter("error")
        (found,) = parrot_neuron.step.py_func(np.dtype(precision).type(count), None)
    assert found in {-1, 128}


@pytest.mark.parametrize("weights", [[-1.0, 2.0], [1.0, 2.5]])
def test_extremes_of_a_files_weights_are_checked(weights: list[float], tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"'source->parrots', field weight: .*integers"):
        Simulation(from_file(tmp_path / "edges.npz", weights))


@pytest.mark.parametrize("rate", [-1.0, 10_001.0, np.array([1.0, 2.0, 2e4]), Uniform(0.0, 2e4)])
def test_a_rate_is_at_most_one_spike_per_step(rate: object) -> None:
    with pytest.raises(DescriptionError, match=r"population 'p', field rate"):
        Network([Population("p", 3, PoissonNeuron(rate=rate))])


@pytest.mark.parametrize(
    "model",
    [LeakyIntegrator(), NeuronModel("dv/dt = -v/tau : mV", parameters={"tau": (1.0, "ms")})],
)
def test_what_never_spikes_is_no_source(model: Neuron | NeuronModel) -> None:
    out, e = Population("out", 3, model), Population("E", 3, IafPscExp())
    message = "projection 'out->E', field pre: population 'out' never spikes"
    with pytest.raises(DescriptionError, match=message):
        Network([out, e], [Projection(out[1:], e, AllToAll(), weight=1.0, delay=1.0)])


@pytest.mark.parametrize("model", [PoissonNeuron(), LeakyIntegrator(), ParrotNeuron()])
def test_names_are_those_of_receptors(model: object) -> None:
    population = Population("p", 3, model)
    with pytest.raises(DescriptionError, match=r"takes no input|unknown receptor"):
        Network([population], stimuli=[PoissonInput(population, 1.0, 1.0, "ex")])


def test_sums_of_many_relayed_spikes_do_not_overflow() -> None:
    relays, cell = Population("relays", 60, ParrotNeuron()), Population("cell", 1, IafPscExp())
    weight = 1.0 + 2.0**-19  # some 2^20 quanta; 60 * 127 of them are more than 2^32
    network = Network(
        [relays, cell],
        [Projection(relays, cell, AllToAll(), weight=weight, delay=0.1)],
        [SpikeInput(relays, np.full(60, 0.1), np.arange(60), 127.0)],
    )
    with Simulation(network) as simulation:
        simulation.run(0.2)
        current = simulation[cell].state["I_syn_ex"]
    np.testing.assert_allclose(current, 60 * 127 * weight, rtol=1e-6)
