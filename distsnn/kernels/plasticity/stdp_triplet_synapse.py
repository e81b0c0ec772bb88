"""Triplet STDP (Pfister & Gerstner 2006): each pairing also counts earlier spikes of its own side.

    post: w + x (Aplus + Aplus_triplet y2)        pre: w - y (Aminus + Aminus_triplet x2)

x and x2 count the spikes of the source and decay with tau_plus and tau_plus_triplet; y and y2 those
of the target. All are taken just before the spike.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import bounded

SOURCE = ("x", "x2")
TARGET = ("y", "y2")
STATES = ()
DECAYS = {
    "x": "tau_plus",
    "x2": "tau_plus_triplet",
    "y": "tau_minus",
    "y2": "tau_minus_triplet",
}
CONSTANTS = {
    "tau_plus": "real",
    "tau_plus_triplet": "real",
    "tau_minus": "real",
    "tau_minus_triplet": "real",
    "up": "real",
    "up3": "real",
    "down": "real",
    "down3": "real",
    "w_min": "real",
    "w_max": "real",
}

Array = npt.NDArray[np.float64]


def constants(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the rule's constants, times in steps."""
    p = parameters
    return {name: p[name] / dt for name in DECAYS.values()} | {
        "up": p["Aplus"],
        "up3": p["Aplus_triplet"],
        "down": p["Aminus"],
        "down3": p["Aminus_triplet"],
        "w_min": p["w_min"],
        "w_max": p["w_max"],
    }


@inline
def source_spike(fast, slow, *constants):
    """Return a neuron's traces after its spike."""
    return fast + type(fast)(1), slow + type(slow)(1)


target_spike = source_spike


@inline
def on_post(w, x, x2, y, y2, tau_x, tau_x2, tau_y, tau_y2, up, up3, down, down3, w_min, w_max):
    """Return the weight after a spike of the target."""
    return (bounded(w + x * (up + up3 * y2), w_min, w_max),)


@inline
def on_pre(w, x, x2, y, y2, tau_x, tau_x2, tau_y, tau_y2, up, up3, down, down3, w_min, w_max):
    """Return the weight after a spike of the source."""
    return (bounded(w - y * (down + down3 * x2), w_min, w_max),)
