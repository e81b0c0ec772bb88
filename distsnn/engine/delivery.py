"""The calls that deliver spikes: one row set each, pushed at once or pulled through a calendar."""

import numpy as np
import numpy.typing as npt

from distsnn.engine.populations import InputRing
from distsnn.engine.row_sets import RowSet
from distsnn.engine.tables import Call
from distsnn.kernels import delivery as kernels

# Pages of a calendar at the start; it doubles whenever it is full.
_FIRST_PAGES = 256


class Delivery:
    """A row set in action.

    Parameters
    ----------
    row_set : RowSet
        The synapses.
    ring : InputRing
        Input.
    spike_gid, spike_step : ndarray of uint32, int64
        The list of spikes to deliver.

    Attributes
    ----------
    deliver : Call
        Called with a range of the list.
    collect : Call or None
        Called every loop, for pulled rows.
    """

    def __init__(
        self,
        row_set: RowSet,
        ring: InputRing,
        spike_gid: npt.NDArray[np.uint32],
        spike_step: npt.NDArray[np.int64],
    ) -> None:
        plan = row_set.plan
        self._table = np.zeros(kernels.TABLE_SIZE, np.int64)
        constant = plan.weight is not None
        if plan.pull:
            deliver, collect = (
                kernels.enqueue,
                kernels.collect(plan.word_bits, ring.bits, constant),
            )
        else:
            deliver, collect = kernels.push(plan.word_bits, ring.bits, constant), None
        self.deliver = Call(deliver, self._table, 0, 0)
        self.collect = None if collect is None else Call(collect, self._table, 0, 0)
        call, table = self.deliver, self._table
        ring.point(call, plan.plane)
        ring.describe(call)
        call.point(kernels.SPIKE_GID, spike_gid)
        call.point(kernels.SPIKE_STEP, spike_step)
        call.point(kernels.BITMAP, row_set.bitmap)
        call.point(kernels.RANK, row_set.rank)
        call.point(kernels.ROW, row_set.rows)
        call.point(kernels.WORDS, row_set.words)
        call.point(kernels.FOUND, np.zeros(kernels.FOUND_SIZE, np.int64))
        table[kernels.STRIDE_BITS] = plan.target_bits
        table[kernels.WEIGHT_BITS] = plan.field_bits
        table[kernels.SHIFT] = plan.stored_shift
        table[kernels.WEIGHT] = plan.weight or 0
        table[kernels.DELAY] = 0 if plan.delay is None or plan.pull else plan.delay
        if plan.pull:
            self._calendar(row_set)

    def _calendar(self, row_set: RowSet) -> None:
        buckets = 1 << row_set.plan.longest.bit_length()
        call = self.deliver
        call.point(kernels.RUN_ROW, row_set.run_rows)
        call.point(kernels.RUNS, row_set.runs)
        self._table[kernels.BUCKET_MASK] = buckets - 1
        call.point(kernels.HEAD, np.full(buckets, -1, np.int64))
        call.point(kernels.TAIL, np.zeros(buckets, np.int64))
        call.point(kernels.FILL, np.zeros(buckets, np.int64))
        self._n_free = np.zeros(1, np.int64)
        call.point(kernels.N_FREE, self._n_free)
        self._pool = np.empty(0, np.int64)
        self._free = np.empty(0, np.int64)
        self.grow(_FIRST_PAGES)

    def grow(self, pages: int = 0) -> None:
        """Make the calendar's pool larger: twice as large, or by `pages`."""
        used = self._pool.size // kernels.PAGE
        more = pages or used
        self._pool = np.concatenate([self._pool, np.empty(more * kernels.PAGE, np.int64)])
        free = np.empty(used + more, np.int64)
        n_free = int(self._n_free[0])
        free[:n_free] = self._free[:n_free]
        free[n_free : n_free + more] = np.arange(used, used + more)
        self._n_free[0] = n_free + more
        self._free = free
        self._table[kernels.POOL] = self._pool.ctypes.data
        self._table[kernels.FREE] = self._free.ctypes.data

    @property
    def events(self) -> int:
        """Synaptic events delivered so far."""
        return int(self._table[kernels.EVENTS])
