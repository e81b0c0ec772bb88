"""Intervals of neurons that spike by chance, against the distribution that their hazard gives.

All neurons spike in step 0, with nothing left of earlier spikes. So the next interval is k steps
with probability S(k - 1) - S(k), S(k) = exp(-dt sum of the hazards of steps 1 to k), where dead
steps have no hazard. It is spread evenly over that much of S, and must then be uniform.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from campaigns import sampled
from chance import p_of_discrete
from kernel_calls import DT, NeuronCall, defaults
from scipy import stats

from distsnn.codegen.generated import generated_kernel_module
from distsnn.errors import DescriptionError
from distsnn.network import Population, pp_psc_delta_random

Floats = npt.NDArray[np.float64]
Values = dict[str, float]
SIZE, STEPS = 65_536, 600
LEAST_P = 1e-3  # the seed is fixed; a hazard that is 5 % too large gives less


def decays(p: Values, kind: str, steps: Floats) -> Floats:
    """Return the sum of what one spike left, so many steps after it."""
    left = [p[f"q_{kind}_{j}"] * np.exp(-steps * DT / p[f"tau_{kind}_{j}"]) for j in (1, 2, 3)]
    return np.sum(left, axis=0)


def gif_hazard(p: Values, k: Floats) -> Floats:
    """Return the hazard (1/ms) at steps after a spike; of gif neurons without input."""
    tau, dead = p["C_m"] / p["g_L"], round(p["t_ref"] / DT)
    v, rest = np.full(k.size, p["V_reset"]), p["E_L"] + p["I_e"] / p["g_L"]
    # a current acts for a step, and what it left decays with the membrane
    push = decays(p, "stc", k - 1.0) / p["g_L"] * -np.expm1(-DT / tau)
    for step in k[dead:].astype(int):
        m = np.arange(dead + 1, step + 1)
        start = (p["V_reset"] - rest) * np.exp(-m.size * DT / tau)
        v[step - 1] = rest + start - np.sum(push[m - 1] * np.exp(-(step - m) * DT / tau))
    above = v - p["V_T_star"] - decays(p, "sfa", k - 1.0)
    return 1e-3 * p["lambda_0"] * np.exp(above / p["Delta_V"])


def point_process_hazard(p: Values, k: Floats) -> Floats:
    """Return the same of point process neurons, which do not rest while they are dead."""
    v = p["I_e"] * p["tau_m"] / p["C_m"] * -np.expm1(-k * DT / p["tau_m"])
    v = v - decays(p, "sfa", k)
    return 1e-3 * np.maximum(p["c_1"] * v + p["c_2"] * np.exp(p["c_3"] * v), 0.0)


@dataclass(frozen=True)
class Case:
    """A model, its parameters, the hazard after a spike, and the refractory time's name."""

    model: str
    given: Values
    hazard: Callable[[Values, Floats], Floats]
    refractory: str


GIF = {
    **{"I_e": 60.0, "V_T_star": -52.0, "Delta_V": 3.0, "lambda_0": 200.0, "V_reset": -60.0},
    **{"q_stc_1": 20.0, "q_stc_2": -4.0, "q_sfa_1": 4.0, "q_sfa_2": 1.0, "tau_sfa_1": 5.0},
}
PP = {"I_e": 300.0, "q_sfa_1": 9.0, "q_sfa_2": 2.0, "tau_sfa_1": 8.0}
LINEAR = {"c_1": 4.0, "c_2": 30.0, "c_3": 0.01, "q_sfa_1": 5.0}
CASES = {
    "gif_psc_exp": Case("gif_psc_exp", GIF, gif_hazard, "t_ref"),
    "gif_cond_exp": Case("gif_cond_exp", GIF, gif_hazard, "t_ref"),
    "pp_psc_delta": Case("pp_psc_delta", PP | {"c_2": 5.0}, point_process_hazard, "dead_time"),
    "pp_psc_delta, linear": Case("pp_psc_delta", PP | LINEAR, point_process_hazard, "dead_time"),
}


