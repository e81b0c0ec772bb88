"""Procedural synapses: the whole row of a source is drawn again when its spike arrives.

The kernels that write stored rows are called for one source, so the synapses are the same as stored
ones. For projections with a fixed total number, the number of synapses of each group of 64 sources
in each cell is stored: one word for 64 sources.

Axes: p projection, c cell, g group of 64 sources, n synapse of the row.
"""

import numpy as np

from distsnn.counter_rng import substream_key
from distsnn.jit import array, kernel, kernel_entry, subroutine
from distsnn.kernels.count_trees import (
    GROUP,
    SOURCES_IN_GROUP,
    count_in_group,
    split_over_source_groups,
)
from distsnn.kernels.delivery import DONE
from distsnn.kernels.digest import fold_product, row_key, synapse_value
from distsnn.kernels.rows import MASK, RING, STRIDE
from distsnn.kernels.wiring import append_block_synapses
from distsnn.kernels.wiring_tables import (
    CELL,
    PROJECTION,
    TOTAL,
    ProjectionTables,
    RowScratch,
)
from distsnn.kernels.wiring_values import draw_delays, draw_weights

# Table: the receptor's ring (kernels.rows), then
SPIKE_GID, SPIKE_STEP, GID, N_SOURCES, PLANE = 3, 4, 5, 6, 7
N_PROJECTIONS, N_CELLS, N_GROUPS = 8, 9, 10
PROJECTIONS, CELLS, CELL_KEYS, SHARES, CAPACITY, OWNED_BEFORE = range(11, 17)
N_TREE, WEIGHTS, DELAYS, N_WEIGHTS, N_DELAYS, SCRATCH, TAKEN, LONGEST = range(17, 25)
EVENTS = 25
TABLE_SIZE = 26

SCRATCH_WORDS = 9  # per synapse of the longest row, plus the counts of the cells


@kernel
def group_shares(projections, shares):
    """Fill ``shares[c, g]`` with the synapses of each group of sources in each cell.

    Parameters
    ----------
    projections : ProjectionTables
        Projections and cells.
    shares : ndarray of int64, shape (n_cells, n_groups)
    """
    cells = projections.cells
    for p in range(projections.table.shape[0]):
        projection = projections.table[p]
        if projection.rule != TOTAL:
            continue
        groups = (projection.n_pre + SOURCES_IN_GROUP - 1) // SOURCES_IN_GROUP
        for c in range(projection.cell_first, projection.cell_last):
            size = cells[c].size
            first_self = -size - 1 if projection.autapses else cells[c].first_target
            split_over_source_groups(
                cells[c].total_synapses,
                projection.n_pre,
                size,
                first_self,
                substream_key(projection.key, cells[c].block),
                0,
                groups,
                shares[c, :groups],
            )


@subroutine
def _count_source(projection, cells, cell_keys, shares, source, group_counts, counts):
    group = source // SOURCES_IN_GROUP
    begin = group * SOURCES_IN_GROUP
    sources = min(SOURCES_IN_GROUP, projection.n_pre - begin)
    for c in range(projection.cell_first, projection.cell_last):
        counts[c] = 0
        if shares[c, group] > 0:
            size = cells[c].size
            first_self = -size - 1 if projection.autapses else cells[c].first_target
            key = substream_key(cell_keys[c], GROUP + group)
            count_in_group(
                shares[c, group], begin, sources, size, first_self, key, group_counts[:sources]
            )
            counts[c] = group_counts[source - begin]


@subroutine
def _add(ring, base, mask, n, targets, weights, delays, stride, plane, receptors):
    events = 0
    for i in range(n):
        if (receptors[0] if weights[i] >= 0 else receptors[1]) == plane:
            ring[(targets[i] + base + delays[i] * stride) & mask] += weights[i]
            events += 1
    return events


@subroutine
def _digest(sums, source, n, targets, weights, delays, plane, receptors):
    factor, offset = row_key(source, plane)
    for i in range(n):
        if (receptors[0] if weights[i] >= 0 else receptors[1]) == plane:
            sums[targets[i]] += fold_product(offset + synapse_value(weights[i], delays[i]) * factor)


