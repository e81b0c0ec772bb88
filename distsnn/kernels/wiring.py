"""Wiring: every rule as a function of (seed, projection, block, source), no communication.

A *cell* is an owned block of a projection's targets. The synapses of (projection, block, source)
are keyed by the cell's stream and the source alone: target, weight and delay of synapse j come
from its words 3 j, 3 j + 1 and 3 j + 2. Rows are written source by source, all cells of a source
one after another, sorted by delay where the row is to be pulled.

Fixed indegrees are drawn at the target, keyed by it; their edges are first sorted by source (for a
slice of sources at a time), and weight and delay come from the target's stream.

Axes: p projection of the row set, c cell, s source of the slice, n synapse of the row.
"""

import numpy as np
from numba import uint64

from distsnn.counter_rng import below, high_half, stream, unit, word
from distsnn.jit import inline, kernel
from distsnn.kernels.delivery import LONGEST_RUN
from distsnn.kernels.functions import log
from distsnn.kernels.sampling import draw, draw_delay
from distsnn.kernels.trees import OUT, SKIP, TARGET, split_blocks
from distsnn.kernels.wiring_columns import (
    ALL_TO_ALL,
    AUTAPSES,
    BERNOULLI,
    BLOCK,
    CELL_FIRST,
    CELL_LAST,
    DELAY_A,
    DELAY_AT,
    DELAY_B,
    DELAY_HIGH,
    DELAY_IN_WORD,
    DELAY_KIND,
    DELAY_LIMIT,
    DELAY_LOW,
    FIELD_BITS,
    FIRST_TARGET,
    INDEGREE,
    LARGEST,
    LARGEST_DELAY,
    LOCAL,
    MULTAPSES,
    N_POST,
    N_PRE,
    N_SPILLED,
    NUMBER,
    ONE_TO_ONE,
    OUTDEGREE,
    PRE_START,
    PROBABILITY,
    RECEPTOR,
    RECEPTOR_NEGATIVE,
    RECEPTOR_POSITIVE,
    RULE,
    SCALE_NEGATIVE,
    SCALE_POSITIVE,
    SIZE,
    SMALLEST,
    SORTED,
    STORED_SHIFT,
    SYNAPSES,
    TARGET_BITS,
    TOTAL,
    TREE_FIRST,
    TREE_SIZE,
    USED_ROWS,
    USED_RUNS,
    USED_WORDS,
    WEIGHT_A,
    WEIGHT_AT,
    WEIGHT_B,
    WEIGHT_HIGH,
    WEIGHT_KIND,
    WEIGHT_LOW,
    WEIGHT_SHIFT,
)


@inline
def _outdegree_counts(p, ints, cells, key, source, capacity, owned_before, own, shares):  # type: ignore[no-untyped-def]
    first, size = ints[p, TREE_FIRST], ints[p, TREE_SIZE]
    prefix = capacity[first : first + size]
    if own >= 0:
        # the block that holds the source has one target less
        prefix = prefix.copy()
        block = np.searchsorted(prefix, own, side="right")
        for b in range(block, size):
            prefix[b] -= 1
    split_blocks(
        ints[p, NUMBER],
        prefix,
        owned_before[first : first + size],
        ints[p, MULTAPSES] == 0,
        stream(key, OUT + source),
        shares,
    )


@inline
def _targets(p, ints, floats, n, size, own, cell_key, source, taken, out):  # type: ignore[no-untyped-def]
    """Fill out with the targets (within the block) of one source in one cell; return how many."""
    rule = ints[p, RULE]
    synapse_key = stream(cell_key, source)
    if rule == TOTAL or (rule == OUTDEGREE and ints[p, MULTAPSES]):
        choices = size if own < 0 or own >= size else size - 1
        for j in range(n):
            t = np.int64(below(high_half(word(synapse_key, 3 * j)), choices))
            out[j] = t + 1 if choices < size and t >= own else t
        return n
    if rule == OUTDEGREE:
        choices = size if own < 0 or own >= size else size - 1
        for j in range(n):
            top = choices - n + j
            t = np.int64(below(high_half(word(synapse_key, 3 * j)), top + 1))
            if (taken[t >> 6] >> uint64(t & 63)) & uint64(1):
                t = top
            taken[t >> 6] |= uint64(1) << uint64(t & 63)
            out[j] = t
        for j in range(n):
            t = out[j]
            taken[t >> 6] = uint64(0)
            out[j] = t + 1 if choices < size and t >= own else t
        return n
    if rule == BERNOULLI:
        choices = size if own < 0 or own >= size else size - 1
        probability = floats[p, PROBABILITY]
        n = 0
        if probability >= 1.0:
            for t in range(choices):
                out[t] = t
            n = choices
        elif probability > 0.0:
            skip_key = stream(cell_key, SKIP + source)
            scale = 1.0 / log(1.0 - probability)
            position = -1.0
            while True:
                position += 1.0 + np.floor(log(unit(word(skip_key, n))) * scale)
                if position >= choices:
                    break
                out[n] = np.int64(position)
                n += 1
        for j in range(n):
            if choices < size and out[j] >= own:
                out[j] += 1
        return n
    # all to all
    n = 0
    for t in range(size):
        if t != own:
            out[n] = t
            n += 1
    return n


