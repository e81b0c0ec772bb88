"""Which neurons' spikes each slice needs: expected in closed form, or counted in what was wired."""

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

# Groups of slices whose contacts are put in order one after another, and how few need not be yet.
_GROUPS = 32
_FEW = 1 << 18
# What a contact takes, at most, until all are in order: twice a pair, in 4 bytes, and once sorted.
_CONTACT_BYTES = 12


def with_expected(
    graph: TrafficGraph, network: Network, table: BlockTable, edges: EdgeReader | None = None
) -> TrafficGraph:
    """Return a network's slices with the expected number of neurons that reach each other's.

    Of edges that are given nothing is left to chance.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    network : Network
        The network.
    table : BlockTable
        Its slices, as `traffic` took them.
    edges : callable, optional
        Reads the edges of a projection from its file; needed where there is one.
    """
    bounds = np.searchsorted(table.population, np.arange(len(network.populations) + 1))
    index = {one.name: at for at, one in enumerate(network.populations)}
    projections: dict[tuple[int, int], list[Projection]] = {}
    for one in network.projections:
        key = index[one.pre.population], index[one.post.population]
        projections.setdefault(key, []).append(one)
    mean, variance = np.empty((2, graph.target.size))
    # pair by pair, and edges of a source population at a time: all blocks at once are large
    for a in sorted({a for a, _ in projections}):
        rows = slice(int(graph.start[bounds[a]]), int(graph.start[bounds[a + 1]]))
        onto = graph.population[graph.target[rows]]
        order = np.argsort(onto, kind="stable")
        ends = np.searchsorted(onto[order], np.arange(len(index) + 1))
        for b in sorted(b for first, b in projections if first == a):
            here = rows.start + order[ends[b] : ends[b + 1]]
            pre, post = (slice(int(bounds[one]), int(bounds[one + 1])) for one in (a, b))
            missed, given = _block(projections[a, b], network.dt, table, pre, post, edges)
            cell = graph.source[here] - bounds[a], graph.target[here] - bounds[b]
            size = graph.neurons[graph.source[here]]
            left = size - given[cell]
            mean[here] = size - left * missed[cell]
            variance[here] = left * missed[cell] * (1.0 - missed[cell])
    return replace(graph, connectivity=ExpectedConnectivity(mean, variance))


def _block(
    projections: list[Projection],
    dt: float,
    table: BlockTable,
    pre: slice,
    post: slice,
    edges: EdgeReader | None,
) -> tuple[Floats, Ints]:
    """Return, of each pair of two populations' slices, what chance a source has to miss the other.

    Returns
    -------
    missed : ndarray of float64, shape (n_pre, n_post)
        The chance that a neuron has no synapse that is drawn onto the slice.
    given : ndarray of int64, shape (n_pre, n_post)
        Neurons that have synapses onto it that are given.
    """
    shape = pre.stop - pre.start, post.stop - post.start
    missed = np.ones(shape)
    given: _Contacts | None = None
    for one in projections:
        pieces = explicit_edges(one, dt, edges)
        if pieces is not None:
            # one neuron may have edges onto a slice in several pieces, and projections
            given = given or _Contacts(int(table.size[pre].sum()), shape[1])
            for piece in pieces:
                source = piece["source"].astype(np.int64) + one.pre.start
                given.add(source, slice_of(table, piece["target"], one.post))
            continue
        part = count_in_view(table, pre, one.pre) / table.size[pre]
        targets = np.broadcast_to(count_in_view(table, post, one.post), shape).astype(np.float64)
        if one.same and one.rule.skips_autapses:
            targets = targets - (np.eye(*shape) * (targets > 0.0))
        # few numbers occur, and a rule may need long arrays for each
        few, at = np.unique(targets, return_inverse=True)
        hit = one.rule.reach(few, one.pre.size, one.post.size, one.same)
        missed *= 1.0 - part[:, np.newaxis] * hit[at.reshape(shape)]
    if given is None:
        return missed, np.zeros(shape, np.int64)
    return missed, given.by_slice(table.block_size)


def contact_bytes(graph: TrafficGraph) -> float:
    """Return how much memory `with_counted` is expected to take for a network's slices, bytes.

    A slice's synapses onto another are taken to come from any of its neurons.
    """
    neurons = graph.neurons[graph.source]
    return float(_CONTACT_BYTES * (neurons * -np.expm1(-graph.synapses / neurons)).sum())


