"""Conversions and checks of given numbers and arrays, vectorised; errors name place and index."""

import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.network.base import readonly
from distsnn.units import GRID_TOLERANCE, MOST_STEPS, to_steps

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int32]
StepArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """An interval of allowed values.

    Parameters
    ----------
    low, high : float
        Bounds.
    open_low, open_high : bool
        Whether a bound itself is excluded.
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no value is within."""
        is_point = self.low == self.high
        infinite = self.low == math.inf or self.high == -math.inf
        return self.low > self.high or infinite or (is_point and (self.open_low or self.open_high))

    def starts_below(self, other: "Interval") -> bool:
        """Return whether a value below another range's lower bound may lie within."""
        return (self.low, self.open_low) < (other.low, other.open_low)

    def is_outside(self, values: FloatArray) -> npt.NDArray[np.bool_]:
        """Return which values lie outside (NaN and infinite values do)."""
        below = values <= self.low if self.open_low else values < self.low
        above = values >= self.high if self.open_high else values > self.high
        bad: npt.NDArray[np.bool_] = below | above | ~np.isfinite(values)
        return bad

    def __str__(self) -> str:
        parts = []
        if math.isfinite(self.low):
            parts.append(f"{'>' if self.open_low else '>='} {self.low:g}")
        if math.isfinite(self.high):
            parts.append(f"{'<' if self.open_high else '<='} {self.high:g}")
        return " and ".join(parts) or "finite"


# made once: closed loops check what they set in every piece
_TRUTHS, _NUMBERS = (bool, np.bool_), (int, float, np.integer, np.floating)

ANY = Interval()
POSITIVE = Interval(0.0, open_low=True)
NOT_NEGATIVE, NOT_POSITIVE = Interval(0.0), Interval(high=0.0)


def as_number(value: object, *, where: str) -> float:
    """Return a real number as float; a DescriptionError for anything else."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, _TRUTHS) or not isinstance(value, _NUMBERS):
        raise DescriptionError("must be a number", where=where, value=value)
    try:
        return float(value)
    except OverflowError:
        digits = len(str(abs(value)))
        raise DescriptionError(f"a number of {digits} digits is too large", where=where) from None


def as_integer(value: Any, *, where: str, low: int = 0, high: int = 2**62) -> int:
    """Return an integer within [low, high]; a DescriptionError for anything else."""
    allowed = f"an integer >= {low}" if high == 2**62 else f"an integer, {low} to {high}"
    try:
        integer = operator.index(value)
    except TypeError:
        integer = None
    if integer is None or isinstance(value, bool):
        raise DescriptionError("must be an integer", where=where, value=value, allowed=allowed)
    if not low <= integer <= high:
        raise DescriptionError("out of range", where=where, value=value, allowed=allowed)
    return integer


def as_floats(value: object, *, where: str) -> FloatArray:
    """Return an array of real numbers as a read-only float64 array."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, object)  # ragged: refused just below
    if array.dtype.kind not in "iuf":
        raise DescriptionError("must be an array of numbers", where=where, value=value)
    return readonly(array if array.dtype == np.float64 else array.astype(np.float64), value)


def as_indices(value: object, *, where: str) -> IntArray:
    """Return a 1-d array of indices as a read-only int32 array."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, object)
    if array.size == 0 and array.dtype == np.float64:
        array = array.astype(np.int32)  # an empty list
    if array.dtype.kind not in "iu":
        raise DescriptionError("must be an array of integers", where=where, value=value)
    if array.ndim != 1:
        raise DescriptionError(
            "must be one-dimensional", where=where, value=f"an array of shape {array.shape}"
        )
    if array.dtype != np.int32:
        check_indices(array, 2**31, where=where)
        array = array.astype(np.int32)
    return readonly(array, value)


def check_indices(array: npt.NDArray[Any], size: int, *, where: str, first: int = 0) -> None:
    """Check that all indices lie within [0, size); the array's own indices begin at `first`."""
    if array.size and not (array.min() >= 0 and array.max() < size):
        bad = int(np.argmax((array < 0) | (array >= size)))
        raise DescriptionError(
            "index out of range",
            where=f"{where}[{first + bad}]",
            value=int(array[bad]),
            allowed=f"0 to {size - 1}",
        )


