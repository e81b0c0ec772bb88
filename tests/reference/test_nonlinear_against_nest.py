"""Nonlinear neurons beside NEST's adaptive integration: first spikes, and potentials between them.

Neurons get given trains and constant currents. With fine sub-steps all differences left are those
of NEST's own tolerance, and of where an adaptive step ends.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    AeifCondAlpha,
    AeifCondExp,
    AeifPscAlpha,
    AeifPscDeltaClopath,
    AeifPscExp,
    ConnectionList,
    HhCondExpTraub,
    HhPscAlpha,
    IafCondAlpha,
    IafCondExp,
    IafCondExpSfaRr,
    Izhikevich,
    Network,
    Neuron,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeSource,
)
from distsnn.simulation import Simulation

RunNest = Callable[..., dict[str, np.ndarray]]
# the first LOUD neurons get a current that makes them spike
LOUD, QUIET, N_SOURCES, DT = 20, 12, 40, 0.1
N = LOUD + QUIET
SPIKES = 20


@dataclass(frozen=True)
class Case:
    """A model, its parameters, and how it is driven.

    Parameters
    ----------
    model : type
        The model.
    parameters : mapping
        NEST's parameters that are not left at their defaults.
    weights : (float, float)
        Mean excitatory and inhibitory weight.
    current : (float, float)
        Range of I_e of the loud neurons, pA.
    steps : int
        Steps to simulate.
    own : mapping
        Parameters that NEST has not.
    initial : mapping
        Initial values where they are not the same by default.
    quiet : float
        Weights of the quiet neurons' input, by those of the others.
    states : tuple of str
        Potentials that are compared.
    """

    model: type[Neuron]
    weights: tuple[float, float]
    current: tuple[float, float]
    steps: int
    parameters: Mapping[str, float] = field(default_factory=dict)
    own: Mapping[str, float] = field(default_factory=lambda: {"substeps": 40})
    initial: Mapping[str, float] = field(default_factory=dict)
    quiet: float = 0.5
    states: tuple[str, ...] = ("V_m",)


GATES = {name: HhCondExpTraub.states[name].default for name in ("Act_m", "Inact_h", "Act_n")}
GATES["V_m"] = -75.0
# a spike is found to a part of a step, and twenty of them add up
FINE = {"substeps": 100}
AVERAGES = ("V_m", "u_bar_plus", "u_bar_minus", "u_bar_bar")
SYNAPSES = {"tau_syn_ex": 3.0, "tau_syn_in": 6.0}
CASES = {
    "iaf_cond_exp": Case(IafCondExp, (1.0, -2.0), (280.0, 380.0), 8000, SYNAPSES),
    "iaf_cond_exp, t_ref = 0": Case(
        IafCondExp, (1.0, -2.0), (280.0, 380.0), 8000, {**SYNAPSES, "t_ref": 0.0}
    ),
    "iaf_cond_alpha": Case(IafCondAlpha, (1.0, -2.0), (280.0, 380.0), 8000, SYNAPSES),
    "aeif_cond_exp": Case(AeifCondExp, (2.0, -4.0), (1000.0, 1400.0), 15000, SYNAPSES, FINE),
    "aeif_cond_exp, t_ref = 2": Case(
        AeifCondExp, (2.0, -4.0), (1000.0, 1400.0), 15000, {**SYNAPSES, "t_ref": 2.0}, FINE
    ),
    "aeif_cond_exp, Delta_T = 0": Case(
        AeifCondExp,
        (2.0, -4.0),
        (1000.0, 1400.0),
        15000,
        {**SYNAPSES, "Delta_T": 0.0},
        {"substeps": 1},
    ),
    "aeif_psc_exp": Case(AeifPscExp, (60.0, -80.0), (1000.0, 1400.0), 15000, SYNAPSES, FINE),
    "aeif_psc_exp, bursting": Case(
        AeifPscExp, (60.0, -80.0), (1000.0, 1400.0), 15000, {**SYNAPSES, "V_reset": -47.0}, FINE
    ),
    "aeif_cond_alpha": Case(AeifCondAlpha, (2.0, -4.0), (1000.0, 1400.0), 15000, SYNAPSES, FINE),
    "aeif_psc_alpha": Case(AeifPscAlpha, (40.0, -60.0), (1000.0, 1400.0), 15000, SYNAPSES, FINE),
    "iaf_cond_exp_sfa_rr": Case(IafCondExpSfaRr, (2.0, -4.0), (1500.0, 2000.0), 8000, SYNAPSES),
    "iaf_cond_exp_sfa_rr, t_ref = 0": Case(
        IafCondExpSfaRr, (2.0, -4.0), (1500.0, 2000.0), 8000, {**SYNAPSES, "t_ref": 0.0}
    ),
    "hh_psc_alpha": Case(
        HhPscAlpha,
        (150.0, -150.0),
        (800.0, 1200.0),
        8000,
        SYNAPSES,
        initial={"V_m": -65.0},
        quiet=0.1,
    ),
    "aeif_psc_delta_clopath": Case(
        AeifPscDeltaClopath, (1.0, -1.0), (1400.0, 2000.0), 20000, {}, FINE, states=AVERAGES
    ),
    "izhikevich": Case(Izhikevich, (3.0, -3.0), (5.0, 12.0), 20000, own={}),
    "izhikevich, published step": Case(
        Izhikevich, (9.0, -9.0), (5.0, 12.0), 20000, {"consistent_integration": 0}, {}
    ),
    "hh_cond_exp_traub": Case(
        HhCondExpTraub, (4.0, -8.0), (400.0, 700.0), 8000, {"E_L": -75.0}, initial=GATES, quiet=0.1
    ),
}


class Driven:
    """A case's neurons and input, as distsnn and as NEST take them."""

    def __init__(self, case: Case) -> None:
        random = np.random.default_rng(1)
        self.case = case
        step, source = np.nonzero(random.random((case.steps, N_SOURCES)) < 0.003)
        self.train = (source.astype(np.int64), step.astype(np.int64) + 1)
        edges = 10 * N
        target = random.integers(0, N, edges)
        mean = np.where(random.random(edges) < 0.7, *case.weights)
        weight = mean * random.uniform(0.5, 1.5, edges) * np.where(target < LOUD, 1.0, case.quiet)
        # multiples of a power of two, so that both simulators add the same numbers
        self.input = (
            random.integers(0, N_SOURCES, edges),
            target,
            np.rint(weight * 1024.0) / 1024.0,
            random.integers(1, 40, edges),
        )
        self.current = np.zeros(N)
        self.current[:LOUD] = random.uniform(*case.current, LOUD)

    def network(self) -> Network:
        """Return it for distsnn."""
        model = self.case.model(**self.case.parameters, **self.case.own, I_e=self.current)
        neurons = Population("neurons", N, model, self.case.initial, precision="float64")
        source, target, weight, delay = self.input
        trains = Population("trains", N_SOURCES, SpikeSource(self.train[1] * DT, self.train[0]))
        edges, quiet = ConnectionList(source, target), neurons[LOUD:]
        return Network(
            [neurons, trains],
            [Projection(trains, neurons, edges, weight=weight, delay=delay * DT, weight_bits=30)],
            recordings=[RecordSpikes(neurons), RecordState(quiet, self.case.states, interval=DT)],
        )

    def nest(self, run_nest: RunNest, **others: float) -> dict[str, np.ndarray]:
        """Return NEST's result, with other parameters that NEST alone has."""
        parameters = {**self.case.parameters, **self.case.initial, "I_e": "current", **others}
        if "consistent_integration" in parameters:
            parameters["consistent_integration"] = bool(parameters["consistent_integration"])
        names = ("source", "target", "weight", "delay")
        return run_nest(
            {
                "steps": self.case.steps,
                "populations": [
                    {"model": self.case.model.name, "size": N, "parameters": parameters}
                ],
                "state": {"variables": [*self.case.states], "every": 1},
            },
            train_source=self.train[0],
            train_step=self.train[1],
            state_neurons=np.arange(LOUD, N),
            current=self.current,
            **{f"input_{name}": column for name, column in zip(names, self.input, strict=True)},
        )