@inline
def _integer(p, ints, floats, w):  # type: ignore[no-untyped-def]
    scale = floats[p, SCALE_POSITIVE] if w >= 0.0 else floats[p, SCALE_NEGATIVE]
    return np.int64(np.rint(w * scale)) << ints[p, WEIGHT_SHIFT]


@inline
def _weight(p, ints, floats, given, at, bits):  # type: ignore[no-untyped-def]
    if ints[p, WEIGHT_AT] >= 0:
        return given[ints[p, WEIGHT_AT] + at]
    return draw(
        ints[p, WEIGHT_KIND],
        floats[p, WEIGHT_A],
        floats[p, WEIGHT_B],
        floats[p, WEIGHT_LOW],
        floats[p, WEIGHT_HIGH],
        bits,
    )


@inline
def _delay(p, ints, floats, given, at, bits):  # type: ignore[no-untyped-def]
    if ints[p, DELAY_AT] >= 0:
        return np.int64(given[ints[p, DELAY_AT] + at])
    return draw_delay(
        ints[p, DELAY_KIND],
        floats[p, DELAY_A],
        floats[p, DELAY_B],
        floats[p, DELAY_LOW],
        floats[p, DELAY_HIGH],
        ints[p, LARGEST_DELAY],
        bits,
    )


@inline
def _keep(row_set, receptor, w, delay, local, n, targets, fields, delays, gid, spilled, load):  # type: ignore[no-untyped-def]
    """Add a synapse to the row, or to the spilled ones; return the row's new length."""
    load[receptor, local] += abs(w)
    row_set[SYNAPSES] += 1
    row_set[SMALLEST] = min(row_set[SMALLEST], delay)
    row_set[LARGEST] = max(row_set[LARGEST], delay)
    field = w >> row_set[STORED_SHIFT]
    bits = row_set[FIELD_BITS]
    half = np.int64(1) << max(bits - 1, 0)
    fits = (bits == 0 or -half <= field < half) and delay <= row_set[DELAY_LIMIT]
    if fits and receptor == row_set[RECEPTOR]:
        targets[n] = local
        fields[n] = field
        delays[n] = delay
        return n + 1
    at = row_set[N_SPILLED]
    spilled[at, 0] = gid
    spilled[at, 1] = local
    spilled[at, 2] = w
    spilled[at, 3] = delay
    spilled[at, 4] = receptor
    row_set[N_SPILLED] = at + 1
    return n


@inline
def _write_row(row_set, n, targets, fields, delays, counts, words, runs, rows, run_rows):  # type: ignore[no-untyped-def]
    """Write the words (and runs) of one row; sorted by delay if the row set asks for it."""
    at = row_set[USED_WORDS]
    bits = uint64(row_set[FIELD_BITS])
    mask = (uint64(1) << bits) - uint64(1)
    if row_set[SORTED]:
        low, high = delays[0], delays[0]
        for i in range(1, n):
            low = min(low, delays[i])
            high = max(high, delays[i])
        for d in range(low, high + 1):
            counts[d] = 0
        for i in range(n):
            counts[delays[i]] += 1
        run = row_set[USED_RUNS]
        position = at
        for d in range(low, high + 1):
            length = counts[d]
            counts[d] = position
            position += length
            while length > 0:
                part = min(length, LONGEST_RUN)
                runs[run] = (d << 16) | part
                run += 1
                length -= part
        row_set[USED_RUNS] = run
        for i in range(n):
            place = counts[delays[i]]
            counts[delays[i]] = place + 1
            words[place] = (uint64(targets[i]) << bits) | (uint64(fields[i]) & mask)
    else:
        target_bits = uint64(row_set[TARGET_BITS])
        in_word = row_set[DELAY_IN_WORD]
        for i in range(n):
            high_part = uint64(delays[i]) << target_bits if in_word else uint64(0)
            words[at + i] = ((high_part | uint64(targets[i])) << bits) | (uint64(fields[i]) & mask)
    row_set[USED_WORDS] = at + n
    row_set[USED_ROWS] += 1
    rows[row_set[USED_ROWS]] = at + n
    run_rows[row_set[USED_ROWS]] = row_set[USED_RUNS]