@pytest.mark.parametrize(
    ("name", "dead", "precision"), sampled(product(CASES, [0.0, 4.0], ["float32", "float64"]), 7)
)
def test_intervals_after_a_spike_are_those_of_the_hazard(
    name: str, dead: float, precision: str
) -> None:
    case = CASES[name]
    p = defaults(case.model, **case.given) | {case.refractory: dead}
    call = NeuronCall(case.model, p, SIZE, precision=precision)
    call.states["V_m"][:] = 1e4
    assert call.step(0).size == SIZE
    interval = np.zeros(SIZE, int)
    for k in range(1, STEPS + 1):
        gids = call.step(k)
        interval[gids] = np.where(interval[gids] == 0, k, interval[gids])
    found = interval[interval > 0]

    k = np.arange(1.0, STEPS + 1.0)
    hazard = case.hazard(p, k)
    hazard[: round(dead / DT)] = 0.0
    below = np.concatenate([[0.0], -np.expm1(-DT * np.cumsum(hazard))])
    # the others spike later
    assert 0.5 < below[-1] < 0.9999
    few = np.sqrt(SIZE * below[-1] * (1.0 - below[-1]))
    assert abs(found.size - SIZE * below[-1]) < 4.0 * few + 1.0
    assert found.min() > round(dead / DT)
    spread = np.random.default_rng(2).random(found.size)
    level = below[found - 1] + spread * (below[found] - below[found - 1])
    p_value = stats.kstest(level / below[-1], "uniform").pvalue
    print(f"{name}, {precision}, dead {dead}: p = {p_value:.2g}, mean {DT * found.mean():.3g} ms")
    assert p_value > LEAST_P
    # a hazard that were 5 % larger would be found out
    wrong = -np.expm1(1.05 * np.log1p(-below))
    level = wrong[found - 1] + spread * (wrong[found] - wrong[found - 1])
    assert stats.kstest(level / wrong[-1], "uniform").pvalue < LEAST_P


@pytest.mark.parametrize("with_reset", [0.0, 1.0])
def test_point_processes_follow_their_equations_where_the_rate_is_nothing_or_certain(
    with_reset: float,
) -> None:
    n, rng = 100, np.random.default_rng(4)
    p = defaults("pp_psc_delta", **PP | {"c_1": 1e12, "c_2": 0.0, "I_e": -50.0, "dead_time": 0.5})
    p["with_reset"] = with_reset
    call = NeuronCall("pp_psc_delta", p, n, current=True)
    v, left, total = np.zeros(n), np.zeros(n), 0
    sfa = {name: np.zeros(n) for name in ("sfa_1", "sfa_2", "sfa_3")}
    for step in range(500):
        call.rows["delta"][0, :n] = arriving = rng.integers(-2, 5, n) * (rng.random(n) < 0.1)
        call.current[:n] = current = rng.normal(0.0, 50.0, n)
        push = (p["I_e"] + current) * p["tau_m"] / p["C_m"] * -np.expm1(-DT / p["tau_m"])
        v = v * np.exp(-DT / p["tau_m"]) + push + arriving
        sfa = {name: x * np.exp(-DT / p[f"tau_{name}"]) for name, x in sfa.items()}
        spiked = (v > sum(sfa.values())) & (left == 0)
        v = v * np.where(spiked, 1.0 - with_reset, 1.0)
        sfa = {name: x + p[f"q_{name}"] * spiked for name, x in sfa.items()}
        left = np.where(spiked, 5, np.maximum(left - 1, 0))
        np.testing.assert_array_equal(call.step(step), np.flatnonzero(spiked))
        total += np.count_nonzero(spiked)
        for name, values in (sfa | {"V_m": v, "refractory": left}).items():
            found = call.states[name][:n]
            np.testing.assert_allclose(found, values, rtol=1e-11, atol=1e-11)
    assert total > n


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("shape", [1, 3, 5])
def test_dead_times_that_are_drawn_have_a_gamma_distribution(shape: int, precision: str) -> None:
    """Neurons that spike wherever they may: after the whole steps in a dead time, and one more."""
    given = {"c_1": 1e12, "c_2": 0.0, "I_e": 100.0, "with_reset": 0.0, "dead_time": 0.7}
    one = pp_psc_delta_random(shape, **given)
    p = {name: one.value(name) for name in one.parameters()}
    call = NeuronCall(generated_kernel_module(one.model), p, 1024, precision=precision)
    last, dead = np.full(1024, -1), []
    for k in range(600):
        gids = call.step(k)
        dead.append(k - last[gids] - 1)
        last[gids] = k
    times = stats.gamma(shape, scale=0.7 / shape)
    # the first spike has nothing before it, and long dead times are cut off by the end
    found = np.concatenate(dead[1:])
    assert found.size > 20_000
    assert p_of_discrete(found, lambda k: np.diff(times.cdf(DT * np.append(k, k[-1] + 1)))) > 1e-3


def test_dead_times_beyond_their_range_are_refused() -> None:
    for shape in (0, 6):
        with pytest.raises(DescriptionError, match="dead_time_shape"):
            pp_psc_delta_random(shape)
    with pytest.raises(DescriptionError, match="dead_time"):
        Population("P", 1, pp_psc_delta_random(dead_time=0.0))