def simulated(driven: Driven, path: Path) -> StoreReader:
    """Return the run of distsnn."""
    with Simulation(driven.network(), out=path, communicator=SingleProcess()) as simulation:
        simulation.run(driven.case.steps * DT)
    return StoreReader(path)


def first_spikes(step: np.ndarray, neuron: np.ndarray) -> np.ndarray:
    """Return the steps of the first spikes of each loud neuron, shape (LOUD, SPIKES)."""
    found = [step[neuron == each][:SPIKES].astype(np.int64) for each in range(LOUD)]
    assert {steps.size for steps in found} == {SPIKES}
    return np.array(found)


@pytest.mark.parametrize("name", CASES)
def test_first_spikes_and_potentials_are_nests(
    name: str, run_nest: RunNest, tmp_path: Path
) -> None:
    driven = Driven(CASES[name])
    expected = driven.nest(run_nest)
    reader = simulated(driven, tmp_path / "run.zarr")
    ours = first_spikes(*reader.spikes(0, driven.case.steps))
    worst = np.abs(ours - first_spikes(expected["spike_step"], expected["spike_neuron"])).max()
    assert not np.any(expected["spike_neuron"] >= LOUD)
    traces = reader.state(f"neurons_{LOUD}_{N}")
    np.testing.assert_array_equal(traces.steps, expected["state_step"])
    apart = [np.abs(traces.variables[one][:, :] - expected[one]) for one in driven.case.states]
    difference, spread = max(map(np.max, apart)), np.ptp(expected["V_m"], axis=0).min()
    print(f"{name}: spikes {worst} steps, {difference:.2g} mV of a range of {spread:.2g} mV")
    assert worst <= 1
    assert difference < 0.01
    # the potentials move, or they would prove nothing
    assert spread > 1.0


