"""Event-driven contrastive divergence (Neftci et al. 2014): a symmetric window times a signal.

    post: w + eta m x        pre: w + eta m y

x and y count the spikes of source and target, and decay with tau. The signal m is 1 while data is
shown, -1 while the network reconstructs it, and 0 in between.
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
MODULATED = True
DECAYS = {"x": "tau", "y": "tau"}
CONSTANTS = {"tau": "real", "eta": "real", "w_min": "real", "w_max": "real"}

Array = npt.NDArray[np.float64]


def constants(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the rule's constants, times in steps."""
    p = parameters
    own = {name: p[name] for name in ("eta", "w_min", "w_max")}
    return {"tau": p["tau"] / dt} | own


source_spike = target_spike = counted


@inline
def on_post(w, x, y, m, tau, eta, w_min, w_max):
    """Return the weight after a spike of the target."""
    return (bounded(w + eta * m * x, w_min, w_max),)


@inline
def on_pre(w, x, y, m, tau, eta, w_min, w_max):
    """Return the weight after a spike of the source."""
    return (bounded(w + eta * m * y, w_min, w_max),)
