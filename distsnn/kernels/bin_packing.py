"""Bin packing: weights are assigned to bins of limited capacity, greedily or by a full search.

Axes: i weight (the heaviest first), r bin.
"""

import numpy as np

from distsnn.jit import inline, kernel

# Which of the bins with enough free capacity gets a weight.
FIRST, ROOMIEST, FULLEST = range(3)
RULES = (ROOMIEST, FIRST, FULLEST)

# A tolerance for comparisons of sums of remaining capacities, which are rounded in another order.
_EQUAL = 1.0 - 1e-12


@kernel
def pack_greedily(rule, weight, capacity, bins):
    """Assign each weight to a bin by a rule; return whether all weights fit.

    Parameters
    ----------
    rule : int
        `FIRST`, `ROOMIEST` or `FULLEST`.
    weight : ndarray of float64, shape (n,)
        Weights, descending.
    capacity : ndarray of float64, shape (bins,)
        Capacity of each bin.
    bins : ndarray of int64, shape (n,)
        Filled with the bin of each weight, if all weights fit.
    """
    free = capacity.copy()
    for i in range(weight.size):
        best = -1
        for r in range(free.size):
            if free[r] < weight[i]:
                continue
            if (
                best < 0
                or (rule == ROOMIEST and free[r] > free[best])
                or (rule == FULLEST and free[r] < free[best])
            ):
                best = r
        if best < 0:
            return False
        free[best] -= weight[i]
        bins[i] = best
    return True


@kernel
def pack_by_search(weight, capacity, visits, bins):
    """Search all assignments of weights to bins, depth first; return whether all weights fit.

    Assignments that differ only by permutations of equal bins or of equal weights are tried once:
    of bins with equal free capacity only the first is tried, and a weight is not assigned to a bin
    before the bin of an equal earlier weight. A branch ends if the remaining weights exceed the
    free capacity of all bins that can hold the lightest weight.

    Parameters
    ----------
    weight, capacity, bins
        As for `pack_greedily`.
    visits : ndarray of int64, shape (1,)
        Maximum number of bins to visit; reduced by the number of visits. The result False is a
        proof only if visits remain.
    """
    n, n_bins = weight.size, capacity.size
    free, free_before = capacity.copy(), np.empty(n)
    remaining_weight = np.cumsum(weight[::-1])[::-1]
    bins[:] = -1
    item = 0
    while 0 <= item < n:
        if visits[0] < n_bins:
            visits[0] = 0
            return False
        visits[0] -= n_bins
        item_weight, r = weight[item], bins[item] + 1
        if r > 0:
            free[r - 1] = free_before[item]
        else:
            usable = 0.0
            for bin_index in range(n_bins):
                if free[bin_index] >= weight[n - 1]:
                    usable += free[bin_index]
            if usable < _EQUAL * remaining_weight[item]:
                r = n_bins
            elif item > 0 and weight[item - 1] == item_weight:
                r = bins[item - 1]
        while r < n_bins and (free[r] < item_weight or _is_repeated(free, r)):
            r += 1
        if r == n_bins:
            bins[item] = -1
            item -= 1
        else:
            bins[item], free_before[item] = r, free[r]
            free[r] -= item_weight
            item += 1
    return item == n


@inline
def _is_repeated(free, r):
    earlier = 0
    while earlier < r and free[earlier] != free[r]:
        earlier += 1
    return earlier < r
