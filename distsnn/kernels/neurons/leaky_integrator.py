"""leaky_integrator, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = -(V_m - E_L)/tau_m + (I_syn + I_e + I_stim)/C_m
    dI_syn/dt = -I_syn/tau_syn

Integration, exact: V_m, I_syn
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp_array, expm1_array, flush
from distsnn.kernels.propagators import exponential

STATES = ("V_m", "I_syn")
RECEPTORS = ("syn",)
CONSTANTS = {
    "V_m_by_I_syn": "real",
    "V_m_by_rest": "real",
    "V_m_by_I_stim": "real",
    "decay_V_m": "real",
    "decay_I_syn": "real",
}


def propagators(parameters, dt):
    """Return the constants of a part of a step."""
    p = parameters
    h = dt
    m0 = exponential(
        2,
        {
            (0, 0): -1.0 / p["tau_m"],
            (0, 1): 1.0 / p["C_m"],
            (0, 2): p["I_e"] / p["C_m"],
            (0, 3): 1.0 / p["C_m"],
            (1, 1): -1.0 / p["tau_syn"],
        },
        h,
    )
    V_m_by_I_syn = m0[0, 1]
    V_m_by_rest = m0[0, 2]
    V_m_by_I_stim = m0[0, 3]
    decay_V_m = expm1_array(-h / p["tau_m"])
    decay_I_syn = exp_array(-h / p["tau_syn"])
    constants = {
        "V_m_by_I_syn": V_m_by_I_syn,
        "V_m_by_rest": V_m_by_rest,
        "V_m_by_I_stim": V_m_by_I_stim,
        "decay_V_m": decay_V_m,
        "decay_I_syn": decay_I_syn,
    }
    return {name: np.asarray(one, np.float64) for name, one in constants.items()}


@inline
def step(
    V_m, I_syn, in_syn, current, V_m_by_I_syn, V_m_by_rest, V_m_by_I_stim, decay_V_m, decay_I_syn
):
    """Advance one neuron by dt."""
    new_V_m = flush(
        V_m + (decay_V_m * V_m + V_m_by_I_syn * I_syn + (V_m_by_rest + V_m_by_I_stim * current))
    )
    new_I_syn = flush(decay_I_syn * I_syn + in_syn)
    return new_V_m, new_I_syn, False
