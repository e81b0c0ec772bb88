"""Slices are dealt out to ranks: first as far apart in time as can be, then with least traffic."""

import numpy as np
import numpy.typing as npt

from distsnn.partition.delays import farthest
from distsnn.partition.libraries import metis_owners, mtkahypar_owners
from distsnn.partition.packing import pack
from distsnn.partition.refinement import Flow, cost, refine
from distsnn.partition.traffic import TrafficGraph

# Starts, of METIS and at random, each refined, of which the best counts: more where they are cheap.
_FEWEST_STARTS, _MOST_STARTS, _EDGES_STARTED = 4, 256, 300_000


def capacities(
    weight: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], imbalance: float
) -> npt.NDArray[np.float64]:
    """Return the most weight of each rank: its share and some more, which all slices fit in."""
    found = np.asarray((1.0 + imbalance) * weight.sum() * shares / shares.sum())
    return found if pack(weight, found) is not None else found + weight.max()


def graph_owners(
    graph: TrafficGraph,
    weight: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
    *,
    longest: int,
    imbalance: float = 0.03,
    quality: str = "fast",
    capacity: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.int32]:
    """Return the rank of each slice.

    First the largest D that an epoch may last is found for which the slices can be dealt out in
    balance so that no synapse across ranks is shorter; slices that are closer stay together. Of the
    assignments that remain the one counts with the least traffic: the best of several starts, by
    METIS and at random, each refined by moving and swapping clusters.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    weight : ndarray of float64, shape (n,)
        What simulating each slice costs.
    shares : ndarray of float64, shape (ranks,)
        Speed of each rank; only ratios count.
    longest : int
        Most steps of an epoch, however far ranks are from each other.
    imbalance : float
        How much more than its share a rank may get; the largest slice is allowed for besides.
    quality : {"fast", "best"}
        "best" starts from mtkahypar's assignment too.
    capacity : ndarray of float64, shape (ranks,), optional
        Most weight of each rank, where this does not follow from its share.

    Raises
    ------
    DescriptionError
        If a library that `quality` needs is not installed.
    """
    ranks = shares.size
    if ranks == 1 or graph.n == 0:
        return np.zeros(graph.n, np.int32)
    ideal = weight.sum() * shares / shares.sum()
    if capacity is None:
        capacity = capacities(weight, shares, imbalance)
    apart = farthest(graph, weight, capacity, longest)
    flow = _flow(graph, weight, apart.cluster)
    # balanced ones may be rare: one is known
    starts = [] if apart.owner is None else [apart.owner]
    starts += _starts(flow, ideal)
    if quality == "best":
        starts += mtkahypar_owners(flow, capacity)
    refined = [refine(flow, _within(one, flow.weight, capacity), capacity) for one in starts]

    def badness(owner: npt.NDArray[np.int64]) -> tuple[float, float]:
        over = np.bincount(owner, flow.weight, minlength=ranks) / capacity
        # sums are rounded
        return max(1.0, round(float(over.max()), 9)), cost(flow, owner, ranks)

    return min(refined, key=badness)[apart.cluster].astype(np.int32)


def _flow(
    graph: TrafficGraph, weight: npt.NDArray[np.float64], cluster: npt.NDArray[np.int64]
) -> Flow:
    n = int(cluster.max()) + 1
    spikes = np.bincount(cluster, graph.spikes, minlength=n).astype(np.float64)
    # Of a cluster's spikes each slice has its part, silent ones a little: they may wake.
    part = graph.spikes + 1e-9 * graph.neurons
    part = part / np.bincount(cluster, part, minlength=n)[cluster]
    mean = graph.synapses / graph.neurons[graph.source] * part[graph.source]
    source, target = cluster[graph.source], cluster[graph.target]
    cell, at = np.unique(target * n + source, return_inverse=True)
    target, source = np.divmod(cell, n)
    start = np.searchsorted(target, np.arange(n + 1))
    heavy = np.bincount(cluster, weight, minlength=n).astype(np.float64)
    return Flow(spikes, heavy, start, source, np.bincount(at, mean).astype(np.float64))


def _starts(flow: Flow, ideal: npt.NDArray[np.float64]) -> list[npt.NDArray[np.int64]]:
    # Clusters one after another, by weight: what there is without a library.
    middle = np.cumsum(flow.weight) - 0.5 * flow.weight
    found = [np.minimum(np.searchsorted(np.cumsum(ideal), middle), ideal.size - 1)]
    n, ranks = flow.spikes.size, ideal.size
    count = min(max(_EDGES_STARTED // max(1, flow.mean.size), _FEWEST_STARTS), _MOST_STARTS)
    draw = np.random.default_rng(1)
    found += [draw.permutation(n) % ranks for _ in range(count)]
    return found + metis_owners(flow, ideal, count)


def _within(
    owner: npt.NDArray[np.int64],
    weight: npt.NDArray[np.float64],
    capacity: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
    # A library's balance is another: what a rank has too much goes to where there is room.
    load = np.bincount(owner, weight, minlength=capacity.size)
    if np.all(load <= capacity):
        return owner
    owner, room = owner.copy(), capacity - load
    for v in np.argsort(weight)[::-1]:
        here = owner[v]
        there = int(np.argmax(room))
        if room[here] < 0.0 and room[there] >= weight[v]:
            owner[v] = there
            room[here] += weight[v]
            room[there] -= weight[v]
    return owner
