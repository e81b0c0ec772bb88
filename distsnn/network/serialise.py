"""Descriptions as JSON-able data plus named arrays, and back."""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown
from distsnn.network.base import Description, FrozenMapping
from distsnn.network.model import NeuronModel
from distsnn.network.registry import model_named

Arrays = dict[str, npt.NDArray[Any]]

# Descriptions are written with their class's name, models with their name in the registry; what
# JSON lacks is written as an object with one of these keys.
_CLASS, _MODEL, _FIELDS = "is", "model", "fields"
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
            place = f"{path}/{field.name}" if path else field.name
            items[field.name] = encode(getattr(value, field.name), place, arrays, fingerprints)
        if isinstance(value, NeuronModel):
            return {_MODEL: value.name, _FIELDS: items}
        return {_CLASS: type(value).__name__, _FIELDS: items}
    raise TypeError(f"a {type(value).__name__} has no place in a description")


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
        return float(data[_FLOAT])
    if _ARRAY in data:
        if data[_ARRAY] not in arrays:
            raise unknown("stored array", data[_ARRAY], arrays, where=path)
        return np.asarray(arrays[data[_ARRAY]])
    if _MAP in data:
        found = data[_MAP].items()
        return {key: decode(item, arrays, classes, f"{path}.{key}") for key, item in found}
    if _FIELDS not in data:
        raise DescriptionError("not a stored description", where=path, value=sorted(data))
    if _MODEL in data:
        made: type[Description] = model_named(data[_MODEL])
    elif data.get(_CLASS) in classes:
        made = classes[data[_CLASS]]
    else:
        raise unknown("kind of description", str(data.get(_CLASS)), classes, where=path)
    found = data[_FIELDS].items()
    return made(**{key: decode(item, arrays, classes, f"{path}.{key}") for key, item in found})
