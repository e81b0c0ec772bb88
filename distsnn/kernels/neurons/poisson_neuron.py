"""Poisson process: a spike in a step with a given probability.

Written by hand: the neuron has no dynamics that equations would describe.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline

STATES = ()
RECEPTORS = ()
CONSTANTS = {"p": "real"}
DRAWS = ("uniform",)

Array = npt.NDArray[np.float64]


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the probability of a spike in a step."""
    return {"p": parameters["rate"] * (dt * 1e-3)}


@inline
def step(current, u, p):
    """Return whether the neuron spikes; a p of 1 is certain."""
    return (u <= p,)
