"""Plastic projections in action: rows, histories of their targets, and the calls between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.codegen.plastic_entries import plastic_entries
from distsnn.codegen.plasticity import (
    PlasticVariant,
    evolves,
    is_modulated,
    keeps_last_event,
    plastic_layout,
    rule_kernel,
)
from distsnn.engine.history import Spikes
from distsnn.engine.layout import Layout
from distsnn.engine.modulation import Modulation
from distsnn.engine.plastic_rows import PlasticRows
from distsnn.engine.populations import InputRing
from distsnn.engine.post_history import PostHistory
from distsnn.engine.source_states import SourceStates
from distsnn.engine.synapse_parameters import synapse_parameters
from distsnn.engine.tables import Call, address
from distsnn.kernels import loop, plastic, scaling
from distsnn.network import EquationSynapse
from distsnn.network.plastic_synapse import ModulatedSynapse, PlasticSynapse
from distsnn.network.quanta import Quanta

# A history for which rows must be swept more often than this is too short.
_SWEEP_MS = 1000.0
_FIRST_QUEUE = 1024


@dataclass(frozen=True, eq=False)
class SpikeLists:
    """The list of spikes to deliver, and the loop's state.

    Attributes
    ----------
    gid, step : ndarray of uint32, int64
        Spikes and the loops that emitted them.
    state : ndarray of int64
        See `kernels.loop`.
    """

    gid: npt.NDArray[np.uint32]
    step: npt.NDArray[np.int64]
    state: npt.NDArray[np.int64]


def kernel_name(model: PlasticSynapse) -> str:
    """Return the import name of a model's kernel module."""
    if isinstance(model, EquationSynapse):
        # with sympy, which only models of equations wait for
        from distsnn.codegen.rules import rule_of

        return rule_of(model.model)
    return model.kernel_module


