"""Target cores of each slice's spikes, and the number of neurons that send to them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.partition.connectivity import BuiltConnectivity, sorted_unique, unique_counts
from distsnn.partition.traffic import TrafficGraph

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CoreTargets:
    """Target cores of each slice: pairs of a slice and a core on which it has synapses.

    Parameters
    ----------
    core_of_slice : ndarray of int64, shape (n,)
        Core of each slice.
    n_cores : int
        Number of cores.
    start, target : ndarray of int64, shapes (n + 1,) and (n_pairs,)
        The target cores of slice v are ``target[start[v]:start[v + 1]]``, ascending.
    spike_rate : ndarray of float64, shape (n,)
        Spikes of each slice, 1/s.
    slice_size : ndarray of int64, shape (n,)
        Number of neurons of each slice.
    n_sending_neurons, variance, sending_rate : ndarray of float64, shape (n_pairs,), optional
        For each pair the number of neurons of the slice with a synapse on the core, the variance
        of an expected number, and the spikes of these neurons, 1/s. None: all neurons may send.
    """

    core_of_slice: Ints
    n_cores: int
    start: Ints
    target: Ints
    spike_rate: Floats
    slice_size: Ints
    n_sending_neurons: Floats | None = None
    variance: Floats | None = None
    sending_rate: Floats | None = None

    @cached_property
    def source(self) -> Ints:
        """Slice of each pair, shape (n_pairs,)."""
        return np.repeat(np.arange(self.core_of_slice.size), np.diff(self.start))

    @cached_property
    def packet_rate(self) -> Floats:
        """Packets of each pair with unicast routers, 1/s, shape (n_pairs,)."""
        return self.spike_rate[self.source] if self.sending_rate is None else self.sending_rate

    @cached_property
    def neurons(self) -> Floats:
        """Number of the slice's neurons with a synapse on the core, for each pair, (n_pairs,)."""
        if self.n_sending_neurons is None:
            return self.slice_size[self.source].astype(np.float64)
        return self.n_sending_neurons

    def in_axons(self) -> Floats:
        """Return the number of neurons whose spikes each core receives, shape (n_cores,).

        An expected number is raised by three standard deviations, up to the possible maximum.
        """
        return self._sum_axons(self.target)

    def out_axons(self) -> Floats:
        """Return each core's number of pairs of a neuron and a target core, shape (n_cores,)."""
        return self._sum_axons(self.core_of_slice[self.source])

    def _sum_axons(self, core: Ints) -> Floats:
        mean = sum_by_index(core, self.neurons, self.n_cores)
        if self.variance is None:
            return mean
        spread = 3.0 * np.sqrt(sum_by_index(core, self.variance, self.n_cores))
        return np.minimum(
            mean + spread, sum_by_index(core, self.slice_size[self.source], self.n_cores)
        )


def sum_by_index(index: npt.NDArray[Any], values: npt.NDArray[Any], size: int) -> Floats:
    """Return the sum of the values of each index from 0 to ``size - 1``."""
    return np.bincount(index, values, minlength=size).astype(np.float64)


def find_core_targets(graph: TrafficGraph, core_of_slice: Ints) -> CoreTargets:
    """Find the target cores of each slice; an edge without expected synapses has no target.

    Expected source neurons of slices that share a core count as different neurons, which gives an
    upper bound.
    """
    key = core_of_slice.tobytes()
    if key not in graph.core_targets:
        graph.core_targets[key] = _find_core_targets(graph, core_of_slice)
    targets: CoreTargets = graph.core_targets[key]
    return targets


def _find_core_targets(graph: TrafficGraph, core_of_slice: Ints) -> CoreTargets:
    n, n_cores, connectivity = (
        core_of_slice.size,
        int(core_of_slice.max(initial=-1)) + 1,
        graph.connectivity,
    )
    if isinstance(connectivity, BuiltConnectivity):
        pairs, n_sending_neurons, sending_rate = _count_built_pairs(
            graph, connectivity, core_of_slice, n_cores
        )
        per_pair = {"n_sending_neurons": n_sending_neurons, "sending_rate": sending_rate}
    else:
        has_synapses = graph.synapses > 0.0
        pair_of_edge = (
            graph.source[has_synapses] * np.int64(n_cores)
            + core_of_slice[graph.target[has_synapses]]
        )
        pairs, per_pair = sorted_unique(pair_of_edge), {}
        if connectivity is not None:
            index, source = np.searchsorted(pairs, pair_of_edge), pairs // n_cores
            n_sending_neurons = sum_by_index(index, connectivity.neurons[has_synapses], pairs.size)
            n_sending_neurons = np.minimum(n_sending_neurons, graph.neurons[source])
            variance = sum_by_index(index, connectivity.variance[has_synapses], pairs.size)
            per_pair = {
                "n_sending_neurons": n_sending_neurons,
                "variance": variance,
                "sending_rate": n_sending_neurons * graph.rate[source],
            }
    start = np.searchsorted(pairs, np.arange(n + 1) * np.int64(n_cores)).astype(np.int64)
    target = pairs % max(n_cores, 1)
    return CoreTargets(
        core_of_slice, n_cores, start, target, graph.spike_rate, graph.neurons, **per_pair
    )


def _count_built_pairs(
    graph: TrafficGraph, connectivity: BuiltConnectivity, core_of_slice: Ints, n_cores: int
) -> tuple[Ints, Floats, Floats]:
    """Return the pairs (slice · cores + core), their sending neurons, and the spikes, 1/s."""
    slice_of = np.repeat(np.arange(core_of_slice.size), graph.neurons)
    chunks: list[tuple[Ints, Floats, Floats]] = [(np.empty(0, np.int64), *np.empty((2, 0)))]
    for neuron, target_core in connectivity.neuron_core_pairs(core_of_slice, n_cores):
        if not neuron.size:
            continue
        pair, rate = slice_of[neuron] * np.int64(n_cores) + target_core, connectivity.rate[neuron]
        first_pair = slice_of[neuron[0]] * n_cores
        size = int(slice_of[neuron[-1]] + 1) * n_cores - int(first_pair)
        if size > 2 * pair.size:  # nearly all sums would be 0
            chunks.append(_sum_by_pair(pair, np.ones(pair.size), rate))
            continue
        counts = sum_by_index(pair - first_pair, np.ones(pair.size), size)
        nonzero = np.flatnonzero(counts)
        chunks.append(
            (
                nonzero + first_pair,
                counts[nonzero],
                sum_by_index(pair - first_pair, rate, size)[nonzero],
            )
        )
    # the neurons of a slice may be in two chunks
    pairs, n_sending_neurons, sending_rate = (
        np.concatenate(arrays) for arrays in zip(*chunks, strict=True)
    )
    return _sum_by_pair(pairs, n_sending_neurons, sending_rate)


def _sum_by_pair(pair: Ints, *values: Floats) -> tuple[Any, ...]:
    """Return the distinct pairs, ascending, and the sums of the values of each pair."""
    order = np.argsort(pair, kind="stable")
    pairs, counts = unique_counts(pair[order])
    position = np.repeat(np.arange(pairs.size), counts)
    return pairs, *(sum_by_index(position, array[order], pairs.size) for array in values)