@kernel
def _draw(table, first, last, ring, sums):
    """Draw the rows of a range of spikes; add them to the sums, if any, else to the ring."""
    gids = array(table[SPIKE_GID], last, np.uint32)
    steps = array(table[SPIKE_STEP], last, np.int64)
    n_projections, n_cells, longest = table[N_PROJECTIONS], table[N_CELLS], table[LONGEST]
    records = array(table[PROJECTIONS], n_projections, PROJECTION)
    cells = array(table[CELLS], n_cells, CELL)
    cell_keys = array(table[CELL_KEYS], n_cells, np.uint64)
    shares = array(table[SHARES], n_cells * table[N_GROUPS], np.int64)
    shares = shares.reshape((n_cells, table[N_GROUPS]))
    capacity = array(table[CAPACITY], table[N_TREE], np.int64)
    owned_before = array(table[OWNED_BEFORE], table[N_TREE], np.int64)
    given_weights = array(table[WEIGHTS], table[N_WEIGHTS], np.float64)
    given_delays = array(table[DELAYS], table[N_DELAYS], np.int32)
    projections = ProjectionTables(
        records, cells, capacity, owned_before, given_weights, given_delays
    )
    step = 8 * longest
    row_keys = array(table[SCRATCH], longest, np.uint64)
    value_index = array(table[SCRATCH] + step, longest, np.int64)
    sizes = array(table[SCRATCH] + 2 * step, longest, np.int64)
    targets = array(table[SCRATCH] + 3 * step, longest, np.int64)
    weights = array(table[SCRATCH] + 4 * step, longest, np.int64)
    delays = array(table[SCRATCH] + 5 * step, longest, np.int64)
    found_targets = array(table[SCRATCH] + 6 * step, longest, np.int64)
    reals = array(table[SCRATCH] + 7 * step, longest, np.float64)
    settled = array(table[SCRATCH] + 8 * step, longest, np.uint8)
    used_bits = array(table[TAKEN], 1 << 40, np.uint64)
    scratch = RowScratch(
        *(row_keys, value_index, sizes, targets, weights, delays, found_targets, reals, settled),
        used_bits,
    )
    in_group = np.empty(SOURCES_IN_GROUP, np.int32)
    counts = np.empty(n_cells, np.int32)
    numbers = np.empty(n_cells + 1, np.int64)
    receptors = np.empty(2, np.int64)
    stride = table[STRIDE]
    mask = (table[MASK] + 1) * stride - 1
    events = 0
    for i in range(first, last):
        s = np.int64(gids[i]) - table[GID]
        if s < 0 or s >= table[N_SOURCES]:
            continue
        base = steps[i] * stride
        for p in range(n_projections):
            projection = records[p]
            source = s - projection.pre_start
            if source < 0 or source >= projection.n_pre:
                continue
            if projection.rule == TOTAL:
                _count_source(projection, cells, cell_keys, shares, source, in_group, counts)
            n = append_block_synapses(
                p, projections, cell_keys, source, counts, numbers, np.int64(0), scratch
            )
            draw_weights(
                projection,
                row_keys[:n],
                value_index[:n],
                given_weights,
                reals[:n],
                settled[:n],
                weights[:n],
            )
            draw_delays(
                projection,
                row_keys[:n],
                value_index[:n],
                given_delays,
                reals[:n],
                settled[:n],
                delays[:n],
            )
            receptors[0], receptors[1] = projection.receptor_positive, projection.receptor_negative
            if sums.size > 0:
                _digest(sums, gids[i], n, targets, weights, delays, table[PLANE], receptors)
                continue
            events += _add(
                ring, base, mask, n, targets, weights, delays, stride, table[PLANE], receptors
            )
    return events


@kernel
def _deliver(table, first, last, ring):
    return _draw(table, first, last, ring, np.empty(0, np.uint64))


@kernel
def add_rows(table, first, last, sums):
    """Add the synapses of the sources first to last of the list to `sums` (`kernels.digest`)."""
    _draw(table, first, last, np.empty(0, np.int32), sums)


@kernel_entry
def deliver32(table, scalars, first, last, step):
    """Deliver to int32 rows."""
    ring = array(table[RING], (table[MASK] + 1) * table[STRIDE], np.int32)
    table[EVENTS] += _deliver(table, first, last, ring)
    return DONE


@kernel_entry
def deliver64(table, scalars, first, last, step):
    """Deliver to int64 rows."""
    ring = array(table[RING], (table[MASK] + 1) * table[STRIDE], np.int64)
    table[EVENTS] += _deliver(table, first, last, ring)
    return DONE
