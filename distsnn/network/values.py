"""Values of weights, delays, parameters and initial states: constants, arrays, distributions."""

import hashlib
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.network.checks import FloatArray, Interval, as_floats, as_number, check_range
from distsnn.network.distributions import Distribution

# Probability of each tail beyond which no draw is expected: there, unbounded distributions end.
TAIL = 2.0**-60

# Probability of each tail that choices for all draws may ignore.
_RARE = 1e-3

CONSTANT = 0
Coded: TypeAlias = tuple[int, tuple[float, float, float, float]]

Value: TypeAlias = float | FloatArray | Distribution
ValueLike: TypeAlias = npt.ArrayLike | Distribution


def as_value(value: object, *, where: str) -> Value:
    """Return a given value as a float, a read-only float64 array or a distribution.

    Raises
    ------
    DescriptionError
        If it is none of these.
    """
    if isinstance(value, Distribution):
        return value
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim):
        return as_floats(value, where=where)
    if isinstance(value, type) and issubclass(value, Distribution):
        raise DescriptionError(
            f"{value.__name__} needs its parameters", where=where, allowed=f"{value.__name__}(...)"
        )
    return as_number(value, where=where)


def distribution_code(value: float | Distribution) -> Coded:
    """Return the number and the parameters by which kernels know a constant or distribution."""
    if isinstance(value, Distribution):
        return value.kind, value.parameters()
    return CONSTANT, (float(value), 0.0, 0.0, 0.0)


def value_bounds(value: Value, tail: float = 0.0) -> tuple[float, float]:
    """Return the smallest and largest possible value.

    Parameters
    ----------
    value : float, ndarray or Distribution
        The value; an empty array has bounds (0, 0).
    tail : float
        Probability of each tail of a distribution that is left out; with 0 its bounds may be
        infinite.
    """
    if isinstance(value, Distribution):
        return value.quantile_range(tail) if tail else value.support()
    if isinstance(value, np.ndarray):
        return (float(value.min()), float(value.max())) if value.size else (0.0, 0.0)
    return value, value


def least(value: Value) -> float:
    """Return the smallest value; of a distribution, the quantile of 1/1000."""
    return value_bounds(value, _RARE)[0]


def least_ratio(numerator: Value, denominator: Value) -> float:
    """Return the smallest ratio of two values that are not negative, neuron by neuron.

    Of a numerator or denominator that is drawn, the quantile of 1/1000 or 999/1000 counts.
    """
    if isinstance(numerator, Distribution) or isinstance(denominator, Distribution):
        numerator = value_bounds(numerator, _RARE)[0]
        denominator = value_bounds(denominator, _RARE)[1]
    with np.errstate(divide="ignore"):
        return float(np.min(np.divide(numerator, denominator), initial=np.inf))


def magnitude_of(value: Value) -> float:
    """Return the magnitude: of a distribution its scale, else the largest absolute value."""
    if isinstance(value, Distribution):
        return value.scale()
    return max(map(abs, value_bounds(value)))


def mean_of(value: Value) -> float:
    """Return the mean of a constant, array or distribution."""
    if isinstance(value, Distribution):
        return value.expectation()
    return float(np.mean(value)) if np.size(value) else 0.0


def check_value(value: Value, allowed: Interval, *, where: str) -> None:
    """Check that all given values, or all but 2^-60 of the draws, are within a range."""
    if isinstance(value, Distribution):
        low, high = value.quantile_range(TAIL)
        if allowed.is_outside(np.array([low, high])).any():
            raise DescriptionError(
                "draws would fall out of range",
                where=where,
                value=value,
                allowed=str(allowed),
                hint="use TruncatedNormal(mean, sd, low, high) or Uniform(low, high)",
            )
    else:
        check_range(value, allowed, where=where)


def value_digest(value: Value) -> str:
    """Return a hash by which ranks compare values."""
    data = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
    return hashlib.sha256(data).hexdigest()
