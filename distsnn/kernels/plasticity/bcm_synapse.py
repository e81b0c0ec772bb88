"""BCM's rule with a sliding threshold (Bienenstock, Cooper & Munro 1982), by spikes of the target.

    post: w + eta x (y - theta)

x and y count the spikes of source and target, and decay with tau_plus and tau_minus. theta decays
with tau_theta, and a spike adds y tau_minus/(tau_theta y_0) to it: on average theta = y²/y_0. All
are taken just before the spike.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import bounded
from distsnn.kernels.plasticity.traces import counted, unchanged

SOURCE = ("x",)
TARGET = ("y", "theta")
STATES = ()
DECAYS = {"x": "tau_plus", "y": "tau_minus", "theta": "tau_theta"}
CONSTANTS = {
    "tau_plus": "real",
    "tau_minus": "real",
    "tau_theta": "real",
    "eta": "real",
    "slide": "real",
    "w_min": "real",
    "w_max": "real",
}

Array = npt.NDArray[np.float64]


def constants(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the rule's constants, times in steps."""
    p = parameters
    return {
        "tau_plus": p["tau_plus"] / dt,
        "tau_minus": p["tau_minus"] / dt,
        "tau_theta": p["tau_theta"] / dt,
        "eta": p["eta"],
        # tau_minus/(tau_theta y_0), where y_0 = rate_0 tau_minus is y at the rate in question
        "slide": 1000.0 / (p["tau_theta"] * p["rate_0"]),
        "w_min": p["w_min"],
        "w_max": p["w_max"],
    }


source_spike = counted


@inline
def target_spike(y, theta, tau_plus, tau_minus, tau_theta, eta, slide, w_min, w_max):
    """Return the target's traces after its spike."""
    return y + type(y)(1), theta + slide * y


@inline
def on_post(w, x, y, theta, tau_plus, tau_minus, tau_theta, eta, slide, w_min, w_max):
    """Return the weight after a spike of the target."""
    return (bounded(w + eta * x * (y - theta), w_min, w_max),)


on_pre = unchanged
