"""Which neurons of a slice have a synapse onto which other slices: expected, or counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_Whole = TypeVar("_Whole", bound=np.integer[Any])

_AT_A_TIME = 1 << 22  # contacts that are looked at at a time


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

    def onto(self, core: Ints, cores: int) -> Iterator[tuple[Ints, Ints]]:
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
        n, base, first = self.start.size - 1, np.int64(max(cores, 1)), 0
        while first < n:
            end = np.searchsorted(self.start, self.start[first] + _AT_A_TIME, side="right") - 1
            last = min(max(int(end), first + 1), n)
            here = self.start[first : last + 1]
            neuron = np.repeat(np.arange(first, last), np.diff(here))
            pairs = distinct(neuron * base + core[self.target[here[0] : here[-1]]])
            yield np.divmod(pairs, base)
            first = last


def distinct(values: npt.NDArray[_Whole]) -> npt.NDArray[_Whole]:
    """Return each value once, ascending: `np.unique` hashes integers, a hundred times slower."""
    made = _ascending(values)
    return made[_firsts(made)]


def tally(values: Ints) -> tuple[Ints, Ints]:
    """Return each value once, ascending, and how many times it was there."""
    made = _ascending(values)
    at = np.flatnonzero(_firsts(made))
    return made[at], np.diff(at, append=made.size)


def _ascending(values: npt.NDArray[_Whole]) -> npt.NDArray[_Whole]:
    # pairs often are so already
    return np.sort(values) if (values[1:] < values[:-1]).any() else values


def _firsts(values: npt.NDArray[_Whole]) -> npt.NDArray[np.bool_]:
    first = np.ones(values.size, bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return first
