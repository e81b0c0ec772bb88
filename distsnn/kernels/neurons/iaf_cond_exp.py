"""LIF neuron with exponential conductances: exponential Euler with mean conductances."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import exp, exp_array, expm1_array, flush

STATES = ("V_m", "g_ex", "g_in", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "substeps": "count",
    "decay_ex": "real",
    "decay_in": "real",
    "mean_ex": "real",
    "mean_in": "real",
    "g_l": "real",
    "e_ex": "real",
    "e_in": "real",
    "i_e": "real",
    "minus_h_c": "real",
    "v_th": "real",
    "v_reset": "real",
    "n_ref": "count",
}

Array = npt.NDArray[np.float64]


def membrane(p: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of `relaxed`, threshold and reset; potentials are relative to E_L."""
    return {
        "substeps": p["substeps"],
        "g_l": p["g_L"],
        "e_ex": p["E_ex"] - p["E_L"],
        "e_in": p["E_in"] - p["E_L"],
        "i_e": p["I_e"],
        "minus_h_c": -dt / p["substeps"] / p["C_m"],
        "v_th": p["V_th"] - p["E_L"],
        "v_reset": p["V_reset"] - p["E_L"],
        "n_ref": np.rint(p["t_ref"] / dt),
    }


def synaptic(p: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return decay and mean over a part of a step of what decays with tau_syn_ex and tau_syn_in."""
    x_ex = dt / p["substeps"] / p["tau_syn_ex"]
    x_in = dt / p["substeps"] / p["tau_syn_in"]
    return {
        "decay_ex": exp_array(-x_ex),
        "decay_in": exp_array(-x_in),
        "mean_ex": -expm1_array(-x_ex) / x_ex,
        "mean_in": -expm1_array(-x_in) / x_in,
    }


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of `integrate` and `step`."""
    return {**membrane(parameters, dt), **synaptic(parameters, dt)}


@inline
def drawn(v, g, i, minus_h_c):
    """Return V_m after a part of a step, drawn by a conductance g and a current i at V_m = 0."""
    end = i / g
    return end + (v - end) * exp(minus_h_c * g)


@inline
def relaxed(v, g_ex, g_in, current, g_l, e_ex, e_in, minus_h_c):
    """Return the potential after one part of a step with given conductances and current."""
    return drawn(v, g_l + g_ex + g_in, g_ex * e_ex + g_in * e_in + current, minus_h_c)


@inline
def integrate(
    v,
    g_ex,
    g_in,
    refractory,
    current,
    substeps,
    decay_ex,
    decay_in,
    mean_ex,
    mean_in,
    g_l,
    e_ex,
    e_in,
    i_e,
    minus_h_c,
    v_th,
    v_reset,
    n_ref,
):
    """Advance one neuron by one part of a step, without input."""
    free = relaxed(v, mean_ex * g_ex, mean_in * g_in, i_e + current, g_l, e_ex, e_in, minus_h_c)
    return (
        flush(v if refractory > 0 else free),
        flush(decay_ex * g_ex),
        flush(decay_in * g_in),
        refractory,
        False,
    )


@inline
def step(
    v,
    g_ex,
    g_in,
    refractory,
    in_ex,
    in_in,
    current,
    substeps,
    decay_ex,
    decay_in,
    mean_ex,
    mean_in,
    g_l,
    e_ex,
    e_in,
    i_e,
    minus_h_c,
    v_th,
    v_reset,
    n_ref,
):
    """Test the threshold at the end of a step and add its input; inhibitory input is negative."""
    refractory = np.int32(refractory - 1 if refractory > 0 else 0)
    spiked = v >= v_th
    return (
        v_reset if spiked else v,
        g_ex + in_ex,
        g_in - in_in,
        n_ref if spiked else refractory,
        spiked,
    )
