"""aeif_cond_exp, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = I/C_m
    dw/dt = (a*(V_m - E_L) - w)/tau_w
    dg_ex/dt = -g_ex/tau_syn_ex
    dg_in/dt = -g_in/tau_syn_in

Integration, exact: g_ex, g_in
Integration, rosenbrock: V_m, w
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp, exp_array, flush
from distsnn.kernels.propagators import exponential

STATES = ("V_m", "w", "g_ex", "g_in", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "c_ref": "count",
    "substeps": "count",
    "c_more": "count",
    "decay_g_ex": "real",
    "decay_g_in": "real",
    "mean_by_g_ex": "real",
    "mean_by_g_in": "real",
    "k6": "real",
    "c_E_ex": "real",
    "c_E_in": "real",
    "c_I_e": "real",
    "c_a": "real",
    "k11": "real",
    "c_E_L": "real",
    "k13": "real",
    "k14": "real",
    "k15": "real",
    "k16": "real",
    "k17": "real",
    "k18": "real",
    "k19": "real",
    "k20": "real",
    "k21": "real",
    "k22": "real",
    "k23": "real",
    "k24": "real",
    "k25": "real",
    "c_b": "real",
    "limit": "real",
    "c_V_reset": "real",
    "k29": "real",
    "k30": "real",
}


def propagators(parameters, dt):
    """Return the constants of a part of a step."""
    p = parameters
    h = dt / p["substeps"]
    c_ref = np.rint(p["t_ref"] / dt)
    substeps = np.asarray(p["substeps"])
    c_more = np.where(c_ref > 0, c_ref + 1, 0)
    decay_g_ex = exp_array(-h / p["tau_syn_ex"])
    decay_g_in = exp_array(-h / p["tau_syn_in"])
    m2 = exponential(2, {(0, 0): -1.0 / p["tau_syn_ex"], (1, 0): 1.0 / h}, h)
    mean_by_g_ex = m2[1, 0]
    m4 = exponential(2, {(0, 0): -1.0 / p["tau_syn_in"], (1, 0): 1.0 / h}, h)
    mean_by_g_in = m4[1, 0]
    k6 = -p["g_L"]
    c_E_ex = p["E_ex"] - p["E_L"]
    c_E_in = p["E_in"] - p["E_L"]
    c_I_e = p["I_e"]
    c_a = p["a"]
    k11 = h / p["tau_w"]
    c_E_L = p["E_L"] - p["V_th"]
    k13 = np.where(p["Delta_T"] > 0.0, 1.0 / p["Delta_T"], 0.0)
    k14 = p["Delta_T"] * p["g_L"] * np.where(p["Delta_T"] > 0.0, 1.0 / p["Delta_T"], 0.0)
    k15 = h / p["C_m"]
    k16 = p["Delta_T"] * p["g_L"]
    k17 = 1.0
    k18 = 0.0
    k19 = 0.5
    k20 = 1.0 + (0.25 * p["a"] * (h * h) / p["C_m"] / p["tau_w"] / (1.0 + (0.5 * h / p["tau_w"])))
    k21 = 0.5 * h / p["C_m"] / (1.0 + (0.5 * h / p["tau_w"]))
    k22 = 0.5 * p["a"] * h / p["tau_w"]
    k23 = 1.0 / (1.0 + (0.5 * h / p["tau_w"]))
    k24 = np.inf
    k25 = np.where(p["Delta_T"] > 0.0, p["V_peak"], p["V_th"]) - p["E_L"]
    c_b = p["b"]
    limit = np.where(c_ref > 0, np.inf, 1.0)
    c_V_reset = p["V_reset"] - p["E_L"]
    k29 = (
        p["Delta_T"]
        * p["g_L"]
        * exp_array(
            (p["V_reset"] - p["V_th"]) * np.where(p["Delta_T"] > 0.0, 1.0 / p["Delta_T"], 0.0)
        )
    )
    k30 = np.maximum(
        np.where(p["Delta_T"] > 0.0, p["V_peak"], p["V_th"]) - p["E_L"], p["V_reset"] - p["E_L"]
    )
    constants = {
        "c_ref": c_ref,
        "substeps": substeps,
        "c_more": c_more,
        "decay_g_ex": decay_g_ex,
        "decay_g_in": decay_g_in,
        "mean_by_g_ex": mean_by_g_ex,
        "mean_by_g_in": mean_by_g_in,
        "k6": k6,
        "c_E_ex": c_E_ex,
        "c_E_in": c_E_in,
        "c_I_e": c_I_e,
        "c_a": c_a,
        "k11": k11,
        "c_E_L": c_E_L,
        "k13": k13,
        "k14": k14,
        "k15": k15,
        "k16": k16,
        "k17": k17,
        "k18": k18,
        "k19": k19,
        "k20": k20,
        "k21": k21,
        "k22": k22,
        "k23": k23,
        "k24": k24,
        "k25": k25,
        "c_b": c_b,
        "limit": limit,
        "c_V_reset": c_V_reset,
        "k29": k29,
        "k30": k30,
    }
    return {name: np.asarray(one, np.float64) for name, one in constants.items()}


@inline
def integrate(
    V_m,
    w,
    g_ex,
    g_in,
    refractory,
    current,
    c_ref,
    substeps,
    c_more,
    decay_g_ex,
    decay_g_in,
    mean_by_g_ex,
    mean_by_g_in,
    k6,
    c_E_ex,
    c_E_in,
    c_I_e,
    c_a,
    k11,
    c_E_L,
    k13,
    k14,
    k15,
    k16,
    k17,
    k18,
    k19,
    k20,
    k21,
    k22,
    k23,
    k24,
    k25,
    c_b,
    limit,
    c_V_reset,
    k29,
    k30,
):
    """Advance one neuron by one part of a step, without input."""
    held = refractory > 0
    mean_g_ex = mean_by_g_ex * g_ex
    mean_g_in = mean_by_g_in * g_in
    t3 = k6 - mean_g_ex - mean_g_in
    t4 = c_E_ex * mean_g_ex
    t5 = c_E_in * mean_g_in
    t6 = current + t4 + t5 + c_I_e
    t7 = c_a * V_m
    t8 = t7 - w
    t9 = k11 * t8
    t10 = V_m + c_E_L
    t11 = k13 * t10
    t12 = exp(t11)
    t13 = k14 * t12
    t14 = t3 + t13
    t15 = k15 * t14
    t16 = V_m * t3
    t17 = k16 * t12
    t18 = t6 + t16 + t17 - w
    t19 = k15 * t18
    t20 = t15 > k17
    t21 = t19 > k18
    t22 = t20 & t21
    t23 = not held
    t24 = t22 & t23
    t25 = min(t15, k17)
    t26 = k19 * t25
    t27 = k20 - t26
    t28 = k21 * t9
    t29 = t19 - t28
    t30 = (t29) / t27
    t31 = held | t24
    t32 = k18 if t31 else t30
    t33 = k22 * t32
    t34 = t9 + t33
    t35 = k23 * t34
    t36 = t35 + w
    t37 = V_m + t32
    new_V_m = flush(k24 if t24 else t37)
    new_w = flush(t36)
    new_g_ex = flush(decay_g_ex * g_ex)
    new_g_in = flush(decay_g_in * g_in)
    t42 = new_V_m >= k25
    spiked = t42 & (not held)
    t44 = new_w + c_b
    end_w = t44 if spiked else new_w
    t46 = k17 / t15
    t47 = k17 - t46
    t48 = c_V_reset * t3
    t49 = t6 + t48 + k29 - end_w
    t50 = k15 * t47 * t49
    t51 = t50 + c_V_reset
    end_V_m = (min(t51, k30) if t15 > limit else c_V_reset) if spiked else new_V_m
    left = c_more if spiked else refractory
    return end_V_m, end_w, new_g_ex, new_g_in, left, spiked


@inline
def step(
    V_m,
    w,
    g_ex,
    g_in,
    refractory,
    in_ex,
    in_in,
    current,
    c_ref,
    substeps,
    c_more,
    decay_g_ex,
    decay_g_in,
    mean_by_g_ex,
    mean_by_g_in,
    k6,
    c_E_ex,
    c_E_in,
    c_I_e,
    c_a,
    k11,
    c_E_L,
    k13,
    k14,
    k15,
    k16,
    k17,
    k18,
    k19,
    k20,
    k21,
    k22,
    k23,
    k24,
    k25,
    c_b,
    limit,
    c_V_reset,
    k29,
    k30,
):
    """End a step: add its input."""
    held = refractory > 0
    new_g_ex = g_ex + in_ex
    new_g_in = g_in - in_in
    left = np.int32(refractory - 1 if held else 0)
    return V_m, w, new_g_ex, new_g_in, left, False
