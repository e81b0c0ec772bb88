"""Which neurons of a slice have a synapse onto which other slices: expected, or counted."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Expected:
    """How many neurons of a slice have a synapse onto another, over all seeds.

    Parameters
    ----------
    neurons, variance : ndarray of float64, shape (n_edges,)
        Mean and variance of the number, for each edge of the traffic graph.
    """

    neurons: Floats
    variance: Floats


@dataclass(frozen=True, eq=False)
class Counted:
    """Which neurons have a synapse onto which slices, in a network that was wired.

    Parameters
    ----------
    start : ndarray of int64, shape (n_neurons + 1,)
        The slices that neuron g reaches are ``target[start[g]:start[g + 1]]``.
    target : ndarray of int32, shape (n_contacts,)
        Slices, ascending within a neuron.
    rate : ndarray of float64, shape (n_neurons,)
        Rates, spikes/s.
    fan_in, fan_out : ndarray of int64, shape (n_neurons,)
        Synapses onto each neuron, and of each.
    """

    start: npt.NDArray[np.int64]
    target: npt.NDArray[np.int32]
    rate: Floats
    fan_in: npt.NDArray[np.int64]
    fan_out: npt.NDArray[np.int64]

    def onto(
        self, core: npt.NDArray[np.int64], cores: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return each neuron (gid) and core that it reaches, once, where slices lie on cores."""
        neuron = np.repeat(np.arange(self.start.size - 1), np.diff(self.start))
        found = np.unique(neuron * np.int64(max(cores, 1)) + core[self.target])
        return found // max(cores, 1), found % max(cores, 1)
