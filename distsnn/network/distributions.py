"""Distributions, with moments, bounds and quantiles in closed form."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import ClassVar

from distsnn.errors import DescriptionError
from distsnn.network.base import Description
from distsnn.network.checks import (
    NOT_NEGATIVE,
    POSITIVE,
    Interval,
    as_number,
    check_range,
)

# Redrawing more than 1000 times per value on average is a mistake in the description.
MIN_ACCEPTANCE = 1e-3

_STANDARD = NormalDist()
_SQRT2 = math.sqrt(2.0)


def normal_cdf(z: float) -> float:
    """Return the standard normal distribution function, exact in its lower tail."""
    return 0.5 * math.erfc(-z / _SQRT2)


def normal_density(z: float) -> float:
    """Return the standard normal density."""
    return math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


@dataclass(frozen=True, eq=False)
class Distribution(Description, ABC):
    """A distribution from which one value per synapse or per neuron is drawn.

    Attributes
    ----------
    kind : int
        Number by which kernels know it; 0 stands for a constant.
    """

    kind: ClassVar[int]

    def __post_init__(self) -> None:
        for field in fields(self):
            value = as_number(getattr(self, field.name), where=self._place(field.name))
            self._fill(**{field.name: value})
        self._check()

    def _require(self, field: str, allowed: Interval) -> None:
        check_range(getattr(self, field), allowed, where=self._place(field))

    @abstractmethod
    def _check(self) -> None: ...

    @abstractmethod
    def parameters(self) -> tuple[float, float, float, float]:
        """Return (a, b, low, high) as kernels take them; unused parameters are 0."""

    @abstractmethod
    def expectation(self) -> float:
        """Return the mean of the distribution itself, e.g. of the truncated one."""

    @abstractmethod
    def deviation(self) -> float:
        """Return the standard deviation of the distribution itself."""

    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Return hard bounds of what can be drawn; they may be infinite."""

    @abstractmethod
    def cdf(self, x: float) -> float:
        """Return the probability of a value <= x."""

    @abstractmethod
    def partial_expectation(self, x: float) -> float:
        """Return the expectation of w where w <= x, and of 0 elsewhere."""

    @abstractmethod
    def quantile_range(self, tail: float) -> tuple[float, float]:
        """Return the range that holds all but `tail` of the mass on either side."""

    def scale(self) -> float:
        """Return the characteristic magnitude: the larger of |mean| and standard deviation."""
        return max(abs(self.expectation()), self.deviation())


@dataclass(frozen=True, eq=False)
class Normal(Distribution):
    """Normal distribution.

    Parameters
    ----------
    mean : float
        Mean.
    sd : float
        Standard deviation, >= 0.
    """

    mean: float
    sd: float
    kind: ClassVar[int] = 1

    def _check(self) -> None:
        self._require("mean", Interval())
        self._require("sd", NOT_NEGATIVE)

    def parameters(self) -> tuple[float, float, float, float]:
        """Return (mean, sd, 0, 0)."""
        return self.mean, self.sd, 0.0, 0.0

    def expectation(self) -> float:
        """Return the mean."""
        return self.mean

    def deviation(self) -> float:
        """Return the standard deviation."""
        return self.sd

    def support(self) -> tuple[float, float]:
        """Return (-inf, inf), or the mean twice where sd is 0."""
        return (-math.inf, math.inf) if self.sd else (self.mean, self.mean)

    def cdf(self, x: float) -> float:
        """Return the probability of a value <= x."""
        if self.sd == 0.0:
            return float(x >= self.mean)
        return normal_cdf((x - self.mean) / self.sd)

    def partial_expectation(self, x: float) -> float:
        """Return the expectation of w where w <= x, and of 0 elsewhere."""
        if self.sd == 0.0:
            return self.mean * self.cdf(x)
        z = (x - self.mean) / self.sd
        return self.mean * normal_cdf(z) - self.sd * normal_density(z)

    def quantile_range(self, tail: float) -> tuple[float, float]:
        """Return the range that holds all but `tail` of the mass on either side."""
        reach = -_STANDARD.inv_cdf(tail) * self.sd
        return self.mean - reach, self.mean + reach


