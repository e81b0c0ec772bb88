"""Adaptive exponential neuron of voltage-based plasticity: linearly implicit midpoint rule.

The count `refractory` runs from n_spike, the steps of a spike and its refractory time, down to 0:
V_m is clamped above n_ref, and rests from there on.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import exp, exp_array, expm1_array, flush

STATES = ("V_m", "w", "z", "V_th", "u_bar_plus", "u_bar_minus", "u_bar_bar", "refractory")
RECEPTORS = ("delta",)
CONSTANTS = {
    "substeps": "count",
    "half_decay_z": "real",
    "half_decay_th": "real",
    "to_plus": "real",
    "to_minus": "real",
    "to_bar": "real",
    "g_l": "real",
    "i_e": "real",
    "i_spike": "real",
    "slope": "real",
    "v_soft": "real",
    "h_c": "real",
    "half_h_c": "real",
    "w_of_v": "real",
    "w_of_w": "real",
    "implicit": "real",
    "v_peak": "real",
    "sharp": "real",
    "v_clamp": "real",
    "v_reset": "real",
    "b": "real",
    "i_sp": "real",
    "th_max": "real",
    "n_ref": "count",
    "n_spike": "count",
}

Array = npt.NDArray[np.float64]
# exact in float32: they serve both precisions and promote neither
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants; potentials are relative to E_L, thresholds to V_th_rest."""
    p = parameters
    h = dt / p["substeps"]
    n_ref = np.rint(p["t_ref"] / dt)
    smooth = p["Delta_T"] > 0.0
    half_h_c, w_of_w = 0.5 * h / p["C_m"], h / (p["tau_w"] + 0.5 * h)
    return {
        "substeps": p["substeps"],
        "half_decay_z": exp_array(-0.5 * h / p["tau_z"]),
        "half_decay_th": exp_array(-0.5 * h / p["tau_V_th"]),
        "to_plus": -expm1_array(-h / p["tau_u_bar_plus"]),
        "to_minus": -expm1_array(-h / p["tau_u_bar_minus"]),
        "to_bar": -expm1_array(-h / p["tau_u_bar_bar"]),
        "g_l": p["g_L"],
        "i_e": p["I_e"],
        "i_spike": p["g_L"] * p["Delta_T"],
        "slope": 1.0 / np.where(smooth, p["Delta_T"], np.inf),
        "v_soft": p["V_th_rest"] - p["E_L"],
        "h_c": h / p["C_m"],
        "half_h_c": half_h_c,
        "w_of_v": w_of_w * p["a"],
        "w_of_w": w_of_w,
        "implicit": 1.0 + 0.5 * half_h_c * w_of_w * p["a"],
        "v_peak": np.where(smooth, p["V_peak"], p["V_th_rest"]) - p["E_L"],
        # without an exponential V_th is where neurons spike
        "sharp": np.where(smooth, 0.0, 1.0),
        "v_clamp": p["V_clamp"] - p["E_L"],
        "v_reset": p["V_reset"] - p["E_L"],
        "b": p["b"],
        "i_sp": p["I_sp"],
        "th_max": p["V_th_max"] - p["V_th_rest"],
        "n_ref": n_ref,
        # counted down once more at the end of the step of the spike
        "n_spike": np.rint(p["t_clamp"] / dt) + n_ref + 1.0,
    }


@inline
def integrate(
    v,
    w,
    z,
    th,
    plus,
    minus,
    bar,
    refractory,
    current,
    substeps,
    half_decay_z,
    half_decay_th,
    to_plus,
    to_minus,
    to_bar,
    g_l,
    i_e,
    i_spike,
    slope,
    v_soft,
    h_c,
    half_h_c,
    w_of_v,
    w_of_w,
    implicit,
    v_peak,
    sharp,
    v_clamp,
    v_reset,
    b,
    i_sp,
    th_max,
    n_ref,
    n_spike,
):
    """Advance one neuron by one part of a step, without input."""
    # what drives the potential is that of the middle of the part
    z, th = half_decay_z * z, half_decay_th * th
    spike = i_spike * exp(slope * (v - v_soft - th))
    rise = h_c * (i_e + current + z + spike - w - g_l * v)
    growth = h_c * (slope * spike - g_l)
    # the exponential alone would take V_m to infinity within 1/growth parts
    explodes = (growth > _ONE) & (rise > _ZERO)
    limited = growth if growth < _ONE else _ONE
    free, clamped = refractory == 0, refractory > n_ref
    # both equations are solved for their changes; that of w while V_m rests comes first
    drift = w_of_v * v - w_of_w * w
    moved = (rise - half_h_c * drift) / (implicit - _HALF * limited)
    moved = moved if free & (not explodes) else _ZERO
    w = w if clamped else w + (drift + _HALF * (w_of_v * moved))
    middle = v + _HALF * moved
    v = v + moved
    z, th = half_decay_z * z, half_decay_th * th
    before = minus
    plus = plus + to_plus * (middle - plus)
    minus = minus + to_minus * (middle - minus)
    bar = bar + to_bar * (_HALF * (before + minus) - bar)
    spiked = free & (explodes | (v >= v_peak + sharp * th))
    return (
        flush(v_clamp if spiked else v),
        flush(w + b if spiked else w),
        flush(i_sp if spiked else z),
        flush(th_max if spiked else th),
        flush(plus),
        flush(minus),
        flush(bar),
        n_spike if spiked else refractory,
        spiked,
    )


@inline
def step(
    v,
    w,
    z,
    th,
    plus,
    minus,
    bar,
    refractory,
    in_delta,
    current,
    substeps,
    half_decay_z,
    half_decay_th,
    to_plus,
    to_minus,
    to_bar,
    g_l,
    i_e,
    i_spike,
    slope,
    v_soft,
    h_c,
    half_h_c,
    w_of_v,
    w_of_w,
    implicit,
    v_peak,
    sharp,
    v_clamp,
    v_reset,
    b,
    i_sp,
    th_max,
    n_ref,
    n_spike,
):
    """Add a step's input, which may make the neuron spike, and count the step."""
    free = refractory == 0
    v = v + in_delta if free else v
    spiked = free & (v >= v_peak + sharp * th)
    count = n_spike if spiked else refractory
    left = np.int32(count - 1 if count > 0 else 0)
    ends = (left == n_ref) & (count > n_ref)
    v = v_clamp if spiked else v
    return (
        v_reset if ends else v,
        w + b if spiked else w,
        i_sp if spiked else z,
        th_max if spiked else th,
        plus,
        minus,
        bar,
        left,
        spiked,
    )
