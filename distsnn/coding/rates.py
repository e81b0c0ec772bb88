"""Rate codes: a value is the rate of a Poisson or of a regular spike train."""

import math
from abc import ABC
from dataclasses import dataclass

import numpy as np
from numba import uint64

from distsnn.coding.checks import (
    UNIT,
    Integers,
    as_samples,
    check_numbers,
    interval_steps,
)
from distsnn.coding.responses import spike_rates
from distsnn.coding.spikes import SampleSpikes, counted_up
from distsnn.counter_rng import STIMULUS, stream, unit, word
from distsnn.jit import kernel
from distsnn.network.base import Description
from distsnn.network.checks import (
    NOT_NEGATIVE,
    FloatArray,
    IntArray,
    Interval,
    as_indices,
    as_integer,
    check_indices,
    check_shape,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class RateCode(Description, ABC):
    """Base class of rate codes.

    Parameters
    ----------
    dt : float
        Step, ms.
    duration : float
        Length of a sample's window, ms, on the grid.
    low, high : float
        Rates of the values 0 and 1, spikes/s, 0 <= low < high.

    Raises
    ------
    DescriptionError
        If a number is out of range or the duration off the grid.
    """

    dt: float
    duration: float
    low: float = 0.0
    high: float

    def __post_init__(self) -> None:
        check_numbers(self, low=NOT_NEGATIVE)
        check_numbers(self, high=Interval(self.low, open_low=True))
        interval_steps(self, "duration")

    def rates(self, values: object) -> FloatArray:
        """Return rates that stand for values, such as `Presentation.piecewise` takes.

        Parameters
        ----------
        values : array_like, shape (n_samples, n_channels)
            Values, 0 to 1.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_channels), spikes/s

        Raises
        ------
        DescriptionError
            If a value is not finite or not within 0 to 1.
        """
        array = as_samples(values, where=f"{type(self).__name__}, values", allowed=UNIT)
        return self.low + array * (self.high - self.low)

    def decode(self, spikes: SampleSpikes) -> FloatArray:
        """Return the values that rates in whole windows stand for.

        Parameters
        ----------
        spikes : SampleSpikes
            Spikes, of windows of any length.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_channels)
            Below 0 or above 1 where a channel spiked less or more than the code can ask for.
        """
        return (spike_rates(spikes) - self.low) / (self.high - self.low)


class RegularRate(RateCode):
    """A value is the rate of a regular spike train.

    The first spike comes after half an interval, so that a window holds the nearest whole number
    of spikes: decoding is exact to 500 / (duration (high - low)).
    """

    def encode(self, values: object) -> SampleSpikes:
        """Return the spikes of values (n_samples, n_channels), which are 0 to 1."""
        n_steps = interval_steps(self, "duration")
        per_step = self.rates(values) * (self.dt * 1e-3)
        counts = np.floor(per_step * n_steps + 0.5).astype(np.int64).ravel()
        cells = np.repeat(np.arange(counts.size), counts)
        steps = np.rint((counted_up(counts) + 0.5) / per_step.ravel()[cells])
        samples, channels = np.divmod(cells, per_step.shape[1])
        steps = np.clip(steps, 1, n_steps).astype(np.int64)
        return SampleSpikes(samples, channels, steps, per_step.shape, n_steps, self.dt)


@dataclass(frozen=True, eq=False, kw_only=True)
class PoissonRate(RateCode):
    """A value is the rate of a Poisson spike train.

    Parameters
    ----------
    dt : float
        Step, ms.
    duration : float
        Length of a sample's window, ms, on the grid.
    low, high : float
        Rates of the values 0 and 1, spikes/s, 0 <= low < high.
    seed : int
        Seed of the random numbers, 0 to 2^64 - 1.

    Notes
    -----
    A sample's spikes depend on the seed, the sample's number and the channel alone, not on the
    other samples it is encoded with. Where spikes need not be known beforehand, `rates` with
    `Presentation.piecewise` and `PoissonInput` are drawn while the network runs, and stored
    nowhere.
    """

    seed: int

    def __post_init__(self) -> None:
        super().__post_init__()
        as_integer(self.seed, where="PoissonRate, field seed", high=2**64 - 1)

    def encode(self, values: object, numbers: object = None) -> SampleSpikes:
        """Return spikes drawn for values.

        Parameters
        ----------
        values : array_like, shape (n_samples, n_channels)
            Values, 0 to 1.
        numbers : array_like of int, shape (n_samples,), optional
            Each sample's number, which its random numbers belong to; 0, 1, ... by default. Give a
            batch the numbers that its samples have in the whole set, and use new numbers for new
            draws.

        Raises
        ------
        DescriptionError
            If a value is not finite or not within 0 to 1, or there is not one number per sample.
        """
        n_steps = interval_steps(self, "duration")
        mean = self.rates(values) * (self.dt * 1e-3)
        where = "PoissonRate.encode, numbers"
        which = as_indices(np.arange(len(mean)) if numbers is None else numbers, where=where)
        check_shape(which, mean.shape[:1], where=where, meaning="one per sample")
        check_indices(which, 2**31, where=where)
        none = np.empty((3, 0), np.int64)
        seed = np.uint64(self.seed)
        spikes = np.empty((3, _arrivals(mean, which, n_steps, seed, none)), np.int64)
        _arrivals(mean, which, n_steps, seed, spikes)
        return SampleSpikes(spikes[0], spikes[1], spikes[2], mean.shape, n_steps, self.dt)


@kernel
def _arrivals(
    mean: FloatArray, numbers: IntArray, n_steps: int, seed: np.uint64, spikes: Integers
) -> int:
    """Return how many spikes there are; fill those (sample, channel, step) that there is room for.

    mean [i sample, c channel] holds expected spikes per step, numbers [i] name streams. Intervals
    are exponential; an arrival in (s - 1, s] is a spike of step s.
    """
    parent = stream(stream(uint64(0), seed), STIMULUS)
    n = 0
    for i in range(mean.shape[0]):
        sample_key = stream(parent, numbers[i])
        for c in range(mean.shape[1]):
            key = stream(sample_key, c)
            time, draw = 0.0, 0
            while True:
                time -= math.log(unit(word(key, draw))) / mean[i, c]
                draw += 1
                if time > n_steps:
                    break
                if n < spikes.shape[1]:
                    spikes[0, n], spikes[1, n], spikes[2, n] = i, c, math.ceil(time)
                n += 1
    return n
