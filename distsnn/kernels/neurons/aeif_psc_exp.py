"""Adaptive exponential neuron with exponential currents: linearly implicit midpoint rule."""

from distsnn.jit import inline
from distsnn.kernels.functions import flush
from distsnn.kernels.neurons import aeif_cond_exp
from distsnn.kernels.neurons.aeif_cond_exp import SOMA, adaptive, advanced

STATES = ("V_m", "w", "I_syn_ex", "I_syn_in", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "substeps": "count",
    "decay_ex": "real",
    "decay_in": "real",
    "mean_ex": "real",
    "mean_in": "real",
    "g_l": "real",
    "i_e": "real",
    **SOMA,
}

# potentials are relative to E_L
propagators = adaptive
step = aeif_cond_exp.step


@inline
def integrate(
    v,
    w,
    i_ex,
    i_in,
    refractory,
    current,
    substeps,
    decay_ex,
    decay_in,
    mean_ex,
    mean_in,
    g_l,
    i_e,
    *soma,
):
    """Advance one neuron by one part of a step, without input."""
    i = i_e + current + (mean_ex * i_ex - mean_in * i_in)
    v, w, refractory, spiked = advanced(v, w, refractory, g_l, i, *soma)
    return v, w, flush(decay_ex * i_ex), flush(decay_in * i_in), refractory, spiked
