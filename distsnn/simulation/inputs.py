"""Inputs that a script sets between the pieces of a run; rank 0's values count on all ranks."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, from_first
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.stimuli import most_counts, receptor_weights
from distsnn.errors import DescriptionError, unknown
from distsnn.network import ConstantCurrent, PoissonInput, SpikeSource
from distsnn.network.checks import (
    ANY,
    NOT_NEGATIVE,
    Range,
    as_floats,
    as_indices,
    check_indices,
    check_range,
    check_shape,
    steps_array,
)
from distsnn.network.stimuli import PerNeuron, as_per_neuron
from distsnn.network.values import ValueLike

# Spikes as one number each: the step, then the neuron.
Keys = npt.NDArray[np.int64]

_FIELDS: dict[type, str] = {PoissonInput: "rate", ConstantCurrent: "amplitude"}
_LAST_STEP = 2**31 - 1
_NONE: Keys = np.empty(0, np.int64)


@dataclass
class _Settable:
    """A stimulus that can be set.

    Attributes
    ----------
    stimulus : PoissonInput or ConstantCurrent
        What is described.
    plane, weight : int
        Of a Poisson stimulus, the receptor plane and \\|weight\\|, quanta; else 0.
    counts : int
        A bound of its spikes onto a neuron in one step; 0 for a current.
    value : float or ndarray, shape (n_targets,), or None
        What was set last.
    """

    stimulus: PoissonInput | ConstantCurrent
    plane: int = 0
    weight: int = 0
    counts: int = 0
    value: PerNeuron | None = None


class Inputs:
    """Stimuli and spike sources, as a script sets them between two runs.

    Setting is collective: what rank 0 gives counts, and what the others do is not looked at.
    Making it is collective, too.

    Parameters
    ----------
    engine : RankEngine
        This rank's engine, connected.
    communicator : Communicator
        The ranks.
    """

    def __init__(self, engine: RankEngine, communicator: Communicator) -> None:
        self._engine, self._communicator = engine, communicator
        self._network = network = engine.layout.network
        # by how many quanta the input of a step may grow on every rank, by receptor plane
        self._room: list[int] = (-communicator.allreduce_max(-engine.room)).tolist()
        self._settable: dict[str, _Settable] = {}
        for one in network.stimuli:
            if one.name is not None and isinstance(one, PoissonInput | ConstantCurrent):
                self._settable[one.name] = self._as_described(one)
        self._sources = {
            one.name: one for one in network.populations if isinstance(one.model, SpikeSource)
        }
        self._emitted: dict[str, Keys] = {}
        self._described: dict[str, Keys] = {}
        self._listener: Callable[[list[str]], None] = lambda names: None

    @property
    def names(self) -> list[str]:
        """The stimuli and sources that were set so far."""
        changed = [name for name, one in self._settable.items() if one.value is not None]
        return [*changed, *self._emitted]

    def report_to(self, listener: Callable[[list[str]], None]) -> None:
        """Tell somebody what was set so far, now and whenever there is something new."""
        self._listener = listener
        if self.names:
            listener(self.names)

    def set(self, name: str, fields: Mapping[str, ValueLike]) -> None:
        """Do what `Simulation.set` does. Collective."""
        self._put(*from_first(self._communicator, lambda: self._checked(name, fields)))

    def emit(self, source: str, neurons: ValueLike, times: ValueLike | None) -> None:
        """Do what `Simulation.emit` does. Collective."""
        self._add(
            *from_first(self._communicator, lambda: self._checked_spikes(source, neurons, times))
        )

    def saved(self) -> dict[str, Any]:
        """Return, as JSON-able data, all that still acts."""
        self._forget_past()
        return {
            "values": {
                name: np.asarray(one.value).tolist()
                for name, one in self._settable.items()
                if one.value is not None
            },
            "spikes": {
                name: {"step": (keys >> 32).tolist(), "neuron": (keys & 0xFFFFFFFF).tolist()}
                for name, keys in self._emitted.items()
            },
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Set all that `saved` returned, at the same step; not collective.

        Raises
        ------
        DescriptionError
            If it does not fit the network.
        """
        values, emitted = saved.get("values", {}), saved.get("spikes", {})
        _check_saved(values, emitted)
        fields = {name: _FIELDS[type(self._find(name).stimulus)] for name in values}
        for name in values:
            self._put(name, 0.0)  # room that one has given up is there for all, in any order
        for name, value in values.items():
            self._put(*self._checked(name, {fields[name]: value}))
        for name, spikes in emitted.items():
            times = np.asarray(spikes["step"], np.float64) * self._network.dt
            self._add(*self._checked_spikes(name, spikes["neuron"], times))

    def _as_described(self, one: PoissonInput | ConstantCurrent) -> _Settable:
        if isinstance(one, ConstantCurrent):
            return _Settable(one)
        engine, counts = self._engine, self._most(one.max_rate())
        plane, weight = receptor_weights(engine.layout, engine.quanta, one, np.asarray(one.weight))
        return _Settable(one, plane, abs(int(weight)), counts)

    def _find(self, name: str) -> _Settable:
        if not isinstance(name, str) or name not in self._settable:
            for one in self._network.stimuli:
                if one.name is not None and one.name == name:
                    raise DescriptionError(
                        f"a {type(one).__name__} cannot be set",
                        where=f"stimulus {name!r}",
                        allowed=" or ".join(f"a {kind.__name__}" for kind in _FIELDS),
                    )
            raise unknown("stimulus", name, self._settable, where="set")
        return self._settable[name]

    def _checked(self, name: str, fields: Mapping[str, ValueLike]) -> tuple[str, PerNeuron]:
        one = self._find(name)
        field = _FIELDS[type(one.stimulus)]
        where = f"stimulus {name!r}, field {field}"
        if [*fields] != [field]:
            given = next((other for other in fields if other != field), "nothing")
            raise unknown("field", given, [field], where=f"stimulus {name!r}")
        value = as_per_neuron(fields[field], where=where)
        if isinstance(value, np.ndarray):
            shape = (one.stimulus.target.size,)
            check_shape(value, shape, where=where, of="one value per target neuron")
        check_range(value, self._allowed(one), where=where)
        return name, value

    def _put(self, name: str, value: PerNeuron) -> None:
        one = self._settable[name]
        if isinstance(one.stimulus, PoissonInput):
            counts = self._most(value if isinstance(value, float) else float(value.max()))
            self._room[one.plane] += one.weight * (one.counts - counts)
            one.counts = counts
        one.value, new = value, one.value is None
        if new:
            self._listener(self.names)
        self._engine.stimuli.set(name, value)

    def _most(self, rate: float) -> int:
        return most_counts(rate * self._network.dt * 1e-3)

    def _allowed(self, one: _Settable) -> Range:
        """Return the values with which no sum of a step's input can overflow."""
        if isinstance(one.stimulus, ConstantCurrent):
            return ANY
        if one.weight == 0:
            return NOT_NEGATIVE
        # the inverse of `most_counts`
        counts = one.counts + self._room[one.plane] // one.weight
        mean = (math.sqrt(max(counts - 40.0, 0.0) + 36.0) - 6.0) ** 2
        return Range(0.0, mean / (self._network.dt * 1e-3))

    def _checked_spikes(
        self, source: str, neurons: ValueLike, times: ValueLike | None
    ) -> tuple[str, Keys]:
        if not isinstance(source, str) or source not in self._sources:
            raise unknown("population of spike sources", source, self._sources, where="emit")
        where, dt = f"spikes of {source!r}", self._network.dt
        who = as_indices(np.atleast_1d(np.asarray(neurons)), where=f"{where}, neurons")
        check_indices(who, self._sources[source].size, where=f"{where}, neurons")
        now = self._engine.step
        step = np.full(who.size, now + 1)
        if times is not None:
            place = f"{where}, times"
            when = as_floats(times, where=place)
            when = np.broadcast_to(when, who.shape) if when.ndim == 0 else when
            check_shape(when, who.shape, where=place, of="one per neuron")
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
        keys = np.sort((step << 32) | who)
        twice = np.zeros(keys.size, np.bool_)
        twice[1:] = keys[1:] == keys[:-1]
        for known in (self._described_keys(source), self._emitted.get(source, _NONE)):
            twice |= known.searchsorted(keys, side="right") > known.searchsorted(keys)
        if twice.any():
            first = int(keys[np.argmax(twice)])
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

    def _add(self, source: str, keys: Keys) -> None:
        self._forget_past()
        new = source not in self._emitted
        before = self._emitted.get(source, _NONE)
        self._emitted[source] = np.sort(np.concatenate([before, keys]))
        if new:
            self._listener(self.names)
        self._engine.emit(source, keys >> 32, keys & 0xFFFFFFFF)

    def _forget_past(self) -> None:
        past = np.int64(self._engine.step + 1) << 32
        for source, keys in self._emitted.items():
            self._emitted[source] = keys[keys.searchsorted(past) :]


def _check_saved(values: object, emitted: object) -> None:
    """Raise DescriptionError unless what was saved is of the kinds that `saved` returns."""
    fits = isinstance(values, dict) and isinstance(emitted, dict)
    if not fits or not all(map(_are_spikes, emitted.values())):  # type: ignore[attr-defined]
        raise DescriptionError("not inputs as they are saved", where="inputs")


def _are_spikes(saved: object) -> bool:
    match saved:
        case {"step": [*steps], "neuron": [*neurons]}:
            numbers = [*steps, *neurons]
            whole = all(type(one) is int and 0 <= one < 2**32 for one in numbers)
            return whole and len(steps) == len(neurons)
    return False
