"""Slices are dealt out to ranks: first as far apart in time as can be, then with least traffic."""

import numpy as np
import numpy.typing as npt

from distsnn.partition.delays import cluster_by_delay
from distsnn.partition.external_partitioners import metis_assignments, mtkahypar_assignments
from distsnn.partition.rank_packing import pack_clusters
from distsnn.partition.refinement import RefinementGraph, refine, remote_spike_rate
from distsnn.partition.traffic import TrafficGraph

# Starts, of METIS and at random, each refined, of which the best counts: more where they are cheap.
_MIN_STARTS, _MAX_STARTS, _EDGE_BUDGET = 4, 256, 300_000


def rank_capacities(
    weight: npt.NDArray[np.float64], rank_speeds: npt.NDArray[np.float64], imbalance: float
) -> npt.NDArray[np.float64]:
    """Return the most weight of each rank: its share and some more, which all slices fit in."""
    capacity = np.asarray((1.0 + imbalance) * weight.sum() * rank_speeds / rank_speeds.sum())
    return capacity if pack_clusters(weight, capacity) is not None else capacity + weight.max()


def partition_graph(
    graph: TrafficGraph,
    weight: npt.NDArray[np.float64],
    rank_speeds: npt.NDArray[np.float64],
    *,
    max_epoch: int,
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
    rank_speeds : ndarray of float64, shape (ranks,)
        Speed of each rank; only ratios count.
    max_epoch : int
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
    ranks = rank_speeds.size
    if ranks == 1 or graph.n == 0:
        return np.zeros(graph.n, np.int32)
    ideal = weight.sum() * rank_speeds / rank_speeds.sum()
    if capacity is None:
        capacity = rank_capacities(weight, rank_speeds, imbalance)
    clusters = cluster_by_delay(graph, weight, capacity, max_epoch)
    refinement_graph = _refinement_graph(graph, weight, clusters.cluster)
    # balanced ones may be rare: one is known
    starts = [] if clusters.owner is None else [clusters.owner]
    starts += _starting_assignments(refinement_graph, ideal)
    if quality == "best":
        starts += mtkahypar_assignments(refinement_graph, capacity)
    refined = [
        refine(refinement_graph, _rebalance(start, refinement_graph.weight, capacity), capacity)
        for start in starts
    ]

    def rank_by(owner: npt.NDArray[np.int64]) -> tuple[float, float]:
        over = np.bincount(owner, refinement_graph.weight, minlength=ranks) / capacity
        # sums are rounded
        return max(1.0, round(float(over.max()), 9)), remote_spike_rate(
            refinement_graph, owner, ranks
        )

    return min(refined, key=rank_by)[clusters.cluster].astype(np.int32)


def _refinement_graph(
    graph: TrafficGraph, weight: npt.NDArray[np.float64], cluster: npt.NDArray[np.int64]
) -> RefinementGraph:
    n = int(cluster.max()) + 1
    spike_rate = np.bincount(cluster, graph.spike_rate, minlength=n).astype(np.float64)
    # Of a cluster's spikes each slice has its part, silent ones a little: they may wake.
    fraction = graph.spike_rate + 1e-9 * graph.neurons
    fraction = fraction / np.bincount(cluster, fraction, minlength=n)[cluster]
    mean_synapses = graph.synapses / graph.neurons[graph.source] * fraction[graph.source]
    source, target = cluster[graph.source], cluster[graph.target]
    pair, edge = np.unique(target * n + source, return_inverse=True)
    target, source = np.divmod(pair, n)
    start = np.searchsorted(target, np.arange(n + 1))
    cluster_weight = np.bincount(cluster, weight, minlength=n).astype(np.float64)
    return RefinementGraph(
        spike_rate,
        cluster_weight,
        start,
        source,
        np.bincount(edge, mean_synapses).astype(np.float64),
    )


def _starting_assignments(
    graph: RefinementGraph, ideal: npt.NDArray[np.float64]
) -> list[npt.NDArray[np.int64]]:
    # Clusters one after another, by weight: what there is without a library.
    middle = np.cumsum(graph.weight) - 0.5 * graph.weight
    starts = [np.minimum(np.searchsorted(np.cumsum(ideal), middle), ideal.size - 1)]
    n, ranks = graph.spike_rate.size, ideal.size
    n_starts = min(max(_EDGE_BUDGET // max(1, graph.mean_synapses.size), _MIN_STARTS), _MAX_STARTS)
    random = np.random.default_rng(1)
    starts += [random.permutation(n) % ranks for _ in range(n_starts)]
    return starts + metis_assignments(graph, ideal, n_starts)


def _rebalance(
    owner: npt.NDArray[np.int64],
    weight: npt.NDArray[np.float64],
    capacity: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
    # A library's balance is another: what a rank has too much goes to where there is room.
    load = np.bincount(owner, weight, minlength=capacity.size)
    if np.all(load <= capacity):
        return owner
    owner, free_capacity = owner.copy(), capacity - load
    for vertex in np.argsort(weight)[::-1]:
        current = owner[vertex]
        target = int(np.argmax(free_capacity))
        if free_capacity[current] < 0.0 and free_capacity[target] >= weight[vertex]:
            owner[vertex] = target
            free_capacity[current] += weight[vertex]
            free_capacity[target] -= weight[vertex]
    return owner
