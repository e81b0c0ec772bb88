"""What all rules of plasticity share: the words of a projection's table, fading, queue and ring.

The synapses of a source lie in a row, as words `delay | target`, with their weights and states in
arrays beside. Nothing happens to a row until its source spikes: then all spikes of its targets
since are taken, each at its time, from a short history that every target keeps. A history is a
record of `DEPTH` spikes, newest first: of each its step (int32, in the room of a real) and what the
target's traces were after it. Unused entries have a step long before the start, and traces of 0.

A trace is kept as its value after the last spike and faded by one factor to where it is needed. So
it does not matter when, and how often, a row is brought up to date.

A rule may follow states of its targets in place of their spikes. Its histories hold the steps in
which these act, and the values by which they do. There are many of them: a record is filled from
its end, and FIRSTS says where its newest entry is. What a spike of the source meets at a step is in
a ring of LEVELS.

A modulator is the same for all synapses: a list of steps at which it changed, with what it became.
In between it fades, or stays.

A rule may transmit something else than the weight, and draw random numbers: words of Philox at the
counter (step of the spike, gids of target and source, number of the synapse among those of its
pair), under keys of the run's seed and the projection. So they are a synapse's own, wherever it is
stored.

Weights act through a ring of their own, whose due row is added to that of all other input.

Axes: r row (source), i synapse, j spike of a history (newest first).
"""

import numpy as np

from distsnn.jit import array, call, entry, inline
from distsnn.kernels.delivery import DONE, GROW, find_row, prefetch_words
from distsnn.kernels.rows import MASK, RING, STRIDE

# Words of a projection's table: the ring (kernels.rows: RING, MASK, STRIDE), then
SPIKE_GID, SPIKE_STEP = 3, 4  # the list of spikes
BITMAP, RANK, ROW = 5, 6, 7  # rows
WORDS, WEIGHTS, SINCE = 8, 9, 10  # by synapse; SINCE: step of its last event, where states fade
SOURCES, LAST, UNTIL = 11, 12, 13  # by row: traces, step of the last spike, events taken so far
HISTORY, DEPTH, SETTLED = 14, 15, 16  # spikes up to SETTLED were taken by all rows
TARGET_BITS, AXONAL, LEARNS, EVENTS = 17, 18, 19, 20
FAULT_ROW, FAULT_STEP = 21, 22  # first row with a weight out of range, and when
POST_GID, N_POST, POST_START, BLOCKS, BLOCK_BITS, CURSOR = 23, 24, 25, 26, 27, 28
QUEUE_ROW, QUEUE_LOOP, QUEUED, QUEUE_ROOM = 29, 30, 31, 32
# the modulator: when it changed and what it became, what is to come, and whose spikes it follows
MOD_STEP, MOD_VALUE, N_MOD, MOD_ROOM, MOD_AHEAD, MOD_MASK = 33, 34, 35, 36, 37, 38
MOD_GID, N_MOD_NEURONS, MOD_DELAY = 39, 40, 41
FOUND_ROW, FOUND_LOOP = 42, 43  # scratch for BATCH rows
# targets whose states are followed: the newest entries of their records, the ring of levels, that
# of states that act late, and who has synapses
FIRSTS, LEVELS, LEVEL_MASK, LEVEL_STRIDE, LATE, LATE_MASK, LATE_STEPS = 44, 45, 46, 47, 48, 49, 50
HAS_SYNAPSES, ACTS, LOOP_STATE = 51, 52, 53  # ACTS: scratch, float64 of each target
SWEPT = 54  # numbers of rows
# the entry that advances the rows found, the addresses of this table and its scalars, and whether
# the sources of these rows spike
ADVANCE, TABLE, SCALARS, SPIKES = 55, 56, 57, 58
# the synapse, counted from 1, that transmitted more than it may
FAULT_SENT = 59
# what random numbers of synapses are keyed by: gids of targets and sources, the number of a synapse
# among those of its pair, keys of the projection, and how often a row's source has spiked before in
# the step
TARGET_GIDS, SOURCE_GIDS, NUMBERS, DRAW_KEYS, REPEATS = 60, 61, 62, 63, 64
TABLE_SIZE = 65
# Words of its scalars: what turns a weight into quanta, the least and the largest weight.
SCALE, LEAST, LIMIT = 0, 1, 2
N_SCALARS = 3

# The ring's own table goes on with the ring that it is added to.
INPUT, INPUT_MASK = 3, 4
MERGE_TABLE_SIZE = 5

# Where no trace is left it does not matter that differences to it may be more than 31 bits.
NEVER = -(1 << 30)
# Synapses of a row that pass through each stage together: all they need fits the first-level cache.
PIECE = 128
# Loops over gathered values go on to a multiple of this.
LANES = 32
MANY = 1 << 40
BATCH = 1024
# What is asked for in advance: the first synapses of rows.
ROWS_AHEAD, _AHEAD_IN_ROW = 3, 256


@inline
def find_rows(table, first, last, rows, loops):
    """Fill rows, and the loops of their spikes, of a range of spikes; return how many there are."""
    gids = array(table[SPIKE_GID], last, np.uint32)
    its_loops = array(table[SPIKE_STEP], last, np.int64)
    bitmap = array(table[BITMAP], MANY, np.uint64)
    rank = array(table[RANK], MANY, np.uint32)
    n = 0
    for i in range(first, last):
        row = find_row(bitmap, rank, np.int64(gids[i]))
        if row >= 0:
            rows[n], loops[n] = row, its_loops[i]
            n += 1
    return n


