"""Draws before rows are written: counts per source, edges sorted by source.

Axes: p projection of the row set, c cell, s source of the chunk.
"""

import numpy as np
from numba import uint64

from distsnn.counter_rng import high_half, random_word, substream_key, uniform_below
from distsnn.jit import kernel, subroutine
from distsnn.kernels.count_trees import (
    GROUP,
    SOURCES_IN_GROUP,
    TARGET,
    count_in_group,
    split_over_source_groups,
)
from distsnn.kernels.sampling import draw, draw_delay
from distsnn.kernels.wiring_columns import (
    AUTAPSES,
    BLOCK,
    CELL_FIRST,
    CELL_LAST,
    DELAY_A,
    DELAY_B,
    DELAY_HIGH,
    DELAY_KIND,
    DELAY_LOW,
    FIRST_TARGET,
    MAX_DELAY,
    MULTAPSES,
    N_PRE,
    NUMBER,
    PRE_START,
    RULE,
    SIZE,
    TOTAL,
    TOTAL_SYNAPSES,
    WEIGHT_A,
    WEIGHT_B,
    WEIGHT_HIGH,
    WEIGHT_KIND,
    WEIGHT_LOW,
)


@kernel
def object_keys(seed, purpose, n):
    """Return the streams (uint64) of objects 0 to n - 1 of one purpose in a run."""
    parent = substream_key(substream_key(uint64(0), seed), purpose)
    keys = np.empty(n, np.uint64)
    for i in range(n):
        keys[i] = substream_key(parent, i)
    return keys


@kernel
def cell_streams(key, blocks):
    """Return the streams of a projection's cells (uint64), by the numbers of their blocks."""
    keys = np.empty(blocks.size, np.uint64)
    for c in range(blocks.size):
        keys[c] = substream_key(key, blocks[c])
    return keys


