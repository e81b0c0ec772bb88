"""The compiled epoch loop: it calls entries by address and knows no model and no MPI.

Loop k covers (k, k + 1]·dt; a crossing in loop k is recorded at step k + 1. For every epoch
[e, e') of loops:

    for k in e .. e' - 1:
        C(k)  collect   due runs of pulled synapses are added to row k
        S(k)  stimuli   are added to row k, currents are set
        U(k)  update    neurons consume row k and emit the spikes of loop k
        P(k)  probes    sample states
        D(k)  deliver   this rank's own spikes of loop k enter rows > k, or the calendar
    X     exchange  the epoch's spikes of all ranks
    D(e)  deliver   the other ranks' spikes of the epoch enter rows >= e'

Invariant: when U(k) starts, row k holds all input that is due in loop k. Own spikes are delivered
in their own loop and have delays >= 1; other ranks' spikes of the epoch are delivered at its end
and have delays >= e' - e, the most that EPOCH_STEPS allows. So an epoch may be cut short anywhere
and nothing but the number of exchanges changes.

Where ranks form groups, an epoch is one inside a group, and X brings the spikes of the own group.
Several of these are an outer epoch [o, o'), at whose end, or at STOP, X brings the other groups'
spikes of all of it too. These have delays >= o' - o, so they enter rows >= o' as well. The exchange
alone knows when an outer epoch ends; it is told STOP.

The loop returns to Python when it is DONE (at STOP), when the buffer of spikes might not hold
another loop or a call has asked for it by PAUSE (FLUSH), when a calendar's pool must grow (GROW,
resumed where it stopped), or with an exchange's error (FAILED).
"""

import numpy as np

from distsnn.jit import call, kernel, subroutine, ticks
from distsnn.kernels.delivery import GROW as POOL_FULL

DONE, FLUSH, GROW, FAILED = 0, 1, 2, 3

# Columns of a table of calls: an entry's address, table, scalars and range; the loops
# [FROM, TO) in which it is called, every EVERY loops counted from PHASE.
FUNCTION, TABLE, SCALARS, FIRST, LAST, FROM, TO, EVERY, PHASE = range(9)
CALL_SIZE = 9

# The loop's own state.
(
    K,  # next loop
    STOP,  # loop to stop before
    EPOCH_START,
    EPOCH_END,
    EPOCH_STEPS,  # most loops in an epoch
    N_EMITTED,  # this rank's spikes of the epoch so far
    FAULT,  # these four: the first fault of a neuron (kernels.emission)
    FAULT_GID,
    FAULT_LOOP,
    FAULT_STATE,
    PENDING,  # spikes in the arrival lists that are not delivered to all row sets
    PENDING_AT,  # next row set to deliver them to
    N_SPIKES,  # spikes in the buffer for Python
    LARGEST_STEP,  # most spikes this rank can emit in one loop
    ERROR,  # the exchange's error code
    EPOCHS,
    PAUSE,  # not 0: a call needs Python before the next loop; the caller sets it to 0
) = range(17)
STATE_SIZE = 17

# Where the time goes, in ticks.
COLLECT, STIMULI, UPDATE, PROBES, DELIVER, EXCHANGE, RECORD = range(7)
TICKS_SIZE = 7


@subroutine
def _calls(table, k):
    for i in range(table.shape[0]):
        row = table[i]
        if row[FROM] <= k < row[TO] and (row[EVERY] == 1 or (k - row[PHASE]) % row[EVERY] == 0):
            call(row[FUNCTION], row[TABLE], row[SCALARS], row[FIRST], row[LAST], k)


@kernel
def run(
    state,
    spent,
    collects,
    stimuli,
    updates,
    probes,
    delivers,
    exchange,
    outbox,
    arrivals,
    arrival_gid,
    arrival_step,
    spike_step,
    spike_gid,
):
    """Run from loop K to STOP.

    Parameters
    ----------
    state, spent : ndarray of int64
        The loop's state and the time spent, indexed by the names above; changed.
    collects, stimuli, updates, probes, delivers : ndarray of int64, shape (n, CALL_SIZE)
        Entries by phase; `delivers` get the range of `arrival_gid`, `arrival_step` to deliver.
    exchange : ndarray of int64, shape (3,)
        Address, table and scalars of the exchange's entry; address 0 on a single rank.
    outbox : ndarray of int32
        Number of the epoch's spikes, spikes per loop (EPOCH_STEPS words), gids.
    arrivals : ndarray of int64, shape (1,)
        Number of other ranks' spikes that the exchange has brought.
    arrival_gid, arrival_step : ndarray of uint32, int64
        Spikes and the loops that emitted them.
    spike_step, spike_gid : ndarray of int32, uint32
        This rank's spikes: step (loop + 1) and gid.

    Returns
    -------
    int
        DONE, FLUSH, GROW or FAILED.
    """
    header = 1 + state[EPOCH_STEPS]
    while True:
        now = ticks()
        while state[PENDING] > 0:
            row = delivers[state[PENDING_AT]]
            status = call(row[FUNCTION], row[TABLE], row[SCALARS], 0, state[PENDING], state[K])
            if status == POOL_FULL:
                spent[DELIVER] += ticks() - now
                return GROW
            state[PENDING_AT] += 1
            if state[PENDING_AT] == delivers.shape[0]:
                state[PENDING_AT] = 0
                state[PENDING] = 0
        then = ticks()
        spent[DELIVER] += then - now
        k = state[K]
        if k == state[EPOCH_END]:
            if state[EPOCH_START] < k:
                if exchange[0] != 0:
                    outbox[0] = state[N_EMITTED]
                    start, stop = state[EPOCH_START], state[STOP]
                    error = call(exchange[0], exchange[1], exchange[2], start, k, stop)
                    if error != 0:
                        state[ERROR] = error
                        return FAILED
                    if delivers.shape[0] > 0:
                        state[PENDING] = arrivals[0]
                state[EPOCHS] += 1
                state[N_EMITTED] = 0
                state[EPOCH_START] = k
                spent[EXCHANGE] += ticks() - then
                continue
            if k == state[STOP]:
                return DONE
            state[EPOCH_END] = min(k + state[EPOCH_STEPS], state[STOP])
        if state[N_SPIKES] + state[LARGEST_STEP] > spike_step.size or state[PAUSE] != 0:
            return FLUSH

        now = ticks()
        _calls(collects, k)
        then = ticks()
        spent[COLLECT] += then - now
        _calls(stimuli, k)
        now = ticks()
        spent[STIMULI] += now - then
        before = state[N_EMITTED]
        _calls(updates, k)
        n = state[N_EMITTED] - before
        then = ticks()
        spent[UPDATE] += then - now
        _calls(probes, k)
        now = ticks()
        spent[PROBES] += now - then

        outbox[1 + k - state[EPOCH_START]] = n
        at = state[N_SPIKES]
        for i in range(n):
            gid = np.uint32(outbox[header + before + i])
            arrival_gid[i] = gid
            arrival_step[i] = k
            spike_step[at + i] = k + 1
            spike_gid[at + i] = gid
        state[N_SPIKES] = at + n
        if delivers.shape[0] > 0:
            state[PENDING] = n
        state[K] = k + 1
        spent[RECORD] += ticks() - now
