"""Neurons with ten random sets of parameters beside NEST's: spikes, and states between them.

Linear neurons have every spike and every state of NEST's. What is left of the others' differences
is NEST's tolerance, and where its adaptive steps end.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driven_sets import Case, Driven, RunNest, Values, compare
from test_receptors_against_nest import adaptive, by_receptor

from distsnn.network import (
    AeifCondAlpha,
    Amat2PscExp,
    EquationNeuron,
    HhPscAlpha,
    IafCondExpSfaRr,
    iaf_psc_alpha_multisynapse,
    iaf_psc_exp_multisynapse,
)

Random = np.random.Generator
TWO = ("ex", "in")


def synapses(random: Random, edge: bool, low: float, high: float) -> dict[str, float]:
    """Return the time constants of two receptors."""
    equal = random.uniform(low, high)
    return {f"tau_syn_{kind}": equal if edge else random.uniform(low, high) for kind in TWO}


def refractory(random: Random, edge: bool) -> dict[str, float]:
    """Return a refractory time."""
    return {"t_ref": 0.0 if edge else float(random.integers(0, 4))}


def reversals(random: Random) -> dict[str, float]:
    """Return reversal potentials of two conductances."""
    return {"E_ex": random.uniform(-5.0, 5.0), "E_in": random.uniform(-90.0, -75.0)}


def leaky(random: Random, edge: bool, receptors: int = 4) -> dict[str, float]:
    """Return parameters of a leaky integrate-and-fire neuron with several currents."""
    tau_m = random.uniform(9.0, 25.0)
    return {
        "C_m": random.uniform(150.0, 350.0),
        "tau_m": tau_m,
        "E_L": random.uniform(-74.0, -66.0),
        "V_th": random.uniform(-58.0, -50.0),
        "V_reset": random.uniform(-72.0, -62.0),
        "I_e": random.uniform(-20.0, 20.0),
        **refractory(random, edge),
        **{
            f"tau_syn_{k}": tau_m if edge else random.uniform(0.5, 8.0)
            for k in range(1, receptors + 1)
        },
    }


def adaptive_threshold(random: Random, edge: bool) -> dict[str, float]:
    """Return parameters of a neuron whose threshold adapts to spikes and to the potential."""
    tau_m = random.uniform(9.0, 20.0)
    return {
        "C_m": random.uniform(100.0, 300.0),
        "tau_m": tau_m,
        "E_L": random.uniform(-74.0, -66.0),
        "I_e": random.uniform(-20.0, 20.0),
        "omega": random.uniform(-62.0, -55.0),
        "tau_1": tau_m if edge else random.uniform(5.0, 20.0),
        "tau_2": tau_m if edge else random.uniform(50.0, 300.0),
        "tau_v": random.uniform(2.0, 4.0),
        "alpha_1": random.uniform(2.0, 10.0),
        "alpha_2": random.uniform(0.0, 3.0),
        "beta": random.uniform(-0.3, 0.3),
        # of a step at least in NEST
        **{"t_ref": 1.0 if edge else float(random.integers(1, 5))},
        **synapses(random, edge, 4.5, 8.0),
    }


def relative_refractory(random: Random, edge: bool) -> dict[str, float]:
    """Return parameters of a neuron with conductances that spikes open."""
    given = synapses(random, edge, 1.5, 10.0)
    equal = given["tau_syn_ex"]
    return {
        "C_m": random.uniform(200.0, 400.0),
        "g_L": random.uniform(15.0, 35.0),
        "E_L": random.uniform(-74.0, -66.0),
        "V_th": random.uniform(-60.0, -54.0),
        "V_reset": random.uniform(-72.0, -64.0),
        "E_sfa": random.uniform(-80.0, -68.0),
        "E_rr": random.uniform(-80.0, -68.0),
        "tau_sfa": equal if edge else random.uniform(50.0, 150.0),
        "tau_rr": equal if edge else random.uniform(1.5, 4.0),
        "q_sfa": random.uniform(2.0, 15.0),
        "q_rr": random.uniform(100.0, 1500.0),
        "I_e": random.uniform(-20.0, 20.0),
        **refractory(random, edge),
        **given,
        **reversals(random),
    }


def exponential(random: Random, edge: bool) -> dict[str, float]:
    """Return parameters of an adaptive exponential neuron with two alpha functions."""
    membrane = {k: v for k, v in adaptive(random, edge).items() if not k[-1].isdigit()}
    return membrane | synapses(random, edge, 0.5, 5.0) | reversals(random)


def hodgkin_huxley(random: Random, edge: bool) -> dict[str, float]:
    """Return parameters of a Hodgkin-Huxley neuron with two alpha functions."""
    return {
        "C_m": random.uniform(85.0, 115.0),
        "g_Na": random.uniform(11000.0, 13000.0),
        "g_K": random.uniform(3400.0, 4000.0),
        "g_L": random.uniform(27.0, 33.0),
        "E_Na": random.uniform(47.0, 53.0),
        "E_K": random.uniform(-79.0, -76.0),
        "E_L": random.uniform(-56.0, -54.0),
        "I_e": random.uniform(-20.0, 20.0),
        **refractory(random, edge),
        **synapses(random, edge, 0.3, 4.0),
    }


def multisynapse(make: Callable[..., EquationNeuron], weights: tuple[float, ...]) -> Case:
    """Return a case of neurons with a current for each weight."""

    def neurons(values: Values) -> EquationNeuron:
        given = by_receptor(values)
        return make(given.pop("tau_syn"), **given)

    return Case(
        make.__name__,
        lambda random, edge: leaky(random, edge, len(weights)),
        neurons,
        lambda values: by_receptor(values) | {"V_m": values["E_L"]},
        {str(k): weight for k, weight in enumerate(weights, 1)},
        {"V_m": "V_m", "I_syn": "I_syn"},
        (500.0, 900.0),
        (-100.0, 50.0),
        exact=True,
    )


def from_rest(values: dict[str, float]) -> dict[str, Any]:
    """Return parameters of NEST's neuron, which starts at the default E_L."""
    return values | {"V_m": values["E_L"]}


