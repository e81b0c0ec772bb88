"""Which neurons' spikes each slice needs: expected in closed form, or counted in what was wired."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.network import Network
from distsnn.network.blocks import BlockTable
from distsnn.partition.contacts import Counted, Expected
from distsnn.partition.traffic import (
    Rates,
    Reader,
    TrafficGraph,
    covered,
    given_edges,
    neuron_rates,
    slice_of,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def with_expected(
    graph: TrafficGraph, network: Network, table: BlockTable, edges: Reader | None = None
) -> TrafficGraph:
    """Return a network's slices with the expected number of neurons that reach each other's.

    Of edges that are given nothing is left to chance; several projections' count as if no two came
    from one neuron, so that there are never more.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    network : Network
        The network.
    table : BlockTable
        Its slices, as `traffic` took them.
    edges : callable, optional
        Reads the edges of a projection from its file; needed where there is one.
    """
    bounds = np.searchsorted(table.population, np.arange(len(network.populations) + 1))
    index = {one.name: at for at, one in enumerate(network.populations)}
    blocks: dict[tuple[int, int], tuple[Floats, Floats]] = {}
    for one in network.projections:
        key = index[one.pre.population], index[one.post.population]
        pre, post = (slice(bounds[at], bounds[at + 1]) for at in key)
        if key not in blocks:
            shape = pre.stop - pre.start, post.stop - post.start
            blocks[key] = np.ones(shape), np.zeros(shape)
        missed, given = blocks[key]
        pieces = given_edges(one, network.dt, edges)
        if pieces is not None:
            for piece in pieces:
                given += _sources(one, table, piece, given.shape)
            continue
        part = covered(table, pre, one.pre) / table.size[pre]
        targets = np.broadcast_to(covered(table, post, one.post), given.shape).astype(np.float64)
        if one.same and one.rule.skips_autapses:
            targets = targets - (np.eye(*given.shape) * (targets > 0.0))
        # few numbers occur, and a rule may need long arrays for each
        few, at = np.unique(targets, return_inverse=True)
        hit = one.rule.reach(few, one.pre.size, one.post.size, one.same)
        missed *= 1.0 - part[:, np.newaxis] * hit[at.reshape(targets.shape)]
    mean, variance = np.empty(graph.target.size), np.empty(graph.target.size)
    of_edge = np.int64(len(index)) * graph.population[graph.source]
    of_edge += graph.population[graph.target]
    order = np.argsort(of_edge, kind="stable")
    for (a, b), (missed, given) in blocks.items():
        ends = np.searchsorted(of_edge[order], a * len(index) + np.arange(b, b + 2))
        here = order[slice(*ends)]
        cell = graph.source[here] - bounds[a], graph.target[here] - bounds[b]
        size = graph.neurons[graph.source[here]]
        left = np.maximum(0.0, size - given[cell])
        mean[here] = size - left * missed[cell]
        variance[here] = left * missed[cell] * (1.0 - missed[cell])
    return replace(graph, contacts=Expected(mean, variance))


def _sources(
    one: Any, table: BlockTable, piece: npt.NDArray[Any], shape: tuple[int, ...]
) -> npt.NDArray[np.int64]:
    """Return how many sources of edges each pair of slices has."""
    first = piece["source"].astype(np.int64)
    pairs = np.unique(first * np.int64(shape[1]) + slice_of(table, piece["target"], one.post))
    source, target = np.divmod(pairs, shape[1])
    cell = slice_of(table, source, one.pre) * shape[1] + target
    return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)


def with_counted(
    graph: TrafficGraph,
    network: Network,
    table: BlockTable,
    rates: Rates,
    ends: Iterable[tuple[Ints, Ints]],
) -> TrafficGraph:
    """Return a network's slices with the synapses that were built: no others, and all counted.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    network : Network
        The network.
    table : BlockTable
        Its slices, as `traffic` took them.
    rates : mapping of str to array_like, or float
        Rates, as `traffic` took them.
    ends : iterable of pair of ndarray of int64
        Sources and targets (gids) of synapses, in pieces.
    """
    n = np.int64(graph.n)
    indegree, outdegree = np.zeros((2, network.n_neurons), np.int64)
    contacts, pairs, synapses = [], [], []
    for source, target in ends:
        indegree += np.bincount(target, minlength=indegree.size)
        outdegree += np.bincount(source, minlength=outdegree.size)
        onto = table.of_gid(target)
        contacts.append(np.unique(source * n + onto))
        cell, number = np.unique(table.of_gid(source) * n + onto, return_counts=True)
        pairs.append(cell)
        synapses.append(number)
    none = np.empty(0, np.int64)
    neuron, reached = np.divmod(np.unique(np.concatenate([none, *contacts])), n)
    cell, at = np.unique(np.concatenate([none, *pairs]), return_inverse=True)
    number = np.bincount(at, np.concatenate([none, *synapses]), minlength=cell.size)
    known = graph.source * n + graph.target
    counted = Counted(
        np.searchsorted(neuron, np.arange(network.n_neurons + 1)).astype(np.int64),
        reached.astype(np.int32),
        neuron_rates(network, rates),
        indegree,
        outdegree,
    )
    return replace(
        graph,
        start=np.searchsorted(cell, np.arange(graph.n + 1) * n).astype(np.int64),
        target=(cell % n).astype(np.int32),
        synapses=number.astype(np.float64),
        # whatever is drawn was possible
        delay=graph.delay[np.searchsorted(known, cell)],
        contacts=counted,
    )
