"""iaf_psc_delta, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = -(V_m - E_L)/tau_m + (I_e + I_stim)/C_m

Integration, exact: V_m
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import expm1_array, flush
from distsnn.kernels.propagators import exponential

STATES = ("V_m", "refractory")
RECEPTORS = ("delta",)
CONSTANTS = {
    "c_ref": "count",
    "V_m_by_rest": "real",
    "V_m_by_I_stim": "real",
    "decay_V_m": "real",
    "c_V_th": "real",
    "c_V_reset": "real",
}


def propagators(parameters, dt):
    """Return the constants of a part of a step."""
    p = parameters
    h = dt
    c_ref = np.rint(p["t_ref"] / dt)
    m0 = exponential(
        1, {(0, 0): -1.0 / p["tau_m"], (0, 1): p["I_e"] / p["C_m"], (0, 2): 1.0 / p["C_m"]}, h
    )
    V_m_by_rest = m0[0, 1]
    V_m_by_I_stim = m0[0, 2]
    decay_V_m = expm1_array(-h / p["tau_m"])
    c_V_th = p["V_th"] - p["E_L"]
    c_V_reset = p["V_reset"] - p["E_L"]
    constants = {
        "c_ref": c_ref,
        "V_m_by_rest": V_m_by_rest,
        "V_m_by_I_stim": V_m_by_I_stim,
        "decay_V_m": decay_V_m,
        "c_V_th": c_V_th,
        "c_V_reset": c_V_reset,
    }
    return {name: np.asarray(one, np.float64) for name, one in constants.items()}


@inline
def step(
    V_m,
    refractory,
    in_delta,
    current,
    c_ref,
    V_m_by_rest,
    V_m_by_I_stim,
    decay_V_m,
    c_V_th,
    c_V_reset,
):
    """Advance one neuron by dt."""
    held = refractory > 0
    new_V_m = (
        V_m
        if held
        else flush(V_m + (decay_V_m * V_m + (V_m_by_rest + V_m_by_I_stim * current)) + in_delta)
    )
    t2 = new_V_m >= c_V_th
    spiked = t2
    end_V_m = c_V_reset if spiked else new_V_m
    left = np.int32(refractory - 1 if held else 0)
    left = c_ref if spiked else left
    return end_V_m, left, spiked