@dataclass(frozen=True, eq=False)
class TruncatedNormal(Distribution):
    """Normal distribution whose values outside [low, high] are drawn again.

    Parameters
    ----------
    mean, sd : float
        Mean and standard deviation of the normal distribution before truncation.
    low, high : float
        Bounds; one of them may be infinite, or both.

    Raises
    ------
    DescriptionError
        Also where less than 1 draw in 1000 would be accepted.
    """

    mean: float
    sd: float
    low: float = -math.inf
    high: float = math.inf
    kind: ClassVar[int] = 2

    def _check(self) -> None:
        self._require("mean", Interval())
        self._require("sd", NOT_NEGATIVE)
        if not self.low < self.high:  # NaN too
            raise DescriptionError(
                "bounds must increase", where=self._place("low"), value=(self.low, self.high)
            )
        if not self.acceptance() >= MIN_ACCEPTANCE:
            raise DescriptionError(
                f"hardly any draw would fall within [{self.low:g}, {self.high:g}]",
                where=type(self).__name__,
                value=f"acceptance {self.acceptance():.2g}",
                allowed=f"acceptance >= {MIN_ACCEPTANCE:g}",
            )

    def _standardised(self) -> tuple[float, float]:
        return (self.low - self.mean) / self.sd, (self.high - self.mean) / self.sd

    def acceptance(self) -> float:
        """Return the probability that a draw is kept."""
        if self.sd == 0.0:
            return float(self.low <= self.mean <= self.high)
        a, b = self._standardised()
        # Differences are taken in the tail where they are exact.
        return normal_cdf(-a) - normal_cdf(-b) if a > 0 else normal_cdf(b) - normal_cdf(a)

    def parameters(self) -> tuple[float, float, float, float]:
        """Return (mean, sd, low, high), mean and sd before truncation."""
        return self.mean, self.sd, self.low, self.high

    def _moments(self) -> tuple[float, float]:
        if self.sd == 0.0:
            return self.mean, 0.0
        a, b = self._standardised()
        at_a, at_b = normal_density(a), normal_density(b)
        slope = (a * at_a if at_a else 0.0) - (b * at_b if at_b else 0.0)
        mass = self.acceptance()
        shift = (at_a - at_b) / mass
        variance = max(0.0, 1.0 + slope / mass - shift * shift)
        return self.mean + self.sd * shift, self.sd * math.sqrt(variance)

    def expectation(self) -> float:
        """Return the mean after truncation."""
        return self._moments()[0]

    def deviation(self) -> float:
        """Return the standard deviation after truncation."""
        return self._moments()[1]

    def support(self) -> tuple[float, float]:
        """Return (low, high), or the mean twice where sd is 0."""
        return (self.low, self.high) if self.sd else (self.mean, self.mean)

    def cdf(self, x: float) -> float:
        """Return the probability of a value <= x."""
        if self.sd == 0.0:
            return float(x >= self.mean)
        if x <= self.low or x >= self.high:
            return float(x >= self.high)
        a = self._standardised()[0]
        z = (x - self.mean) / self.sd
        below = normal_cdf(-a) - normal_cdf(-z) if a > 0 else normal_cdf(z) - normal_cdf(a)
        return below / self.acceptance()

    def partial_expectation(self, x: float) -> float:
        """Return the expectation of w where w <= x, and of 0 elsewhere."""
        if self.sd == 0.0:
            return self.mean * self.cdf(x)
        a, b = self._standardised()
        z = min(max(a, (x - self.mean) / self.sd), b)
        slope = (normal_density(a) - normal_density(z)) / self.acceptance()
        return self.mean * self.cdf(x) + self.sd * slope

    def quantile_range(self, tail: float) -> tuple[float, float]:
        """Return the range that holds all but `tail` of the mass on either side."""
        if self.sd == 0.0:
            return self.support()
        a, b = self._standardised()
        mass = self.acceptance()
        lowest = _STANDARD.inv_cdf(normal_cdf(a) + tail * mass)
        highest = -_STANDARD.inv_cdf(normal_cdf(-b) + tail * mass)
        return (
            max(self.low, self.mean + self.sd * lowest),
            min(self.high, self.mean + self.sd * highest),
        )


