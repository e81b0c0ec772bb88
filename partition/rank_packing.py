"""Packing of delay clusters onto ranks within the ranks' capacities."""

import numpy as np
import numpy.typing as npt

from distsnn.kernels.bin_packing import RULES, pack_by_search, pack_greedily

# Number of bins that searches may visit before they give up: some ms.
_SEARCH_BUDGET = 1 << 21
# Tolerance for the rounding errors of sums of weights.
_ROUNDING = 1.0 + 1e-12


def new_search_budget() -> npt.NDArray[np.int64]:
    """Return a search budget that several calls of `pack_clusters` can share, shape (1,)."""
    return np.array([_SEARCH_BUDGET])


def pack_clusters(
    weight: npt.NDArray[np.float64],
    capacity: npt.NDArray[np.float64],
    budget: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int64] | None:
    """Assign each weight to a rank within the capacities; return None if no assignment is found.

    Three greedy rules are tried, in descending order of weights: the rank with the most free
    capacity, the first rank with enough, and the rank that is filled best. If all of them fail, a
    search tries all assignments. It may give up if 20 weights or more barely fit. The result
    depends on the arguments only.

    Parameters
    ----------
    weight : ndarray of float64, shape (n,)
        Weights, not negative.
    capacity : ndarray of float64, shape (ranks,)
        Maximum weight of each rank.
    budget : ndarray of int64, shape (1,), optional
        Number of bins that the search may visit; the call subtracts those that it visited. At 0
        only the rules are tried. By default `new_search_budget`.
    """
    order = np.argsort(-weight, kind="stable")
    sorted_weight, max_load = weight[order], _ROUNDING * capacity
    if sorted_weight.max(initial=0.0) > max_load.max() or sorted_weight.sum() > max_load.sum():
        return None
    if budget is None:
        budget = new_search_budget()
    rank_of_sorted = np.empty(weight.size, np.int64)
    if not any(
        pack_greedily(rule, sorted_weight, max_load, rank_of_sorted) for rule in RULES
    ) and not pack_by_search(sorted_weight, max_load, budget, rank_of_sorted):
        return None
    owner = np.empty_like(rank_of_sorted)
    owner[order] = rank_of_sorted
    return owner
