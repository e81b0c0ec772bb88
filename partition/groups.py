"""Groups of ranks, where slices that are near in time have to be shared by ranks.

If clusters of near slices are larger than a rank's share, all ranks must exchange spikes once in
the small delay inside a cluster. A group of ranks holds whole clusters: then only its own ranks
need to exchange spikes so often, and all ranks once in the smallest delay between groups.
"""

from math import log2
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.partition.dealing import capacities, graph_owners
from distsnn.partition.delays import Epochs, farthest, smallest_across
from distsnn.partition.packing import pack
from distsnn.partition.traffic import TrafficGraph

# Groups are made if they take no more than this part of the rounds of messages.
_WORTH = 0.8
# ... and if no rank is fuller than this, in units of what it may get, or gets without groups.
_FULLEST = 1.1
_TRIES = 9  # for room in a group, up to that of one more slice


def rounds(epochs: Epochs, ranks: int, size: int) -> float:
    """Return the rounds of messages in a step: an exchange among n ranks takes log2(n).

    Parameters
    ----------
    epochs : Epochs
        How often spikes are exchanged.
    ranks, size : int
        Number of ranks, of all and in a group.
    """
    inside = log2(size) / epochs.inside if epochs.in_groups else 0.0
    return inside + log2(ranks) / epochs.between


def owners_and_groups(
    graph: TrafficGraph,
    weight: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
    *,
    longest: int,
    imbalance: float = 0.03,
    quality: str = "fast",
) -> tuple[npt.NDArray[np.int32], tuple[int, ...]]:
    """Return the rank of each slice, and the sizes of groups of ranks, if such are worth it.

    Groups are equally many ranks each. Of all sizes that divide the number of ranks, that is taken
    which promises the fewest rounds of messages, if these are clearly fewer than without groups and
    no rank gets clearly more to do. Slices are dealt out to groups as they are to ranks, then those
    of a group to its ranks.

    Parameters
    ----------
    graph, weight, shares, longest, imbalance, quality
        As for `distsnn.partition.dealing.graph_owners`.

    Returns
    -------
    (ndarray of int32, shape (n,); tuple of int)
        Owners, and ranks of each group: none where all ranks exchange spikes at once.

    Raises
    ------
    DescriptionError
        If a library that `quality` needs is not installed.
    """
    ranks = shares.size
    how: Any = {"longest": longest, "quality": quality}
    flat = graph_owners(graph, weight, shares, imbalance=imbalance, **how)
    sizes = [one for one in range(2, ranks // 2 + 1) if ranks % one == 0 and graph.n > 0]
    if not sizes:
        return flat, ()
    capacity = capacities(weight, shares, imbalance)
    epoch = smallest_across(graph, flat)
    most = _WORTH * rounds(Epochs.of(epoch, epoch, longest), ranks, 1)
    promised = []
    for size in sizes:
        room = capacities(weight, shares.reshape(-1, size).sum(axis=1), imbalance)
        between = farthest(graph, weight, room, longest).delay
        # inside of groups it is as it would be without them, as far as one can tell
        epochs = Epochs.of(min(epoch, between), between, longest)
        promised.append((rounds(epochs, ranks, size), size))
    fullest = _FULLEST * max(1.0, _fullest(flat, weight, capacity))
    for least, size in sorted(promised):
        if least > most:
            break
        speeds = shares.reshape(-1, size)
        of_group = speeds.sum(axis=1)
        group = graph_owners(graph, weight, of_group, imbalance=imbalance, **how)
        owner = size * group
        for at, most_of_each in enumerate(capacity.reshape(-1, size)):
            mine = group == at
            owner[mine] += graph_owners(
                graph.part(mine),
                weight[mine],
                speeds[at],
                capacity=_roomy(weight[mine], most_of_each),
                **how,
            )
        near, far = smallest_across(graph, owner), smallest_across(graph, owner // size)
        few = rounds(Epochs.of(near, far, longest), ranks, size) <= most
        # a group without slices would have the fewest rounds of all
        whole = np.unique(group).size == ranks // size
        if few and whole and _fullest(owner, weight, capacity) <= fullest:
            return owner, (size,) * (ranks // size)
    return flat, ()


def _fullest(
    owner: npt.NDArray[np.int32],
    weight: npt.NDArray[np.float64],
    capacity: npt.NDArray[np.float64],
) -> float:
    """Return the most that a rank has to do, in units of what it may get."""
    return float((np.bincount(owner, weight, minlength=capacity.size) / capacity).max())


def _roomy(
    weight: npt.NDArray[np.float64], capacity: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return capacities that all slices fit in, with as little more room as that takes."""
    more = weight.max(initial=0.0) * np.linspace(0.0, 1.0, _TRIES)
    enough = (capacity + one for one in more if pack(weight, capacity + one) is not None)
    return next(enough, capacity + more[-1])
