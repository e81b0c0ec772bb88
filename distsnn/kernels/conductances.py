"""What kernels of neurons with exponential conductances share."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import exp, exp_array, expm1_array

Array = npt.NDArray[np.float64]


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


@inline
def drawn(v, g, i, minus_h_c):
    """Return V_m after a part of a step, drawn by a conductance g and a current i at V_m = 0."""
    end = i / g
    return end + (v - end) * exp(minus_h_c * g)
