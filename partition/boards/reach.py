"""Which cores each slice's spikes go to, and how many neurons send them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.partition.contacts import Counted
from distsnn.partition.traffic import TrafficGraph

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reach:
    """Which cores each slice's spikes go to.

    Parameters
    ----------
    core : ndarray of int64, shape (n,)
        Core of each slice.
    cores : int
        Number of cores.
    start, target : ndarray of int64, shapes (n + 1,) and (n_pairs,)
        The cores that slice v reaches are ``target[start[v]:start[v + 1]]``, ascending.
    spikes : ndarray of float64, shape (n,)
        Spikes of each slice, 1/s.
    size : ndarray of int64, shape (n,)
        Neurons of each slice.
    reached, variance, sent : ndarray of float64, shape (n_pairs,), optional
        Of each pair how many neurons of the slice have a synapse there, the variance of this
        number if it is expected and not counted, and these neurons' spikes/s. None: all may.
    """

    core: Ints
    cores: int
    start: Ints
    target: Ints
    spikes: Floats
    size: Ints
    reached: Floats | None = None
    variance: Floats | None = None
    sent: Floats | None = None

    @cached_property
    def source(self) -> Ints:
        """The slice of each pair, shape (n_pairs,)."""
        return np.repeat(np.arange(self.core.size), np.diff(self.start))

    @cached_property
    def packets(self) -> Floats:
        """Packets/s of each pair where one is sent to each core, shape (n_pairs,)."""
        return self.spikes[self.source] if self.sent is None else self.sent

    @cached_property
    def neurons(self) -> Floats:
        """Neurons of the slice that have a synapse there, of each pair, shape (n_pairs,)."""
        if self.reached is None:
            return self.size[self.source].astype(np.float64)
        return self.reached

    def in_axons(self) -> Floats:
        """Return the neurons whose spikes each core receives, shape (n_cores,).

        Of expected ones as many as three standard deviations more, but no more than may.
        """
        return self._axons(self.target)

    def out_axons(self) -> Floats:
        """Return each core's pairs of a neuron and a core that it reaches, shape (n_cores,)."""
        return self._axons(self.core[self.source])

    def _axons(self, core: Ints) -> Floats:
        mean = sums(core, self.neurons, self.cores)
        if self.variance is None:
            return mean
        spread = 3.0 * np.sqrt(sums(core, self.variance, self.cores))
        return np.minimum(mean + spread, sums(core, self.size[self.source], self.cores))


def sums(at: npt.NDArray[Any], values: npt.NDArray[Any], size: int) -> Floats:
    """Return the sum of the values at each of `size` places."""
    return np.bincount(at, values, minlength=size).astype(np.float64)


def reach(graph: TrafficGraph, core: Ints) -> Reach:
    """Return which cores each slice reaches (an edge that expects no synapse reaches nothing).

    Expected neurons onto slices that share a core count as different ones, so that there are
    never more.
    """
    n, cores, contacts = core.size, int(core.max(initial=-1)) + 1, graph.contacts
    if isinstance(contacts, Counted):
        neuron, to = contacts.onto(core, cores)
        slice_of = np.repeat(np.arange(n), graph.neurons)
        pairs, at = np.unique(slice_of[neuron] * np.int64(cores) + to, return_inverse=True)
        reached = sums(at, np.ones(at.size), pairs.size)
        made = {"reached": reached, "sent": sums(at, contacts.rate[neuron], pairs.size)}
    else:
        some = graph.synapses > 0.0
        every = graph.source[some] * np.int64(cores) + core[graph.target[some]]
        pairs, made = distinct(every), {}
        if contacts is not None:
            at, source = np.searchsorted(pairs, every), pairs // cores
            reached = sums(at, contacts.neurons[some], pairs.size)
            reached = np.minimum(reached, graph.neurons[source])
            variance = sums(at, contacts.variance[some], pairs.size)
            made = {"reached": reached, "variance": variance, "sent": reached * graph.rate[source]}
    start = np.searchsorted(pairs, np.arange(n + 1) * np.int64(cores)).astype(np.int64)
    target = pairs % max(cores, 1)
    return Reach(core, cores, start, target, graph.spikes, graph.neurons, **made)


def distinct(values: Ints) -> Ints:
    """Return each value once, ascending: for pairs ten times faster than `np.unique`'s hashing."""
    made = np.sort(values)
    first = np.ones(made.size, bool)
    first[1:] = made[1:] != made[:-1]
    return made[first]
