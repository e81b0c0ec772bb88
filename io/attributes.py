"""Attributes as strict JSON: numpy scalars become plain numbers, infinities and NaN are tagged.

JSON has no infinity, but descriptions do (an input without an end). Written as Python does, the
file could not be read by other Zarr libraries, so such a number becomes ``{"$float": "inf"}``.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError

_TAG = "$float"


def encode(value: Any, *, where: str) -> Any:
    """Return `value` as strict JSON.

    Parameters
    ----------
    value : object
        Numbers, numpy scalars, strings, None, and mappings and sequences of them.
    where : str
        Context for the error.

    Raises
    ------
    DescriptionError
        For any other type, such as arrays.
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
    """Return the argument of `encode` (tuples as lists)."""
    if isinstance(value, dict):
        if len(value) == 1 and value.get(_TAG) in ("inf", "-inf", "nan"):
            return float(value[_TAG])
        return {key: decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode(item) for item in value]
    return value
