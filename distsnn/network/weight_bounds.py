"""Bounds of plastic weights: w_max, with the sign of all weights, and w_min, closer to 0."""

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.network.checks import Interval
from distsnn.network.values import TAIL, Value, check_value, value_bounds

Floats = npt.NDArray[np.float64]


def sign_of(w_max: Value) -> int:
    """Return the sign of the weights."""
    return 1 if value_bounds(w_max, TAIL)[0] > 0.0 else -1


def magnitudes(bound: Value) -> tuple[float, float]:
    """Return the smallest and the largest magnitude of a bound of one sign."""
    low, high = sorted(map(abs, value_bounds(bound, TAIL)))
    return low, high


def signed_range(sign: int, low: float, high: float) -> Interval:
    """Return the range of weights of a sign whose magnitudes are within [low, high]."""
    return Interval(low, high) if sign > 0 else Interval(-high, 0.0 - low)


def _closer_to_zero(sign: int, high: float) -> Interval:
    """Return the range of weights of a sign that are nearer to 0 than a magnitude."""
    return Interval(0.0, high, open_high=True) if sign > 0 else Interval(-high, 0.0, open_low=True)


def check_bounds(w_min: Value, w_max: Value, *, where: str) -> None:
    """Check that bounds have one sign, and that each synapse's w_min is nearer to 0.

    Parameters
    ----------
    w_min, w_max : float, ndarray or Distribution
        The bounds.
    where : str
        Beginning of the place that an error names.

    Raises
    ------
    DescriptionError
        If not. Arrays of different shapes pass: one of them is refused with its projection.
    """
    lower, upper = value_bounds(w_max, TAIL)
    has_one_sign = lower > 0.0 or upper < 0.0  # neither with nan
    if not (has_one_sign and (isinstance(w_max, float) or np.isfinite([lower, upper]).all())):
        raise DescriptionError(
            "must be a bound with the sign of the weights",
            where=where + "w_max",
            value=w_max,
            allowed="a number other than 0, or inf, or -inf"
            if isinstance(w_max, float)
            else "finite numbers of one sign, none of them 0",
        )
    sign = sign_of(w_max)
    check_value(w_min, signed_range(sign, 0.0, np.inf), where=where + "w_min")
    low, high = magnitudes(w_min)[1], magnitudes(w_max)[0]
    if isinstance(w_min, np.ndarray) and isinstance(w_max, np.ndarray):
        if w_min.shape != w_max.shape:
            return
        first = int(np.argmax(np.abs(w_min) >= np.abs(w_max)))
        low, high = (abs(float(bound.flat[first])) for bound in (w_min, w_max))
    if low >= high:
        raise DescriptionError(
            "must be nearer to 0 than w_max",
            where=where + "w_min",
            value=sign * low,
            allowed=str(_closer_to_zero(sign, high)),
        )


def check_within(weight: Value, w_min: Value, w_max: Value, *, where: str) -> None:
    """Check that weights are within their bounds: of all synapses, or each within its own.

    Raises
    ------
    DescriptionError
        For the first that is not.
    """
    low, high = magnitudes(w_min)[1], magnitudes(w_max)[0]
    if isinstance(weight, np.ndarray):
        magnitude = np.abs(weight)
        if isinstance(w_max, np.ndarray):
            high = np.inf
            _raise_out_of_bounds(
                magnitude > np.abs(w_max), weight, w_max, "at most {:g}, its w_max", where
            )
        if isinstance(w_min, np.ndarray):
            low = 0.0
            _raise_out_of_bounds(
                magnitude < np.abs(w_min), weight, w_min, "at least {:g}, its w_min", where
            )
    check_value(weight, signed_range(sign_of(w_max), low, high), where=where)


def _raise_out_of_bounds(
    is_outside: npt.NDArray[np.bool_], weight: Floats, bound: Floats, allowed: str, where: str
) -> None:
    """Raise DescriptionError for the first weight that is beyond its own bound, if any is."""
    if is_outside.any():
        raise DescriptionError(
            "is beyond its bound",
            where=where,
            value=float(weight[is_outside][0]),
            allowed=allowed.format(float(bound[is_outside][0])),
        )
