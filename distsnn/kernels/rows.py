"""Where input lands: a ring of rows, one row a loop, one slot a local neuron, for each receptor.

An input is an integer number of quanta; sums of integers do not depend on their order, so neither
rank, thread nor delivery strategy can show in them. Entries find a row through three words of
their table: RING, the address of the receptor's row 0 at the entry's first neuron; MASK, the
number of rows less one; STRIDE, the slots of a row.
"""

import numpy as np

from distsnn.jit import array, inline

RING, MASK, STRIDE = 0, 1, 2


@inline
def row32(table, first, last, step):  # type: ignore[no-untyped-def]
    """Return the int32 row of loop `step`, neurons first to last."""
    slot = (step & table[MASK]) * table[STRIDE] + first
    return array(table[RING] + 4 * slot, last - first, np.int32)


@inline
def row64(table, first, last, step):  # type: ignore[no-untyped-def]
    """Return the int64 row of loop `step`, neurons first to last."""
    slot = (step & table[MASK]) * table[STRIDE] + first
    return array(table[RING] + 8 * slot, last - first, np.int64)
