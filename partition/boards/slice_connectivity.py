"""Connectivity of slices: expected in closed form, or counted in a built network."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from distsnn.network import Network, Projection
from distsnn.network.blocks import BlockTable
from distsnn.partition.connectivity import (
    BuiltConnectivity,
    ExpectedConnectivity,
    sorted_unique,
    unique_counts,
)
from distsnn.partition.traffic import (
    EdgeReader,
    Rates,
    TrafficGraph,
    count_in_view,
    explicit_edges,
    neuron_rates,
    slice_of,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Number of groups of slices whose pairs are sorted separately, and the number of unsorted pairs
# that is worth sorting.
_N_GROUPS = 32
_MIN_UNSORTED = 1 << 18
# Maximum memory of a pair until all pairs are sorted: two copies and a sorted one, 4 bytes each.
_BYTES_PER_PAIR = 12


def with_expected_connectivity(
    graph: TrafficGraph, network: Network, table: BlockTable, edges: EdgeReader | None = None
) -> TrafficGraph:
    """Add the expected connectivity to a traffic graph: neurons with synapses onto each slice.

    Explicit edges are counted.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    network : Network
        The network.
    table : BlockTable
        The slices, as for `build_traffic_graph`.
    edges : callable, optional
        Reads the edges of a projection from its file; required if the network has edge files.
    """
    bounds = np.searchsorted(table.population, np.arange(len(network.populations) + 1))
    index = {projection.name: position for position, projection in enumerate(network.populations)}
    projections: dict[tuple[int, int], list[Projection]] = {}
    for projection in network.projections:
        key = index[projection.pre.population], index[projection.post.population]
        projections.setdefault(key, []).append(projection)
    mean, variance = np.empty((2, graph.target.size))
    # one pair of populations at a time, as the matrices of all pairs together are large
    for a in sorted({a for a, _ in projections}):
        rows = slice(int(graph.start[bounds[a]]), int(graph.start[bounds[a + 1]]))
        target_population = graph.population[graph.target[rows]]
        order = np.argsort(target_population, kind="stable")
        ends = np.searchsorted(target_population[order], np.arange(len(index) + 1))
        for b in sorted(b for source, b in projections if source == a):
            edges_of_pair = rows.start + order[ends[b] : ends[b + 1]]
            pre, post = (
                slice(int(bounds[projection]), int(bounds[projection + 1])) for projection in (a, b)
            )
            miss_probability, n_explicit = _miss_probabilities(
                projections[a, b], network.dt, table, pre, post, edges
            )
            cell = graph.source[edges_of_pair] - bounds[a], graph.target[edges_of_pair] - bounds[b]
            size = graph.neurons[graph.source[edges_of_pair]]
            n_drawn = size - n_explicit[cell]
            mean[edges_of_pair] = size - n_drawn * miss_probability[cell]
            variance[edges_of_pair] = (
                n_drawn * miss_probability[cell] * (1.0 - miss_probability[cell])
            )
    return replace(graph, connectivity=ExpectedConnectivity(mean, variance))


def _miss_probabilities(
    projections: list[Projection],
    dt: float,
    table: BlockTable,
    pre: slice,
    post: slice,
    edges: EdgeReader | None,
) -> tuple[Floats, Ints]:
    """Return the probability that a source has no synapse onto a slice, for two populations.

    Returns
    -------
    miss_probability : ndarray of float64, shape (n_pre, n_post)
        The chance that a neuron has no synapse that is drawn onto the slice.
    explicit_pairs : ndarray of int64, shape (n_pre, n_post)
        Neurons that have synapses onto it that are given.
    """
    shape = pre.stop - pre.start, post.stop - post.start
    miss_probability = np.ones(shape)
    explicit_pairs: _NeuronSlicePairs | None = None
    for projection in projections:
        chunks = explicit_edges(projection, dt, edges)
        if chunks is not None:
            # a neuron may have edges onto a slice in several chunks and projections
            explicit_pairs = explicit_pairs or _NeuronSlicePairs(
                int(table.size[pre].sum()), shape[1]
            )
            for chunk in chunks:
                source = projection.pre.neurons_at(chunk["source"])
                explicit_pairs.add(source, slice_of(table, chunk["target"], projection.post))
            continue
        fraction = count_in_view(table, pre, projection.pre) / table.size[pre]
        targets = np.broadcast_to(count_in_view(table, post, projection.post), shape).astype(
            np.float64
        )
        if projection.is_recurrent and projection.rule.skips_autapses:
            targets = targets - (np.eye(*shape) * (targets > 0.0))
        # few distinct numbers occur, and a rule may need long arrays for each number
        distinct_targets, index = np.unique(targets, return_inverse=True)
        probability = projection.rule.connection_probability(
            distinct_targets, projection.pre.size, projection.post.size, projection.is_recurrent
        )
        miss_probability *= 1.0 - fraction[:, np.newaxis] * probability[index.reshape(shape)]
    if explicit_pairs is None:
        return miss_probability, np.zeros(shape, np.int64)
    return miss_probability, explicit_pairs.pop_slice_counts(table.block_size)


def connectivity_bytes(graph: TrafficGraph) -> float:
    """Estimate the memory that `with_built_connectivity` needs, bytes.

    The estimate distributes the synapses between two slices evenly over the source neurons.
    """
    neurons = graph.neurons[graph.source]
    return float(_BYTES_PER_PAIR * (neurons * -np.expm1(-graph.synapses / neurons)).sum())


def with_built_connectivity(
    graph: TrafficGraph,
    network: Network,
    table: BlockTable,
    rates: Rates,
    synapses: Iterable[tuple[Ints, Ints]],
) -> TrafficGraph:
    """Replace the expected synapses of a traffic graph by the synapses of the built network.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    network : Network
        The network.
    table : BlockTable
        The slices, as for `build_traffic_graph`.
    rates : mapping of str to array_like, or float
        Rates, as for `build_traffic_graph`.
    synapses : iterable of pair of ndarray of int64
        Sources and targets (gids) of the synapses, in chunks.
    """
    n = np.int64(graph.n)
    indegree, outdegree = np.zeros((2, network.n_neurons), np.int64)
    # every built synapse belongs to an edge of the graph
    edge_pairs, n_synapses = graph.source * n + graph.target, np.zeros(graph.target.size)
    pairs = _NeuronSlicePairs(network.n_neurons, graph.n)
    for source, target in synapses:
        indegree += np.bincount(target, minlength=indegree.size)
        outdegree += np.bincount(source, minlength=outdegree.size)
        target_slice = table.block_of_gid(target)
        pair, count = unique_counts(table.block_of_gid(source) * n + target_slice)
        n_synapses[np.searchsorted(edge_pairs, pair)] += count
        pairs.add(source, target_slice)
    del edge_pairs
    connectivity = BuiltConnectivity(
        *pairs.pop_rows(), neuron_rates(network, rates), indegree, outdegree
    )
    has_synapses = n_synapses > 0.0
    return replace(
        graph,
        start=np.searchsorted(graph.source[has_synapses], np.arange(graph.n + 1)).astype(np.int64),
        target=graph.target[has_synapses],
        synapses=n_synapses[has_synapses],
        min_delay=graph.min_delay[has_synapses],
        connectivity=connectivity,
    )


class _NeuronSlicePairs:
    """Distinct pairs of a neuron and a slice, collected in chunks, 4 bytes per pair.

    Slices are collected in groups. A pair within a group fits 4 bytes, and sorting needs a second
    copy of the pairs of one group only.

    Parameters
    ----------
    neurons, slices : int
        Number of neurons and of slices.
    """

    def __init__(self, neurons: int, slices: int) -> None:
        self._neurons, self._slices = neurons, slices
        self._width = max(1, min(-(-slices // _N_GROUPS), (2**32 - 1) // max(neurons, 1)))
        groups = -(-slices // self._width)
        self._sorted = [np.empty(0, np.uint32) for _ in range(groups)]
        self._unsorted: list[list[npt.NDArray[np.uint32]]] = [[] for _ in range(groups)]

    def add(self, neuron: Ints, target_slice: Ints) -> None:
        """Add the pairs of synapses, given by source neuron and target slice."""
        group, slice_in_group = np.divmod(target_slice, self._width)
        base = np.int64(self._neurons * self._width)
        pairs = sorted_unique(group * base + neuron.astype(np.int64) * self._width + slice_in_group)
        group_index = np.arange(len(self._sorted) + 1)
        bounds = np.searchsorted(pairs, group_index * base)
        for index in group_index[:-1][np.diff(bounds) > 0]:
            new = (pairs[bounds[index] : bounds[index + 1]] - index * base).astype(np.uint32)
            self._unsorted[index].append(new)
            # rarely, as each merge sorts all pairs of the group
            if sum(chunk.size for chunk in self._unsorted[index]) > max(
                _MIN_UNSORTED, self._sorted[index].size // 2
            ):
                self._merge_group(index)

    def _merge_group(self, index: int) -> None:
        pairs = np.concatenate([self._sorted[index], *self._unsorted[index]])
        self._unsorted[index] = []
        self._sorted[index] = sorted_unique(pairs)

    def pop_rows(self) -> tuple[Ints, npt.NDArray[np.int32]]:
        """Return the start of each neuron's slices, and the slices; free the pairs."""
        counts = np.zeros(self._neurons + 1, np.int64)
        for index in range(len(self._sorted)):
            self._merge_group(index)
            counts[1:] += np.bincount(self._sorted[index] // self._width, minlength=self._neurons)
        start = np.cumsum(counts)
        target, next_pair = np.empty(start[-1], np.int32), start[:-1].copy()
        for first_slice, neuron, slice_in_group in self._pop_groups():
            n_slices = np.bincount(neuron, minlength=self._neurons)
            position = np.repeat(
                next_pair - (np.cumsum(n_slices) - n_slices), n_slices
            ) + np.arange(neuron.size)
            target[position] = slice_in_group.astype(np.int32) + first_slice
            next_pair += n_slices
        return start, target

    def pop_slice_counts(self, size: int) -> Ints:
        """Return the number of neurons of each source slice that have a pair with each slice.

        Source slices have `size` neurons. The pairs are freed.
        """
        n_sources = -(-self._neurons // size)
        n_neurons = np.empty((n_sources, self._slices), np.int64)
        for first_slice, neuron, slice_in_group in self._pop_groups():
            width = min(self._width, self._slices - first_slice)
            cell = neuron.astype(np.int64) // size * width + slice_in_group
            counts = np.bincount(cell, minlength=n_sources * width)
            n_neurons[:, first_slice : first_slice + width] = counts.reshape(n_sources, width)
        return n_neurons

    def _pop_groups(self) -> Iterator[tuple[int, npt.NDArray[np.uint32], npt.NDArray[np.uint32]]]:
        """Yield and free the groups: first slice, neurons, and slices within the group."""
        for index in range(len(self._sorted)):
            self._merge_group(index)
            neuron, slice_in_group = np.divmod(self._sorted[index], np.uint32(self._width))
            self._sorted[index] = np.empty(0, np.uint32)
            yield index * self._width, neuron, slice_in_group
