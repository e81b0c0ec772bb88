"""The kernel entries that exchange an epoch's spikes, and their integer table.

The entries follow `distsnn.jit.entry`; `step` is the iteration before which the run stops, which
only rank groups use (`distsnn.comm.group_entries`). The integer table:

==  ================ ======================================================================
 0  SEND_BUFFER      address: this rank's message, int32
 1  MESSAGES         address: the fixed-size parts of all messages, int32 [size × MAX_STRIDE]
 2  OVERFLOW         address: the words beyond the fixed size, rank by rank, int32
 3  RECEIVED_GID     address: spikes of other ranks, ordered by (rank, step), uint32
 4  RECEIVED_STEP    address: the iteration of each spike, int64
 5  N_RECEIVED       address: number of these spikes, int64 [1]
 6  LAYOUT           address: length, then offset of each rank's part of OVERFLOW, int32 [2 × size]
 7  WAIT             address: MPI request, its flag, its status, int64 [16]
 8  COMMUNICATOR     MPI handle
 9  DATATYPE         MPI handle of a 32-bit integer
10  RANK             this rank
11  SIZE             number of ranks
12  EPOCH_STEPS      maximum steps of an epoch: the number of counts in a message
13  STRIDE           words of the fixed-size part, a power of two
14  MIN_STRIDE       minimum of STRIDE; it holds the counts
15  MAX_STRIDE       maximum of STRIDE
16  WINDOW_PEAK      words of the longest message of the current window
17  WINDOW_LEFT      exchanges left in the window
18  EXCHANGES        counter: exchanges
19  OVERFLOW_ROUNDS  counter: overflow rounds
20  RECEIVED_BYTES   counter: bytes received
21  MAX_SPIKES       maximum spikes of one rank in one epoch so far
22  RECEIVED_SPIKES  counter: spikes of other ranks
23  COUNTED_SOURCES  address: bitmap of the neurons whose spikes are counted by rank, uint64; or 0
24  SPIKES_FROM_RANK address: number of counted spikes from each rank, int64 [size]
25  SKIP_FIRST       first rank whose spikes are skipped: this rank, or the first of its group
26  SKIP_LAST        the rank after the last skipped rank
==  ================ ======================================================================
"""

from typing import Any

import numpy as np
from numba import types

from distsnn import jit

(
    SEND_BUFFER,
    MESSAGES,
    OVERFLOW,
    RECEIVED_GID,
    RECEIVED_STEP,
    N_RECEIVED,
    LAYOUT,
    WAIT,
    COMMUNICATOR,
    DATATYPE,
    RANK,
    SIZE,
    EPOCH_STEPS,
    STRIDE,
    MIN_STRIDE,
    MAX_STRIDE,
    WINDOW_PEAK,
    WINDOW_LEFT,
    EXCHANGES,
    OVERFLOW_ROUNDS,
    RECEIVED_BYTES,
    MAX_SPIKES,
    RECEIVED_SPIKES,
    COUNTED_SOURCES,
    SPIKES_FROM_RANK,
    SKIP_FIRST,
    SKIP_LAST,
    TABLE_SIZE,
) = range(28)

FIRST_STRIDE = 64  # words: 256 bytes, sent eagerly by every MPI
# The overflow round sends longer messages in their exact length.
STRIDE_CAP = 2048
WINDOW = 256  # exchanges before the stride may halve
MAX_WORDS = 2**31 - 1

# Handles are passed in whole registers, whatever the library's handle is (a 32-bit integer in
# MPICH, a pointer in Open MPI), and read from the table: machine code in the disk cache then
# serves every MPI library.
_WORD, _INT = types.int64, types.int32
_BLOCK = (_WORD, _INT, _WORD)  # address, count, datatype
_BLOCKS = (_WORD, _WORD, _WORD, _WORD)  # address, counts, displacements, datatype


def _external(name: str, *arguments: Any) -> Any:
    return types.ExternalFunction(name, _INT(*arguments))


