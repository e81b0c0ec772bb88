"""LIF neuron with exponential currents: exact integration (Rotter & Diesmann 1999)."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import exp_array, expm1_array, flush

STATES = ("V_m", "I_syn_ex", "I_syn_in", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "p22": "real",
    "p21_ex": "real",
    "p21_in": "real",
    "p20": "real",
    "p11_ex": "real",
    "p11_in": "real",
    "drive": "real",
    "v_th": "real",
    "v_reset": "real",
    "n_ref": "count",
}

Array = npt.NDArray[np.float64]


def current_to_potential(tau_syn: Array, tau_m: Array, c_m: Array, dt: float) -> Array:
    """Return the potential (mV per pA) that a decaying current makes of itself within dt.

    Written with expm1, so that it neither cancels nor divides by zero where the time constants
    are close or equal.
    """
    rate = 1.0 / tau_syn - 1.0 / tau_m
    x = -dt * rate
    same = np.abs(x) < 1e-12
    growth = np.where(same, dt, expm1_array(x) / np.where(same, 1.0, -rate))
    return np.asarray(exp_array(-dt / tau_m) * growth / c_m)


def membrane(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of potential and currents, whatever makes a spike of them."""
    p = parameters
    p20 = p["tau_m"] / p["C_m"] * -expm1_array(-dt / p["tau_m"])
    return {
        "p22": exp_array(-dt / p["tau_m"]),
        "p21_ex": current_to_potential(p["tau_syn_ex"], p["tau_m"], p["C_m"], dt),
        "p21_in": current_to_potential(p["tau_syn_in"], p["tau_m"], p["C_m"], dt),
        "p20": p20,
        "p11_ex": exp_array(-dt / p["tau_syn_ex"]),
        "p11_in": exp_array(-dt / p["tau_syn_in"]),
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
def step(
    v,
    i_ex,
    i_in,
    refractory,
    in_ex,
    in_in,
    current,
    p22,
    p21_ex,
    p21_in,
    p20,
    p11_ex,
    p11_in,
    drive,
    v_th,
    v_reset,
    n_ref,
):
    """Advance one neuron by dt; the currents of this step act on v from the next on."""
    free = flush(p22 * v + p21_ex * i_ex + p21_in * i_in + (drive + p20 * current))
    v = v if refractory > 0 else free
    refractory = np.int32(refractory - 1 if refractory > 0 else 0)
    spiked = v >= v_th
    return (
        v_reset if spiked else v,
        flush(p11_ex * i_ex + in_ex),
        flush(p11_in * i_in + in_in),
        n_ref if spiked else refractory,
        spiked,
    )
