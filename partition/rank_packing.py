"""Whether, and how, what must stay together can be dealt out within the ranks' capacities."""

import numpy as np
import numpy.typing as npt

from distsnn.kernels.packing import RULES, pack_by, search_packing

# Bins that searches look at before they give up: some ms.
_SEARCH_BUDGET = 1 << 21
# Sums of weights are rounded.
_ROUNDING = 1.0 + 1e-12


def new_search_budget() -> npt.NDArray[np.int64]:
    """Return how many bins searches may look at, shape (1,): for calls of `pack_clusters` that share it."""
    return np.array([_SEARCH_BUDGET])


def pack_clusters(
    weight: npt.NDArray[np.float64],
    capacity: npt.NDArray[np.float64],
    budget: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int64] | None:
    """Return a rank for each weight, by which none has too much; None if none is found.

    The heaviest come first, each to the rank with the most room, to the first one with room, or to
    the one that it fills best; where none of these rules succeeds, all ways are searched. This may
    give up, and so miss a way, where some 20 weights or more hardly fit. It depends on nothing but
    the arguments.

    Parameters
    ----------
    weight : ndarray of float64, shape (n,)
        Weights, not negative.
    capacity : ndarray of float64, shape (ranks,)
        Most weight of each rank.
    budget : ndarray of int64, shape (1,), optional
        How many bins a search may still look at, from which those that it did are taken; once
        there are none, only the rules are tried. By default `new_search_budget`.
    """
    order = np.argsort(-weight, kind="stable")
    sorted_weight, max_load = weight[order], _ROUNDING * capacity
    if sorted_weight.max(initial=0.0) > max_load.max() or sorted_weight.sum() > max_load.sum():
        return None
    if budget is None:
        budget = new_search_budget()
    rank_of_sorted = np.empty(weight.size, np.int64)
    if not any(
        pack_by(rule, sorted_weight, max_load, rank_of_sorted) for rule in RULES
    ) and not search_packing(sorted_weight, max_load, budget, rank_of_sorted):
        return None
    owner = np.empty_like(rank_of_sorted)
    owner[order] = rank_of_sorted
    return owner
