"""The calls that deliver spikes: one for each row set or generator of static synapses."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from distsnn.engine.kernel_calls import KernelCall
from distsnn.engine.local_neurons import InputRing
from distsnn.engine.row_sets import RowSet, SynapseGenerator
from distsnn.engine.source_states import SourceStates
from distsnn.kernels import delivery as kernels
from distsnn.kernels import procedural, wiring_draws
from distsnn.kernels.count_trees import SOURCES_IN_GROUP
from distsnn.kernels.synapses import given_factor

# Pages of a calendar at the start; it doubles whenever it is full.
_FIRST_PAGES = 256


class Delivery(Protocol):
    """Target of spikes: a row set, a generator, plastic rows or a modulator.

    Attributes
    ----------
    deliver : KernelCall
        Called with a range of the spikes.
    collect : KernelCall or None
        Called every iteration, if events wait until they are due.
    """

    deliver: KernelCall
    collect: KernelCall | None


class SynapticDelivery(Delivery, Protocol):
    """Delivery to synapses, which counts synaptic events."""

    @property
    def events(self) -> int:
        """Synaptic events delivered so far."""


def delivery_calls(
    deliveries: Sequence[Delivery], archives: Iterable[KernelCall]
) -> tuple[list[KernelCall], list[KernelCall]]:
    """Return the epoch loop's calls that collect and that deliver.

    Parameters
    ----------
    deliveries : sequence of Delivery
        Targets of the spikes.
    archives : iterable of KernelCall
        Calls that add spikes to the histories of plastic targets. They come first, because rows of
        sources read the histories.
    """
    collects = [delivery.collect for delivery in deliveries if delivery.collect is not None]
    return collects, [*archives, *(delivery.deliver for delivery in deliveries)]


class RowSetDelivery:
    """Push or pull delivery of a row set.

    Parameters
    ----------
    row_set : RowSet
        The synapses.
    ring : InputRing
        Input.
    spike_gid, spike_step : ndarray of uint32, int64
        Spikes to deliver.
    states : SourceStates, optional
        States of the rows' sources, if a synapse model scales the weights.

    Attributes
    ----------
    deliver : KernelCall
        Called with a range of the spikes.
    collect : KernelCall or None
        Called every iteration, with pull delivery.
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
        self.deliver = KernelCall(deliver, self._table, 0, 0)
        self.collect = None if collect is None else KernelCall(collect, self._table, 0, 0)
        call, table = self.deliver, self._table
        ring.bind_plane(call, plan.plane)
        ring.bind_shape(call)
        call.bind(kernels.SPIKE_GID, spike_gid)
        call.bind(kernels.SPIKE_STEP, spike_step)
        call.bind(kernels.BITMAP, row_set.bitmap)
        call.bind(kernels.ROWS_BEFORE, row_set.rows_before)
        call.bind(kernels.ROW, row_set.row_starts)
        call.bind(kernels.WORDS, row_set.words)
        call.bind(kernels.FOUND, np.zeros(kernels.FOUND_SIZE, np.int64))
        table[kernels.STRIDE_BITS] = plan.target_bits
        table[kernels.WEIGHT_BITS] = plan.field_bits
        table[kernels.SHIFT] = plan.stored_shift
        table[kernels.WEIGHT] = plan.weight or 0
        table[kernels.DELAY] = 0 if plan.delay is None or plan.pull else plan.delay
        if states is not None:
            call.bind(kernels.RECORDS, states.records)
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
        """Set the factors of the next spikes of some rows; row -1 is ignored."""
        assert self.states is not None
        self.states.records[rows[rows >= 0], -1] = factors[rows >= 0]

    def _calendar(self, row_set: RowSet) -> None:
        buckets = 1 << row_set.plan.max_delay.bit_length()
        call = self.deliver
        call.bind(kernels.RUN_ROW, row_set.run_starts)
        call.bind(kernels.RUNS, row_set.runs)
        self._table[kernels.BUCKET_MASK] = buckets - 1
        call.bind(kernels.HEAD, np.full(buckets, -1, np.int64))
        call.bind(kernels.NEXT, np.full(buckets, -1, np.int64))
        self._n_free = np.zeros(1, np.int64)
        call.bind(kernels.N_FREE, self._n_free)
        self._pool, self._factors = np.empty(0, np.int64), np.empty(0)
        self._free = np.empty(0, np.int64)
        self._add_pages(_FIRST_PAGES)
        call.grow = self.double_calendar

    def double_calendar(self) -> None:
        """Make the pool of the calendar queue twice as large."""
        self._add_pages(self._pool.size // kernels.PAGE)

    def _add_pages(self, n_added: int) -> None:
        used = self._pool.size // kernels.PAGE
        self._pool = np.concatenate([self._pool, np.empty(n_added * kernels.PAGE, np.int64)])
        if self.states is not None:
            self._factors = np.concatenate([self._factors, np.empty(n_added * kernels.PAGE)])
            self._table[kernels.FACTORS] = self._factors.ctypes.data
        free = np.empty(used + n_added, np.int64)
        n_free = int(self._n_free[0])
        free[:n_free] = self._free[:n_free]
        free[n_free : n_free + n_added] = np.arange(used, used + n_added)
        self._n_free[0] = n_free + n_added
        self._free = free
        self._table[kernels.POOL] = self._pool.ctypes.data
        self._table[kernels.FREE] = self._free.ctypes.data

    @property
    def events(self) -> int:
        """Synaptic events delivered so far."""
        return int(self._table[kernels.EVENTS])


class ProceduralDelivery:
    """Push delivery of procedural synapses, which are drawn when a spike arrives.

    Parameters
    ----------
    generator : SynapseGenerator
        Description of the synapses.
    ring : InputRing
        Input.
    spike_gid, spike_step : ndarray of uint32, int64
        Spikes to deliver.

    Attributes
    ----------
    deliver : KernelCall
        Called with a range of the spikes.
    """

    collect: KernelCall | None = None

    def __init__(
        self,
        generator: SynapseGenerator,
        ring: InputRing,
        spike_gid: npt.NDArray[np.uint32],
        spike_step: npt.NDArray[np.int64],
    ) -> None:
        projections, groups = generator.projections, -(-generator.size // SOURCES_IN_GROUP)
        shares = np.zeros((max(1, len(projections.cells)), groups), np.int64)
        procedural.group_shares(projections, shares)
        cell_keys = np.zeros(len(projections.cells), np.uint64)
        for projection in projections.table:
            cells = slice(projection["cell_first"], projection["cell_last"])
            blocks = np.ascontiguousarray(projections.cells["block"][cells])
            cell_keys[cells] = wiring_draws.cell_streams(projection["key"], blocks)
        entry = procedural.deliver32 if ring.bits == 32 else procedural.deliver64
        self._table = np.zeros(procedural.TABLE_SIZE, np.int64)
        self.deliver = call = KernelCall(entry, self._table, 0, 0)
        ring.bind_plane(call, generator.plan.plane)
        ring.bind_shape(call)
        words = procedural.SCRATCH_WORDS * generator.longest_row
        for position, array in (
            (procedural.SPIKE_GID, spike_gid),
            (procedural.SPIKE_STEP, spike_step),
            (procedural.PROJECTIONS, projections.table),
            (procedural.CELLS, projections.cells),
            (procedural.CELL_KEYS, cell_keys),
            (procedural.SHARES, shares),
            (procedural.CAPACITY, projections.capacity),
            (procedural.OWNED_BEFORE, projections.owned_before),
            (procedural.WEIGHTS, projections.weights),
            (procedural.DELAYS, projections.delays),
            (procedural.SCRATCH, np.zeros(words, np.int64)),
            (procedural.TAKEN, np.zeros((generator.block_size >> 6) + 1, np.uint64)),
        ):
            call.bind(position, array)
        for position, number in (
            (procedural.GID, generator.gid),
            (procedural.N_SOURCES, generator.size),
            (procedural.PLANE, generator.plan.plane),
            (procedural.N_PROJECTIONS, len(projections.table)),
            (procedural.N_CELLS, len(projections.cells)),
            (procedural.N_GROUPS, groups),
            (procedural.N_TREE, projections.capacity.size),
            (procedural.N_WEIGHTS, projections.weights.size),
            (procedural.N_DELAYS, projections.delays.size),
            (procedural.LONGEST, generator.longest_row),
        ):
            self._table[position] = number

    @property
    def events(self) -> int:
        """Synaptic events delivered so far."""
        return int(self._table[procedural.EVENTS])
