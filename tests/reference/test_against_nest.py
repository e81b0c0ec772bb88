"""Spike for spike beside NEST: the same neurons, given trains and recurrent synapses.

Weights lie on the quantum grid, so both simulators add the same numbers. Recurrent weights are weak
enough that one spike in float32 that falls on the next step does not change all that follow.
"""

from collections.abc import Callable

import numpy as np
import pytest

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    Explicit,
    IafPscDelta,
    IafPscExp,
    IafPscExpShared,
    Network,
    Neuron,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeSource,
)
from distsnn.simulation import Simulation

N_E, N_I, N_SOURCES, STEPS, DT = 160, 40, 80, 20_000, 0.1
N = N_E + N_I
RunNest = Callable[..., dict[str, np.ndarray]]


def on_grid(weights: np.ndarray) -> np.ndarray:
    """Round weights to multiples of 1/64, which every quantum of these networks divides."""
    return np.rint(weights * 64.0) / 64.0


class Case:
    """A random network, as distsnn and as NEST take it."""

    def __init__(self, model: type[Neuron], seed: int, heterogeneous: bool = False) -> None:
        random = np.random.default_rng(seed)
        delta = model is IafPscDelta
        unit = 0.1 if delta else 260.0
        rate, inputs = 0.01, 4000
        step, source = np.nonzero(random.random((STEPS, N_SOURCES)) < rate)
        self.train = (source.astype(np.int64), step.astype(np.int64) + 1)
        self.input = (
            random.integers(0, N_SOURCES, inputs),
            random.integers(0, N, inputs),
            on_grid(unit * (8.0 if delta else 1.6) * random.uniform(0.5, 1.5, inputs)),
            random.integers(1, 40, inputs),
        )
        edges = 8000
        pre = random.integers(0, N, edges)
        sign = np.where(pre < N_E, 1.0, -4.0)
        self.edge = (
            pre,
            random.integers(0, N, edges),
            on_grid(unit * (0.5 if delta else 0.2) * sign * random.uniform(0.2, 1.8, edges)),
            random.integers(1, 60, edges),
        )
        if delta:
            self.input[2][:] = on_grid(self.input[2] + 1 / 64)
        self.start = random.uniform(-70.0, -56.0, N)
        self.parameters: dict[str, object] = {"t_ref": 2.0, "E_L": -70.0, "I_e": 0.0}
        if model is IafPscExp:
            self.parameters |= {"tau_syn_ex": 0.5, "tau_syn_in": 1.7}
        if heterogeneous:
            self.parameters["V_th"] = random.uniform(-56.0, -53.0, N)
            self.parameters["I_e"] = random.uniform(0.0, 200.0, N)
            self.parameters["C_m"] = random.uniform(200.0, 300.0, N)
        self.model = model

    def network(self, precision: str) -> Network:
        """Return it for distsnn, with the state of every tenth neuron recorded."""
        neurons = Population(
            "neurons",
            N,
            self.model(**self.parameters),
            initial={"V_m": self.start},
            precision=precision,
        )
        trains = SpikeSource(self.train[1] * DT, self.train[0])
        sources = Population("sources", N_SOURCES, trains)
        return Network(
            [neurons, sources],
            [
                Projection(pre, neurons, Explicit(s, t), weight=w, delay=d * DT)
                for pre, (s, t, w, d) in ((sources, self.input), (neurons, self.edge))
            ],
            recordings=[RecordSpikes(neurons), RecordState(neurons[0:20], "V_m", every=0.5)],
        )

    def nest(self, run_nest: RunNest) -> dict[str, np.ndarray]:
        """Return NEST's result."""
        arrays = {"start": self.start}
        parameters: dict[str, object] = {"V_m": "start"}
        for name, value in self.parameters.items():
            if isinstance(value, np.ndarray):
                arrays[name] = value
                parameters[name] = name
            else:
                parameters[name] = value
        model = "iaf_psc_delta" if self.model is IafPscDelta else "iaf_psc_exp"
        if self.model is IafPscExpShared:
            parameters |= {"tau_syn_ex": parameters["tau_syn"], "tau_syn_in": parameters["tau_syn"]}
            del parameters["tau_syn"]
        for prefix, edges in (("input", self.input), ("edge", self.edge)):
            for name, column in zip(("source", "target", "weight", "delay"), edges, strict=True):
                arrays[f"{prefix}_{name}"] = column
        return run_nest(
            {
                "steps": STEPS,
                "populations": [{"model": model, "size": N, "parameters": parameters}],
                "state": {"variables": ["V_m"], "every": 5},
            },
            train_source=self.train[0],
            train_step=self.train[1],
            state_neurons=np.arange(20),
            **arrays,
        )


def spikes_of(network: Network, path: str) -> tuple[np.ndarray, np.ndarray, StoreReader]:
    with Simulation(network, out=path, communicator=SingleProcess()) as simulation:
        simulation.run(STEPS * DT)
    reader = StoreReader(path)
    step, gid = reader.spikes(0, STEPS)
    return step.astype(np.int64), gid.astype(np.int64), reader


def keys(step: np.ndarray, neuron: np.ndarray) -> np.ndarray:
    return step * N + neuron


CASES = {
    "iaf_psc_exp": (IafPscExp, 1, False),
    "iaf_psc_exp, each neuron its own": (IafPscExp, 2, True),
    "iaf_psc_delta": (IafPscDelta, 3, False),
    "iaf_psc_delta, each neuron its own": (IafPscDelta, 4, True),
    "iaf_psc_exp_shared": (IafPscExpShared, 5, False),
}


@pytest.mark.parametrize("name", CASES)
def test_every_spike_on_nests_step(name: str, run_nest: RunNest, tmp_path: object) -> None:
    case = Case(*CASES[name])
    if case.model is IafPscExpShared:
        case.parameters["tau_syn"] = 0.5
    expected = case.nest(run_nest)
    theirs = keys(expected["spike_step"], expected["spike_neuron"])
    assert theirs.size > 5000

    step, gid, reader = spikes_of(case.network("float64"), f"{tmp_path}/float64.zarr")
    np.testing.assert_array_equal(keys(step, gid), theirs)
    traces = reader.state("neurons_0_20")
    np.testing.assert_array_equal(traces.steps, expected["state_step"])
    np.testing.assert_allclose(traces.variables["V_m"][:, :], expected["V_m"], atol=1e-9)

    step, gid, _ = spikes_of(case.network("float32"), f"{tmp_path}/float32.zarr")
    common = np.intersect1d(keys(step, gid), theirs).size
    assert common >= 0.999 * max(theirs.size, step.size)
