"""aeif_cond_alpha, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = I/C_m
    dw/dt = (a*(V_m - E_L) - w)/tau_w
    dg_ex/dt = dg_ex - g_ex/tau_syn_ex
    ddg_ex/dt = -dg_ex/tau_syn_ex
    dg_in/dt = dg_in - g_in/tau_syn_in
    ddg_in/dt = -dg_in/tau_syn_in

Integration, exact: g_ex, dg_ex, g_in, dg_in
Integration, rosenbrock: V_m, w
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp, exp_array, flush
from distsnn.kernels.propagators import exponential

STATES = ("V_m", "w", "g_ex", "dg_ex", "g_in", "dg_in", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "c_ref": "count",
    "substeps": "count",
    "c_more": "count",
    "g_ex_by_dg_ex": "real",
    "decay_g_ex": "real",
    "g_in_by_dg_in": "real",
    "decay_g_in": "real",
    "mean_by_g_ex": "real",
    "mean_by_dg_ex": "real",
    "mean_by_g_in": "real",
    "mean_by_dg_in": "real",
    "k12": "real",
    "c_E_ex": "real",
    "c_E_in": "real",
    "c_I_e": "real",
    "c_a": "real",
    "k17": "real",
    "c_E_L": "real",
    "k19": "real",
    "k20": "real",
    "k21": "real",
    "k22": "real",
    "k23": "real",
    "k24": "real",
    "k25": "real",
    "k26": "real",
    "k27": "real",
    "k28": "real",
    "k29": "real",
    "k30": "real",
    "k31": "real",
    "c_b": "real",
    "limit": "real",
    "c_V_reset": "real",
    "k35": "real",
    "k36": "real",
    "k37": "real",
    "k38": "real",
}


def propagators(parameters, dt):
    """Return the constants of a part of a step."""
    p = parameters
    h = dt / p["substeps"]
    c_ref = np.rint(p["t_ref"] / dt)
    substeps = np.asarray(p["substeps"])
    c_more = np.where(c_ref > 0, c_ref + 1, 0)
    m0 = exponential(
        2, {(0, 0): -1.0 / p["tau_syn_ex"], (0, 1): 1.0, (1, 1): -1.0 / p["tau_syn_ex"]}, h
    )
    g_ex_by_dg_ex = m0[0, 1]
    decay_g_ex = exp_array(-h / p["tau_syn_ex"])
    m3 = exponential(
        2, {(0, 0): -1.0 / p["tau_syn_in"], (0, 1): 1.0, (1, 1): -1.0 / p["tau_syn_in"]}, h
    )
    g_in_by_dg_in = m3[0, 1]
    decay_g_in = exp_array(-h / p["tau_syn_in"])
    m6 = exponential(
        3,
        {
            (0, 0): -1.0 / p["tau_syn_ex"],
            (0, 1): 1.0,
            (1, 1): -1.0 / p["tau_syn_ex"],
            (2, 0): 1.0 / h,
        },
        h,
    )
    mean_by_g_ex = m6[2, 0]
    mean_by_dg_ex = m6[2, 1]
    m9 = exponential(
        3,
        {
            (0, 0): -1.0 / p["tau_syn_in"],
            (0, 1): 1.0,
            (1, 1): -1.0 / p["tau_syn_in"],
            (2, 0): 1.0 / h,
        },
        h,
    )
    mean_by_g_in = m9[2, 0]
    mean_by_dg_in = m9[2, 1]
    k12 = -p["g_L"]
    c_E_ex = p["E_ex"] - p["E_L"]
    c_E_in = p["E_in"] - p["E_L"]
    c_I_e = p["I_e"]
    c_a = p["a"]
    k17 = h / p["tau_w"]
    c_E_L = p["E_L"] - p["V_th"]
    k19 = np.where(p["Delta_T"] > 0.0, 1.0 / p["Delta_T"], 0.0)
    k20 = p["Delta_T"] * p["g_L"] * np.where(p["Delta_T"] > 0.0, 1.0 / p["Delta_T"], 0.0)
    k21 = h / p["C_m"]
    k22 = p["Delta_T"] * p["g_L"]
    k23 = 1.0
    k24 = 0.0
    k25 = 0.5
    k26 = 1.0 + (0.25 * p["a"] * (h * h) / p["C_m"] / p["tau_w"] / (1.0 + (0.5 * h / p["tau_w"])))
    k27 = 0.5 * h / p["C_m"] / (1.0 + (0.5 * h / p["tau_w"]))
    k28 = 0.5 * p["a"] * h / p["tau_w"]
    k29 = 1.0 / (1.0 + (0.5 * h / p["tau_w"]))
    k30 = np.inf
    k31 = np.where(p["Delta_T"] > 0.0, p["V_peak"], p["V_th"]) - p["E_L"]
    c_b = p["b"]
    limit = np.where(c_ref > 0, np.inf, 1.0)
    c_V_reset = p["V_reset"] - p["E_L"]
    k35 = (
        p["Delta_T"]
        * p["g_L"]
        * exp_array(
            (p["V_reset"] - p["V_th"]) * np.where(p["Delta_T"] > 0.0, 1.0 / p["Delta_T"], 0.0)
        )
    )
    k36 = np.maximum(
        np.where(p["Delta_T"] > 0.0, p["V_peak"], p["V_th"]) - p["E_L"], p["V_reset"] - p["E_L"]
    )
    k37 = exp_array(1.0) / p["tau_syn_ex"]
    k38 = exp_array(1.0) / p["tau_syn_in"]
    constants = {
        "c_ref": c_ref,
        "substeps": substeps,
        "c_more": c_more,
        "g_ex_by_dg_ex": g_ex_by_dg_ex,
        "decay_g_ex": decay_g_ex,
        "g_in_by_dg_in": g_in_by_dg_in,
        "decay_g_in": decay_g_in,
        "mean_by_g_ex": mean_by_g_ex,
        "mean_by_dg_ex": mean_by_dg_ex,
        "mean_by_g_in": mean_by_g_in,
        "mean_by_dg_in": mean_by_dg_in,
        "k12": k12,
        "c_E_ex": c_E_ex,
        "c_E_in": c_E_in,
        "c_I_e": c_I_e,
        "c_a": c_a,
        "k17": k17,
        "c_E_L": c_E_L,
        "k19": k19,
        "k20": k20,
        "k21": k21,
        "k22": k22,
        "k23": k23,
        "k24": k24,
        "k25": k25,
        "k26": k26,
        "k27": k27,
        "k28": k28,
        "k29": k29,
        "k30": k30,
        "k31": k31,
        "c_b": c_b,
        "limit": limit,
        "c_V_reset": c_V_reset,
        "k35": k35,
        "k36": k36,
        "k37": k37,
        "k38": k38,
    }
    return {name: np.asarray(one, np.float64) for name, one in constants.items()}


@inline
def integrate(
    V_m,
    w,
    g_ex,
    dg_ex,
    g_in,
    dg_in,
    refractory,
    current,
    c_ref,
    substeps,
    c_more,
    g_ex_by_dg_ex,
    decay_g_ex,
    g_in_by_dg_in,
    decay_g_in,
    mean_by_g_ex,
    mean_by_dg_ex,
    mean_by_g_in,
    mean_by_dg_in,
    k12,
    c_E_ex,
    c_E_in,
    c_I_e,
    c_a,
    k17,
    c_E_L,
    k19,
    k20,
    k21,
    k22,
    k23,
    k24,
    k25,
    k26,
    k27,
    k28,
    k29,
    k30,
    k31,
    c_b,
    limit,
    c_V_reset,
    k35,
    k36,
    k37,
    k38,
):
    """Advance one neuron by one part of a step, without input."""
    held = refractory > 0
    mean_g_ex = mean_by_g_ex * g_ex + mean_by_dg_ex * dg_ex
    mean_g_in = mean_by_g_in * g_in + mean_by_dg_in * dg_in
    t3 = k12 - mean_g_ex - mean_g_in
    t4 = c_E_ex * mean_g_ex
    t5 = c_E_in * mean_g_in
    t6 = current + t4 + t5 + c_I_e
    t7 = c_a * V_m
    t8 = t7 - w
    t9 = k17 * t8
    t10 = V_m + c_E_L
    t11 = k19 * t10
    t12 = exp(t11)
    t13 = k20 * t12
    t14 = t3 + t13
    t15 = k21 * t14
    t16 = V_m * t3
    t17 = k22 * t12
    t18 = t6 + t16 + t17 - w
    t19 = k21 * t18
    t20 = t15 > k23
    t21 = t19 > k24
    t22 = t20 & t21
    t23 = not held
    t24 = t22 & t23
    t25 = min(t15, k23)
    t26 = k25 * t25
    t27 = k26 - t26
    t28 = k27 * t9
    t29 = t19 - t28
    t30 = (t29) / t27
    t31 = held | t24
    t32 = k24 if t31 else t30
    t33 = k28 * t32
    t34 = t9 + t33
    t35 = k29 * t34
    t36 = t35 + w
    t37 = V_m + t32
    new_V_m = flush(k30 if t24 else t37)
    new_w = flush(t36)
    new_g_ex = flush(decay_g_ex * g_ex + g_ex_by_dg_ex * dg_ex)
    new_dg_ex = flush(decay_g_ex * dg_ex)
    new_g_in = flush(decay_g_in * g_in + g_in_by_dg_in * dg_in)
    new_dg_in = flush(decay_g_in * dg_in)
    t44 = new_V_m >= k31
    spiked = t44 & (not held)
    t46 = new_w + c_b
    end_w = t46 if spiked else new_w
    t48 = k23 / t15
    t49 = k23 - t48
    t50 = c_V_reset * t3
    t51 = t6 + t50 + k35 - end_w
    t52 = k21 * t49 * t51
    t53 = t52 + c_V_reset
    end_V_m = (min(t53, k36) if t15 > limit else c_V_reset) if spiked else new_V_m
    left = c_more if spiked else refractory
    return end_V_m, end_w, new_g_ex, new_dg_ex, new_g_in, new_dg_in, left, spiked


@inline
def step(
    V_m,
    w,
    g_ex,
    dg_ex,
    g_in,
    dg_in,
    refractory,
    in_ex,
    in_in,
    current,
    c_ref,
    substeps,
    c_more,
    g_ex_by_dg_ex,
    decay_g_ex,
    g_in_by_dg_in,
    decay_g_in,
    mean_by_g_ex,
    mean_by_dg_ex,
    mean_by_g_in,
    mean_by_dg_in,
    k12,
    c_E_ex,
    c_E_in,
    c_I_e,
    c_a,
    k17,
    c_E_L,
    k19,
    k20,
    k21,
    k22,
    k23,
    k24,
    k25,
    k26,
    k27,
    k28,
    k29,
    k30,
    k31,
    c_b,
    limit,
    c_V_reset,
    k35,
    k36,
    k37,
    k38,
):
    """End a step: add its input."""
    held = refractory > 0
    new_dg_ex = dg_ex + k37 * in_ex
    new_dg_in = dg_in - k38 * in_in
    left = np.int32(refractory - 1 if held else 0)
    return V_m, w, g_ex, new_dg_ex, g_in, new_dg_in, left, False
