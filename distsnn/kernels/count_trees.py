"""Splitting a number of synapses down a binary tree of keyed draws.

A node covers the leaves [low, high) and is numbered as in a heap. One draw, keyed by the node,
splits its synapses between its halves: binomial (independent synapses) or hypergeometric (distinct
targets). Any subset of the leaves can therefore be evaluated with the same result, by descending
only to nodes with synapses and requested leaves.

Axes: b block, c owned block (cell), s source.
"""

import numpy as np

from distsnn.counter_rng import high_half, low_half, random_word, substream_key, uniform_below
from distsnn.jit import inline, kernel
from distsnn.kernels.sampling import binomial, hypergeometric

# Sub-streams of a cell's or a projection's stream; sources are numbered from 0.
NODE, GROUP, OUT, SKIP, TARGET = 1 << 40, 1 << 41, 1 << 42, 1 << 43, 1 << 44
SOURCES_IN_GROUP = 64
_DEPTH = 80


@kernel
def split_over_blocks(total, capacity, owned_before, distinct, key, out):
    """Split `total` over blocks; only owned blocks are evaluated.

    Parameters
    ----------
    total : int
        Synapses.
    capacity : ndarray of int64, shape (n_blocks + 1,)
        Prefix sums of the blocks' capacities (pairs, or targets).
    owned_before : ndarray of int64, shape (n_blocks + 1,)
        Prefix counts of owned blocks: the output index of an owned block.
    distinct : bool
        Whether splits are hypergeometric instead of binomial.
    key : uint64
        Stream of the tree.
    out : ndarray of int64, shape (n_owned,)
        Synapses of each owned block; filled.
    """
    low = np.empty(_DEPTH, np.int64)
    high = np.empty(_DEPTH, np.int64)
    node = np.empty(_DEPTH, np.int64)
    amount = np.empty(_DEPTH, np.int64)
    out[:] = 0
    low[0], high[0], node[0], amount[0] = 0, capacity.size - 1, 1, total
    top = 1
    while top > 0:
        top -= 1
        a, b, number, n = low[top], high[top], node[top], amount[top]
        if n == 0 or owned_before[a] == owned_before[b]:
            continue
        if b - a == 1:
            out[owned_before[a]] = n
            continue
        middle = (a + b) >> 1
        n_left_pairs = capacity[middle] - capacity[a]
        n_pairs = capacity[b] - capacity[a]
        node_key = substream_key(key, NODE + number)
        if distinct:
            k = hypergeometric(n, n_left_pairs, n_pairs, node_key)
        else:
            k = binomial(n, n_left_pairs, n_pairs, node_key)
        low[top], high[top], node[top], amount[top] = middle, b, 2 * number + 1, n - k
        low[top + 1], high[top + 1], node[top + 1], amount[top + 1] = a, middle, 2 * number, k
        top += 2


@inline
def _pairs(a, b, first_self, last_self, size):
    """Return the number of (source, target) pairs of sources [a, b) with a block of `size`."""
    selves = max(0, min(b, last_self) - max(a, first_self))
    return (b - a) * size - selves


@kernel
def split_over_source_groups(total, n_pre, size, first_self, key, from_group, to_group, out):
    """Split a block's synapses over groups of 64 sources, for groups in [from_group, to_group).

    Parameters
    ----------
    total : int
        Synapses of the block.
    n_pre, size : int
        Sources; targets in the block.
    first_self : int
        First source that is also a target of the block if autapses are off, else < -size.
    key : uint64
        The cell's stream.
    from_group, to_group : int
        Requested groups.
    out : ndarray of int64, shape (to_group - from_group,)
        Synapses of each group; filled.
    """
    low = np.empty(_DEPTH, np.int64)
    high = np.empty(_DEPTH, np.int64)
    node = np.empty(_DEPTH, np.int64)
    amount = np.empty(_DEPTH, np.int64)
    out[:] = 0
    groups = (n_pre + SOURCES_IN_GROUP - 1) // SOURCES_IN_GROUP
    last_self = first_self + size
    low[0], high[0], node[0], amount[0] = 0, groups, 1, total
    top = 1
    while top > 0:
        top -= 1
        a, b, number, n = low[top], high[top], node[top], amount[top]
        if n == 0 or b <= from_group or a >= to_group:
            continue
        if b - a == 1:
            out[a - from_group] = n
            continue
        middle = (a + b) >> 1
        start = a * SOURCES_IN_GROUP
        cut = middle * SOURCES_IN_GROUP
        stop = min(b * SOURCES_IN_GROUP, n_pre)
        n_left_pairs = _pairs(start, cut, first_self, last_self, size)
        n_pairs = _pairs(start, stop, first_self, last_self, size)
        k = binomial(n, n_left_pairs, n_pairs, substream_key(key, NODE + number))
        low[top], high[top], node[top], amount[top] = middle, b, 2 * number + 1, n - k
        low[top + 1], high[top + 1], node[top + 1], amount[top + 1] = a, middle, 2 * number, k
        top += 2


@kernel
def count_in_group(total, start, sources, size, first_self, key, out):
    """Count a group's synapses per source; each synapse has a random source.

    Parameters
    ----------
    total : int
        Synapses of the group.
    start, sources : int
        First source and number of sources.
    size, first_self : int
        As in `split_over_source_groups`; a source that is itself a target has one target less.
    key : uint64
        The group's stream.
    out : ndarray of int32, shape (sources,)
        Filled.
    """
    out[:] = 0
    overlap = start < first_self + size and first_self < start + sources
    if not overlap:
        for i in range(total >> 1):
            bits = random_word(key, i)
            out[uniform_below(high_half(bits), sources)] += 1
            out[uniform_below(low_half(bits), sources)] += 1
        if total & 1:
            out[uniform_below(high_half(random_word(key, total)), sources)] += 1
        return
    n_drawn = 0
    counter = 0
    while n_drawn < total:
        bits = random_word(key, counter)
        counter += 1
        source = np.int64(uniform_below(high_half(bits), sources))
        # a pair (source, target) without autapses
        if np.int64(uniform_below(low_half(bits), size)) + first_self != start + source:
            out[source] += 1
            n_drawn += 1
