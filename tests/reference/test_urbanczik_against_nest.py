"""The two-compartment point process neuron and its rule beside NEST's.

Ten neurons with random parameters, edges among them, get given trains at all receptors and a
current that changes. NEST draws their spikes. Here the neurons have the same text, but spike when
NEST's do, so that potentials, conductances and weights can be compared step by step. The drawn
spikes of both are compared by their numbers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distsnn.analysis import open_run
from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    ConnectionList,
    Network,
    NeuronModel,
    Population,
    PpCondExpMcUrbanczik,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
    SpikeSource,
    StepCurrent,
    UrbanczikSenn,
)
from distsnn.network.populations import Precision
from distsnn.simulation import Simulation

RunNest = Callable[..., dict[str, np.ndarray]]
Values = dict[str, np.ndarray]
N, N_SOURCES, BITS = 10, 8, 30
STATES = {
    **{"V_m_s": "V_m.s", "V_m_p": "V_m.p", "g_ex_s": "g_ex.s", "g_in_s": "g_in.s"},
    **{"I_ex_p": "I_ex.p", "I_in_p": "I_in.p"},
}
# NEST's numbers of receptors
RECEPTORS = {"soma_ex": 1, "soma_in": 2, "dendritic_ex": 3, "dendritic_in": 4}
PARTS = {"s": "soma", "p": "dendritic"}


def drawn(random: np.random.Generator, dt: float) -> Values:
    """Return the parameters of the neurons: from the fourth on all are random."""
    ranges = {
        **{"phi_max": (0.05, 0.3), "rate_slope": (0.2, 1.0), "beta": (0.2, 0.5)},
        **{"theta": (-58.0, -52.0), "g_sp": (200.0, 900.0), "g_ps": (0.0, 60.0)},
        **{f"C_m_{part}": (200.0, 400.0) for part in "sp"},
        **{f"g_L_{part}": (20.0, 40.0) for part in "sp"},
        **{f"E_L_{part}": (-72.0, -68.0) for part in "sp"},
        **{"E_ex_s": (-5.0, 5.0), "E_in_s": (-80.0, -72.0), "I_e_s": (-50.0, 100.0)},
        **{f"tau_syn_{kind}_{part}": (1.5, 4.5) for kind in ("ex", "in") for part in "sp"},
    }
    values = {name: random.uniform(low, high, N) for name, (low, high) in ranges.items()}
    values["t_ref"] = np.rint(random.uniform(0.0, 5.0, N))
    # the defaults; no refractory time and equal time constants; no coupling
    for name in values:
        values[name][0] = getattr(PpCondExpMcUrbanczik, name)
    values["t_ref"][1:3] = 0.0, dt
    for name in ("tau_syn_in_p", "tau_syn_ex_s", "tau_syn_in_s"):
        values[name][1] = values["tau_syn_ex_p"][1]
    values["g_sp"][2] = 0.0
    # spikes at all potentials; no spikes
    values["rate_slope"][3] = values["phi_max"][4] = 0.0
    return values


def nested(parameters: Values) -> list[dict[str, Any]]:
    """Return the parameters of each neuron in NEST's form: a dictionary for each compartment."""
    neurons = []
    for k in range(N):
        # NEST's potentials start at the default E_L
        neuron: dict[str, Any] = {
            compartment: {"V_m": float(parameters[f"E_L_{part}"][k])}
            for part, compartment in PARTS.items()
        }
        for name, values in parameters.items():
            stem, _, part = name.rpartition("_")
            owner = neuron[PARTS[part]] if part in PARTS else neuron
            owner[stem if part in PARTS else name] = float(values[k])
        neurons.append(neuron)
    return neurons


