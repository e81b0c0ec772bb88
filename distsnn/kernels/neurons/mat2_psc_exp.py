"""Leaky integrator with an adaptive threshold (Kobayashi et al. 2009): exact integration."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import expm1_array, flush
from distsnn.kernels.neurons.iaf_psc_exp import membrane

STATES = ("V_m", "I_syn_ex", "I_syn_in", "V_th_alpha_1", "V_th_alpha_2", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "decay": "real",
    "p21_ex": "real",
    "p21_in": "real",
    "p20": "real",
    "p11_ex": "real",
    "p11_in": "real",
    "drive": "real",
    "decay_1": "real",
    "decay_2": "real",
    "alpha_1": "real",
    "alpha_2": "real",
    "omega": "real",
    "n_ref": "count",
}

Array = npt.NDArray[np.float64]


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of `step`; potentials are relative to E_L.

    Decays are kept as exp(-dt/tau) - 1, which float32 holds far better than a number close to 1.
    """
    p = parameters
    return membrane(p, dt) | {
        "decay": expm1_array(-dt / p["tau_m"]),
        "decay_1": expm1_array(-dt / p["tau_1"]),
        "decay_2": expm1_array(-dt / p["tau_2"]),
        "alpha_1": p["alpha_1"],
        "alpha_2": p["alpha_2"],
        "omega": p["omega"] - p["E_L"],
        "n_ref": np.rint(p["t_ref"] / dt),
    }


@inline
def step(
    v,
    i_ex,
    i_in,
    th_1,
    th_2,
    refractory,
    in_ex,
    in_in,
    current,
    decay,
    p21_ex,
    p21_in,
    p20,
    p11_ex,
    p11_in,
    drive,
    decay_1,
    decay_2,
    alpha_1,
    alpha_2,
    omega,
    n_ref,
):
    """Advance one neuron by dt; the currents of this step act on v from the next on."""
    change = decay * v + p21_ex * i_ex + p21_in * i_in + (drive + p20 * current)
    v = flush(v + change)
    th_1 = flush(th_1 + decay_1 * th_1)
    th_2 = flush(th_2 + decay_2 * th_2)
    spiked = (refractory <= 0) & (v >= omega + th_2 + th_1)
    refractory = np.int32(refractory - 1 if refractory > 0 else 0)
    return (
        v,
        flush(p11_ex * i_ex + in_ex),
        flush(p11_in * i_in + in_in),
        th_1 + alpha_1 if spiked else th_1,
        th_2 + alpha_2 if spiked else th_2,
        n_ref if spiked else refractory,
        spiked,
    )
