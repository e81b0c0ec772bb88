"""Wiring: every connection rule as a function of (seed, projection, block, source), without MPI.

A *cell* (projection block) is an owned block of a projection's targets. The synapses of
(projection, block, source) depend on the cell's stream and the source only: target, weight and
delay of synapse j come from its words 3 j, 3 j + 1 and 3 j + 2. Rows are written by source, with
all cells of a source in order, and are sorted by delay for pull delivery.

Fixed indegrees are drawn for each target, from its stream; their edges are first sorted by source
(for a chunk of sources at a time), and weight and delay come from the target's stream.

Axes: p projection of the row set, c cell, s source of the slice, n synapse of the row.
"""

import numpy as np
from numba import uint64

from distsnn.counter_rng import (
    GOLDEN,
    high_half,
    label,
    labelled,
    random_word,
    splitmix64,
    substream_key,
    uniform_01,
    uniform_below,
)
from distsnn.jit import inline, kernel, subroutine
from distsnn.kernels.count_trees import OUT, SKIP, TARGET, split_over_blocks
from distsnn.kernels.functions import log, log_of_complement
from distsnn.kernels.row_words import finish_chunk, write_row
from distsnn.kernels.wiring_tables import (
    ALL_TO_ALL,
    BERNOULLI,
    INDEGREE,
    ONE_TO_ONE,
    OUTDEGREE,
    TOTAL,
)
from distsnn.kernels.wiring_values import draw_delays, draw_weights


@inline
def _block_of(prefix, target):
    """Return how many of the ascending numbers are at most `target` (`np.searchsorted`, right)."""
    low, high = 0, prefix.size
    while low < high:
        middle = (low + high) >> 1
        if prefix[middle] <= target:
            low = middle + 1
        else:
            high = middle
    return low


@inline
def _outdegree_counts(projection, projections, source, itself, shares):
    first, size = projection.tree_first, projection.tree_size
    prefix = projections.capacity[first : first + size]
    if itself >= 0:
        # the block that contains the source has one target less
        prefix = prefix.copy()
        block = _block_of(prefix, itself)
        for b in range(block, size):
            prefix[b] -= 1
    split_over_blocks(
        projection.number,
        prefix,
        projections.owned_before[first : first + size],
        projection.multapses == 0,
        substream_key(projection.key, OUT + source),
        shares,
    )


@inline
def _targets(projection, n, size, itself, cell_key, source, used_bits, out):
    """Fill `out` with the targets (within the block) of a source in a cell; return their number."""
    rule = projection.rule
    synapse_key = substream_key(cell_key, source)
    if rule == TOTAL or (rule == OUTDEGREE and projection.multapses):
        choices = size if itself < 0 or itself >= size else size - 1
        for j in range(n):
            t = np.int64(uniform_below(high_half(random_word(synapse_key, 3 * j)), choices))
            out[j] = t + 1 if choices < size and t >= itself else t
        return n
    if rule == OUTDEGREE:
        choices = size if itself < 0 or itself >= size else size - 1
        for j in range(n):
            top = choices - n + j
            t = np.int64(uniform_below(high_half(random_word(synapse_key, 3 * j)), top + 1))
            if (used_bits[t >> 6] >> uint64(t & 63)) & uint64(1):
                t = top
            used_bits[t >> 6] |= uint64(1) << uint64(t & 63)
            out[j] = t
        for j in range(n):
            t = out[j]
            used_bits[t >> 6] = uint64(0)
            out[j] = t + 1 if choices < size and t >= itself else t
        return n
    if rule == BERNOULLI:
        choices = size if itself < 0 or itself >= size else size - 1
        probability = projection.probability
        n = 0
        if probability >= 1.0:
            for t in range(choices):
                out[t] = t
            n = choices
        elif probability > 0.0:
            skip_key = substream_key(cell_key, SKIP + source)
            scale = 1.0 / log_of_complement(probability)
            position = -1.0
            while True:
                position += 1.0 + np.floor(log(uniform_01(random_word(skip_key, n))) * scale)
                if position >= choices:
                    break
                out[n] = np.int64(position)
                n += 1
        for j in range(n):
            if choices < size and out[j] >= itself:
                out[j] += 1
        return n
    # all to all
    n = 0
    for t in range(size):
        if t != itself:
            out[n] = t
            n += 1
    return n


@inline
def _uniform_targets(keys, sizes, targets):
    """Add a uniform index below the cell's size to each target (the first of its cell)."""
    for n in range(keys.size):
        half = splitmix64(keys[n]) >> uint64(32)
        targets[n] += np.int64((half * uint64(sizes[n])) >> uint64(32))


