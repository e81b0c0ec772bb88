"""Neurons, readouts and synapses of e-prop beside NEST's.

Ten neurons with random parameters get given trains and a current that changes. A small network
learns: learning rates are so small that weights, which here are two steps behind, move no spike.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from distsnn.analysis import Run, open_run
from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    ConnectionList,
    Eprop,
    EpropIaf,
    EpropReadout,
    EpropToReadout,
    Network,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
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
    pytest.param(0.05, "piecewise_linear", "0", marks=pytest.mark.ci),
    pytest.param(1.0, "piecewise_linear", "dt", marks=pytest.mark.ci),
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
        pairs = ConnectionList(self.edges["source"], self.edges["target"])
        how = {"receptor": "delta", "weight_bits": 30}
        values = self.edges["weight"], self.edges["delay"] * dt
        return Network(
            [cells, trains],
            [Projection(trains, cells, pairs, *values, **how)],
            [StepCurrent(cells, self.changes * dt, self.current)],
            recordings=[RecordSpikes(cells), RecordState(cells, STATES, interval=5 * dt)],
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


def spikes_of(reader: StoreReader, steps: int, neurons: int = N) -> np.ndarray:
    """Return the spikes of a run, one number for each."""
    step, gid = reader.spikes(0, steps)
    return np.sort(step.astype(np.int64) * neurons + gid.astype(np.int64))


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


RECURRENT, READOUTS, TRAINS, STEPS = 6, 2, 8, 400
# steps by which a learning signal is late, and so weights here are behind NEST's
LATE = {"input": 2, "recurrent": 2, "output": 0}
# learning rates where filters are 10 steps long
ETA = {"input": 2e-7, "recurrent": 3e-7, "output": 5e-7}


class Learning:
    """A network that learns by e-prop, as distsnn and as NEST take it.

    Parameters
    ----------
    dt : float
        Step, ms.
    number : int
        Of the set of parameters; in every second one, time constants are equal and t_ref is 0.
    """

    def __init__(self, dt: float, number: int) -> None:
        self.dt = dt
        random = np.random.default_rng(number)
        edge = number % 2 == 1
        tau_m, tau_out = random.uniform(8.0, 20.0, 2)
        tau_e, tau_reg = (tau_m, tau_m) if edge else dt * random.uniform(5.0, 40.0, 2)
        self.filters = {"tau_e": tau_e, "tau_reg": tau_reg}
        # rates are those of a spike in so many steps
        self.c_reg = random.uniform(50.0, 600.0) * dt
        self.f_target = random.uniform(10.0, 80.0) / dt
        # filters of more steps sum up more
        both = tau_e * tau_m / dt
        traces = {"input": both, "recurrent": both, "output": 10.0 * dt * tau_out}
        self.eta = {kind: ETA[kind] * 100.0 * dt**2 / size for kind, size in traces.items()}
        self.recurrent: Values = {
            "tau_m": np.full(RECURRENT, tau_m),
            "C_m": random.uniform(200.0, 300.0, RECURRENT),
            "V_th": random.uniform(-60.0, -58.0, RECURRENT),
            "t_ref": dt * random.integers(1, 5, RECURRENT) * (not edge),
            "surrogate_gradient_width": random.uniform(5.0, 12.0, RECURRENT),
        }
        self.readout: Values = {
            "tau_m": np.full(READOUTS, tau_m if edge else tau_out),
            "E_L": np.array([0.0, 2.0]),
        }
        # successive steps too
        step, self.source = np.nonzero(random.random((STEPS, TRAINS)) < 0.08)
        self.step = step + 2
        self.edges: dict[str, Values] = {}
        sizes = {"input": (TRAINS, RECURRENT), "recurrent": (RECURRENT, RECURRENT)}
        for kind, shape in (sizes | {"output": (RECURRENT, READOUTS)}).items():
            source, target = np.indices(shape).reshape(2, -1)
            weight = np.rint(random.uniform(0.8, 2.2, source.size) * 2.0**20) / 2.0**20
            if kind == "recurrent":
                weight *= 0.2
            # these reach their bound
            weight[::7] = 2.0**-17
            self.edges[kind] = {"source": source, "target": target, "weight": weight}
        self.feedback = random.uniform(-1.0, 1.0, (READOUTS, RECURRENT))
        time = np.arange(STEPS)[:, None]
        self.target_signal = 5.0 * np.sin(time / 20.0 + np.arange(READOUTS)) + 3.0

    def nest(self, run_nest: RunNest) -> Values:
        """Return NEST's result."""
        rule = {
            "kappa": np.full(RECURRENT, np.exp(-self.dt / self.filters["tau_e"])),
            "kappa_reg": np.full(RECURRENT, np.exp(-self.dt / self.filters["tau_reg"])),
            "c_reg": np.full(RECURRENT, self.c_reg),
            "f_target": np.full(RECURRENT, self.f_target / self.dt),
        }
        given = {f"recurrent_{name}": values for name, values in (self.recurrent | rule).items()}
        given |= {f"readout_{name}": values for name, values in self.readout.items()}
        given["readout_V_m"] = self.readout["E_L"]
        for kind, columns in self.edges.items():
            given |= {f"{kind}_{name}": values for name, values in columns.items()}
        bounds = {"Wmin": 0.0, "Wmax": 100.0}
        return run_nest(
            {
                "resolution": self.dt,
                "steps": STEPS,
                "optimizer": {kind: bounds | {"eta": eta} for kind, eta in self.eta.items()},
            },
            program="nest_eprop",
            train_source=self.source,
            train_step=self.step,
            feedback=self.feedback,
            target_signal=self.target_signal,
            **given,
        )

    def network(self, target_signal: np.ndarray) -> Network:
        """Return it for distsnn, with a target signal for each step."""
        dt = self.dt
        neurons = EpropIaf(**self.recurrent, tau_f=self.filters["tau_reg"])
        cells = Population("cells", RECURRENT, neurons, precision="float64")
        readout = Population("readout", READOUTS, EpropReadout(**self.readout), precision="float64")
        trains = Population("trains", TRAINS, SpikeSource(self.step * dt, self.source))
        more = {"c_reg": self.c_reg / 1000.0, "f_target": self.f_target, **self.filters}
        tau_m, tau_out = self.recurrent["tau_m"][0], self.readout["tau_m"][0]
        rule = partial(Eprop, tau_m=tau_m, w_max=100.0, signal_delay=2 * dt, **more)
        to_readout = partial(EpropToReadout, tau_m=tau_out, w_max=100.0)
        ends = {
            "input": (trains, cells, rule),
            "recurrent": (cells, cells, rule),
            "output": (cells, readout, to_readout),
        }
        projections = [
            Projection(
                *(
                    pre,
                    post,
                    ConnectionList(self.edges[kind]["source"], self.edges[kind]["target"]),
                ),
                *(self.edges[kind]["weight"], dt),
                receptor="delta",
                synapse=make(eta=self.eta[kind], precision="float64"),
                name=kind,
                weight_bits=30,
            )
            for kind, (pre, post, make) in ends.items()
        ]
        return Network(
            [cells, readout, trains],
            projections,
            [StepCurrent(readout, np.arange(STEPS) * dt, target_signal)],
            recordings=[
                RecordSpikes(cells),
                RecordState(cells, STATES, interval=dt),
                RecordState(readout, ("V_m", "error_signal"), interval=dt),
                *(RecordWeights(kind, interval=dt) for kind in ends),
            ],
            dt=dt,
        )

    def learn(self, network: Network, path: Path) -> Run:
        """Run it: a script takes errors to learning signals, which are a step late."""
        with Simulation(network, out=path, communicator=SingleProcess()) as simulation:
            for _ in range(STEPS):
                simulation.run(self.dt)
                error = simulation["readout"].state["error_signal"]
                simulation["cells"].parameters["learning_signal_e"] = error @ self.feedback
        return open_run(path)


