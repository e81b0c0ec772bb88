"""Where input lands: a ring of rows, one row a loop, one slot a local neuron, for each receptor.

An input is an integer number of quanta; sums of integers do not depend on their order, so neither
rank, thread nor delivery strategy can show in them. Entries find a row through three words of
their table: RING, the address of the receptor's row 0 at the entry's first neuron; MASK, the
number of rows less one; STRIDE, the slots of a row.
"""

from distsnn.jit import array, inline

RING, MASK, STRIDE = 0, 1, 2


@inline
def row_of(table, first, last, step, integer, width):
    """Return the row of loop `step`, neurons first to last, of a type of `width` bytes."""
    slot = (step & table[MASK]) * table[STRIDE] + first
    return array(table[RING] + width * slot, last - first, integer)
