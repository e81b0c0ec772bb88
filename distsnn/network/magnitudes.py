"""Magnitudes of weights: the power of two below which they do not matter, and rounding errors.

Weights are rounded to multiples of a power of two, so sums by powers of two contain all that is
needed. Arrays and edge files are read once, in any order and by any number of ranks, without
sorting; distributions have closed forms.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.network.distributions import Distribution
from distsnn.network.values import TAIL, Value

# A weight that matters has a relative rounding error of at most 2^-RELATIVE_BITS.
RELATIVE_BITS = 10
# Weights that do not matter are at most this part of the total of all |weights|. Given ones are
# also at most this share of the weights, drawn ones at most FEW.
NEGLIGIBLE = 2.0**-8
FEW = 2.0**-3
# Drawn weights may exceed FEW where a sum of the far draws would leave its 62 bits otherwise.
_RANGE_BITS = 44
# Part of a distribution that is left out of its smallest and largest magnitude.
_TAIL = 2.0**-20

# Sums of mantissas are integers of this unit: exact, so the order of weights has no influence.
_UNIT_BITS = 20
_CHUNK = 1 << 20
# Exponents of float64, as np.frexp returns them: from _LEAST up.
_LEAST, _BINS = -1073, 2098


@dataclass(frozen=True)
class RoundingError:
    """Bounds of the rounding errors of a projection's weights.

    Parameters
    ----------
    largest : float
        Largest relative error of a weight other than 0; of all drawn weights but 2^-20.
    share : float
        Share of the weights whose relative error may exceed 2^-10.
    part : float
        Their part of the total of all \\|weights\\|.
    """

    largest: float
    share: float
    part: float

    def __str__(self) -> str:
        return (
            f"{100.0 * self.share:.3g} % of the weights ({100.0 * self.part:.3g} % of their total) "
            f"may have a relative error of more than 2^-{RELATIVE_BITS}"
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RoundingError":
        """Return the errors of stored data, which may contain more."""
        return cls(**{field.name: float(data[field.name]) for field in fields(cls)})


class Magnitudes(ABC):
    """Magnitudes of the weights of one projection or stimulus, without those that are 0."""

    @property
    @abstractmethod
    def scale(self) -> float:
        """Characteristic magnitude; 0 if all weights are 0."""

    @property
    @abstractmethod
    def smallest(self) -> float:
        """Smallest magnitude, of a distribution all but 2^-20; 0 without magnitudes."""

    @property
    @abstractmethod
    def largest(self) -> float:
        """Largest magnitude, of a distribution all but 2^-20; 0 without magnitudes."""

    @abstractmethod
    def below(self, exponent: int) -> tuple[float, float]:
        """Return the share of the weights below 2^exponent, and their part of the total."""

    @abstractmethod
    def is_negligible(self, exponent: int) -> bool:
        """Return whether the weights below 2^exponent do not matter."""

    @cached_property
    def least(self) -> int:
        """Largest e such that the weights below 2^e do not matter."""
        exponent = math.frexp(self.largest)[1]
        while exponent > _LEAST and not self.is_negligible(exponent):
            exponent -= 1
        return exponent

    def rounded(self, exponent: int) -> RoundingError:
        """Return the errors of weights that are rounded to multiples of 2^exponent."""
        if not self.scale:
            return RoundingError(0.0, 0.0, 0.0)
        # a weight of at least 2^(exponent + 9) is within 2^-10 of itself
        share, part = self.below(exponent + RELATIVE_BITS - 1)
        half = math.ldexp(0.5, exponent)
        return RoundingError(half / (max(half, self.smallest) or 1.0), share, part)


@dataclass(frozen=True)
class GivenMagnitudes(Magnitudes):
    """Magnitudes of weights in arrays or files.

    Parameters
    ----------
    bins : mapping of int to (int, int)
        By e, of weights in [2^(e-1), 2^e): their number, and the sum of 2^20·\\|w\\|/2^e, each
        rounded to an integer.
    extremes : (float, float)
        Smallest and largest magnitude other than 0; (0, 0) if all are 0.
    """

    bins: Mapping[int, tuple[int, int]]
    extremes: tuple[float, float]

    @classmethod
    def of(cls, weights: npt.ArrayLike) -> "GivenMagnitudes":
        """Return the magnitudes of an array of weights."""
        flat = np.asarray(weights, np.float64).reshape(-1)
        numbers, sums = np.zeros(_BINS, np.int64), np.zeros(_BINS)
        smallest, largest = np.inf, 0.0
        for first in range(0, flat.size, _CHUNK):
            chunk = np.abs(flat[first : first + _CHUNK])
            chunk = chunk[chunk > 0.0]
            smallest = chunk.min(initial=smallest)
            largest = chunk.max(initial=largest)
            mantissa, exponent = np.frexp(chunk)
            units = np.rint(np.ldexp(mantissa, _UNIT_BITS))
            exponent -= _LEAST
            numbers += np.bincount(exponent, minlength=_BINS)
            sums += np.bincount(exponent, units, minlength=_BINS)
        bins = {
            int(bin_index) + _LEAST: (int(numbers[bin_index]), int(sums[bin_index]))
            for bin_index in np.flatnonzero(numbers)
        }
        return cls(bins, (float(smallest) if bins else 0.0, float(largest)))

    @classmethod
    def merged(cls, parts: Iterable["GivenMagnitudes"]) -> "GivenMagnitudes":
        """Return the magnitudes of all parts together."""
        bins: dict[int, tuple[int, int]] = {}
        extremes = []
        for part in parts:
            for exponent, (number, units) in part.bins.items():
                previous = bins.get(exponent, (0, 0))
                bins[exponent] = previous[0] + number, previous[1] + units
            extremes += [part.extremes] if part.bins else []
        smallest, largest = zip(*extremes, strict=True) if extremes else ((0.0,), (0.0,))
        return cls(dict(sorted(bins.items())), (min(smallest), max(largest)))

    @property
    def scale(self) -> float:
        """The largest magnitude."""
        return self.extremes[1]

    @property
    def smallest(self) -> float:
        """Smallest magnitude other than 0."""
        return self.extremes[0]

    @property
    def largest(self) -> float:
        """Largest magnitude."""
        return self.extremes[1]

    def below(self, exponent: int) -> tuple[float, float]:
        """Return the share of the weights below 2^exponent, and their part of the total."""
        numbers, totals = [0, 0], [0.0, 0.0]
        top = max(self.bins, default=0)
        for e, (number, units) in self.bins.items():
            total = math.ldexp(units, e - top)
            for bin_index in range(1 + (e <= exponent)):
                numbers[bin_index] += number
                totals[bin_index] += total
        return numbers[1] / max(1, numbers[0]), totals[1] / (totals[0] or 1.0)

    def is_negligible(self, exponent: int) -> bool:
        """Return whether the weights below 2^exponent do not matter."""
        return max(self.below(exponent)) <= NEGLIGIBLE


@dataclass(frozen=True)
class DrawnMagnitudes(Magnitudes):
    """Magnitudes of weights that are drawn.

    Parameters
    ----------
    distribution : Distribution
        Their distribution.
    """

    distribution: Distribution

    @property
    def scale(self) -> float:
        """The larger of |mean| and standard deviation."""
        return self.distribution.scale()

    @property
    def smallest(self) -> float:
        """Smallest magnitude of all but 2^-20 of the draws, 0 if they have both signs."""
        low, high = self.distribution.quantile_range(_TAIL)
        return max(0.0, low, -high)

    @property
    def largest(self) -> float:
        """Largest magnitude of all but 2^-20 of the draws on either side."""
        return max(map(abs, self.distribution.quantile_range(_TAIL)))

    def below(self, exponent: int) -> tuple[float, float]:
        """Return the share of the weights below 2^exponent, and their part of the total."""
        distribution = self.distribution
        below = math.nextafter(math.ldexp(1.0, min(exponent, 1023)), 0.0)
        share = distribution.cdf(below) - distribution.cdf(math.nextafter(-below, -math.inf))
        # E|w| = E[w] - 2 E[w; w <= 0]
        negative = distribution.partial_expectation(0.0)
        part = distribution.partial_expectation(below) - 2.0 * negative
        part += distribution.partial_expectation(math.nextafter(-below, -math.inf))
        return max(0.0, share), max(0.0, part) / (distribution.expectation() - 2.0 * negative)

    def is_negligible(self, exponent: int) -> bool:
        """Return whether the weights below 2^exponent do not matter."""
        share, part = self.below(exponent)
        farthest = max(map(abs, self.distribution.quantile_range(TAIL)))
        few = share <= FEW or exponent <= math.frexp(farthest)[1] - _RANGE_BITS
        return few and part <= NEGLIGIBLE


def magnitudes_of(value: Value) -> Magnitudes:
    """Return the magnitudes of a constant, an array or a distribution."""
    return DrawnMagnitudes(value) if isinstance(value, Distribution) else GivenMagnitudes.of(value)
