"""Which neurons of a slice have a synapse onto which other slices: expected, or counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_Integer = TypeVar("_Integer", bound=np.integer[Any])

_PAIRS_PER_CHUNK = 1 << 22  # contacts that are looked at at a time


@dataclass(frozen=True, eq=False)
class ExpectedConnectivity:
    """How many neurons of a slice have a synapse onto another, over all seeds.

    Parameters
    ----------
    neurons, variance : ndarray of float64, shape (n_edges,)
        Mean and variance of the number, for each edge of the traffic graph.
    """

    neurons: Floats
    variance: Floats


@dataclass(frozen=True, eq=False)
class BuiltConnectivity:
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

    def neuron_core_pairs(self, core: Ints, cores: int) -> Iterator[tuple[Ints, Ints]]:
        """Yield each neuron (gid) and core that it reaches, once, where slices lie on cores.

        Neurons ascend, and cores within a neuron. They come in pieces of whole neurons, as all of
        them at once would take several times what is held.

        Parameters
        ----------
        core : ndarray of int64, shape (n_slices,)
            Core of each slice.
        cores : int
            Number of cores.
        """
        n, base, start = self.start.size - 1, np.int64(max(cores, 1)), 0
        while start < n:
            end = (
                np.searchsorted(self.start, self.start[start] + _PAIRS_PER_CHUNK, side="right") - 1
            )
            stop = min(max(int(end), start + 1), n)
            bounds = self.start[start : stop + 1]
            neuron = np.repeat(np.arange(start, stop), np.diff(bounds))
            pairs = sorted_unique(neuron * base + core[self.target[bounds[0] : bounds[-1]]])
            yield np.divmod(pairs, base)
            start = stop


def sorted_unique(values: npt.NDArray[_Integer]) -> npt.NDArray[_Integer]:
    """Return each value once, ascending: `np.unique` hashes integers, a hundred times slower."""
    ascending = _sorted(values)
    return ascending[_is_first(ascending)]


def unique_counts(values: Ints) -> tuple[Ints, Ints]:
    """Return each value once, ascending, and how many times it was there."""
    ascending = _sorted(values)
    starts = np.flatnonzero(_is_first(ascending))
    return ascending[starts], np.diff(starts, append=ascending.size)


def _sorted(values: npt.NDArray[_Integer]) -> npt.NDArray[_Integer]:
    # pairs often are so already
    return np.sort(values) if (values[1:] < values[:-1]).any() else values


def _is_first(values: npt.NDArray[_Integer]) -> npt.NDArray[np.bool_]:
    is_first = np.ones(values.size, bool)
    np.not_equal(values[1:], values[:-1], out=is_first[1:])
    return is_first
