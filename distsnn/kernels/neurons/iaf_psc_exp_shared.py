"""LIF neuron with one exponential current: exact integration (Rotter & Diesmann 1999)."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import exp_array, expm1_array, flush
from distsnn.kernels.neurons.iaf_psc_exp import current_to_potential

STATES = ("V_m", "I_syn", "refractory")
RECEPTORS = ("syn",)
CONSTANTS = {
    "p22": "real",
    "p21": "real",
    "p20": "real",
    "p11": "real",
    "drive": "real",
    "v_th": "real",
    "v_reset": "real",
    "n_ref": "count",
}

Array = npt.NDArray[np.float64]


def membrane(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of potential and current, whatever makes a spike of them."""
    p = parameters
    p20 = p["tau_m"] / p["C_m"] * -expm1_array(-dt / p["tau_m"])
    return {
        "p22": exp_array(-dt / p["tau_m"]),
        "p21": current_to_potential(p["tau_syn"], p["tau_m"], p["C_m"], dt),
        "p20": p20,
        "p11": exp_array(-dt / p["tau_syn"]),
        "drive": p20 * p["I_e"],
    }


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of `step`; potentials are relative to E_L."""
    p = parameters
    return membrane(p, dt) | {
        "v_th": p["V_th"] - p["E_L"],
        "v_reset": p["V_reset"] - p["E_L"],
        "n_ref": np.rint(p["t_ref"] / dt),
    }


@inline
def step(v, i, refractory, in_syn, current, p22, p21, p20, p11, drive, v_th, v_reset, n_ref):
    """Advance one neuron by dt; the current of this step acts on v from the next on."""
    free = flush(p22 * v + p21 * i + (drive + p20 * current))
    v = v if refractory > 0 else free
    refractory = np.int32(refractory - 1 if refractory > 0 else 0)
    spiked = v >= v_th
    return (
        v_reset if spiked else v,
        flush(p11 * i + in_syn),
        n_ref if spiked else refractory,
        spiked,
    )
