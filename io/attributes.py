"""Attributes as strict JSON: numpy scalars become plain numbers, infinities and NaN are tagged.

JSON has no infinity, but descriptions do (an input without an end). Written as Python does, the
file could not be read by other Zarr libraries, so such a number becomes ``{"$float": "inf"}``.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distsnn.errors import DescriptionError

_TAG = "$float"
_ARRAY = "$array"


def encode(value: Any, *, where: str) -> Any:
    """Return `value` as strict JSON.

    Parameters
    ----------
    value : object
        Numbers, numpy scalars, strings, None, and mappings and sequences of them.
    where : str
        The place named in the error.

    Raises
    ------
    DescriptionError
        For anything else: arrays belong into arrays.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_TAG: repr(value)}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise DescriptionError("keys must be strings", where=where, value=key)
        return {key: encode(item, where=f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item, where=f"{where}[{index}]") for index, item in enumerate(value)]
    raise DescriptionError(
        "cannot be stored as an attribute",
        where=where,
        value=type(value).__name__,
        allowed="numbers, strings, None, and dicts and lists of them",
    )


def decode(value: Any) -> Any:
    """Return what `encode` was given (tuples as lists)."""
    if isinstance(value, dict):
        if len(value) == 1 and value.get(_TAG) in ("inf", "-inf", "nan"):
            return float(value[_TAG])
        return {key: decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode(item) for item in value]
    return value


def without_arrays(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return JSON-able data in which ``{"$array": NAME}`` replaces each list of numbers.

    Parameters
    ----------
    value : object
        Numbers, strings, and mappings and lists of them.
    arrays : dict
        Gets the lists as arrays of int64 or float64, by names.
    """
    if isinstance(value, Mapping):
        return {key: without_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, list) and value and all(type(item) in (int, float) for item in value):
        name = str(len(arrays))
        arrays[name] = np.array(value)
        return {_ARRAY: name}
    return value


def with_arrays(value: Any, read: Callable[[str], NDArray[Any]]) -> Any:
    """Return what `without_arrays` was given; `read` returns an array by its name."""
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and isinstance(value.get(_ARRAY), str):
        return read(value[_ARRAY]).tolist()
    return {key: with_arrays(item, read) for key, item in value.items()}
