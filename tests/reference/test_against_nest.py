"""Spike for spike beside NEST: the same neurons, given trains and recurrent synapses.

Weights lie on the quantum grid, so both simulators add the same numbers. Recurrent weights are weak
enough that one spike in float32 that falls on the next step does not change all that follow.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    Amat2PscExp,
    ConnectionList,
    GifPscExp,
    IafPscAlpha,
    IafPscDelta,
    IafPscExp,
    IafPscExpShared,
    LeakyIntegrator,
    Mat2PscExp,
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


@dataclass(frozen=True)
class Model:
    """A model, what it is called in NEST, and how a network of it is driven.

    Parameters
    ----------
    model : type
        The model.
    input_weight, edge_weight : float
        Mean weight of inputs and of excitatory synapses between neurons.
    parameters : dict
        Parameters that are not left at their defaults.
    start : (float, float)
        Range of the initial V_m, mV.
    nest : str
        NEST's model; empty: of the same name.
    renamed : callable, optional
        Makes NEST's parameters of ours.
    threshold : str
        The parameter that is a threshold, mV.
    """

    model: type[Neuron]
    input_weight: float
    edge_weight: float
    parameters: dict[str, object] = field(default_factory=dict)
    start: tuple[float, float] = (-70.0, -56.0)
    nest: str = ""
    renamed: Callable[[dict[str, object]], dict[str, object]] = dict
    threshold: str = "V_th"


def one_current(parameters: dict[str, object]) -> dict[str, object]:
    """Return parameters of iaf_psc_exp for synapses that share one current."""
    given = dict(parameters)
    tau = given.pop("tau_syn")
    return given | {"tau_syn_ex": tau, "tau_syn_in": tau}


def no_threshold(parameters: dict[str, object]) -> dict[str, object]:
    """Return parameters of an iaf_psc_exp that never spikes."""
    return one_current(parameters) | {"V_th": 1e9}


def in_lists(parameters: dict[str, object]) -> dict[str, object]:
    """Return parameters of NEST's gif_psc_exp, whose adaptation has lists."""
    one = GifPscExp(**parameters)
    lists = {
        f"{field}_{kind}": [one.value(f"{field}_{kind}_{j}") for j in (1, 2, 3)]
        for kind in ("stc", "sfa")
        for field in ("tau", "q")
    }
    return {
        name: x for name, x in parameters.items() if name[-2:] not in {"_1", "_2", "_3"}
    } | lists


EXP = Model(IafPscExp, 416.0, 52.0, {"tau_syn_ex": 0.5, "tau_syn_in": 1.7})
DELTA = Model(IafPscDelta, 0.8, 0.05)
SHARED = Model(
    IafPscExpShared, 416.0, 52.0, {"tau_syn": 0.5}, nest="iaf_psc_exp", renamed=one_current
)
ALPHA = Model(IafPscAlpha, 45.0, 1.0)
MAT2 = Model(Mat2PscExp, 250.0, 1.0, threshold="omega")
AMAT2 = Model(
    Amat2PscExp,
    250.0,
    1.0,
    {"omega": -55.0, "alpha_1": 8.0, "alpha_2": 2.0, "beta": 0.3, "tau_v": 4.0},
    threshold="omega",
)
# so sharp a threshold that chance has no say
GIF = Model(
    GifPscExp,
    150.0,
    1.0,
    {
        **{"Delta_V": 1e-9, "lambda_0": 1e9, "V_T_star": -60.0, "V_reset": -66.0, "t_ref": 1.0},
        **{"q_stc_1": 40.0, "q_stc_2": 9.0, "q_stc_3": -3.0, "tau_stc_3": 400.0},
        **{"q_sfa_1": -1.0, "q_sfa_2": 2.0, "q_sfa_3": 0.6, "tau_sfa_1": 20.0},
    },
    (-70.0, -61.0),
    renamed=in_lists,
)
READOUT = Model(
    LeakyIntegrator, 416.0, 52.0, {"tau_syn": 0.5, "E_L": -70.0}, (-90.0, -40.0), "iaf_psc_exp",
    no_threshold,
)  # fmt: skip


