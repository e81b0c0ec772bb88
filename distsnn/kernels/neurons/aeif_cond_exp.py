"""Adaptive exponential neuron with exponential conductances: linearly implicit midpoint rule."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.conductances import synaptic
from distsnn.kernels.functions import exp, exp_array, flush

STATES = ("V_m", "w", "g_ex", "g_in", "refractory")
RECEPTORS = ("ex", "in")
# Constants of all but synapses and leak, in the order in which `advanced` takes them.
SOMA = {
    "i_spike": "real",
    "slope": "real",
    "v_soft": "real",
    "h_c": "real",
    "half_h_c": "real",
    "w_of_v": "real",
    "w_of_w": "real",
    "implicit": "real",
    "v_peak": "real",
    "v_reset": "real",
    "i_reset": "real",
    "goes_on": "real",
    "b": "real",
    "n_ref": "count",
}
CONSTANTS = {
    "substeps": "count",
    "decay_ex": "real",
    "decay_in": "real",
    "mean_ex": "real",
    "mean_in": "real",
    "e_ex": "real",
    "e_in": "real",
    "g_l": "real",
    "i_e": "real",
    **SOMA,
}

Array = npt.NDArray[np.float64]
# exact in float32: they serve both precisions and promote neither
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
# pA; takes V_m to V_peak whatever the rest, and is still a number in float32 and after products
_MOST_CURRENT = 1e30


def adaptive(p: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of all but the reversal potentials; potentials are relative to E_L."""
    h = dt / p["substeps"]
    n_ref = np.rint(p["t_ref"] / dt)
    smooth = p["Delta_T"] > 0.0
    i_spike, slope = p["g_L"] * p["Delta_T"], 1.0 / np.where(smooth, p["Delta_T"], np.inf)
    i_reset = i_spike * exp_array(slope * (p["V_reset"] - p["V_th"]))
    half_h_c, w_of_w = 0.5 * h / p["C_m"], h / (p["tau_w"] + 0.5 * h)
    return {
        "substeps": p["substeps"],
        **synaptic(p, dt),
        "g_l": p["g_L"],
        "i_e": p["I_e"],
        "i_spike": i_spike,
        "slope": slope,
        "v_soft": p["V_th"] - p["E_L"],
        "h_c": h / p["C_m"],
        "half_h_c": half_h_c,
        "w_of_v": w_of_w * p["a"],
        "w_of_w": w_of_w,
        "implicit": 1.0 + 0.5 * half_h_c * w_of_w * p["a"],
        "v_peak": np.where(smooth, p["V_peak"], p["V_th"]) - p["E_L"],
        "v_reset": p["V_reset"] - p["E_L"],
        "i_reset": np.where(n_ref == 0.0, np.minimum(i_reset, _MOST_CURRENT), 0.0),
        "goes_on": n_ref == 0.0,
        "b": p["b"],
        # counted down once more at the end of the step of the spike
        "n_ref": n_ref + (n_ref > 0),
    }


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of `integrate` and `step`."""
    p = parameters
    return {"e_ex": p["E_ex"] - p["E_L"], "e_in": p["E_in"] - p["E_L"], **adaptive(p, dt)}


@inline
def advanced(
    v,
    w,
    refractory,
    g,
    i,
    i_spike,
    slope,
    v_soft,
    h_c,
    half_h_c,
    w_of_v,
    w_of_w,
    implicit,
    v_peak,
    v_reset,
    i_reset,
    goes_on,
    b,
    n_ref,
):
    """Return V_m, w, the refractory count and whether there was a spike, after a part of a step.

    `g` and `i` are the means of the conductance and of the current at V_m = E_L over the part.
    """
    spike = i_spike * exp(slope * (v - v_soft))
    rise = h_c * (i + spike - w - g * v)
    growth = h_c * (slope * spike - g)
    # the exponential alone would take V_m to infinity within 1/growth parts
    explodes = (growth > _ONE) & (rise > _ZERO)
    limited = growth if growth < _ONE else _ONE
    free = refractory == 0
    # both equations are solved for their changes; that of w while V_m rests comes first
    drift = w_of_v * v - w_of_w * w
    moved = (rise - half_h_c * drift) / (implicit - _HALF * limited)
    moved = moved if free & (not explodes) else _ZERO
    w = w + (drift + _HALF * (w_of_v * moved))
    v = v + moved
    spiked = free & (explodes | (v >= v_peak))
    w = w + b if spiked else w
    # the rest of the part after the spike, unless V_m rests then
    left = goes_on * (_ONE - _ONE / growth) if growth > _ONE else _ZERO
    again = v_reset + left * (h_c * (i + i_reset - w - g * v_reset))
    # a second upstroke waits at the peak for the next part; without Delta_T the reset may be higher
    top = v_peak if v_peak > v_reset else v_reset
    again = top if again > top else again
    return (
        flush(again if spiked else v),
        flush(w),
        n_ref if spiked else refractory,
        spiked,
    )


@inline
def integrate(
    v,
    w,
    g_ex,
    g_in,
    refractory,
    current,
    substeps,
    decay_ex,
    decay_in,
    mean_ex,
    mean_in,
    e_ex,
    e_in,
    g_l,
    i_e,
    *soma,
):
    """Advance one neuron by one part of a step, without input."""
    ex, in_ = mean_ex * g_ex, mean_in * g_in
    g, i = g_l + ex + in_, i_e + current + (ex * e_ex + in_ * e_in)
    v, w, refractory, spiked = advanced(v, w, refractory, g, i, *soma)
    return v, w, flush(decay_ex * g_ex), flush(decay_in * g_in), refractory, spiked


@inline
def step(v, w, g_ex, g_in, refractory, in_ex, in_in, current, *constants):
    """Add a step's input; inhibitory input is negative."""
    left = np.int32(refractory - 1 if refractory > 0 else 0)
    return v, w, g_ex + in_ex, g_in - in_in, left, False
