"""Errors of neurons and synapses of a rank."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from distsnn.kernels import emission
from distsnn.network import Network


class Fault(NamedTuple):
    """A fault of a neuron or synapse; the smallest of several faults is the first.

    Attributes
    ----------
    step, gid : int
        When, and with whom.
    problem : str
        All of it, for a message.
    """

    step: int
    gid: int
    problem: str


def neuron_fault(counts: npt.NDArray[np.int64], network: Network) -> tuple[int, int, str] | None:
    """Return step, gid and a text of a rank's first fault of a neuron, if there is any.

    Parameters
    ----------
    counts : ndarray of int64
        The words of `kernels.emission` that hold it.
    network : Network
        The network.
    """
    if counts[emission.FAULT] == 0:
        return None
    gid, step = int(counts[emission.FAULT_GID]), int(counts[emission.FAULT_LOOP]) + 1
    starts = [*network.first_gid.values()]
    population = network.populations[int(np.searchsorted(starts, gid, side="right")) - 1]
    if counts[emission.FAULT] == emission.NO_COUNT:
        problem = (
            f"its number of spikes in the step is not an integer from 0 to {emission.MAX_SPIKES}"
        )
    else:
        name = [*population.model.states][int(counts[emission.FAULT_STATE])]
        problem = f"{name} is not finite"
    return step, gid, f"population {population.name!r}, gid {gid}, step {step}: {problem}"
