"""Descriptions as JSON-able data plus named arrays, and back."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from inspect import isabstract, signature
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown
from distsnn.network.base import ADDED, Description, FrozenMapping
from distsnn.network.equations.declarations import OfEquations
from distsnn.network.equations.neuron_model import NeuronModel
from distsnn.network.equations.plasticity_model import PlasticityModel
from distsnn.network.model import Model, Neuron, SynapseModel
from distsnn.network.registry import model_named, synapse_named

Arrays = dict[str, npt.NDArray[Any]]

# Descriptions are written with their class's name, models with their name in the registry, or with
# their equations; what JSON lacks is written as an object with one of these keys.
_CLASS, _MODEL, _SYNAPSE, _FIELDS = "is", "model", "synapse", "fields"
_ARRAY, _FLOAT, _MAP = "array", "float", "map"


def encode(value: object, path: str, arrays: Arrays, fingerprints: bool = True) -> Any:
    """Return JSON-able data for a description or one of its values.

    Parameters
    ----------
    value : object
        A description, array, mapping, sequence, number, string or None.
    path : str
        Path of the value, under which an array is filed.
    arrays : dict
        Gets the arrays.
    fingerprints : bool
        Whether size and hash of the files that it names are filled in.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_FLOAT: repr(value)}
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {_ARRAY: path}
    if isinstance(value, tuple):
        return [
            encode(item, f"{path}/{index}", arrays, fingerprints)
            for index, item in enumerate(value)
        ]
    if isinstance(value, FrozenMapping):
        return {
            _MAP: {
                key: encode(item, f"{path}/{key}", arrays, fingerprints)
                for key, item in value.items()
            }
        }
    if isinstance(value, Description):
        value = value.stored() if fingerprints else value
        items = {}
        for field in fields(value):
            if field.metadata.get(ADDED) and _is_default(getattr(value, field.name), field.default):
                continue
            place = f"{path}/{field.name}" if path else field.name
            items[field.name] = encode(getattr(value, field.name), place, arrays, fingerprints)
        if isinstance(value, Neuron | SynapseModel):
            kind = _MODEL if isinstance(value, Neuron) else _SYNAPSE
            model: Any = value.name
            if isinstance(value, OfEquations):
                model = encode(value.model, f"{path}/model", arrays, fingerprints)
            return {kind: model, _FIELDS: items}
        return {_CLASS: type(value).__name__, _FIELDS: items}
    raise TypeError(f"a {type(value).__name__} has no place in a description")


def _is_default(value: object, default: object) -> bool:
    return isinstance(value, float) and value == default


def decode(
    data: Any,
    arrays: Mapping[str, npt.NDArray[Any]],
    classes: Mapping[str, type[Description]],
    path: str = "network",
) -> Any:
    """Return what `encode` was given.

    Parameters
    ----------
    data : object
        JSON-able data.
    arrays : mapping of str to ndarray
        The arrays.
    classes : mapping of str to type
        Descriptions by class name.
    path : str
        Where `data` stands, for errors.

    Raises
    ------
    DescriptionError
        If a class, model or array is unknown, or the description is not valid.
    """
    if isinstance(data, list):
        return [decode(item, arrays, classes, f"{path}[{i}]") for i, item in enumerate(data)]
    if not isinstance(data, dict):
        return data
    if _FLOAT in data:
        if data[_FLOAT] not in ("inf", "-inf", "nan"):
            raise DescriptionError("not a stored number", where=path, value=data[_FLOAT])
        return float(data[_FLOAT])
    if _ARRAY in data:
        if not isinstance(data[_ARRAY], str) or data[_ARRAY] not in arrays:
            raise unknown("stored array", data[_ARRAY], arrays, where=path)
        return np.asarray(arrays[data[_ARRAY]])
    if _MAP in data:
        return _decoded_items(data[_MAP], arrays, classes, path)
    if _FIELDS not in data:
        raise DescriptionError("not a stored description", where=path, value=sorted(data))
    kind = data.get(_MODEL, data.get(_SYNAPSE, data.get(_CLASS)))
    made: type[Description] | None = None
    if isinstance(kind, dict):
        model = decode(kind, arrays, classes, f"{path}.model")
        if isinstance(model, NeuronModel):
            made = model.neuron
        elif isinstance(model, PlasticityModel):
            made = model.synapse
    elif isinstance(kind, str) and _MODEL in data:
        made = _found(model_named, kind, path)
    elif isinstance(kind, str):
        made = _found(synapse_named, kind, path) if _SYNAPSE in data else classes.get(kind)
    if made is None or isabstract(made):
        raise unknown("kind of description", kind, classes, where=path)
    items = _decoded_items(data[_FIELDS], arrays, classes, path)
    _check_fields(made, items, path)
    return made(**items)


def _found(named: Callable[[str], type[Model]], name: str, path: str) -> type[Model]:
    """Return a model's class. That of a user's own is code, which no store holds."""
    try:
        return named(name)
    except DescriptionError as error:
        raise DescriptionError(
            f"{error.what}: if it is a class in a file of yours, name that file as MODEL, also "
            "beside --resume RUN; in Python, import it first",
            where=path,
            allowed=error.allowed,
            nearest=error.nearest,
        ) from error


def _decoded_items(
    items: Any,
    arrays: Mapping[str, npt.NDArray[Any]],
    classes: Mapping[str, type[Description]],
    path: str,
) -> dict[str, Any]:
    if not isinstance(items, dict):
        raise DescriptionError("not stored fields", where=path, value=items)
    return {key: decode(item, arrays, classes, f"{path}.{key}") for key, item in items.items()}


def _check_fields(made: type[Description], items: dict[str, Any], path: str) -> None:
    """Raise DescriptionError if a field is missing that has no default."""
    for name, one in signature(made).parameters.items():
        if one.default is one.empty and name not in items and one.kind is one.POSITIONAL_OR_KEYWORD:
            raise DescriptionError(f"field {name!r} of {made.__name__} is missing", where=path)