class Case:
    """A random network, as distsnn and as NEST take it."""

    def __init__(self, model: Model, seed: int, heterogeneous: bool = False) -> None:
        random = np.random.default_rng(seed)
        rate, inputs = 0.01, 4000
        step, source = np.nonzero(random.random((STEPS, N_SOURCES)) < rate)
        self.train = (source.astype(np.int64), step.astype(np.int64) + 1)
        self.input = (
            random.integers(0, N_SOURCES, inputs),
            random.integers(0, N, inputs),
            on_grid(model.input_weight * random.uniform(0.5, 1.5, inputs)),
            random.integers(1, 40, inputs),
        )
        edges = 8000
        pre = random.integers(0, N, edges)
        sign = np.where(pre < N_E, 1.0, -4.0)
        self.edge = (
            pre,
            random.integers(0, N, edges),
            on_grid(model.edge_weight * sign * random.uniform(0.2, 1.8, edges)),
            random.integers(1, 60, edges),
        )
        self.start = random.uniform(*model.start, N)
        self.parameters = dict(model.parameters)
        if heterogeneous:
            self.parameters[model.threshold] = random.uniform(-56.0, -53.0, N)
            self.parameters["I_e"] = random.uniform(0.0, 200.0, N)
            capacitance = model.model().value("C_m")
            self.parameters["C_m"] = capacitance * random.uniform(0.8, 1.2, N)
        self.model = model

    def network(self, precision: str) -> Network:
        """Return it for distsnn, with the state of every tenth neuron recorded."""
        neurons = Population(
            "neurons",
            N,
            self.model.model(**self.parameters),
            initial={"V_m": self.start},
            precision=precision,
        )
        trains = SpikeSource(self.train[1] * DT, self.train[0])
        sources = Population("sources", N_SOURCES, trains)
        given = [(sources, self.input)]
        if neurons.model.can_spike:
            given.append((neurons, self.edge))
        return Network(
            [neurons, sources],
            [
                Projection(pre, neurons, ConnectionList(s, t), weight=w, delay=d * DT)
                for pre, (s, t, w, d) in given
            ],
            recordings=[RecordSpikes(neurons), RecordState(neurons[0:20], "V_m", interval=0.5)],
        )

    def nest(self, run_nest: RunNest) -> dict[str, np.ndarray]:
        """Return NEST's result."""
        arrays = {"start": self.start}
        parameters: dict[str, object] = {"V_m": "start"}
        for name, value in self.model.renamed(self.parameters).items():
            if isinstance(value, np.ndarray):
                arrays[name] = value
                parameters[name] = name
            else:
                parameters[name] = value
        model = self.model.nest or self.model.model.name
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
    "iaf_psc_exp": (EXP, 1, False),
    "iaf_psc_exp, each neuron its own": (EXP, 2, True),
    "iaf_psc_delta": (DELTA, 3, False),
    "iaf_psc_delta, each neuron its own": (DELTA, 4, True),
    "iaf_psc_exp_shared": (SHARED, 5, False),
    "iaf_psc_alpha": (ALPHA, 6, False),
    "iaf_psc_alpha, each neuron its own": (ALPHA, 7, True),
    "mat2_psc_exp": (MAT2, 8, False),
    "mat2_psc_exp, each neuron its own": (MAT2, 9, True),
    "amat2_psc_exp": (AMAT2, 12, False),
    "amat2_psc_exp, each neuron its own": (AMAT2, 13, True),
    "gif_psc_exp": (GIF, 11, False),
    "leaky_integrator": (READOUT, 10, False),
}


@pytest.mark.parametrize("name", CASES)
def test_every_spike_on_nests_step(name: str, run_nest: RunNest, tmp_path: object) -> None:
    case = Case(*CASES[name])
    expected = case.nest(run_nest)
    theirs = keys(expected["spike_step"], expected["spike_neuron"])
    assert theirs.size > 5000 or case.model is READOUT

    if case.model is GIF:
        # NEST records the potential that made the spike, and resets it a step later
        at = (expected["spike_step"] % 5 == 0) & (expected["spike_neuron"] < 20)
        row, column = expected["spike_step"][at] // 5 - 1, expected["spike_neuron"][at]
        expected["V_m"][row, column] = case.parameters["V_reset"]

    step, gid, reader = spikes_of(case.network("float64"), f"{tmp_path}/float64.zarr")
    np.testing.assert_array_equal(keys(step, gid), theirs)
    traces = reader.state("neurons_0_20")
    np.testing.assert_array_equal(traces.steps, expected["state_step"])
    np.testing.assert_allclose(traces.variables["V_m"][:, :], expected["V_m"], atol=1e-9)

    step, gid, _ = spikes_of(case.network("float32"), f"{tmp_path}/float32.zarr")
    common = np.intersect1d(keys(step, gid), theirs).size
    assert common >= 0.999 * max(theirs.size, step.size)
