"""Relay: emits the arriving number of spikes, in the step in which they arrive.

Written by hand: the neuron has no dynamics, and may spike several times in a step.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.emission import MAX_SPIKES

STATES = ()
RECEPTORS = ("spikes",)
CONSTANTS: dict[str, str] = {}
RELAY = True

Array = npt.NDArray[np.float64]
# Reals beyond the integers' range have no defined integer. These two are refused themselves.
_LOW, _HIGH = np.float32(-1.0), np.float32(MAX_SPIKES + 1)


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return no constants."""
    return {}


@inline
def step(spikes, current):
    """Return the number of arriving spikes; -1 or 128, which stop the run, if it is not allowed."""
    count = np.int32(min(max(spikes, _LOW), _HIGH))
    return (count if count == spikes else np.int32(-1),)