CONDUCTANCES = ("V_m", "g_ex", "g_in")
CASES = {
    "iaf_psc_exp_multisynapse": multisynapse(iaf_psc_exp_multisynapse, (100.0, 60.0, -50.0, -80.0)),
    "iaf_psc_alpha_multisynapse": multisynapse(
        iaf_psc_alpha_multisynapse, (50.0, 30.0, -25.0, -40.0)
    ),
    "one receptor": multisynapse(iaf_psc_exp_multisynapse, (60.0,)),
    "amat2_psc_exp": Case(
        "amat2_psc_exp",
        adaptive_threshold,
        lambda values: Amat2PscExp(**values),
        from_rest,
        {"ex": 100.0, "in": -100.0},
        {"V_m": "V_m"},
        (400.0, 900.0),
        (-150.0, -50.0),
        signed=True,
        exact=True,
    ),
    "iaf_cond_exp_sfa_rr": Case(
        "iaf_cond_exp_sfa_rr",
        relative_refractory,
        lambda values: IafCondExpSfaRr(**values, substeps=40),
        from_rest,
        {"ex": 2.0, "in": -4.0},
        {name: name for name in CONDUCTANCES},
        (800.0, 1500.0),
        (-100.0, 0.0),
        signed=True,
    ),
    "aeif_cond_alpha": Case(
        "aeif_cond_alpha",
        exponential,
        lambda values: AeifCondAlpha(**values, substeps=100),
        from_rest,
        {"ex": 2.0, "in": -4.0},
        {name: name for name in (*CONDUCTANCES, "w")},
        (800.0, 1300.0),
        (-150.0, 50.0),
        signed=True,
    ),
    "hh_psc_alpha": Case(
        "hh_psc_alpha",
        hodgkin_huxley,
        lambda values: HhPscAlpha(**values, substeps=400),
        dict,
        {"ex": 100.0, "in": -100.0},
        {"V_m": "V_m"},
        (800.0, 1200.0),
        (-100.0, 50.0),
        few=0.1,
        signed=True,
        # at dt = 1 ms, where a substep is 0.0025 ms long
        smooth=2.0,
    ),
}
# dt, ms, and whether time constants are equal and the refractory time is least
RUNS = [
    # Hodgkin-Huxley neurons with 400 substeps take ten seconds
    pytest.param(name, dt, edge, marks=[pytest.mark.ci] if name.startswith("hh") else [])
    for name in CASES
    for dt, edge in ((0.1, False), (0.05, True), (1.0, False))
]


@pytest.mark.filterwarnings("ignore:.*finds spikes at the ends of steps only")
@pytest.mark.parametrize(("name", "dt", "edge"), RUNS)
def test_spikes_and_states_are_nests(
    name: str, dt: float, edge: bool, run_nest: RunNest, tmp_path: Path
) -> None:
    print(compare(CASES[name], dt, edge, run_nest, tmp_path / "run.zarr"))


# a parameter that NEST refuses to be the other
REFUSED = [
    ("amat2_psc_exp", "tau_syn_ex", "tau_m"),
    ("amat2_psc_exp", "tau_v", "tau_m"),
    ("amat2_psc_exp", "tau_v", "tau_syn_in"),
]


@pytest.mark.parametrize(("name", "one", "other"), REFUSED)
def test_equal_time_constants_that_nest_refuses_act_as_nearby_ones(
    name: str, one: str, other: str, run_nest: RunNest, tmp_path: Path
) -> None:
    case = CASES[name]

    def equal(random: Random, edge: bool) -> dict[str, float]:
        values = case.draw(random, edge)
        return values | {one: values[other]}

    refused = replace(case, draw=equal, exact=False)
    with pytest.raises(RuntimeError, match="must differ"):
        Driven(refused, 0.1, False).nest(run_nest)
    nearby = replace(
        refused, of_nest=lambda values: case.of_nest(values | {one: values[one] * (1.0 + 3e-5)})
    )
    print(f"{one} = {other}:", compare(nearby, 0.1, False, run_nest, tmp_path / "run.zarr"))


def test_a_threshold_without_refractory_time_is_refused_by_nest(run_nest: RunNest) -> None:
    case = CASES["amat2_psc_exp"]
    values = case.draw(np.random.default_rng(1), False) | {"t_ref": 0.0}
    population = {"model": case.model, "size": 1, "parameters": values}
    with pytest.raises(RuntimeError, match="must be strictly positive"):
        run_nest({"steps": 1, "populations": [population]})
