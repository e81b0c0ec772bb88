"""Moving vertices between ranks while what the ranks have to tell each other falls.

The cost of an assignment is the expected number of (spike, rank) pairs a second: for a source and
each other rank, whether it has a synapse there. If the expected number of synapses of a source of
slice a on rank r is M[a, r], one has at least one with probability 1 - exp(-M[a, r]), as numbers
of synapses are nearly Poisson distributed in all rules but those of very small slices.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.kernels.functions import expm1_array
from distsnn.kernels.partitioning import expected_on_ranks, move, swap

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SWAP_CANDIDATES = 64  # tried for a swap


@dataclass(frozen=True, eq=False)
class RefinementGraph:
    """A graph as refinement needs it: edges by target, with synapses of one source neuron.

    Parameters
    ----------
    spike_rate : ndarray of float64, shape (n,)
        Spikes/s of each vertex.
    weight : ndarray of float64, shape (n,)
        What simulating each vertex costs.
    start : ndarray of int64, shape (n + 1,)
        Edges into vertex v are ``start[v]`` to ``start[v + 1]``.
    source : ndarray of int64, shape (n_edges,)
        Their sources.
    mean_synapses : ndarray of float64, shape (n_edges,)
        Expected synapses of one neuron of the source onto the target.
    """

    spike_rate: Floats
    weight: Floats
    start: Ints
    source: Ints
    mean_synapses: Floats


def remote_spike_rate(graph: RefinementGraph, owner: Ints, ranks: int) -> float:
    """Return the expected (spike, remote rank) pairs a second of an assignment."""
    means = expected_on_ranks(graph.start, graph.source, graph.mean_synapses, owner, ranks)
    probability = -expm1_array(-means)
    local = probability[np.arange(owner.size), owner]
    return float(graph.spike_rate @ (probability.sum(axis=1) - local))


def refine(
    graph: RefinementGraph, owner: Ints, capacity: Floats, *, passes: int = 30, seed: int = 1
) -> Ints:
    """Return an assignment that costs no more, made by moving single vertices, and swapping.

    Parameters
    ----------
    graph : RefinementGraph
        The graph.
    owner : ndarray of int64, shape (n,)
        Rank of each vertex at the start.
    capacity : ndarray of float64, shape (ranks,)
        Most weight of each rank; a rank that has more loses vertices first.
    passes : int
        Most rounds over all vertices; it ends earlier where nothing moves.
    seed : int
        Of the order of vertices.
    """
    owner = owner.astype(np.int64)
    means = expected_on_ranks(graph.start, graph.source, graph.mean_synapses, owner, capacity.size)
    load = np.bincount(owner, graph.weight, minlength=capacity.size)
    random = np.random.default_rng(seed)
    for _ in range(passes):
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