def with_counted(
    graph: TrafficGraph,
    network: Network,
    table: BlockTable,
    rates: Rates,
    ends: Iterable[tuple[Ints, Ints]],
) -> TrafficGraph:
    """Return a network's slices with the synapses that were built: no others, and all counted.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    network : Network
        The network.
    table : BlockTable
        Its slices, as `traffic` took them.
    rates : mapping of str to array_like, or float
        Rates, as `traffic` took them.
    ends : iterable of pair of ndarray of int64
        Sources and targets (gids) of synapses, in pieces.
    """
    n = np.int64(graph.n)
    indegree, outdegree = np.zeros((2, network.n_neurons), np.int64)
    # whatever is drawn was possible
    known, synapses = graph.source * n + graph.target, np.zeros(graph.target.size)
    contacts = _Contacts(network.n_neurons, graph.n)
    for source, target in ends:
        indegree += np.bincount(target, minlength=indegree.size)
        outdegree += np.bincount(source, minlength=outdegree.size)
        onto = table.of_gid(target)
        cell, number = unique_counts(table.of_gid(source) * n + onto)
        synapses[np.searchsorted(known, cell)] += number
        contacts.add(source, onto)
    del known
    counted = BuiltConnectivity(*contacts.rows(), neuron_rates(network, rates), indegree, outdegree)
    some = synapses > 0.0
    return replace(
        graph,
        start=np.searchsorted(graph.source[some], np.arange(graph.n + 1)).astype(np.int64),
        target=graph.target[some],
        synapses=synapses[some],
        min_delay=graph.min_delay[some],
        connectivity=counted,
    )


class _Contacts:
    """Pairs of a neuron and a slice, each kept once, in 4 bytes, while more are found.

    Slices are taken in groups, so that a pair within one is a small number, and only a group's
    pairs are there twice while they are put in order.

    Parameters
    ----------
    neurons, slices : int
        How many there are.
    """

    def __init__(self, neurons: int, slices: int) -> None:
        self._neurons, self._slices = neurons, slices
        self._width = max(1, min(-(-slices // _GROUPS), (2**32 - 1) // max(neurons, 1)))
        groups = -(-slices // self._width)
        self._kept = [np.empty(0, np.uint32) for _ in range(groups)]
        self._new: list[list[npt.NDArray[np.uint32]]] = [[] for _ in range(groups)]

    def add(self, neuron: Ints, onto: Ints) -> None:
        """Add the pairs of some synapses."""
        group, within = np.divmod(onto, self._width)
        base = np.int64(self._neurons * self._width)
        pairs = sorted_unique(group * base + neuron.astype(np.int64) * self._width + within)
        there = np.arange(len(self._kept) + 1)
        ends = np.searchsorted(pairs, there * base)
        for one in there[:-1][np.diff(ends) > 0]:
            new = (pairs[ends[one] : ends[one + 1]] - one * base).astype(np.uint32)
            self._new[one].append(new)
            # rarely, as each time all are sorted again
            if sum(each.size for each in self._new[one]) > max(_FEW, self._kept[one].size // 2):
                self._join(one)

    def _join(self, one: int) -> None:
        new = np.concatenate([self._kept[one], *self._new[one]])
        self._new[one] = []
        self._kept[one] = sorted_unique(new)

    def rows(self) -> tuple[Ints, npt.NDArray[np.int32]]:
        """Return where each neuron's slices begin, and these; what was kept is given up."""
        counts = np.zeros(self._neurons + 1, np.int64)
        for one in range(len(self._kept)):
            self._join(one)
            counts[1:] += np.bincount(self._kept[one] // self._width, minlength=self._neurons)
        start = np.cumsum(counts)
        target, free = np.empty(start[-1], np.int32), start[:-1].copy()
        for first, neuron, within in self._given_up():
            each = np.bincount(neuron, minlength=self._neurons)
            at = np.repeat(free - (np.cumsum(each) - each), each) + np.arange(neuron.size)
            target[at] = within.astype(np.int32) + first
            free += each
        return start, target

    def by_slice(self, size: int) -> Ints:
        """Return how many neurons of each slice of that size reach each slice, as a matrix.

        What was kept is given up.
        """
        n = -(-self._neurons // size)
        found = np.empty((n, self._slices), np.int64)
        for first, neuron, within in self._given_up():
            wide = min(self._width, self._slices - first)
            cell = neuron.astype(np.int64) // size * wide + within
            counts = np.bincount(cell, minlength=n * wide)
            found[:, first : first + wide] = counts.reshape(n, wide)
        return found

    def _given_up(self) -> Iterator[tuple[int, npt.NDArray[np.uint32], npt.NDArray[np.uint32]]]:
        """Yield the first slice of each group, and its pairs: neurons, and slices within it."""
        for one in range(len(self._kept)):
            self._join(one)
            neuron, within = np.divmod(self._kept[one], np.uint32(self._width))
            self._kept[one] = np.empty(0, np.uint32)
            yield one * self._width, neuron, within
