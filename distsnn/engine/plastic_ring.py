"""The ring through which plastic weights act, and how it joins that of all other input."""

import numpy as np

from distsnn.engine.layout import Layout
from distsnn.engine.plastic_rows import PlasticRows
from distsnn.engine.populations import InputRing
from distsnn.engine.tables import Call
from distsnn.kernels import plastic


def plastic_ring(layout: Layout, plastic_rows: list[PlasticRows], ring: InputRing) -> InputRing:
    """Return the ring of plastic input, like that of all input but for its length."""
    ahead = max((one.largest for one in plastic_rows), default=0)
    planes, _, slots = ring.rows.shape
    used = planes if plastic_rows else 0
    return InputRing(np.zeros((used, 1 << ahead.bit_length(), slots), ring.rows.dtype))


def merge_calls(rows: list[PlasticRows], own: InputRing, ring: InputRing) -> list[Call]:
    """Return the calls that add the plastic input due in a loop to all other input."""
    calls = []
    for plane in sorted({one.row_set.plan.plane for one in rows if one.synapses}):
        entry = plastic.merge32 if ring.bits == 32 else plastic.merge64
        call = Call(entry, np.zeros(plastic.MERGE_TABLE_SIZE, np.int64), 0, 0)
        own.point(call, plane)
        own.describe(call)
        ring.point(call, plane, ring=plastic.INPUT)
        call.table[plastic.INPUT_MASK] = ring.rows.shape[1] - 1
        calls.append(call)
    return calls
