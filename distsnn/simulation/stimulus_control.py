"""Inputs that a script sets between run calls; the values of rank 0 count on all ranks."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, broadcast_from_rank0, mark_collective
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.spike_trains import receptor_weight, receptor_weights
from distsnn.engine.state_fields import StateField, StateHolder
from distsnn.engine.stimuli import max_stimulus_input
from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network import RateInput, SpikeInput, SpikeSource, Stimulus
from distsnn.network.base import equal_values
from distsnn.network.checks import as_floats, as_indices, check_indices, check_shape, steps_array
from distsnn.network.values import ValueLike
from distsnn.simulation.added_spikes import AddedSpikes, SpikeEvents
from distsnn.simulation.script_changes import ScriptChanges
from distsnn.simulation.set_weights import is_stored, precision_error
from distsnn.simulation.stimulus_changes import (
    changed_fields,
    check_described,
    check_times,
    decode_fields,
    encode_fields,
    has_only_numbers,
    named_fields,
    values_of,
    with_values,
)

# Spikes as one number each: the step, then the neuron.
Keys = npt.NDArray[np.int64]
# The most that a stimulus adds to a step's input, quanta, by receptor plane.
Bound = dict[int, int]

_LAST_STEP = 2**31 - 1
_NONE: Keys = np.empty(0, np.int64)
# Groups of a checkpoint: changed fields of stimuli, and spikes that have not arrived.
_CHANGED, _COMING = "stimulus_changes", "pending_spikes"
# Quanta of a weight: sums of millions of spikes in a step are still exact.
_MOST_QUANTA = 2.0**40


class StimulusControl(StateHolder):
    """Stimuli and spike sources, as a script sets them between two run calls.

    Setting is collective: the values of rank 0 count, and those of other ranks are ignored.

    Parameters
    ----------
    engine : RankEngine
        This rank's engine, connected.
    communicator : Communicator
        The ranks.
    scripted : ScriptChanges
        Notified of everything that is set.
    """

    def __init__(
        self, engine: RankEngine, communicator: Communicator, scripted: ScriptChanges
    ) -> None:
        self._engine, self._communicator, self._scripted = engine, communicator, scripted
        self._network = network = engine.layout.network
        # by how many quanta the input of a step may grow, by receptor plane
        self._input_headroom: list[int] = engine.input_headroom.tolist()
        self._of_weights = [0] * len(self._input_headroom)
        self._described = {
            stimulus.name: stimulus for stimulus in network.stimuli if stimulus.name is not None
        }
        self._current: dict[str, Stimulus] = dict(self._described)
        self._bounds = {name: self._bound(stimulus) for name, stimulus in self._current.items()}
        self._sources = {
            population.name: population
            for population in network.populations
            if isinstance(population.model, SpikeSource)
        }
        self._given = {
            name: AddedSpikes(engine, stimulus, self._input_headroom)
            for name, stimulus in self._current.items()
            if isinstance(stimulus, SpikeInput)
        }
        self._emitted: dict[str, Keys] = {}
        self._declared: tuple[StateField, ...] = ()
        engine.state_holders.append(self)
        self._source_keys: dict[str, Keys] = {}

    def reserve_weights(self, changes: Iterable[npt.NDArray[np.int64]], *, where: str = "") -> None:
        """Reserve input for the weights of static projections that were set. Collective.

        Parameters
        ----------
        changes : iterable of ndarray of int64, shape (n_planes, n_local)
            By projection, the change of the sum of \\|weights\\| onto each local neuron, quanta.
        where : str
            The context for the error.

        Raises
        ------
        DescriptionError
            If a step's input could overflow.
        """
        engine, sums = self._engine, self._engine.synapses.weight_sums
        for change in changes:
            sums = sums + change
        increase = self._communicator.allreduce_max(sums.max(axis=1, initial=0))
        increase -= engine.max_weight_sums
        # input that smaller weights leave stays reserved for setting them back
        growth = (engine.max_weight_count * increase.clip(0)).tolist()
        most = [
            headroom + reserved
            for headroom, reserved in zip(self._input_headroom, self._of_weights, strict=True)
        ]
        for plane, quanta in enumerate(growth):
            if quanta > most[plane]:
                raise mark_collective(
                    DescriptionError(
                        "a step's input could overflow with the new weights",
                        where=where,
                        value=f"{quanta} quanta more onto a neuron",
                        allowed=f"up to {most[plane]}",
                        hint="describe the projection with its largest weights",
                    )
                )
        self._input_headroom[:] = [most[plane] - quanta for plane, quanta in enumerate(growth)]
        self._of_weights = growth

    def set(self, name: str, values: Mapping[str, object]) -> None:
        """Do what `StimulusHandle.set` does. Collective."""
        checked: list[tuple[Stimulus, Bound]] = []

        def changes() -> tuple[str, dict[str, Any]]:
            checked.append(self._checked(name, values))
            return name, named_fields(checked[0][0], values)

        name, changed = broadcast_from_rank0(self._communicator, changes)
        if not checked:  # on the other ranks
            stimulus = with_values(self._current[name], changed, where=f"stimulus {name!r}")
            checked.append((stimulus, self._bound(stimulus)))
        self._apply(name, *checked[0])

    def values(self, name: str) -> dict[str, Any]:
        """Return the values of a stimulus that may change by name, as they are now."""
        return values_of(self._find(name))

    def emit(
        self,
        source: str,
        neurons: ValueLike,
        times: ValueLike | None,
        weights: ValueLike | None,
    ) -> None:
        """Do what `emit` of handles does. Collective."""
        self._add(
            *broadcast_from_rank0(
                self._communicator, lambda: self._checked_spikes(source, neurons, times, weights)
            )
        )

    @property
    def set_values(self) -> dict[str, dict[str, Any]]:
        """Fields that are not as described, by stimulus and name."""
        changed = {
            name: changed_fields(self._described[name], stimulus)
            for name, stimulus in self._current.items()
        }
        return {name: fields for name, fields in changed.items() if fields}

    def set_again(self, values: Mapping[str, Mapping[str, object]]) -> None:
        """Set fields of several stimuli, in any order; not collective.

        Raises
        ------
        DescriptionError
            If they do not fit the network.
        """
        for name in values:
            # input that one has given up is there for all, in any order
            self._find(name)
            self._reserve(name, {})
        for name, fields in values.items():
            stimulus = with_values(self._current[name], fields, where=f"stimulus {name!r}")
            check_described(self._network, stimulus)
            self._apply(name, stimulus, self._checked_bound(stimulus))

    @property
    def fields(self) -> tuple[StateField, ...]:
        """Values that were set, and pending spikes, here or in a checkpoint."""
        held = {key: (values.dtype.name, values.size) for key, values in self._held().items()}
        return self._declared or tuple(
            StateField(
                self._population(name), f"{kind}/{name}", field_name, "script", dtype, size=n
            )
            for (kind, field_name, name), (dtype, n) in held.items()
        )

    def declare(self, saved: Iterable[StateField]) -> None:
        """Declare the values that were set before a checkpoint."""
        self._declared = tuple(field for field in saved if field.owner == "script")

    def _held(self) -> dict[tuple[str, str, str], npt.NDArray[Any]]:
        """Return values by kind, name of the value, and name of the stimulus or source."""
        self._drop_past_spikes()
        held: dict[tuple[str, str, str], npt.NDArray[Any]] = {}
        for name, changed in self.set_values.items():
            held |= {
                (_CHANGED, field_name, name): values
                for field_name, values in encode_fields(changed).items()
            }
        for name, keys in self._emitted.items():
            columns = {"step": keys >> 32, "neuron": keys & 0xFFFFFFFF}
            held |= {
                (_COMING, field_name, name): values
                for field_name, values in columns.items()
                if keys.size
            }
        for name, spikes in self._given.items():
            columns = vars(spikes.left()) if spikes.left().step.size else {}
            held |= {(_COMING, field_name, name): values for field_name, values in columns.items()}
        return held

    def take(self, step: int) -> list[npt.NDArray[Any]]:
        """Return copies of the set values and of pending spikes."""
        return [values.copy() for values in self._held().values()]

    def put(self, values: Sequence[npt.NDArray[Any]], step: int) -> None:
        """Set all that was taken; not collective."""
        changed: dict[str, dict[str, npt.NDArray[Any]]] = {}
        spikes: dict[str, dict[str, npt.NDArray[Any]]] = {}
        for state_field, value in zip(self.fields, values, strict=True):
            kind, name = state_field.group.split("/", 1)
            groups = changed if kind == _CHANGED else spikes
            groups.setdefault(name, {})[state_field.name] = value
        self._declared = ()
        self.set_again(
            {
                name: decode_fields(stored, where=f"stimulus {name!r}")
                for name, stored in changed.items()
            }
        )
        for name, columns in spikes.items():
            times, weights = columns["step"] * self._network.dt, columns.get("weight")
            self._add(*self._checked_spikes(name, columns["neuron"], times, weights))

    def _population(self, name: str) -> str:
        """Return the population of a spike source, or the target's of a stimulus."""
        if name in self._sources:
            return name
        return self._described[name].target.population

    def _find(self, name: str) -> Stimulus:
        if not isinstance(name, str) or name not in self._current:
            raise unknown_name_error("stimulus", name, self._current, where="set")
        return self._current[name]

    def _checked(self, name: str, values: Mapping[str, object]) -> tuple[Stimulus, Bound]:
        """Return a stimulus with other values, and its bound, if it may be so from now on."""
        before = self._find(name)
        after = with_values(before, values, where=f"stimulus {name!r}")
        if has_only_numbers(before, values):
            return after, self._checked_bound(after)
        check_described(self._network, after)
        check_times(before, after, values, self._engine.step, self._network.dt)
        if isinstance(before, RateInput | SpikeInput) and isinstance(after, RateInput | SpikeInput):
            same_weight = equal_values(before.weight, after.weight)
            if not (same_weight and before.receptor == after.receptor):
                self._check_weights(after)
        return after, self._checked_bound(after)

    def _check_weights(self, stimulus: RateInput | SpikeInput) -> None:
        """Check that weights are multiples of their receptor's quantum, as described ones are."""
        layout, quanta = self._engine.layout, self._engine.quanta
        population = stimulus.target.population
        receptors = self._network.population(population).model.receptors
        weights = np.unique(stimulus.weight)
        for sign in (1.0, -1.0):
            plane, _ = receptor_weights(layout, quanta, stimulus, np.array([sign]))
            quantum = quanta.quantum(population, receptors[plane])
            size = weights[np.sign(weights) == sign] * sign / quantum
            bad = (size > _MOST_QUANTA) | ~is_stored(size, np.rint(size))
            if bad.any():
                problem, allowed = precision_error("input", quantum, _MOST_QUANTA * quantum)
                raise DescriptionError(
                    problem,
                    where=f"stimulus {stimulus.name!r}, field weight",
                    value=float(size[np.argmax(bad)] * sign * quantum),
                    allowed=allowed,
                )

    def _checked_bound(self, stimulus: Stimulus) -> Bound:
        """Return the bound of a stimulus if no sum of a step's input can overflow with it."""
        name = str(stimulus.name)
        bound = self._bound(stimulus)
        needed = dict(bound)
        if isinstance(stimulus, SpikeInput):
            for plane, quanta in self._given[name].needed_with(stimulus).items():
                needed[plane] = needed.get(plane, 0) + quanta
        if all(quanta <= self._free_input(name, plane) for plane, quanta in needed.items()):
            return bound
        value, allowed = None, ""
        if isinstance(stimulus, RateInput):
            rate = stimulus.max_rate() / stimulus.processes
            value = f"up to {rate:.6g} spikes/s with a weight of {stimulus.weight:g}"
            allowed = f"up to {self._largest_rate(stimulus):.6g} spikes/s with this weight"
        raise DescriptionError(
            "the summed input of one step could overflow",
            where=f"stimulus {name!r}",
            value=value,
            allowed=allowed,
            hint="describe the stimulus with its largest rate and weights",
        )

    def _free_input(self, name: str, plane: int) -> int:
        """Return how many quanta of a step's input a stimulus can have."""
        added = self._given[name].reserved.get(plane, 0) if name in self._given else 0
        return self._input_headroom[plane] + self._bounds[name].get(plane, 0) + added

    def _largest_rate(self, stimulus: RateInput) -> float:
        """Return the largest rate of a process with which no sum can overflow, spikes/s."""
        engine = self._engine
        plane, weight = receptor_weight(engine.layout, engine.quanta, stimulus)
        if weight == 0:
            return math.inf
        # the inverse of `most_counts`, which rounds up; less by more than rounding errors
        counts = self._free_input(str(stimulus.name), plane) // abs(weight)
        mean = (math.sqrt(max(counts - 40.0, 0.0) + 36.0) - 6.0) ** 2 * (1.0 - 2.0**-40)
        return mean / (self._network.dt * 1e-3) / stimulus.processes

    def _bound(self, stimulus: Stimulus) -> Bound:
        return max_stimulus_input(self._engine.layout, self._engine.quanta, stimulus)

    def _reserve(self, name: str, bound: Bound) -> None:
        """Reserve input for a stimulus, in place of what it has reserved."""
        before = self._bounds[name]
        for plane in {*before, *bound}:
            self._input_headroom[plane] += before.get(plane, 0) - bound.get(plane, 0)
        self._bounds[name] = bound

    def _apply(self, name: str, stimulus: Stimulus, bound: Bound) -> None:
        """Let a stimulus be as described from the next step on."""
        self._reserve(name, bound)
        self._current[name] = stimulus
        self._scripted.add(name)
        self._engine.stimuli.use(stimulus)
        if isinstance(stimulus, SpikeInput):
            self._given[name].use(stimulus)

    def _checked_spikes(
        self,
        source: str,
        neurons: ValueLike,
        times: ValueLike | None,
        weights: ValueLike | None,
    ) -> tuple[str, Keys | SpikeEvents]:
        sizes = {name: population.size for name, population in self._sources.items()}
        sizes |= {name: spikes.stimulus.target.size for name, spikes in self._given.items()}
        if not isinstance(source, str) or source not in sizes:
            raise unknown_name_error("spike source or spike input", source, sizes, where="emit")
        where, dt = f"spikes of {source!r}", self._network.dt
        who = as_indices(np.atleast_1d(np.asarray(neurons)), where=f"{where}, neurons")
        check_indices(who, sizes[source], where=f"{where}, neurons")
        now = self._engine.step
        step = np.full(who.size, now + 1)
        if times is not None:
            place = f"{where}, times"
            when = as_floats(times, where=place)
            when = np.broadcast_to(when, who.shape) if when.ndim == 0 else when
            check_shape(when, who.shape, where=place, meaning="one per neuron")
            step = steps_array(when, dt, where=place)
            bad = (step <= now) | (step > _LAST_STEP)
            if bad.any():
                index = int(np.argmax(bad))
                raise DescriptionError(
                    "out of range",
                    where=f"{place}[{index}]",
                    value=float(when[index]),
                    allowed=f"later than {now * dt:g} ms, up to {_LAST_STEP * dt:g} ms",
                )
        if source in self._given:
            return source, self._given[source].events(step, who.astype(np.int64), weights)
        if weights is not None:
            raise DescriptionError(
                "a SpikeSource takes no weights; the weights of its projections apply",
                where=f"{where}, weights",
            )
        keys = np.sort((step << 32) | who)
        is_duplicate = np.zeros(keys.size, np.bool_)
        is_duplicate[1:] = keys[1:] == keys[:-1]
        for codes in (self._keys_of_source(source), self._emitted.get(source, _NONE)):
            is_duplicate |= codes.searchsorted(keys, side="right") > codes.searchsorted(keys)
        if is_duplicate.any():
            first = int(keys[np.argmax(is_duplicate)])
            raise DescriptionError(
                f"neuron {first & 0xFFFFFFFF} would spike twice in one step",
                where=where,
                value=(first >> 32) * dt,
            )
        return source, keys

    def _keys_of_source(self, source: str) -> Keys:
        if source not in self._source_keys:
            model = self._sources[source].model
            assert isinstance(model, SpikeSource)
            step = steps_array(model.times, self._network.dt, where=source)
            self._source_keys[source] = np.sort((step.astype(np.int64) << 32) | model.neurons)
        return self._source_keys[source]

    def _add(self, source: str, keys: Keys | SpikeEvents) -> None:
        self._drop_past_spikes()
        if isinstance(keys, SpikeEvents):
            self._scripted.add(source)
            self._given[source].add(keys)
            return
        before = self._emitted.get(source, _NONE)
        self._emitted[source] = np.sort(np.concatenate([before, keys]))
        self._scripted.add(source)
        self._engine.add_source_spikes(source, keys >> 32, keys & 0xFFFFFFFF)

    def _drop_past_spikes(self) -> None:
        past = np.int64(self._engine.step + 1) << 32
        for source, keys in self._emitted.items():
            self._emitted[source] = keys[keys.searchsorted(past) :]
