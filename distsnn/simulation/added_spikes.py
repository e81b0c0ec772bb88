"""Spikes that a script adds to a `SpikeInput`, and the headroom that their sums need."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.stimuli import max_spike_input
from distsnn.errors import DescriptionError
from distsnn.network import SpikeInput
from distsnn.network.checks import as_floats, check_shape
from distsnn.network.values import ValueLike

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SpikeEvents:
    """Given spikes, in the order of their steps.

    Attributes
    ----------
    step, neuron : ndarray of int64, shape (n,)
        When each arrives, and at which neuron of the target.
    weight : ndarray of float64, shape (n,)
        Its weight.
    """

    step: Ints
    neuron: Ints
    weight: Floats

    def after(self, step: int) -> "SpikeEvents":
        """Return those that come after a step."""
        first = int(np.searchsorted(self.step, step, side="right"))
        return SpikeEvents(self.step[first:], self.neuron[first:], self.weight[first:])

    def joined(self, other: "SpikeEvents") -> "SpikeEvents":
        """Return both; spikes of the same step keep their order."""
        step = np.concatenate([self.step, other.step])
        order = np.argsort(step, kind="stable")
        neuron = np.concatenate([self.neuron, other.neuron])
        weight = np.concatenate([self.weight, other.weight])
        return SpikeEvents(step[order], neuron[order], weight[order])


NONE = SpikeEvents(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


class AddedSpikes:
    """Spikes that a script has added to a named `SpikeInput`, and that are still to come.

    Parameters
    ----------
    engine : RankEngine
        This rank's engine.
    stimulus : SpikeInput
        The stimulus.
    input_headroom : list of int
        By how many quanta a step's input may grow, by receptor plane; shared with all inputs.

    Attributes
    ----------
    stimulus : SpikeInput
        The stimulus as it is now.
    pending : SpikeEvents
        Spikes that were pending when the last were added.
    reserved : dict of int to int
        Quanta of a step's input that are reserved for these, by receptor plane.
    """

    def __init__(self, engine: RankEngine, stimulus: SpikeInput, input_headroom: list[int]) -> None:
        self._engine, self.stimulus = engine, stimulus
        self._input_headroom = input_headroom
        self.pending = NONE
        self.reserved: dict[int, int] = {}

    def events(self, step: Ints, neuron: Ints, weights: ValueLike | None) -> SpikeEvents:
        """Return checked spikes: with the stimulus' weight, where none is given.

        Raises
        ------
        DescriptionError
            If a weight is missing, or sums of a step's input could overflow.
        """
        stimulus = self.stimulus
        where = f"spikes of {stimulus.name!r}, weights"
        if weights is None and isinstance(stimulus.weight, np.ndarray):
            raise DescriptionError(
                "the described spikes have different weights: new spikes need their own",
                where=where,
            )
        weight = as_floats(np.asarray(stimulus.weight if weights is None else weights), where=where)
        if weight.ndim:
            check_shape(weight, step.shape, where=where, meaning="one per spike")
        model = self._engine.layout.network.population(stimulus.target.population).model
        model.check_weight(
            stimulus.receptor, float(weight) if not weight.ndim else weight, where=where
        )
        order = np.argsort(step, kind="stable")
        new = SpikeEvents(
            step[order], neuron[order], np.broadcast_to(weight, step.shape)[order].copy()
        )
        for plane, needed in self._needed(stimulus, self.left().joined(new)).items():
            if needed - self.reserved.get(plane, 0) > self._input_headroom[plane]:
                raise DescriptionError(
                    "the summed input of one step could overflow",
                    where=where,
                    value=float(np.abs(new.weight).max()),
                    hint="use smaller weights, or describe the SpikeInput with the largest weight",
                )
        return new

    def add(self, new: SpikeEvents) -> None:
        """Add spikes that were checked."""
        self.pending = self.left().joined(new)
        needed = self._needed(self.stimulus, self.pending)
        for plane in {*needed, *self.reserved}:
            self._input_headroom[plane] -= needed.get(plane, 0) - self.reserved.get(plane, 0)
        self.reserved = needed
        assert self.stimulus.name is not None
        self._engine.stimuli.add_spikes(self.stimulus.name, new.step, new.neuron, new.weight)

    def use(self, stimulus: SpikeInput) -> None:
        """Add the pending spikes, with their weights, to the stimulus as it is from now on."""
        left, self.stimulus, self.pending = self.left(), stimulus, NONE
        self.add(left)

    def needed_with(self, stimulus: SpikeInput) -> dict[int, int]:
        """Return the most that the pending spikes add to a step's input if `stimulus` is used.

        Raises
        ------
        DescriptionError
            If the receptor of the stimulus does not accept their weights.
        """
        left, where = self.left(), f"emitted spikes of {stimulus.name!r}, weights"
        model = self._engine.layout.network.population(stimulus.target.population).model
        model.check_weight(stimulus.receptor, left.weight, where=where)
        return self._needed(stimulus, left)

    def left(self) -> SpikeEvents:
        """Return the pending spikes."""
        return self.pending.after(self._engine.step)

    def _needed(self, stimulus: SpikeInput, events: SpikeEvents) -> dict[int, int]:
        """Return by how much these may add to a step's input, quanta, by receptor plane."""
        layout, quanta = self._engine.layout, self._engine.quanta
        columns = events.step, events.neuron, events.weight
        return max_spike_input(layout, quanta, stimulus, *columns)