class Driven:
    """Neurons, synapses and input, as distsnn and as NEST take them."""

    def __init__(self, dt: float, time: float) -> None:
        random = np.random.default_rng(21)
        self.dt, self.steps = dt, round(time / dt)
        self.parameters = drawn(random, dt)
        step, self.source = np.nonzero(random.random((self.steps, N_SOURCES)) < 0.03 * dt)
        self.step = step + 2
        target, source = np.indices((N, N_SOURCES)).reshape(2, -1)
        n = target.size
        self.plastic = {
            "source": source,
            "target": target,
            "weight": random.uniform(20.0, 60.0, n),
            "delay": np.rint(random.integers(1, 6, n) / dt).astype(np.int64),
            # one of four is inhibitory; NEST then takes the excitatory time constant, too
            "receptor": np.where(source % 4 == 3, 4, 3),
            "eta": random.choice([-1.0, 1.0, 2.0], n) * random.uniform(0.1, 0.4, n),
            "tau_Delta": np.repeat(random.uniform(20.0, 200.0, N), N_SOURCES),
            "Wmin": random.uniform(0.0, 20.0, n),
            "Wmax": random.uniform(60.0, 120.0, n),
        }
        target, source = np.indices((N, 12)).reshape(2, -1)
        receptor = random.integers(1, 5, target.size)
        self.edges = {
            "source": source % N_SOURCES,
            "target": target,
            "weight": np.rint(random.uniform(1.0, 8.0, target.size) * 256.0) / 256.0,
            "delay": np.rint(random.integers(1, 6, target.size) / dt).astype(np.int64),
            "receptor": receptor,
        }
        self.changes = np.rint(np.arange(2, time, 20.0) / dt).astype(np.int64)
        self.current = random.uniform(-500.0, 5000.0, (self.changes.size, N))

    def nest(self, run_nest: RunNest) -> Values:
        """Return NEST's result."""
        populations = [
            {"model": "pp_cond_exp_mc_urbanczik", "size": 1, "parameters": neuron}
            for neuron in nested(self.parameters)
        ]
        names = ("eta", "tau_Delta", "Wmin", "Wmax")
        return run_nest(
            {
                "resolution": self.dt,
                "steps": self.steps,
                "populations": populations,
                "rule": {name: f"plastic_{name}" for name in names},
                "variables": [*STATES.values()],
            },
            program="nest_urbanczik",
            train_source=self.source,
            train_step=self.step,
            stimulus_step=self.changes,
            stimulus_current=self.current,
            **{f"input_{name}": values for name, values in self.edges.items()},
            **{f"plastic_{name}": values for name, values in self.plastic.items()},
        )

    def network(self, spikes: Values, substeps: int, precision: Precision) -> Network:
        """Return the network of distsnn, whose neurons spike when NEST's do."""
        dt = self.dt
        cells = Population(
            "cells", N, forced_model(substeps)(**self.parameters), precision=precision
        )
        trains = Population("trains", N_SOURCES, SpikeSource(self.step * dt, self.source))
        populations, projections = [cells, trains], []
        for receptor, number in RECEPTORS.items():
            edges = {
                name: values[self.edges["receptor"] == number]
                for name, values in self.edges.items()
            }
            pairs = ConnectionList(edges["source"], edges["target"])
            values = edges["weight"], edges["delay"] * dt
            options = {"receptor": receptor, "weight_bits": BITS}
            projections.append(Projection(trains, cells, pairs, *values, **options))
        names = {number: receptor for receptor, number in RECEPTORS.items()}
        for name, number, synapses in self.learning():
            k = self.plastic["target"][synapses[0]]
            plastic = {key: values[synapses] for key, values in self.plastic.items()}
            neuron = {key: float(values[k]) for key, values in self.parameters.items()}
            rule = UrbanczikSenn(
                tau_L=neuron["C_m_p"] / neuron["g_L_p"],
                tau_s=neuron["tau_syn_ex_p"],
                tau_Delta=float(plastic["tau_Delta"][0]),
                eta=plastic["eta"],
                w_max=plastic["Wmax"],
                w_min=plastic["Wmin"],
            )
            pairs = ConnectionList(plastic["source"], plastic["target"])
            options = {"receptor": names[number], "weight_bits": BITS, "name": name}
            values = plastic["weight"], plastic["delay"] * dt
            projections.append(Projection(trains, cells, pairs, *values, synapse=rule, **options))
        # a source spikes once a step, but NEST's neurons may spike several times
        _, spike_index, count = np.unique(
            spikes["spike_step"] * N + spikes["spike_neuron"],
            return_inverse=True,
            return_counts=True,
        )
        repeat = np.arange(spike_index.size) - (np.cumsum(count) - count)[spike_index]
        source = spikes["spike_neuron"] + N * repeat
        n_sources = N * int(count.max())
        times = (spikes["spike_step"] - 1) * dt
        forcing = Population("forcing", n_sources, SpikeSource(times, source))
        pairs = ConnectionList(np.arange(n_sources), np.arange(n_sources) % N)
        projections.append(Projection(forcing, cells, pairs, 1.0, dt, receptor="forced"))
        populations.append(forcing)
        return Network(
            populations,
            projections,
            [StepCurrent(cells, self.changes * dt, self.current)],
            recordings=[
                RecordSpikes(cells),
                RecordState(cells, [*STATES], interval=dt),
                *(RecordWeights(name, interval=dt) for name, _, _ in self.learning()),
            ],
            dt=dt,
        )

    def learning(self) -> list[tuple[str, int, np.ndarray]]:
        """Return name, NEST's receptor and synapses of each plastic projection."""
        target, receptor = self.plastic["target"], self.plastic["receptor"]
        return [
            (f"{number} of {k}", number, np.flatnonzero((target == k) & (receptor == number)))
            for k in range(N)
            for number in (3, 4)
        ]


def forced_model(substeps: int) -> NeuronModel:
    """Return neurons with the built-in text that spike when input arrives at a further receptor."""
    text = PpCondExpMcUrbanczik.equations
    return NeuronModel(
        f"{text.equations}\ndforced/dt = 0/ms : 1",
        threshold="forced > 0.5",
        reset="spiked = forced; forced = 0",
        hold=(),
        events=text.events,
        receptors={**text.receptors, "forced": "forced"},
        parameters={
            name: (getattr(PpCondExpMcUrbanczik, name), parameter.unit, str(parameter.allowed))
            for name, parameter in PpCondExpMcUrbanczik.parameters().items()
        },
        initial=text.initial,
        method=text.method,
        test_parts=text.test_parts,
        relaxing=text.relaxing,
        substeps=substeps,
    )


