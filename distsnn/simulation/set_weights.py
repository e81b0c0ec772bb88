"""Precision of weights that a script sets: the one of every described weight that matters."""

from typing import Any

import numpy as np
import numpy.typing as npt

# Largest relative error of a stored weight.
_LARGEST_ERROR = 2.0**-10


def is_stored(weights: npt.NDArray[np.float64], stored: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which weights are stored with a small error; both in the same unit."""
    return np.abs(stored - weights) <= _LARGEST_ERROR * np.abs(weights)


def precision_error(noun: str, step: float, largest: float) -> tuple[str, str]:
    """Return the problem of a weight that is not stored, and the allowed values.

    Parameters
    ----------
    noun : str
        The part of the network that has the weight.
    step : float
        Multiple as which weights are stored.
    largest : float
        Largest magnitude.
    """
    return (
        f"the {noun} cannot store the weight to 1/{1.0 / _LARGEST_ERROR:g} of its value",
        f"0, magnitudes from {0.5 / _LARGEST_ERROR * step:.6g} to {largest:.6g}, and smaller "
        f"multiples of {step:.6g}: the quantum follows from the described weights",
    )
