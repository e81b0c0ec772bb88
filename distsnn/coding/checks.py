"""Checks of samples and of codes' fields; errors name sample and channel, or the field."""

from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.network.base import Description
from distsnn.network.checks import (
    ANY,
    POSITIVE,
    FloatArray,
    Interval,
    as_floats,
    as_number,
    check_range,
)
from distsnn.network.checks import interval_steps as to_interval_steps

Integers = npt.NDArray[np.int64]
UNIT = Interval(0.0, 1.0)


def times_of_steps(steps: npt.NDArray[Any], dt: float) -> FloatArray:
    """Return the times of whole numbers of steps, ms."""
    return steps.astype(np.float64) * dt


def as_samples(
    values: object,
    *,
    where: str,
    allowed: Interval = ANY,
    axes: tuple[str, ...] = ("samples", "channels"),
) -> FloatArray:
    """Return values of samples as a read-only float64 array of the named axes, checked.

    Raises
    ------
    DescriptionError
        If a value is not finite or out of range, or the array has other axes or no channel.
    """
    array = as_floats(values, where=where)
    if array.ndim != len(axes) or 0 in array.shape[1:]:
        raise DescriptionError(
            "array of the wrong shape",
            where=where,
            value=array.shape,
            allowed=f"({', '.join(axes)}), none but the first empty",
        )
    bad = allowed.is_outside(array)
    if bad.any():
        index = np.unravel_index(int(np.argmax(bad)), array.shape)
        value = float(array[index])
        place = ", ".join(f"{axis[:-1]} {i}" for axis, i in zip(axes, index, strict=True))
        raise DescriptionError(
            "out of range" if np.isfinite(value) else "must be finite",
            where=f"{where}, {place}",
            value=value,
            allowed=str(allowed),
        )
    return array


def check_columns(
    array: npt.NDArray[Any], n: int, *, where: str, meaning: str = "channels"
) -> None:
    """Check that an array has `n` columns."""
    if array.shape[1] != n:
        raise DescriptionError(
            f"wrong number of {meaning}", where=where, value=array.shape[1], allowed=str(n)
        )


def check_numbers(description: Description, **allowed: Interval) -> None:
    """Check that fields of a description are numbers in their ranges."""
    for name, within in allowed.items():
        where = f"{type(description).__name__}, field {name}"
        check_range(as_number(getattr(description, name), where=where), within, where=where)


def interval_steps(description: Description, name: str) -> int:
    """Return a field of a description, a time above 0, as a whole number of its steps `dt`."""
    check_numbers(description, dt=POSITIVE, **{name: POSITIVE})
    time, dt = (getattr(description, field) for field in (name, "dt"))
    return to_interval_steps(time, dt, where=f"{type(description).__name__}, field {name}")
