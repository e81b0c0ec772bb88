"""Refinement of an assignment: move and swap vertices while the remote spike rate falls.

The remote spike rate is the expected number of pairs of a spike and a remote rank per second. A
spike counts for each remote rank on which its source has a synapse. If M[a, r] is the expected
number of synapses of a neuron of slice a on rank r, the neuron has a synapse there with
probability 1 - exp(-M[a, r]): numbers of synapses are nearly Poisson distributed under all
connection rules, except for very small slices.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.kernels.functions import expm1_array
from distsnn.kernels.partitioning import expected_on_ranks, move, swap

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SWAP_CANDIDATES = 64  # partners that are tried for a swap
_MAX_PASSES = 30  # over all vertices; refinement ends before if a pass moves nothing
_SEED = 1  # of the order of vertices


@dataclass(frozen=True, eq=False)
class RefinementGraph:
    """Graph for refinement: edges by target, with the expected synapses of one source neuron.

    Parameters
    ----------
    spike_rate : ndarray of float64, shape (n,)
        Spikes of each vertex, 1/s.
    weight : ndarray of float64, shape (n,)
        Computational cost of each vertex.
    start : ndarray of int64, shape (n + 1,)
        The edges into vertex v are ``start[v]`` to ``start[v + 1]``, exclusive.
    source : ndarray of int64, shape (n_edges,)
        Source of each edge.
    mean_synapses : ndarray of float64, shape (n_edges,)
        Expected number of synapses of one source neuron onto the target.
    """

    spike_rate: Floats
    weight: Floats
    start: Ints
    source: Ints
    mean_synapses: Floats


def remote_spike_rate(graph: RefinementGraph, owner: Ints, ranks: int) -> float:
    """Return the expected number of pairs of a spike and a remote rank, 1/s."""
    means = expected_on_ranks(graph.start, graph.source, graph.mean_synapses, owner, ranks)
    probability = -expm1_array(-means)
    local = probability[np.arange(owner.size), owner]
    return float(graph.spike_rate @ (probability.sum(axis=1) - local))


def refine(graph: RefinementGraph, owner: Ints, capacity: Floats) -> Ints:
    """Return an assignment with at most the same remote spike rate, by moves and swaps.

    Parameters
    ----------
    graph : RefinementGraph
        The graph.
    owner : ndarray of int64, shape (n,)
        Rank of each vertex at the start.
    capacity : ndarray of float64, shape (ranks,)
        Maximum weight of each rank; an overloaded rank loses vertices first.
    """
    owner = owner.astype(np.int64)
    means = expected_on_ranks(graph.start, graph.source, graph.mean_synapses, owner, capacity.size)
    load = np.bincount(owner, graph.weight, minlength=capacity.size)
    random = np.random.default_rng(_SEED)
    for _ in range(_MAX_PASSES):
        order = random.permutation(owner.size)
        arguments = (
            *(
                order,
                graph.spike_rate,
                graph.weight,
                graph.start,
                graph.source,
                graph.mean_synapses,
            ),
            *(owner, means, load, capacity),
        )
        if not move(*arguments) and not swap(*arguments, _SWAP_CANDIDATES):
            break
    return owner
