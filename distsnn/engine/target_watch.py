"""How a plastic projection follows the states of its targets (see `codegen.watch_entries`)."""

from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.codegen.plasticity import (
    PlasticVariant,
    n_levels,
    plastic_layout,
    rule_kernel,
    watched,
)
from distsnn.codegen.watch_entries import WatchVariant, late_states, watch_entry
from distsnn.engine.populations import Neurons
from distsnn.engine.post_history import FillingHistory
from distsnn.engine.tables import Call
from distsnn.kernels import plastic
from distsnn.network.plastic_synapse import WatchingSynapse


class TargetWatch:
    """What is kept of the states that act on a projection's synapses.

    Parameters
    ----------
    neurons : Neurons
        The targets' population.
    history : FillingHistory
        The steps in which they acted.
    reached : ndarray of bool, shape (n_targets,)
        Which targets have synapses.
    longest : int
        The projection's longest delay, steps, the same on all ranks.
    dt : float
        Step, ms.
    model : WatchingSynapse
        The rule.
    variant : PlasticVariant
        The projection's entries.
    call : Call
        The projection's call, whose table tells of all this.
    loop_state : ndarray of int64
        See `kernels.loop`.

    Attributes
    ----------
    call : Call
        Called after every step of the targets.
    """

    def __init__(
        self,
        neurons: Neurons,
        history: FillingHistory,
        reached: npt.NDArray[np.bool_],
        longest: int,
        dt: float,
        model: WatchingSynapse,
        variant: PlasticVariant,
        call: Call,
        loop_state: npt.NDArray[np.int64],
    ) -> None:
        where, size = plastic_layout(variant), neurons.last - neurons.first
        self._history, self._longest, self._table = history, longest, call.table
        self._real = neurons.neurons >= 0
        entry = watch_entry(WatchVariant(variant, neurons.real))
        self.call = mine = Call(entry, call.table, neurons.first, neurons.last, call.scalars)
        self._offsets = where.offsets
        rule = rule_kernel(variant.kernel)
        self._n_acts = n_levels(rule)
        for name in watched(rule):
            mine.point(where.watched[name], neurons.states[name], neurons.first)
            mine.point(where.offsets[name], _offset(neurons, name))

        # others' spikes come up to an epoch late, which is no longer than their delays
        rows = 1 << (2 * longest).bit_length()
        self._levels = np.zeros((rows, size), variant.precision)
        call.point(plastic.LEVELS, self._levels, neurons.first)
        call.table[plastic.LEVEL_MASK], call.table[plastic.LEVEL_STRIDE] = rows - 1, size
        self._late_names = late = late_states(variant.kernel)
        self._late_steps = model.late_steps(dt)
        rows = 1 << self._late_steps.bit_length()
        # before the start they were what they are at the start
        start = np.array([neurons.states[name] for name in late]).reshape(len(late), size)
        self._late = np.broadcast_to(start, (rows, *start.shape)).copy()
        mine.point(plastic.LATE, self._late)
        call.table[plastic.LATE_MASK], call.table[plastic.LATE_STEPS] = rows - 1, self._late_steps
        mine.point(plastic.HAS_SYNAPSES, reached.astype(np.uint8))
        mine.point(plastic.ACTS, np.zeros(size * self._n_acts))
        mine.point(plastic.LOOP_STATE, loop_state)

    def follow(self, neurons: Neurons) -> None:
        """Follow the targets' parameters, which were changed: states that act late stay."""
        for name, at in self._offsets.items():
            before, now = self.call.keep[at], _offset(neurons, name)
            self.call.point(at, now)
            if name in self._late_names:
                late = self._late[:, self._late_names.index(name)]
                late[:] = np.where(before == now, late, late + before - now)

    @property
    def is_full(self) -> bool:
        """Whether a history may lack room for another step."""
        return self._history.is_full(int(self._table[plastic.SETTLED]))

    def names(self) -> dict[str, int]:
        """Return by which names it is saved, and how many values a target has of each."""
        late = self._late_steps * self._late.shape[1]
        found = {"late states": late, "levels of targets": self._longest}
        found["acts of targets"] = self._longest * self._n_acts
        return {name: size for name, size in found.items() if size}

    def saved(self, step: int) -> dict[str, npt.NDArray[Any]]:
        """Return what is saved at a step up to which all rows were swept.

        Returns
        -------
        dict of str to ndarray, shape (n_real_targets * n_values,)
            Target by target in the order of the rank's blocks, step by step up to this one.
        """
        acts = self._history.since(step - self._longest, self._longest)
        made = {
            "late states": self._late[self._late_rows(step)].transpose(2, 0, 1)[self._real],
            "levels of targets": self._levels[self._level_rows(step)].T[self._real],
            "acts of targets": acts[self._real],
        }
        return {name: made[name].reshape(-1) for name in self.names()}

    def put(self, saved: dict[str, npt.NDArray[Any]], step: int) -> None:
        """Set it to what was saved at a step."""
        n = int(self._real.sum())
        if self._late_steps:
            values = saved["late states"].reshape(n, self._late_steps, -1)
            rows = np.zeros((self._late_steps, *self._late.shape[1:]), self._late.dtype)
            rows[:, :, self._real] = values.transpose(1, 2, 0)
            self._late[self._late_rows(step)] = rows
        levels = np.zeros((self._longest, self._real.size), self._levels.dtype)
        levels[:, self._real] = saved["levels of targets"].reshape(n, self._longest).T
        self._levels[self._level_rows(step)] = levels
        shape = (self._longest, self._n_acts)
        acts = np.zeros((self._real.size, *shape), self._levels.dtype)
        acts[self._real] = saved["acts of targets"].reshape(n, *shape)
        self._history.begin(acts, step - self._longest)

    def _late_rows(self, step: int) -> npt.NDArray[np.int64]:
        steps = np.arange(step - self._late_steps + 1, step + 1)
        return steps & int(self._table[plastic.LATE_MASK])

    def _level_rows(self, step: int) -> npt.NDArray[np.int64]:
        steps = np.arange(step - self._longest + 1, step + 1)
        return steps & int(self._table[plastic.LEVEL_MASK])


def _offset(neurons: Neurons, name: str) -> npt.NDArray[np.float64]:
    """Return what is to be added to a state of each of the neurons."""
    size = neurons.last - neurons.first
    return np.array(np.broadcast_to(neurons.offset(name), size), np.float64)
