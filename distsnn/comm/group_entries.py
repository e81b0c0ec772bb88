"""The kernel entries that exchange spikes at two levels: inside rank groups, and among all ranks.

After every group epoch a rank receives the spikes of its rank group, and appends its own to a
message to all ranks. The global exchange sends that message when no further group epoch fits into
the global epoch, or when the run stops. So at every stop every rank has received all spikes.

The entries' integer table:

==  ==============  ======================================================================
 0  GROUP           address: the table of the group exchange (`exchange_entries`)
 1  GLOBAL          address: the table of the global exchange, which skips the group
 2  COMPLETE_UNTIL  the iteration before which the spikes of all ranks are known
==  ==============  ======================================================================

Both exchanges share a receive buffer; the group epoch divides the global epoch.
"""

from typing import Any

import numpy as np

from distsnn import jit
from distsnn.comm.exchange_entries import (
    EPOCH_STEPS,
    EXCHANGES,
    MAX_WORDS,
    SEND_BUFFER,
    TABLE_SIZE,
    clear_received,
    receive_spikes,
)

GROUP, GLOBAL, COMPLETE_UNTIL, GROUP_TABLE_SIZE = range(4)


@jit.inline
def _append(group_table: Any, global_table: Any, offset: int, steps: int) -> None:
    # Copies the group epoch's spikes to the global message, `offset` steps after its start.
    spikes = jit.array(group_table[SEND_BUFFER], MAX_WORDS, np.int32)
    message = jit.array(global_table[SEND_BUFFER], MAX_WORDS, np.int32)
    for i in range(steps):
        message[1 + offset + i] = spikes[1 + i]
    source, target = 1 + group_table[EPOCH_STEPS], 1 + global_table[EPOCH_STEPS] + message[0]
    for i in range(spikes[0]):
        message[target + i] = spikes[source + i]
    message[0] += spikes[0]


@jit.inline
def _ends_global_epoch(
    group_table: Any, global_table: Any, steps: int, last: int, stop: int
) -> bool:
    """Return whether a global epoch of `steps` steps ends here."""
    return last == stop or steps + group_table[EPOCH_STEPS] > global_table[EPOCH_STEPS]


@jit.inline
def _end_global_epoch(table: Any, global_table: Any, last: int) -> None:
    jit.array(global_table[SEND_BUFFER], 1, np.int32)[0] = 0
    table[COMPLETE_UNTIL] = last


# `yields` is a constant where this is called: machine code knows one branch only.
@jit.inline
def _exchange(table: Any, first: int, last: int, stop: int, yields: bool) -> Any:
    group_table = jit.array(table[GROUP], TABLE_SIZE, np.int64)
    global_table = jit.array(table[GLOBAL], TABLE_SIZE, np.int64)
    start = table[COMPLETE_UNTIL]
    clear_received(group_table)
    status = receive_spikes(group_table, first, last, yields)
    if status != 0:
        return status
    _append(group_table, global_table, first - start, last - first)
    if _ends_global_epoch(group_table, global_table, last - start, last, stop):
        status = receive_spikes(global_table, start, last, yields)
        _end_global_epoch(table, global_table, last)
    return status


@jit.kernel_entry
def blocking_group_entry(table: Any, scalars: Any, first: int, last: int, step: int) -> Any:
    """Exchange the spikes of [first, last) at both levels; the wait spins, as in MPI."""
    return _exchange(table, first, last, step, False)


@jit.kernel_entry
def yielding_group_entry(table: Any, scalars: Any, first: int, last: int, step: int) -> Any:
    """Exchange the spikes of [first, last) at both levels; the wait yields, then sleeps."""
    return _exchange(table, first, last, step, True)


@jit.kernel_entry
def dry_run_group_entry(table: Any, scalars: Any, first: int, last: int, step: int) -> Any:
    """Receive nothing at either level: the exchange of a dry run."""
    group_table = jit.array(table[GROUP], TABLE_SIZE, np.int64)
    global_table = jit.array(table[GLOBAL], TABLE_SIZE, np.int64)
    clear_received(group_table)
    group_table[EXCHANGES] += 1
    _append(group_table, global_table, first - table[COMPLETE_UNTIL], last - first)
    if _ends_global_epoch(group_table, global_table, last - table[COMPLETE_UNTIL], last, step):
        global_table[EXCHANGES] += 1
        _end_global_epoch(table, global_table, last)
    return 0
