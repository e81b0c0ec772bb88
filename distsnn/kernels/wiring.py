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
from distsnn.kernels.wiring_columns import (
    ALL_TO_ALL,
    AUTAPSES,
    BERNOULLI,
    BLOCK,
    CELL_FIRST,
    CELL_LAST,
    FIRST_TARGET,
    INDEGREE,
    LOCAL,
    MULTAPSES,
    N_POST,
    N_PRE,
    NUMBER,
    ONE_TO_ONE,
    OUTDEGREE,
    PRE_START,
    PROBABILITY,
    RECEPTOR_NEGATIVE,
    RECEPTOR_POSITIVE,
    RULE,
    SIZE,
    TOTAL,
    TREE_FIRST,
    TREE_SIZE,
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
def _outdegree_counts(p, ints, key, source, capacity, owned_before, itself, shares):
    first, size = ints[p, TREE_FIRST], ints[p, TREE_SIZE]
    prefix = capacity[first : first + size]
    if itself >= 0:
        # the block that contains the source has one target less
        prefix = prefix.copy()
        block = _block_of(prefix, itself)
        for b in range(block, size):
            prefix[b] -= 1
    split_over_blocks(
        ints[p, NUMBER],
        prefix,
        owned_before[first : first + size],
        ints[p, MULTAPSES] == 0,
        substream_key(key, OUT + source),
        shares,
    )


@inline
def _targets(p, ints, floats, n, size, itself, cell_key, source, used_bits, out):
    """Fill `out` with the targets (within the block) of a source in a cell; return their number."""
    rule = ints[p, RULE]
    synapse_key = substream_key(cell_key, source)
    if rule == TOTAL or (rule == OUTDEGREE and ints[p, MULTAPSES]):
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
        probability = floats[p, PROBABILITY]
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
def append_block_synapses(
    p,
    ints,
    floats,
    key,
    cells,
    cell_keys,
    source,
    counts,
    capacity,
    owned_before,
    used_bits,
    found_targets,
    shares,
    n,
    keys,
    sizes,
    targets,
    value_index,
):
    """Append a source's synapses (keys and targets) in all cells of a projection.

    Returns
    -------
    int
        The row's new length.
    """
    rule = ints[p, RULE]
    first_cell, last_cell = ints[p, CELL_FIRST], ints[p, CELL_LAST]
    self_excluded = ints[p, AUTAPSES] == 0
    its_label = label(source)
    start = n
    if rule == TOTAL and not self_excluded:
        for c in range(first_cell, last_cell):
            m = counts[c]
            synapse_key = labelled(cell_keys[c], its_label)
            for j in range(m):
                keys[n + j] = synapse_key + uint64(3 * j) * GOLDEN
                sizes[n + j] = cells[c, SIZE]
                targets[n + j] = cells[c, LOCAL]
            n += m
        _uniform_targets(keys[start:n], sizes[start:n], targets[start:n])
        return n
    if rule == OUTDEGREE:
        itself = source if self_excluded else np.int64(-1)
        _outdegree_counts(
            p, ints, key, source, capacity, owned_before, itself, shares[: last_cell - first_cell]
        )
    for c in range(first_cell, last_cell):
        size, first_target = cells[c, SIZE], cells[c, FIRST_TARGET]
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
                p, ints, floats, m, size, itself, cell_keys[c], source, used_bits, found_targets
            )
        synapse_key = labelled(cell_keys[c], its_label)
        for j in range(m):
            keys[n + j] = synapse_key + uint64(3 * j) * GOLDEN
            targets[n + j] = cells[c, LOCAL] + found_targets[j]
            value_index[n + j] = source
            if rule == ALL_TO_ALL:
                value_index[n + j] = source * ints[p, N_POST] + first_target + found_targets[j]
        n += m
    return n


@subroutine
def _edges_of_source(p, ints, key, edges, capacity, local_of, n, keys, targets):
    """Append a source's edges of a fixed-indegree projection; return the row's new length."""
    tree = ints[p, TREE_FIRST]
    prefix = capacity[tree : tree + ints[p, TREE_SIZE]]
    for e in range(edges.size):
        target = np.int64(edges[e] >> uint64(32))
        j = edges[e] & uint64(0xFFFFFFFF)
        block = _block_of(prefix, target) - 1
        keys[n] = substream_key(key, TARGET + target) + uint64(3) * j * GOLDEN
        targets[n] = local_of[tree + block] + target
        n += 1
    return n


