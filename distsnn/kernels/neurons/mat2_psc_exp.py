"""mat2_psc_exp, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = -(V_m - E_L)/tau_m + I/C_m
    dI_syn_ex/dt = -I_syn_ex/tau_syn_ex
    dI_syn_in/dt = -I_syn_in/tau_syn_in
    dV_th_alpha_1/dt = -V_th_alpha_1/tau_1
    dV_th_alpha_2/dt = -V_th_alpha_2/tau_2

Integration, exact: V_m, I_syn_ex, I_syn_in, V_th_alpha_1, V_th_alpha_2
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp_array, expm1_array, flush
from distsnn.kernels.propagators import exponential

STATES = ("V_m", "I_syn_ex", "I_syn_in", "V_th_alpha_1", "V_th_alpha_2", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "c_ref": "count",
    "V_m_by_I_syn_ex": "real",
    "V_m_by_I_syn_in": "real",
    "V_m_by_rest": "real",
    "V_m_by_I_stim": "real",
    "decay_V_m": "real",
    "decay_I_syn_ex": "real",
    "decay_I_syn_in": "real",
    "decay_V_th_alpha_1": "real",
    "decay_V_th_alpha_2": "real",
    "c_omega": "real",
    "c_alpha_1": "real",
    "c_alpha_2": "real",
}


def propagators(parameters, dt):
    """Return the constants of a part of a step."""
    p = parameters
    h = dt
    c_ref = np.rint(p["t_ref"] / dt)
    m0 = exponential(
        3,
        {
            (0, 0): -1.0 / p["tau_m"],
            (0, 1): 1.0 / p["C_m"],
            (0, 2): 1.0 / p["C_m"],
            (0, 3): p["I_e"] / p["C_m"],
            (0, 4): 1.0 / p["C_m"],
            (1, 1): -1.0 / p["tau_syn_ex"],
            (2, 2): -1.0 / p["tau_syn_in"],
        },
        h,
    )
    V_m_by_I_syn_ex = m0[0, 1]
    V_m_by_I_syn_in = m0[0, 2]
    V_m_by_rest = m0[0, 3]
    V_m_by_I_stim = m0[0, 4]
    decay_V_m = exp_array(-h / p["tau_m"])
    decay_I_syn_ex = exp_array(-h / p["tau_syn_ex"])
    decay_I_syn_in = exp_array(-h / p["tau_syn_in"])
    decay_V_th_alpha_1 = expm1_array(-h / p["tau_1"])
    decay_V_th_alpha_2 = expm1_array(-h / p["tau_2"])
    c_omega = p["omega"] - p["E_L"]
    c_alpha_1 = p["alpha_1"]
    c_alpha_2 = p["alpha_2"]
    constants = {
        "c_ref": c_ref,
        "V_m_by_I_syn_ex": V_m_by_I_syn_ex,
        "V_m_by_I_syn_in": V_m_by_I_syn_in,
        "V_m_by_rest": V_m_by_rest,
        "V_m_by_I_stim": V_m_by_I_stim,
        "decay_V_m": decay_V_m,
        "decay_I_syn_ex": decay_I_syn_ex,
        "decay_I_syn_in": decay_I_syn_in,
        "decay_V_th_alpha_1": decay_V_th_alpha_1,
        "decay_V_th_alpha_2": decay_V_th_alpha_2,
        "c_omega": c_omega,
        "c_alpha_1": c_alpha_1,
        "c_alpha_2": c_alpha_2,
    }
    return {name: np.asarray(one, np.float64) for name, one in constants.items()}


@inline
def step(
    V_m,
    I_syn_ex,
    I_syn_in,
    V_th_alpha_1,
    V_th_alpha_2,
    refractory,
    in_ex,
    in_in,
    current,
    c_ref,
    V_m_by_I_syn_ex,
    V_m_by_I_syn_in,
    V_m_by_rest,
    V_m_by_I_stim,
    decay_V_m,
    decay_I_syn_ex,
    decay_I_syn_in,
    decay_V_th_alpha_1,
    decay_V_th_alpha_2,
    c_omega,
    c_alpha_1,
    c_alpha_2,
):
    """Advance one neuron by dt."""
    held = refractory > 0
    new_V_m = flush(
        decay_V_m * V_m
        + V_m_by_I_syn_ex * I_syn_ex
        + V_m_by_I_syn_in * I_syn_in
        + (V_m_by_rest + V_m_by_I_stim * current)
    )
    new_I_syn_ex = flush(decay_I_syn_ex * I_syn_ex + in_ex)
    new_I_syn_in = flush(decay_I_syn_in * I_syn_in + in_in)
    new_V_th_alpha_1 = flush(V_th_alpha_1 + (decay_V_th_alpha_1 * V_th_alpha_1))
    new_V_th_alpha_2 = flush(V_th_alpha_2 + (decay_V_th_alpha_2 * V_th_alpha_2))
    t6 = new_V_m - new_V_th_alpha_1 - new_V_th_alpha_2
    t7 = t6 >= c_omega
    spiked = t7 & (not held)
    t9 = new_V_th_alpha_1 + c_alpha_1
    end_V_th_alpha_1 = t9 if spiked else new_V_th_alpha_1
    t11 = new_V_th_alpha_2 + c_alpha_2
    end_V_th_alpha_2 = t11 if spiked else new_V_th_alpha_2
    left = np.int32(refractory - 1 if held else 0)
    left = c_ref if spiked else left
    return new_V_m, new_I_syn_ex, new_I_syn_in, end_V_th_alpha_1, end_V_th_alpha_2, left, spiked
