"""From spikes and stored rows of synapses to input: push and pull.

A row holds a source's local synapses as words

    delay | target | weight      (high to low bits)

with the fields that the storage format needs: no weight if all weights are equal, no delay if all
delays are equal or rows are pulled. A weight field is in units of 2^shift quanta.

*Push delivery* adds a whole row to the input ring when its spike arrives. *Pull delivery* sorts a
row by delay. A spike schedules each delay run of its row in a calendar queue, and the iteration in
which a run is due adds it to the input row of this iteration, which stays in the cache. All sums
are exact integer sums, so push and pull delivery have the same result.

If a synapse model scales the weights, a row has the state of its source. The spike advances the
state, and all weights of the row are multiplied by the resulting factor and rounded to quanta. A
scheduled run stores its factor in the calendar queue.

The calendar queue: bucket b contains the runs due in the iterations = b (mod n_buckets), in pages
of 64 words from a shared pool: 63 entries ``start << 24 | length`` and, in word 63, the next page.
The factors are in a second pool, each at the position of its entry.

Kernel entries take ``first`` and ``last`` as a range of the list of spikes (`deliver`) or ignore
them (`deliver_due_runs`), and return DONE or GROW (the pool is too small; nothing has changed).
"""

from functools import cache

import numpy as np

from distsnn.jit import KernelEntry, array, inline, kernel_entry, prefetch
from distsnn.kernels.rows import MASK, RING
from distsnn.kernels.source_spikes import factor as factor_of

# Table of a row set: the receptor's ring (kernels.rows: RING, MASK, STRIDE), then
SPIKE_GID, SPIKE_STEP, BITMAP, ROWS_BEFORE, ROW, WORDS = 3, 4, 5, 6, 7, 8
STRIDE_BITS, WEIGHT_BITS, SHIFT, WEIGHT, DELAY, FOUND = 9, 10, 11, 12, 13, 14
RUN_ROW, RUNS, BUCKET_MASK, HEAD, NEXT, POOL, FREE, N_FREE, CURSOR = range(15, 24)
EVENTS = 24  # synaptic events so far
# For rows with scaled weights: sources' records, words of a record, the model's kernel entry that
# advances a record, and the pool of factors.
RECORDS, RECORD_SIZE, ADVANCE, FACTORS = 25, 26, 27, 28
TABLE_SIZE = 29

DONE, GROW = 0, 1

PAGE = 64
_PER_PAGE = PAGE - 1
_LENGTH_BITS = 24
LONGEST_RUN = 0xFFFF  # a run is delay << 16 | length in 32 bits; longer ones are several runs
_BATCH = 1024
FOUND_SIZE = 4 * _BATCH
_ROWS_AHEAD = 4
_RUNS_AHEAD = 4


@inline
def find_row(bitmap, rows_before, gid):
    """Return the index of a source's row, or -1 if it has none on this rank."""
    word = bitmap[gid >> 6]
    bit = np.uint64(gid & 63)
    if (word >> bit) & np.uint64(1) == 0:
        return np.int64(-1)
    below = word & ((np.uint64(1) << bit) - np.uint64(1))
    return np.int64(rows_before[gid >> 6]) + _popcount(below)


@inline
def _popcount(x):
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


_MANY = 1 << 40


@inline
def _factor(table, row, step):
    """Advance the state of a row's source to its spike; return the factor of the weights."""
    return factor_of(table[ADVANCE], table[RECORDS], table[RECORD_SIZE], row, step)


@inline
def _find(table, first, last, scaled, starts, ends, loops, factors):
    """Fill starts, ends (words), loops and factors of the spikes' rows; return their number."""
    gids = array(table[SPIKE_GID], last, np.uint32)
    steps = array(table[SPIKE_STEP], last, np.int64)
    bitmap = array(table[BITMAP], _MANY, np.uint64)
    rows_before = array(table[ROWS_BEFORE], _MANY, np.uint32)
    row_starts = array(table[ROW], _MANY, np.int64)
    n = 0
    for i in range(first, last):
        row_index = find_row(bitmap, rows_before, np.int64(gids[i]))
        if row_index >= 0:
            starts[n] = row_starts[row_index]
            ends[n] = row_starts[row_index + 1]
            loops[n] = steps[i]
            if scaled:
                factors[n] = _factor(table, row_index, steps[i] + 1)
            n += 1
    return n


