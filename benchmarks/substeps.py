"""Errors of spike rates by the step dt: the table in docs/models.md.

    python benchmarks/substeps.py [MODEL ...] [--time MS] [--dt MS ...] [--one] [--rates]

Neurons without synapses between them get Poisson input of five kinds. Each set of parameters runs
with the substeps that its model chooses (``--one``: with one) and, with the same input, with parts
of a step of 0.005 ms, both in float64. It prints the numbers of substeps, the error of all spikes
and the sets with the largest errors; with ``--rates``, it prints the mean rate of each set instead,
which depends on dt even with many substeps.
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from distsnn.network import (
    AeifCondAlpha,
    AeifCondExp,
    AeifPscAlpha,
    AeifPscDeltaClopath,
    AeifPscExp,
    GifCondExp,
    HhCondExpTraub,
    HhPscAlpha,
    IafBw2001,
    IafCondAlpha,
    IafCondAlphaMc,
    IafCondExp,
    IafCondExpSfaRr,
    Network,
    PoissonInput,
    Population,
    PpCondExpMcUrbanczik,
    SubsteppedNeuron,
    Uniform,
)
from distsnn.simulation import Simulation

SIZE = 64  # neurons of a set
# Spikes that a set must have to be judged.
LEAST_SPIKES = 1000
# Mean excitatory and inhibitory drive in units of the leak (conductances) or of the distance to the
# threshold (currents), and the rate of excitatory input, spikes/s; a quarter of it is inhibitory.
CONDUCTANCES = {
    "weak": (0.35, 0.0, 2000.0),
    "medium": (0.8, 1.0, 4000.0),
    "strong": (3.0, 5.0, 10_000.0),
    "large weights": (0.5, 0.3, 200.0),
    "fast": (1.2, 0.0, 8000.0),
}
CURRENTS = {
    "weak": (0.8, 0.0, 2000.0),
    "medium": (2.0, 1.0, 4000.0),
    "strong": (10.0, 9.0, 10_000.0),
    "large weights": (0.7, 0.3, 200.0),
    "fast": (2.0, 0.0, 8000.0),
}

# Naud, Marcille, Clopath & Gerstner (2008), table 1: C_m, g_L, E_L, a, tau_w, b, V_reset.
COLUMNS = ("C_m", "g_L", "E_L", "a", "tau_w", "b", "V_reset")
NAUD = {
    "tonic spiking": (200.0, 10.0, -70.0, 2.0, 30.0, 0.0, -58.0),
    "adaptation": (200.0, 12.0, -70.0, 2.0, 300.0, 60.0, -58.0),
    "initial burst": (130.0, 18.0, -58.0, 4.0, 150.0, 120.0, -50.0),
    "regular bursting": (200.0, 10.0, -58.0, 2.0, 120.0, 100.0, -46.0),
    "delayed accelerating": (200.0, 12.0, -70.0, -10.0, 300.0, 0.0, -58.0),
    "delayed regular bursting": (100.0, 10.0, -65.0, -10.0, 90.0, 30.0, -47.0),
    "transient spiking": (100.0, 10.0, -65.0, 10.0, 90.0, 100.0, -47.0),
    "irregular spiking": (100.0, 12.0, -60.0, -11.0, 130.0, 30.0, -48.0),
}
# Destexhe (2009), J Comput Neurosci 27:493: regular and fast spiking cells.
CORTICAL = {
    "C_m": 200.0,
    "g_L": 10.0,
    "E_L": -60.0,
    "V_th": -50.0,
    "V_peak": -20.0,
    "V_reset": -60.0,
}
REGULAR = {**CORTICAL, "Delta_T": 2.5, "a": 1.0, "b": 5.0, "tau_w": 600.0, "t_ref": 2.0}
FAST = {**CORTICAL, "Delta_T": 0.5, "a": 0.0, "b": 0.0, "tau_w": 600.0, "t_ref": 2.0}
BRETTE = {"C_m": 200.0, "g_L": 10.0, "E_L": -60.0, "E_in": -80.0, "V_th": -50.0, "t_ref": 5.0}


@dataclass(frozen=True)
class Inputs:
    """Excitation and inhibition of a compartment: receptors (None: by the sign), parameters.

    Where input is a current, `distance` names two potentials: the leak over their distance is the
    unit of the mean drive.
    """

    receptors: tuple[str | None, str | None] = (None, None)
    taus: tuple[str, str] = ("tau_syn_ex", "tau_syn_in")
    leak: str = "g_L"
    potential: str = "V_m"
    compartment: str = ""
    distance: tuple[str, str] | None = None


INPUTS = {
    "IafBw2001": (Inputs(("AMPA", "GABA"), ("tau_AMPA", "tau_GABA")),),
    "IafCondAlphaMc": (
        Inputs(("soma_ex", "soma_in"), ("tau_syn_ex_s", "tau_syn_in_s"), "g_L_s", "V_m_s"),
    ),
    "PpCondExpMcUrbanczik": (
        # most of the soma's conductance is that from the dendrite
        Inputs(("soma_ex", "soma_in"), ("tau_syn_ex_s", "tau_syn_in_s"), "g_sp", "V_m_s", "soma"),
        Inputs(
            *(("dendritic_ex", "dendritic_in"), ("tau_syn_ex_p", "tau_syn_in_p"), "g_L_p", "V_m_p"),
            *("dendrite", ("theta", "E_L_p")),
        ),
    ),
}


@dataclass(frozen=True)
class Case:
    """A set of parameters and its input: a rate (spikes/s), two weights in the model's unit."""

    name: str
    model: SubsteppedNeuron
    rate: float
    weights: tuple[float, float]
    inputs: Inputs


