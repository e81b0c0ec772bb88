"""Rank groups, for delay clusters that are too large for one rank.

If several ranks share a delay cluster, they must exchange spikes once per minimum delay inside it.
A rank group owns whole clusters. Then only the ranks of a group exchange spikes that often; all
ranks exchange spikes once per minimum delay between groups.
"""

from math import log2
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.partition.delays import EpochLengths, cluster_by_delay, min_delay_across
from distsnn.partition.graph_partitioner import partition_graph, rank_capacities
from distsnn.partition.rank_packing import pack_clusters
from distsnn.partition.traffic import TrafficGraph

# Groups must take at most this fraction of the message rounds without groups.
_MAX_ROUNDS_RATIO = 0.8
# Maximum load of a rank in groups, relative to its capacity or to its load without groups.
_MAX_LOAD_RATIO = 1.1
_N_CAPACITIES = 9  # capacities tried inside a group, up to the heaviest slice above the balanced


def message_rounds(epochs: EpochLengths, ranks: int, group_size: int) -> float:
    """Return the message rounds per step: an exchange among n ranks takes log2(n) rounds.

    Parameters
    ----------
    epochs : EpochLengths
        Lengths of the epochs.
    ranks, group_size : int
        Number of all ranks, and of the ranks of a group.
    """
    group_rounds = log2(group_size) / epochs.group_steps if epochs.in_groups else 0.0
    return group_rounds + log2(ranks) / epochs.global_steps


def partition_into_groups(
    graph: TrafficGraph,
    weight: npt.NDArray[np.float64],
    rank_speeds: npt.NDArray[np.float64],
    *,
    max_epoch: int,
    imbalance: float = 0.03,
    quality: str = "fast",
) -> tuple[npt.NDArray[np.int32], tuple[int, ...]]:
    """Compute the rank of each slice, and the sizes of rank groups if groups save messages.

    All groups have the same number of ranks. The group size with the fewest expected message
    rounds is used, if groups take clearly fewer rounds and no rank gets a clearly higher load.
    Slices are assigned to groups as they are to ranks, then the slices of each group to its ranks.

    Parameters
    ----------
    graph, weight, rank_speeds, max_epoch, imbalance, quality
        As for `distsnn.partition.graph_partitioner.partition_graph`.

    Returns
    -------
    (ndarray of int32, shape (n,); tuple of int)
        Owners, and the number of ranks of each group; empty if groups do not pay.

    Raises
    ------
    DescriptionError
        If a library that `quality` needs is not installed.
    """
    ranks = rank_speeds.size
    options: Any = {"max_epoch": max_epoch, "quality": quality}
    ungrouped = partition_graph(graph, weight, rank_speeds, imbalance=imbalance, **options)
    sizes = [size for size in range(2, ranks // 2 + 1) if ranks % size == 0 and graph.n > 0]
    if not sizes:
        return ungrouped, ()
    capacity = rank_capacities(weight, rank_speeds, imbalance)
    epoch = min_delay_across(graph, ungrouped)
    max_rounds = _MAX_ROUNDS_RATIO * message_rounds(
        EpochLengths.from_delays(epoch, epoch, max_epoch), ranks, 1
    )
    candidates = []
    for size in sizes:
        group_capacity = rank_capacities(
            weight, rank_speeds.reshape(-1, size).sum(axis=1), imbalance
        )
        group_delay = cluster_by_delay(graph, weight, group_capacity, max_epoch).min_delay
        # the minimum delay inside groups is estimated by the minimum delay without groups
        epochs = EpochLengths.from_delays(min(epoch, group_delay), group_delay, max_epoch)
        candidates.append((message_rounds(epochs, ranks, size), size))
    max_load = _MAX_LOAD_RATIO * max(1.0, _max_relative_load(ungrouped, weight, capacity))
    for expected_rounds, size in sorted(candidates):
        if expected_rounds > max_rounds:
            break
        speeds = rank_speeds.reshape(-1, size)
        group_speeds = speeds.sum(axis=1)
        group = partition_graph(graph, weight, group_speeds, imbalance=imbalance, **options)
        owner = size * group
        for index, member_capacity in enumerate(capacity.reshape(-1, size)):
            in_group = group == index
            owner[in_group] += partition_graph(
                graph.subgraph(in_group),
                weight[in_group],
                speeds[index],
                capacity=_feasible_capacity(weight[in_group], member_capacity),
                **options,
            )
        rank_delay, group_delay_reached = (
            min_delay_across(graph, owner),
            min_delay_across(graph, owner // size),
        )
        is_worth_it = (
            message_rounds(
                EpochLengths.from_delays(rank_delay, group_delay_reached, max_epoch), ranks, size
            )
            <= max_rounds
        )
        # a group without slices would have the fewest rounds of all
        all_used = np.unique(group).size == ranks // size
        if is_worth_it and all_used and _max_relative_load(owner, weight, capacity) <= max_load:
            return owner, (size,) * (ranks // size)
    return ungrouped, ()


def _max_relative_load(
    owner: npt.NDArray[np.int32],
    weight: npt.NDArray[np.float64],
    capacity: npt.NDArray[np.float64],
) -> float:
    """Return the maximum over ranks of load divided by capacity."""
    return float((np.bincount(owner, weight, minlength=capacity.size) / capacity).max())


def _feasible_capacity(
    weight: npt.NDArray[np.float64], capacity: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the smallest tried increase of the capacities for which all slices fit."""
    extra = weight.max(initial=0.0) * np.linspace(0.0, 1.0, _N_CAPACITIES)
    feasible = (
        capacity + added for added in extra if pack_clusters(weight, capacity + added) is not None
    )
    return next(feasible, capacity + extra[-1])