@inline
def prefetch_words(address, start, end, word_bytes):
    """Prefetch the words from `start` to `end` of an array at an address."""
    line = address + start * word_bytes
    stop = address + end * word_bytes
    while line < stop + 63:
        prefetch(line)
        line += 64


def _types(word_bits: int, row_bits: int) -> tuple[type, type, type]:
    """Return the types of words, of their signed weight fields and of the input rows."""
    unsigned = {16: np.uint16, 32: np.uint32, 64: np.uint64}[word_bits]
    signed = {16: np.int16, 32: np.int32, 64: np.int64}[word_bits]
    return unsigned, signed, np.int32 if row_bits == 32 else np.int64


# Slots are unsigned: for a signed index, numba tests in every event whether it is negative.


@inline
def _add_constant(ring, words, start, end, base, mask, weight):
    for i in range(np.uint64(start), np.uint64(end)):
        ring[(np.uint64(words[i]) + base) & mask] += weight


@inline
def _add_fields(ring, words, start, end, base, mask, bits, left, right, unsigned, signed, integer):
    for i in range(np.uint64(start), np.uint64(end)):
        x = words[i]
        slot = (np.uint64(unsigned(x >> bits)) + base) & mask
        ring[slot] += integer(signed(unsigned(x << left)) >> right)


@inline
def _add_scaled_fields(
    ring, words, start, end, base, mask, factor, bits, left, right, unsigned, signed, integer
):
    for i in range(np.uint64(start), np.uint64(end)):
        x = words[i]
        slot = (np.uint64(unsigned(x >> bits)) + base) & mask
        weight = integer(signed(unsigned(x << left)) >> right)
        ring[slot] += integer(np.rint(np.float64(weight) * factor))


@inline
def _add(
    constant,
    scaled,
    factor,
    ring,
    words,
    start,
    end,
    base,
    mask,
    weight,
    bits,
    left,
    right,
    unsigned,
    signed,
    integer,
):
    if constant:
        if scaled:
            weight = integer(np.rint(np.float64(weight) * factor))
        _add_constant(ring, words, start, end, base, mask, weight)
    elif scaled:
        _add_scaled_fields(
            ring,
            words,
            start,
            end,
            base,
            mask,
            factor,
            bits,
            left,
            right,
            unsigned,
            signed,
            integer,
        )
    else:
        _add_fields(
            ring, words, start, end, base, mask, bits, left, right, unsigned, signed, integer
        )


