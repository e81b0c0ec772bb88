"""Examples of Brian2's documentation as texts, beside Brian2: traces, spikes, weights, noise.

Both use the same scheme and the same step, so that traces differ by rounding only. Spikes and
currents are given.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2_examples import EXAMPLES, N_NOISY, SIZE, Example
from campaigns import sampled

from distsnn.analysis import open_run
from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    Network,
    OneToOne,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
    SpikeInput,
    SpikeSource,
    StepCurrent,
)
from distsnn.simulation import Simulation

SI = {"mV": 1e-3, "pA": 1e-12, "nS": 1e-9, "ms": 1e-3, "pF": 1e-12, "1": 1.0, "1/ms": 1e3}


class Driven:
    """An example's neurons and input, as distsnn and as Brian2 take them."""

    def __init__(self, example: Example) -> None:
        random = np.random.default_rng(8)
        self.example, self.steps = example, round(example.time / example.dt)
        every = round(5.0 / example.dt)
        self.changes = np.arange(0, self.steps, every)
        self.current = random.uniform(*example.current, (self.changes.size, example.size))
        shape = self.steps - 1, example.size
        # steps in which a spike acts at the end, counted from 0
        self.spikes = {
            name: np.argwhere(random.random(shape) < 0.1 * example.dt) for name in example.receptors
        }
        if example.learning is not None:
            emitted = random.random(shape) < 1e-3 * example.learning.rate * example.dt
            # a weight is on its way for two steps, and in Brian2 is kept by the synapse
            for later in (1, 2):
                emitted[later:] &= ~emitted[:-later]
            self.emitted = np.argwhere(emitted)

    def ours(self, path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return spikes (step from 0, neuron) and traces after each step."""
        example, dt = self.example, self.example.dt
        model = example.model(**example.values)
        neurons = Population("neurons", example.size, model, example.initial, "float64")
        stimuli = [StepCurrent(neurons, self.changes * dt, self.current)]
        for name, (weight, _) in example.receptors.items():
            step, neuron = self.spikes[name].T
            stimuli.append(SpikeInput(neurons, (step + 1) * dt, neuron, weight, name))
        states = [*example.model.dynamics.states]
        recordings: list[Any] = [RecordSpikes(neurons), RecordState(neurons, states, interval=dt)]
        populations, projections = [neurons], []
        if (learning := example.learning) is not None:
            step, source = self.emitted.T
            sources = Population("sources", example.size, SpikeSource((step + 2) * dt, source))
            synapses = Projection(
                *(sources, neurons, OneToOne(), learning.weight[1], dt),
                synapse=learning.rule,
                name="learning",
            )
            populations, projections = [neurons, sources], [synapses]
            recordings.append(RecordWeights("learning", interval=dt))
        network = Network(populations, projections, stimuli, recordings, dt=dt)
        with Simulation(network, out=path, communicator=SingleProcess()) as simulation:
            simulation.run(example.time)
        reader = StoreReader(path)
        step, gid = reader.spikes(0, self.steps)
        traces = reader.state("neurons").variables
        found = {name: traces[name][:, :] for name in states}
        if example.learning is not None:
            weights = open_run(path).weights("learning")["weight"].compute()
            # spikes meet at the synapse a step later than in Brian2
            found["weights"] = np.roll(weights, -1, axis=0)
        return np.stack([step.astype(np.int64) - 1, gid], axis=1), found

    def brian2(self) -> dict[str, Any]:
        """Return the request to Brian2."""
        example, model = self.example, self.example.model
        units = {name: SI[one.unit_text] for name, one in model.dynamics.states.items()}
        constants = {
            name: (example.values.get(name, value), unit)
            for name, (value, unit, _) in model.parameters.items()
        }
        held = len(model.dynamics.held)
        refractory = constants.pop("t_ref", (0.0, "ms"))[0]
        spikes = [
            (variable, weight * units[variable], self.spikes[name].tolist())
            for name, (weight, variables) in example.receptors.items()
            for variable in variables.split()
        ]
        if example.for_one_step:
            spikes += [
                (variable, -weight, [[step + 1, neuron] for step, neuron in its])
                for variable, weight, its in [*spikes]
            ]
        plastic = {}
        if (learning := example.learning) is not None:
            given = learning.rule.model.parameters.items()
            constants |= {name: (value, unit) for name, (value, unit, _) in given}
            plastic["plastic"] = {
                **learning.texts,
                "weight": learning.weight,
                "emitted": self.emitted.tolist(),
            }
        return {
            **plastic,
            "equations": example.equations,
            "threshold": example.threshold,
            "reset": example.reset,
            "method": model.method,
            "size": example.size,
            "dt": example.dt,
            "time": example.time,
            # where a variable rests it does so for one step less
            "refractory": refractory + example.dt * (held > 0),
            "constants": constants,
            "initial": {
                name: (units[name] * np.asarray(value)).tolist()
                for name, value in example.initial.items()
            },
            "current": np.repeat(self.current, round(5.0 / example.dt), axis=0).tolist(),
            "spikes": spikes,
            "record": [*units],
        }


ANSWERS: dict[str, Any] = {}


@pytest.fixture
def brian2(ask_peer: Callable[[str], Any]) -> dict[str, Any]:
    """Return Brian2's answers to all examples, of one process."""
    if not ANSWERS:
        requests = {name: Driven(example).brian2() for name, example in EXAMPLES.items()}
        ANSWERS.update(ask_peer("brian2")(models=requests)["models"])
    return ANSWERS


@pytest.mark.parametrize("name", sampled([name for name in EXAMPLES if name != "noise"], 2))
def test_traces_and_spikes_are_brian2s(name: str, brian2: dict[str, Any], tmp_path: Path) -> None:
    driven = Driven(EXAMPLES[name])
    spikes, traces = driven.ours(tmp_path / "run.zarr")
    theirs = np.array(brian2[name]["spikes"])
    counts = np.bincount(theirs[:, 1], minlength=SIZE)
    apart = {}
    states = driven.example.model.dynamics.states.items()
    units = {state: SI[one.unit_text] for state, one in states if state != "spike"}
    if driven.example.learning is not None:
        units["weights"] = 1.0
    for state, unit in units.items():
        expected = np.array(brian2[name][state]) / unit
        apart[state] = np.abs(traces[state][:-1] - expected[1:]).max()
        assert np.ptp(expected, axis=0).min() > 1e-3, state
    print(f"{name}: spikes {counts}", *(f"{state} {value:.1e}" for state, value in apart.items()))
    np.testing.assert_array_equal(spikes, theirs)
    assert counts.min() >= 2
    # of weights that learn, 20 bits are transmitted
    assert apart.pop("weights", 0.0) < 1e-7
    assert max(apart.values()) < (1e-8 if driven.example.learning is None else 1e-4)


def test_noise_moves_spikes_as_in_brian2(brian2: dict[str, Any], tmp_path: Path) -> None:
    driven = Driven(EXAMPLES["noise"])
    spikes, traces = driven.ours(tmp_path / "run.zarr")
    counts, theirs = (
        np.bincount(found[:, 1], minlength=N_NOISY)
        for found in (spikes, np.array(brian2["noise"]["spikes"]))
    )
    quiet = Driven(replace(EXAMPLES["noise"], values={}))
    without = np.bincount(quiet.ours(tmp_path / "quiet.zarr")[0][:, 1], minlength=N_NOISY)
    # neurons have their own inputs, and the same in both
    difference = counts - theirs
    error = difference.std() / np.sqrt(N_NOISY)
    spread = [np.std(found - without) for found in (counts, theirs)]
    print(f"spikes {counts.sum()}, {theirs.sum()}; without noise {without.sum()}; {spread}")
    assert abs(difference.mean()) < 4.0 * error
    assert spread[0] == pytest.approx(spread[1], rel=0.25) and spread[0] > 0.3
    # the potential after the first step has the noise of one step alone
    expected = 0.1 * np.sqrt(2.0 * 0.1 / 33.0)
    assert traces["v"][0].std() == pytest.approx(expected, rel=0.2)
    assert np.std(brian2["noise"]["v"][1]) == pytest.approx(expected, rel=0.2)