class PlasticDelivery:
    """A plastic projection in action.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    quanta : Quanta
        Fixed-point scales.
    rows : PlasticRows
        Its synapses.
    ring : InputRing
        The ring of plastic input.
    spikes : SpikeLists
        Spikes to deliver.
    reach : int
        The longest delay of the whole network, steps.
    seed : int
        The run's seed.

    Attributes
    ----------
    deliver : Call
        Called with a range of the list: sources spike, or are put into the queue.
    collect : Call or None
        Called every loop where spikes take time to go along their axons.
    archive : Archive
        What notes the spikes of targets.
    rows : PlasticRows
        The synapses.
    traces : ndarray, shape (n_rows, n_traces)
        Traces of the sources after their last spikes.
    last, until : ndarray of int32, shape (n_rows,)
        Step at the synapses of each source's last spike; that up to which rows took events.
    history : PostHistory
        Spikes of the targets.
    rule : RuleKernel
        The rule's kernel module.
    sign : int
        Sign of the weights, which are kept as magnitudes.
    modulation : Modulation or None
        What modulates the synapses, if anything does.
    """

    states: SourceStates | None = None

    def __init__(
        self,
        layout: Layout,
        quanta: Quanta,
        rows: PlasticRows,
        ring: InputRing,
        spikes: SpikeLists,
        reach: int,
        seed: int,
    ) -> None:
        network, plan = layout.network, rows.row_set.plan
        self.layout, self.rows, self._spikes, self._reach = layout, rows, spikes, reach
        self.projection = one = network.projections[rows.projection]
        model = one.plasticity
        assert model is not None
        self.sign = model.sign
        kernel = kernel_name(model)
        self.rule = rule_kernel(kernel)
        constants = self.rule.constants(synapse_parameters(layout, rows, seed), network.dt)
        self._variant = PlasticVariant(
            kernel,
            model.precision,
            plan.word_bits,
            ring.bits,
            tuple(name for name in self.rule.CONSTANTS if np.ndim(constants[name])),
        )
        where = plastic_layout(self._variant)
        self._entries = plastic_entries(self._variant)
        self._table = table = np.zeros(where.size, np.int64)
        self._scalars = np.zeros(where.n_scalars)
        axonal = model.axonal_steps(network.dt)
        entry = plastic.enqueue if axonal else self._entries.deliver
        self.deliver = call = Call(entry, table, 0, 0, self._scalars)
        self.collect = Call(self._entries.release, table, 0, 0, self._scalars) if axonal else None
        self.archive = Archive(Call(self._entries.archive, table, 0, 0, self._scalars), self)

        n_rows = rows.row_set.rows.size - 1
        self.traces = np.zeros((n_rows, len(self.rule.SOURCE)), model.precision)
        self.last, self.until = np.zeros(n_rows, np.int32), np.zeros(n_rows, np.int32)
        self.synapse_states = {
            name: np.zeros(rows.synapses, model.precision) for name in self.rule.STATES
        }
        self.since = np.zeros(rows.synapses if keeps_last_event(self.rule) else 0, np.int32)
        self._constants = [
            np.ascontiguousarray(constants[name], model.precision) for name in where.per_synapse
        ]
        arrays: tuple[tuple[int, npt.NDArray[Any]], ...] = (
            (plastic.SPIKE_GID, spikes.gid),
            (plastic.SPIKE_STEP, spikes.step),
            (plastic.BITMAP, rows.row_set.bitmap),
            (plastic.RANK, rows.row_set.rank),
            (plastic.ROW, rows.row_set.rows),
            (plastic.WORDS, rows.row_set.words),
            (plastic.WEIGHTS, rows.weights),
            (plastic.SINCE, self.since),
            (plastic.SOURCES, self.traces),
            (plastic.LAST, self.last),
            (plastic.UNTIL, self.until),
            (plastic.FOUND_ROW, np.zeros(plastic.BATCH, np.int64)),
            (plastic.FOUND_LOOP, np.zeros(plastic.BATCH, np.int64)),
            *((where.states[name], array) for name, array in self.synapse_states.items()),
            *zip(where.per_synapse.values(), self._constants, strict=True),
        )
        for at, array in arrays:
            call.point(at, array)
        ring.point(call, plan.plane)
        ring.describe(call)
        for name, at in where.scalars.items():
            self._scalars[at] = float(constants[name])
        self._set_weights(model, quanta)
        self._set_targets()
        table[plastic.TARGET_BITS], table[plastic.AXONAL] = plan.target_bits, axonal
        table[plastic.LEARNS], table[plastic.FAULT_ROW] = 1, -1
        self.modulation = None
        if is_modulated(self.rule):
            assert isinstance(model, ModulatedSynapse)
            entry_of_spikes = self._entries.modulate if model.modulator else None
            self.modulation = Modulation(network, model, call, entry_of_spikes)
        self._queue = np.empty((2, 0), np.int64)
        self.grow()

    def _set_weights(self, model: PlasticSynapse, quanta: Quanta) -> None:
        """Set what turns weights into quanta, and the largest."""
        name = self.projection.post.population
        receptors = self.layout.network.population(name).model.receptors
        quantum = quanta.quantum(name, receptors[self.rows.row_set.plan.plane])
        self.most = abs(model.w_max) if np.isfinite(model.w_max) else 2.0**40 * quantum
        self._scalars[plastic.SCALE] = model.sign / quantum
        self._scalars[plastic.LIMIT] = self.most

    def _set_targets(self) -> None:
        """Make the histories, and set where the gids of targets are found in them."""
        layout, post, table = self.layout, self.projection.post, self._table
        self.target_population = index = layout.population_index(post.population)
        self._first = int(layout.first[index])
        size = int(layout.last[index]) - self._first
        self.history = PostHistory(size, len(self.rule.TARGET), str(self.traces.dtype))
        self._point_at_history()
        self._swept = 0
        table[plastic.SETTLED] = -self._reach
        table[plastic.POST_GID] = layout.network.first_gid[post.population] + post.start
        table[plastic.N_POST], table[plastic.POST_START] = post.size, post.start
        table[plastic.BLOCK_BITS] = layout.table.block_size.bit_length() - 1
        self.deliver.point(plastic.BLOCKS, np.ascontiguousarray(layout.blocks_of(index)))

    def _point_at_history(self) -> None:
        records = self.history.records
        # words hold local numbers of targets
        self._table[plastic.HISTORY] = address(records) - self._first * records.strides[0]
        self._table[plastic.DEPTH] = self.history.depth

    def grow(self) -> None:
        """Make the queue of sources' spikes larger."""
        used = self._queue.shape[1]
        size = max(_FIRST_QUEUE, 2 * used)
        more = np.zeros((2, size), np.int64)
        more[:, :used] = self._queue
        self._queue = more
        for at, row in zip((plastic.QUEUE_ROW, plastic.QUEUE_LOOP), more, strict=True):
            self._table[at] = address(row)
        self._table[plastic.QUEUE_ROOM] = size

    def make_room(self) -> None:
        """Let rows take the spikes of a history that is full, or make it larger."""
        now = int(self._spikes.state[loop.EPOCH_START])
        if (now - self._swept) * self.layout.network.dt >= _SWEEP_MS:
            self.sweep(now)
        else:
            self.history.double()
            self._point_at_history()

    def sweep(self, now: int) -> None:
        """Let all rows take their events up to a step before which all spikes are known."""
        self._entries.sweep(self._table, self._scalars, self.until.size, now)
        self._swept = now
        self._table[plastic.SETTLED] = now - self._reach
        if self.modulation is not None:
            self.modulation.forget(now)

    def modulate(self, value: float, now: int) -> None:
        """Set the modulator, for all that comes after a step before which all spikes are known."""
        assert self.modulation is not None
        self.sweep(now)
        self._carry_all(now)
        self.modulation.change(now, value)

    def read_weights(self, now: int) -> npt.NDArray[Any]:
        """Return a copy of the weights (magnitudes) as they are at a step."""
        self.sweep(now)
        weights = self.rows.weights.copy()
        states = [one.copy() for one in self.synapse_states.values()]
        self._carry(now, self.since.copy(), weights, states)
        return weights

    def set_weights(self, values: npt.NDArray[Any] | float, now: int) -> None:
        """Set the weights (magnitudes) at a step."""
        self.sweep(now)
        self._carry_all(now)
        self.rows.weights[:] = values

    def normalise(self, totals: npt.NDArray[np.float64], now: int) -> None:
        """Multiply the weights onto each neuron so that their sum is a total, at a step.

        Parameters
        ----------
        totals : ndarray of float64, shape (n_local,)
            Magnitudes by local neuron.
        now : int
            Step before which all spikes are known.
        """
        self.sweep(now)
        self._carry_all(now)
        words, weights = self.rows.row_set.words, self.rows.weights
        mask = (1 << self.rows.row_set.plan.target_bits) - 1
        sums = np.zeros(self.layout.n_local)
        scaling.add_weights(words, weights, mask, sums)
        factors = np.divide(totals, sums, out=np.ones_like(sums), where=sums > 0.0)
        scaling.scale_weights(words, weights, mask, factors, self.most)

    def _carry_all(self, now: int) -> None:
        self._carry(now, self.since, self.rows.weights, list(self.synapse_states.values()))

    def _carry(
        self,
        now: int,
        since: npt.NDArray[np.int32],
        weights: npt.NDArray[Any],
        states: list[npt.NDArray[Any]],
    ) -> None:
        """Let synapses evolve up to a step without events, where they do."""
        if evolves(self.rule) and self.learns:
            self._entries.carry(self._table, self._scalars, now, since, weights, *states)

    @property
    def learns(self) -> bool:
        """Whether spikes change weights and states; traces follow spikes in any case."""
        return bool(self._table[plastic.LEARNS])

    @learns.setter
    def learns(self, on: bool) -> None:
        self._table[plastic.LEARNS] = on

    def switch(self, on: bool, now: int) -> None:
        """Let spikes after a step change weights, or not."""
        self.sweep(now)
        if on == self.learns:
            return
        self._carry_all(now)
        if evolves(self.rule):
            self.since[:] = now
        self.learns = on

    def by_synapse(self) -> dict[str, npt.NDArray[Any]]:
        """Return by name what is kept of each synapse, for the step of the last sweep."""
        since = {"last event": self.since} if self.since.size else {}
        return {"weight": self.rows.weights} | self.synapse_states | since

    def sources_spike(
        self,
        traces: npt.NDArray[Any],
        last: npt.NDArray[np.int32],
        sources: npt.NDArray[np.int64],
        steps: npt.NDArray[np.int64],
    ) -> None:
        """Advance sources' traces by spikes, given in the order of their stamps."""
        self._entries.sources_spike(self._table, self._scalars, traces, last, sources, steps)

    def begin_history(
        self, traces: Sequence[npt.NDArray[Any]], last: npt.NDArray[np.int32], step: int
    ) -> None:
        """Set the histories of all targets to their last spike, before a run goes on at a step."""
        records = self.history.records
        real = self.layout.in_population(self.target_population) >= 0
        records["step"] = plastic.NEVER
        records["step"][real, 0] = last
        for column, values in enumerate(traces):
            records["trace"][real, 0, column] = values
        self._swept = step

    def resume(self, step: int, flying: Spikes) -> None:
        """Go on from a step to which synapses were set; sources' spikes in flight are taken."""
        row_of = np.full(self.layout.network.n_neurons, -1)
        row_of[self.rows.row_set.sources] = np.arange(self.until.size)
        steps, rows = flying[0].astype(np.int64), row_of[flying[1]]
        there = steps + int(self._table[plastic.AXONAL]) <= step
        taken, queued = (rows >= 0) & there, (rows >= 0) & ~there
        self.sources_spike(self.traces, self.last, rows[taken], steps[taken])
        if self.modulation is not None:
            self.modulation.resume(step, flying)
        self.until[:] = step
        self._swept = step
        self._table[plastic.SETTLED] = step - self._reach
        self._table[plastic.QUEUED] = n = int(queued.sum())
        while self._queue.shape[1] < n:
            self.grow()
        self._queue[:, :n] = rows[queued], steps[queued] - 1

    @property
    def nbytes(self) -> int:
        """Bytes of the synapses and of all that is kept of their sources and targets."""
        kept = (self.traces, self.last, self.until, self.history.records)
        arrays = (*self.synapse_states.values(), self.since, *self._constants, *kept)
        return self.rows.nbytes + sum(one.nbytes for one in arrays)

    @property
    def events(self) -> int:
        """Synaptic events delivered so far."""
        return int(self._table[plastic.EVENTS])

    def fault(self) -> tuple[int, int, str] | None:
        """Return step, gid of the target and a text of the first weight out of range, if any is."""
        row = int(self._table[plastic.FAULT_ROW])
        if row < 0:
            return None
        first, last = self.rows.row_set.rows[row : row + 2].tolist()
        weights = self.rows.weights[first:last]
        found = int(np.argmin((weights >= 0) & (weights <= self.most)))
        target = int(
            self.layout.gids(self.rows.targets(slice(first + found, first + found + 1)))[0]
        )
        what = (
            f"projection {self.projection.name!r}, synapse from gid {self.rows.source(first)} to "
            f"gid {target}: its weight has become {float(weights[found]):g}, beyond "
            f"0 to {self.most:g}"
        )
        return int(self._table[plastic.FAULT_STEP]), target, what


@dataclass(eq=False)
class Archive:
    """What notes the spikes of a plastic projection's targets.

    Attributes
    ----------
    deliver : Call
        Called with a range of the list.
    owner : PlasticDelivery
        Whose targets they are.
    """

    deliver: Call
    owner: PlasticDelivery
    collect: Call | None = None
    states: SourceStates | None = None
    events: int = 0

    def grow(self) -> None:
        """Make room in the histories."""
        self.owner.make_room()


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
