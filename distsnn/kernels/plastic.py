"""Common kernels of plasticity rules: the projection's table, traces, axonal queue and input ring.

The synapses of a source are a row of words `delay | target`; weights and states are in parallel
arrays. A row is updated when its source spikes. The update processes all target spikes since the
last update, each at its time, from a short spike history of each target. A history has `DEPTH`
entries, newest first: the step of a spike (int32, in the space of a real) and the target's traces
after it. Unused entries have a step long before the start, and traces of 0.

A trace is stored as its value after the last spike, and decays by one factor to the time where it
is needed. The result therefore does not depend on the times of updates.

A rule may use states of its targets instead of their spikes. Its histories contain the steps in
which these states act, and their values. These entries are numerous: a history is filled from its
end, and FIRSTS is the index of its newest entry. A ring of LEVELS contains the values that a spike
of the source uses.

A modulator is common to all synapses: a list of the steps at which it changed, with its new values.
Between changes it decays, or is constant.

A rule may transmit a value other than the weight, and draw random numbers: words of Philox with the
counter (step of the spike, gids of target and source, index of the synapse in its pair) and keys of
the run's seed and the projection. They are therefore independent of the place of the synapse.

Plastic weights have their own input ring, whose due row is added to the row of all other input.

Axes: r row (source), i synapse, j spike of a history (newest first).
"""

import numpy as np

from distsnn.jit import array, call, entry, inline
from distsnn.kernels.delivery import DONE, GROW, find_row, prefetch_words
from distsnn.kernels.rows import MASK, RING, STRIDE

# Words of a projection's table: the ring (kernels.rows: RING, MASK, STRIDE), then
SPIKE_GID, SPIKE_STEP = 3, 4  # the list of spikes
BITMAP, ROWS_BEFORE, ROW = 5, 6, 7  # rows
# By synapse; LAST_EVENT: step of its last event
WORDS, WEIGHTS, LAST_EVENT = 8, 9, 10
# By row: traces, step of the last spike, step up to which events are processed
SOURCES, LAST, PROCESSED_UNTIL = 11, 12, 13
HISTORY, DEPTH, DELIVERED_UNTIL = 14, 15, 16  # spikes processed by all rows
TARGET_BITS, AXONAL, LEARNS, EVENTS = 17, 18, 19, 20
FAULT_ROW, FAULT_STEP = 21, 22  # first row with a weight out of range, and its step
POST_GID, N_POST, POST_START, BLOCKS, BLOCK_BITS, CURSOR = 23, 24, 25, 26, 27, 28
QUEUE_ROW, QUEUE_LOOP, QUEUED, QUEUE_ROOM = 29, 30, 31, 32
# the modulator: steps and values of its changes, pending spikes, and the neurons it depends on
MOD_STEP, MOD_VALUE, N_MOD, MOD_ROOM, MOD_AHEAD, MOD_MASK = 33, 34, 35, 36, 37, 38
MOD_GID, N_MOD_NEURONS, MOD_DELAY = 39, 40, 41
FOUND_ROW, FOUND_LOOP = 42, 43  # scratch for BATCH rows
# targets whose states are used: the newest entries of their histories, the ring of levels, the ring
# of delayed states, and whether a target has synapses
FIRSTS, LEVELS, LEVEL_MASK, LEVEL_STRIDE, LATE, LATE_MASK, LATE_STEPS = 44, 45, 46, 47, 48, 49, 50
HAS_SYNAPSES, ACTS, LOOP_STATE = 51, 52, 53  # ACTS: scratch, float64 of each target
SWEPT = 54  # indices of rows
# the entry that advances a batch of rows, the addresses of this table and its scalars, and whether
# the sources of these rows spike
ADVANCE, TABLE, SCALARS, SPIKES = 55, 56, 57, 58
# the synapse, counted from 1, that transmitted a value above its limit
FAULT_SENT = 59
# keys of the random numbers of synapses: gids of targets and sources, index of a synapse in its
# pair, keys of the projection, and the number of earlier spikes of a row's source in the step
TARGET_GIDS, SOURCE_GIDS, NUMBERS, DRAW_KEYS, REPEATS = 60, 61, 62, 63, 64
TABLE_SIZE = 65
# Words of its scalars: quanta per unit of weight, the smallest and the largest weight.
SCALE, LEAST, LIMIT = 0, 1, 2
N_SCALARS = 3