@cache
def push_rows(word_bits: int, row_bits: int, constant: bool, scaled: bool) -> KernelEntry:
    """Return the kernel entry that adds whole rows to the ring.

    Parameters
    ----------
    word_bits : {16, 32, 64}
        Width of a stored word.
    row_bits : {32, 64}
        Width of the input rows.
    constant : bool
        Whether all synapses have the table's WEIGHT.
    scaled : bool
        Whether a synapse model scales the weights.
    """
    # numba cannot cache a function whose closure holds compiled functions; types are fine
    unsigned, signed, integer = _types(word_bits, row_bits)

    def deliver(table, scalars, first, last, step):
        starts = array(table[FOUND], _BATCH, np.int64)
        ends = array(table[FOUND] + 8 * _BATCH, _BATCH, np.int64)
        loops = array(table[FOUND] + 16 * _BATCH, _BATCH, np.int64)
        factors = array(table[FOUND] + 24 * _BATCH, _BATCH, np.float64)
        words = array(table[WORDS], _MANY, unsigned)
        slots = (table[MASK] + 1) << table[STRIDE_BITS]
        ring = array(table[RING], slots, integer)
        weight, bits = integer(table[WEIGHT]), unsigned(table[WEIGHT_BITS])
        left = unsigned(word_bits - table[WEIGHT_BITS])
        right = signed(word_bits - table[WEIGHT_BITS] - table[SHIFT])
        events = 0
        for batch in range(first, last, _BATCH):
            stop = min(batch + _BATCH, last)
            n = _find(table, batch, stop, scaled, starts, ends, loops, factors)
            for j in range(min(n, _ROWS_AHEAD)):
                prefetch_words(table[WORDS], starts[j], ends[j], word_bits // 8)
            for j in range(n):
                if j + _ROWS_AHEAD < n:
                    ahead = j + _ROWS_AHEAD
                    prefetch_words(table[WORDS], starts[ahead], ends[ahead], word_bits // 8)
                base = (loops[j] + table[DELAY]) << table[STRIDE_BITS]
                start, end = starts[j], ends[j]
                _add(
                    constant,
                    scaled,
                    factors[j] if scaled else 1.0,
                    ring,
                    words,
                    start,
                    end,
                    np.uint64(base),
                    np.uint64(slots - 1),
                    weight,
                    bits,
                    left,
                    right,
                    unsigned,
                    signed,
                    integer,
                )
                events += end - start
        table[EVENTS] += events
        return DONE

    return kernel_entry(deliver)


@inline
def _append(heads, nexts, pool, free, n_free, bucket, value):
    """Append an entry to a bucket; return its position. A page must be free if the last is full."""
    position = nexts[bucket]
    if (
        position & _PER_PAGE == _PER_PAGE
    ):  # the page is full, or (position = -1) the bucket has no page
        n_free[0] -= 1
        page = free[np.uint64(n_free[0])]
        if position < 0:
            heads[bucket] = page
        else:
            pool[np.uint64(position)] = page
        position = page * PAGE
    pool[np.uint64(position)] = value
    nexts[bucket] = position + 1
    return np.uint64(position)


@inline
def _calendar(table):
    buckets = table[BUCKET_MASK] + 1
    return (
        array(table[HEAD], buckets, np.int64),
        array(table[NEXT], buckets, np.int64),
        array(table[POOL], _MANY, np.int64),
        array(table[FREE], _MANY, np.int64),
        array(table[N_FREE], 1, np.int64),
    )


@cache
def schedule_runs(scaled: bool) -> KernelEntry:
    """Return the kernel entry that schedules the delay runs of rows in the calendar queue.

    After the pool has grown, the entry resumes at CURSOR.

    Parameters
    ----------
    scaled : bool
        Whether a synapse model scales the weights.
    """

    def deliver(table, scalars, first, last, step):
        gids = array(table[SPIKE_GID], last, np.uint32)
        steps = array(table[SPIKE_STEP], last, np.int64)
        bitmap = array(table[BITMAP], _MANY, np.uint64)
        rows_before = array(table[ROWS_BEFORE], _MANY, np.uint32)
        row_starts = array(table[ROW], _MANY, np.int64)
        run_row = array(table[RUN_ROW], _MANY, np.int64)
        runs = array(table[RUNS], _MANY, np.uint32)
        found_rows = array(table[FOUND], _BATCH, np.int64)
        heads, nexts, pool, free, n_free = _calendar(table)
        factors = array(table[FACTORS], _MANY, np.float64)
        factor = 1.0
        mask = table[BUCKET_MASK]
        for batch in range(first + table[CURSOR], last, _BATCH):
            stop = min(batch + _BATCH, last)
            # in a batch, cache misses of the look-ups overlap: bitmap, then row, then runs
            for i in range(batch, stop):
                prefetch(table[BITMAP] + 8 * np.int64(gids[i] >> np.uint32(6)))
                prefetch(table[ROWS_BEFORE] + 4 * np.int64(gids[i] >> np.uint32(6)))
            for i in range(batch, stop):
                row_index = find_row(bitmap, rows_before, np.int64(gids[i]))
                found_rows[i - batch] = row_index
                if row_index >= 0:
                    prefetch(table[ROW] + 8 * row_index)
                    prefetch(table[RUN_ROW] + 8 * row_index)
            for i in range(batch, stop):
                row_index = found_rows[i - batch]
                if row_index >= 0:
                    prefetch(table[RUNS] + 4 * run_row[row_index])
                    prefetch(table[RUNS] + 4 * run_row[row_index] + 64)
            for i in range(batch, stop):
                row_index = found_rows[i - batch]
                if row_index < 0:
                    continue
                start = row_starts[row_index]
                if run_row[row_index + 1] - run_row[row_index] > n_free[0]:
                    table[CURSOR] = i - first
                    return GROW
                if scaled:
                    factor = _factor(table, row_index, steps[i] + 1)
                for r in range(np.uint64(run_row[row_index]), np.uint64(run_row[row_index + 1])):
                    run = np.int64(runs[r])
                    length = run & LONGEST_RUN
                    bucket = np.uint64((steps[i] + (run >> 16)) & mask)
                    value = (start << _LENGTH_BITS) | length
                    place = _append(heads, nexts, pool, free, n_free, bucket, value)
                    if scaled:
                        factors[place] = factor
                    start += length
        table[CURSOR] = 0
        return DONE

    return kernel_entry(deliver)


@cache
def deliver_due_runs(word_bits: int, row_bits: int, constant: bool, scaled: bool) -> KernelEntry:
    """Return the kernel entry that adds an iteration's due runs to its row (see `push_rows`)."""
    # numba cannot cache a function whose closure holds compiled functions; types are fine
    unsigned, signed, integer = _types(word_bits, row_bits)

    def collect_due(table, scalars, first, last, step):
        heads, nexts, pool, free, n_free = _calendar(table)
        bucket = step & table[BUCKET_MASK]
        page = heads[bucket]
        if page < 0:
            return DONE
        words = array(table[WORDS], _MANY, unsigned)
        factors = array(table[FACTORS], _MANY, np.float64)
        slots = (table[MASK] + 1) << table[STRIDE_BITS]
        ring = array(table[RING], slots, integer)
        base = (step & table[MASK]) << table[STRIDE_BITS]
        weight, bits = integer(table[WEIGHT]), unsigned(table[WEIGHT_BITS])
        left = unsigned(word_bits - table[WEIGHT_BITS])
        right = signed(word_bits - table[WEIGHT_BITS] - table[SHIFT])
        length_mask = (1 << _LENGTH_BITS) - 1
        events = 0
        while page >= 0:
            end_of_bucket = nexts[bucket]
            is_last = page == (end_of_bucket - 1) // PAGE
            n = end_of_bucket - page * PAGE if is_last else _PER_PAGE
            entries = pool[page * PAGE : page * PAGE + n]
            its_factors = factors[page * PAGE : page * PAGE + n]
            for j in range(min(n, _RUNS_AHEAD)):
                start = entries[j] >> _LENGTH_BITS
                end = start + (entries[j] & length_mask)
                prefetch_words(table[WORDS], start, end, word_bits // 8)
            for j in range(n):
                if j + _RUNS_AHEAD < n:
                    value = entries[j + _RUNS_AHEAD]
                    start = value >> _LENGTH_BITS
                    end = start + (value & length_mask)
                    prefetch_words(table[WORDS], start, end, word_bits // 8)
                start = entries[j] >> _LENGTH_BITS
                end = start + (entries[j] & length_mask)
                _add(
                    constant,
                    scaled,
                    its_factors[j] if scaled else 1.0,
                    ring,
                    words,
                    start,
                    end,
                    np.uint64(base),
                    np.uint64(slots - 1),
                    weight,
                    bits,
                    left,
                    right,
                    unsigned,
                    signed,
                    integer,
                )
                events += end - start
            free[n_free[0]] = page
            n_free[0] += 1
            page = np.int64(-1) if is_last else pool[page * PAGE + _PER_PAGE]
        heads[bucket] = -1
        nexts[bucket] = -1
        table[EVENTS] += events
        return DONE

    return kernel_entry(collect_due)
