"""iaf_psc_exp, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = -(V_m - E_L)/tau_m + I/C_m
    dI_syn_ex/dt = -I_syn_ex/tau_syn_ex
    dI_syn_in/dt = -I_syn_in/tau_syn_in

Integration, exact: V_m, I_syn_ex, I_syn_in
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp_array, expm1_array, flush
from distsnn.kernels.propagators import exponential

STATES = ("V_m", "I_syn_ex", "I_syn_in", "refractory")
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
    "c_V_th": "real",
    "c_V_reset": "real",
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
    decay_I_syn_ex = exp_array(-h / p["tau_syn_ex"])
    decay_I_syn_in = exp_array(-h / p["tau_syn_in"])
    c_V_th = p["V_th"] - p["E_L"]
    c_V_reset = p["V_reset"] - p["E_L"]
    constants = {
        "c_ref": c_ref,
        "V_m_by_I_syn_ex": V_m_by_I_syn_ex,
        "V_m_by_I_syn_in": V_m_by_I_syn_in,
        "V_m_by_rest": V_m_by_rest,
        "V_m_by_I_stim": V_m_by_I_stim,
        "decay_V_m": decay_V_m,
        "decay_I_syn_ex": decay_I_syn_ex,
        "decay_I_syn_in": decay_I_syn_in,
        "c_V_th": c_V_th,
        "c_V_reset": c_V_reset,
    }
    return {name: np.asarray(one, np.float64) for name, one in constants.items()}


@inline
def step(
    V_m,
    I_syn_ex,
    I_syn_in,
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
    c_V_th,
    c_V_reset,
):
    """Advance one neuron by dt."""
    held = refractory > 0
    new_V_m = (
        V_m
        if held
        else flush(
            V_m
            + (
                decay_V_m * V_m
                + V_m_by_I_syn_ex * I_syn_ex
                + V_m_by_I_syn_in * I_syn_in
                + (V_m_by_rest + V_m_by_I_stim * current)
            )
        )
    )
    new_I_syn_ex = flush(decay_I_syn_ex * I_syn_ex + in_ex)
    new_I_syn_in = flush(decay_I_syn_in * I_syn_in + in_in)
    t4 = new_V_m >= c_V_th
    spiked = t4
    end_V_m = c_V_reset if spiked else new_V_m
    left = np.int32(refractory - 1 if held else 0)
    left = c_ref if spiked else left
    return end_V_m, new_I_syn_ex, new_I_syn_in, left, spiked
