"""Relay: emits the arriving number of spikes, in the step in which they arrive.

Written by hand: the neuron has no dynamics, and may spike several times in a step.
"""

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
    """Return the number of arriving spikes; -1, which stops the run, if it is not an integer."""
    count = np.int32(spikes)
    return (count if count == spikes else np.int32(-1),)
