"""Starts of other hands: how METIS and mtkahypar deal vertices out, if they are installed."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.kernels.functions import expm1_array
from distsnn.partition.refinement import Flow

# Libraries take integers of 32 bits, METIS also sums of them, mtkahypar those times the ranks.
_LARGEST_WEIGHT, _LARGEST_SUM = 1e6, 2.0**29
# Ways of METIS to cut: into two again and again, which is better for few ranks.
_FEW_RANKS = 8


def metis_owners(
    flow: Flow, ideal: npt.NDArray[np.float64], count: int
) -> list[npt.NDArray[np.int64]]:
    """Return several assignments by METIS: none where it is not installed, or has nothing to cut.

    Parameters
    ----------
    flow : Flow
        The graph.
    ideal : ndarray of float64, shape (ranks,)
        Weight of each rank in balance.
    count : int
        How many.
    """
    try:
        import pymetis
    except ImportError:
        return []
    n, ranks = flow.spikes.size, ideal.size
    # Parts that are left without a vertex are cut again, which METIS says on the standard output.
    if n <= ranks or flow.weight.max() > 2.0 * ideal.min():
        return []
    target = np.repeat(np.arange(n), np.diff(flow.start))
    # An edge weighs what it costs to cut it alone, from either side.
    cut = flow.spikes[flow.source] * -expm1_array(-flow.mean)
    other = target != flow.source
    low, high = np.minimum(target, flow.source)[other], np.maximum(target, flow.source)[other]
    cell, at = np.unique(low * n + high, return_inverse=True)
    if cell.size == 0:
        return []
    low, high = np.divmod(cell, n)
    weight = _integers(np.bincount(at, cut[other]).astype(np.float64), _LARGEST_SUM)
    heavy = _integers(flow.weight, _LARGEST_SUM)
    ends, back = np.concatenate([low, high]), np.concatenate([high, low])
    order = np.argsort(ends, kind="stable")
    starts = np.searchsorted(ends[order], np.arange(n + 1))
    edges = np.concatenate([weight, weight])[order]
    found = []
    for seed in range(count):
        _, owner = pymetis.part_graph(
            ranks,
            pymetis.CSRAdjacency(starts, back[order]),
            vweights=heavy,
            eweights=edges,
            tpwgts=(ideal / ideal.sum()).tolist(),
            recursive=ranks <= _FEW_RANKS,
            options=pymetis.Options(seed=seed),
        )
        found.append(np.asarray(owner, np.int64))
    return found


def mtkahypar_owners(flow: Flow, capacity: npt.NDArray[np.float64]) -> list[npt.NDArray[np.int64]]:
    """Return an assignment by mtkahypar: none where it has nothing to cut.

    Parameters
    ----------
    flow : Flow
        The graph.
    capacity : ndarray of float64, shape (ranks,)
        Most weight of each rank; where all of them are too little, as much more as it takes.

    Raises
    ------
    DescriptionError
        If it is not installed.
    """
    library, made_by = _mtkahypar()
    n, ranks = flow.spikes.size, capacity.size
    # A net for each source: its slices are those that it reaches more likely than not.
    target = np.repeat(np.arange(n), np.diff(flow.start))
    likely = (flow.mean > np.log(2.0)) & (flow.source != target)
    order = np.argsort(flow.source[likely], kind="stable")
    reached = target[likely][order]
    ends = np.searchsorted(flow.source[likely][order], np.arange(n + 1))
    used = np.flatnonzero(np.diff(ends))
    if n <= ranks or used.size == 0:
        return []
    nets = [[v, *reached[ends[v] : ends[v + 1]].tolist()] for v in used.tolist()]
    total = float(flow.weight.sum())
    room = capacity * max(1.0, total / float(capacity.sum()))
    scale = _LARGEST_SUM / float(room.sum())
    nodes = np.maximum(1, np.rint(flow.weight * scale)).astype(np.int64)
    # others come to another result each time, even on one thread
    context = made_by.context_from_preset(library.PresetType.DETERMINISTIC_QUALITY)
    # the imbalance is that of the ranks' capacities, which are set next
    context.set_partitioning_parameters(ranks, 0.0, library.Objective.KM1)
    # all vertices may have been rounded up
    context.set_individual_target_block_weights((np.rint(room * scale) + n).astype(int).tolist())
    context.logging = False
    library.set_seed(1)
    hypergraph = made_by.create_hypergraph(
        *(context, n, used.size, nets, nodes.tolist()),
        _integers(flow.spikes, _LARGEST_SUM / ranks)[used].tolist(),
    )
    made = hypergraph.partition(context)
    return [np.array([made.block_id(v) for v in range(n)], np.int64)]


@cache
def _mtkahypar() -> tuple[Any, Any]:
    """Return the library, and what it makes hypergraphs with; a process starts it only once."""
    try:
        import mtkahypar
    except ImportError as error:
        raise DescriptionError(
            "needs the library mtkahypar, which is not installed",
            where="partition, field quality",
            value="best",
            allowed="quality='fast', or pip install mtkahypar (extra quality)",
        ) from error
    # without a warning where another part of the program has started it
    return mtkahypar, mtkahypar.initialize(1, False)


def _integers(values: npt.NDArray[np.float64], most: float) -> npt.NDArray[np.int64]:
    largest, total = (max(float(one), 1e-300) for one in (values.max(initial=0.0), values.sum()))
    scale = min(_LARGEST_WEIGHT / largest, most / total)
    return np.maximum(1, np.rint(values * scale)).astype(np.int64)