def _index(position: int, shape: tuple[int, ...], first: int = 0) -> str:
    if not shape:
        return ""
    index = [int(i) for i in np.unravel_index(position, shape)]
    index[0] += first
    return f"[{', '.join(map(str, index))}]"


def check_range(
    value: float | FloatArray, allowed: Interval, *, where: str, first: int = 0
) -> None:
    """Check that a number, or each element of an array, is finite and within a range.

    The array's indices begin at `first`.
    """
    if isinstance(value, float) and math.isfinite(value):  # without arrays, which are slow
        above = value > allowed.low if allowed.open_low else value >= allowed.low
        if above and (value < allowed.high if allowed.open_high else value <= allowed.high):
            return
    array = np.asarray(value)
    # Two reductions without temporaries; NaN makes both ends NaN, which any range excludes.
    if not array.size or not allowed.is_outside(np.array([array.min(), array.max()])).any():
        return
    position = int(np.argmax(allowed.is_outside(array)))
    place, number = where + _index(position, array.shape, first), float(array.flat[position])
    problem = "must be finite" if not math.isfinite(number) else "out of range"
    raise DescriptionError(problem, where=place, value=number, allowed=str(allowed))


def check_shape(
    array: npt.NDArray[Any], shape: tuple[int, ...], *, where: str, meaning: str
) -> None:
    """Check an array's shape; `meaning` explains the expected shape."""
    if array.shape != shape:
        raise DescriptionError(
            "array of the wrong shape",
            where=where,
            value=array.shape,
            allowed=f"{shape}, {meaning}",
        )


def interval_steps(interval: float, dt: float, *, where: str) -> int:
    """Return an interval (ms) in steps of dt (ms), at least one.

    Raises
    ------
    DescriptionError
        If it is off the grid, or not above 0.
    """
    check_range(interval, POSITIVE, where=where)
    steps = to_steps(interval, dt, where=where)
    if steps == 0:  # so small that it is 0 but for rounding
        raise DescriptionError(
            "out of range", where=where, value=interval, allowed=f"multiples of dt = {dt} ms"
        )
    return steps


def steps_array(times: FloatArray, dt: float, *, where: str, first: int = 0) -> StepArray:
    """Convert times to whole numbers of steps.

    Parameters
    ----------
    times : ndarray of float64
        Times, ms.
    dt : float
        Step, ms.
    where : str
        The place named in the error, with the index of the first bad time.
    first : int
        Where the array's indices begin: it may be a slice of another.

    Returns
    -------
    ndarray of int64, same shape

    Raises
    ------
    DescriptionError
        If a time is not finite or no multiple of `dt`.
    """
    # infinite times are no multiple either, nor those that are too long
    with np.errstate(invalid="ignore", over="ignore"):
        exact = times / dt
        rounded = np.rint(exact)
        good = np.abs(exact - rounded) <= GRID_TOLERANCE * np.maximum(1.0, np.abs(exact) * 1e-6)
        good &= np.abs(exact) < MOST_STEPS
    if not good.all():
        bad = int(np.argmin(good))
        to_steps(float(times.flat[bad]), dt, where=where + _index(bad, times.shape, first))
    return rounded.astype(np.int64)


def sorted_events(
    times: FloatArray, neurons: IntArray
) -> tuple[FloatArray, IntArray, StepArray | None]:
    """Return events sorted by time, then neuron, and their order (None if they were sorted)."""
    later, same = np.diff(times) > 0, np.diff(times) == 0
    if (later | (same & (np.diff(neurons) >= 0))).all():
        return times, neurons, None
    order = np.lexsort((neurons, times)).astype(np.int64)
    times, neurons = times[order], neurons[order]
    times.setflags(write=False)
    neurons.setflags(write=False)
    return times, neurons, order


def check_increasing(times: FloatArray, *, where: str) -> None:
    """Check that times are a non-empty, strictly increasing 1-d array, none negative."""
    if times.ndim != 1 or times.size == 0:
        raise DescriptionError(
            "must be a one-dimensional array with at least one time", where=where, value=times.shape
        )
    check_range(times, NOT_NEGATIVE, where=where)
    if not (np.diff(times) > 0).all():
        first = int(np.argmin(np.diff(times) > 0)) + 1
        raise DescriptionError(
            "times must increase", where=f"{where}[{first}]", value=float(times[first])
        )
