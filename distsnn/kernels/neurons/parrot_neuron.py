"""Relay: as many spikes as arrive, in the step in which they arrive."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline

STATES = ()
RECEPTORS = ("spikes",)
CONSTANTS: dict[str, str] = {}
RELAY = True

Array = npt.NDArray[np.float64]


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return no constants."""
    return {}


@inline
def step(spikes, current):
    """Return how many spikes arrived; -1, which stops the run, if that is no whole number."""
    count = np.int32(spikes)
    return (count if count == spikes else np.int32(-1),)
