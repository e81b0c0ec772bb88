"""The rule that follows potentials, in a simulation, beside its own functions called in order."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from rule_events import followed, levels

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.kernels.plasticity import clopath_synapse as rule
from distsnn.network import (
    AeifPscDeltaClopath,
    ClopathSTDP,
    Network,
    NeuronModel,
    PairwiseBernoulli,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeSource,
    Uniform,
)
from distsnn.simulation import Simulation

DT, END, N_SOURCES = 0.1, 4000, 20
RNG = np.random.default_rng(2)
# bursts of successive steps among irregular spikes
KEYS = np.unique(
    np.concatenate([RNG.integers(0, N_SOURCES * END, 1500), np.arange(0, 600, N_SOURCES) + 7])
)
SOURCES = Population("S", N_SOURCES, SpikeSource((KEYS // 20 + 1) * DT, KEYS % 20))
NEURON = AeifPscDeltaClopath(E_L=Uniform(-72.0, -69.0), t_clamp=1.0)
START = {"V_m": Uniform(-70.0, -55.0), "u_bar_minus": Uniform(-75.0, -65.0)}
# an integrate-and-fire neuron of one's own, with the states that the rule asks for
OWN = NeuronModel(
    """
    dV_m/dt = (E_L - V_m)/tau : mV
    du_bar_plus/dt = (V_m - u_bar_plus)/tau_plus : mV
    du_bar_minus/dt = (V_m - u_bar_minus)/tau : mV
    du_bar_bar/dt = (u_bar_minus - u_bar_bar)/tau_bar : mV
    """,
    threshold="V_m > V_th",
    reset="V_m = E_L",
    receptors={"delta": "V_m"},
    parameters={
        **{"E_L": (-65.0, "mV"), "V_th": (-40.0, "mV"), "tau": (10.0, "ms")},
        **{"tau_plus": (7.0, "ms"), "tau_bar": (50.0, "ms")},
    },
)
PUBLISHED = ClopathSTDP(A_LTP=8e-4, A_LTD=7e-3, w_max=8.0)
RULES = {
    "published": PUBLISHED,
    "homeostatic": dataclasses.replace(
        PUBLISHED, A_LTD_const=0, u_ref_squared=5000.0, delay_u_bars=0.0, w_min=0.5
    ),
    "axonal": dataclasses.replace(PUBLISHED, axonal_delay=0.7, theta_plus=-60.0, A_LTP=1e-4),
    "inhibitory": dataclasses.replace(PUBLISHED, w_max=-8.0),
}
Floats = npt.NDArray[np.float64]


def network(model: ClopathSTDP, precision: str = "float64", neuron: Any = NEURON) -> Network:
    start = START if neuron is NEURON else {"V_m": -60.0, **dict.fromkeys(rule.WATCHED[1:], -65.0)}
    targets = Population("E", 100, neuron, start, precision)
    weight = Uniform(1.0, 5.0) if model.sign > 0 else Uniform(-5.0, -1.0)
    made = Projection(
        *(SOURCES, targets, PairwiseBernoulli(0.08), weight, Uniform(1.0, 4.0)),
        synapse=model,
        name="learning",
    )
    records = [RecordSpikes(SOURCES), RecordSpikes(targets), RecordState(targets, rule.WATCHED)]
    return Network([SOURCES, targets], [made], [PoissonInput(targets, 3000.0, 1.5)], records)


@dataclasses.dataclass
class Run:
    """A run's synapses, weights at its start and end, and what their targets went through."""

    first: Floats
    known: SimpleNamespace
    start: Mapping[str, Floats]
    reader: StoreReader
    depth: int

    def expected(self, model: ClopathSTDP) -> Floats:
        """Return the weights at the end, by the rule's functions called event by event."""
        step, gid = self.reader.spikes(0, END)
        states = self.reader.state("E").variables
        given = {one.name: getattr(model, one.name) for one in dataclasses.fields(model)}
        given = {name: x for name, x in given.items() if name != "precision"}
        given["w_max"], axonal = abs(model.w_max), model.axonal_steps(DT)
        late = model.late_steps(DT)
        columns = [
            levels(
                rule,
                given,
                {name: np.append(self.start[name][n], states[name][:, n]) for name in rule.WATCHED},
                late,
            )
            for n in range(100)
        ]
        rows = zip(
            self.known.sources, self.known.targets, self.known.delays, self.first, strict=True
        )
        return np.array(
            [
                model.sign
                * followed(
                    *(rule, given, step[gid == source].astype(np.int64)),
                    *columns[target - N_SOURCES],
                    weight=abs(weight),
                    dendritic=round(delay / DT) - axonal,
                    axonal=axonal,
                    until=END,
                )[-1]
                for source, target, delay, weight in rows
            ]
        )


