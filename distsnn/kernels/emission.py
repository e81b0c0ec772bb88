"""Conversion of spike flags to a list of gids, and spike sources, which emit listed spikes.

A flag is the number of a neuron's spikes in this iteration, up to MAX_SPIKES; a larger flag is a
fault (NOT_FINITE or NO_COUNT).

Axes: g group of 64 neurons; the last group of a population may be incomplete, and flags of its
padding are ignored.
"""

import numpy as np

from distsnn.jit import array, inline, kernel_entry

# The first words of every update entry's table: the emitted gids, and the gids of neuron groups.
EMITTED, N_EMITTED, GROUP_GID, GROUP_SIZE = 0, 1, 2, 3
# Behind N_EMITTED's address: the number of spikes, and the first fault (0: none) with its flag,
# gid, iteration, and index of the state variable (-1 if unknown).
COUNT, FAULT, FAULT_GID, FAULT_LOOP, FAULT_STATE = range(5)
COUNTS_SIZE = 5
# A spike source's table continues with its events and the position in them.
EVENT_STEPS, EVENT_GIDS, N_EVENTS, POSITION = 4, 5, 6, 7
SOURCE_TABLE_SIZE = 8

MAX_SPIKES = 127
NOT_FINITE, NO_COUNT = 128, 129

_MOST = 1 << 31


@inline
def append_spikes(table, spiked_address, first, last, loop):
    """Append the gids of flagged neurons (uint8 flags at an address) in ascending order.

    Returns the position (from `first`) of the neuron with the rank's first fault if the fault is
    in this range, else -1.
    """
    flags = array(spiked_address, last - first, np.uint8)
    words = array(spiked_address, (last - first) >> 3, np.uint64)
    gid = array(table[GROUP_GID], last >> 6, np.uint32)
    size = array(table[GROUP_SIZE], last >> 6, np.int32)
    counts = array(table[N_EMITTED], COUNTS_SIZE, np.int64)
    out = array(table[EMITTED], _MOST, np.uint32)
    n, faulty = counts[COUNT], -1
    for g in range((last - first) >> 6):
        any_word = np.uint64(0)
        for w in range(8):
            any_word |= words[8 * g + w]
        if any_word != 0:
            group = (first >> 6) + g
            for lane in range(size[group]):
                flag = np.int64(flags[64 * g + lane])
                if flag > MAX_SPIKES:
                    if counts[FAULT] == 0:
                        counts[FAULT], counts[FAULT_LOOP] = flag, loop
                        counts[FAULT_GID] = np.int64(gid[group]) + lane
                        counts[FAULT_STATE] = -1
                        faulty = 64 * g + lane
                    flag = 0
                for _ in range(flag):
                    out[n] = gid[group] + np.uint32(lane)
                    n += 1
    counts[COUNT] = n
    return faulty


@inline
def record_fault_state(table, state):
    """Set the index of the state variable of the first fault."""
    array(table[N_EMITTED], COUNTS_SIZE, np.int64)[FAULT_STATE] = state


@kernel_entry
def spike_source(table, scalars, first, last, step):
    """Emit the listed spikes of this iteration (events sorted by iteration, then gid)."""
    steps = array(table[EVENT_STEPS], table[N_EVENTS], np.int64)
    gids = array(table[EVENT_GIDS], table[N_EVENTS], np.uint32)
    count = array(table[N_EMITTED], COUNTS_SIZE, np.int64)
    out = array(table[EMITTED], _MOST, np.uint32)
    position = table[POSITION]
    while position < steps.size and steps[position] < step:
        position += 1
    n = count[COUNT]
    while position < steps.size and steps[position] == step:
        out[n] = gids[position]
        n += 1
        position += 1
    count[COUNT] = n
    table[POSITION] = position
    return 0