CLOPATH = CASES["aeif_psc_delta_clopath"]


@pytest.mark.ci
def test_spikes_by_upstrokes_depend_on_nests_tolerance(run_nest: RunNest, tmp_path: Path) -> None:
    """In an upstroke NEST adds input after a part of a step; the tolerance determines which."""
    ours, theirs = {}, {}
    for substeps in (100, 1000):
        driven = Driven(replace(CLOPATH, own={"substeps": substeps}))
        reader = simulated(driven, tmp_path / f"{substeps}.zarr")
        ours[substeps] = first_spikes(*reader.spikes(0, driven.case.steps))
    for tolerance in (1e-6, 1e-9):
        found = driven.nest(run_nest, gsl_error_tol=tolerance)
        theirs[tolerance] = first_spikes(found["spike_step"], found["spike_neuron"])
    moved = {
        "100 or 1000 substeps": ours[100] - ours[1000],
        "NEST, 1e-6 or 1e-9": theirs[1e-6] - theirs[1e-9],
        **{f"NEST, {tolerance}": steps - ours[1000] for tolerance, steps in theirs.items()},
    }
    counts = {name: np.count_nonzero(apart) for name, apart in moved.items()}
    print(f"of {ours[100].size} spikes", counts, {k: np.abs(v).max() for k, v in moved.items()})
    assert counts["100 or 1000 substeps"] < 0.04 * ours[100].size
    assert np.abs(moved["NEST, 1e-06"]).max() == 1
    assert counts["NEST, 1e-06"] < 0.15 * ours[100].size < counts["NEST, 1e-6 or 1e-9"]


@pytest.mark.ci
def test_most_spikes_of_clopaths_neuron_without_exponential_are_nests(
    run_nest: RunNest, tmp_path: Path
) -> None:
    # NEST tests the threshold at the ends of steps then
    driven = Driven(replace(CLOPATH, parameters={"Delta_T": 0.0}, own={"substeps": 1}))
    found = driven.nest(run_nest)
    reader = simulated(driven, tmp_path / "run.zarr")
    apart = first_spikes(*reader.spikes(0, driven.case.steps)) - first_spikes(
        found["spike_step"], found["spike_neuron"]
    )
    print(f"{np.count_nonzero(apart)} of {apart.size} spikes by up to {np.abs(apart).max()} steps")
    assert 0 < np.count_nonzero(apart) < 0.1 * apart.size
    # the first spikes differ by few steps; adaptation makes more of them
    assert np.abs(apart[:, 0]).max() <= 2