def simulated(made: Network, path: Path, *pieces: int) -> Run:
    """Run in pieces, and read the weights after each."""
    with Simulation(made, out=path, communicator=SingleProcess()) as simulation:
        first = simulation["learning"].weights
        state = simulation["E"].state
        start = {name: np.array(state[name]) for name in rule.WATCHED}
        for steps in pieces:
            simulation.run(steps * DT)
            learnt = simulation["learning"]
            names = ("weights", "sources", "targets", "delays")
            known = SimpleNamespace(**{name: getattr(learnt, name) for name in names})
        depth = simulation._engine.plastic[0].targets.history.depth
    return Run(first, known, start, StoreReader(path), depth)


@pytest.mark.ci
@pytest.mark.parametrize("name", RULES)
def test_weights_are_those_of_single_events(name: str, tmp_path: Path) -> None:
    model = dataclasses.replace(RULES[name], precision="float64")
    run = simulated(network(model), tmp_path / "run.zarr", 1733, END - 1733)
    expected = run.expected(model)
    np.testing.assert_allclose(run.known.weights, expected, rtol=1e-9, atol=1e-9)
    assert np.mean(np.abs(expected - run.first) > 0.05) > 0.5
    free = (np.abs(expected) > model.w_min) & (np.abs(expected) < abs(model.w_max))
    assert free.mean() > 0.1  # others are at a bound
    assert np.abs(run.known.sources).size > 100


@pytest.mark.validation
def test_own_neurons_with_the_states_that_it_asks_for_may_be_its_targets(tmp_path: Path) -> None:
    model = dataclasses.replace(PUBLISHED, precision="float64", theta_plus=-55.0)
    run = simulated(network(model, neuron=OWN), tmp_path / "run.zarr", END)
    np.testing.assert_allclose(run.known.weights, run.expected(model), rtol=1e-9, atol=1e-9)
    assert np.mean(np.abs(run.known.weights - run.first) > 0.05) > 0.5


@pytest.mark.ci
def test_reading_in_between_changes_nothing_and_single_precision_is_near(tmp_path: Path) -> None:
    made = network(PUBLISHED, "float32")
    whole = simulated(made, tmp_path / "whole.zarr", END)
    read = simulated(made, tmp_path / "read.zarr", *[13] * 300, END - 3900)
    # histories are swept more often in the other
    assert whole.depth >= read.depth
    np.testing.assert_array_equal(whole.known.weights, read.known.weights)
    np.testing.assert_allclose(whole.known.weights, whole.expected(PUBLISHED), rtol=2e-4)


@pytest.mark.ci
def test_learning_can_be_switched_off_and_on(tmp_path: Path) -> None:
    made = network(dataclasses.replace(PUBLISHED, precision="float64"))
    with Simulation(made, out=tmp_path / "run.zarr", communicator=SingleProcess()) as simulation:
        simulation.run(100.0)
        before = simulation["learning"].weights
        simulation["learning"].learning = False
        simulation.run(100.0)
        np.testing.assert_array_equal(simulation["learning"].weights, before)
        simulation["learning"].learning = True
        simulation.run(100.0)
        assert np.mean(simulation["learning"].weights != before) > 0.5
