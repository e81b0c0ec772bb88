"""GIF neurons against numpy where chance has no say, and their chance against their hazard."""

import numpy as np
import numpy.typing as npt
import pytest
from chance import LEAST_P, p_of_discrete
from kernel_calls import NeuronCall, defaults
from scipy import stats

from distsnn.network import GifPscExp

Floats = npt.NDArray[np.float64]
DT = 0.1
NAMES = ("stc_1", "stc_2", "stc_3", "sfa_1", "sfa_2", "sfa_3")


def parameters(**given: float | Floats) -> dict[str, float | Floats]:
    """Return the model's parameters, those that are not given with their defaults."""
    one = GifPscExp(**given)
    return {name: one.value(name) for name in one.parameters()}


# so sharp a threshold that chance has no say
SHARP = {"Delta_V": 1e-9, "lambda_0": 1e9, "V_T_star": -60.0, "V_reset": -66.0, "t_ref": 1.0}
ADAPTING = {
    **{"q_stc_1": 40.0, "q_stc_2": 9.0, "q_stc_3": -3.0, "tau_stc_3": 400.0},
    **{"q_sfa_1": -1.0, "q_sfa_2": 2.0, "q_sfa_3": 0.6, "tau_sfa_1": 20.0, "tau_syn_in": 5.0},
}


@pytest.mark.parametrize("own", [False, True])
def test_updates_follow_the_equations(own: bool) -> None:
    n, steps = 70, 1500
    rng = np.random.default_rng(5)
    given = parameters(**SHARP, **ADAPTING, I_e=120.0)
    if own:
        given = {key: value * rng.uniform(0.95, 1.05, n) for key, value in given.items()}
        given["t_ref"] = np.rint(given["t_ref"] / DT) * DT
    one = NeuronCall("gif_psc_exp", given, n, current=own)
    p = {key: np.broadcast_to(value, n) for key, value in given.items()}
    tau_m = p["C_m"] / p["g_L"]
    one.states["V_m"][:n] = v = rng.uniform(-5.0, 9.0, n)
    s = {name: np.zeros(n) for name in (*NAMES, "I_syn_ex", "I_syn_in")}
    refractory, total = np.zeros(n), 0
    for k in range(steps):
        arriving = {}
        for (name, row), sign in zip(one.rows.items(), (1, -1), strict=True):
            row[0, :n] = sign * rng.integers(0, 300, n) * (rng.random(n) < 0.05)
            arriving[name] = row[0, :n].astype(float)
        if own:
            one.current[:n] = rng.normal(0.0, 20.0, n)
        extern = one.current[:n].copy() if own else 0.0

        flow = p["I_e"] + extern - s["stc_1"] - s["stc_2"] - s["stc_3"]
        free = v * np.exp(-DT / tau_m) + flow / p["g_L"] * -np.expm1(-DT / tau_m)
        for side in ("ex", "in"):
            tau, name = p[f"tau_syn_{side}"], f"I_syn_{side}"
            s[name] = np.exp(-DT / tau) * s[name] + arriving[side]
            a = 1.0 / tau - 1.0 / tau_m
            free += s[name] / p["C_m"] * np.exp(-DT / tau_m) * -np.expm1(-a * DT) / a
        threshold = p["V_T_star"] - p["E_L"] + s["sfa_1"] + s["sfa_2"] + s["sfa_3"]
        spiked = (refractory == 0) & (free >= threshold)
        for name in NAMES:
            s[name] = s[name] * np.exp(-DT / p[f"tau_{name}"]) + p[f"q_{name}"] * spiked
        v = np.where(spiked | (refractory > 0), p["V_reset"] - p["E_L"], free)
        refractory = np.where(spiked, np.rint(p["t_ref"] / DT), np.maximum(refractory - 1, 0))

        np.testing.assert_array_equal(one.step(k), np.flatnonzero(spiked))
        total += np.count_nonzero(spiked)
        for name, values in (s | {"V_m": v, "refractory": refractory}).items():
            found = one.states[name][:n]
            np.testing.assert_allclose(found, values, rtol=1e-12, atol=1e-12)
        v, s = one.states["V_m"][:n].copy(), {name: one.states[name][:n].copy() for name in s}
    assert total > n


