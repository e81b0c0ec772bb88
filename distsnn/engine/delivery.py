"""The calls that deliver spikes: one row set each, pushed at once or pulled through a calendar."""

import numpy as np
import numpy.typing as npt

from distsnn.engine.populations import InputRing
from distsnn.engine.row_sets import Generator, RowSet
from distsnn.engine.source_states import SourceStates
from distsnn.engine.tables import Call
from distsnn.kernels import delivery as kernels
from distsnn.kernels import procedural, wiring_draws
from distsnn.kernels import wiring_columns as columns
from distsnn.kernels.count_trees import SOURCES_IN_GROUP
from distsnn.kernels.synapses import given_factor

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
    states : SourceStates, optional
        Of the rows' sources, where their weights are scaled.

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
        states: SourceStates | None = None,
    ) -> None:
        plan = row_set.plan
        self.states = states
        self._table = np.zeros(kernels.TABLE_SIZE, np.int64)
        kind = (plan.word_bits, ring.bits, plan.weight is not None, states is not None)
        if plan.pull:
            deliver = kernels.schedule_runs(states is not None)
            collect = kernels.deliver_due_runs(*kind)
        else:
            deliver, collect = kernels.push_rows(*kind), None
        self.deliver = Call(deliver, self._table, 0, 0)
        self.collect = None if collect is None else Call(collect, self._table, 0, 0)
        call, table = self.deliver, self._table
        ring.point(call, plan.plane)
        ring.describe(call)
        call.point(kernels.SPIKE_GID, spike_gid)
        call.point(kernels.SPIKE_STEP, spike_step)
        call.point(kernels.BITMAP, row_set.bitmap)
        call.point(kernels.ROWS_BEFORE, row_set.rank)
        call.point(kernels.ROW, row_set.rows)
        call.point(kernels.WORDS, row_set.words)
        call.point(kernels.FOUND, np.zeros(kernels.FOUND_SIZE, np.int64))
        table[kernels.STRIDE_BITS] = plan.target_bits
        table[kernels.WEIGHT_BITS] = plan.field_bits
        table[kernels.SHIFT] = plan.stored_shift
        table[kernels.WEIGHT] = plan.weight or 0
        table[kernels.DELAY] = 0 if plan.delay is None or plan.pull else plan.delay
        if states is not None:
            call.point(kernels.RECORDS, states.records)
            table[kernels.RECORD_SIZE] = states.records.shape[1]
            self.use_given_factors(False)
        if plan.pull:
            self._calendar(row_set)

    def use_given_factors(self, on: bool) -> None:
        """Deliver spikes with factors that `give_factors` sets, or advance the sources' states."""
        assert self.states is not None
        spike = given_factor.spike if on else self.states.kernel.spike
        self._table[kernels.ADVANCE] = spike.address

    def give_factors(self, rows: npt.NDArray[np.int64], factors: npt.NDArray[np.float64]) -> None:
        """Set the factors of the next spikes of some rows; there is no row -1."""
        assert self.states is not None
        self.states.records[rows[rows >= 0], -1] = factors[rows >= 0]

    def _calendar(self, row_set: RowSet) -> None:
        buckets = 1 << row_set.plan.longest.bit_length()
        call = self.deliver
        call.point(kernels.RUN_ROW, row_set.run_rows)
        call.point(kernels.RUNS, row_set.runs)
        self._table[kernels.BUCKET_MASK] = buckets - 1
        call.point(kernels.HEAD, np.full(buckets, -1, np.int64))
        call.point(kernels.NEXT, np.full(buckets, -1, np.int64))
        self._n_free = np.zeros(1, np.int64)
        call.point(kernels.N_FREE, self._n_free)
        self._pool, self._factors = np.empty(0, np.int64), np.empty(0)
        self._free = np.empty(0, np.int64)
        self.grow(_FIRST_PAGES)

    def grow(self, pages: int = 0) -> None:
        """Make the calendar's pool larger: twice as large, or by `pages`."""
        used = self._pool.size // kernels.PAGE
        more = pages or used
        self._pool = np.concatenate([self._pool, np.empty(more * kernels.PAGE, np.int64)])
        if self.states is not None:
            self._factors = np.concatenate([self._factors, np.empty(more * kernels.PAGE)])
            self._table[kernels.FACTORS] = self._factors.ctypes.data
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


class ProceduralDelivery:
    """A generator in action: it draws the synapses of arriving spikes and pushes them.

    Parameters
    ----------
    generator : Generator
        The synapses' description.
    ring : InputRing
        Input.
    spike_gid, spike_step : ndarray of uint32, int64
        The list of spikes to deliver.

    Attributes
    ----------
    deliver : Call
        Called with a range of the list.
    """

    collect: Call | None = None
    states: SourceStates | None = None

    def __init__(
        self,
        generator: Generator,
        ring: InputRing,
        spike_gid: npt.NDArray[np.uint32],
        spike_step: npt.NDArray[np.int64],
    ) -> None:
        made = generator
        groups = -(-made.size // SOURCES_IN_GROUP)
        shares = np.zeros((max(1, len(made.cells)), groups), np.int64)
        procedural.group_shares(made.ints, made.cells, made.keys, shares)
        cell_keys = np.zeros(len(made.cells), np.uint64)
        for p, row in enumerate(made.ints):
            cells = slice(int(row[columns.CELL_FIRST]), int(row[columns.CELL_LAST]))
            cell_keys[cells] = wiring_draws.cell_streams(
                made.keys[p], made.cells[cells, columns.BLOCK]
            )
        entry = procedural.deliver32 if ring.bits == 32 else procedural.deliver64
        self._table = np.zeros(procedural.TABLE_SIZE, np.int64)
        self.deliver = call = Call(entry, self._table, 0, 0)
        ring.point(call, made.plan.plane)
        ring.describe(call)
        words = procedural.SCRATCH_WORDS * made.longest_row
        for at, array in (
            (procedural.SPIKE_GID, spike_gid),
            (procedural.SPIKE_STEP, spike_step),
            (procedural.INTS, made.ints),
            (procedural.FLOATS, made.floats),
            (procedural.KEYS, made.keys),
            (procedural.CELLS, made.cells),
            (procedural.CELL_KEYS, cell_keys),
            (procedural.SHARES, shares),
            (procedural.CAPACITY, made.capacity),
            (procedural.OWNED_BEFORE, made.owned_before),
            (procedural.WEIGHTS, made.weights),
            (procedural.DELAYS, made.delays),
            (procedural.SCRATCH, np.zeros(words, np.int64)),
            (procedural.TAKEN, np.zeros((made.block_size >> 6) + 1, np.uint64)),
        ):
            call.point(at, array)
        for at, number in (
            (procedural.GID, made.gid),
            (procedural.N_SOURCES, made.size),
            (procedural.PLANE, made.plan.plane),
            (procedural.N_PROJECTIONS, len(made.ints)),
            (procedural.N_CELLS, len(made.cells)),
            (procedural.N_GROUPS, groups),
            (procedural.N_TREE, made.capacity.size),
            (procedural.N_WEIGHTS, made.weights.size),
            (procedural.N_DELAYS, made.delays.size),
            (procedural.LONGEST, made.longest_row),
        ):
            self._table[at] = number

    def grow(self) -> None:
        """Never asked for: nothing is kept between loops."""
        raise AssertionError("a procedural delivery has no calendar")

    @property
    def events(self) -> int:
        """Synaptic events delivered so far."""
        return int(self._table[procedural.EVENTS])
