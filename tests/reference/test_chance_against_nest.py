"""Neurons that spike by chance beside NEST's, where chance has no say: spikes and potentials.

Their threshold is so sharp that the hazard is nothing or certain. Ten neurons with random
parameters spike, and ten do not.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driven_sets import Case, Driven, N, RunNest, compare

from distsnn.network import GifCondExp, GifPscExp, PpPscDelta

Random = np.random.Generator
SHARP = {"lambda_0": 1e9, "Delta_V": 1e-9}
# of edges, which have steps of 0.05 ms
LEAST = 0.05


def in_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return NEST's parameters, of which those that end in _1, _2 and _3 are lists."""
    found: dict[str, Any] = {"V_m": values.get("E_L", 0.0)}
    for name, value in values.items():
        if name[-2:] in ("_1", "_2", "_3") and not name.startswith("c_"):
            found.setdefault(name[:-2], []).append(value)
        else:
            found[name] = value
    return found


def adaptation(random: Random, tau: float | None, *kinds: str) -> dict[str, float]:
    """Return adaptation that spikes leave for about 3, 30 and 300 ms, or for tau."""
    found = {}
    for kind in kinds:
        for j in (1, 2, 3):
            found[f"tau_{kind}_{j}"] = tau or random.uniform(2.0, 5.0) * 10.0 ** (j - 1)
            found[f"q_{kind}_{j}"] = random.uniform(0.1, 1.0) * (10.0 if kind == "stc" else 1.0)
    return found


def gif(random: Random, edge: bool) -> dict[str, float]:
    """Return parameters of a gif neuron with currents."""
    g_L, C_m, E_L = (random.uniform(*low) for low in ((3.0, 15.0), (60.0, 300.0), (-75.0, -65.0)))
    tau = C_m / g_L if edge else None
    return {
        "C_m": C_m,
        "g_L": g_L,
        "E_L": E_L,
        "V_T_star": E_L + random.uniform(4.0, 8.0),
        "tau_syn_ex": tau or random.uniform(1.2, 6.0),
        "tau_syn_in": tau or random.uniform(1.2, 12.0),
        "V_reset": E_L + random.uniform(-5.0, 2.0),
        "I_e": random.uniform(-10.0, 10.0),
        # without one NEST's neurons are not reset
        "t_ref": LEAST if edge else float(random.integers(1, 4)),
        **adaptation(random, tau, "stc", "sfa"),
        **SHARP,
    }


def gif_cond(random: Random, edge: bool) -> dict[str, float]:
    """Return parameters of one with conductances."""
    more = {"E_ex": random.uniform(-5.0, 5.0), "E_in": random.uniform(-90.0, -80.0)}
    return gif(random, edge) | more


def point_process(random: Random, edge: bool) -> dict[str, float]:
    """Return parameters of a point process neuron, which spikes above 0 mV."""
    tau_m, C_m = random.uniform(4.0, 20.0), random.uniform(60.0, 300.0)
    return {
        "tau_m": tau_m,
        "C_m": C_m,
        "I_e": C_m / tau_m * random.uniform(-6.0, -2.0),
        # without one NEST draws a number of spikes
        "dead_time": LEAST if edge else float(random.integers(1, 4)),
        # the rate's linear part, without an exponential one
        "c_1": 1e12,
        "c_2": 0.0,
        "c_3": 0.0,
        **adaptation(random, tau_m if edge else None, "sfa"),
    }


def of_point_process(with_reset: int) -> Case:
    """Return a case of point process neurons."""
    return Case(
        "pp_psc_delta",
        point_process,
        lambda values: PpPscDelta(**values, with_reset=with_reset),
        lambda values: in_lists(values) | {"with_reset": bool(with_reset)},
        {"delta": 2.5},
        {"V_m": "V_m"},
        (0.0, 400.0),
        (-150.0, -50.0),
        signed=True,
        exact=True,
    )


CASES = {
    "gif_psc_exp": Case(
        "gif_psc_exp",
        gif,
        lambda values: GifPscExp(**values),
        in_lists,
        {"ex": 80.0, "in": -60.0},
        {name: name for name in ("V_m", "I_syn_ex", "I_syn_in")},
        (50.0, 400.0),
        (-150.0, -50.0),
        late_reset=True,
        signed=True,
        exact=True,
    ),
    "gif_cond_exp": Case(
        "gif_cond_exp",
        gif_cond,
        lambda values: GifCondExp(**values, substeps=40),
        # of its adaptive integration, by default 1e-3
        lambda values: in_lists(values) | {"gsl_error_tol": 1e-9},
        {"ex": 2.0, "in": -4.0},
        {name: name for name in ("V_m", "g_ex", "g_in")},
        (50.0, 400.0),
        (-150.0, -50.0),
        signed=True,
    ),
    "pp_psc_delta": of_point_process(1),
    "pp_psc_delta without reset": of_point_process(0),
}


@pytest.mark.parametrize(("dt", "edge"), [(0.1, False), (0.05, True), (1.0, False)])
@pytest.mark.parametrize("name", CASES)
def test_spikes_and_states_at_a_sharp_threshold_are_nests(
    name: str, dt: float, edge: bool, run_nest: RunNest, tmp_path: Path
) -> None:
    print(compare(CASES[name], dt, edge, run_nest, tmp_path / "run.zarr"))


@pytest.mark.parametrize("name", ["gif_psc_exp", "gif_cond_exp"])
def test_without_a_refractory_time_nests_gif_neurons_are_not_reset(
    name: str, run_nest: RunNest, tmp_path: Path
) -> None:
    case = CASES[name]
    driven = Driven(replace(case, draw=lambda *how: case.draw(*how) | {"t_ref": 0.0}), 0.1, False)
    expected = driven.nest(run_nest)
    reader = driven.ours(tmp_path / "run.zarr", expected)
    step, gid = reader.spikes(0, driven.steps)
    potentials = reader.state("neurons").variables["V_m"][:, :]
    for neuron in range(0, N, 2):
        first = expected["spike_step"][expected["spike_neuron"] == neuron][0]
        assert step[gid == neuron][0] == first
        after = np.searchsorted(expected["state_step"], first)
        apart = expected["V_m"][:, neuron] - potentials[:, neuron]
        assert np.abs(apart[:after]).max() < 1e-6
        # ours has been reset from the threshold, which is 2 mV above at least
        assert apart[after] > 1.5
