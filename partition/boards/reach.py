"""Which cores each slice's spikes go to, and how many neurons send them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from distsnn.partition.connectivity import BuiltConnectivity, sorted_unique, unique_counts
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


# The reaches of graphs that are in use, by what core holds each slice: packing, each limit and the
# mapping ask for the same ones, and to work one out of counted contacts takes long.
_known: WeakKeyDictionary[TrafficGraph, dict[bytes, Reach]] = WeakKeyDictionary()


def reach(graph: TrafficGraph, core: Ints) -> Reach:
    """Return which cores each slice reaches (an edge that expects no synapse reaches nothing).

    Expected neurons onto slices that share a core count as different ones, so that there are
    never more.
    """
    of_graph = _known.setdefault(graph, {})
    key = core.tobytes()
    if key not in of_graph:
        of_graph[key] = _reach(graph, core)
    return of_graph[key]


def _reach(graph: TrafficGraph, core: Ints) -> Reach:
    n, cores, contacts = core.size, int(core.max(initial=-1)) + 1, graph.connectivity
    if isinstance(contacts, BuiltConnectivity):
        pairs, reached, sent = _counted(graph, contacts, core, cores)
        made = {"reached": reached, "sent": sent}
    else:
        some = graph.synapses > 0.0
        every = graph.source[some] * np.int64(cores) + core[graph.target[some]]
        pairs, made = sorted_unique(every), {}
        if contacts is not None:
            at, source = np.searchsorted(pairs, every), pairs // cores
            reached = sums(at, contacts.neurons[some], pairs.size)
            reached = np.minimum(reached, graph.neurons[source])
            variance = sums(at, contacts.variance[some], pairs.size)
            made = {"reached": reached, "variance": variance, "sent": reached * graph.rate[source]}
    start = np.searchsorted(pairs, np.arange(n + 1) * np.int64(cores)).astype(np.int64)
    target = pairs % max(cores, 1)
    return Reach(core, cores, start, target, graph.spike_rate, graph.neurons, **made)


def _counted(
    graph: TrafficGraph, contacts: BuiltConnectivity, core: Ints, cores: int
) -> tuple[Ints, Floats, Floats]:
    """Return each pair slice * cores + core, how many neurons send there, and their spikes/s."""
    slice_of = np.repeat(np.arange(core.size), graph.neurons)
    found: list[tuple[Ints, Floats, Floats]] = [(np.empty(0, np.int64), *np.empty((2, 0)))]
    for neuron, to in contacts.neuron_core_pairs(core, cores):
        if not neuron.size:
            continue
        at, rate = slice_of[neuron] * np.int64(cores) + to, contacts.rate[neuron]
        low = slice_of[neuron[0]] * cores
        size = int(slice_of[neuron[-1]] + 1) * cores - int(low)
        if size > 2 * at.size:  # nearly all would be empty
            found.append(_summed(at, np.ones(at.size), rate))
            continue
        number = sums(at - low, np.ones(at.size), size)
        some = np.flatnonzero(number)
        found.append((some + low, number[some], sums(at - low, rate, size)[some]))
    # a slice may lie in two pieces
    pairs, reached, sent = (np.concatenate(each) for each in zip(*found, strict=True))
    return _summed(pairs, reached, sent)


def _summed(at: Ints, *values: Floats) -> tuple[Any, ...]:
    """Return each place once, ascending, and the sums of the values there."""
    order = np.argsort(at, kind="stable")
    found, times = unique_counts(at[order])
    number = np.repeat(np.arange(found.size), times)
    return found, *(sums(number, each[order], found.size) for each in values)
