"""Plastic projections in action: when rows take the spikes of sources and targets."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.codegen.generated import generated_rule_module
from distsnn.codegen.plasticity import (
    RuleKernel,
    changes_between_events,
    is_modulated,
    n_draws,
)
from distsnn.engine.kernel_calls import KernelCall, address, invoke
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import InputRing, LocalNeurons
from distsnn.engine.plasticity.calls import ReceivedSpikes, RuleCalls
from distsnn.engine.plasticity.modulation import ModulatorHistory
from distsnn.engine.plasticity.rows import PlasticRows
from distsnn.engine.plasticity.rule_constants import RuleConstants
from distsnn.engine.plasticity.sources import DeliveredTraces, SourceTraces
from distsnn.engine.plasticity.synapse_draws import key_draws
from distsnn.engine.plasticity.synapse_parameters import synapse_parameters
from distsnn.engine.plasticity.synapses import SynapseStates
from distsnn.engine.plasticity.target_state_tracker import TargetStateTracker
from distsnn.engine.plasticity.targets import PlasticTargets, TargetSpikes
from distsnn.engine.spikes_in_flight import Spikes
from distsnn.engine.state_fields import (
    Ints,
    StateField,
    StateHolder,
    Values,
    parameter_name,
    projection_fields,
)
from distsnn.kernels import plastic
from distsnn.kernels.delivery import GROW
from distsnn.network import EquationSynapse, delay_bounds
from distsnn.network.plastic_synapse import ModulatedSynapse, PlasticSynapse, StateDrivenSynapse
from distsnn.network.quanta import WeightQuanta

# A history for which rows must be swept more often than this is too short.
_SWEEP_MS = 1000.0
_FIRST_QUEUE = 1024


def rule_module_name(model: PlasticSynapse) -> str:
    """Return the import name of a model's kernel module."""
    if isinstance(model, EquationSynapse) and not model.kernel:
        return generated_rule_module(model.model)
    return model.kernel_module