_allgather = _external("MPI_Allgather", *_BLOCK, *_BLOCK, _WORD)
_allgatherv = _external("MPI_Allgatherv", *_BLOCK, *_BLOCKS, _WORD)
_iallgather = _external("MPI_Iallgather", *_BLOCK, *_BLOCK, _WORD, _WORD)
_iallgatherv = _external("MPI_Iallgatherv", *_BLOCK, *_BLOCKS, _WORD, _WORD)
_test = _external("MPI_Test", _WORD, _WORD, _WORD)
_sched_yield = _external("sched_yield")
_usleep = _external("usleep", types.uint32)

# A waiting rank first yields its core. Beside other work that burns the rank's share of a core, so
# then it sleeps, µs, for a fraction of the time slept so far: the wait ends little later.
_YIELDS = 200
_SLEEP_DIVISOR = 16
_MIN_SLEEP, _MAX_SLEEP = 1, 1000
_TIMER_SLACK = 50  # Linux sleeps so much longer


@jit.inline
def _read_counts(table: Any) -> Any:
    # After the fixed-size round: lay out the overflow round, return the longest message.
    size, stride, header = table[SIZE], table[STRIDE], 1 + table[EPOCH_STEPS]
    messages = jit.array(table[MESSAGES], size * stride, np.int32)
    layout = jit.array(table[LAYOUT], 2 * size, np.int32)
    longest, n_overflow = 0, 0
    for rank in range(size):
        words = header + messages[rank * stride]
        longest = max(longest, words)
        overflow = max(0, words - stride)
        layout[rank] = overflow
        layout[size + rank] = n_overflow
        n_overflow += overflow
    table[EXCHANGES] += 1
    table[RECEIVED_BYTES] += 4 * (size * stride + n_overflow)
    table[MAX_SPIKES] = max(table[MAX_SPIKES], longest - header)
    if n_overflow > 0:
        table[OVERFLOW_ROUNDS] += 1
    return longest


@jit.inline
def _count_spikes(table: Any, rank: Any, gid: Any, start: int, stop: int) -> None:
    if table[COUNTED_SOURCES] == 0:
        return
    bitmap = jit.array(table[COUNTED_SOURCES], MAX_WORDS, np.uint64)
    spikes_from_rank = jit.array(table[SPIKES_FROM_RANK], table[SIZE], np.int64)
    for i in range(start, stop):
        bit = (bitmap[gid[i] >> 6] >> np.uint64(gid[i] & 63)) & np.uint64(1)
        spikes_from_rank[rank] += np.int64(bit)


# Appends to the receive buffer.
@jit.inline
def _decode(table: Any, first: int, last: int) -> None:
    size, stride, header = table[SIZE], table[STRIDE], 1 + table[EPOCH_STEPS]
    messages = jit.array(table[MESSAGES], size * stride, np.int32)
    layout = jit.array(table[LAYOUT], 2 * size, np.int32)
    # The next three arrays are touched only as far as they hold spikes.
    overflow = jit.array(table[OVERFLOW], MAX_WORDS, np.uint32)
    gid = jit.array(table[RECEIVED_GID], MAX_WORDS, np.uint32)
    step = jit.array(table[RECEIVED_STEP], MAX_WORDS, np.int64)
    n_received = jit.array(table[N_RECEIVED], 1, np.int64)
    stop = start = n_received[0]
    for rank in range(size):
        message = rank * stride
        if table[SKIP_FIRST] <= rank < table[SKIP_LAST] or messages[message] == 0:
            continue
        index = stop
        for word in range(message + header, message + min(stride, header + messages[message])):
            gid[index] = np.uint32(messages[word])
            index += 1
        for word in range(layout[size + rank], layout[size + rank] + layout[rank]):
            gid[index] = overflow[word]
            index += 1
        _count_spikes(table, rank, gid, stop, index)
        for i in range(last - first):
            for _ in range(messages[message + 1 + i]):
                step[stop] = first + i
                stop += 1
    n_received[0] = stop
    table[RECEIVED_SPIKES] += stop - start