@kernel
def build_rows(
    row_set,
    gid,
    first,
    last,
    ints,
    floats,
    keys,
    cells,
    counts,
    capacity,
    owned_before,
    local_of,
    edge_starts,
    edges,
    given_weights,
    given_delays,
    prepared_starts,
    prepared,
    scratch,
    settled,
    used_bits,
    delay_counts,
    weight_sums,
    overflow,
    words,
    runs,
    rows,
    run_rows,
    bitmap,
):
    """Write the rows of sources first to last of one population.

    Parameters
    ----------
    row_set : ndarray of int64, shape (N_SET,)
        Columns of the row set; used and counted amounts are changed.
    gid : int
        Gid of source 0.
    first, last : int
        Sources.
    ints, floats, keys, cells : ndarray
        Projections of the row set with sources in this population, and their cells.
    counts : ndarray of int32, shape (last - first, n_cells)
        Synapses of fixed-total-number cells.
    capacity, owned_before : ndarray of int64
        Prefix sums over all blocks of each projection's post view.
    local_of : ndarray of int64
        Local neuron of each block (by TREE_FIRST + block) less its first target; -1 if not owned.
    edge_starts, edges : ndarray of int64 shape (n_projections, last - first + 1), uint64
        Sorted edges of fixed-indegree projections.
    given_weights, given_delays : ndarray of float64, int32
        All listed arrays, concatenated.
    prepared_starts, prepared : ndarray of int64, shapes (last - first + 1,), (n, 4)
        Explicit edges: local target, weight (quanta), delay, receptor.
    scratch : ndarray of int64, shape (8, longest row)
        Scratch for the row's synapses.
    settled : ndarray of uint8, shape (longest row,)
        Scratch.
    used_bits : ndarray of uint64
        Scratch: one bit per target of a block, all 0.
    delay_counts : ndarray of int64
        Scratch: one word per delay.
    weight_sums : ndarray of int64, shape (n_receptors, n_local)
        Sum of \\|weights\\| onto each neuron, quanta; increased.
    overflow : ndarray of int64, shape (n, 5)
        Synapses that do not fit: gid, local target, weight, delay, receptor; appended to.
    words, runs, rows, run_rows, bitmap : ndarray
        The row set's storage; appended to. Words of any width are passed as a view of uint16: this
        function takes long to compile and is compiled once.
    """
    keys_of_row, reals = scratch[0].view(np.uint64), scratch[1].view(np.float64)
    targets, weights, delays, found_targets = scratch[2], scratch[3], scratch[4], scratch[5]
    sizes, value_index = scratch[6], scratch[7]
    cell_keys = np.empty(cells.shape[0], np.uint64)
    shares = np.empty(cells.shape[0] + 1, np.int64)
    receptors = np.empty(2, np.int64)
    for p in range(ints.shape[0]):
        for c in range(ints[p, CELL_FIRST], ints[p, CELL_LAST]):
            cell_keys[c] = substream_key(keys[p], cells[c, BLOCK])
    for s in range(first, last):
        # a literal is a type of its own, for which all that is called would be compiled again
        n = np.int64(0)
        for p in range(ints.shape[0]):
            source = s - ints[p, PRE_START]
            if source < 0 or source >= ints[p, N_PRE]:
                continue
            start = n
            if ints[p, RULE] == INDEGREE:
                source_edges = edges[edge_starts[p, s - first] : edge_starts[p, s - first + 1]]
                n = _edges_of_source(
                    p, ints, keys[p], source_edges, capacity, local_of, n, keys_of_row, targets
                )
            else:
                n = append_block_synapses(
                    p,
                    ints,
                    floats,
                    keys[p],
                    cells,
                    cell_keys,
                    source,
                    counts[s - first],
                    capacity,
                    owned_before,
                    used_bits,
                    found_targets,
                    shares,
                    n,
                    keys_of_row,
                    sizes,
                    targets,
                    value_index,
                )
            if n == start:
                continue
            draw_weights(
                ints[p],
                floats[p],
                keys_of_row[start:n],
                value_index[start:n],
                given_weights,
                reals[start:n],
                settled[start:n],
                weights[start:n],
            )
            draw_delays(
                ints[p],
                floats[p],
                keys_of_row[start:n],
                value_index[start:n],
                given_delays,
                reals[start:n],
                settled[start:n],
                delays[start:n],
            )
            receptors[0], receptors[1] = ints[p, RECEPTOR_POSITIVE], ints[p, RECEPTOR_NEGATIVE]
            n = finish_chunk(
                row_set,
                gid + s,
                start,
                n,
                targets,
                weights,
                delays,
                receptors,
                overflow,
                weight_sums,
            )
        for e in range(prepared_starts[s - first], prepared_starts[s - first + 1]):
            targets[n] = prepared[e, 0]
            weights[n] = prepared[e, 1]
            delays[n] = prepared[e, 2]
            n += 1
        if n > 0:
            write_row(
                row_set, n, targets, weights, delays, delay_counts, words, runs, rows, run_rows
            )
            bitmap[(gid + s) >> 6] |= uint64(1) << uint64((gid + s) & 63)
