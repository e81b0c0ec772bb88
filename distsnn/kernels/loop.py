"""The compiled epoch loop, which calls kernel entries by address, independent of models and MPI.

Iteration k integrates (k, k + 1]·dt; a threshold crossing in it is recorded at step k + 1. For
every epoch [e, e') of iterations:

    for k in e .. e' - 1:
        C(k)  collect   due delay runs are added to row k
        S(k)  stimuli   are added to row k, currents are set
        U(k)  update    neurons consume row k and emit the spikes of iteration k
        P(k)  probes    sample states
        D(k)  deliver   this rank's spikes of iteration k enter rows > k, or the calendar queue
    X     exchange  the epoch's spikes of all ranks
    D(e)  deliver   spikes of other ranks in the epoch enter rows >= e'

Invariant: when U(k) starts, row k contains all input that is due in iteration k. This rank's spikes
are delivered in the iteration in which they are emitted and have delays >= 1; spikes of other ranks
are delivered at the end of the epoch and have delays >= e' - e, which is at most EPOCH_STEPS. So an
epoch may end early, and only the number of exchanges changes.

With rank groups, an epoch is a group epoch, and X receives the spikes of the rank's group. Several
group epochs are a global epoch [o, o'), at whose end, or at STOP, X also receives the spikes of the
other groups in the whole global epoch. These have delays >= o' - o, so they enter rows >= o', too.
Only the exchange knows when a global epoch ends; the loop passes STOP to it.

The loop returns to Python when it is DONE (at STOP), when the buffer of spikes might not hold
another iteration or a call sets PYTHON_REQUESTED (FLUSH), when the pool of a calendar queue must
grow (GROW, resumed at the same point), or with an error of the exchange (FAILED).
"""

import numpy as np

from distsnn.jit import call, kernel, subroutine, ticks
from distsnn.kernels.delivery import GROW as POOL_FULL

DONE, FLUSH, GROW, FAILED = 0, 1, 2, 3

# A call: addresses of an entry, its table and its scalars; its range; the iterations [start, stop)
# in which it is made, every `every` iterations counted from `phase`.
CALL = np.dtype(
    {
        "names": [
            *("function", "table", "scalars", "first", "last"),
            *("start", "stop", "every", "phase"),
        ],
        "formats": [np.int64] * 9,
    }
)

# The loop's own state.
(
    ITERATION,  # next iteration
    STOP,  # iteration to stop before
    EPOCH_START,
    EPOCH_END,
    EPOCH_STEPS,  # maximum iterations in an epoch
    N_EMITTED,  # this rank's spikes of the epoch so far
    FAULT,  # these four: the first fault of a neuron (kernels.emission)
    FAULT_GID,
    FAULT_LOOP,
    FAULT_STATE,
    PENDING,  # spikes in the delivery lists that are not delivered to all row sets
    PENDING_AT,  # next row set to deliver them to
    N_SPIKES,  # spikes in the buffer for Python
    MAX_SPIKES_PER_ITERATION,  # maximum number of spikes of this rank in one iteration
    ERROR,  # the exchange's error code
    EPOCHS,
    PYTHON_REQUESTED,  # not 0: a call needs Python before the next iteration; Python resets it
) = range(17)
STATE_SIZE = 17

# Times by phase, in ticks.
COLLECT, STIMULI, UPDATE, PROBES, DELIVER, EXCHANGE, RECORD = range(7)
TICKS_SIZE = 7


@subroutine
def _calls(table, k):
    for i in range(table.shape[0]):
        row = table[i]
        if row.start <= k < row.stop and (row.every == 1 or (k - row.phase) % row.every == 0):
            call(row.function, row.table, row.scalars, row.first, row.last, k)


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
    send_buffer,
    n_received,
    delivery_gid,
    delivery_step,
    spike_step,
    spike_gid,
):
    """Run from iteration ITERATION to STOP.

    Parameters
    ----------
    state, spent : ndarray of int64
        The loop's state and the time spent, indexed by the names above; changed.
    collects, stimuli, updates, probes, delivers : ndarray of CALL, shape (n,)
        Entries by phase; `delivers` take a range of `delivery_gid` and `delivery_step`.
    exchange : ndarray of CALL, shape (1,) or (0,)
        The exchange's entry; on a single rank there is none.
    send_buffer : ndarray of int32
        Number of the epoch's spikes, spikes per iteration (EPOCH_STEPS words), gids.
    n_received : ndarray of int64, shape (1,)
        Number of other ranks' spikes that the last exchange received.
    delivery_gid, delivery_step : ndarray of uint32, int64
        Spikes to deliver, and the iterations that emitted them.
    spike_step, spike_gid : ndarray of int32, uint32
        This rank's spikes: step (iteration + 1) and gid.

    Returns
    -------
    int
        DONE, FLUSH, GROW or FAILED.
    """
    header = 1 + state[EPOCH_STEPS]
    while True:
        tick = ticks()
        while state[PENDING] > 0:
            row = delivers[state[PENDING_AT]]
            status = call(row.function, row.table, row.scalars, 0, state[PENDING], state[ITERATION])
            if status == POOL_FULL:
                spent[DELIVER] += ticks() - tick
                return GROW
            state[PENDING_AT] += 1
            if state[PENDING_AT] == delivers.shape[0]:
                state[PENDING_AT] = 0
                state[PENDING] = 0
        next_tick = ticks()
        spent[DELIVER] += next_tick - tick
        k = state[ITERATION]
        if k == state[EPOCH_END]:
            if state[EPOCH_START] < k:
                if exchange.shape[0] > 0:
                    row = exchange[0]
                    send_buffer[0] = state[N_EMITTED]
                    start, stop = state[EPOCH_START], state[STOP]
                    error = call(row.function, row.table, row.scalars, start, k, stop)
                    if error != 0:
                        state[ERROR] = error
                        return FAILED
                    if delivers.shape[0] > 0:
                        state[PENDING] = n_received[0]
                state[EPOCHS] += 1
                state[N_EMITTED] = 0
                state[EPOCH_START] = k
                spent[EXCHANGE] += ticks() - next_tick
                continue
            if k == state[STOP]:
                return DONE
            state[EPOCH_END] = min(k + state[EPOCH_STEPS], state[STOP])
        if (
            state[N_SPIKES] + state[MAX_SPIKES_PER_ITERATION] > spike_step.size
            or state[PYTHON_REQUESTED] != 0
        ):
            return FLUSH

        tick = ticks()
        _calls(collects, k)
        next_tick = ticks()
        spent[COLLECT] += next_tick - tick
        _calls(stimuli, k)
        tick = ticks()
        spent[STIMULI] += tick - next_tick
        n_before = state[N_EMITTED]
        _calls(updates, k)
        n = state[N_EMITTED] - n_before
        next_tick = ticks()
        spent[UPDATE] += next_tick - tick
        _calls(probes, k)
        tick = ticks()
        spent[PROBES] += tick - next_tick

        send_buffer[1 + k - state[EPOCH_START]] = n
        n_buffered = state[N_SPIKES]
        for i in range(n):
            gid = np.uint32(send_buffer[header + n_before + i])
            delivery_gid[i] = gid
            delivery_step[i] = k
            spike_step[n_buffered + i] = k + 1
            spike_gid[n_buffered + i] = gid
        state[N_SPIKES] = n_buffered + n
        if delivers.shape[0] > 0:
            state[PENDING] = n
        state[ITERATION] = k + 1
        spent[RECORD] += ticks() - tick