@jit.inline
def _adapt_message_size(table: Any, longest: int) -> None:
    # All ranks have the same counts, so all compute the same stride.
    table[WINDOW_PEAK] = max(table[WINDOW_PEAK], longest)
    table[WINDOW_LEFT] -= 1
    while table[STRIDE] < longest and table[STRIDE] < table[MAX_STRIDE]:
        table[STRIDE] *= 2
    if table[WINDOW_LEFT] == 0:
        if 2 * table[WINDOW_PEAK] <= table[STRIDE] and table[STRIDE] > table[MIN_STRIDE]:
            table[STRIDE] //= 2
        table[WINDOW_PEAK] = 0
        table[WINDOW_LEFT] = WINDOW


@jit.inline
def _overflow_address(table: Any) -> Any:
    return table[SEND_BUFFER] + 4 * table[STRIDE]


@jit.inline
def _overflow_words(table: Any) -> Any:
    return jit.array(table[LAYOUT], table[SIZE], np.int32)[table[RANK]]


@jit.inline
def _wait(table: Any) -> Any:
    flag = jit.array(table[WAIT] + 8, 1, np.int32)
    flag[0] = 0
    yields, slept = 0, 0
    while True:
        status = _test(table[WAIT], table[WAIT] + 8, table[WAIT] + 16)
        if status != 0 or flag[0] != 0:
            return status
        if yields < _YIELDS:
            yields += 1
            _sched_yield()
        else:
            sleep = min(max(slept // _SLEEP_DIVISOR, _MIN_SLEEP), _MAX_SLEEP)
            slept += sleep + _TIMER_SLACK
            _usleep(sleep)


# `yields` is a constant where these are called: machine code knows one branch only.
@jit.inline
def _gather(table: Any, yields: bool) -> Any:
    dtype, stride, communicator = table[DATATYPE], table[STRIDE], table[COMMUNICATOR]
    send_buffer, messages = table[SEND_BUFFER], table[MESSAGES]
    if not yields:
        return _allgather(send_buffer, stride, dtype, messages, stride, dtype, communicator)
    status = _iallgather(
        send_buffer, stride, dtype, messages, stride, dtype, communicator, table[WAIT]
    )
    return _wait(table) if status == 0 else status


@jit.inline
def _gather_overflow(table: Any, yields: bool) -> Any:
    dtype, communicator = table[DATATYPE], table[COMMUNICATOR]
    address, words = _overflow_address(table), _overflow_words(table)
    lengths = table[LAYOUT]
    offsets = lengths + 4 * table[SIZE]
    if not yields:
        return _allgatherv(
            address, words, dtype, table[OVERFLOW], lengths, offsets, dtype, communicator
        )
    status = _iallgatherv(
        address, words, dtype, table[OVERFLOW], lengths, offsets, dtype, communicator, table[WAIT]
    )
    return _wait(table) if status == 0 else status


@jit.inline
def clear_received(table: Any) -> None:
    """Empty the receive buffer."""
    jit.array(table[N_RECEIVED], 1, np.int64)[0] = 0


@jit.inline
def receive_spikes(table: Any, first: int, last: int, yields: bool) -> Any:
    """Append other ranks' spikes of [first, last) to the receive buffer; return MPI's status."""
    status = _gather(table, yields)
    if status != 0:
        return status
    longest = _read_counts(table)
    if longest > table[STRIDE]:
        status = _gather_overflow(table, yields)
        if status != 0:
            return status
    _decode(table, first, last)
    _adapt_message_size(table, longest)
    return status


@jit.kernel_entry
def blocking_entry(table: Any, scalars: Any, first: int, last: int, step: int) -> Any:
    """Exchange the spikes of [first, last); the wait spins, as in MPI."""
    clear_received(table)
    return receive_spikes(table, first, last, False)


@jit.kernel_entry
def yielding_entry(table: Any, scalars: Any, first: int, last: int, step: int) -> Any:
    """Exchange the spikes of [first, last); the wait yields the core, then sleeps."""
    clear_received(table)
    return receive_spikes(table, first, last, True)


@jit.kernel_entry
def dry_run_entry(table: Any, scalars: Any, first: int, last: int, step: int) -> Any:
    """Receive nothing: the exchange of a dry run."""
    clear_received(table)
    table[EXCHANGES] += 1
    return 0
