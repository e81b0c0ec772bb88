"""LIF neuron with alpha-shaped currents: exact integration (Rotter & Diesmann 1999)."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import exp_array, expm1_array, flush
from distsnn.kernels.neurons.iaf_psc_exp import current_to_potential

STATES = ("V_m", "I_syn_ex", "dI_syn_ex", "I_syn_in", "dI_syn_in", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "decay": "real",
    "p32_ex": "real",
    "p31_ex": "real",
    "p32_in": "real",
    "p31_in": "real",
    "p30": "real",
    "p21_ex": "real",
    "p21_in": "real",
    "decay_ex": "real",
    "decay_in": "real",
    "rise_ex": "real",
    "rise_in": "real",
    "drive": "real",
    "v_th": "real",
    "v_reset": "real",
    "n_ref": "count",
}

Array = npt.NDArray[np.float64]


def rise_to_potential(tau_syn: Array, tau_m: Array, c_m: Array, dt: float) -> Array:
    """Return the potential (mV per pA/ms) that an alpha current makes of its rise within dt.

    It is exp(-dt/tau_m)/C_m times the integral of t exp(-a t) over dt, a = 1/tau_syn - 1/tau_m. The
    closed form cancels where the time constants are close; there the series is used.
    """
    x = dt * (1.0 / tau_syn - 1.0 / tau_m)
    near = np.abs(x) < 1.0
    far = np.where(near, 1.0, x)
    closed = (1.0 - exp_array(-far) * (1.0 + far)) / (far * far)
    # ∫ u exp(-x u) du over [0, 1] = Σ (-x)^n / (n! (n + 2)); 19 terms will do
    series, term = np.zeros(x.shape), np.ones(x.shape)
    for n in range(19):
        series, term = series + term / (n + 2), term * np.where(near, -x, 0.0) / (n + 1)
    integral = dt * dt * np.where(near, series, closed)
    return np.asarray(exp_array(-dt / tau_m) / c_m * integral)


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of `step`; potentials are relative to E_L.

    Decays are kept as exp(-dt/tau) - 1, which float32 holds far better than a number close to 1.
    """
    p = parameters
    p30 = p["tau_m"] / p["C_m"] * -expm1_array(-dt / p["tau_m"])
    constants = {
        "decay": expm1_array(-dt / p["tau_m"]),
        "p30": p30,
        "drive": p30 * p["I_e"],
        "v_th": p["V_th"] - p["E_L"],
        "v_reset": p["V_reset"] - p["E_L"],
        "n_ref": np.rint(p["t_ref"] / dt),
    }
    for side in ("ex", "in"):
        tau = p[f"tau_syn_{side}"]
        constants |= {
            f"p32_{side}": current_to_potential(tau, p["tau_m"], p["C_m"], dt),
            f"p31_{side}": rise_to_potential(tau, p["tau_m"], p["C_m"], dt),
            f"p21_{side}": dt * exp_array(-dt / tau),
            f"decay_{side}": expm1_array(-dt / tau),
            f"rise_{side}": np.e / tau,
        }
    return constants


@inline
def step(
    v,
    i_ex,
    di_ex,
    i_in,
    di_in,
    refractory,
    in_ex,
    in_in,
    current,
    decay,
    p32_ex,
    p31_ex,
    p32_in,
    p31_in,
    p30,
    p21_ex,
    p21_in,
    decay_ex,
    decay_in,
    rise_ex,
    rise_in,
    drive,
    v_th,
    v_reset,
    n_ref,
):
    """Advance one neuron by dt; the currents of this step act on v from the next on."""
    from_ex = p32_ex * i_ex + p31_ex * di_ex
    from_in = p32_in * i_in + p31_in * di_in
    free = flush(v + (decay * v + from_ex + from_in + (drive + p30 * current)))
    v = v if refractory > 0 else free
    refractory = np.int32(refractory - 1 if refractory > 0 else 0)
    spiked = v >= v_th
    return (
        v_reset if spiked else v,
        flush(i_ex + (decay_ex * i_ex + p21_ex * di_ex)),
        flush(di_ex + (decay_ex * di_ex + rise_ex * in_ex)),
        flush(i_in + (decay_in * i_in + p21_in * di_in)),
        flush(di_in + (decay_in * di_in + rise_in * in_in)),
        n_ref if spiked else refractory,
        spiked,
    )
