"""LIF neuron with delta input: exact integration (Rotter & Diesmann 1999)."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import exp_array, expm1_array, flush

STATES = ("V_m", "refractory")
RECEPTORS = ("delta",)
CONSTANTS = {
    "p33": "real",
    "p30": "real",
    "drive": "real",
    "v_th": "real",
    "v_reset": "real",
    "n_ref": "count",
}

Array = npt.NDArray[np.float64]


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of `step`; potentials are relative to E_L."""
    p = parameters
    p30 = p["tau_m"] / p["C_m"] * -expm1_array(-dt / p["tau_m"])
    return {
        "p33": exp_array(-dt / p["tau_m"]),
        "p30": p30,
        "drive": p30 * p["I_e"],
        "v_th": p["V_th"] - p["E_L"],
        "v_reset": p["V_reset"] - p["E_L"],
        "n_ref": np.rint(p["t_ref"] / dt),
    }


@inline
def step(v, refractory, in_delta, current, p33, p30, drive, v_th, v_reset, n_ref):
    """Advance one neuron by dt; input during the refractory time is lost."""
    free = flush((drive + p30 * current) + p33 * v + in_delta)
    v = v if refractory > 0 else free
    refractory = np.int32(refractory - 1 if refractory > 0 else 0)
    spiked = v >= v_th
    return (v_reset if spiked else v, n_ref if spiked else refractory, spiked)
