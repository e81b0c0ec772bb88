"""Plastic projections in action: rows, histories of their targets, and the calls between them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.codegen.plastic_entries import plastic_entries
from distsnn.codegen.plasticity import (
    PlasticVariant,
    evolves,
    follows_targets,
    is_modulated,
    keeps_last_event,
    n_draws,
    plastic_layout,
    rule_kernel,
)
from distsnn.engine.history import Spikes
from distsnn.engine.layout import Layout
from distsnn.engine.modulation import Modulation
from distsnn.engine.plastic_calls import Archive, SpikeLists
from distsnn.engine.plastic_rows import PlasticRows
from distsnn.engine.populations import InputRing, Neurons
from distsnn.engine.post_history import FillingHistory, PostHistory
from distsnn.engine.source_states import SourceStates
from distsnn.engine.synapse_draws import key_draws
from distsnn.engine.synapse_parameters import first_states, synapse_parameters
from distsnn.engine.tables import Call, address, invoke
from distsnn.engine.target_watch import TargetWatch
from distsnn.kernels import plastic, scaling
from distsnn.network import EquationSynapse, delay_support
from distsnn.network.plastic_synapse import ModulatedSynapse, PlasticSynapse, WatchingSynapse
from distsnn.network.quanta import Quanta

Ints = npt.NDArray[np.int64]
Values = npt.NDArray[Any]

_ALL: Ints = np.empty(0, np.int64)

# A history for which rows must be swept more often than this is too short.
_SWEEP_MS = 1000.0
# One of steps takes every step where a potential stays above its threshold: where it has become as
# long as this, rows are swept before it becomes longer.
_LONG_HISTORY = 1024
_FIRST_QUEUE = 1024


def kernel_name(model: PlasticSynapse) -> str:
    """Return the import name of a model's kernel module."""
    if isinstance(model, EquationSynapse) and not model.kernel:
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
    targets : Neurons
        The targets' population.

    Attributes
    ----------
    deliver : Call
        Called with a range of the list: sources spike, or are put into the queue.
    collect : Call or None
        Called every loop where spikes take time to go along their axons.
    archive : Archive or None
        What notes the spikes of targets, where these act.
    watch : TargetWatch or None
        What follows their states, where these act.
    rows : PlasticRows
        The synapses.
    traces : ndarray, shape (n_rows, n_traces)
        Traces of the sources after their last spikes.
    last, until : ndarray of int32, shape (n_rows,)
        Step at the synapses of each source's last spike; that up to which rows took events.
    history : PostHistory
        Spikes of the targets, or steps in which they act.
    rule : RuleKernel
        The rule's kernel module.
    sign : int
        Sign of the weights, which are kept as magnitudes.
    per_synapse_bytes : int
        Memory of constants that differ from synapse to synapse, and of what draws are keyed by.
    lower, upper : ndarray of float64, shape (1,) or (n_synapses,)
        The least and the largest weight (magnitudes) of all synapses, or of each.
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
        targets: Neurons,
    ) -> None:
        network, plan = layout.network, rows.row_set.plan
        self.layout, self.rows, self._spikes, self._reach = layout, rows, spikes, reach
        self.projection = one = network.projections[rows.projection]
        model = one.plasticity
        assert model is not None
        self.sign = model.sign
        kernel = kernel_name(model)
        self.rule = rule_kernel(kernel)
        parameters = synapse_parameters(layout, rows, seed)
        constants = self.rule.constants(parameters, network.dt)
        self._variant = PlasticVariant(
            kernel,
            one.weight_type,
            plan.word_bits,
            ring.bits,
            tuple(name for name in self.rule.CONSTANTS if np.ndim(constants[name])),
        )
        where = plastic_layout(self._variant)
        self._entries = plastic_entries(self._variant)
        self._table = table = np.zeros(where.size, np.int64)
        self._scalars = np.zeros(where.n_scalars)
        axonal = model.axonal_steps(network.dt)
        entry = plastic.enqueue if axonal else plastic.deliver
        self.deliver = call = Call(entry, table, 0, 0, self._scalars)
        self._sweep = Call(plastic.sweep, table, 0, 0, self._scalars)
        self.collect = Call(plastic.release, table, 0, 0, self._scalars) if axonal else None
        table[plastic.ADVANCE] = self._entries.advance.address
        table[plastic.TABLE], table[plastic.SCALARS] = address(table), address(self._scalars)
        n_rows = rows.row_set.rows.size - 1
        self.traces = np.zeros((n_rows, len(self.rule.SOURCE)), self._variant.precision)
        self.last, self.until = np.zeros(n_rows, np.int32), np.zeros(n_rows, np.int32)
        size, precision = rows.synapses, self._variant.precision
        self.synapse_states = first_states(self.rule, constants, size, precision)
        self.since = np.zeros(rows.synapses if keeps_last_event(self.rule) else 0, np.int32)
        given = {
            name: np.ascontiguousarray(constants[name], self._variant.precision)
            for name in where.per_synapse
        }
        self.per_synapse_bytes = sum(one.nbytes for one in given.values())
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
            *((at, given[name]) for name, at in where.per_synapse.items()),
        )
        for at, array in arrays:
            call.point(at, array)
        if words := n_draws(self.rule):
            self.per_synapse_bytes += key_draws(layout, rows, seed, words, call)
        ring.point(call, plan.plane)
        ring.describe(call)
        for name, at in where.scalars.items():
            self._scalars[at] = float(constants[name])
        self._set_weights(model, quanta)
        self.lower = np.atleast_1d(parameters["w_min"])
        self.upper = np.atleast_1d(np.minimum(parameters["w_max"], self.most))
        # rounding may have taken weights beyond their bounds
        low, high = (one.astype(self._variant.precision) for one in (self.lower, self.upper))
        np.clip(rows.weights, low, high, out=rows.weights)
        self._set_targets(model, targets)
        table[plastic.TARGET_BITS], table[plastic.AXONAL] = plan.target_bits, axonal
        table[plastic.LEARNS], table[plastic.FAULT_ROW] = 1, -1
        self.modulation = None
        if is_modulated(self.rule):
            assert isinstance(model, ModulatedSynapse)
            entry_of_spikes = self._entries.modulate if model.modulator else None
            self.modulation = Modulation(network, one, call, entry_of_spikes)
        self._queue = np.empty((2, 0), np.int64)
        self.grow()

    def _set_weights(self, model: PlasticSynapse, quanta: Quanta) -> None:
        """Set what turns weights into quanta, the least and the largest."""
        name = self.projection.post.population
        receptors = self.layout.network.population(name).model.receptors
        quantum = quanta.quantum(name, receptors[self.rows.row_set.plan.plane])
        self.most = model.largest if np.isfinite(model.largest) else 2.0**40 * quantum
        self._scalars[plastic.SCALE] = model.sign / quantum
        self.least = model.least
        self._scalars[plastic.LEAST], self._scalars[plastic.LIMIT] = self.least, self.most

    def _set_targets(self, model: PlasticSynapse, targets: Neurons) -> None:
        """Make the histories, and set where targets are found in them."""
        layout, post, table = self.layout, self.projection.post, self._table
        self.target_population, self._first = targets.index, targets.first
        size = targets.last - targets.first
        self._swept = 0
        table[plastic.SETTLED] = -self._reach
        self.archive: Archive | None = None
        self.watch: TargetWatch | None = None
        if isinstance(model, WatchingSynapse):
            self.history: PostHistory = (history := FillingHistory(size, self._variant.precision))
            self.deliver.point(plastic.FIRSTS, history.firsts, self._first)
            self.watch = self._watching(model, targets, history)
        else:
            self.history = PostHistory(size, len(self.rule.TARGET), self._variant.precision)
            entry = Call(self._entries.archive, table, 0, 0, self._scalars)
            if follows_targets(self.rule):
                self.archive = Archive(entry, self.make_room)
            table[plastic.POST_GID] = layout.network.first_gid[post.population] + post.start
            table[plastic.N_POST], table[plastic.POST_START] = post.size, post.start
            table[plastic.BLOCK_BITS] = layout.table.block_size.bit_length() - 1
            blocks = layout.blocks_of(targets.index)
            self.deliver.point(plastic.BLOCKS, np.ascontiguousarray(blocks))
        self._point_at_history()

    def _watching(
        self, model: WatchingSynapse, targets: Neurons, history: FillingHistory
    ) -> TargetWatch:
        dt, delay = self.layout.network.dt, self.projection.delay
        # delays in a file are not known before it is read, and then to each rank its own
        longest = self._reach if delay is None else delay_support(delay, dt)[1]
        return TargetWatch(
            targets,
            history,
            self.rows.reached(self.layout.n_local)[targets.first : targets.last],
            min(longest, self._reach),
            dt,
            model,
            self._variant,
            self.deliver,
            self._spikes.state,
        )

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
        now = int(self._spikes.complete_until[0])
        since = now - self._swept
        long = self.watch is not None and self.history.depth >= _LONG_HISTORY
        if since * self.layout.network.dt >= _SWEEP_MS or (long and since > 0):
            self.sweep(now)
        else:
            self.history.double()
            self._point_at_history()

    def make_room_to_watch(self) -> None:
        """Make room for the next step of the targets, if their states act."""
        while self.watch is not None and self.watch.is_full:
            self.make_room()

    def sweep(self, now: int) -> None:
        """Let all rows take their events up to a step before which all spikes are known."""
        self._take_events(np.arange(self.until.size), now)
        self._swept = now
        self._table[plastic.SETTLED] = now - self._reach
        if self.modulation is not None:
            self.modulation.forget(now)

    def _take_events(self, rows: Ints, now: int) -> None:
        if self.collect is not None:
            invoke(self.collect, now)
        self._sweep.point(plastic.SWEPT, rows)
        invoke(self._sweep, now, 0, rows.size)

    def modulate(self, value: float, now: int) -> None:
        """Set the modulator, for all that comes after a step before which all spikes are known."""
        assert self.modulation is not None
        self.sweep(now)
        self._carry_all(now)
        self.modulation.change(now, value)

    def read_weights(self, now: int) -> npt.NDArray[Any]:
        """Return a copy of the weights (magnitudes) as they are at a step."""
        self.sweep(now)
        if not evolves(self.rule):
            return self.rows.weights.copy()
        return self._as_at(now)["weight"]

    def read(self, now: int, rows: Ints | None, synapses: Ints | None) -> dict[str, Values]:
        """Return copies of weights (magnitudes) and states as they are at a step.

        Parameters
        ----------
        now : int
            Step before which all spikes are known.
        rows, synapses : ndarray of int64, or None
            The synapses, and the rows that have them; None: all.

        Returns
        -------
        dict of str to ndarray
            ``weight`` and the states by name.
        """
        if rows is None:
            self.sweep(now)
        else:
            self._take_events(rows, now)
        return self._as_at(now, synapses)

    def _as_at(self, now: int, synapses: Ints | None = None) -> dict[str, Values]:
        part: Any = slice(None) if synapses is None else synapses
        # a copy in either case: of a slice, and of what an array of numbers picks
        weights, *states = (
            np.array(one[part]) for one in (self.rows.weights, *self.synapse_states.values())
        )
        if keeps_last_event(self.rule):
            self._carry(now, np.array(self.since[part]), weights, states, synapses)
        return {"weight": weights} | dict(zip(self.rule.STATES, states, strict=True))

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
        sums = np.zeros(self.layout.n_local)
        self.add_weights(sums, now)
        self.scale(np.divide(totals, sums, out=np.ones_like(sums), where=sums > 0.0), now)

    def add_weights(self, sums: npt.NDArray[np.float64], now: int) -> None:
        """Add the weights (magnitudes) at a step to sums by local neuron."""
        self.sweep(now)
        self._carry_all(now)
        scaling.add_weights(self.rows.row_set.words, self.rows.weights, self._target_mask, sums)

    def scale(self, factors: npt.NDArray[np.float64], now: int) -> None:
        """Multiply the weights onto each local neuron by its factor, at a step."""
        self.sweep(now)
        self._carry_all(now)
        words, weights = self.rows.row_set.words, self.rows.weights
        bounds = self.lower, self.upper
        scaling.scale_weights(words, weights, self._target_mask, factors, *bounds)

    @property
    def _target_mask(self) -> int:
        return (1 << self.rows.row_set.plan.target_bits) - 1

    def _carry_all(self, now: int) -> None:
        if evolves(self.rule):  # fading has no end to be noted
            self._carry(now, self.since, self.rows.weights, list(self.synapse_states.values()))

    def _carry(
        self,
        now: int,
        since: npt.NDArray[np.int32],
        weights: npt.NDArray[Any],
        states: list[npt.NDArray[Any]],
        synapses: Ints | None = None,
    ) -> None:
        """Let synapses evolve up to a step without events."""
        which = _ALL if synapses is None else synapses
        self._entries.carry(self._table, self._scalars, now, which, since, weights, *states)

    @property
    def learns(self) -> bool:
        """Whether spikes change weights; traces and states follow spikes in any case."""
        return bool(self._table[plastic.LEARNS])

    @learns.setter
    def learns(self, on: bool) -> None:
        self._table[plastic.LEARNS] = on

    def switch(self, on: bool, now: int) -> None:
        """Let spikes after a step change weights, or not."""
        if on != self.learns:
            self.sweep(now)
            self._carry_all(now)
            self.learns = on

    def by_synapse(self) -> dict[str, npt.NDArray[Any]]:
        """Return by name what is kept of each synapse, for the step of the last sweep."""
        since = {"last event": self.since} if keeps_last_event(self.rule) else {}
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

    def begin_watch(self, saved: dict[str, npt.NDArray[Any]], step: int) -> None:
        """Set what is kept of the targets' states to what was saved at a step."""
        assert self.watch is not None
        self.watch.put(saved, step)
        self._point_at_history()

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
        arrays = (*self.synapse_states.values(), self.since, *kept)
        return self.rows.nbytes + self.per_synapse_bytes + sum(one.nbytes for one in arrays)

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
        at = first + int(np.argmin((weights >= self.least) & (weights <= self.most)))
        least, what = self.least, f"its weight has become {float(self.rows.weights[at]):g}"
        if sent := int(self._table[plastic.FAULT_SENT]):
            least, at, what = 0.0, sent - 1, "it transmits a weight"
        target = int(self.layout.gids(self.rows.targets(slice(at, at + 1)))[0])
        what = (
            f"projection {self.projection.name!r}, synapse from gid {self.rows.source(first)} to "
            f"gid {target}: {what}, beyond {least:g} to {self.most:g}"
        )
        return int(self._table[plastic.FAULT_STEP]), target, what
