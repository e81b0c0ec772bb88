"""The words of a row: its synapses are counted and written; those that do not fit overflow.

Axes: i synapse of the row.
"""

import numpy as np
from numba import uint64

from distsnn.jit import inline, subroutine
from distsnn.kernels.delivery import LONGEST_RUN


@inline
def _move_overflow(storage, gid, first, n, scratch, receptors):
    """Move synapses from `first` on that do not fit the words to `overflow`; return the new end."""
    row_set, overflow = storage.row_set[0], storage.overflow
    targets, weights, delays = scratch.targets, scratch.weights, scratch.delays
    bits = row_set.field_bits
    half = np.int64(1) << max(bits - 1, 0)
    n_kept = first
    for i in range(first, n):
        field = weights[i] >> row_set.stored_shift
        fits = bits == 0 or (-half <= field and field < half)
        receptor = receptors[0] if weights[i] >= 0 else receptors[1]
        if fits and delays[i] <= row_set.delay_limit and receptor == row_set.receptor:
            targets[n_kept] = targets[i]
            weights[n_kept] = weights[i]
            delays[n_kept] = delays[i]
            n_kept += 1
        else:
            n_overflow = row_set.n_overflow
            overflow[n_overflow, 0] = gid
            overflow[n_overflow, 1] = targets[i]
            overflow[n_overflow, 2] = weights[i]
            overflow[n_overflow, 3] = delays[i]
            overflow[n_overflow, 4] = receptor
            row_set.n_overflow = n_overflow + 1
    return n_kept


@subroutine
def finish_chunk(storage, gid, first, n, scratch, receptors):
    """Count a chunk of the row, and move what does not fit; return the row's new length."""
    row_set, weight_sums = storage.row_set[0], storage.weight_sums
    targets, weights, delays = scratch.targets, scratch.weights, scratch.delays
    min_weight, max_weight, max_delay = weights[first], weights[first], delays[first]
    min_delay = max_delay
    for i in range(first, n):
        min_weight = min(min_weight, weights[i])
        max_weight = max(max_weight, weights[i])
        min_delay = min(min_delay, delays[i])
        max_delay = max(max_delay, delays[i])
    for i in range(first, n):
        w = weights[i]
        weight_sums[receptors[0] if w >= 0 else receptors[1], targets[i]] += abs(w)
    row_set.synapses += n - first
    row_set.min_delay_drawn = min(row_set.min_delay_drawn, min_delay)
    row_set.max_delay_drawn = max(row_set.max_delay_drawn, max_delay)
    bits = row_set.field_bits
    half = np.int64(1) << max(bits - 1, 0)
    fits = bits == 0 or (
        -half <= (min_weight >> row_set.stored_shift)
        and (max_weight >> row_set.stored_shift) < half
    )
    if max_weight >= 0 and receptors[0] != row_set.receptor:
        fits = False
    if min_weight < 0 and receptors[1] != row_set.receptor:
        fits = False
    if fits and max_delay <= row_set.delay_limit:
        return n
    return _move_overflow(storage, gid, first, n, scratch, receptors)


@subroutine
def _write_words(row_set, n, targets, weights, delays, counts, words):
    """Write the words of one row; a sorted row to the positions of its delays in `counts`."""
    start = row_set.used_words
    bits = uint64(row_set.field_bits)
    shift = row_set.stored_shift
    mask = (uint64(1) << bits) - uint64(1)
    if row_set.sorted:
        for i in range(n):
            position = counts[delays[i]]
            counts[delays[i]] = position + 1
            words[position] = (uint64(targets[i]) << bits) | (uint64(weights[i] >> shift) & mask)
    else:
        target_bits = uint64(row_set.target_bits)
        in_word = row_set.delay_in_word
        for i in range(n):
            high_part = uint64(delays[i]) << target_bits if in_word else uint64(0)
            words[start + i] = ((high_part | uint64(targets[i])) << bits) | (
                uint64(weights[i] >> shift) & mask
            )


@subroutine
def write_row(storage, n, scratch):
    """Write the words (and runs) of one row; sorted by delay if the row set asks for it."""
    row_set, words, runs = storage.row_set[0], storage.words, storage.runs
    counts = storage.delay_counts
    targets, weights, delays = scratch.targets, scratch.weights, scratch.delays
    start = row_set.used_words
    if row_set.sorted:
        low, high = delays[0], delays[0]
        for i in range(1, n):
            low = min(low, delays[i])
            high = max(high, delays[i])
        for d in range(low, high + 1):
            counts[d] = 0
        for i in range(n):
            counts[delays[i]] += 1
        run = row_set.used_runs
        position = start
        for d in range(low, high + 1):
            length = counts[d]
            counts[d] = position
            position += length
            while length > 0:
                part = min(length, LONGEST_RUN)
                runs[run] = (d << 16) | part
                run += 1
                length -= part
        row_set.used_runs = run
    if row_set.word_bits == 16:
        _write_words(row_set, n, targets, weights, delays, counts, words)
    elif row_set.word_bits == 32:
        _write_words(row_set, n, targets, weights, delays, counts, words.view(np.uint32))
    else:
        _write_words(row_set, n, targets, weights, delays, counts, words.view(np.uint64))
    row_set.used_words = start + n
    row_set.used_rows += 1
    storage.rows[row_set.used_rows] = start + n
    storage.run_rows[row_set.used_rows] = row_set.used_runs
