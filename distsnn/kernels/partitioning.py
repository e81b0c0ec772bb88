"""Kernels of partitioning: the cost of moving a vertex, and connected components.

If vertex b moves from rank p to q, the expected number m of synapses of one neuron of source a onto
b moves too: M[a, p] decreases and M[a, q] increases by m. Each rank r that does not own a costs a's
spikes times 1 - exp(-M[a, r]).

Axes: a source vertex, b target vertex, e edge (by target), r rank.
"""

import numpy as np

from distsnn.jit import inline, kernel
from distsnn.kernels.functions import exp, expm1


@kernel
def expected_on_ranks(start, source, mean, owner, ranks):
    """Return the expected synapses of a neuron of each vertex on each rank, shape (n, ranks)."""
    expected = np.zeros((owner.size, ranks))
    for b in range(owner.size):
        for e in range(start[b], start[b + 1]):
            expected[source[e], owner[b]] += mean[e]
    return expected


@inline
def _move_costs(b, spikes, start, source, mean, owner, means, cost):
    """Set the change of the cost for moving vertex b to each rank."""
    home, ranks = owner[b], cost.size
    cost[:] = 0.0
    saved, itself = 0.0, 0.0
    for e in range(start[b], start[b + 1]):
        a, m = source[e], mean[e]
        if a == b:
            itself = m
            continue
        if owner[a] != home:
            saved += spikes[a] * (exp(m - means[a, home]) - exp(-means[a, home]))
        avoided = -spikes[a] * expm1(-m)
        for r in range(ranks):
            if r != owner[a]:
                cost[r] += avoided * exp(-means[a, r])
    kept_cost = -expm1(itself - means[b, home])
    for r in range(ranks):
        cost[r] += spikes[b] * (kept_cost + expm1(-means[b, r])) - saved
    cost[home] = 0.0


@inline
def _shift(b, rank, weight, start, source, mean, owner, means, rank_load):
    home = owner[b]
    owner[b] = rank
    rank_load[home] -= weight[b]
    rank_load[rank] += weight[b]
    for e in range(start[b], start[b + 1]):
        means[source[e], home] = max(0.0, means[source[e], home] - mean[e])
        means[source[e], rank] += mean[e]


@kernel
def move(order, spikes, weight, start, source, mean, owner, means, rank_load, capacity):
    """Move each vertex to the rank of lowest cost; return the number of moved vertices.

    Parameters
    ----------
    order : ndarray of int64, shape (n,)
        Vertices in the order in which they are tried.
    spikes, weight, start, source, mean : ndarray
        The graph, as in `distsnn.partition.refinement.RefinementGraph`.
    owner, means, rank_load : ndarray
        Rank of each vertex, `expected_on_ranks` and the ranks' weights; updated.
    capacity : ndarray of float64, shape (ranks,)
        Maximum weight of each rank.
    """
    cost = np.empty(capacity.size)
    moved = 0
    for b in order:
        home = owner[b]
        _move_costs(b, spikes, start, source, mean, owner, means, cost)
        crowded = rank_load[home] > capacity[home]
        best, lowest = home, np.inf if crowded else -1e-9 * (1.0 + spikes[b])
        for r in range(capacity.size):
            fits = rank_load[r] + weight[b] <= capacity[r]
            if r != home and fits and cost[r] < lowest:
                best, lowest = r, cost[r]
        if best != home:
            _shift(b, best, weight, start, source, mean, owner, means, rank_load)
            moved += 1
    return moved


@kernel
def swap(order, spikes, weight, start, source, mean, owner, means, rank_load, capacity, tries):
    """Exchange pairs of vertices of ranks that are too full for `move`; return the number of pairs.

    Each vertex tries `tries` partners on its rank of lowest cost.
    """
    n = order.size
    cost, partner_cost = np.empty(capacity.size), np.empty(capacity.size)
    swapped = 0
    for turn in range(n):
        b = order[turn]
        home = owner[b]
        _move_costs(b, spikes, start, source, mean, owner, means, cost)
        preferred = np.argmin(cost)
        if preferred == home:
            continue
        cost_change = cost[preferred]
        _shift(b, preferred, weight, start, source, mean, owner, means, rank_load)
        partner, lowest, tries_left = -1, -1e-9 * (1.0 + spikes[b]) - cost_change, tries
        for step in range(1, n):
            c = order[(turn + step) % n]
            if owner[c] != preferred or tries_left == 0:
                continue
            tries_left -= 1
            fits_here = rank_load[home] + weight[c] <= capacity[home]
            if not fits_here or rank_load[preferred] - weight[c] > capacity[preferred]:
                continue
            _move_costs(c, spikes, start, source, mean, owner, means, partner_cost)
            if partner_cost[home] < lowest:
                partner, lowest = c, partner_cost[home]
        if partner >= 0:
            _shift(partner, home, weight, start, source, mean, owner, means, rank_load)
            swapped += 1
        else:
            _shift(b, home, weight, start, source, mean, owner, means, rank_load)
    return swapped


@inline
def _root(parent, vertex):
    ancestor = np.int64(vertex)
    while parent[ancestor] != ancestor:
        parent[ancestor] = parent[parent[ancestor]]
        ancestor = parent[ancestor]
    return ancestor


@kernel
def connected_components(n, source, target):
    """Return, for each of n vertices, the first vertex of its connected component."""
    parent = np.arange(n)
    for e in range(source.size):
        a, b = _root(parent, source[e]), _root(parent, target[e])
        parent[max(a, b)] = min(a, b)
    for v in range(n):
        parent[v] = _root(parent, v)
    return parent


@kernel
def spanning_forest(n, source, target, order):
    """Return the edges, in order, that connect components which earlier edges do not connect.

    These at most n - 1 edges have the same connected components as all edges. Any prefix of them
    has the components of the corresponding prefix of all edges.
    """
    parent = np.arange(n)
    edges, count = np.empty(n, np.int64), 0
    for e in order:
        a, b = _root(parent, source[e]), _root(parent, target[e])
        if a != b:
            parent[max(a, b)] = min(a, b)
            edges[count] = e
            count += 1
            if count == n - 1:
                break
    return edges[:count]


@kernel
def set_bits(bits, row, column):
    """Set a bit of a bitmap, shape (rows, bytes of 8 columns), at each pair of row and column."""
    for i in range(row.size):
        bits[row[i], column[i] >> 3] |= np.uint8(1 << (column[i] & 7))
