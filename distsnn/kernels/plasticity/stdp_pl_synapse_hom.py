"""Power-law STDP (Morrison et al. 2007): potentiation by w^mu, depression by w.

    post: w + learning_rate w^mu x        pre: w - alpha learning_rate w y

x and y count the spikes of source and target, and decay with tau_plus and tau_minus.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import bounded, bounded_power
from distsnn.kernels.plasticity.traces import counted

SOURCE = ("x",)
TARGET = ("y",)
STATES = ()
DECAYS = {"x": "tau_plus", "y": "tau_minus"}
CONSTANTS = {
    "tau_plus": "real",
    "tau_minus": "real",
    "up": "real",
    "down": "real",
    "mu": "real",
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
        "up": p["learning_rate"],
        "down": p["learning_rate"] * p["alpha"],
        "mu": p["mu"],
        "w_min": p["w_min"],
        "w_max": p["w_max"],
    }


source_spike = target_spike = counted


@inline
def on_post(w, x, y, tau_plus, tau_minus, up, down, mu, w_min, w_max):
    """Return the weight after a spike of the target."""
    return (bounded(w + up * bounded_power(w, mu) * x, w_min, w_max),)


@inline
def on_pre(w, x, y, tau_plus, tau_minus, up, down, mu, w_min, w_max):
    """Return the weight after a spike of the source."""
    return (bounded(w - down * w * y, w_min, w_max),)