def run(network: Network, path: Path, steps: int) -> StoreReader:
    """Return a run."""
    with Simulation(network, out=path, communicator=SingleProcess()) as simulation:
        simulation.run(steps * network.dt)
    return StoreReader(path)


@pytest.mark.parametrize(
    ("dt", "substeps"),
    [(0.1, 10), *(pytest.param(*pair, marks=pytest.mark.ci) for pair in ((0.05, 5), (1.0, 100)))],
)
def test_potentials_and_weights_are_nests(
    dt: float, substeps: int, run_nest: RunNest, tmp_path: Path
) -> None:
    driven = Driven(dt, 500.0)
    expected = driven.nest(run_nest)
    network = driven.network(expected, substeps, "float64")
    reader = run(network, tmp_path / "run.zarr", driven.steps)
    step, gid = reader.spikes(0, driven.steps)
    nest_spikes = expected["spike_step"] * N + expected["spike_neuron"]
    np.testing.assert_array_equal(np.sort(step.astype(np.int64) * N + gid), np.unique(nest_spikes))
    counts = np.bincount(expected["spike_neuron"], minlength=N)
    # a neuron without a refractory time, and one that never spikes
    assert nest_spikes.size > np.unique(nest_spikes).size or dt < 0.1
    assert counts[4] == 0 and np.count_nonzero(counts) == N - 1
    traces = reader.state("cells").variables
    differences = {
        name: np.abs(traces[name][:, :] - expected[nest_name]).max()
        for name, nest_name in STATES.items()
    }
    print(f"dt {dt}: spikes {counts}, {differences}")
    learnt = open_run(tmp_path / "run.zarr")
    changes, errors, bounded = [], [], 0
    for name, _, synapses in driven.learning():
        weights = learnt.weights(name)["weight"].to_numpy()
        for column, synapse in enumerate(synapses[np.argsort(driven.plastic["source"][synapses])]):
            rows = expected["synapse"] == synapse
            nest_weights = expected["weight"][rows]
            # rows begin at step 1
            difference = weights[expected["step"][rows] - 1, column] - nest_weights
            changes.append(np.abs(nest_weights - driven.plastic["weight"][synapse]).max())
            errors.append(np.abs(difference).max())
            bounds = [driven.plastic[bound][synapse] for bound in ("Wmin", "Wmax")]
            bounded += np.isin(nest_weights, bounds)[:-1].any()
    print(f"largest change {max(changes)}, difference {max(errors)}, at a bound {bounded}")
    # a prediction that ignores the potential has no gradient, so weights stay constant
    assert np.median(changes) > 5.0 and bounded >= 5
    assert all(change < 1e-9 for change in np.reshape(changes, (N, -1))[[3, 4]].ravel())
    # NEST's adaptive integration has a tolerance of 0.001 (mV, nS, pA) in each of its parts
    assert max(differences.values()) < 1e-3
    assert max(errors) < 1e-5 * max(changes)


@pytest.mark.ci
def test_numbers_of_spikes_are_nests(run_nest: RunNest, tmp_path: Path) -> None:
    dt, n_copies, time = 0.1, 100, 2000.0
    random = np.random.default_rng(4)
    parameters = drawn(random, dt)
    # at most one spike per step here
    parameters["t_ref"] = np.maximum(parameters["t_ref"], dt)
    parameters["I_e_s"] = random.uniform(2000.0, 9000.0, N)
    repeated = {name: np.repeat(values, n_copies) for name, values in parameters.items()}
    cells = Population("cells", N * n_copies, PpCondExpMcUrbanczik(**repeated))
    network = Network([cells], recordings=[RecordSpikes(cells)], dt=dt)
    _, gid = run(network, tmp_path / "run.zarr", round(time / dt)).spikes(0, round(time / dt))
    counts = np.bincount(gid, minlength=N * n_copies).reshape(N, n_copies)
    expected = run_nest(
        {
            "resolution": dt,
            "steps": round(time / dt),
            "populations": [
                {"model": "pp_cond_exp_mc_urbanczik", "size": n_copies, "parameters": neuron}
                for neuron in nested(parameters)
            ],
        }
    )
    nest_counts = np.bincount(expected["spike_neuron"], minlength=N * n_copies).reshape(N, n_copies)
    variance = (counts.var(axis=1) + nest_counts.var(axis=1)) / n_copies
    z_scores = (counts.mean(axis=1) - nest_counts.mean(axis=1)) / np.sqrt(
        np.maximum(variance, 1e-12)
    )
    print(f"spikes {counts.mean(axis=1)}, NEST {nest_counts.mean(axis=1)}, z-scores {z_scores}")
    assert np.all(np.abs(z_scores) < 4.0)
    # the same variability
    spiking = nest_counts.mean(axis=1) > 20.0
    assert spiking.sum() >= 6
    ratio = counts.var(axis=1)[spiking] / nest_counts.var(axis=1)[spiking]
    assert np.all((ratio > 0.5) & (ratio < 2.0))
