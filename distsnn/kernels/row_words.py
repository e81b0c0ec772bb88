"""The words of a row: its synapses are counted, spilled where they do not fit, and written.

Axes: i synapse of the row.
"""

import numpy as np
from numba import uint64

from distsnn.jit import inline, subroutine
from distsnn.kernels.delivery import LONGEST_RUN
from distsnn.kernels.wiring_columns import (
    DELAY_IN_WORD,
    DELAY_LIMIT,
    FIELD_BITS,
    LARGEST,
    N_SPILLED,
    RECEPTOR,
    SMALLEST,
    SORTED,
    STORED_SHIFT,
    SYNAPSES,
    TARGET_BITS,
    USED_ROWS,
    USED_RUNS,
    USED_WORDS,
    WORD_BITS,
)


@inline
def _spill(row_set, gid, n, first, targets, weights, delays, receptors, spilled):
    """Move synapses from `first` on that do not fit the words to `spilled`; return the new end."""
    bits = row_set[FIELD_BITS]
    half = np.int64(1) << max(bits - 1, 0)
    kept = first
    for i in range(first, n):
        field = weights[i] >> row_set[STORED_SHIFT]
        fits = bits == 0 or (-half <= field and field < half)
        receptor = receptors[0] if weights[i] >= 0 else receptors[1]
        if fits and delays[i] <= row_set[DELAY_LIMIT] and receptor == row_set[RECEPTOR]:
            targets[kept] = targets[i]
            weights[kept] = weights[i]
            delays[kept] = delays[i]
            kept += 1
        else:
            at = row_set[N_SPILLED]
            spilled[at, 0] = gid
            spilled[at, 1] = targets[i]
            spilled[at, 2] = weights[i]
            spilled[at, 3] = delays[i]
            spilled[at, 4] = receptor
            row_set[N_SPILLED] = at + 1
    return kept


@subroutine
def finish_piece(row_set, gid, first, n, targets, weights, delays, receptors, spilled, load):
    """Count a piece of the row, and spill what does not fit; return the row's new length."""
    smallest, largest, longest = weights[first], weights[first], delays[first]
    shortest = longest
    for i in range(first, n):
        smallest = min(smallest, weights[i])
        largest = max(largest, weights[i])
        shortest = min(shortest, delays[i])
        longest = max(longest, delays[i])
    for i in range(first, n):
        w = weights[i]
        load[receptors[0] if w >= 0 else receptors[1], targets[i]] += abs(w)
    row_set[SYNAPSES] += n - first
    row_set[SMALLEST] = min(row_set[SMALLEST], shortest)
    row_set[LARGEST] = max(row_set[LARGEST], longest)
    bits = row_set[FIELD_BITS]
    half = np.int64(1) << max(bits - 1, 0)
    fits = bits == 0 or (
        -half <= (smallest >> row_set[STORED_SHIFT]) and (largest >> row_set[STORED_SHIFT]) < half
    )
    if largest >= 0 and receptors[0] != row_set[RECEPTOR]:
        fits = False
    if smallest < 0 and receptors[1] != row_set[RECEPTOR]:
        fits = False
    if fits and longest <= row_set[DELAY_LIMIT]:
        return n
    return _spill(row_set, gid, n, first, targets, weights, delays, receptors, spilled)


@subroutine
def _write_words(row_set, n, targets, weights, delays, counts, words):
    """Write the words of one row; a sorted one to the places that counts has for the delays."""
    at = row_set[USED_WORDS]
    bits = uint64(row_set[FIELD_BITS])
    shift = row_set[STORED_SHIFT]
    mask = (uint64(1) << bits) - uint64(1)
    if row_set[SORTED]:
        for i in range(n):
            place = counts[delays[i]]
            counts[delays[i]] = place + 1
            words[place] = (uint64(targets[i]) << bits) | (uint64(weights[i] >> shift) & mask)
    else:
        target_bits = uint64(row_set[TARGET_BITS])
        in_word = row_set[DELAY_IN_WORD]
        for i in range(n):
            high_part = uint64(delays[i]) << target_bits if in_word else uint64(0)
            words[at + i] = ((high_part | uint64(targets[i])) << bits) | (
                uint64(weights[i] >> shift) & mask
            )


@subroutine
def write_row(row_set, n, targets, weights, delays, counts, words, runs, rows, run_rows):
    """Write the words (and runs) of one row; sorted by delay if the row set asks for it."""
    at = row_set[USED_WORDS]
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
    if row_set[WORD_BITS] == 16:
        _write_words(row_set, n, targets, weights, delays, counts, words)
    elif row_set[WORD_BITS] == 32:
        _write_words(row_set, n, targets, weights, delays, counts, words.view(np.uint32))
    else:
        _write_words(row_set, n, targets, weights, delays, counts, words.view(np.uint64))
    row_set[USED_WORDS] = at + n
    row_set[USED_ROWS] += 1
    rows[row_set[USED_ROWS]] = at + n
    run_rows[row_set[USED_ROWS]] = row_set[USED_RUNS]
