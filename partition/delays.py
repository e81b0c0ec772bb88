"""Delay clusters and epoch lengths: how rarely ranks can exchange spikes.

Ranks must exchange spikes once per minimum delay of the synapses between them. Slices that are
connected by delays shorter than D form a delay cluster. If the clusters can be assigned to the
ranks in balance, an epoch can last D. Rank groups have two such delays: ranks of a group exchange
spikes once per minimum delay between ranks, all ranks once per minimum delay between groups.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from distsnn.kernels.partitioning import connected_components, spanning_forest
from distsnn.network import ModulatedSynapse, Network
from distsnn.partition.assignment import Assignment
from distsnn.partition.rank_packing import new_search_budget, pack_clusters
from distsnn.partition.traffic import NO_DELAY, TrafficGraph

# Maximum length of an epoch: long epochs need large spike buffers.
MAX_EPOCH_STEPS = 256  # steps


@dataclass(frozen=True, eq=False)
class DelayClusters:
    """Clusters of slices that share a rank so that epochs can be long.

    Attributes
    ----------
    min_delay : int
        Minimum delay of the synapses between clusters, steps.
    cluster : ndarray of int64, shape (n,)
        Cluster of each slice, numbered from 0 in the order of their first slices.
    owner : ndarray of int64, shape (n_clusters,), or None
        A rank for each cluster such that no rank exceeds its capacity; None if even the clusters
        of the smallest delay do not fit.
    """

    min_delay: int
    cluster: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64] | None


def cluster_by_delay(
    graph: TrafficGraph,
    weight: npt.NDArray[np.float64],
    capacity: npt.NDArray[np.float64],
    max_epoch: int,
) -> DelayClusters:
    """Return the clusters of the largest delay for which `pack_clusters` finds an assignment.

    Delays are tried in descending order, as larger clusters are harder to assign. Delays of at
    least the maximum epoch count as equal: larger clusters would gain nothing.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    weight : ndarray of float64, shape (n,)
        Computational cost of each slice.
    capacity : ndarray of float64, shape (ranks,)
        Maximum weight of each rank.
    max_epoch : int
        Maximum length of an epoch, whatever the delays between ranks, steps.
    """
    delay_of_edge = np.minimum(graph.min_delay, max_epoch)
    # the edges of the spanning forest connect the same slices as all edges, for any delay
    order = np.argsort(delay_of_edge, kind="stable")
    forest = spanning_forest(graph.n, graph.source, graph.target, order)
    source, target, delays = graph.source[forest], graph.target[forest], delay_of_edge[forest]
    budget = new_search_budget()
    for min_delay in np.unique(np.append(delays, max_epoch))[::-1].tolist():
        is_shorter = delays < min_delay
        component = connected_components(graph.n, source[is_shorter], target[is_shorter])
        cluster = np.unique(component, return_inverse=True)[1].astype(np.int64)
        owner = pack_clusters(np.bincount(cluster, weight).astype(np.float64), capacity, budget)
        clusters = DelayClusters(min_delay, cluster, owner)
        if owner is not None:
            break
    return clusters


def modulation_delays(network: Network) -> list[int]:
    """Return the delays after which spikes of modulators act on plastic synapses, steps.

    Modulators act on synapses of all ranks, so their delays limit every epoch.
    """
    return [
        projection.synapse.modulation_steps(network.dt)
        for projection in network.projections
        if isinstance(projection.synapse, ModulatedSynapse) and projection.synapse.modulator
    ]


@dataclass(frozen=True)
class EpochLengths:
    """Maximum lengths of group epochs and global epochs.

    Attributes
    ----------
    group_steps : int
        Maximum number of steps between two exchanges inside a rank group.
    global_steps : int
        Maximum number of steps between two exchanges of all ranks: a multiple of `group_steps`;
        equal if there are no exchanges inside groups.
    """

    group_steps: int
    global_steps: int

    @classmethod
    def from_delays(cls, rank_delay: int, group_delay: int, max_epoch: int) -> Self:
        """Return the longest epochs that delays allow.

        Parameters
        ----------
        rank_delay : int
            Minimum delay between any two ranks, steps.
        group_delay : int
            Minimum delay between ranks of different groups, at least `rank_delay`, steps.
        max_epoch : int
            Maximum length of an epoch for other reasons, steps.
        """
        group_steps = max(1, min(rank_delay, max_epoch))
        return cls(group_steps, max(1, min(group_delay, max_epoch) // group_steps) * group_steps)

    @property
    def in_groups(self) -> bool:
        """Whether rank groups exchange spikes more often than all ranks do."""
        return self.group_steps < self.global_steps


def max_epoch_steps(network: Network) -> int:
    """Return the maximum length of an epoch, whatever the delays between ranks, steps."""
    return min([MAX_EPOCH_STEPS, *modulation_delays(network)])


def expected_epochs(network: Network, graph: TrafficGraph, assignment: Assignment) -> EpochLengths:
    """Return the lengths of the epochs that an assignment allows, steps."""
    return EpochLengths.from_delays(*min_delays(graph, assignment), max_epoch_steps(network))


def min_delays(graph: TrafficGraph, assignment: Assignment) -> tuple[int, int]:
    """Return lower bounds of the delays between ranks and between rank groups, steps."""
    owner = assignment.owner
    return min_delay_across(graph, owner), min_delay_across(graph, assignment.group_of_rank[owner])


def min_delay_across(graph: TrafficGraph, owner: npt.NDArray[np.int32]) -> int:
    """Return a lower bound of the delays of synapses between different owners, steps."""
    is_cut = owner[graph.source] != owner[graph.target]
    return int(graph.min_delay[is_cut].min(initial=NO_DELAY))
