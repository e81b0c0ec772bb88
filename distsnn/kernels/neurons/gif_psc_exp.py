"""Generalised integrate-and-fire neuron with escape noise (Mensi et al. 2012)."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import exp, exp_array, expm1_array, flush

STATES = (
    *("V_m", "I_syn_ex", "I_syn_in"),
    *("stc_1", "stc_2", "stc_3", "sfa_1", "sfa_2", "sfa_3", "refractory"),
)
RECEPTORS = ("ex", "in")
_DECAYS = ("stc_1", "stc_2", "stc_3", "sfa_1", "sfa_2", "sfa_3")
CONSTANTS = {
    "decay": "real",
    "p21_ex": "real",
    "p21_in": "real",
    "p20": "real",
    "p11_ex": "real",
    "p11_in": "real",
    "drive": "real",
    **{f"decay_{name}": "real" for name in _DECAYS},
    **{f"q_{name}": "real" for name in _DECAYS},
    "v_reset": "real",
    "v_threshold": "real",
    "per_delta": "real",
    "hazard_0": "real",
    "n_ref": "count",
}
DRAWS = ("uniform",)

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
    """Return the constants of `step`; potentials are relative to E_L.

    Decays are kept as exp(-dt/tau) - 1, which float32 holds far better than a number close to 1.
    """
    p = parameters
    tau_m = p["C_m"] / p["g_L"]
    return (
        membrane({**p, "tau_m": tau_m}, dt)
        | {f"decay_{name}": expm1_array(-dt / p[f"tau_{name}"]) for name in _DECAYS}
        | {f"q_{name}": p[f"q_{name}"] for name in _DECAYS}
        | {
            "decay": expm1_array(-dt / tau_m),
            "v_reset": p["V_reset"] - p["E_L"],
            "v_threshold": p["V_T_star"] - p["E_L"],
            "per_delta": 1.0 / p["Delta_V"],
            "hazard_0": p["lambda_0"] * (dt * 1e-3),
            "n_ref": np.rint(p["t_ref"] / dt),
        }
    )


@inline
def _after(x, decay, q, spiked):
    decayed = flush(x + decay * x)
    return decayed + q if spiked else decayed


@inline
def step(
    v,
    i_ex,
    i_in,
    stc_1,
    stc_2,
    stc_3,
    sfa_1,
    sfa_2,
    sfa_3,
    refractory,
    in_ex,
    in_in,
    current,
    u,
    decay,
    p21_ex,
    p21_in,
    p20,
    p11_ex,
    p11_in,
    drive,
    decay_stc_1,
    decay_stc_2,
    decay_stc_3,
    decay_sfa_1,
    decay_sfa_2,
    decay_sfa_3,
    q_stc_1,
    q_stc_2,
    q_stc_3,
    q_sfa_1,
    q_sfa_2,
    q_sfa_3,
    v_reset,
    v_threshold,
    per_delta,
    hazard_0,
    n_ref,
):
    """Advance one neuron by dt; the currents of this step, with its input, act on v in it."""
    i_ex = flush(p11_ex * i_ex + in_ex)
    i_in = flush(p11_in * i_in + in_in)
    outer = drive + p20 * (current - (stc_1 + stc_2 + stc_3))
    free = flush(v + (decay * v + p21_ex * i_ex + p21_in * i_in + outer))
    above = free - (v_threshold + (sfa_1 + sfa_2 + sfa_3))
    hazard = hazard_0 * exp(above * per_delta)
    # 1 - exp(-hazard) is the probability that the uniform u is above exp(-hazard)
    spiked = (refractory <= 0) & (u > exp(-hazard))
    held = spiked | (refractory > 0)
    refractory = np.int32(refractory - 1 if refractory > 0 else 0)
    return (
        v_reset if held else free,
        i_ex,
        i_in,
        _after(stc_1, decay_stc_1, q_stc_1, spiked),
        _after(stc_2, decay_stc_2, q_stc_2, spiked),
        _after(stc_3, decay_stc_3, q_stc_3, spiked),
        _after(sfa_1, decay_sfa_1, q_sfa_1, spiked),
        _after(sfa_2, decay_sfa_2, q_sfa_2, spiked),
        _after(sfa_3, decay_sfa_3, q_sfa_3, spiked),
        n_ref if spiked else refractory,
        spiked,
    )