@inline
def prefetch_row(table, row, word_bytes, real_bytes):
    """Ask for the first synapses of a row, behind which the machine goes on by itself."""
    rows = array(table[ROW], MANY, np.int64)
    start = rows[row]
    end = min(rows[row + 1], start + _AHEAD_IN_ROW)
    prefetch_words(table[WORDS], start, end, word_bytes)
    prefetch_words(table[WEIGHTS], start, end, real_bytes)


@inline
def entries_ahead(steps, words, record, depth, settled):
    """Return how many entries of a full record not all rows have taken yet."""
    n = 0
    while n < depth and steps[(record + n) * words] > settled:
        n += 1
    return n


@inline
def insert(steps, values, words, firsts, target, depth, settled, now, acts):
    """Add an entry to a record that is filled from its end; return whether another has room.

    A record is full where its newest entry is its first. It then keeps what not all rows have
    taken, if that is no more than half of it, and begins anew from its end; its last entry has a
    step long before the start. An entry takes `words` int32, which are a real for its step and one
    for each of `acts`.
    """
    record = target * depth
    first, n = firsts[target], acts.size
    width = 1 + n
    if first == 0:
        kept = entries_ahead(steps, words, record, depth, settled)
        first = depth - 1 - kept
        last = record + depth - 1
        steps[last * words] = NEVER
        values[width * last + 1 : width * (last + 1)] = 0
        for j in range(kept - 1, -1, -1):
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
    """Keep the rows of sources that spiked until the spikes have gone along their axons."""
    queued = table[QUEUED]
    if queued + last - first > table[QUEUE_ROOM]:
        return GROW
    rows = array(table[QUEUE_ROW] + 8 * queued, last - first, np.int64)
    loops = array(table[QUEUE_LOOP] + 8 * queued, last - first, np.int64)
    table[QUEUED] = queued + find_rows(table, first, last, rows, loops)
    return DONE


@inline
def _advance(table, n, spikes):
    """Let the first n of the rows found take their events."""
    table[SPIKES] = spikes
    call(table[ADVANCE], table[TABLE], table[SCALARS], 0, n, 0)


@inline
def _add(table, rows, loops, n, row, loop, spikes):
    """Add one to the n rows found; a full batch takes its events. Return how many are left."""
    rows[n], loops[n] = row, loop
    if n + 1 < BATCH:
        return n + 1
    _advance(table, BATCH, spikes)
    return 0


@entry
def deliver(table, scalars, first, last, step):
    """Let the sources of a list of spikes spike at once."""
    rows = array(table[FOUND_ROW], BATCH, np.int64)
    loops = array(table[FOUND_LOOP], BATCH, np.int64)
    for batch in range(first, last, BATCH):
        n = find_rows(table, batch, min(batch + BATCH, last), rows, loops)
        _advance(table, n, 1)
    return DONE


@entry
def release(table, scalars, first, last, step):
    """Let the sources in the queue spike whose spikes have gone along their axons by a loop."""
    queue = array(table[QUEUE_ROW], MANY, np.int64)
    queue_loops = array(table[QUEUE_LOOP], MANY, np.int64)
    rows = array(table[FOUND_ROW], BATCH, np.int64)
    loops = array(table[FOUND_LOOP], BATCH, np.int64)
    kept = n = 0
    for i in range(table[QUEUED]):
        if queue_loops[i] + 1 + table[AXONAL] > step:
            queue[kept], queue_loops[kept] = queue[i], queue_loops[i]
            kept += 1
        else:
            n = _add(table, rows, loops, n, queue[i], queue_loops[i], 1)
    _advance(table, n, 1)
    table[QUEUED] = kept
    return DONE


@entry
def sweep(table, scalars, first, last, step):
    """Let a range of the rows in SWEPT take the spikes of their targets up to a step."""
    swept = array(table[SWEPT], last, np.int64)
    until = array(table[UNTIL], MANY, np.int32)
    rows = array(table[FOUND_ROW], BATCH, np.int64)
    loops = array(table[FOUND_LOOP], BATCH, np.int64)
    n, loop = 0, step - 1 - table[AXONAL]
    for i in range(first, last):
        if until[swept[i]] < step:
            n = _add(table, rows, loops, n, swept[i], loop, 0)
    _advance(table, n, 0)
    return DONE


@entry
def note(table, scalars, first, last, step):
    """Note the spikes of the modulator's neurons for when they reach the synapses."""
    if table[N_MOD] + table[MOD_MASK] >= table[MOD_ROOM]:
        return GROW
    gids = array(table[SPIKE_GID], last, np.uint32)
    loops = array(table[SPIKE_STEP], last, np.int64)
    ahead = array(table[MOD_AHEAD], MANY, np.int64)
    for i in range(first, last):
        n = np.int64(gids[i]) - table[MOD_GID]
        if n >= 0 and n < table[N_MOD_NEURONS]:
            ahead[(loops[i] + 1 + table[MOD_DELAY]) & table[MOD_MASK]] += 1
    return DONE


@inline
def _merge(table, step, integer, width):
    stride = table[STRIDE]
    own = array(table[RING] + width * (step & table[MASK]) * stride, stride, integer)
    row = array(table[INPUT] + width * (step & table[INPUT_MASK]) * stride, stride, integer)
    for i in range(stride):
        row[i] += own[i]
        own[i] = 0


@entry
def merge32(table, scalars, first, last, step):
    """Move what is due in a loop to that loop's row of input, int32."""
    _merge(table, step, np.int32, 4)
    return DONE


@entry
def merge64(table, scalars, first, last, step):
    """Move what is due in a loop to that loop's row of input, int64."""
    _merge(table, step, np.int64, 8)
    return DONE
