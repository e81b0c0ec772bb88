"""The input ring: for each receptor, a row for each iteration with a slot for each local neuron.

An input is an integer number of quanta. Sums of integers do not depend on their order, and
therefore not on ranks, threads or delivery. Entries find a row through three words of their table:
RING, the address of the receptor's row 0 at the entry's first neuron; MASK, the number of rows
minus one; STRIDE, the slots of a row.
"""

from distsnn.jit import array, inline

RING, MASK, STRIDE = 0, 1, 2


@inline
def row_of(table, first, last, step, integer, width):
    """Return the row of iteration `step`, neurons first to last, of a type of `width` bytes."""
    slot = (step & table[MASK]) * table[STRIDE] + first
    return array(table[RING] + width * slot, last - first, integer)
