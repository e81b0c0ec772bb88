"""Sums over neurons that are the same for any number of ranks: integers, in fixed point.

Sums of floating-point numbers depend on their order. Each value is therefore split into a multiple
of `QUANTA[0]`, rounded to the nearest, and the rest, rounded to a multiple of `QUANTA[1]`. Ranks
store sums of both integers, and readers add them over ranks before they convert them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_HIGH_BITS, _LOW_BITS = 12, 43
QUANTA = (2.0**-_HIGH_BITS, 2.0**-_LOW_BITS)
# Values converted at a time.
_BLOCK_VALUES = 2**16
_MAX_SUM = 2.0**50  # |sum of high integers| <= 2**62


def max_summand(n_neurons: int) -> float:
    """Return the largest absolute value for which the sum over n neurons cannot overflow."""
    return _MAX_SUM / n_neurons


def fixed_sums(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the sums of rows in fixed point.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n)
        The values of this rank's neurons.

    Returns
    -------
    ndarray of int64, shape (n_rows, 2)
        Sums in units of `QUANTA`. All values of a row are finite and at most `max_summand` of the
        number of neurons on all ranks, or the row has no meaning: see `first_unsummable`.
    """
    sums = np.zeros((values.shape[0], len(QUANTA)), np.int64)
    rows = max(1, _BLOCK_VALUES // max(1, values.shape[1]))
    for start in range(0, values.shape[0], rows):
        block = np.asarray(values[start : start + rows], np.float64)
        with np.errstate(invalid="ignore"):
            high = np.rint(np.ldexp(block, _HIGH_BITS))
            # exact: the rest has fewer bits than the value
            low = np.rint(np.ldexp(block - np.ldexp(high, -_HIGH_BITS), _LOW_BITS))
            sums[start : start + rows, 0] = high.astype(np.int64).sum(axis=1)
            sums[start : start + rows, 1] = low.astype(np.int64).sum(axis=1)
    return sums


def first_unsummable(values: NDArray[Any], n_neurons: int) -> tuple[int, int] | None:
    """Return row and column of the first value that is not finite or too large, or None."""
    low, high = np.min(values, initial=0), np.max(values, initial=0)
    if -max_summand(n_neurons) <= low and high <= max_summand(n_neurons):  # False for NaN
        return None
    is_bad = ~(np.abs(np.asarray(values, np.float64)) <= max_summand(n_neurons))
    row, column = np.argwhere(is_bad)[0]
    return int(row), int(column)


def from_fixed(sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return sums in fixed point as floating-point numbers.

    Parameters
    ----------
    sums : ndarray of int64, shape (n_rows, 2)
        Sums over all neurons, in units of `QUANTA`.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        The sums, rounded once if they are below 2**41.
    """
    carry = sums[:, 1] >> (_LOW_BITS - _HIGH_BITS)
    high = sums[:, 0] + carry
    low = sums[:, 1] - (carry << (_LOW_BITS - _HIGH_BITS))
    return np.asarray(high * QUANTA[0] + low * QUANTA[1], np.float64)
