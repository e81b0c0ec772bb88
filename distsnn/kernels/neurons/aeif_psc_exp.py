"""Adaptive exponential neuron with exponential currents: linearly implicit midpoint rule."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import flush
from distsnn.kernels.neurons.aeif_cond_exp import adaptive, advanced

STATES = ("V_m", "w", "I_syn_ex", "I_syn_in", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "substeps": "count",
    "half_decay_ex": "real",
    "half_decay_in": "real",
    "g_l": "real",
    "i_e": "real",
    "i_spike": "real",
    "slope": "real",
    "v_soft": "real",
    "h_c": "real",
    "h_w": "real",
    "a": "real",
    "v_peak": "real",
    "v_reset": "real",
    "i_reset": "real",
    "goes_on": "real",
    "b": "real",
    "n_ref": "count",
}

Array = npt.NDArray[np.float64]


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of `integrate` and `step`; potentials are relative to E_L."""
    return adaptive(parameters, dt)


@inline
def integrate(
    v,
    w,
    i_ex,
    i_in,
    refractory,
    current,
    substeps,
    half_decay_ex,
    half_decay_in,
    g_l,
    i_e,
    i_spike,
    slope,
    v_soft,
    h_c,
    h_w,
    a,
    v_peak,
    v_reset,
    i_reset,
    goes_on,
    b,
    n_ref,
):
    """Advance one neuron by one part of a step, without input."""
    i_ex, i_in = half_decay_ex * i_ex, half_decay_in * i_in
    i = i_e + current + (i_ex - i_in)
    v, w, refractory, spiked = advanced(
        v,
        w,
        refractory,
        g_l,
        i,
        i_spike,
        slope,
        v_soft,
        h_c,
        h_w,
        a,
        v_peak,
        v_reset,
        i_reset,
        goes_on,
        b,
        n_ref,
    )
    return v, w, flush(half_decay_ex * i_ex), flush(half_decay_in * i_in), refractory, spiked


@inline
def step(
    v,
    w,
    i_ex,
    i_in,
    refractory,
    in_ex,
    in_in,
    current,
    substeps,
    half_decay_ex,
    half_decay_in,
    g_l,
    i_e,
    i_spike,
    slope,
    v_soft,
    h_c,
    h_w,
    a,
    v_peak,
    v_reset,
    i_reset,
    goes_on,
    b,
    n_ref,
):
    """Add a step's input; inhibitory input is negative."""
    left = np.int32(refractory - 1 if refractory > 0 else 0)
    return v, w, i_ex + in_ex, i_in - in_in, left, False
