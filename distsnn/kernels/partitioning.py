"""What partitioning works out over and over: the cost of moving a vertex, and what hangs together.

Moving vertex b from rank p to q changes what each source a of its input reaches: M[a, p] falls and
M[a, q] grows by the expected synapses m of one neuron of a onto b. A rank r other than a's own
costs a's spikes times 1 - exp(-M[a, r]).

Axes: a source vertex, b target vertex, e edge (by target), r rank.
"""

import numpy as np

from distsnn.jit import inline, kernel
from distsnn.kernels.functions import exp, expm1


@kernel
def expected_on_ranks(start, source, mean, owner, ranks):
    """Return the expected synapses of a neuron of each vertex on each rank, shape (n, ranks)."""
    found = np.zeros((owner.size, ranks))
    for b in range(owner.size):
        for e in range(start[b], start[b + 1]):
            found[source[e], owner[b]] += mean[e]
    return found


@inline
def _gains(b, spikes, start, source, mean, owner, means, gain):
    """Set what the cost would grow by if vertex b went to each rank."""
    here, ranks = owner[b], gain.size
    gain[:] = 0.0
    left, itself = 0.0, 0.0
    for e in range(start[b], start[b + 1]):
        a, m = source[e], mean[e]
        if a == b:
            itself = m
            continue
        if owner[a] != here:
            left += spikes[a] * (exp(m - means[a, here]) - exp(-means[a, here]))
        missed = -spikes[a] * expm1(-m)
        for r in range(ranks):
            if r != owner[a]:
                gain[r] += missed * exp(-means[a, r])
    stays = -expm1(itself - means[b, here])
    for r in range(ranks):
        gain[r] += spikes[b] * (stays + expm1(-means[b, r])) - left
    gain[here] = 0.0


@inline
def _shift(b, to, weight, start, source, mean, owner, means, load):
    here = owner[b]
    owner[b] = to
    load[here] -= weight[b]
    load[to] += weight[b]
    for e in range(start[b], start[b + 1]):
        means[source[e], here] = max(0.0, means[source[e], here] - mean[e])
        means[source[e], to] += mean[e]


@kernel
def move(order, spikes, weight, start, source, mean, owner, means, load, capacity):
    """Move each vertex to the rank where the cost is least; return how many moved.

    Parameters
    ----------
    order : ndarray of int64, shape (n,)
        Vertices in the order of their turns.
    spikes, weight, start, source, mean : ndarray
        The graph, as in `distsnn.partition.refinement.RefinementGraph`.
    owner, means, load : ndarray
        Rank of each vertex, `expected_on_ranks` and the ranks' weights; all three are kept true.
    capacity : ndarray of float64, shape (ranks,)
        Most weight of each rank.
    """
    gain = np.empty(capacity.size)
    moved = 0
    for b in order:
        here = owner[b]
        _gains(b, spikes, start, source, mean, owner, means, gain)
        crowded = load[here] > capacity[here]
        best, least = here, np.inf if crowded else -1e-9 * (1.0 + spikes[b])
        for r in range(capacity.size):
            fits = load[r] + weight[b] <= capacity[r]
            if r != here and fits and gain[r] < least:
                best, least = r, gain[r]
        if best != here:
            _shift(b, best, weight, start, source, mean, owner, means, load)
            moved += 1
    return moved


@kernel
def swap(order, spikes, weight, start, source, mean, owner, means, load, capacity, tries):
    """Exchange vertices where ranks are too full for `move`; return how many pairs were.

    Each vertex tries that many partners of the rank where it would like to be.
    """
    n = order.size
    gain, other = np.empty(capacity.size), np.empty(capacity.size)
    swapped = 0
    for at in range(n):
        b = order[at]
        here = owner[b]
        _gains(b, spikes, start, source, mean, owner, means, gain)
        there = np.argmin(gain)
        if there == here:
            continue
        grown = gain[there]
        _shift(b, there, weight, start, source, mean, owner, means, load)
        partner, least, left = -1, -1e-9 * (1.0 + spikes[b]) - grown, tries
        for step in range(1, n):
            c = order[(at + step) % n]
            if owner[c] != there or left == 0:
                continue
            left -= 1
            fits_here = load[here] + weight[c] <= capacity[here]
            if not fits_here or load[there] - weight[c] > capacity[there]:
                continue
            _gains(c, spikes, start, source, mean, owner, means, other)
            if other[here] < least:
                partner, least = c, other[here]
        if partner >= 0:
            _shift(partner, here, weight, start, source, mean, owner, means, load)
            swapped += 1
        else:
            _shift(b, here, weight, start, source, mean, owner, means, load)
    return swapped


@inline
def _root(parent, vertex):
    one = np.int64(vertex)
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = parent[one]
    return one


@kernel
def joined(n, source, target):
    """Return of each of n vertices the first one that edges join it to, by whatever way."""
    parent = np.arange(n)
    for e in range(source.size):
        a, b = _root(parent, source[e]), _root(parent, target[e])
        parent[max(a, b)] = min(a, b)
    for v in range(n):
        parent[v] = _root(parent, v)
    return parent


@kernel
def spanning(n, source, target, order):
    """Return the edges that join vertices which none before them in an order does, in this order.

    These n - 1 or fewer join what all edges do, and so does any first part of them what the edges
    up to there do.
    """
    parent = np.arange(n)
    found, count = np.empty(n, np.int64), 0
    for e in order:
        a, b = _root(parent, source[e]), _root(parent, target[e])
        if a != b:
            parent[max(a, b)] = min(a, b)
            found[count] = e
            count += 1
            if count == n - 1:
                break
    return found[:count]


@kernel
def mark(bits, row, column):
    """Set a bit of a bitmap, shape (rows, bytes of 8 columns), at each pair of row and column."""
    for i in range(row.size):
        bits[row[i], column[i] >> 3] |= np.uint8(1 << (column[i] & 7))