@pytest.mark.parametrize("parts", [1, 4])
def test_updates_with_conductances_follow_the_equations(parts: int) -> None:
    n, steps, rng = 70, 1500, np.random.default_rng(6)
    p = defaults("gif_cond_exp", **SHARP, **ADAPTING, I_e=70.0, substeps=parts)
    one = NeuronCall("gif_cond_exp", p, n, current=True)
    one.states["V_m"][:n] = v = rng.uniform(-5.0, 9.0, n)
    s = {name: np.zeros(n) for name in (*NAMES, "g_ex", "g_in")}
    refractory, total, h = np.zeros(n), 0, DT / parts
    for k in range(steps):
        arriving = {}
        for side, row in one.rows.items():
            row[0, :n] = (1 if side == "ex" else -1) * rng.integers(0, 4, n) * (rng.random(n) < 0.1)
            arriving[side] = np.abs(row[0, :n])
        one.current[:n] = rng.normal(0.0, 20.0, n)

        flow = p["I_e"] + one.current[:n] - s["stc_1"] - s["stc_2"] - s["stc_3"]
        free = v
        for _ in range(parts):
            g, drive = p["g_L"], flow
            for side in ("ex", "in"):
                tau, name = p[f"tau_syn_{side}"], f"g_{side}"
                mean = s[name] * tau / h * -np.expm1(-h / tau)
                g, drive = g + mean, drive + mean * (p[f"E_{side}"] - p["E_L"])
                s[name] = s[name] * np.exp(-h / tau)
            free = drive / g + (free - drive / g) * np.exp(-h * g / p["C_m"])
        for side in ("ex", "in"):
            s[f"g_{side}"] = s[f"g_{side}"] + arriving[side]
        threshold = p["V_T_star"] - p["E_L"] + s["sfa_1"] + s["sfa_2"] + s["sfa_3"]
        spiked = (refractory == 0) & (free >= threshold)
        for name in NAMES:
            s[name] = s[name] * np.exp(-DT / p[f"tau_{name}"]) + p[f"q_{name}"] * spiked
        v = np.where(spiked | (refractory > 0), p["V_reset"] - p["E_L"], free)
        refractory = np.where(spiked, np.rint(p["t_ref"] / DT), np.maximum(refractory - 1, 0))

        np.testing.assert_array_equal(one.step(k), np.flatnonzero(spiked))
        total += np.count_nonzero(spiked)
        for name, values in (s | {"V_m": v, "refractory": refractory}).items():
            found = one.states[name][:n]
            np.testing.assert_allclose(found, values, rtol=1e-11, atol=1e-11)
        v, s = one.states["V_m"][:n].copy(), {name: one.states[name][:n].copy() for name in s}
    assert total > n


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("t_ref", [0.0, 1.5])
def test_intervals_are_those_of_a_constant_hazard(precision: str, t_ref: float) -> None:
    """At rest, 0.7 mV above the threshold: 1 - exp(-lambda dt) in each step after t_ref."""
    n, steps = 512, 4000
    rest = {"V_reset": -70.0, "V_T_star": -70.7, "Delta_V": 2.0, "lambda_0": 100.0}
    one = NeuronCall("gif_psc_exp", parameters(**rest, t_ref=t_ref), n, precision=precision)
    last, intervals = np.full(n, -1), []
    for k in range(steps):
        gids = one.step(k)
        intervals.append((k - last[gids])[last[gids] >= 0])
        last[gids] = k
    draws = np.concatenate(intervals) - round(t_ref / DT)
    assert draws.min() == 1
    p = -np.expm1(-100.0 * np.exp(0.35) * DT * 1e-3)
    assert abs(draws.mean() * p - 1.0) < 5.0 / np.sqrt(draws.size) + 0.01
    short = draws[draws <= 150]  # long ones are cut off by the end
    chance = stats.geom(p)
    assert p_of_discrete(short, lambda k: chance.pmf(k) / chance.cdf(150)) > LEAST_P


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_spikes_far_from_the_threshold_are_deterministic(precision: str) -> None:
    for v, spikes in ((-1e4, 0), (1e4, 64)):
        one = NeuronCall("gif_psc_exp", parameters(), 64, precision=precision)
        one.states["V_m"][:] = v
        assert one.step(0).size == spikes
