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
from distsnn.partition.packing import pack, search_visits
from distsnn.partition.traffic import NO_DELAY, TrafficGraph

# Longest epoch: keeps the buffers of an epoch's spikes small where delays are long.
LONGEST_EPOCH = 256  # steps


@dataclass(frozen=True, eq=False)
class Apart:
    """Slices that stay together, so that ranks are as far from each other in time as can be.

    Attributes
    ----------
    delay : int
        No synapse between clusters has a smaller delay, steps.
    cluster : ndarray of int64, shape (n,)
        Cluster of each slice, numbered from 0 in the order of their first slices.
    owner : ndarray of int64, shape (n_clusters,), or None
        Rank of each cluster by which none has more than its capacity; None where even the clusters
        of the smallest delay were too large.
    """

    delay: int
    cluster: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64] | None


def farthest(
    graph: TrafficGraph,
    weight: npt.NDArray[np.float64],
    capacity: npt.NDArray[np.float64],
    longest: int,
) -> Apart:
    """Return the clusters of the largest delay for which `pack` can deal them out to ranks.

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
    longest : int
        Most steps of an epoch, however far ranks are from each other.
    """
    delay_of_edge = np.minimum(graph.delay, longest)
    # what edges below a delay join, those of these few do
    order = np.argsort(delay_of_edge, kind="stable")
    few = spanning(graph.n, graph.source, graph.target, order)
    source, target, delays = graph.source[few], graph.target[few], delay_of_edge[few]
    visits = search_visits()
    for delay in np.unique(np.append(delays, longest))[::-1].tolist():
        near = delays < delay
        first = joined(graph.n, source[near], target[near])
        cluster = np.unique(first, return_inverse=True)[1].astype(np.int64)
        owner = pack(np.bincount(cluster, weight).astype(np.float64), capacity, visits)
        found = Apart(delay, cluster, owner)
        if owner is not None:
            break
    return found


def modulation_delays(network: Network) -> list[int]:
    """Return the delays, in steps, after which modulators' spikes are felt.

    They reach synapses on all ranks, without a synapse of their own.
    """
    return [
        one.synapse.modulation_steps(network.dt)
        for one in network.projections
        if isinstance(one.synapse, ModulatedSynapse) and one.synapse.modulator
    ]


@dataclass(frozen=True)
class Epochs:
    """How long ranks do without each other's spikes.

    Attributes
    ----------
    inside : int
        Most steps between two exchanges inside groups of ranks, where there are such.
    between : int
        Most steps between two exchanges of all ranks: a multiple, or the same, where all exchanges
        are of all ranks.
    """

    inside: int
    between: int

    @classmethod
    def of(cls, nearest: int, between: int, most: int) -> Self:
        """Return what delays allow.

        Parameters
        ----------
        nearest : int
            Smallest delay between any ranks, steps.
        between : int
            Smallest delay between ranks of different groups, steps; not less.
        most : int
            Most steps of an epoch for other reasons.
        """
        inside = max(1, min(nearest, most))
        return cls(inside, max(1, min(between, most) // inside) * inside)

    @property
    def in_groups(self) -> bool:
        """Whether there are exchanges inside groups besides those of all ranks."""
        return self.inside < self.between


def longest_epoch(network: Network) -> int:
    """Return after how many steps ranks have to exchange spikes, however far from each other."""
    return min([LONGEST_EPOCH, *modulation_delays(network)])


def expected_epochs(network: Network, graph: TrafficGraph, assignment: Assignment) -> Epochs:
    """Return after how many steps ranks have to exchange spikes, if not before a run ends."""
    return Epochs.of(*smallest_between(graph, assignment), longest_epoch(network))


def smallest_between(graph: TrafficGraph, assignment: Assignment) -> tuple[int, int]:
    """Return bounds of the delays between ranks, and between groups of them: none is smaller."""
    owner = assignment.owner
    return smallest_across(graph, owner), smallest_across(graph, assignment.group[owner])


def smallest_across(graph: TrafficGraph, owner: npt.NDArray[np.int32]) -> int:
    """Return a bound of the delays between owners, steps: none is smaller."""
    across = owner[graph.source] != owner[graph.target]
    return int(graph.delay[across].min(initial=NO_DELAY))