@dataclass(frozen=True, eq=False)
class Lognormal(Distribution):
    """Distribution whose logarithm is normal.

    Parameters
    ----------
    mu, sigma : float
        Mean and standard deviation (>= 0) of the logarithm; ``exp(mu)`` is the median.
    """

    mu: float
    sigma: float
    kind: ClassVar[int] = 3

    def _check(self) -> None:
        self._require("mu", Interval())
        self._require("sigma", NOT_NEGATIVE)
        # Far draws and the variance must be finite numbers.
        if abs(self.mu) + max(9.0 * self.sigma, self.sigma**2) > 350.0:
            raise DescriptionError(
                "draws would overflow",
                where=type(self).__name__,
                value=(self.mu, self.sigma),
                allowed="|mu| + max(9 sigma, sigma^2) <= 350",
            )

    def parameters(self) -> tuple[float, float, float, float]:
        """Return (mu, sigma, 0, 0)."""
        return self.mu, self.sigma, 0.0, 0.0

    def expectation(self) -> float:
        """Return exp(mu + sigma²/2)."""
        return math.exp(self.mu + 0.5 * self.sigma**2)

    def deviation(self) -> float:
        """Return the standard deviation."""
        return self.expectation() * math.sqrt(math.expm1(self.sigma**2))

    def support(self) -> tuple[float, float]:
        """Return (0, inf), or the median twice where sigma is 0."""
        return (0.0, math.inf) if self.sigma else (math.exp(self.mu), math.exp(self.mu))

    def cdf(self, x: float) -> float:
        """Return the probability of a value <= x."""
        if x <= 0.0:
            return 0.0
        return Normal(self.mu, self.sigma).cdf(math.log(x))

    def partial_expectation(self, x: float) -> float:
        """Return the expectation of w where w <= x, and of 0 elsewhere."""
        if x <= 0.0:
            return 0.0
        # weighted by w, the logarithm is normal with the same sigma around mu + sigma²
        return self.expectation() * Normal(self.mu + self.sigma**2, self.sigma).cdf(math.log(x))

    def quantile_range(self, tail: float) -> tuple[float, float]:
        """Return the range that holds all but `tail` of the mass on either side."""
        low, high = Normal(self.mu, self.sigma).quantile_range(tail)
        return math.exp(low), math.exp(high)


@dataclass(frozen=True, eq=False)
class Uniform(Distribution):
    """Uniform distribution over [low, high).

    Parameters
    ----------
    low, high : float
        Bounds, low < high.
    """

    low: float
    high: float
    kind: ClassVar[int] = 4

    def _check(self) -> None:
        self._require("low", Interval())
        self._require("high", Interval(self.low, open_low=True))

    def parameters(self) -> tuple[float, float, float, float]:
        """Return (low, high, 0, 0)."""
        return self.low, self.high, 0.0, 0.0

    def expectation(self) -> float:
        """Return the middle."""
        return 0.5 * (self.low + self.high)

    def deviation(self) -> float:
        """Return the standard deviation."""
        return (self.high - self.low) / math.sqrt(12.0)

    def support(self) -> tuple[float, float]:
        """Return (low, high)."""
        return self.low, self.high

    def cdf(self, x: float) -> float:
        """Return the probability of a value <= x."""
        return min(1.0, max(0.0, (x - self.low) / (self.high - self.low)))

    def partial_expectation(self, x: float) -> float:
        """Return the expectation of w where w <= x, and of 0 elsewhere."""
        x = min(max(self.low, x), self.high)
        return 0.5 * (x - self.low) * (x + self.low) / (self.high - self.low)

    def quantile_range(self, tail: float) -> tuple[float, float]:
        """Return the range that holds all but `tail` of the mass on either side."""
        cut = tail * (self.high - self.low)
        return self.low + cut, self.high - cut


@dataclass(frozen=True, eq=False)
class Exponential(Distribution):
    """Exponential distribution.

    Parameters
    ----------
    mean : float
        Mean, > 0.
    """

    mean: float
    kind: ClassVar[int] = 5

    def _check(self) -> None:
        self._require("mean", POSITIVE)

    def parameters(self) -> tuple[float, float, float, float]:
        """Return (mean, 0, 0, 0)."""
        return self.mean, 0.0, 0.0, 0.0

    def expectation(self) -> float:
        """Return the mean."""
        return self.mean

    def deviation(self) -> float:
        """Return the standard deviation, equal to the mean."""
        return self.mean

    def support(self) -> tuple[float, float]:
        """Return (0, inf)."""
        return 0.0, math.inf

    def cdf(self, x: float) -> float:
        """Return the probability of a value <= x."""
        return -math.expm1(-max(0.0, x) / self.mean)

    def partial_expectation(self, x: float) -> float:
        """Return the expectation of w where w <= x, and of 0 elsewhere."""
        x = max(0.0, x)
        return self.mean * self.cdf(x) - x * math.exp(-x / self.mean)

    def quantile_range(self, tail: float) -> tuple[float, float]:
        """Return the range that holds all but `tail` of the mass on either side."""
        return -self.mean * math.log1p(-tail), -self.mean * math.log(tail)
