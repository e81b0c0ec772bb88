"""iaf_cond_exp_sfa_rr, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = I/C_m
    dg_ex/dt = -g_ex/tau_syn_ex
    dg_in/dt = -g_in/tau_syn_in
    dg_sfa/dt = -g_sfa/tau_sfa
    dg_rr/dt = -g_rr/tau_rr

Integration, exact: g_ex, g_in, g_sfa, g_rr
Integration, exponential_euler: V_m
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp, exp_array, expm1_array, flush
from distsnn.kernels.propagators import exponential

STATES = ("V_m", "g_ex", "g_in", "g_sfa", "g_rr", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "c_ref": "count",
    "substeps": "count",
    "decay_g_ex": "real",
    "decay_g_in": "real",
    "decay_g_sfa": "real",
    "decay_g_rr": "real",
    "mean_by_g_ex": "real",
    "mean_by_g_in": "real",
    "mean_by_g_sfa": "real",
    "mean_by_g_rr": "real",
    "c_g_L": "real",
    "c_E_ex": "real",
    "c_E_in": "real",
    "c_E_rr": "real",
    "c_E_sfa": "real",
    "c_I_e": "real",
    "k18": "real",
    "c_V_th": "real",
    "c_V_reset": "real",
    "c_q_sfa": "real",
    "c_q_rr": "real",
}


def propagators(parameters, dt):
    """Return the constants of a part of a step."""
    p = parameters
    h = dt / p["substeps"]
    c_ref = np.rint(p["t_ref"] / dt)
    substeps = np.asarray(p["substeps"])
    decay_g_ex = exp_array(-h / p["tau_syn_ex"])
    decay_g_in = expm1_array(-h / p["tau_syn_in"])
    decay_g_sfa = expm1_array(-h / p["tau_sfa"])
    decay_g_rr = exp_array(-h / p["tau_rr"])
    m4 = exponential(2, {(0, 0): -1.0 / p["tau_syn_ex"], (1, 0): 1.0 / h}, h)
    mean_by_g_ex = m4[1, 0]
    m6 = exponential(2, {(0, 0): -1.0 / p["tau_syn_in"], (1, 0): 1.0 / h}, h)
    mean_by_g_in = m6[1, 0]
    m8 = exponential(2, {(0, 0): -1.0 / p["tau_sfa"], (1, 0): 1.0 / h}, h)
    mean_by_g_sfa = m8[1, 0]
    m10 = exponential(2, {(0, 0): -1.0 / p["tau_rr"], (1, 0): 1.0 / h}, h)
    mean_by_g_rr = m10[1, 0]
    c_g_L = p["g_L"]
    c_E_ex = p["E_ex"] - p["E_L"]
    c_E_in = p["E_in"] - p["E_L"]
    c_E_rr = p["E_rr"] - p["E_L"]
    c_E_sfa = p["E_sfa"] - p["E_L"]
    c_I_e = p["I_e"]
    k18 = -h / p["C_m"]
    c_V_th = p["V_th"] - p["E_L"]
    c_V_reset = p["V_reset"] - p["E_L"]
    c_q_sfa = p["q_sfa"]
    c_q_rr = p["q_rr"]
    constants = {
        "c_ref": c_ref,
        "substeps": substeps,
        "decay_g_ex": decay_g_ex,
        "decay_g_in": decay_g_in,
        "decay_g_sfa": decay_g_sfa,
        "decay_g_rr": decay_g_rr,
        "mean_by_g_ex": mean_by_g_ex,
        "mean_by_g_in": mean_by_g_in,
        "mean_by_g_sfa": mean_by_g_sfa,
        "mean_by_g_rr": mean_by_g_rr,
        "c_g_L": c_g_L,
        "c_E_ex": c_E_ex,
        "c_E_in": c_E_in,
        "c_E_rr": c_E_rr,
        "c_E_sfa": c_E_sfa,
        "c_I_e": c_I_e,
        "k18": k18,
        "c_V_th": c_V_th,
        "c_V_reset": c_V_reset,
        "c_q_sfa": c_q_sfa,
        "c_q_rr": c_q_rr,
    }
    return {name: np.asarray(one, np.float64) for name, one in constants.items()}


@inline
def integrate(
    V_m,
    g_ex,
    g_in,
    g_sfa,
    g_rr,
    refractory,
    current,
    c_ref,
    substeps,
    decay_g_ex,
    decay_g_in,
    decay_g_sfa,
    decay_g_rr,
    mean_by_g_ex,
    mean_by_g_in,
    mean_by_g_sfa,
    mean_by_g_rr,
    c_g_L,
    c_E_ex,
    c_E_in,
    c_E_rr,
    c_E_sfa,
    c_I_e,
    k18,
    c_V_th,
    c_V_reset,
    c_q_sfa,
    c_q_rr,
):
    """Advance one neuron by one part of a step, without input."""
    held = refractory > 0
    mean_g_ex = mean_by_g_ex * g_ex
    mean_g_in = mean_by_g_in * g_in
    mean_g_sfa = mean_by_g_sfa * g_sfa
    mean_g_rr = mean_by_g_rr * g_rr
    t5 = mean_g_ex + mean_g_in + mean_g_rr + mean_g_sfa + c_g_L
    t6 = c_E_ex * mean_g_ex
    t7 = c_E_in * mean_g_in
    t8 = c_E_rr * mean_g_rr
    t9 = c_E_sfa * mean_g_sfa
    t10 = current + t6 + t7 + t8 + t9 + c_I_e
    t11 = (t10) / t5
    t12 = V_m - t11
    t13 = k18 * t5
    t14 = exp(t13)
    t15 = t12 * t14
    t16 = t11 + t15
    new_V_m = V_m if held else flush(t16)
    new_g_ex = flush(decay_g_ex * g_ex)
    new_g_in = flush(g_in + (decay_g_in * g_in))
    new_g_sfa = flush(g_sfa + (decay_g_sfa * g_sfa))
    new_g_rr = flush(decay_g_rr * g_rr)
    left = refractory
    return new_V_m, new_g_ex, new_g_in, new_g_sfa, new_g_rr, left, False


@inline
def step(
    V_m,
    g_ex,
    g_in,
    g_sfa,
    g_rr,
    refractory,
    in_ex,
    in_in,
    current,
    c_ref,
    substeps,
    decay_g_ex,
    decay_g_in,
    decay_g_sfa,
    decay_g_rr,
    mean_by_g_ex,
    mean_by_g_in,
    mean_by_g_sfa,
    mean_by_g_rr,
    c_g_L,
    c_E_ex,
    c_E_in,
    c_E_rr,
    c_E_sfa,
    c_I_e,
    k18,
    c_V_th,
    c_V_reset,
    c_q_sfa,
    c_q_rr,
):
    """End a step: add its input."""
    held = refractory > 0
    new_g_ex = g_ex + in_ex
    new_g_in = g_in - in_in
    t3 = V_m >= c_V_th
    spiked = t3 & (not held)
    end_V_m = c_V_reset if spiked else V_m
    t6 = g_sfa + c_q_sfa
    end_g_sfa = t6 if spiked else g_sfa
    t8 = g_rr + c_q_rr
    end_g_rr = t8 if spiked else g_rr
    left = np.int32(refractory - 1 if held else 0)
    left = c_ref if spiked else left
    return end_V_m, new_g_ex, new_g_in, end_g_sfa, end_g_rr, left, spiked