@kernel
def append_block_synapses(p, projections, cell_keys, source, counts, shares, n, scratch):
    """Append a source's synapses (keys and targets) in all cells of a projection.

    Parameters
    ----------
    p : int
        The projection.
    projections : ProjectionTables
        Projections and cells.
    cell_keys : ndarray of uint64, shape (n_cells,)
        Streams of the cells.
    source : int
        The source, in the numbering of the pre view.
    counts : ndarray of int32, shape (n_cells,)
        The source's synapses of fixed-total-number cells.
    shares : ndarray of int64, shape (at least n_cells,)
        Scratch.
    n : int
        The row's length so far.
    scratch : RowScratch
        The row: keys, targets and indices of listed values are appended.

    Returns
    -------
    int
        The row's new length.
    """
    projection, cells = projections.table[p], projections.cells
    keys, sizes, targets = scratch.keys, scratch.sizes, scratch.targets
    found_targets, value_index = scratch.found_targets, scratch.value_index
    rule = projection.rule
    first_cell, last_cell = projection.cell_first, projection.cell_last
    self_excluded = projection.autapses == 0
    its_label = label(source)
    start = n
    if rule == TOTAL and not self_excluded:
        for c in range(first_cell, last_cell):
            m = counts[c]
            synapse_key = labelled(cell_keys[c], its_label)
            for j in range(m):
                keys[n + j] = synapse_key + uint64(3 * j) * GOLDEN
                sizes[n + j] = cells[c].size
                targets[n + j] = cells[c].local
            n += m
        _uniform_targets(keys[start:n], sizes[start:n], targets[start:n])
        return n
    if rule == OUTDEGREE:
        itself = source if self_excluded else np.int64(-1)
        _outdegree_counts(projection, projections, source, itself, shares[: last_cell - first_cell])
    for c in range(first_cell, last_cell):
        size, first_target = cells[c].size, cells[c].first_target
        m = np.int64(1)
        if rule == TOTAL:
            m = np.int64(counts[c])
        elif rule == OUTDEGREE:
            m = shares[c - first_cell]
        elif rule == ONE_TO_ONE and (source < first_target or source >= first_target + size):
            m = np.int64(0)
        if m == 0:
            continue
        if rule == ONE_TO_ONE:
            found_targets[0] = source - first_target
        else:
            itself = source - first_target if self_excluded else np.int64(-1)
            m = _targets(
                *(projection, m, size, itself, cell_keys[c], source),
                *(scratch.used_bits, found_targets),
            )
        synapse_key = labelled(cell_keys[c], its_label)
        for j in range(m):
            keys[n + j] = synapse_key + uint64(3 * j) * GOLDEN
            targets[n + j] = cells[c].local + found_targets[j]
            value_index[n + j] = source
            if rule == ALL_TO_ALL:
                value_index[n + j] = source * projection.n_post + first_target + found_targets[j]
        n += m
    return n


@subroutine
def _edges_of_source(projection, projections, edges, local_of, n, scratch):
    """Append a source's edges of a fixed-indegree projection; return the row's new length."""
    keys, targets = scratch.keys, scratch.targets
    tree = projection.tree_first
    prefix = projections.capacity[tree : tree + projection.tree_size]
    for e in range(edges.size):
        target = np.int64(edges[e] >> uint64(32))
        j = edges[e] & uint64(0xFFFFFFFF)
        block = _block_of(prefix, target) - 1
        keys[n] = substream_key(projection.key, TARGET + target) + uint64(3) * j * GOLDEN
        targets[n] = local_of[tree + block] + target
        n += 1
    return n


@kernel
def build_rows(projections, chunk, scratch, storage):
    """Write the rows of a chunk of sources of one population.

    Parameters
    ----------
    projections : ProjectionTables
        Projections of the row set with sources in this population.
    chunk : SourceChunk
        The sources.
    scratch : RowScratch
        Scratch for the longest row.
    storage : RowStorage
        The row set, to which rows are appended.
    """
    table, cells = projections.table, projections.cells
    gid, first, edge_starts = chunk.gid, chunk.first, chunk.edge_starts
    keys, value_index = scratch.keys, scratch.value_index
    targets, weights, delays = scratch.targets, scratch.weights, scratch.delays
    reals, settled = scratch.reals, scratch.settled
    cell_keys = np.empty(cells.shape[0], np.uint64)
    shares = np.empty(cells.shape[0] + 1, np.int64)
    receptors = np.empty(2, np.int64)
    for p in range(table.shape[0]):
        for c in range(table[p].cell_first, table[p].cell_last):
            cell_keys[c] = substream_key(table[p].key, cells[c].block)
    for s in range(first, chunk.last):
        # a literal is a type of its own, for which all that is called would be compiled again
        n = np.int64(0)
        for p in range(table.shape[0]):
            projection = table[p]
            source = s - projection.pre_start
            if source < 0 or source >= projection.n_pre:
                continue
            start = n
            if projection.rule == INDEGREE:
                edges = chunk.edges[edge_starts[p, s - first] : edge_starts[p, s - first + 1]]
                n = _edges_of_source(projection, projections, edges, chunk.local_of, n, scratch)
            else:
                counts = chunk.counts[s - first]
                n = append_block_synapses(
                    p, projections, cell_keys, source, counts, shares, n, scratch
                )
            if n == start:
                continue
            draw_weights(
                projection,
                keys[start:n],
                value_index[start:n],
                projections.weights,
                reals[start:n],
                settled[start:n],
                weights[start:n],
            )
            draw_delays(
                projection,
                keys[start:n],
                value_index[start:n],
                projections.delays,
                reals[start:n],
                settled[start:n],
                delays[start:n],
            )
            receptors[0], receptors[1] = projection.receptor_positive, projection.receptor_negative
            n = finish_chunk(storage, gid + s, start, n, scratch, receptors)
        prepared = chunk.prepared
        for e in range(chunk.prepared_starts[s - first], chunk.prepared_starts[s - first + 1]):
            targets[n] = prepared[e, 0]
            weights[n] = prepared[e, 1]
            delays[n] = prepared[e, 2]
            n += 1
        if n > 0:
            write_row(storage, n, scratch)
            storage.bitmap[(gid + s) >> 6] |= uint64(1) << uint64((gid + s) & 63)
