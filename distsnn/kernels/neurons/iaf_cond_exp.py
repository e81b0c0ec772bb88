"""iaf_cond_exp, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = (-g_L*(V_m - E_L) + I_syn + I_e + I_stim)/C_m
    dg_ex/dt = -g_ex/tau_syn_ex
    dg_in/dt = -g_in/tau_syn_in

Integration, exact: g_ex, g_in
Integration, exponential_euler: V_m
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp, exp_array, flush
from distsnn.kernels.propagators import exponential

STATES = ("V_m", "g_ex", "g_in", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "c_ref": "count",
    "substeps": "count",
    "decay_g_ex": "real",
    "decay_g_in": "real",
    "mean_by_g_ex": "real",
    "mean_by_g_in": "real",
    "c_g_L": "real",
    "c_E_ex": "real",
    "c_E_in": "real",
    "c_I_e": "real",
    "k10": "real",
    "c_V_th": "real",
    "c_V_reset": "real",
}


def propagators(parameters, dt):
    """Return the constants of a part of a step."""
    p = parameters
    h = dt / p["substeps"]
    c_ref = np.rint(p["t_ref"] / dt)
    substeps = np.asarray(p["substeps"])
    decay_g_ex = exp_array(-h / p["tau_syn_ex"])
    decay_g_in = exp_array(-h / p["tau_syn_in"])
    m2 = exponential(2, {(0, 0): -1.0 / p["tau_syn_ex"], (1, 0): 1.0 / h}, h)
    mean_by_g_ex = m2[1, 0]
    m4 = exponential(2, {(0, 0): -1.0 / p["tau_syn_in"], (1, 0): 1.0 / h}, h)
    mean_by_g_in = m4[1, 0]
    c_g_L = p["g_L"]
    c_E_ex = p["E_ex"] - p["E_L"]
    c_E_in = p["E_in"] - p["E_L"]
    c_I_e = p["I_e"]
    k10 = -h / p["C_m"]
    c_V_th = p["V_th"] - p["E_L"]
    c_V_reset = p["V_reset"] - p["E_L"]
    constants = {
        "c_ref": c_ref,
        "substeps": substeps,
        "decay_g_ex": decay_g_ex,
        "decay_g_in": decay_g_in,
        "mean_by_g_ex": mean_by_g_ex,
        "mean_by_g_in": mean_by_g_in,
        "c_g_L": c_g_L,
        "c_E_ex": c_E_ex,
        "c_E_in": c_E_in,
        "c_I_e": c_I_e,
        "k10": k10,
        "c_V_th": c_V_th,
        "c_V_reset": c_V_reset,
    }
    return {name: np.asarray(one, np.float64) for name, one in constants.items()}


@inline
def integrate(
    V_m,
    g_ex,
    g_in,
    refractory,
    current,
    c_ref,
    substeps,
    decay_g_ex,
    decay_g_in,
    mean_by_g_ex,
    mean_by_g_in,
    c_g_L,
    c_E_ex,
    c_E_in,
    c_I_e,
    k10,
    c_V_th,
    c_V_reset,
):
    """Advance one neuron by one part of a step, without input."""
    held = refractory > 0
    mean_g_ex = mean_by_g_ex * g_ex
    mean_g_in = mean_by_g_in * g_in
    t3 = mean_g_ex + mean_g_in + c_g_L
    t4 = c_E_ex * mean_g_ex
    t5 = c_E_in * mean_g_in
    t6 = current + t4 + t5 + c_I_e
    t7 = (t6) / t3
    t8 = V_m - t7
    t9 = k10 * t3
    t10 = exp(t9)
    t11 = t8 * t10
    t12 = t7 + t11
    new_V_m = V_m if held else flush(t12)
    new_g_ex = flush(decay_g_ex * g_ex)
    new_g_in = flush(decay_g_in * g_in)
    left = refractory
    return new_V_m, new_g_ex, new_g_in, left, False


@inline
def step(
    V_m,
    g_ex,
    g_in,
    refractory,
    in_ex,
    in_in,
    current,
    c_ref,
    substeps,
    decay_g_ex,
    decay_g_in,
    mean_by_g_ex,
    mean_by_g_in,
    c_g_L,
    c_E_ex,
    c_E_in,
    c_I_e,
    k10,
    c_V_th,
    c_V_reset,
):
    """End a step: add its input."""
    held = refractory > 0
    new_g_ex = g_ex + in_ex
    new_g_in = g_in - in_in
    t3 = V_m >= c_V_th
    spiked = t3
    end_V_m = c_V_reset if spiked else V_m
    left = np.int32(refractory - 1 if held else 0)
    left = c_ref if spiked else left
    return end_V_m, new_g_ex, new_g_in, left, spiked
