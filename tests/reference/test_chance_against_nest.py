"""Neurons that spike by chance beside NEST's, where chance has no say: potentials, and spikes.

Ten populations with random parameters get given trains. With no hazard their potentials are NEST's;
with a threshold so sharp that the hazard is nothing or certain, their spikes are NEST's as well.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    ConnectionList,
    GifCondExp,
    GifPscExp,
    Network,
    Neuron,
    Population,
    PpPscDelta,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeSource,
)
from distsnn.simulation import Simulation

RunNest = Callable[..., dict[str, np.ndarray]]
Values = dict[str, float]
SETS, SIZE, N_SOURCES, TIME = 10, 4, 40, 400.0  # ms


def in_lists(values: Mapping[str, float]) -> dict[str, Any]:
    """Return NEST's parameters, of which those that end in _1, _2 and _3 are lists."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name[-2:] in ("_1", "_2", "_3") and not name.startswith("c_"):
            found.setdefault(name[:-2], []).append(value)
        else:
            found[name] = bool(value) if name == "with_reset" else value
    return found


def adaptation(random: np.random.Generator, *kinds: str) -> Values:
    """Return adaptation that spikes leave for about 3, 30 and 300 ms."""
    found = {}
    for kind in kinds:
        for j in (1, 2, 3):
            found[f"tau_{kind}_{j}"] = random.uniform(2.0, 5.0) * 10.0 ** (j - 1)
            found[f"q_{kind}_{j}"] = random.uniform(0.1, 1.0) * (10.0 if kind == "stc" else 1.0)
    return found


def gif(random: np.random.Generator) -> Values:
    """Return what a gif neuron's potential depends on."""
    g_L, E_L = random.uniform(3.0, 15.0), random.uniform(-75.0, -65.0)
    return {
        "C_m": random.uniform(60.0, 300.0),
        "g_L": g_L,
        "E_L": E_L,
        "V_T_star": E_L + random.uniform(4.0, 8.0),
        "tau_syn_ex": random.uniform(1.2, 6.0),
        "tau_syn_in": random.uniform(1.2, 12.0),
        "V_reset": E_L + random.uniform(-5.0, 2.0),
        "I_e": g_L * random.uniform(3.0, 10.0),
        **adaptation(random, "stc", "sfa"),
    }


def gif_cond(random: np.random.Generator) -> Values:
    """Return what the potential of one with conductances depends on."""
    more = {"E_ex": random.uniform(-5.0, 5.0), "E_in": random.uniform(-90.0, -80.0)}
    return gif(random) | more


def point_process(random: np.random.Generator) -> Values:
    """Return what a point process neuron's potential depends on: above 0 it may spike."""
    tau_m, C_m = random.uniform(4.0, 20.0), random.uniform(60.0, 300.0)
    return {
        "tau_m": tau_m,
        "C_m": C_m,
        "I_e": C_m / tau_m * random.uniform(-6.0, -2.0),
        "with_reset": float(random.random() < 0.5),
        **adaptation(random, "sfa"),
    }


@dataclass(frozen=True)
class Case:
    """A model whose chance is switched off.

    Parameters
    ----------
    model : type
        The model.
    draw : callable
        Draws its parameters.
    weights : (float, float)
        Mean excitatory and inhibitory weight.
    never, sharp : mapping
        Parameters without a hazard, and with one that is 0 or certain.
    refractory : str
        The refractory time's parameter.
    own, theirs : mapping
        Parameters that NEST has not, and that we have not.
    """

    model: type[Neuron]
    draw: Callable[[np.random.Generator], Values]
    weights: tuple[float, float]
    never: Values
    sharp: Values
    refractory: str
    own: Mapping[str, int]
    theirs: Mapping[str, float]


GIF_NEVER = {"lambda_0": 0.0}
GIF_SHARP = {"lambda_0": 1e9, "Delta_V": 1e-9}
CASES = {
    "gif_psc_exp": Case(GifPscExp, gif, (80.0, -60.0), GIF_NEVER, GIF_SHARP, "t_ref", {}, {}),
    "gif_cond_exp": Case(
        GifCondExp,
        gif_cond,
        (2.0, -4.0),
        GIF_NEVER,
        GIF_SHARP,
        "t_ref",
        {"substeps": 40},
        # of its adaptive integration, by default 1e-3
        {"gsl_error_tol": 1e-9},
    ),
    "pp_psc_delta": Case(
        PpPscDelta,
        point_process,
        (2.5, -1.0),
        {"c_2": 0.0},
        # the rate's linear part, without an exponential one
        {"c_1": 1e12, "c_2": 0.0, "c_3": 0.0},
        "dead_time",
        {},
        {},
    ),
}
RUNS = [(name, dt, t_ref) for name in CASES for dt, t_ref in ((0.1, 2.0), (0.05, 0.0), (1.0, 3.0))]


