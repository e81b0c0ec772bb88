"""Inhibitory plasticity (Vogels et al. 2011): pairings in either order add, each pre spike takes.

    post: w + eta x        pre: w + eta y - eta alpha

x and y count the spikes of source and target, and decay with tau.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import bounded
from distsnn.kernels.plasticity.traces import counted

SOURCE = ("x",)
TARGET = ("y",)
STATES = ()
DECAYS = {"x": "tau", "y": "tau"}
CONSTANTS = {
    "tau": "real",
    "eta": "real",
    "offset": "real",
    "w_min": "real",
    "w_max": "real",
    "w_pre": "real",
}

Array = npt.NDArray[np.float64]


def constants(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the rule's constants, times in steps."""
    p = parameters
    return {
        "tau": p["tau"] / dt,
        "eta": p["eta"],
        "offset": p["eta"] * p["alpha"],
        "w_min": p["w_min"],
        "w_max": p["w_max"],
        # the most that is left after a spike of the source: it stops at the bound, then falls
        "w_pre": np.maximum(p["w_max"] - p["eta"] * p["alpha"], p["w_min"]),
    }


source_spike = target_spike = counted


@inline
def on_post(w, x, y, tau, eta, offset, w_min, w_max, w_pre):
    """Return the weight after a spike of the target."""
    return (bounded(w + eta * x, w_min, w_max),)


@inline
def on_pre(w, x, y, tau, eta, offset, w_min, w_max, w_pre):
    """Return the weight after a spike of the source."""
    # rounded once: the offset, taken alone, would round to the same side every time
    return (bounded(w + (eta * y - offset), w_min, w_pre),)
