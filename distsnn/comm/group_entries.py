"""The compiled entries that exchange spikes at two levels: inside groups of ranks, and among all.

After every epoch a rank gets the spikes of its own group; its own ones it also appends to a message
to all ranks. That is exchanged when no further whole epoch fits into the outer epoch, or when the
run stops; it brings the other groups' spikes since the last time. So at every stop all spikes are
known to all ranks that need them, and nothing is on its way.

The entries' integer table:

==  ==============  ======================================================================
 0  INSIDE          address: the table of the group's exchange (`exchange_entries`)
 1  ACROSS          address: the table of the exchange of all ranks, which skips the group
 2  KNOWN_UNTIL     the loop before which all ranks' spikes are known: an outer epoch's first
==  ==============  ======================================================================

Both exchanges have the same lists of arrivals; the group's epoch length divides that of all ranks.
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
def _append(inside: Any, across: Any, offset: int, steps: int) -> None:
    # The epoch's own spikes, so many steps after the outer epoch's first, go on to all ranks.
    own = jit.array(inside[SEND_BUFFER], MAX_WORDS, np.int32)
    message = jit.array(across[SEND_BUFFER], MAX_WORDS, np.int32)
    for i in range(steps):
        message[1 + offset + i] = own[1 + i]
    source, target = 1 + inside[EPOCH_STEPS], 1 + across[EPOCH_STEPS] + message[0]
    for i in range(own[0]):
        message[target + i] = own[source + i]
    message[0] += own[0]


@jit.inline
def _is_over(inside: Any, across: Any, steps: int, last: int, stop: int) -> bool:
    """Return whether an outer epoch of so many steps ends here."""
    return last == stop or steps + inside[EPOCH_STEPS] > across[EPOCH_STEPS]


@jit.inline
def _end(table: Any, across: Any, last: int) -> None:
    jit.array(across[SEND_BUFFER], 1, np.int32)[0] = 0
    table[COMPLETE_UNTIL] = last


# `yields` is a constant where this is called: machine code knows one branch only.
@jit.inline
def _exchange(table: Any, first: int, last: int, stop: int, yields: bool) -> Any:
    inside = jit.array(table[GROUP], TABLE_SIZE, np.int64)
    across = jit.array(table[GLOBAL], TABLE_SIZE, np.int64)
    begun = table[COMPLETE_UNTIL]
    clear_received(inside)
    status = receive_spikes(inside, first, last, yields)
    if status != 0:
        return status
    _append(inside, across, first - begun, last - first)
    if _is_over(inside, across, last - begun, last, stop):
        status = receive_spikes(across, begun, last, yields)
        _end(table, across, last)
    return status


@jit.entry
def blocking_group_entry(table: Any, scalars: Any, first: int, last: int, step: int) -> Any:
    """Exchange the spikes of [first, last) at both levels; waits spinning, as MPI does."""
    return _exchange(table, first, last, step, False)


@jit.entry
def yielding_group_entry(table: Any, scalars: Any, first: int, last: int, step: int) -> Any:
    """The same; gives the core to other ranks while it waits."""
    return _exchange(table, first, last, step, True)


@jit.entry
def dry_run_group_entry(table: Any, scalars: Any, first: int, last: int, step: int) -> Any:
    """Receive nothing at either level: the exchange of a dry run."""
    inside = jit.array(table[GROUP], TABLE_SIZE, np.int64)
    across = jit.array(table[GLOBAL], TABLE_SIZE, np.int64)
    clear_received(inside)
    inside[EXCHANGES] += 1
    _append(inside, across, first - table[COMPLETE_UNTIL], last - first)
    if _is_over(inside, across, last - table[COMPLETE_UNTIL], last, step):
        across[EXCHANGES] += 1
        _end(table, across, last)
    return 0