@kernel
def build_rows(  # type: ignore[no-untyped-def]
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
    buffer,
    taken,
    delay_counts,
    load,
    spilled,
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
        The row set's numbers; what is used and counted is changed.
    gid : int
        Gid of source 0 of the slice's numbering.
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
        All given arrays, one after another.
    prepared_starts, prepared : ndarray of int64, shapes (last - first + 1,), (n, 4)
        Edges that are already drawn: local target, weight (quanta), delay, receptor.
    buffer : ndarray of int64, shape (4, longest row)
        Scratch: block's targets, and the row's targets, fields and delays.
    taken : ndarray of uint64
        Scratch: one bit per target of a block, all 0.
    delay_counts : ndarray of int64
        Scratch: one word per delay.
    load : ndarray of int64, shape (n_receptors, n_local)
        Sum of \\|weights\\| onto each neuron, quanta; added to.
    spilled : ndarray of int64, shape (n, 5)
        Synapses that do not fit: gid, local target, weight, delay, receptor; appended to.
    words, runs, rows, run_rows, bitmap : ndarray
        The row set's storage; appended to.
    """
    targets, fields, delays, found = buffer[0], buffer[1], buffer[2], buffer[3]
    shares = np.empty(cells.shape[0] + 1, np.int64)
    for s in range(first, last):
        n = 0
        for p in range(ints.shape[0]):
            source = s - ints[p, PRE_START]
            if source < 0 or source >= ints[p, N_PRE]:
                continue
            rule = ints[p, RULE]
            positive, negative = ints[p, RECEPTOR_POSITIVE], ints[p, RECEPTOR_NEGATIVE]
            self_excluded = ints[p, AUTAPSES] == 0
            if rule == INDEGREE:
                for e in range(edge_starts[p, s - first], edge_starts[p, s - first + 1]):
                    target = np.int64(edges[e] >> uint64(32))
                    j = np.int64(edges[e] & uint64(0xFFFFFFFF))
                    key = stream(keys[p], TARGET + target)
                    block = np.searchsorted(
                        capacity[ints[p, TREE_FIRST] : ints[p, TREE_FIRST] + ints[p, TREE_SIZE]],
                        target,
                        side="right",
                    )
                    local = local_of[ints[p, TREE_FIRST] + block - 1] + target
                    w = _integer(
                        p,
                        ints,
                        floats,
                        _weight(p, ints, floats, given_weights, 0, word(key, 3 * j + 1)),
                    )
                    d = _delay(p, ints, floats, given_delays, 0, word(key, 3 * j + 2))
                    receptor = positive if w >= 0 else negative
                    n = _keep(
                        row_set,
                        receptor,
                        w,
                        d,
                        local,
                        n,
                        targets,
                        fields,
                        delays,
                        gid + s,
                        spilled,
                        load,
                    )
                continue
            first_cell, last_cell = ints[p, CELL_FIRST], ints[p, CELL_LAST]
            if rule == OUTDEGREE:
                own = source if self_excluded else np.int64(-1)
                _outdegree_counts(
                    p,
                    ints,
                    cells,
                    keys[p],
                    source,
                    capacity,
                    owned_before,
                    own,
                    shares[: last_cell - first_cell],
                )
            for c in range(first_cell, last_cell):
                size = cells[c, SIZE]
                first_target = cells[c, FIRST_TARGET]
                if rule == ONE_TO_ONE:
                    if source < first_target or source >= first_target + size:
                        continue
                    m = 1
                    found[0] = source - first_target
                else:
                    m = np.int64(0)
                    if rule == TOTAL:
                        m = np.int64(counts[s - first, c])
                    elif rule == OUTDEGREE:
                        m = shares[c - first_cell]
                    if m == 0 and rule in (TOTAL, OUTDEGREE):
                        continue
                    own = source - first_target if self_excluded else np.int64(-1)
                    cell_key = stream(keys[p], cells[c, BLOCK])
                    m = _targets(p, ints, floats, m, size, own, cell_key, source, taken, found)
                key = stream(stream(keys[p], cells[c, BLOCK]), source)
                for j in range(m):
                    at = source
                    if rule == ALL_TO_ALL:
                        at = source * ints[p, N_POST] + first_target + found[j]
                    w = _integer(
                        p,
                        ints,
                        floats,
                        _weight(p, ints, floats, given_weights, at, word(key, 3 * j + 1)),
                    )
                    d = _delay(p, ints, floats, given_delays, at, word(key, 3 * j + 2))
                    receptor = positive if w >= 0 else negative
                    n = _keep(
                        row_set,
                        receptor,
                        w,
                        d,
                        cells[c, LOCAL] + found[j],
                        n,
                        targets,
                        fields,
                        delays,
                        gid + s,
                        spilled,
                        load,
                    )
        for e in range(prepared_starts[s - first], prepared_starts[s - first + 1]):
            targets[n] = prepared[e, 0]
            fields[n] = prepared[e, 1] >> row_set[STORED_SHIFT]
            delays[n] = prepared[e, 2]
            n += 1
        if n > 0:
            _write_row(
                row_set, n, targets, fields, delays, delay_counts, words, runs, rows, run_rows
            )
            bitmap[(gid + s) >> 6] |= uint64(1) << uint64((gid + s) & 63)
