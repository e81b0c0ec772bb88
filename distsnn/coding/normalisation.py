"""Normalisation of channels: fitted to training data, then applied to any."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np

from distsnn.coding.checks import as_samples, check_columns
from distsnn.errors import DescriptionError
from distsnn.network.base import Description
from distsnn.network.checks import (
    ANY,
    NOT_NEGATIVE,
    FloatArray,
    as_floats,
    check_range,
    check_shape,
)


@dataclass(frozen=True, eq=False)
class Normalisation(Description, ABC):
    """Base class of normalisations: each channel is shifted, then scaled.

    Make one with ``fit``.

    Parameters
    ----------
    offset : array_like, shape (n_channels,)
        What becomes 0, in the data's units.
    scale : array_like, shape (n_channels,)
        The difference that becomes 1, in the data's units; 0 for a channel that was constant.

    Raises
    ------
    DescriptionError
        If the numbers are not finite, a scale is negative, or there are not as many of each.

    Notes ----- A channel that is constant in the training data has no scale. All its values become
    0, and invert to the constant.
    """

    offset: FloatArray
    scale: FloatArray

    def __post_init__(self) -> None:
        where = type(self).__name__
        offset = as_floats(self.offset, where=f"{where}, field offset")
        scale = as_floats(self.scale, where=f"{where}, field scale")
        check_shape(
            offset, (offset.size,), where=f"{where}, field offset", meaning="one per channel"
        )
        check_shape(scale, offset.shape, where=f"{where}, field scale", meaning="one per channel")
        check_range(offset, ANY, where=f"{where}, field offset")
        check_range(scale, NOT_NEGATIVE, where=f"{where}, field scale")
        self._fill(offset=offset, scale=scale)

    @classmethod
    @abstractmethod
    def fit(cls, samples: object) -> Self:
        """Return the normalisation that fits training data.

        Parameters
        ----------
        samples : array_like, shape (n_samples, n_channels)
            Training data, at least one sample.

        Raises
        ------
        DescriptionError
            If a value is not finite (the message names sample and channel), or there are no
            samples.
        """

    @classmethod
    def _training(cls, samples: object) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return training data with each channel's smallest and largest value."""
        where = f"{cls.__name__}, training data"
        array = as_samples(samples, where=where)
        if array.shape[0] == 0:
            raise DescriptionError("no samples", where=where)
        return array, array.min(axis=0), array.max(axis=0)

    def apply(self, samples: object) -> FloatArray:
        """Return normalised data.

        Parameters
        ----------
        samples : array_like, shape (n_samples, n_channels)
            Data in the training data's units.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_channels)

        Raises
        ------
        DescriptionError
            If a value is not finite, or there are more or fewer channels than in training.
        """
        array = as_samples(samples, where=f"{type(self).__name__}, data")
        check_columns(array, self.offset.size, where=f"{type(self).__name__}, data")
        return (array - self.offset) / np.where(self.scale > 0.0, self.scale, np.inf)

    def invert(self, normalised: object) -> FloatArray:
        """Return data in the training data's units from normalised data of the same shape."""
        array = as_samples(normalised, where=f"{type(self).__name__}, normalised data")
        check_columns(array, self.offset.size, where=f"{type(self).__name__}, normalised data")
        return array * self.scale + self.offset


class MinMax(Normalisation):
    """Training data fill 0 to 1 in each channel.

    Other data may lie beyond; ``np.clip(..., 0, 1)`` where an encoder takes 0 to 1 only.
    """

    @classmethod
    def fit(cls, samples: object) -> Self:
        """Return the normalisation of training data (n_samples, n_channels) to 0 to 1."""
        _, low, high = cls._training(samples)
        return cls(low, high - low)


class ZScore(Normalisation):
    """Training data have mean 0 and standard deviation 1 (of the population) in each channel."""

    @classmethod
    def fit(cls, samples: object) -> Self:
        """Return the normalisation of training data (n_samples, n_channels) to mean 0, sd 1."""
        array, low, high = cls._training(samples)
        constant = low == high  # their computed deviation may be a rounding error instead of 0
        mean = np.where(constant, low, array.mean(axis=0))
        return cls(mean, np.where(constant, 0.0, array.std(axis=0)))
