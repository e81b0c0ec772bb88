"""Follow the states of a plastic projection's targets (see `codegen.target_state_entries`)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from distsnn.codegen.plasticity import n_levels, observed_states
from distsnn.codegen.target_state_entries import WatchVariant, delayed_states, target_state_entry
from distsnn.engine.kernel_calls import KernelCall
from distsnn.engine.local_neurons import LocalNeurons
from distsnn.engine.plasticity.calls import RuleCalls
from distsnn.engine.plasticity.post_history import TargetStepHistory
from distsnn.engine.plasticity.targets import PlasticTargets
from distsnn.engine.state_fields import Values, projection_fields
from distsnn.kernels import plastic
from distsnn.network.plastic_synapse import StateDrivenSynapse

# A history of steps takes every step where a potential stays above its threshold: where it has
# become as long as this, rows are swept before it becomes longer.
_LONG_HISTORY = 1024


class TargetStateTracker(PlasticTargets):
    """Targets whose states act in every step, and the stored states.

    Parameters
    ----------
    calls : RuleCalls
        The projection's calls; its rule follows states.
    targets : LocalNeurons
        The targets' population.
    has_synapses : ndarray of bool, shape (n_targets,)
        Which targets have synapses.
    longest : int
        The projection's longest delay, steps, the same on all ranks.
    loop_state : ndarray of int64
        See `kernels.loop`.
    """

    history: TargetStepHistory

    def __init__(
        self,
        calls: RuleCalls,
        targets: LocalNeurons,
        has_synapses: npt.NDArray[np.bool_],
        longest: int,
        loop_state: npt.NDArray[np.int64],
    ) -> None:
        projection, where, size = calls.projection, calls.where, targets.neurons.size
        model = projection.plasticity_rule
        assert isinstance(model, StateDrivenSynapse)
        history = TargetStepHistory(size, n_levels(calls.rule), calls.precision)
        super().__init__(calls, targets, history)
        self._longest, self._n_acts = longest, n_levels(calls.rule)
        entry = target_state_entry(WatchVariant(calls.variant, targets.real))
        first, last = targets.first, targets.last
        self.after_update = self._call = call = KernelCall(
            entry, calls.table, first, last, calls.scalars
        )
        call.bind(plastic.FIRSTS, self.history.newest_index, first)
        self._offsets = where.offsets
        for name in observed_states(calls.rule):
            call.bind(where.observed_states[name], targets.states[name], first)
            call.bind(where.offsets[name], _offset(targets, name))

        # spikes of other ranks arrive up to an epoch late, which is at most their delay
        rows, table = 1 << (2 * longest).bit_length(), calls.table
        self._levels = np.zeros((rows, size), calls.precision)
        call.bind(plastic.LEVELS, self._levels, first)
        table[plastic.LEVEL_MASK], table[plastic.LEVEL_STRIDE] = rows - 1, size
        self._late_names = late = delayed_states(calls.variant.kernel)
        self._late_steps = model.late_steps(calls.layout.network.dt)
        rows = 1 << self._late_steps.bit_length()
        # before the start they were what they are at the start
        start = np.array([targets.states[name] for name in late]).reshape(len(late), size)
        self._late = np.broadcast_to(start, (rows, *start.shape)).copy()
        call.bind(plastic.LATE, self._late)
        table[plastic.LATE_MASK], table[plastic.LATE_STEPS] = rows - 1, self._late_steps
        call.bind(plastic.HAS_SYNAPSES, has_synapses.astype(np.uint8))
        call.bind(plastic.ACTS, np.zeros(size * self._n_acts))
        call.bind(plastic.LOOP_STATE, loop_state)
        sizes = {"levels": longest, "acts": longest * self._n_acts}
        variables = dict.fromkeys(sizes, (calls.precision, "1"))
        if self._late_steps and late:
            sizes["late_states"] = self._late_steps * len(late)
            variables["late_states"] = (targets.real, "1")
        self.fields = projection_fields(
            projection, "target", "target_states", variables, sizes=sizes
        )

    def follow(self, neurons: LocalNeurons) -> None:
        """Follow the targets' parameters, which were changed: states that act late stay."""
        for name, position in self._offsets.items():
            before, now = self._call.referenced_arrays[position], _offset(neurons, name)
            self._call.bind(position, now)
            if name in self._late_names:
                late = self._late[:, self._late_names.index(name)]
                late[:] = np.where(before == now, late, late + before - now)

    @property
    def is_full(self) -> bool:
        """Whether a history may lack room for another step of the targets."""
        return self.history.is_full(int(self._table[plastic.DELIVERED_UNTIL]))

    @property
    def is_long(self) -> bool:
        """Whether rows should be swept before the histories become longer."""
        return self.history.depth >= _LONG_HISTORY

    def take(self, step: int) -> list[Values]:
        """Return levels, acts and late states, target by target, of the steps up to this one."""
        is_local = self.neurons >= 0
        acts = self.history.entries_after(step - self._longest, self._longest)
        levels = self._levels[self._level_rows(step)].T
        late = self._late[self._late_rows(step)].transpose(2, 0, 1)
        values = levels[is_local], acts[is_local], late[is_local]
        return [array.reshape(-1) for array in values[: len(self.fields)]]

    def put(self, values: Sequence[Values], step: int) -> None:
        """Restore the values that were taken at a step."""
        is_local = self.neurons >= 0
        levels = values[0].reshape(-1, self._longest)
        self._levels[np.ix_(self._level_rows(step), is_local)] = levels.T
        of_slots = np.zeros((is_local.size, self._longest, self._n_acts), self._levels.dtype)
        of_slots[is_local] = values[1].reshape(-1, self._longest, self._n_acts)
        self.history.restore(of_slots, step - self._longest)
        self._point()
        for levels_of_step in values[2:]:
            late = levels_of_step.reshape(-1, self._late_steps, len(self._late_names))
            positions = np.ix_(self._late_rows(step), np.arange(len(self._late_names)), is_local)
            self._late[positions] = late.transpose(1, 2, 0)

    def _late_rows(self, step: int) -> npt.NDArray[np.int64]:
        steps = np.arange(step - self._late_steps + 1, step + 1)
        return steps & int(self._table[plastic.LATE_MASK])

    def _level_rows(self, step: int) -> npt.NDArray[np.int64]:
        steps = np.arange(step - self._longest + 1, step + 1)
        return steps & int(self._table[plastic.LEVEL_MASK])


def _offset(neurons: LocalNeurons, name: str) -> npt.NDArray[np.float64]:
    """Return the offset of a state for each of the neurons."""
    size = neurons.last - neurons.first
    return np.array(np.broadcast_to(neurons.offset(name), size), np.float64)
