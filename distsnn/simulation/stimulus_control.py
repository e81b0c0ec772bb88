"""Inputs that a script sets between the pieces of a run; rank 0's values count on all ranks."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, broadcast_from_rank0, mark_collective
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.spike_trains import most_counts, receptor_weights
from distsnn.engine.state_fields import StateField, StateHolder
from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network import (
    ConstantCurrent,
    GammaInput,
    NoiseCurrent,
    PoissonInput,
    RateInput,
    Sine,
    SineCurrent,
    SpikeInput,
    SpikeSource,
    StepCurrent,
)
from distsnn.network.checks import (
    ANY,
    NOT_NEGATIVE,
    Interval,
    as_floats,
    as_indices,
    check_indices,
    check_range,
    check_shape,
    steps_array,
)
from distsnn.network.stimuli import PerNeuron, Piecewise, as_per_neuron, sine_ranges
from distsnn.network.values import ValueLike
from distsnn.simulation.added_spikes import AddedSpikes, SpikeEvents
from distsnn.simulation.script_changes import ScriptChanges

# Spikes as one number each: the step, then the neuron.
Keys = npt.NDArray[np.int64]

Stimulus = PoissonInput | GammaInput | ConstantCurrent | StepCurrent | SineCurrent | NoiseCurrent
Values = dict[str, PerNeuron]

_LAST_STEP = 2**31 - 1
_NONE: Keys = np.empty(0, np.int64)
# Kinds of what a checkpoint holds: values for all neurons, or for each; and spikes.
_COMMON, _EACH, _COMING = "stimulus_value", "stimulus_values", "pending_spikes"


@dataclass
class _StimulusState:
    """A stimulus that can be set.

    Attributes
    ----------
    stimulus : PoissonInput, GammaInput, ConstantCurrent, StepCurrent, SineCurrent or NoiseCurrent
        The description.
    plane, weight : int
        Of random spikes, the receptor plane and \\|weight\\|, quanta; else 0.
    counts : int
        A bound of its spikes onto a neuron in one step; 0 for a current.
    values : dict of str to (float or ndarray, shape (n_targets,))
        The values set last, by field.
    """

    stimulus: Stimulus
    plane: int = 0
    weight: int = 0
    counts: int = 0
    values: Values = field(default_factory=dict)


class StimulusControl(StateHolder):
    """Stimuli and spike sources, as a script sets them between two runs.

    Setting is collective: what rank 0 gives counts, and what the others do is not looked at.
    Making it is collective, too.

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
        self._settable: dict[str, _StimulusState] = {}
        for stimulus in network.stimuli:
            if stimulus.name is not None and isinstance(stimulus, Stimulus):
                self._settable[stimulus.name] = self._as_described(stimulus)
        self._sources = {
            population.name: population
            for population in network.populations
            if isinstance(population.model, SpikeSource)
        }
        self._given = {
            stimulus.name: AddedSpikes(engine, stimulus, self._input_headroom)
            for stimulus in network.stimuli
            if isinstance(stimulus, SpikeInput) and stimulus.name is not None
        }
        self._emitted: dict[str, Keys] = {}
        self._declared: tuple[StateField, ...] = ()
        engine.state_holders.append(self)
        self._described: dict[str, Keys] = {}

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

    def set(self, name: str, fields: Mapping[str, ValueLike]) -> None:
        """Do what `StimulusHandle.set` does. Collective."""
        self._apply(*broadcast_from_rank0(self._communicator, lambda: self._checked(name, fields)))

    def values(self, name: str) -> dict[str, PerNeuron | Piecewise]:
        """Return a stimulus's values by name, as they were set last or are described."""
        settable = self._find(name)
        return {
            field_name: settable.values.get(field_name, _described(settable.stimulus, field_name))
            for field_name in self._allowed(settable)
        }

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
    def set_values(self) -> dict[str, Values]:
        """Values that were set, by stimulus and field."""
        return {
            name: settable.values for name, settable in self._settable.items() if settable.values
        }

    def set_again(self, values: Mapping[str, Mapping[str, ValueLike]]) -> None:
        """Set values of several stimuli, in any order; not collective.

        Raises
        ------
        DescriptionError
            If they do not fit the network.
        """
        for name in values:
            # room that one has given up is there for all, in any order
            self._reserve(self._find(name), 0.0)
        for name, fields in values.items():
            self._apply(*self._checked(name, fields))

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
        for name, values in self.set_values.items():
            for field_name, value in values.items():
                described = _described(self._settable[name].stimulus, field_name)
                # a value equal to the description is not a set value
                if type(value) is type(described) and np.array_equal(value, described):
                    continue
                kind = _EACH if isinstance(value, np.ndarray) else _COMMON
                held[kind, field_name, name] = np.atleast_1d(value)
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
        fields: dict[str, dict[str, ValueLike]] = {}
        spikes: dict[str, dict[str, npt.NDArray[Any]]] = {}
        for state_field, value in zip(self.fields, values, strict=True):
            (kind, name), field_name = state_field.group.split("/", 1), state_field.name
            if kind == _COMING:
                spikes.setdefault(name, {})[field_name] = value
            else:
                fields.setdefault(name, {})[field_name] = (
                    value if kind == _EACH else float(value[0])
                )
        self._declared = ()
        self.set_again(fields)
        for name, columns in spikes.items():
            times, weights = columns["step"] * self._network.dt, columns.get("weight")
            self._add(*self._checked_spikes(name, columns["neuron"], times, weights))

    def _population(self, name: str) -> str:
        """Return the population of a spike source, or the target's of a stimulus."""
        if name in self._sources:
            return name
        return next(
            stimulus.target.population
            for stimulus in self._network.stimuli
            if stimulus.name == name
        )

    def _as_described(self, stimulus: Stimulus) -> _StimulusState:
        if not isinstance(stimulus, RateInput):
            return _StimulusState(stimulus)
        engine, counts = self._engine, self._most(stimulus.max_rate())
        plane, weight = receptor_weights(
            engine.layout, engine.quanta, stimulus, np.asarray(stimulus.weight)
        )
        return _StimulusState(stimulus, plane, abs(int(weight)), counts)

    def _find(self, name: str) -> _StimulusState:
        if not isinstance(name, str) or name not in self._settable:
            for stimulus in self._network.stimuli:
                if stimulus.name is not None and stimulus.name == name:
                    raise DescriptionError(
                        f"a {type(stimulus).__name__} cannot be set",
                        where=f"stimulus {name!r}",
                        allowed=" or ".join(f"a {kind.__name__}" for kind in get_args(Stimulus)),
                    )
            raise unknown_name_error("stimulus", name, self._settable, where="set")
        return self._settable[name]

    def _checked(self, name: str, fields: Mapping[str, ValueLike]) -> tuple[str, Values]:
        settable = self._find(name)
        ranges, values = self._allowed(settable), {}
        for other in fields or ["nothing"]:
            if other not in ranges:
                raise unknown_name_error("field", other, ranges, where=f"stimulus {name!r}")
        for field_name, argument in fields.items():
            where = f"stimulus {name!r}, field {field_name}"
            value = as_per_neuron(argument, where=where)
            if isinstance(value, np.ndarray):
                shape = (settable.stimulus.target.size,)
                check_shape(value, shape, where=where, meaning="one value per target neuron")
            check_range(value, ranges[field_name], where=where)
            if isinstance(settable.stimulus, PoissonInput):
                settable.stimulus.check_common(value, where=where)
            values[field_name] = value
        if isinstance(settable.stimulus, RateInput) and isinstance(settable.stimulus.rate, Sine):
            where = f"stimulus {name!r}, offset + |amplitude|"
            check_range(_largest_rate(settable, values), self._allowed_rates(settable), where=where)
        return name, values

    def _apply(self, name: str, values: Values) -> None:
        settable = self._settable[name]
        if isinstance(settable.stimulus, RateInput):
            self._reserve(settable, _largest_rate(settable, values) * settable.stimulus.processes)
        settable.values |= values
        self._scripted.add(name)
        self._engine.stimuli.set(name, values)

    def _reserve(self, settable: _StimulusState, rate: float) -> None:
        """Let a stimulus have room for the counts of a rate, in place of what it has."""
        counts = self._most(rate)
        self._input_headroom[settable.plane] += settable.weight * (settable.counts - counts)
        settable.counts = counts

    def _most(self, rate: float) -> int:
        return most_counts(rate * self._network.dt * 1e-3)

    def _allowed(self, settable: _StimulusState) -> dict[str, Interval]:
        """Return the values that may be set, by field."""
        match settable.stimulus:
            case RateInput(rate=Sine()):
                return sine_ranges(self._network.dt) | {"offset": NOT_NEGATIVE}
            case RateInput():
                return {"rate": self._allowed_rates(settable)}
            case SineCurrent():
                return sine_ranges(self._network.dt)
            case NoiseCurrent():
                return {"mean": ANY, "sd": NOT_NEGATIVE}
        return {"amplitude": ANY}

    def _allowed_rates(self, settable: _StimulusState) -> Interval:
        """Return the rates with which no sum of a step's input can overflow."""
        assert isinstance(settable.stimulus, RateInput)
        if settable.weight == 0:
            return NOT_NEGATIVE
        # the inverse of `most_counts`
        counts = settable.counts + self._input_headroom[settable.plane] // settable.weight
        mean = (math.sqrt(max(counts - 40.0, 0.0) + 36.0) - 6.0) ** 2
        return Interval(0.0, mean / (self._network.dt * 1e-3) / settable.stimulus.processes)

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
        for codes in (self._described_keys(source), self._emitted.get(source, _NONE)):
            is_duplicate |= codes.searchsorted(keys, side="right") > codes.searchsorted(keys)
        if is_duplicate.any():
            first = int(keys[np.argmax(is_duplicate)])
            raise DescriptionError(
                f"neuron {first & 0xFFFFFFFF} would spike twice in one step",
                where=where,
                value=(first >> 32) * dt,
            )
        return source, keys

    def _described_keys(self, source: str) -> Keys:
        if source not in self._described:
            model = self._sources[source].model
            assert isinstance(model, SpikeSource)
            step = steps_array(model.times, self._network.dt, where=source)
            self._described[source] = np.sort((step.astype(np.int64) << 32) | model.neurons)
        return self._described[source]

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


def _described(stimulus: Stimulus, field_name: str) -> PerNeuron | Piecewise:
    """Return a value of a stimulus, as it is described."""
    if isinstance(stimulus, StepCurrent):
        return Piecewise(stimulus.times, stimulus.amplitudes)
    rate = getattr(stimulus, "rate", None)
    described: PerNeuron | Piecewise = getattr(
        rate if isinstance(rate, Sine) else stimulus, field_name
    )
    return described


def _largest_rate(settable: _StimulusState, values: Values) -> float:
    """Return the largest rate of a process of random spikes with other values, spikes/s."""
    assert isinstance(settable.stimulus, RateInput)
    if isinstance(settable.stimulus.rate, Sine):
        return replace(settable.stimulus.rate, **settable.values | values).largest()
    return float(np.max(values["rate"]))
