"""aeif_psc_alpha, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = I/C_m
    dw/dt = (a*(V_m - E_L) - w)/tau_w
    dI_syn_ex/dt = dI_syn_ex - I_syn_ex/tau_syn_ex
    ddI_syn_ex/dt = -dI_syn_ex/tau_syn_ex
    dI_syn_in/dt = dI_syn_in - I_syn_in/tau_syn_in
    ddI_syn_in/dt = -dI_syn_in/tau_syn_in

Integration, exact: I_syn_ex, dI_syn_ex, I_syn_in, dI_syn_in
Integration, rosenbrock: V_m, w
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp, exp_array, flush
from distsnn.kernels.propagators import exponential

STATES = ("V_m", "w", "I_syn_ex", "dI_syn_ex", "I_syn_in", "dI_syn_in", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "c_ref": "count",
    "substeps": "count",
    "c_more": "count",
    "I_syn_ex_by_dI_syn_ex": "real",
    "decay_I_syn_ex": "real",
    "I_syn_in_by_dI_syn_in": "real",
    "decay_I_syn_in": "real",
    "mean_by_I_syn_ex": "real",
    "mean_by_dI_syn_ex": "real",
    "mean_by_I_syn_in": "real",
    "mean_by_dI_syn_in": "real",
    "c_I_e": "real",
    "c_a": "real",
    "k14": "real",
    "c_E_L": "real",
    "k16": "real",
    "k17": "real",
    "c_g_L": "real",
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
    "c_b": "real",
    "limit": "real",
    "k32": "real",
    "c_V_reset": "real",
    "k34": "real",
    "k35": "real",
    "k36": "real",
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
    I_syn_ex_by_dI_syn_ex = m0[0, 1]
    decay_I_syn_ex = exp_array(-h / p["tau_syn_ex"])
    m3 = exponential(
        2, {(0, 0): -1.0 / p["tau_syn_in"], (0, 1): 1.0, (1, 1): -1.0 / p["tau_syn_in"]}, h
    )
    I_syn_in_by_dI_syn_in = m3[0, 1]
    decay_I_syn_in = exp_array(-h / p["tau_syn_in"])
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
    mean_by_I_syn_ex = m6[2, 0]
    mean_by_dI_syn_ex = m6[2, 1]
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
    mean_by_I_syn_in = m9[2, 0]
    mean_by_dI_syn_in = m9[2, 1]
    c_I_e = p["I_e"]
    c_a = p["a"]
    k14 = h / p["tau_w"]
    c_E_L = p["E_L"] - p["V_th"]
    k16 = np.where(p["Delta_T"] > 0.0, 1.0 / p["Delta_T"], 0.0)
    k17 = p["Delta_T"] * p["g_L"] * np.where(p["Delta_T"] > 0.0, 1.0 / p["Delta_T"], 0.0)
    c_g_L = p["g_L"]
    k19 = h / p["C_m"]
    k20 = p["Delta_T"] * p["g_L"]
    k21 = 1.0
    k22 = 0.0
    k23 = 0.5
    k24 = 1.0 + (0.25 * p["a"] * (h * h) / p["C_m"] / p["tau_w"] / (1.0 + (0.5 * h / p["tau_w"])))
    k25 = 0.5 * h / p["C_m"] / (1.0 + (0.5 * h / p["tau_w"]))
    k26 = 0.5 * p["a"] * h / p["tau_w"]
    k27 = 1.0 / (1.0 + (0.5 * h / p["tau_w"]))
    k28 = np.inf
    k29 = np.where(p["Delta_T"] > 0.0, p["V_peak"], p["V_th"]) - p["E_L"]
    c_b = p["b"]
    limit = np.where(c_ref > 0, np.inf, 1.0)
    k32 = (
        p["Delta_T"]
        * p["g_L"]
        * exp_array(
            (p["V_reset"] - p["V_th"]) * np.where(p["Delta_T"] > 0.0, 1.0 / p["Delta_T"], 0.0)
        )
    ) - (p["g_L"] * (p["V_reset"] - p["E_L"]))
    c_V_reset = p["V_reset"] - p["E_L"]
    k34 = np.maximum(
        np.where(p["Delta_T"] > 0.0, p["V_peak"], p["V_th"]) - p["E_L"], p["V_reset"] - p["E_L"]
    )
    k35 = exp_array(1.0) / p["tau_syn_ex"]
    k36 = exp_array(1.0) / p["tau_syn_in"]
    constants = {
        "c_ref": c_ref,
        "substeps": substeps,
        "c_more": c_more,
        "I_syn_ex_by_dI_syn_ex": I_syn_ex_by_dI_syn_ex,
        "decay_I_syn_ex": decay_I_syn_ex,
        "I_syn_in_by_dI_syn_in": I_syn_in_by_dI_syn_in,
        "decay_I_syn_in": decay_I_syn_in,
        "mean_by_I_syn_ex": mean_by_I_syn_ex,
        "mean_by_dI_syn_ex": mean_by_dI_syn_ex,
        "mean_by_I_syn_in": mean_by_I_syn_in,
        "mean_by_dI_syn_in": mean_by_dI_syn_in,
        "c_I_e": c_I_e,
        "c_a": c_a,
        "k14": k14,
        "c_E_L": c_E_L,
        "k16": k16,
        "k17": k17,
        "c_g_L": c_g_L,
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
        "c_b": c_b,
        "limit": limit,
        "k32": k32,
        "c_V_reset": c_V_reset,
        "k34": k34,
        "k35": k35,
        "k36": k36,
    }
    return {name: np.asarray(one, np.float64) for name, one in constants.items()}


@inline
def integrate(
    V_m,
    w,
    I_syn_ex,
    dI_syn_ex,
    I_syn_in,
    dI_syn_in,
    refractory,
    current,
    c_ref,
    substeps,
    c_more,
    I_syn_ex_by_dI_syn_ex,
    decay_I_syn_ex,
    I_syn_in_by_dI_syn_in,
    decay_I_syn_in,
    mean_by_I_syn_ex,
    mean_by_dI_syn_ex,
    mean_by_I_syn_in,
    mean_by_dI_syn_in,
    c_I_e,
    c_a,
    k14,
    c_E_L,
    k16,
    k17,
    c_g_L,
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
    c_b,
    limit,
    k32,
    c_V_reset,
    k34,
    k35,
    k36,
):
    """Advance one neuron by one part of a step, without input."""
    held = refractory > 0
    mean_I_syn_ex = mean_by_I_syn_ex * I_syn_ex + mean_by_dI_syn_ex * dI_syn_ex
    mean_I_syn_in = mean_by_I_syn_in * I_syn_in + mean_by_dI_syn_in * dI_syn_in
    t3 = current + mean_I_syn_ex + c_I_e - mean_I_syn_in
    t4 = c_a * V_m
    t5 = t4 - w
    t6 = k14 * t5
    t7 = V_m + c_E_L
    t8 = k16 * t7
    t9 = exp(t8)
    t10 = k17 * t9
    t11 = t10 - c_g_L
    t12 = k19 * t11
    t13 = k20 * t9
    t14 = c_g_L * V_m
    t15 = t3 + t13 - w - t14
    t16 = k19 * t15
    t17 = t12 > k21
    t18 = t16 > k22
    t19 = t17 & t18
    t20 = not held
    t21 = t19 & t20
    t22 = min(t12, k21)
    t23 = k23 * t22
    t24 = k24 - t23
    t25 = k25 * t6
    t26 = t16 - t25
    t27 = (t26) / t24
    t28 = held | t21
    t29 = k22 if t28 else t27
    t30 = k26 * t29
    t31 = t6 + t30
    t32 = k27 * t31
    t33 = t32 + w
    t34 = V_m + t29
    new_V_m = flush(k28 if t21 else t34)
    new_w = flush(t33)
    new_I_syn_ex = flush(decay_I_syn_ex * I_syn_ex + I_syn_ex_by_dI_syn_ex * dI_syn_ex)
    new_dI_syn_ex = flush(decay_I_syn_ex * dI_syn_ex)
    new_I_syn_in = flush(decay_I_syn_in * I_syn_in + I_syn_in_by_dI_syn_in * dI_syn_in)
    new_dI_syn_in = flush(decay_I_syn_in * dI_syn_in)
    t41 = new_V_m >= k29
    spiked = t41 & (not held)
    t43 = new_w + c_b
    end_w = t43 if spiked else new_w
    t45 = k21 / t12
    t46 = k21 - t45
    t47 = t3 + k32 - end_w
    t48 = k19 * t46 * t47
    t49 = t48 + c_V_reset
    end_V_m = (min(t49, k34) if t12 > limit else c_V_reset) if spiked else new_V_m
    left = c_more if spiked else refractory
    return end_V_m, end_w, new_I_syn_ex, new_dI_syn_ex, new_I_syn_in, new_dI_syn_in, left, spiked


@inline
def step(
    V_m,
    w,
    I_syn_ex,
    dI_syn_ex,
    I_syn_in,
    dI_syn_in,
    refractory,
    in_ex,
    in_in,
    current,
    c_ref,
    substeps,
    c_more,
    I_syn_ex_by_dI_syn_ex,
    decay_I_syn_ex,
    I_syn_in_by_dI_syn_in,
    decay_I_syn_in,
    mean_by_I_syn_ex,
    mean_by_dI_syn_ex,
    mean_by_I_syn_in,
    mean_by_dI_syn_in,
    c_I_e,
    c_a,
    k14,
    c_E_L,
    k16,
    k17,
    c_g_L,
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
    c_b,
    limit,
    k32,
    c_V_reset,
    k34,
    k35,
    k36,
):
    """End a step: add its input."""
    held = refractory > 0
    new_dI_syn_ex = dI_syn_ex + k35 * in_ex
    new_dI_syn_in = dI_syn_in - k36 * in_in
    left = np.int32(refractory - 1 if held else 0)
    return V_m, w, I_syn_ex, new_dI_syn_ex, I_syn_in, new_dI_syn_in, left, False
