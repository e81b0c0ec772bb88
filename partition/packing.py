"""Whether, and how, what must stay together can be dealt out within the ranks' capacities."""

import numpy as np
import numpy.typing as npt

from distsnn.kernels.packing import RULES, pack_by, search_packing

# Bins that searches look at before they give up: some ms.
_VISITS = 1 << 21
# Sums of weights are rounded.
_MORE = 1.0 + 1e-12


def search_visits() -> npt.NDArray[np.int64]:
    """Return how many bins searches may look at, shape (1,): for calls of `pack` that share it."""
    return np.array([_VISITS])


def pack(
    weight: npt.NDArray[np.float64],
    capacity: npt.NDArray[np.float64],
    visits: npt.NDArray[np.int64] | None = None,
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
    visits : ndarray of int64, shape (1,), optional
        How many bins a search may still look at, from which those that it did are taken; once
        there are none, only the rules are tried. By default `search_visits`.
    """
    order = np.argsort(-weight, kind="stable")
    heavy, room = weight[order], _MORE * capacity
    if heavy.max(initial=0.0) > room.max() or heavy.sum() > room.sum():
        return None
    if visits is None:
        visits = search_visits()
    found = np.empty(weight.size, np.int64)
    if not any(pack_by(rule, heavy, room, found) for rule in RULES) and not search_packing(
        heavy, room, visits, found
    ):
        return None
    owner = np.empty_like(found)
    owner[order] = found
    return owner
