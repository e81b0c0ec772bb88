"""Hebbian learning with Oja's normalisation, by spikes of the target.

    post: w + eta (x - alpha y w)

x and y count the spikes of source and target, and decay with tau_plus and tau_minus; y is taken
just before the spike.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import bounded
from distsnn.kernels.plasticity.traces import counted, unchanged

SOURCE = ("x",)
TARGET = ("y",)
STATES = ()
DECAYS = {"x": "tau_plus", "y": "tau_minus"}
CONSTANTS = {
    "tau_plus": "real",
    "tau_minus": "real",
    "eta": "real",
    "alpha": "real",
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
        "eta": p["eta"],
        "alpha": p["alpha"],
        "w_min": p["w_min"],
        "w_max": p["w_max"],
    }


source_spike = target_spike = counted


@inline
def on_post(w, x, y, tau_plus, tau_minus, eta, alpha, w_min, w_max):
    """Return the weight after a spike of the target."""
    return (bounded(w + eta * (x - alpha * y * w), w_min, w_max),)


on_pre = unchanged