@kernel
def total_number_counts(ints, cells, keys, first, last, counts):
    """Fill ``counts[s, c]`` of fixed-total-number projections for sources first to last.

    Parameters
    ----------
    ints : ndarray of int64, shape (n_projections, N_INT)
    cells : ndarray of int64, shape (n_cells, N_CELL)
    keys : ndarray of uint64, shape (n_projections,)
    first, last : int
        Sources, in the slice's numbering.
    counts : ndarray of int32, shape (last - first, n_cells)
    """
    counts[:] = 0
    share = np.empty((last - first) // SOURCES_IN_GROUP + 2, np.int64)
    group_counts = np.empty(SOURCES_IN_GROUP, np.int32)
    for p in range(ints.shape[0]):
        if ints[p, RULE] != TOTAL:
            continue
        start = ints[p, PRE_START]
        n_pre = ints[p, N_PRE]
        low, high = max(first - start, 0), min(last - start, n_pre)
        if low >= high:
            continue
        from_group = low // SOURCES_IN_GROUP
        to_group = (high + SOURCES_IN_GROUP - 1) // SOURCES_IN_GROUP
        for c in range(ints[p, CELL_FIRST], ints[p, CELL_LAST]):
            size = cells[c, SIZE]
            first_self = -size - 1 if ints[p, AUTAPSES] else cells[c, FIRST_TARGET]
            key = substream_key(keys[p], cells[c, BLOCK])
            split_over_source_groups(
                cells[c, TOTAL_SYNAPSES],
                n_pre,
                size,
                first_self,
                key,
                from_group,
                to_group,
                share[: to_group - from_group],
            )
            for g in range(from_group, to_group):
                n = share[g - from_group]
                if n == 0:
                    continue
                begin = g * SOURCES_IN_GROUP
                sources = min(SOURCES_IN_GROUP, n_pre - begin)
                group_key = substream_key(key, GROUP + g)
                count_in_group(
                    n, begin, sources, size, first_self, group_key, group_counts[:sources]
                )
                for i in range(max(low - begin, 0), min(high - begin, sources)):
                    counts[begin + i + start - first, c] = group_counts[i]


@subroutine
def _draw_indegree(n_pre, number, itself, multapses, key, used_bits, out):
    # itself < 0: no source is excluded; distinct sources by Floyd's algorithm (Bentley & Floyd
    # 1987)
    n = n_pre if itself < 0 else n_pre - 1
    for j in range(number):
        bits = high_half(random_word(key, 3 * j))
        if multapses:
            source = np.int64(uniform_below(bits, n))
        else:
            top = n - number + j
            source = np.int64(uniform_below(bits, top + 1))
            if (used_bits[source >> 6] >> uint64(source & 63)) & uint64(1):
                source = top
            used_bits[source >> 6] |= uint64(1) << uint64(source & 63)
        out[j] = source
    if not multapses:
        for j in range(number):
            used_bits[out[j] >> 6] = uint64(0)
    if itself >= 0:
        for j in range(number):
            if out[j] >= itself:
                out[j] += 1


@kernel
def indegree_edges(p, ints, cells, key, first, last, starts, edges):
    """Sort the edges of a fixed-indegree projection from sources first to last by source.

    Parameters
    ----------
    p : int
        The projection.
    ints, cells : ndarray of int64
        As in `total_number_counts`.
    key : uint64
        The projection's stream.
    first, last : int
        Sources, in the slice's numbering.
    starts : ndarray of int64, shape (last - first + 1,)
        Filled with the first edge of each source if `edges` is empty, else read.
    edges : ndarray of uint64, shape (n_edges,) or (0,)
        Filled with ``target << 32 | j``: target within the post view, number of the draw.
    """
    start, n_pre, number = ints[p, PRE_START], ints[p, N_PRE], ints[p, NUMBER]
    counting = edges.size == 0
    positions = np.zeros(last - first + 1, np.int64)
    if not counting:
        # assigned as a whole, numba compiles the error message of unequal shapes: 2 s
        for s in range(positions.size):
            positions[s] = starts[s]
    drawn = np.empty(number, np.int64)
    used_bits = np.zeros((n_pre >> 6) + 1, np.uint64)
    for c in range(ints[p, CELL_FIRST], ints[p, CELL_LAST]):
        for i in range(cells[c, SIZE]):
            target = cells[c, FIRST_TARGET] + i
            itself = np.int64(-1) if ints[p, AUTAPSES] else target
            target_key = substream_key(key, TARGET + target)
            _draw_indegree(n_pre, number, itself, ints[p, MULTAPSES], target_key, used_bits, drawn)
            for j in range(number):
                s = drawn[j] + start - first
                if 0 <= s < last - first:
                    if not counting:
                        edges[positions[s]] = (uint64(target) << uint64(32)) | uint64(j)
                    positions[s] += 1
    if counting:
        total = 0
        for s in range(last - first):
            starts[s] = total
            total += positions[s]
        starts[last - first] = total


@kernel
def draw_edges(numbers, key, ints, floats, draw_weights, draw_delays):
    """Return weights (float64) and delays (steps) of explicit edges, keyed by the edge's number.

    Parameters
    ----------
    numbers : ndarray of int64, shape (n,)
        Numbers of the edges in the projection.
    key : uint64
        The projection's stream.
    ints, floats : ndarray of int64, float64
        The projection's row.
    draw_weights, draw_delays : bool
        Which of the two to draw; the other is empty.
    """
    n = numbers.size
    weights = np.empty(n if draw_weights else 0)
    delays = np.empty(n if draw_delays else 0, np.int64)
    for i in range(n):
        if draw_weights:
            weights[i] = draw(
                ints[WEIGHT_KIND],
                floats[WEIGHT_A],
                floats[WEIGHT_B],
                floats[WEIGHT_LOW],
                floats[WEIGHT_HIGH],
                random_word(key, 2 * numbers[i]),
            )
        if draw_delays:
            delays[i] = draw_delay(
                ints[DELAY_KIND],
                floats[DELAY_A],
                floats[DELAY_B],
                floats[DELAY_LOW],
                floats[DELAY_HIGH],
                ints[MAX_DELAY],
                random_word(key, 2 * numbers[i] + 1),
            )
    return weights, delays
