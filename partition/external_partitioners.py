"""Assignments by the graph partitioners METIS and mtkahypar, if they are installed."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.kernels.functions import expm1_array
from distsnn.partition.refinement import RefinementGraph

# Weights and their sums must fit 32-bit integers; mtkahypar multiplies sums by the ranks.
_MAX_WEIGHT, _MAX_WEIGHT_SUM = 1e6, 2.0**29
# METIS bisects recursively for up to this many ranks, which gives better cuts.
_MAX_RANKS_BISECTED = 8


def metis_assignments(
    graph: RefinementGraph, balanced_weight: npt.NDArray[np.float64], n_assignments: int
) -> list[npt.NDArray[np.int64]]:
    """Return assignments by METIS; empty if METIS is not installed or the graph has no edges.

    Parameters
    ----------
    graph : RefinementGraph
        The graph.
    balanced_weight : ndarray of float64, shape (ranks,)
        Balanced weight of each rank.
    n_assignments : int
        Number of assignments.
    """
    try:
        import pymetis
    except ImportError:
        return []
    n, ranks = graph.spike_rate.size, balanced_weight.size
    # METIS prints a warning to the standard output if a rank would get no vertex.
    if n <= ranks or graph.weight.max() > 2.0 * balanced_weight.min():
        return []
    target = np.repeat(np.arange(n), np.diff(graph.start))
    # The weight of an edge is the remote spike rate if it alone is cut, summed over directions.
    cut_cost = graph.spike_rate[graph.source] * -expm1_array(-graph.mean_synapses)
    is_cut = target != graph.source
    low, high = np.minimum(target, graph.source)[is_cut], np.maximum(target, graph.source)[is_cut]
    pair, edge = np.unique(low * n + high, return_inverse=True)
    if pair.size == 0:
        return []
    low, high = np.divmod(pair, n)
    edge_weight = _integer_weights(
        np.bincount(edge, cut_cost[is_cut]).astype(np.float64), _MAX_WEIGHT_SUM
    )
    vertex_weight = _integer_weights(graph.weight, _MAX_WEIGHT_SUM)
    vertices, neighbours = np.concatenate([low, high]), np.concatenate([high, low])
    order = np.argsort(vertices, kind="stable")
    starts = np.searchsorted(vertices[order], np.arange(n + 1))
    sorted_weight = np.concatenate([edge_weight, edge_weight])[order]
    assignments = []
    for seed in range(n_assignments):
        _, owner = pymetis.part_graph(
            ranks,
            pymetis.CSRAdjacency(starts, neighbours[order]),
            vweights=vertex_weight,
            eweights=sorted_weight,
            tpwgts=(balanced_weight / balanced_weight.sum()).tolist(),
            recursive=ranks <= _MAX_RANKS_BISECTED,
            options=pymetis.Options(seed=seed),
        )
        assignments.append(np.asarray(owner, np.int64))
    return assignments


def mtkahypar_assignments(
    graph: RefinementGraph, capacity: npt.NDArray[np.float64]
) -> list[npt.NDArray[np.int64]]:
    """Return a list with an assignment by mtkahypar; empty if the graph has nothing to cut.

    Parameters
    ----------
    graph : RefinementGraph
        The graph.
    capacity : ndarray of float64, shape (ranks,)
        Maximum weight of each rank, scaled up if their sum is below the total weight.

    Raises
    ------
    DescriptionError
        If mtkahypar is not installed.
    """
    library, factory = _mtkahypar()
    n, ranks = graph.spike_rate.size, capacity.size
    # One net per source: its slices are the targets that have a synapse with probability > 1/2.
    target = np.repeat(np.arange(n), np.diff(graph.start))
    is_likely = (graph.mean_synapses > np.log(2.0)) & (graph.source != target)
    order = np.argsort(graph.source[is_likely], kind="stable")
    net_targets = target[is_likely][order]
    ends = np.searchsorted(graph.source[is_likely][order], np.arange(n + 1))
    net_sources = np.flatnonzero(np.diff(ends))
    if n <= ranks or net_sources.size == 0:
        return []
    nets = [
        [vertex, *net_targets[ends[vertex] : ends[vertex + 1]].tolist()]
        for vertex in net_sources.tolist()
    ]
    total = float(graph.weight.sum())
    block_weight = capacity * max(1.0, total / float(capacity.sum()))
    scale = _MAX_WEIGHT_SUM / float(block_weight.sum())
    vertex_weight = np.maximum(1, np.rint(graph.weight * scale)).astype(np.int64)
    # other presets give a different result each time, even on one thread
    context = factory.context_from_preset(library.PresetType.DETERMINISTIC_QUALITY)
    # the next call sets the ranks' capacities, which include the imbalance
    context.set_partitioning_parameters(ranks, 0.0, library.Objective.KM1)
    # all vertices may have been rounded up
    context.set_individual_target_block_weights(
        (np.rint(block_weight * scale) + n).astype(int).tolist()
    )
    context.logging = False
    library.set_seed(1)
    hypergraph = factory.create_hypergraph(
        *(context, n, net_sources.size, nets, vertex_weight.tolist()),
        _integer_weights(graph.spike_rate, _MAX_WEIGHT_SUM / ranks)[net_sources].tolist(),
    )
    partitioned = hypergraph.partition(context)
    return [np.array([partitioned.block_id(vertex) for vertex in range(n)], np.int64)]


@cache
def _mtkahypar() -> tuple[Any, Any]:
    """Return the library and its factory of hypergraphs, initialised once per process."""
    try:
        import mtkahypar
    except ImportError as error:
        raise DescriptionError(
            "quality='best' needs the library mtkahypar, which is not installed "
            "(pip install mtkahypar, or the extra quality)",
            where="partition, field quality",
            value="best",
            allowed="fast",
        ) from error
    # False: no warning if another part of the program has initialised it
    return mtkahypar, mtkahypar.initialize(1, False)


def _integer_weights(values: npt.NDArray[np.float64], max_sum: float) -> npt.NDArray[np.int64]:
    max_value, total = (
        max(float(value), 1e-300) for value in (values.max(initial=0.0), values.sum())
    )
    scale = min(_MAX_WEIGHT / max_value, max_sum / total)
    return np.maximum(1, np.rint(values * scale)).astype(np.int64)
