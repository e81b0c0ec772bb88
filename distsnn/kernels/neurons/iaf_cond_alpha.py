"""LIF neuron with alpha-shaped conductances: exponential Euler with mean conductances."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import exp_array, expm1_array, flush
from distsnn.kernels.neurons.iaf_cond_exp import membrane, relaxed

STATES = ("V_m", "g_ex", "dg_ex", "g_in", "dg_in", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "substeps": "count",
    "h": "real",
    "decay_ex": "real",
    "mean_ex": "real",
    "mean_d_ex": "real",
    "peak_ex": "real",
    "decay_in": "real",
    "mean_in": "real",
    "mean_d_in": "real",
    "peak_in": "real",
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


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of `integrate` and `step`; potentials are relative to E_L."""
    p = parameters
    constants = membrane(p, dt)
    h = dt / p["substeps"]
    for name in ("ex", "in"):
        tau = p[f"tau_syn_{name}"]
        x, decay = h / tau, exp_array(-h / tau)
        lost = -expm1_array(-x)
        # means over h of exp(-t/tau) and t exp(-t/tau): what g and dg add to the mean conductance
        constants |= {
            f"decay_{name}": decay,
            f"mean_{name}": lost / x,
            f"mean_d_{name}": tau * (lost - x * decay) / x,
            f"peak_{name}": exp_array(1.0) / tau,
        }
    return {"h": np.asarray(h), **constants}


@inline
def integrate(
    v,
    g_ex,
    dg_ex,
    g_in,
    dg_in,
    refractory,
    current,
    substeps,
    h,
    decay_ex,
    mean_ex,
    mean_d_ex,
    peak_ex,
    decay_in,
    mean_in,
    mean_d_in,
    peak_in,
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
    ex = mean_ex * g_ex + mean_d_ex * dg_ex
    in_ = mean_in * g_in + mean_d_in * dg_in
    free = relaxed(v, ex, in_, i_e + current, g_l, e_ex, e_in, minus_h_c)
    return (
        flush(v if refractory > 0 else free),
        flush(decay_ex * (g_ex + h * dg_ex)),
        flush(decay_ex * dg_ex),
        flush(decay_in * (g_in + h * dg_in)),
        flush(decay_in * dg_in),
        refractory,
        False,
    )


@inline
def step(
    v,
    g_ex,
    dg_ex,
    g_in,
    dg_in,
    refractory,
    in_ex,
    in_in,
    current,
    substeps,
    h,
    decay_ex,
    mean_ex,
    mean_d_ex,
    peak_ex,
    decay_in,
    mean_in,
    mean_d_in,
    peak_in,
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
        g_ex,
        dg_ex + peak_ex * in_ex,
        g_in,
        dg_in - peak_in * in_in,
        n_ref if spiked else refractory,
        spiked,
    )