# The table of this ring continues with the ring to which it is added.
INPUT, INPUT_MASK = 3, 4
MERGE_TABLE_SIZE = 5

# Differences to this step may exceed 31 bits, but all traces at this distance are 0.
NEVER = -(1 << 30)
# Synapses of a row that pass each stage together: their data fits the first-level cache.
PIECE = 128
# Loops over gathered values continue to a multiple of this number.
LANES = 32
UNBOUNDED = 1 << 40
BATCH = 1024
# Prefetched rows, and the number of their first synapses that are prefetched.
ROWS_AHEAD, _AHEAD_IN_ROW = 3, 256


@inline
def find_rows(table, first, last, rows, loops):
    """Fill the rows, and the iterations, of a range of spikes; return the number of rows."""
    gids = array(table[SPIKE_GID], last, np.uint32)
    spike_loops = array(table[SPIKE_STEP], last, np.int64)
    bitmap = array(table[BITMAP], UNBOUNDED, np.uint64)
    rows_before = array(table[ROWS_BEFORE], UNBOUNDED, np.uint32)
    n = 0
    for i in range(first, last):
        row = find_row(bitmap, rows_before, np.int64(gids[i]))
        if row >= 0:
            rows[n], loops[n] = row, spike_loops[i]
            n += 1
    return n


@inline
def prefetch_row(table, row, word_bytes, real_bytes):
    """Prefetch the first synapses of a row; the processor prefetches the following ones."""
    rows = array(table[ROW], UNBOUNDED, np.int64)
    start = rows[row]
    end = min(rows[row + 1], start + _AHEAD_IN_ROW)
    prefetch_words(table[WORDS], start, end, word_bytes)
    prefetch_words(table[WEIGHTS], start, end, real_bytes)


@inline
def entries_ahead(steps, words, record, depth, settled):
    """Return the number of entries of a full history that some rows have not processed."""
    n = 0
    while n < depth and steps[(record + n) * words] > settled:
        n += 1
    return n


@inline
def insert(steps, values, words, firsts, target, depth, settled, now, acts):
    """Add an entry to a history that is filled from its end; return whether another entry fits.

    A history is full if its newest entry is its first. Its entries that some rows have not
    processed then move to its end, if they are at most half of the history; its last entry gets a
    step long before the start. An entry has `words` int32: a real for its step and a real for each
    of `acts`.
    """
    record = target * depth
    first, n = firsts[target], acts.size
    width = 1 + n
    if first == 0:
        n_kept = entries_ahead(steps, words, record, depth, settled)
        first = depth - 1 - n_kept
        last = record + depth - 1
        steps[last * words] = NEVER
        values[width * last + 1 : width * (last + 1)] = 0
        for j in range(n_kept - 1, -1, -1):
            steps[(record + first + j) * words] = steps[(record + j) * words]
            for i in range(1, width):
                values[width * (record + first + j) + i] = values[width * (record + j) + i]
    first -= 1
    steps[(record + first) * words] = now
    for i in range(n):
        values[width * (record + first) + 1 + i] = acts[i]
    firsts[target] = first
    return first > 0 or entries_ahead(steps, words, record, depth, settled) <= depth >> 1


@entry
def enqueue(table, scalars, first, last, step):
    """Queue the rows of sources that spiked for the duration of their axonal delays."""
    queued = table[QUEUED]
    if queued + last - first > table[QUEUE_ROOM]:
        return GROW
    rows = array(table[QUEUE_ROW] + 8 * queued, last - first, np.int64)
    loops = array(table[QUEUE_LOOP] + 8 * queued, last - first, np.int64)
    table[QUEUED] = queued + find_rows(table, first, last, rows, loops)
    return DONE


