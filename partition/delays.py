"""The largest smallest delay across ranks: what the ranks' distance in time allows.

Ranks must exchange spikes once in the smallest delay of a synapse between two of them. Slices
that are closer than D are put together; if what results can be dealt out in balance, an epoch may
last D. Where ranks form groups, there are two such delays: ranks of a group exchange spikes once in
the smaller, and all ranks once in the smallest between groups.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from distsnn.kernels.partitioning import joined, spanning
from distsnn.network import ModulatedSynapse, Network
from distsnn.partition.assignment import Assignment
from distsnn.partition.rank_packing import new_search_budget, pack_clusters
from distsnn.partition.traffic import NO_DELAY, TrafficGraph

# Longest epoch: keeps the buffers of an epoch's spikes small where delays are long.
MAX_EPOCH_STEPS = 256  # steps


@dataclass(frozen=True, eq=False)
class DelayClusters:
    """Slices that stay together, so that ranks are as far from each other in time as can be.

    Attributes
    ----------
    min_delay : int
        No synapse between clusters has a smaller delay, steps.
    cluster : ndarray of int64, shape (n,)
        Cluster of each slice, numbered from 0 in the order of their first slices.
    owner : ndarray of int64, shape (n_clusters,), or None
        Rank of each cluster by which none has more than its capacity; None where even the clusters
        of the smallest delay were too large.
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
    """Return the clusters of the largest delay for which `pack_clusters` can deal them out to ranks.

    Delays are tried from the largest down: more slices together are harder to deal out. What is
    not sooner than the longest epoch is far, however far: to put it together would only leave
    fewer assignments to choose from.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    weight : ndarray of float64, shape (n,)
        What simulating each slice costs.
    capacity : ndarray of float64, shape (ranks,)
        Most weight of each rank.
    max_epoch : int
        Most steps of an epoch, however far ranks are from each other.
    """
    delay_of_edge = np.minimum(graph.min_delay, max_epoch)
    # what edges below a delay join, those of these few do
    order = np.argsort(delay_of_edge, kind="stable")
    forest = spanning(graph.n, graph.source, graph.target, order)
    source, target, delays = graph.source[forest], graph.target[forest], delay_of_edge[forest]
    budget = new_search_budget()
    for min_delay in np.unique(np.append(delays, max_epoch))[::-1].tolist():
        is_shorter = delays < min_delay
        component = joined(graph.n, source[is_shorter], target[is_shorter])
        cluster = np.unique(component, return_inverse=True)[1].astype(np.int64)
        owner = pack_clusters(np.bincount(cluster, weight).astype(np.float64), capacity, budget)
        clusters = DelayClusters(min_delay, cluster, owner)
        if owner is not None:
            break
    return clusters


def modulation_delays(network: Network) -> list[int]:
    """Return the delays, in steps, after which modulators' spikes are felt.

    They reach synapses on all ranks, without a synapse of their own.
    """
    return [
        projection.synapse.modulation_steps(network.dt)
        for projection in network.projections
        if isinstance(projection.synapse, ModulatedSynapse) and projection.synapse.modulator
    ]


@dataclass(frozen=True)
class EpochLengths:
    """How long ranks do without each other's spikes.

    Attributes
    ----------
    group_steps : int
        Most steps between two exchanges inside groups of ranks, where there are such.
    global_steps : int
        Most steps between two exchanges of all ranks: a multiple, or the same, where all exchanges
        are of all ranks.
    """

    group_steps: int
    global_steps: int

    @classmethod
    def from_delays(cls, rank_delay: int, group_delay: int, max_epoch: int) -> Self:
        """Return what delays allow.

        Parameters
        ----------
        rank_delay : int
            Smallest delay between any ranks, steps.
        group_delay : int
            Smallest delay between ranks of different groups, steps; not less.
        max_epoch : int
            Most steps of an epoch for other reasons.
        """
        group_steps = max(1, min(rank_delay, max_epoch))
        return cls(group_steps, max(1, min(group_delay, max_epoch) // group_steps) * group_steps)

    @property
    def in_groups(self) -> bool:
        """Whether there are exchanges inside groups besides those of all ranks."""
        return self.group_steps < self.global_steps


def max_epoch_steps(network: Network) -> int:
    """Return after how many steps ranks have to exchange spikes, however far from each other."""
    return min([MAX_EPOCH_STEPS, *modulation_delays(network)])


def expected_epochs(network: Network, graph: TrafficGraph, assignment: Assignment) -> EpochLengths:
    """Return after how many steps ranks have to exchange spikes, if not before a run ends."""
    return EpochLengths.from_delays(*min_delays(graph, assignment), max_epoch_steps(network))


def min_delays(graph: TrafficGraph, assignment: Assignment) -> tuple[int, int]:
    """Return bounds of the delays between ranks, and between groups of them: none is smaller."""
    owner = assignment.owner
    return min_delay_across(graph, owner), min_delay_across(graph, assignment.group_of_rank[owner])


def min_delay_across(graph: TrafficGraph, owner: npt.NDArray[np.int32]) -> int:
    """Return a bound of the delays between owners, steps: none is smaller."""
    is_cut = owner[graph.source] != owner[graph.target]
    return int(graph.min_delay[is_cut].min(initial=NO_DELAY))