class Driven:
    """Populations of a case, with input, as distsnn and as NEST take them."""

    def __init__(self, case: Case, values: Values, dt: float, t_ref: float) -> None:
        random = np.random.default_rng(11)
        self.case, self.dt, self.steps = case, dt, round(TIME / dt)
        self.sets = [case.draw(random) | values | {case.refractory: t_ref} for _ in range(SETS)]
        step, source = np.nonzero(random.random((round(TIME), N_SOURCES)) < 0.01)
        self.train = (source.astype(np.int64), np.rint((step + 1) / dt).astype(np.int64))
        edges = 20 * SETS * SIZE
        mean = np.where(random.random(edges) < 0.7, *case.weights)
        self.input = (
            random.integers(0, N_SOURCES, edges),
            random.integers(0, SETS * SIZE, edges),
            # multiples of a power of two, so that both simulators add the same numbers
            np.rint(mean * random.uniform(0.5, 1.5, edges) * 1024.0) / 1024.0,
            random.integers(1, 40, edges),
        )

    def ours(self, path: Path) -> StoreReader:
        """Return a run of distsnn."""
        trains = Population(
            "trains", N_SOURCES, SpikeSource(self.train[1] * self.dt, self.train[0])
        )
        populations, projections, recordings = [], [], []
        source, target, weight, delay = self.input
        for index, values in enumerate(self.sets):
            one = Population(
                f"P{index}", SIZE, self.case.model(**values, **self.case.own), precision="float64"
            )
            here = target // SIZE == index
            edges = ConnectionList(source[here], target[here] % SIZE)
            given = {"weight": weight[here], "delay": delay[here] * self.dt, "weight_bits": 30}
            populations.append(one)
            projections.append(Projection(trains, one, edges, **given))
            recordings += [RecordSpikes(one), RecordState(one, ["V_m"], interval=self.dt)]
        network = Network([*populations, trains], projections, recordings=recordings, dt=self.dt)
        with Simulation(network, out=path, communicator=SingleProcess()) as simulation:
            simulation.run(TIME)
        return StoreReader(path)

    def nest(self, run_nest: RunNest) -> dict[str, np.ndarray]:
        """Return NEST's result."""
        names = ("source", "target", "weight", "delay")
        given = [{"V_m": one.get("E_L", 0.0), **self.case.theirs, **one} for one in self.sets]
        return run_nest(
            {
                "resolution": self.dt,
                "steps": self.steps,
                "populations": [
                    {"model": self.case.model.name, "size": SIZE, "parameters": in_lists(one)}
                    for one in given
                ],
                "state": {"variables": ["V_m"], "every": 1},
            },
            train_source=self.train[0],
            train_step=self.train[1],
            state_neurons=np.arange(SETS * SIZE),
            **{f"input_{name}": column for name, column in zip(names, self.input, strict=True)},
        )


def potentials(reader: StoreReader) -> np.ndarray:
    traces = [reader.state(f"P{index}").variables["V_m"][:, :] for index in range(SETS)]
    return np.concatenate(traces, axis=1)


@pytest.mark.parametrize(("name", "dt", "t_ref"), RUNS)
def test_potentials_without_a_hazard_are_nests(
    name: str, dt: float, t_ref: float, run_nest: RunNest, tmp_path: Path
) -> None:
    case = CASES[name]
    driven = Driven(case, case.never, dt, t_ref)
    expected = driven.nest(run_nest)
    reader = driven.ours(tmp_path / "run.zarr")
    assert not expected["spike_step"].size and not reader.spikes(0, driven.steps)[0].size
    found = potentials(reader)
    apart = np.abs(found - expected["V_m"]).max(axis=0).reshape(SETS, SIZE).max(axis=1)
    print(f"{name}, dt {dt}: mV by set", *(f"{one:.1e}" for one in apart))
    assert np.all(apart < 0.01)
    assert np.ptp(expected["V_m"], axis=0).min() > 1.0


@pytest.mark.parametrize(("name", "dt", "t_ref"), RUNS)
def test_spikes_at_a_sharp_threshold_are_nests(
    name: str, dt: float, t_ref: float, run_nest: RunNest, tmp_path: Path
) -> None:
    case = CASES[name]
    # without a refractory time NEST's gif neurons are not reset
    t_ref = t_ref or dt
    driven = Driven(case, case.sharp, dt, t_ref)
    expected = driven.nest(run_nest)
    step, gid = driven.ours(tmp_path / "run.zarr").spikes(0, driven.steps)
    theirs = expected["spike_step"] * SETS * SIZE + expected["spike_neuron"]
    ours = step.astype(np.int64) * SETS * SIZE + gid
    each = np.bincount(expected["spike_neuron"] // SIZE, minlength=SETS)
    apart = np.setxor1d(ours, theirs).size
    print(f"{name}, dt {dt}: {theirs.size} spikes, {apart} differ; by set", *each)
    assert each.min() >= 5
    np.testing.assert_array_equal(ours, theirs)