@inline
def _advance(table, n, spikes):
    """Process the events of the first n rows of the batch."""
    table[SPIKES] = spikes
    call(table[ADVANCE], table[TABLE], table[SCALARS], 0, n, 0)


@inline
def _add(table, rows, loops, n, row, loop, spikes):
    """Add a row to a batch of n rows; process a full batch. Return the number of pending rows."""
    rows[n], loops[n] = row, loop
    if n + 1 < BATCH:
        return n + 1
    _advance(table, BATCH, spikes)
    return 0


@entry
def deliver(table, scalars, first, last, step):
    """Process a range of spikes without axonal delay."""
    rows = array(table[FOUND_ROW], BATCH, np.int64)
    loops = array(table[FOUND_LOOP], BATCH, np.int64)
    for batch in range(first, last, BATCH):
        n = find_rows(table, batch, min(batch + BATCH, last), rows, loops)
        _advance(table, n, 1)
    return DONE


@entry
def release(table, scalars, first, last, step):
    """Process the queued spikes whose axonal delay has passed by an iteration."""
    queue = array(table[QUEUE_ROW], UNBOUNDED, np.int64)
    queue_loops = array(table[QUEUE_LOOP], UNBOUNDED, np.int64)
    rows = array(table[FOUND_ROW], BATCH, np.int64)
    loops = array(table[FOUND_LOOP], BATCH, np.int64)
    n_queued = n = 0
    for i in range(table[QUEUED]):
        if queue_loops[i] + 1 + table[AXONAL] > step:
            queue[n_queued], queue_loops[n_queued] = queue[i], queue_loops[i]
            n_queued += 1
        else:
            n = _add(table, rows, loops, n, queue[i], queue_loops[i], 1)
    _advance(table, n, 1)
    table[QUEUED] = n_queued
    return DONE


@entry
def sweep(table, scalars, first, last, step):
    """Process the target spikes up to a step for a range of the rows in SWEPT."""
    swept = array(table[SWEPT], last, np.int64)
    until = array(table[PROCESSED_UNTIL], UNBOUNDED, np.int32)
    rows = array(table[FOUND_ROW], BATCH, np.int64)
    loops = array(table[FOUND_LOOP], BATCH, np.int64)
    n, loop = 0, step - 1 - table[AXONAL]
    for i in range(first, last):
        if until[swept[i]] < step:
            n = _add(table, rows, loops, n, swept[i], loop, 0)
    _advance(table, n, 0)
    return DONE


@entry
def queue_modulator_spikes(table, scalars, first, last, step):
    """Queue the spikes of the modulator's neurons until they reach the synapses."""
    if table[N_MOD] + table[MOD_MASK] >= table[MOD_ROOM]:
        return GROW
    gids = array(table[SPIKE_GID], last, np.uint32)
    loops = array(table[SPIKE_STEP], last, np.int64)
    ahead = array(table[MOD_AHEAD], UNBOUNDED, np.int64)
    for i in range(first, last):
        n = np.int64(gids[i]) - table[MOD_GID]
        if n >= 0 and n < table[N_MOD_NEURONS]:
            ahead[(loops[i] + 1 + table[MOD_DELAY]) & table[MOD_MASK]] += 1
    return DONE


@inline
def _merge(table, step, integer, width):
    stride = table[STRIDE]
    plastic_row = array(table[RING] + width * (step & table[MASK]) * stride, stride, integer)
    row = array(table[INPUT] + width * (step & table[INPUT_MASK]) * stride, stride, integer)
    for i in range(stride):
        row[i] += plastic_row[i]
        plastic_row[i] = 0


@entry
def merge32(table, scalars, first, last, step):
    """Add the due row of plastic input to the input row of an iteration, int32."""
    _merge(table, step, np.int32, 4)
    return DONE


@entry
def merge64(table, scalars, first, last, step):
    """Add the due row of plastic input to the input row of an iteration, int64."""
    _merge(table, step, np.int64, 8)
    return DONE
