"""Partitioning of a traffic graph: first for long epochs, then for few remote spikes."""

import numpy as np
import numpy.typing as npt

from distsnn.partition.delays import cluster_by_delay
from distsnn.partition.external_partitioners import metis_assignments, mtkahypar_assignments
from distsnn.partition.rank_packing import pack_clusters
from distsnn.partition.refinement import RefinementGraph, refine, remote_spike_rate
from distsnn.partition.traffic import TrafficGraph

# Number of starting assignments by METIS and at random: more for small graphs, which are fast.
_MIN_STARTS, _MAX_STARTS, _EDGE_BUDGET = 4, 256, 300_000


def rank_capacities(
    weight: npt.NDArray[np.float64], rank_speeds: npt.NDArray[np.float64], imbalance: float
) -> npt.NDArray[np.float64]:
    """Return the capacity of each rank: its part of the total weight and the allowed imbalance.

    If the slices do not fit, each rank can hold the heaviest slice in addition.
    """
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
    """Compute the rank of each slice.

    The first aim is a long epoch: the largest delay D for which clusters of slices that are
    connected by shorter delays can be assigned to the ranks in balance. The second aim is a low
    remote spike rate. Several starting assignments (METIS, random) are refined by moving and
    swapping clusters, and the best result is returned.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    weight : ndarray of float64, shape (n,)
        Computational cost of each slice.
    rank_speeds : ndarray of float64, shape (ranks,)
        Relative speed of each rank.
    max_epoch : int
        Maximum length of an epoch, whatever the delays between ranks, steps.
    imbalance : float
        Fraction by which a rank may exceed its part of the weight. If the slices do not fit, the
        heaviest slice is allowed in addition.
    quality : {"fast", "best"}
        "best" adds a start by mtkahypar.
    capacity : ndarray of float64, shape (ranks,), optional
        Maximum weight of each rank; by default it follows from speed and imbalance.

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
    # balanced assignments may be rare: clustering has found one
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
        # rounding hides the rounding errors of sums
        return max(1.0, round(float(over.max()), 9)), remote_spike_rate(
            refinement_graph, owner, ranks
        )

    return min(refined, key=rank_by)[clusters.cluster].astype(np.int32)


def _refinement_graph(
    graph: TrafficGraph, weight: npt.NDArray[np.float64], cluster: npt.NDArray[np.int64]
) -> RefinementGraph:
    n = int(cluster.max()) + 1
    spike_rate = np.bincount(cluster, graph.spike_rate, minlength=n).astype(np.float64)
    # A slice's fraction of the cluster's spikes; silent slices count a little, as they may fire.
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
    # The first start cuts the sequence of clusters by weight; it needs no library.
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
    # Libraries balance differently: move vertices from overloaded ranks to the emptiest rank.
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
