"""Several spikes in a step, by the number that a user's model gives."""

from pathlib import Path

import numpy as np
import pytest
from chance import LEAST_P, p_of_discrete
from kernel_calls import NeuronCall
from scipy import stats

from distsnn.codegen.generated import generated_kernel_module
from distsnn.errors import DescriptionError, StateError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    AllToAll,
    Network,
    NeuronModel,
    OneToOne,
    ParrotNeuron,
    PlasticityModel,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    SpikeInput,
    SpikeSource,
)
from distsnn.simulation import Simulation

# A relay: of as many spikes as its weights add up to.
RELAY = NeuronModel(
    "dtotal/dt = 0/ms : 1\ndresets/dt = 0/ms : 1\ndI/dt = -I/ms : pA",
    threshold="input(spikes) > 0",
    reset="resets += 1",
    receptors={"spikes": "total", "ex": "I"},
    spike_count="input(spikes)",
    name="text_relay",
)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_counts_may_be_random(precision: str) -> None:
    model = NeuronModel(
        "dtotal/dt = 0/ms : 1\nn = poisson(rate*dt) : 1",
        threshold="n > 0",
        reset="total += n",
        spike_count="n",
        parameters={"rate": (4000.0, "Hz")},
    )
    n = 6400
    call = NeuronCall(generated_kernel_module(model), {"rate": 4000.0}, n, precision=precision)
    total = np.zeros(n, int)
    for step in range(20):
        gids = call.step(step)
        assert np.all(np.diff(gids.astype(int)) >= 0)
        counts = np.bincount(gids, minlength=n)
        total += counts
        np.testing.assert_array_equal(call.states["total"], total)
        if step == 7:
            assert p_of_discrete(counts, stats.poisson(0.4).pmf) > LEAST_P


def test_counts_are_of_the_states_of_the_threshold() -> None:
    model = NeuronModel(
        "dV/dt = 0*mV/ms : mV",
        threshold="V >= 1*mV",
        reset="V = 0*mV",
        refractory="t_ref",
        hold=(),
        receptors={"in": "V"},
        spike_count="V/mV",
        parameters={"t_ref": (0.2, "ms")},
    )
    call = NeuronCall(generated_kernel_module(model), {"t_ref": 0.2}, 64)
    found = []
    for step in range(6):
        call.rows["in"][step % len(call.rows["in"]), :4] = [0, 1, 2, 127]
        found.append(np.bincount(call.step(step), minlength=4)[:4].tolist())
    # after a spike two steps are refractory; input is added meanwhile
    assert found[0] == [0, 1, 2, 127] and found[1] == found[2] == [0] * 4
    assert found[3][:3] == [0, 3, 6]


def test_a_relay_of_a_text_is_the_built_in_relay(tmp_path: Path) -> None:
    found = []
    for model in (RELAY(), ParrotNeuron()):
        relays, second = Population("A", 70, model), Population("B", 30, model)
        weights = np.random.default_rng(1).integers(0, 4, (70, 30)).astype(float)
        network = Network(
            [relays, second],
            [Projection(relays, second, AllToAll(), weights, 0.7, "spikes")],
            [PoissonInput(relays, 200.0, 2.0, "spikes")],
            [RecordSpikes(relays), RecordSpikes(second)],
        )
        path = tmp_path / f"{len(found)}.zarr"
        with Simulation(network, out=path) as simulation:
            simulation.run(30.0)
            rates = simulation["B"]
            if model.name == "text_relay":
                assert rates.state["total"].sum() > 2 * rates.state["resets"].sum() > 0
        found.append(StoreReader(path).spikes(0, 300))
    for text, built_in in zip(*found, strict=True):
        np.testing.assert_array_equal(text, built_in)
    assert np.bincount(found[0][0]).max() > 20


@pytest.mark.parametrize("count", ["0.5", "128", "-1", "1e30", "log(-x)", "x/0.3"])
def test_other_numbers_stop_the_run(count: str) -> None:
    model = NeuronModel("dx/dt = 1/ms : 1", threshold="x > 0.35", spike_count=count)
    with (
        Simulation(Network([Population("N", 3, model())])) as simulation,
        pytest.raises(StateError, match="'N', gid 0, step 4: its number of spikes in the step is"),
    ):
        simulation.run(1.0)


def test_each_spike_of_a_step_is_an_event_of_a_plasticity_rule() -> None:
    rule = PlasticityModel(
        traces="dx/dt = 0 : 1 (pre)\ndy/dt = 0 : 1 (post)",
        on_pre="x += 1; w = clip(w - B*y, 0, w_max)",
        on_post="y += 1; w = clip(w + A*x*y, 0, w_max)",
        parameters={"A": (1.0, "pA"), "B": (0.125, "pA")},
    )
    source, relay = Population("S", 1, SpikeSource([1.0, 20.0, 30.0], [0] * 3)), RELAY()
    # two steps with 3 and 40 spikes: more than a history first keeps
    targets, sources = Population("T", 1, relay), Population("R", 1, relay)
    spikes = [SpikeInput(targets, [10.0, 25.0], [0, 0], [3.0, 40.0], "spikes")]
    spikes.append(SpikeInput(sources, [5.0], [0], [2.0], "spikes"))
    network = Network(
        [source, targets, sources],
        [
            Projection(*(pre, targets, OneToOne(), 10.0, 1.0, "ex"), synapse=rule(w_max=1e4))
            for pre in (source, sources)
        ],
        spikes,
    )
    with Simulation(network) as simulation:
        simulation.run(40.0)
        (one,), (other,) = (simulation[f"{name}->T"].connections()["weight"] for name in "SR")
    # y is 1, 2, 3 at the first spikes of the target; x is 1 there
    expected = 10.0 + (1 + 2 + 3) - 0.125 * 3 + 2 * sum(range(4, 44)) - 0.125 * 43
    assert one == pytest.approx(expected, rel=1e-6)
    assert other == pytest.approx(10.0 + 2 * sum(range(1, 44)), rel=1e-6)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"spike_count": "2"}, "spike_count, line 1, column 1: a number of spikes needs a thresho"),
        ({"threshold": "V > 0*mV", "spike_count": "V"}, "the number of spikes is in mV"),
        ({"threshold": "V > 0*mV", "spike_count": "V > 0*mV"}, "number of spikes is a condition"),
        ({"threshold": "V > 0*mV", "spike_count": "z"}, "unknown name 'z'"),
        ({"threshold": "V > 0*mV", "spike_count": 2}, "spike_count: must be text"),
        (
            {"threshold": "V > 0*mV", "spike_count": "2", "method": "euler", "substeps": 2},
            "with spike_count cannot be divided into parts",
        ),
    ],
)
def test_counts_that_are_refused(given: dict[str, object], problem: str) -> None:
    with pytest.raises(DescriptionError, match=problem):
        NeuronModel("dV/dt = -V/ms : mV", **given)