LEARNING = [(dt, number) for dt, sets in ((1.0, 10), (0.1, 4), (0.05, 4)) for number in range(sets)]


@pytest.mark.ci
@pytest.mark.parametrize(("dt", "number"), LEARNING)
def test_weights_are_nests(dt: float, number: int, run_nest: RunNest, tmp_path: Path) -> None:
    learning = Learning(dt, number)
    expected = learning.nest(run_nest)
    run = learning.learn(learning.network(expected["readout_target_signal"]), tmp_path / "run.zarr")
    spikes = np.sort(expected["spike_step"] * RECURRENT + expected["spike_neuron"])
    ours = spikes_of(StoreReader(tmp_path / "run.zarr"), STEPS, RECURRENT)
    np.testing.assert_array_equal(ours, spikes)
    assert spikes.size > 40
    bounded: list[float] = []
    for kind, late in LATE.items():
        weights = run.weights(kind)["weight"].to_numpy()
        start, n_targets = learning.edges[kind]["weight"], max(learning.edges[kind]["target"]) + 1
        synapse = expected[f"{kind}_source"] * n_targets + expected[f"{kind}_target"]
        # what all synapses have transmitted; rows begin at step 1
        row = expected[f"{kind}_step"] + late - 1
        known = row < STEPS
        ours, theirs = weights[row[known], synapse[known]], expected[f"{kind}_weight"][known]
        change = theirs - start[synapse[known]]
        apart = np.abs(ours - theirs).max() / np.abs(change).max()
        at_bound = (theirs == 0.0).mean()
        bounded.append(at_bound)
        print(
            f"dt {dt}, set {number}, {kind}: {spikes.size} spikes, largest change "
            f"{np.abs(change).max():.1e}, apart {apart:.1e} of it, at 0: {at_bound:.3f}"
        )
        assert np.abs(change).max() > 5e-5
        assert at_bound < 0.5
        assert apart < 1e-4
    assert sum(bounded) > 0.0