class PlasticDelivery(StateHolder):
    """A plastic projection in action. Its own state is whether it learns.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    rows : PlasticRows
        Its synapses.
    ring : InputRing
        The ring of plastic input.
    spikes : ReceivedSpikes
        Spikes to deliver.
    max_delay : int
        The longest delay of the whole network, steps.
    seed : int
        The run's seed.
    targets : LocalNeurons
        The targets' population.

    Attributes
    ----------
    deliver : KernelCall
        Called with a range of the list: sources spike, or are put into the queue.
    collect : KernelCall or None
        Called every loop where spikes take time to go along their axons.
    rows : PlasticRows
        The synapses.
    synapses : SynapseStates
        Their weights and states.
    sources : SourceTraces
        Traces of the rows' sources.
    settled : DeliveredTraces
        Traces of this rank's neurons as sources.
    targets : PlasticTargets
        What the targets did.
    modulation : ModulatorHistory or None
        What modulates the synapses, if anything does.
    processed_until : ndarray of int32, shape (n_rows,)
        The step up to which each row took events.
    sign : int
        Sign of the weights, which are kept as magnitudes.
    """

    def __init__(
        self,
        layout: LocalLayout,
        quanta: WeightQuanta,
        rows: PlasticRows,
        ring: InputRing,
        spikes: ReceivedSpikes,
        max_delay: int,
        seed: int,
        targets: LocalNeurons,
    ) -> None:
        network, plan = layout.network, rows.row_set.plan
        self.layout, self.rows, self._spikes, self._reach = layout, rows, spikes, max_delay
        self.projection = projection = network.projections[rows.projection]
        model = projection.plasticity_rule
        assert model is not None
        self.sign = model.sign
        self._kernel, self._bits = rule_module_name(model), (plan.word_bits, ring.bits)
        described = synapse_parameters(layout, rows, seed)
        constants = self.constants_of(described | rows.changed)
        self._calls = calls = RuleCalls(layout, projection, constants)
        self._table = table = calls.table
        axonal = model.axonal_steps(network.dt)
        self.deliver = call = calls.call(plastic.enqueue if axonal else plastic.deliver)
        self._sweep = calls.call(plastic.sweep)
        self.collect = calls.call(plastic.release) if axonal else None
        self._set_weights(model, quanta)
        self.synapses = SynapseStates(calls, rows, self.most)
        first_source = network.first_gid[projection.pre.population]
        self.sources = SourceTraces(calls, rows.row_set.sources - first_source)
        self.settled = DeliveredTraces(calls)
        self.processed_until = np.zeros(self.sources.last.size, np.int32)
        arrays: tuple[tuple[int, Values], ...] = (
            (plastic.SPIKE_GID, spikes.gid),
            (plastic.SPIKE_STEP, spikes.step),
            (plastic.BITMAP, rows.row_set.bitmap),
            (plastic.ROWS_BEFORE, rows.row_set.rows_before),
            (plastic.ROW, rows.row_set.row_starts),
            (plastic.WORDS, rows.row_set.words),
            (plastic.WEIGHTS, rows.weights),
            (plastic.LAST_EVENT, self.synapses.since),
            (plastic.SOURCES, self.sources.traces),
            (plastic.LAST, self.sources.last),
            (plastic.PROCESSED_UNTIL, self.processed_until),
            (plastic.FOUND_ROW, np.zeros(plastic.BATCH, np.int64)),
            (plastic.FOUND_LOOP, np.zeros(plastic.BATCH, np.int64)),
            *((calls.where.states[name], array) for name, array in self.synapses.states.items()),
        )
        for position, array in arrays:
            call.bind(position, array)
        words = n_draws(calls.rule)
        self._draw_bytes = key_draws(layout, rows, seed, words, call) if words else 0
        ring.bind_plane(call, plan.plane)
        ring.bind_shape(call)
        self.target_population, self._swept = targets.index, 0
        self.targets = self._targets(targets)
        table[plastic.DELIVERED_UNTIL] = -max_delay
        table[plastic.TARGET_BITS], table[plastic.AXONAL] = plan.target_bits, axonal
        table[plastic.LEARNS], table[plastic.FAULT_ROW] = 1, -1
        self.modulation = None
        if is_modulated(calls.rule):
            assert isinstance(model, ModulatedSynapse)
            entry_of_spikes = calls.entries.modulate if model.modulator else None
            self.modulation = ModulatorHistory(network, projection, call, entry_of_spikes)
        self._queue = np.empty((2, 0), np.int64)
        self._double_queue()
        call.grow = self._double_queue

    @property
    def rule(self) -> RuleKernel:
        """The rule's kernel module."""
        return self._calls.rule

    @property
    def constants(self) -> RuleConstants:
        """Constants of the parameters that it has now."""
        return self._calls.constants

    @property
    def per_synapse_bytes(self) -> int:
        """Bytes of constants that differ from synapse to synapse, and of what keys draws."""
        return self._calls.nbytes + self._draw_bytes

    def constants_of(self, parameters: dict[str, Any]) -> RuleConstants:
        """Return the constants of some parameters, which are not used yet.

        Raises
        ------
        DescriptionError
            If the rule cannot be computed with them.
        """
        return RuleConstants.of(
            *(parameters, self.layout.network.dt, self._kernel, self.projection.weight_type),
            self._bits,
            where=f"parameters of {self.projection.name!r}",
        )

    def _use(self, constants: RuleConstants) -> None:
        """Use constants and bounds from now on; weights do not change."""
        self._calls.use(constants)
        self.synapses.use_bounds()
        self._set_limits()

    def change(self, constants: RuleConstants, now: int, spikes: Spikes) -> None:
        """Use constants of other parameters, for all that comes after a step.

        Synapses, traces and the modulator are brought up to the step with the constants of
        before. Traces of targets are brought up to the longest delay before the step; the spikes
        of targets since then, which may have events ahead of them, count with the new constants.

        Parameters
        ----------
        constants : RuleConstants
            What `constants_of` returned.
        now : int
            Step before which all spikes are known.
        spikes : (ndarray of int32, ndarray of uint32)
            This rank's spikes since the longest delay, stamps and gids.
        """
        before = self.constants
        self.process_pending_events(now)
        self.synapses.bring_up(now)
        self.sources.bring_up(now)
        self.settled.settle_and_bring_up(now, spikes)
        if self.modulation is not None:
            step, value = self.modulation.last()
            was = np.array([value], before.variant.precision)
            since = np.array([now - step], np.float64)
            self.modulation.set_value(now, float(self._calls.faded("m", was, since)[0]))
        self._use(constants)
        self.synapses.clip()
        if self.targets.deliver is not None:
            self.targets.begin_again(before, now - self._reach)
            self._replay(self.targets.deliver, spikes)

    def _replay(self, call: KernelCall, spikes: Spikes) -> None:
        """Call an entry with a range of spikes, which the list of spikes holds for the moment."""
        lists, (step, gid) = self._spikes, spikes
        for first in range(0, gid.size, lists.gid.size):
            part = slice(first, first + lists.gid.size)
            n = gid[part].size
            lists.gid[:n], lists.step[:n] = gid[part], step[part] - 1
            while invoke(call, 0, 0, n) == GROW:
                self.free_history_space()

    def _set_weights(self, model: PlasticSynapse, quanta: WeightQuanta) -> None:
        """Set the factor from weights to quanta, and the smallest and largest weight."""
        name, scalars = self.projection.post.population, self._calls.scalars
        receptors = self.layout.network.population(name).model.receptors
        quantum = quanta.quantum(name, receptors[self.rows.row_set.plan.plane])
        self.most = model.max_magnitude if np.isfinite(model.max_magnitude) else 2.0**40 * quantum
        scalars[plastic.SCALE] = model.sign / quantum
        self.least = model.min_magnitude
        self._set_limits()

    def _set_limits(self) -> None:
        """Set the weights beyond which the run stops: bounds that all synapses share.

        Bounds of single synapses do not count, as other ranks have other synapses.
        """
        low, high = (self.constants.parameters[name] for name in ("w_min", "w_max"))
        min_weight = self.least if np.ndim(low) else float(low)
        max_weight = self.most if np.ndim(high) else min(float(high), self.most)
        self.limits = min_weight, max_weight
        self._calls.scalars[plastic.LEAST], self._calls.scalars[plastic.LIMIT] = self.limits

    def _targets(self, targets: LocalNeurons) -> PlasticTargets:
        """Return what follows the targets: their states where these act, or their spikes."""
        layout, projection, dt = self.layout, self.projection, self.layout.network.dt
        if not isinstance(projection.plasticity_rule, StateDrivenSynapse):
            return TargetSpikes(self._calls, targets, self._reach, self.free_history_space)
        delay = projection.delay
        # delays in a file are not known before it is read, and then to each rank its own
        longest = self._reach if delay is None else delay_bounds(delay, dt)[1]
        reached = self.rows.has_synapses(layout.n_local)[targets.first : targets.last]
        return TargetStateTracker(
            *(self._calls, targets, reached, min(longest, self._reach)),
            self._spikes.state,
        )

    @property
    def state_holders(self) -> list[StateHolder]:
        """Holders of the projection's state; rows only copy the states of their sources."""
        modulation = [] if self.modulation is None else [self.modulation]
        return [self, self.settled, self.targets, self.synapses, *modulation]

    @property
    def _numbers(self) -> dict[str, float]:
        """Parameters that were set and that all synapses share."""
        changed = sorted(self.rows.changed.items())
        return {name: float(values) for name, values in changed if not values.ndim}

    @property
    def fields(self) -> tuple[StateField, ...]:
        """Whether it learns, and parameters that were set."""
        variables = {"learning": ("int32", "1")}
        variables |= {parameter_name(name): ("float64", "1") for name in self._numbers}
        return projection_fields(self.projection, "modulator", variables)

    def declare(self, saved: Iterable[StateField]) -> None:
        """Declare the parameters that were set before a checkpoint."""
        names = {field.key for field in saved if field.owner == "modulator"}
        for name in self.constants.parameters:
            variables = {parameter_name(name): ("float64", "1")}
            (field,) = projection_fields(self.projection, "modulator", variables)
            if field.key in names:
                self.rows.changed[name] = np.zeros(())

    def take(self, step: int) -> list[Values]:
        """Return whether it learns, and parameters that were set."""
        numbers = [np.array([value]) for value in self._numbers.values()]
        return [np.array([self.learns], np.int32), *numbers]

    def put(self, values: Sequence[Values], step: int) -> None:
        """Set whether it learns, and parameters, before it continues from a step."""
        (learns,), *numbers = values
        self.learns = bool(learns)
        self.rows.changed |= {
            name: value.reshape(()) for name, value in zip(self._numbers, numbers, strict=True)
        }
        self._swept = step  # histories may become full while spikes in flight are noted

    def use_changed(self) -> None:
        """Use the parameters that were restored, with weights as they were saved."""
        if self.rows.changed:
            self._use(self.constants_of(self.constants.parameters | self.rows.changed))

    def _double_queue(self) -> None:
        """Make the queue of sources' spikes twice as large."""
        used = self._queue.shape[1]
        size = max(_FIRST_QUEUE, 2 * used)
        queue = np.zeros((2, size), np.int64)
        queue[:, :used] = self._queue
        self._queue = queue
        for position, row in zip((plastic.QUEUE_ROW, plastic.QUEUE_LOOP), queue, strict=True):
            self._table[position] = address(row)
        self._table[plastic.QUEUE_ROOM] = size

    def free_history_space(self) -> None:
        """Let rows take the spikes of a history that is full, or make it larger."""
        now = int(self._spikes.complete_until[0])
        since = now - self._swept
        if since * self.layout.network.dt >= _SWEEP_MS or (self.targets.is_long and since > 0):
            self.process_pending_events(now)
        else:
            self.targets.double()

    def make_room_to_watch(self) -> None:
        """Make room for the next step of the targets, if their states act."""
        while self.targets.is_full:
            self.free_history_space()

    def process_pending_events(self, now: int) -> None:
        """Let all rows take their events up to a step before which all spikes are known."""
        self._take_events(np.arange(self.processed_until.size), now)
        self._swept = now
        self._table[plastic.DELIVERED_UNTIL] = now - self._reach
        if self.modulation is not None:
            self.modulation.drop_until(now)

    def _take_events(self, rows: Ints, now: int) -> None:
        if self.collect is not None:
            invoke(self.collect, now)
        self._sweep.bind(plastic.SWEPT, rows)
        invoke(self._sweep, now, 0, rows.size)

    def _synapses_at(self, now: int) -> SynapseStates:
        """Return the synapses, brought to a step before which all spikes are known."""
        self.process_pending_events(now)
        self.synapses.carry_all(now)
        return self.synapses

    def modulate(self, value: float, now: int) -> None:
        """Set the modulator, for all that comes after a step before which all spikes are known."""
        assert self.modulation is not None
        self._synapses_at(now)
        self.modulation.set_value(now, value)

    def read_weights(self, now: int) -> npt.NDArray[Any]:
        """Return a copy of the weights (magnitudes) as they are at a step."""
        self.process_pending_events(now)
        if not changes_between_events(self._calls.rule):
            return self.rows.weights.copy()
        return self.synapses.read(now)["weight"]

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
            self.process_pending_events(now)
        else:
            self._take_events(rows, now)
        return self.synapses.read(now, synapses)

    def set_weights(self, values: npt.NDArray[Any] | float, now: int) -> None:
        """Set the weights (magnitudes) at a step."""
        self._synapses_at(now)
        self.rows.weights[:] = values

    def set_state(self, name: str, values: npt.NDArray[Any], now: int) -> None:
        """Set a state of the synapses at a step, up to which all others evolve."""
        self.process_pending_events(now)
        self.synapses.bring_up(now)
        self.synapses.states[name][:] = values

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
        self._synapses_at(now).add_weights(sums)

    def scale(self, factors: npt.NDArray[np.float64], now: int) -> None:
        """Multiply the weights onto each local neuron by its factor, at a step."""
        self._synapses_at(now).scale(factors)

    @property
    def learns(self) -> bool:
        """Whether spikes change weights; traces and states follow spikes in any case."""
        return bool(self._table[plastic.LEARNS])

    @learns.setter
    def learns(self, on: bool) -> None:
        self._table[plastic.LEARNS] = on

    def set_learning(self, on: bool, now: int) -> None:
        """Let spikes after a step change weights, or not."""
        if on != self.learns:
            self._synapses_at(now)
            self.learns = on

    def resume(self, step: int, flying: Spikes) -> None:
        """Continue from a step to which synapses were set, with the spikes in flight."""
        row_of = np.full(self.layout.network.n_neurons, -1)
        row_of[self.rows.row_set.sources] = np.arange(self.processed_until.size)
        steps, rows = flying[0].astype(np.int64), row_of[flying[1]]
        has_arrived = self._calls.arrivals(steps) <= step
        is_delivered, is_queued = (rows >= 0) & has_arrived, (rows >= 0) & ~has_arrived
        self.sources.spike(rows[is_delivered], steps[is_delivered])
        if self.modulation is not None:
            self.modulation.resume(step, flying)
        self.processed_until[:] = step
        self._swept = step
        self._table[plastic.DELIVERED_UNTIL] = step - self._reach
        self._table[plastic.QUEUED] = n = int(is_queued.sum())
        while self._queue.shape[1] < n:
            self._double_queue()
        self._queue[:, :n] = rows[is_queued], steps[is_queued] - 1

    @property
    def nbytes(self) -> int:
        """Bytes of the synapses and of all that is kept of their sources and targets."""
        arrays = (
            self.sources.traces,
            self.sources.last,
            self.processed_until,
            self.targets.history.records,
        )
        of_synapses = self.rows.nbytes + self.synapses.nbytes + self.per_synapse_bytes
        return of_synapses + sum(array.nbytes for array in arrays)

    @property
    def events(self) -> int:
        """Synaptic events delivered so far."""
        return int(self._table[plastic.EVENTS])

    def fault(self) -> tuple[int, int, str] | None:
        """Return step, gid of the target and a text of the first weight out of range, if any is."""
        row = int(self._table[plastic.FAULT_ROW])
        if row < 0:
            return None
        first, last = self.rows.row_set.row_starts[row : row + 2].tolist()
        weights = self.rows.weights[first:last]
        min_weight, max_weight = self.limits
        position = first + int(np.argmin((weights >= min_weight) & (weights <= max_weight)))
        problem = f"its weight has become {float(self.rows.weights[position]):g}"
        if sent := int(self._table[plastic.FAULT_SENT]):
            min_weight, position, problem = 0.0, sent - 1, "it transmits a weight"
        target = int(self.layout.to_gids(self.rows.targets(slice(position, position + 1)))[0])
        problem = (
            f"projection {self.projection.name!r}, synapse from gid {self.rows.source(first)} to "
            f"gid {target}: {problem}, beyond {min_weight:g} to {max_weight:g}"
        )
        return int(self._table[plastic.FAULT_STEP]), target, problem
