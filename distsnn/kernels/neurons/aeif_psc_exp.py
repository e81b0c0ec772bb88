"""aeif_psc_exp, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = I/C_m
    dw/dt = (a*(V_m - E_L) - w)/tau_w
    dI_syn_ex/dt = -I_syn_ex/tau_syn_ex
    dI_syn_in/dt = -I_syn_in/tau_syn_in

Integration, exact: I_syn_ex, I_syn_in
Integration, rosenbrock: V_m, w
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp, exp_array, flush
from distsnn.kernels.propagators import exponential

STATES = ("V_m", "w", "I_syn_ex", "I_syn_in", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "c_ref": "count",
    "substeps": "count",
    "c_more": "count",
    "decay_I_syn_ex": "real",
    "decay_I_syn_in": "real",
    "mean_by_I_syn_ex": "real",
    "mean_by_I_syn_in": "real",
    "c_I_e": "real",
    "c_a": "real",
    "k8": "real",
    "c_E_L": "real",
    "k10": "real",
    "k11": "real",
    "c_g_L": "real",
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
    "c_b": "real",
    "limit": "real",
    "k26": "real",
    "c_V_reset": "real",
    "k28": "real",
}


def propagators(parameters, dt):
    """Return the constants of a part of a step."""
    p = parameters
    h = dt / p["substeps"]
    c_ref = np.rint(p["t_ref"] / dt)
    substeps = np.asarray(p["substeps"])
    c_more = np.where(c_ref > 0, c_ref + 1, 0)
    decay_I_syn_ex = exp_array(-h / p["tau_syn_ex"])
    decay_I_syn_in = exp_array(-h / p["tau_syn_in"])
    m2 = exponential(2, {(0, 0): -1.0 / p["tau_syn_ex"], (1, 0): 1.0 / h}, h)
    mean_by_I_syn_ex = m2[1, 0]
    m4 = exponential(2, {(0, 0): -1.0 / p["tau_syn_in"], (1, 0): 1.0 / h}, h)
    mean_by_I_syn_in = m4[1, 0]
    c_I_e = p["I_e"]
    c_a = p["a"]
    k8 = h / p["tau_w"]
    c_E_L = p["E_L"] - p["V_th"]
    k10 = np.where(p["Delta_T"] > 0.0, 1.0 / p["Delta_T"], 0.0)
    k11 = p["Delta_T"] * p["g_L"] * np.where(p["Delta_T"] > 0.0, 1.0 / p["Delta_T"], 0.0)
    c_g_L = p["g_L"]
    k13 = h / p["C_m"]
    k14 = p["Delta_T"] * p["g_L"]
    k15 = 1.0
    k16 = 0.0
    k17 = 0.5
    k18 = 1.0 + (0.25 * p["a"] * (h * h) / p["C_m"] / p["tau_w"] / (1.0 + (0.5 * h / p["tau_w"])))
    k19 = 0.5 * h / p["C_m"] / (1.0 + (0.5 * h / p["tau_w"]))
    k20 = 0.5 * p["a"] * h / p["tau_w"]
    k21 = 1.0 / (1.0 + (0.5 * h / p["tau_w"]))
    k22 = np.inf
    k23 = np.where(p["Delta_T"] > 0.0, p["V_peak"], p["V_th"]) - p["E_L"]
    c_b = p["b"]
    limit = np.where(c_ref > 0, np.inf, 1.0)
    k26 = (
        p["Delta_T"]
        * p["g_L"]
        * exp_array(
            (p["V_reset"] - p["V_th"]) * np.where(p["Delta_T"] > 0.0, 1.0 / p["Delta_T"], 0.0)
        )
    ) - (p["g_L"] * (p["V_reset"] - p["E_L"]))
    c_V_reset = p["V_reset"] - p["E_L"]
    k28 = np.maximum(
        np.where(p["Delta_T"] > 0.0, p["V_peak"], p["V_th"]) - p["E_L"], p["V_reset"] - p["E_L"]
    )
    constants = {
        "c_ref": c_ref,
        "substeps": substeps,
        "c_more": c_more,
        "decay_I_syn_ex": decay_I_syn_ex,
        "decay_I_syn_in": decay_I_syn_in,
        "mean_by_I_syn_ex": mean_by_I_syn_ex,
        "mean_by_I_syn_in": mean_by_I_syn_in,
        "c_I_e": c_I_e,
        "c_a": c_a,
        "k8": k8,
        "c_E_L": c_E_L,
        "k10": k10,
        "k11": k11,
        "c_g_L": c_g_L,
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
        "c_b": c_b,
        "limit": limit,
        "k26": k26,
        "c_V_reset": c_V_reset,
        "k28": k28,
    }
    return {name: np.asarray(one, np.float64) for name, one in constants.items()}


@inline
def integrate(
    V_m,
    w,
    I_syn_ex,
    I_syn_in,
    refractory,
    current,
    c_ref,
    substeps,
    c_more,
    decay_I_syn_ex,
    decay_I_syn_in,
    mean_by_I_syn_ex,
    mean_by_I_syn_in,
    c_I_e,
    c_a,
    k8,
    c_E_L,
    k10,
    k11,
    c_g_L,
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
    c_b,
    limit,
    k26,
    c_V_reset,
    k28,
):
    """Advance one neuron by one part of a step, without input."""
    held = refractory > 0
    mean_I_syn_ex = mean_by_I_syn_ex * I_syn_ex
    mean_I_syn_in = mean_by_I_syn_in * I_syn_in
    t3 = current + mean_I_syn_ex + c_I_e - mean_I_syn_in
    t4 = c_a * V_m
    t5 = t4 - w
    t6 = k8 * t5
    t7 = V_m + c_E_L
    t8 = k10 * t7
    t9 = exp(t8)
    t10 = k11 * t9
    t11 = t10 - c_g_L
    t12 = k13 * t11
    t13 = k14 * t9
    t14 = c_g_L * V_m
    t15 = t3 + t13 - w - t14
    t16 = k13 * t15
    t17 = t12 > k15
    t18 = t16 > k16
    t19 = t17 & t18
    t20 = not held
    t21 = t19 & t20
    t22 = min(t12, k15)
    t23 = k17 * t22
    t24 = k18 - t23
    t25 = k19 * t6
    t26 = t16 - t25
    t27 = (t26) / t24
    t28 = held | t21
    t29 = k16 if t28 else t27
    t30 = k20 * t29
    t31 = t6 + t30
    t32 = k21 * t31
    t33 = t32 + w
    t34 = V_m + t29
    new_V_m = flush(k22 if t21 else t34)
    new_w = flush(t33)
    new_I_syn_ex = flush(decay_I_syn_ex * I_syn_ex)
    new_I_syn_in = flush(decay_I_syn_in * I_syn_in)
    t39 = new_V_m >= k23
    spiked = t39 & (not held)
    t41 = new_w + c_b
    end_w = t41 if spiked else new_w
    t43 = k15 / t12
    t44 = k15 - t43
    t45 = t3 + k26 - end_w
    t46 = k13 * t44 * t45
    t47 = t46 + c_V_reset
    end_V_m = (min(t47, k28) if t12 > limit else c_V_reset) if spiked else new_V_m
    left = c_more if spiked else refractory
    return end_V_m, end_w, new_I_syn_ex, new_I_syn_in, left, spiked


@inline
def step(
    V_m,
    w,
    I_syn_ex,
    I_syn_in,
    refractory,
    in_ex,
    in_in,
    current,
    c_ref,
    substeps,
    c_more,
    decay_I_syn_ex,
    decay_I_syn_in,
    mean_by_I_syn_ex,
    mean_by_I_syn_in,
    c_I_e,
    c_a,
    k8,
    c_E_L,
    k10,
    k11,
    c_g_L,
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
    c_b,
    limit,
    k26,
    c_V_reset,
    k28,
):
    """End a step: add its input."""
    held = refractory > 0
    new_I_syn_ex = I_syn_ex + in_ex
    new_I_syn_in = I_syn_in - in_in
    left = np.int32(refractory - 1 if held else 0)
    return V_m, w, new_I_syn_ex, new_I_syn_in, left, False