def _adaptive() -> dict[str, dict[str, float]]:
    sets: dict[str, dict[str, float]] = {"default": {}, "regular": REGULAR, "fast spiking": FAST}
    common = {"V_th": -50.0, "Delta_T": 2.0, "V_peak": 0.0}
    return sets | {
        name: dict(zip(COLUMNS, row, strict=True)) | common for name, row in NAUD.items()
    }


def _sets(model: str) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield sets of parameters of a model, with the time constants of synapses."""
    if model == "HhCondExpTraub":
        sets: dict[str, dict[str, float]] = {
            "default": {},
            "fast synapses": {"tau_syn_ex": 0.5, "tau_syn_in": 2.0},
            "small": {"C_m": 100.0},
            "leaky": {"g_L": 30.0},
            "V_T -55 mV": {"V_T": -55.0},
        }
    elif model == "HhPscAlpha":
        sets = {
            "default": {},
            "slow synapses": {"tau_syn_ex": 2.0, "tau_syn_in": 5.0},
            "small": {"C_m": 60.0},
            "leaky": {"g_L": 60.0},
        }
    elif model == "GifCondExp":
        common = {"V_T_star": -50.0, "lambda_0": 100.0, "q_sfa_2": 0.5, "q_stc_2": 2.0}
        sets = {
            "sharp": {**common, "Delta_V": 0.5},
            "soft": {**common, "Delta_V": 4.0, "q_stc_1": 10.0},
            "fast": {**common, "C_m": 50.0, "g_L": 10.0, "tau_syn_ex": 0.5, "tau_syn_in": 1.0},
        }
    elif model == "IafBw2001":
        sets = {
            "default": {},
            "interneuron": {"C_m": 200.0, "g_L": 20.0, "t_ref": 1.0},
            "fast": {"C_m": 100.0, "g_L": 20.0, "tau_AMPA": 0.5, "tau_GABA": 1.0},
        }
    elif model == "IafCondAlphaMc":
        sets = {
            "default": {},
            "apart": {"g_sp": 0.5, "g_pd": 0.5},
            "fast": {"C_m_s": 60.0, "tau_syn_ex_s": 0.3, "tau_syn_in_s": 0.5},
        }
    elif model == "PpCondExpMcUrbanczik":
        sets = {
            "default": {},
            "both ways": {"g_ps": 300.0, "g_sp": 300.0},
            "fast": {
                **{f"tau_syn_{kind}_{part}": 0.8 for kind in ("ex", "in") for part in "sp"},
                **{"C_m_s": 100.0, "C_m_p": 60.0, "beta": 1.0},
            },
        }
    elif model.startswith("Iaf"):
        sets = {
            "default": {},
            "Brette": BRETTE | {"tau_syn_ex": 5.0, "tau_syn_in": 10.0},
            "fast": {"C_m": 100.0, "g_L": 20.0, "tau_syn_ex": 0.3, "tau_syn_in": 0.5},
        }
    elif model == "AeifPscDeltaClopath":
        sets = {
            "default": {},
            "no afterpotential": {"I_sp": 0.0, "V_th_max": -50.4},
            "sharp": {"C_m": 200.0, "g_L": 10.0, "Delta_T": 0.5},
            "small": {"C_m": 100.0, "g_L": 10.0, "tau_w": 90.0},
        }
    else:
        sets = {
            name: {"tau_syn_ex": 2.0, "tau_syn_in": 5.0, **one} for name, one in _adaptive().items()
        }
        sets["default"] = {}
        sets["regular, fast synapses"] = REGULAR | {"tau_syn_ex": 0.5, "tau_syn_in": 0.5}
    yield from sets.items()


MODELS: dict[str, type[SubsteppedNeuron]] = {
    one.__name__: one
    for one in (
        *(AeifCondExp, AeifCondAlpha, AeifPscExp, AeifPscAlpha, AeifPscDeltaClopath),
        *(GifCondExp, HhCondExpTraub, HhPscAlpha, IafCondExp, IafCondAlpha, IafCondExpSfaRr),
        *(IafBw2001, IafCondAlphaMc, PpCondExpMcUrbanczik),
    )
}


def cases(model: str) -> Iterator[Case]:
    """Yield the sets of a model with each kind of input."""
    for inputs in INPUTS.get(model, (Inputs(),)):
        yield from _driven(model, inputs)


def _driven(model: str, inputs: Inputs) -> Iterator[Case]:
    """Yield the sets of a model with each kind of input to a compartment."""
    drives = CURRENTS if "Psc" in model or inputs.distance else CONDUCTANCES
    shape = math.e if "Alpha" in model else 1.0  # of an alpha function's integral
    place = f"{inputs.compartment}, " if inputs.compartment else ""
    for name, given in _sets(model):
        made: Any = MODELS[model](**given)
        for drive, (ex, in_, rate) in drives.items():
            unit = getattr(made, inputs.leak)
            if model == "AeifPscDeltaClopath":
                unit, taus = made.V_th_rest - made.E_L, (made.C_m / made.g_L,) * 2
            else:
                taus = tuple(getattr(made, name) * shape for name in inputs.taus)
            if model in ("AeifPscExp", "AeifPscAlpha"):
                unit *= made.V_th - made.E_L
            elif model == "HhPscAlpha":
                unit = 600.0  # pA, about the least that makes it spike again and again
            if inputs.distance:
                unit *= getattr(made, inputs.distance[0]) - getattr(made, inputs.distance[1])
            each = 1e-3 * rate
            weights = ex * unit / (each * taus[0]), in_ * unit / (0.25 * each * taus[1])
            yield Case(f"{name}, {place}{drive}", made, rate, weights, inputs)


def spikes(chosen: list[Case], dt: float, time: float, substeps: int | None) -> list[int]:
    """Return the number of spikes of each case within a time, ms."""
    populations, stimuli = [], []
    for index, one in enumerate(chosen):
        kept = {name: one.model.value(name) for name in one.model.parameters()}
        if "t_ref" in kept:
            kept["t_ref"] = dt * math.ceil(float(kept["t_ref"]) / dt - 1e-9)  # type: ignore[arg-type]
        model = type(one.model)(**kept, substeps=substeps)
        start = {one.inputs.potential: Uniform(-70.0, -60.0)}
        population = Population(f"P{index}", SIZE, model, start, "float64")
        populations.append(population)
        (ex, in_), (excites, inhibits) = one.weights, one.inputs.receptors
        stimuli.append(PoissonInput(population, one.rate, ex, excites))
        if in_:
            signed = -in_ if inhibits is None else in_
            stimuli.append(PoissonInput(population, 0.25 * one.rate, signed, inhibits))
    with Simulation(Network(populations, [], stimuli, dt=dt), seed=7) as simulation:
        simulation.run(time)
        return [int(simulation[one].spike_counts().sum()) for one in populations]


def rates(model: str, dt: float, time: float) -> dict[str, float]:
    """Return the mean rate of each set, spikes/s, with the substeps that the model chooses."""
    chosen = list(cases(model))
    seconds = 1e-3 * time * SIZE
    counts = spikes(chosen, dt, time, None)
    return {case.name: n / seconds for case, n in zip(chosen, counts, strict=True)}


def measure(
    model: str, dt: float, time: float, substeps: int | None = None, fine_part: float = 0.005
) -> dict[str, Any]:
    """Return the numbers of substeps, the error of all spikes (%), and of each judged set.

    The reference's parts of a step are of `fine_part` ms.
    """
    chosen = list(cases(model))
    found = np.array(spikes(chosen, dt, time, substeps))
    fine = np.array(spikes(chosen, dt, time, max(1, round(dt / fine_part))))
    judged = fine >= LEAST_SPIKES
    errors = 100.0 * (found / np.maximum(fine, 1) - 1.0)
    each = {one.name: float(errors[i]) for i, one in enumerate(chosen) if judged[i]}
    return {
        "substeps": sorted({substeps or one.model.parts(dt) for one in chosen}),
        "total": float(100.0 * (found.sum() / fine.sum() - 1.0)),
        "each": dict(sorted(each.items(), key=lambda item: -abs(item[1]))),
    }


def main() -> None:
    """Print the errors of models by dt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--time", type=float, default=4000.0, help="biological time, ms")
    parser.add_argument("--dt", type=float, nargs="*", default=None)
    parser.add_argument("--one", action="store_true", help="one part a step")
    parser.add_argument("--rates", action="store_true", help="the rate of each set alone")
    options = parser.parse_args()
    for model in options.models:
        # beyond its longest step a model misses spikes whatever its substeps
        longest = MODELS[model]().longest_step()
        for dt in options.dt or [one for one in (0.1, 0.2, 0.5, 1.0) if one <= longest]:
            if options.rates:
                each = rates(model, dt, options.time).items()
                text = ", ".join(f"{name} {rate:.1f}" for name, rate in each)
                print(f"{model} dt={dt:g} ms, spikes/s: {text}", flush=True)
                continue
            found = measure(model, dt, options.time, 1 if options.one else None)
            worst = ", ".join(f"{k} {v:+.2f} %" for k, v in list(found["each"].items())[:4])
            print(
                f"{model} dt={dt:g} ms: substeps {found['substeps']}, all {found['total']:+.2f} %, "
                f"{len(found['each'])} sets, worst: {worst}",
                flush=True,
            )


if __name__ == "__main__":
    main()
