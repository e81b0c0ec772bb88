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
from distsnn.kernels.wiring_tables import (
    TOTAL,
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
def total_number_counts(projections, first, last, counts):
    """Fill ``counts[s, c]`` of fixed-total-number projections for sources first to last.

    Parameters
    ----------
    projections : ProjectionTables
    first, last : int
        Sources, in the slice's numbering.
    counts : ndarray of int32, shape (last - first, n_cells)
    """
    cells = projections.cells
    counts[:] = 0
    share = np.empty((last - first) // SOURCES_IN_GROUP + 2, np.int64)
    group_counts = np.empty(SOURCES_IN_GROUP, np.int32)
    for p in range(projections.table.shape[0]):
        projection = projections.table[p]
        if projection.rule != TOTAL:
            continue
        start = projection.pre_start
        n_pre = projection.n_pre
        low, high = max(first - start, 0), min(last - start, n_pre)
        if low >= high:
            continue
        from_group = low // SOURCES_IN_GROUP
        to_group = (high + SOURCES_IN_GROUP - 1) // SOURCES_IN_GROUP
        for c in range(projection.cell_first, projection.cell_last):
            size = cells[c].size
            first_self = -size - 1 if projection.autapses else cells[c].first_target
            key = substream_key(projection.key, cells[c].block)
            split_over_source_groups(
                cells[c].total_synapses,
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
def indegree_edges(projection, cells, first, last, starts, edges):
    """Sort the edges of a fixed-indegree projection from sources first to last by source.

    Parameters
    ----------
    projection : record of PROJECTION
        The projection.
    cells : ndarray of CELL, shape (n_cells,)
        Cells.
    first, last : int
        Sources, in the slice's numbering.
    starts : ndarray of int64, shape (last - first + 1,)
        Filled with the first edge of each source if `edges` is empty, else read.
    edges : ndarray of uint64, shape (n_edges,) or (0,)
        Filled with ``target << 32 | j``: target within the post view, number of the draw.
    """
    start, n_pre, number = projection.pre_start, projection.n_pre, projection.number
    counting = edges.size == 0
    positions = np.zeros(last - first + 1, np.int64)
    if not counting:
        # assigned as a whole, numba compiles the error message of unequal shapes: 2 s
        for s in range(positions.size):
            positions[s] = starts[s]
    drawn = np.empty(number, np.int64)
    used_bits = np.zeros((n_pre >> 6) + 1, np.uint64)
    for c in range(projection.cell_first, projection.cell_last):
        for i in range(cells[c].size):
            target = cells[c].first_target + i
            itself = np.int64(-1) if projection.autapses else target
            target_key = substream_key(projection.key, TARGET + target)
            _draw_indegree(
                n_pre, number, itself, projection.multapses, target_key, used_bits, drawn
            )
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
def draw_edges(numbers, projection, draw_weights, draw_delays):
    """Return weights (float64) and delays (steps) of explicit edges, keyed by the edge's number.

    Parameters
    ----------
    numbers : ndarray of int64, shape (n,)
        Numbers of the edges in the projection.
    projection : record of PROJECTION
        The projection.
    draw_weights, draw_delays : bool
        Which of the two to draw; the other is empty.
    """
    n = numbers.size
    weights = np.empty(n if draw_weights else 0)
    delays = np.empty(n if draw_delays else 0, np.int64)
    for i in range(n):
        if draw_weights:
            weights[i] = draw(
                projection.weight_kind,
                projection.weight_a,
                projection.weight_b,
                projection.weight_low,
                projection.weight_high,
                random_word(projection.key, 2 * numbers[i]),
            )
        if draw_delays:
            delays[i] = draw_delay(
                projection.delay_kind,
                projection.delay_a,
                projection.delay_b,
                projection.delay_low,
                projection.delay_high,
                projection.max_delay,
                random_word(projection.key, 2 * numbers[i] + 1),
            )
    return weights, delays
