"""Weights and states of a plastic projection's synapses on a rank."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.codegen.plasticity import changes_between_events, keeps_last_event
from distsnn.engine.plasticity.calls import RuleCalls
from distsnn.engine.plasticity.rows import PlasticRows
from distsnn.engine.plasticity.synapse_parameters import first_states
from distsnn.engine.state_fields import (
    CountedHolder,
    Ints,
    StateField,
    Values,
    projection_fields,
    saved_names,
)
from distsnn.kernels import scaling

Floats = npt.NDArray[np.float64]

_ALL: Ints = np.empty(0, np.int64)


class SynapseStates(CountedHolder):
    """Weights and states of synapses, each for the step of the row's last sweep.

    Parameters
    ----------
    calls : RuleCalls
        The projection's calls.
    rows : PlasticRows
        Its synapses.
    largest_weight : float
        The largest weight (magnitude) that can be transmitted.

    Attributes
    ----------
    lower, upper : ndarray of float64, shape (1,) or (n_synapses,)
        The least and the largest weight (magnitudes) of all synapses, or of each.
    states : dict of str to ndarray, shape (n_synapses,)
        The states.
    since : ndarray of int32, shape (n_synapses,) or (0,)
        The steps of last events.
    """

    def __init__(self, calls: RuleCalls, rows: PlasticRows, largest_weight: float) -> None:
        self._calls, self._rows, self._largest_weight = calls, rows, largest_weight
        rule, constants = calls.rule, calls.constants.values
        self.states = first_states(rule, constants, rows.synapses, calls.precision)
        self.since = np.zeros(rows.synapses if keeps_last_event(rule) else 0, np.int32)
        self.use_bounds()
        self.clip()  # rounding may have taken weights beyond their bounds

    def use_bounds(self) -> None:
        """Use the current bounds of the projection."""
        parameters = self._calls.constants.parameters
        self.lower = np.atleast_1d(parameters["w_min"])
        self.upper = np.atleast_1d(np.minimum(parameters["w_max"], self._largest_weight))

    def clip(self) -> None:
        """Set weights beyond their bounds to these bounds."""
        weights = self._rows.weights
        low, high = (bound.astype(weights.dtype) for bound in (self.lower, self.upper))
        np.clip(weights, low, high, out=weights)

    @property
    def _groups(self) -> dict[str, dict[str, Values]]:
        """All values by group and name, with parameters that were set for each synapse."""
        changed = sorted(self._rows.changed.items())
        has_events = keeps_last_event(self._calls.rule)
        return {
            "synapses": {"weight": self._rows.weights, **self.states},
            "synapse_events": {"last_event": self.since} if has_events else {},
            "synapse_parameters": {name: values for name, values in changed if values.ndim},
        }

    @property
    def _values(self) -> list[Values]:
        return [values for group in self._groups.values() for values in group.values()]

    @property
    def fields(self) -> tuple[StateField, ...]:
        """Weights, states, and parameters that were set for each synapse."""
        model = self._calls.projection.plasticity_rule
        assert model is not None
        units = {name: state.unit for name, state in model.synapse_states.items()}
        units["weight"] = model.weight_unit or "weight"
        declared: list[StateField] = []
        for group, by_name in self._groups.items():
            units_here = {"last_event": "step"} if group == "synapse_events" else units
            variables = {
                name: (values.dtype.name, units_here.get(name, "1"))
                for name, values in by_name.items()
            }
            declared += projection_fields(
                *(self._calls.projection, "synapse", group, variables),
                count_group="synapse_counts",
            )
        return tuple(declared)

    def declare(self, saved: Iterable[StateField]) -> None:
        """Declare the parameters by synapse that were set before a checkpoint."""
        projection = self._calls.projection
        population = projection.post.population
        for name in saved_names(saved, population, "synapse_parameters", projection):
            self._rows.changed[name] = np.zeros(self._rows.synapses)

    def _blocks(self) -> tuple[npt.NDArray[np.int16], int]:
        """Return the block of each synapse's target among the rank's, and how many these are."""
        layout = self._calls.layout
        starts = layout.block_first_local[
            layout.blocks_of_rank(self._calls.projection.post.population)
        ]
        # narrow numbers are sorted faster
        block = np.searchsorted(starts, self._rows.targets(), side="right") - 1
        return block.astype(np.int16), starts.size

    def counts(self) -> Ints:
        """Return the number of synapses onto each of the rank's blocks."""
        blocks, n = self._blocks()
        return np.bincount(blocks, minlength=n)

    def take(self, step: int) -> list[Values]:
        """Return copies by block of targets, in the order of source and of drawing."""
        order = np.argsort(self._blocks()[0], kind="stable")
        return [values[order] for values in self._values]

    def put(self, values: Sequence[Values], step: int) -> None:
        """Set all that is kept of the synapses."""
        order = np.argsort(self._blocks()[0], kind="stable")
        for array, saved_values in zip(self._values, values, strict=True):
            array[order] = saved_values

    def read(self, now: int, synapses: Ints | None = None) -> dict[str, Values]:
        """Return copies of weights and states of some synapses, swept up to a step, as then."""
        part: Any = slice(None) if synapses is None else synapses
        # a copy in either case: of a slice, and of what an array of numbers picks
        weights, *states = (
            np.array(values[part]) for values in (self._rows.weights, *self.states.values())
        )
        if keeps_last_event(self._calls.rule):
            self._carry(now, np.array(self.since[part]), weights, states, synapses)
        return {"weight": weights} | dict(zip(self.states, states, strict=True))

    def bring_up(self, now: int) -> None:
        """Store weights and states of a step, which becomes the step of the last event."""
        if keeps_last_event(self._calls.rule):
            self._carry(now, self.since, self._rows.weights, list(self.states.values()))
            self.since[:] = now

    def carry_all(self, now: int) -> None:
        """Let synapses evolve up to a step without events."""
        if changes_between_events(self._calls.rule):  # fading has no end to be noted
            self._carry(now, self.since, self._rows.weights, list(self.states.values()))

    def _carry(
        self,
        now: int,
        since: npt.NDArray[np.int32],
        weights: Values,
        states: list[Values],
        synapses: Ints | None = None,
    ) -> None:
        calls, which = self._calls, _ALL if synapses is None else synapses
        calls.entries.carry(calls.table, calls.scalars, now, which, since, weights, *states)

    def add_weights(self, sums: Floats) -> None:
        """Add the weights to sums by local neuron."""
        scaling.add_weights(self._rows.row_set.words, self._rows.weights, self._target_mask, sums)

    def scale(self, factors: Floats) -> None:
        """Multiply the weights onto each local neuron by its factor, within their bounds."""
        words, weights = self._rows.row_set.words, self._rows.weights
        bounds = self.lower, self.upper
        scaling.scale_weights(words, weights, self._target_mask, factors, *bounds)

    @property
    def _target_mask(self) -> int:
        return (1 << self._rows.row_set.plan.target_bits) - 1

    @property
    def nbytes(self) -> int:
        """Bytes of all but the weights."""
        return sum(values.nbytes for values in (*self.states.values(), self.since))
