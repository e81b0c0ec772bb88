"""Stimuli as a script changes them: with which values, and how a checkpoint contains these."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network import Network, Piecewise, Sine, SpikeInput, Stimulus
from distsnn.network.base import equal_values
from distsnn.network.checks import steps_array
from distsnn.network.description import stored_classes
from distsnn.network.serialise import Arrays, decode, encode
from distsnn.units import to_steps

AnyStimulus = TypeVar("AnyStimulus", bound=Stimulus)

# Fields that stay as described, with the reason.
_FIXED = {
    "target": "the ranks of the described target neurons compute the stimulus",
    "name": "scripts and checkpoints find the stimulus by its name",
    "n": "each process has a state, of which a checkpoint contains the described number",
}
_DOCUMENT = "values"
_COURSES = Piecewise, Sine


def values_of(stimulus: Stimulus) -> dict[str, Any]:
    """Return the values that may change by name; of a rate that is a `Sine`, also the sine's."""
    values = {
        name: getattr(stimulus, name) for name in _field_names(stimulus) if name not in _FIXED
    }
    rate = values.get("rate")
    return values | (rate.values() if isinstance(rate, Sine) else {})


def has_only_numbers(stimulus: Stimulus, values: Mapping[str, object]) -> bool:
    """Return whether these values are numbers that `Stimulus.with_numbers` takes."""
    for name, value in values.items():
        if name not in stimulus.per_neuron or isinstance(value, _COURSES):
            return False
    return bool(values)


def with_values(stimulus: AnyStimulus, values: Mapping[str, object], *, where: str) -> AnyStimulus:
    """Return a stimulus with other values, of which each by itself can be described.

    Numbers that `has_only_numbers` finds are checked; `check_described` checks all other values.

    Raises
    ------
    DescriptionError
        If it has no such value, the value does not change in a run, or cannot be described.
    """
    if has_only_numbers(stimulus, values):  # closed loops set these in every step
        return stimulus.with_numbers(values, where=where)
    for name in values:
        if name in _FIXED and hasattr(stimulus, name):
            raise DescriptionError(
                f"cannot be changed during a run: {_FIXED[name]}", where=f"{where}, field {name}"
            )
    described = _field_names(stimulus)
    own: dict[str, Any] = {name: values[name] for name in values if name in described}
    of_sine: dict[str, Any] = {name: values[name] for name in values if name not in own}
    try:
        if not values:
            allowed = ", ".join(values_of(stimulus))
            raise DescriptionError("no value to set", allowed=allowed)
        if own:
            stimulus = replace(stimulus, **own)
        if of_sine:
            present = values_of(stimulus)
            for name in of_sine:
                if name not in present:
                    raise unknown_name_error("field", name, present)
            rate: dict[str, Any] = {"rate": replace(present["rate"], **of_sine)}
            stimulus = replace(stimulus, **rate)
    except DescriptionError as error:
        raise error.in_context(where) from None
    return stimulus


def named_fields(stimulus: Stimulus, values: Iterable[str]) -> dict[str, Any]:
    """Return the fields of a stimulus that contain the values of these names."""
    described = _field_names(stimulus)
    own = {name if name in described else "rate" for name in values}
    return {name: getattr(stimulus, name) for name in own}


def _field_names(stimulus: Stimulus) -> list[str]:
    return [field.name for field in fields(stimulus)]


def check_times(
    before: Stimulus, after: Stimulus, changed: Mapping[str, object], step: int, dt: float
) -> None:
    """Check that changed times of a stimulus are to come.

    A course (`Piecewise`, `StepCurrent`) may begin before: it acts as if it had been described.

    Parameters
    ----------
    before, after : Stimulus
        The stimulus, valid both times.
    changed : mapping of str to object
        The fields that the script has named.
    step : int
        Steps done.
    dt : float, ms
        Time step.

    Raises
    ------
    DescriptionError
        If spikes would arrive, or the stimulus would start or stop, before now.
    """
    where, now = f"stimulus {after.name!r}", f"{step * dt:g} ms"
    if isinstance(after, SpikeInput) and "times" in changed and after.times.size:
        first = after.times[0]  # they are sorted
        if steps_array(after.times[:1], dt, where=where)[0] <= step:
            raise DescriptionError(
                "a spike at a time up to now cannot arrive any more",
                where=f"{where}, field times",
                value=float(first),
                allowed=f"later than {now}",
            )
    for name in ("start", "stop"):
        time = getattr(after, name, None)
        if name not in changed or time is None or time == getattr(before, name):
            continue
        if np.isfinite(time) and to_steps(time, dt, where=where) < step:
            present = getattr(before, name)
            unit = " ms" if np.isfinite(present) else ""
            raise DescriptionError(
                f"the stimulus cannot {name} before now",
                where=f"{where}, field {name}",
                value=time,
                allowed=f"{now} or later, or its present {name}, {present:g}{unit}",
            )


def changed_fields(described: Stimulus, current: Stimulus) -> dict[str, Any]:
    """Return the fields of a stimulus that are not as described, by name."""
    values = {name: getattr(current, name) for name in _field_names(current)}
    return {
        name: value
        for name, value in values.items()
        if not equal_values(getattr(described, name), value)
    }


def encode_fields(values: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Return fields of a stimulus as arrays of one dimension by name, none of them empty."""
    arrays: Arrays = {}
    encoded = {
        name: encode(value, name, arrays, stored_classes()) for name, value in values.items()
    }
    shapes = {path: [array.dtype.name, *array.shape] for path, array in arrays.items()}
    document = json.dumps({"values": encoded, "arrays": shapes}, sort_keys=True).encode()
    stored = {f"array {path}": array.reshape(-1) for path, array in arrays.items() if array.size}
    # checkpoints have no bytes
    return {_DOCUMENT: np.frombuffer(document, np.uint8).astype(np.int32)} | stored


def decode_fields(stored: Mapping[str, npt.NDArray[Any]], *, where: str) -> dict[str, Any]:
    """Return the fields that `encode_fields` was called on.

    Raises
    ------
    ValueError
        If the arrays do not contain fields of a stimulus.
    """
    try:
        document = json.loads(bytes(stored[_DOCUMENT].tolist()))
        arrays = {
            path: stored.get(f"array {path}", np.empty(0, dtype)).reshape(shape)
            for path, (dtype, *shape) in document["arrays"].items()
        }
        return {
            name: decode(value, arrays, stored_classes(), f"{where}.{name}")
            for name, value in document["values"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"changed fields of {where}: {error!r}") from error


def check_described(network: Network, stimulus: Stimulus) -> None:
    """Check a stimulus with changed values as the network's description would.

    Raises
    ------
    DescriptionError
        If it cannot be described so.
    """
    model = network.population(stimulus.target.population).model
    stimulus.check(model, network.dt, where=f"stimulus {stimulus.name!r}")
