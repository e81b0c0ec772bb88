"""Connectivity of neurons and slices: expected from the description, or of a built network."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_Integer = TypeVar("_Integer", bound=np.integer[Any])

_PAIRS_PER_CHUNK = 1 << 22  # neuron-slice pairs that are processed at a time


@dataclass(frozen=True, eq=False)
class ExpectedConnectivity:
    """Distribution over seeds of the number of neurons with a synapse onto another slice.

    Parameters
    ----------
    neurons, variance : ndarray of float64, shape (n_edges,)
        Mean and variance of the number of source neurons, for each edge of the traffic graph.
    """

    neurons: Floats
    variance: Floats


@dataclass(frozen=True, eq=False)
class BuiltConnectivity:
    """Pairs of a neuron and a slice onto which it has a synapse, in a built network.

    Parameters
    ----------
    start : ndarray of int64, shape (n_neurons + 1,)
        The target slices of neuron g are ``target[start[g]:start[g + 1]]``.
    target : ndarray of int32, shape (n_pairs,)
        Target slices, ascending for each neuron.
    rate : ndarray of float64, shape (n_neurons,)
        Rate of each neuron, spikes/s.
    fan_in, fan_out : ndarray of int64, shape (n_neurons,)
        Number of synapses onto each neuron, and from each neuron.
    """

    start: npt.NDArray[np.int64]
    target: npt.NDArray[np.int32]
    rate: Floats
    fan_in: npt.NDArray[np.int64]
    fan_out: npt.NDArray[np.int64]

    def neuron_core_pairs(self, core: Ints, cores: int) -> Iterator[tuple[Ints, Ints]]:
        """Yield chunks of the distinct pairs of a neuron (gid) and a target core.

        Neurons ascend, and so do the cores of a neuron. A chunk has all pairs of its neurons.
        Chunks keep memory small: all pairs together would take several times the stored arrays.

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
    """Return the distinct values, ascending.

    `np.unique` hashes integers, which takes a hundred times as long.
    """
    ascending = _sorted(values)
    return ascending[_is_first(ascending)]


def unique_counts(values: Ints) -> tuple[Ints, Ints]:
    """Return the distinct values, ascending, and the number of times that each occurs."""
    ascending = _sorted(values)
    starts = np.flatnonzero(_is_first(ascending))
    return ascending[starts], np.diff(starts, append=ascending.size)


def _sorted(values: npt.NDArray[_Integer]) -> npt.NDArray[_Integer]:
    # pairs are often sorted already
    return np.sort(values) if (values[1:] < values[:-1]).any() else values


def _is_first(values: npt.NDArray[_Integer]) -> npt.NDArray[np.bool_]:
    is_first = np.ones(values.size, bool)
    np.not_equal(values[1:], values[:-1], out=is_first[1:])
    return is_first
