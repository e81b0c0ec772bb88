"""Neurons, readouts and synapses of e-prop beside NEST's.

Ten neurons with random parameters get given trains and a current that changes.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    Explicit,
    Network,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeSource,
    StepCurrent,
    eprop_iaf,
)
from distsnn.simulation import Simulation

RunNest = Callable[..., dict[str, np.ndarray]]
Values = dict[str, np.ndarray]
N, N_SOURCES, TIME = 10, 20, 1000.0
STATES = ("V_m", "surrogate_gradient")
# dt, ms, surrogate gradient, and what is not random: t_ref is 0, or one step
CASES = [
    (0.1, "piecewise_linear", ""),
    (0.05, "piecewise_linear", "0"),
    (1.0, "piecewise_linear", "dt"),
    pytest.param(0.1, "exponential", "", marks=pytest.mark.ci),
    pytest.param(1.0, "fast_sigmoid_derivative", "", marks=pytest.mark.ci),
    pytest.param(0.1, "arctan_derivative", "0", marks=pytest.mark.ci),
]


class Driven:
    """Neurons and their input, as distsnn and as NEST take them."""

    def __init__(self, dt: float, function: str, refractory: str) -> None:
        random = np.random.default_rng(11)
        self.dt, self.function, self.steps = dt, function, round(TIME / dt)
        t_ref = {"0": np.zeros(N), "dt": np.full(N, dt)}
        self.parameters: Values = {
            "C_m": random.uniform(150.0, 300.0, N),
            "tau_m": random.uniform(5.0, 30.0, N),
            "E_L": random.uniform(-75.0, -65.0, N),
            "V_th": random.uniform(-60.0, -50.0, N),
            "V_min": random.uniform(-85.0, -76.0, N),
            "I_e": random.uniform(-50.0, 100.0, N),
            "t_ref": t_ref.get(refractory, np.rint(random.uniform(1.0, 4.0, N))),
            "surrogate_gradient_height": random.uniform(0.1, 1.0, N),
            "surrogate_gradient_width": random.uniform(1.0, 20.0, N),
        }
        self.start = self.parameters["E_L"] + random.uniform(-5.0, 5.0, N)
        step, self.source = np.nonzero(random.random((self.steps, N_SOURCES)) < 0.05 * dt)
        self.step = step + 2
        edges = 6 * N
        self.edges = {
            "source": random.integers(0, N_SOURCES, edges),
            "target": random.integers(0, N, edges),
            # multiples of a power of two, so that both simulators add the same numbers
            "weight": np.rint(random.uniform(-4.0, 6.0, edges) * 256.0) / 256.0,
            "delay": random.integers(1, 30, edges),
        }
        self.changes = np.arange(2, self.steps, round(20.0 / dt))
        self.current = random.uniform(-300.0, 700.0, (self.changes.size, N))

    def network(self, precision: str) -> Network:
        """Return it for distsnn."""
        dt = self.dt
        model = eprop_iaf(self.function, **self.parameters)
        cells = Population("cells", N, model, {"V_m": self.start}, precision=precision)
        trains = Population("trains", N_SOURCES, SpikeSource(self.step * dt, self.source))
        pairs = Explicit(self.edges["source"], self.edges["target"])
        how = {"receptor": "delta", "weight_bits": 30}
        values = self.edges["weight"], self.edges["delay"] * dt
        return Network(
            [cells, trains],
            [Projection(trains, cells, pairs, *values, **how)],
            [StepCurrent(cells, self.changes * dt, self.current)],
            recordings=[RecordSpikes(cells), RecordState(cells, STATES, every=5 * dt)],
            dt=dt,
        )

    def nest(self, run_nest: RunNest) -> Values:
        """Return NEST's result."""
        of_neurons = self.parameters
        # there I_e acts from the second step on
        decay = np.exp(-self.dt / of_neurons["tau_m"])
        missing = of_neurons["I_e"] * of_neurons["tau_m"] / of_neurons["C_m"] * (1.0 - decay)
        given = of_neurons | {"V_m": self.start + missing / decay}
        each = [{name: float(value[k]) for name, value in given.items()} for k in range(N)]
        choices = {"surrogate_gradient_function": self.function}
        populations = [
            {"model": "eprop_iaf", "size": 1, "parameters": values, "choices": choices}
            for values in each
        ]
        return run_nest(
            {
                "resolution": self.dt,
                "steps": self.steps,
                "populations": populations,
                "state": {"variables": STATES, "every": 5},
            },
            train_source=self.source,
            train_step=self.step,
            state_neurons=np.arange(N),
            stimulus_step=self.changes,
            stimulus_current=self.current,
            **{f"input_{key}": column for key, column in self.edges.items()},
        )


def run(network: Network, path: Path, steps: int) -> StoreReader:
    """Return a run."""
    with Simulation(network, out=path, communicator=SingleProcess()) as simulation:
        simulation.run(steps * network.dt)
    return StoreReader(path)


def spikes_of(reader: StoreReader, steps: int) -> np.ndarray:
    """Return the spikes of a run, one number for each."""
    step, gid = reader.spikes(0, steps)
    return np.sort(step.astype(np.int64) * N + gid.astype(np.int64))


@pytest.mark.parametrize(("dt", "function", "refractory"), CASES)
def test_spikes_and_states_of_neurons_are_nests(
    dt: float, function: str, refractory: str, run_nest: RunNest, tmp_path: Path
) -> None:
    driven = Driven(dt, function, refractory)
    expected = driven.nest(run_nest)
    theirs = np.sort(expected["spike_step"] * N + expected["spike_neuron"])
    reader = run(driven.network("float64"), tmp_path / "64.zarr", driven.steps)
    ours = spikes_of(reader, driven.steps)
    counts = np.bincount(expected["spike_neuron"], minlength=N)
    traces = reader.state("cells").variables
    apart = {name: np.abs(traces[name][:, :] - expected[name]).max() for name in STATES}
    single = run(driven.network("float32"), tmp_path / "32.zarr", driven.steps)
    few = spikes_of(single, driven.steps)
    common = np.intersect1d(few, theirs).size / max(few.size, theirs.size)
    print(f"{function}, dt {dt}: spikes {counts}, {apart}, float32 {common:.4f}")
    assert counts.min() >= 5
    # the floor, the reset and the refractory time act
    assert (expected["V_m"] == driven.parameters["V_min"]).any()
    np.testing.assert_array_equal(ours, theirs)
    assert max(apart.values()) < 1e-9
    assert common > 0.9
