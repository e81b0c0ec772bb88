"""Putting weights into bins of limited room: greedily, or by a search through all ways.

Axes: i weight (the heaviest first), r bin.
"""

import numpy as np

from distsnn.jit import inline, kernel

# Which of the bins with room a weight goes to.
FIRST, ROOMIEST, FULLEST = range(3)
RULES = (ROOMIEST, FIRST, FULLEST)

# Sums of what is left are compared with this much in hand: they are rounded in another order.
_EQUAL = 1.0 - 1e-12


@kernel
def pack_by(rule, weight, capacity, found):
    """Put each weight where a rule says; return whether all have room.

    Parameters
    ----------
    rule : int
        `FIRST`, `ROOMIEST` or `FULLEST`.
    weight : ndarray of float64, shape (n,)
        Weights, descending.
    capacity : ndarray of float64, shape (bins,)
        Room of each bin.
    found : ndarray of int64, shape (n,)
        Filled with the bin of each weight, where all have room.
    """
    room = capacity.copy()
    for i in range(weight.size):
        chosen = -1
        for r in range(room.size):
            if room[r] < weight[i]:
                continue
            if (
                chosen < 0
                or (rule == ROOMIEST and room[r] > room[chosen])
                or (rule == FULLEST and room[r] < room[chosen])
            ):
                chosen = r
        if chosen < 0:
            return False
        room[chosen] -= weight[i]
        found[i] = chosen
    return True


@kernel
def search_packing(weight, capacity, visits, found):
    """Search all ways of putting weights into bins, depth first; return whether one was found.

    Of all ways that differ only in which of equal bins, or of equal weights, is which, the first
    one is never left out: of bins with equal room only the first is tried, and a weight never goes
    before the bin of an equal one before it. A way is given up where what is left to be put has
    not enough room in bins that can hold the lightest.

    Parameters
    ----------
    weight, capacity, found
        As for `pack_by`.
    visits : ndarray of int64, shape (1,)
        After looking at so many bins it gives up: the answer no is sure only if it did not. What
        it looked at is taken away.
    """
    n, bins = weight.size, capacity.size
    room, before = capacity.copy(), np.empty(n)
    left = np.cumsum(weight[::-1])[::-1]
    found[:] = -1
    at = 0
    while 0 <= at < n:
        if visits[0] < bins:
            visits[0] = 0
            return False
        visits[0] -= bins
        one, r = weight[at], found[at] + 1
        if r > 0:
            room[r - 1] = before[at]
        else:
            usable = 0.0
            for other in range(bins):
                if room[other] >= weight[n - 1]:
                    usable += room[other]
            if usable < _EQUAL * left[at]:
                r = bins
            elif at > 0 and weight[at - 1] == one:
                r = found[at - 1]
        while r < bins and (room[r] < one or _seen(room, r)):
            r += 1
        if r == bins:
            found[at] = -1
            at -= 1
        else:
            found[at], before[at] = r, room[r]
            room[r] -= one
            at += 1
    return at == n


@inline
def _seen(room, r):
    other = 0
    while other < r and room[other] != room[r]:
        other += 1
    return other < r
