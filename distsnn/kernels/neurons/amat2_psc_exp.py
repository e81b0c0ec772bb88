"""amat2_psc_exp, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = slope
    dI_syn_ex/dt = -I_syn_ex/tau_syn_ex
    dI_syn_in/dt = -I_syn_in/tau_syn_in
    dV_th_alpha_1/dt = -V_th_alpha_1/tau_1
    dV_th_alpha_2/dt = -V_th_alpha_2/tau_2
    dV_th_v/dt = V_th_dv - V_th_v/tau_v
    dV_th_dv/dt = beta*slope - V_th_dv/tau_v

Integration, exact: V_m, I_syn_ex, I_syn_in, V_th_alpha_1, V_th_alpha_2, V_th_v, V_th_dv
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp_array, expm1_array, flush
from distsnn.kernels.propagators import exponential

STATES = (
    "V_m",
    "I_syn_ex",
    "I_syn_in",
    "V_th_alpha_1",
    "V_th_alpha_2",
    "V_th_v",
    "V_th_dv",
    "refractory",
)
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
    "V_th_v_by_V_m": "real",
    "V_th_v_by_I_syn_ex": "real",
    "V_th_v_by_I_syn_in": "real",
    "V_th_v_by_V_th_dv": "real",
    "V_th_v_by_rest": "real",
    "V_th_v_by_I_stim": "real",
    "decay_V_th_v": "real",
    "V_th_dv_by_V_m": "real",
    "V_th_dv_by_I_syn_ex": "real",
    "V_th_dv_by_I_syn_in": "real",
    "V_th_dv_by_rest": "real",
    "V_th_dv_by_I_stim": "real",
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
    decay_V_m = expm1_array(-h / p["tau_m"])
    decay_I_syn_ex = expm1_array(-h / p["tau_syn_ex"])
    decay_I_syn_in = expm1_array(-h / p["tau_syn_in"])
    decay_V_th_alpha_1 = expm1_array(-h / p["tau_1"])
    decay_V_th_alpha_2 = expm1_array(-h / p["tau_2"])
    m10 = exponential(
        5,
        {
            (0, 0): -1.0 / p["tau_m"],
            (0, 1): 1.0 / p["C_m"],
            (0, 2): 1.0 / p["C_m"],
            (0, 5): p["I_e"] / p["C_m"],
            (0, 6): 1.0 / p["C_m"],
            (1, 1): -1.0 / p["tau_syn_ex"],
            (2, 2): -1.0 / p["tau_syn_in"],
            (3, 3): -1.0 / p["tau_v"],
            (3, 4): 1.0,
            (4, 0): -p["beta"] / p["tau_m"],
            (4, 1): p["beta"] / p["C_m"],
            (4, 2): p["beta"] / p["C_m"],
            (4, 4): -1.0 / p["tau_v"],
            (4, 5): p["I_e"] * p["beta"] / p["C_m"],
            (4, 6): p["beta"] / p["C_m"],
        },
        h,
    )
    V_th_v_by_V_m = m10[3, 0]
    V_th_v_by_I_syn_ex = m10[3, 1]
    V_th_v_by_I_syn_in = m10[3, 2]
    V_th_v_by_V_th_dv = m10[3, 4]
    V_th_v_by_rest = m10[3, 5]
    V_th_v_by_I_stim = m10[3, 6]
    decay_V_th_v = exp_array(-h / p["tau_v"])
    m18 = exponential(
        4,
        {
            (0, 0): -1.0 / p["tau_m"],
            (0, 1): 1.0 / p["C_m"],
            (0, 2): 1.0 / p["C_m"],
            (0, 4): p["I_e"] / p["C_m"],
            (0, 5): 1.0 / p["C_m"],
            (1, 1): -1.0 / p["tau_syn_ex"],
            (2, 2): -1.0 / p["tau_syn_in"],
            (3, 0): -p["beta"] / p["tau_m"],
            (3, 1): p["beta"] / p["C_m"],
            (3, 2): p["beta"] / p["C_m"],
            (3, 3): -1.0 / p["tau_v"],
            (3, 4): p["I_e"] * p["beta"] / p["C_m"],
            (3, 5): p["beta"] / p["C_m"],
        },
        h,
    )
    V_th_dv_by_V_m = m18[3, 0]
    V_th_dv_by_I_syn_ex = m18[3, 1]
    V_th_dv_by_I_syn_in = m18[3, 2]
    V_th_dv_by_rest = m18[3, 4]
    V_th_dv_by_I_stim = m18[3, 5]
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
        "V_th_v_by_V_m": V_th_v_by_V_m,
        "V_th_v_by_I_syn_ex": V_th_v_by_I_syn_ex,
        "V_th_v_by_I_syn_in": V_th_v_by_I_syn_in,
        "V_th_v_by_V_th_dv": V_th_v_by_V_th_dv,
        "V_th_v_by_rest": V_th_v_by_rest,
        "V_th_v_by_I_stim": V_th_v_by_I_stim,
        "decay_V_th_v": decay_V_th_v,
        "V_th_dv_by_V_m": V_th_dv_by_V_m,
        "V_th_dv_by_I_syn_ex": V_th_dv_by_I_syn_ex,
        "V_th_dv_by_I_syn_in": V_th_dv_by_I_syn_in,
        "V_th_dv_by_rest": V_th_dv_by_rest,
        "V_th_dv_by_I_stim": V_th_dv_by_I_stim,
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
    V_th_v,
    V_th_dv,
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
    V_th_v_by_V_m,
    V_th_v_by_I_syn_ex,
    V_th_v_by_I_syn_in,
    V_th_v_by_V_th_dv,
    V_th_v_by_rest,
    V_th_v_by_I_stim,
    decay_V_th_v,
    V_th_dv_by_V_m,
    V_th_dv_by_I_syn_ex,
    V_th_dv_by_I_syn_in,
    V_th_dv_by_rest,
    V_th_dv_by_I_stim,
    c_omega,
    c_alpha_1,
    c_alpha_2,
):
    """Advance one neuron by dt."""
    held = refractory > 0
    new_V_m = flush(
        V_m
        + (
            decay_V_m * V_m
            + V_m_by_I_syn_ex * I_syn_ex
            + V_m_by_I_syn_in * I_syn_in
            + (V_m_by_rest + V_m_by_I_stim * current)
        )
    )
    new_I_syn_ex = flush(I_syn_ex + (decay_I_syn_ex * I_syn_ex) + in_ex)
    new_I_syn_in = flush(I_syn_in + (decay_I_syn_in * I_syn_in) + in_in)
    new_V_th_alpha_1 = flush(V_th_alpha_1 + (decay_V_th_alpha_1 * V_th_alpha_1))
    new_V_th_alpha_2 = flush(V_th_alpha_2 + (decay_V_th_alpha_2 * V_th_alpha_2))
    new_V_th_v = flush(
        decay_V_th_v * V_th_v
        + V_th_v_by_V_m * V_m
        + V_th_v_by_I_syn_ex * I_syn_ex
        + V_th_v_by_I_syn_in * I_syn_in
        + V_th_v_by_V_th_dv * V_th_dv
        + (V_th_v_by_rest + V_th_v_by_I_stim * current)
    )
    new_V_th_dv = flush(
        decay_V_th_v * V_th_dv
        + V_th_dv_by_V_m * V_m
        + V_th_dv_by_I_syn_ex * I_syn_ex
        + V_th_dv_by_I_syn_in * I_syn_in
        + (V_th_dv_by_rest + V_th_dv_by_I_stim * current)
    )
    t8 = new_V_m - new_V_th_alpha_1 - new_V_th_alpha_2 - new_V_th_v
    t9 = t8 >= c_omega
    spiked = t9 & (not held)
    t11 = new_V_th_alpha_1 + c_alpha_1
    end_V_th_alpha_1 = t11 if spiked else new_V_th_alpha_1
    t13 = new_V_th_alpha_2 + c_alpha_2
    end_V_th_alpha_2 = t13 if spiked else new_V_th_alpha_2
    left = np.int32(refractory - 1 if held else 0)
    left = c_ref if spiked else left
    return (
        new_V_m,
        new_I_syn_ex,
        new_I_syn_in,
        end_V_th_alpha_1,
        end_V_th_alpha_2,
        new_V_th_v,
        new_V_th_dv,
        left,
        spiked,
    )
