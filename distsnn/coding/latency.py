"""Time to first spike: the larger a value, the earlier its channel spikes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from distsnn.coding.checks import UNIT, as_samples, check_numbers, interval_steps
from distsnn.coding.responses import first_spike_times
from distsnn.coding.spikes import SampleSpikes, spikes_at
from distsnn.network.base import Description
from distsnn.network.checks import POSITIVE, FloatArray, Interval


@dataclass(frozen=True, eq=False, kw_only=True)
class LatencyCode(Description, ABC):
    """Base class of codes by the time of the first spike."""

    dt: float

    @property
    @abstractmethod
    def n_steps(self) -> int:
        """Length of a sample's window, steps."""

    @abstractmethod
    def spike_times(self, values: FloatArray) -> FloatArray:
        """Return the times of values, ms after the onset; infinite for those that do not spike."""

    @abstractmethod
    def values_of_times(self, times: FloatArray) -> FloatArray:
        """Return the values of times (ms after the onset, finite)."""

    def encode(self, values: object) -> SampleSpikes:
        """Return the spikes of values, at the nearest times on the grid.

        Parameters
        ----------
        values : array_like, shape (n_samples, n_channels)
            Values, 0 to 1.

        Raises
        ------
        DescriptionError
            If a value is not finite or not within 0 to 1.
        """
        array = as_samples(values, where=f"{type(self).__name__}, values", allowed=UNIT)
        return spikes_at(self.spike_times(array), self.n_steps, self.dt)

    def decode(self, spikes: SampleSpikes) -> FloatArray:
        """Return the values that first spikes stand for.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_channels)
            Within 0 to 1; 0 for a channel without a spike.
        """
        times = first_spike_times(spikes)
        spiked = np.isfinite(times)
        values = np.zeros(times.shape)
        values[spiked] = np.clip(self.values_of_times(times[spiked]), 0.0, 1.0)
        return values


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearLatency(LatencyCode):
    """The time of the spike falls linearly with the value: last - value (last - first).

    Parameters
    ----------
    dt : float
        Step, ms.
    first, last : float
        Times of the values 1 and 0 after the onset, ms, on the grid, 0 < first < last; `last` is
        the length of a sample's window.
    min_value : float
        Smaller values do not spike; 0 to 1.

    Raises
    ------
    DescriptionError
        If a number is out of range or a time off the grid.

    Notes
    -----
    Bohte, Kok & La Poutré (2002), Neurocomputing 48:17, use this code for the responses of Gaussian
    fields; responses below 0.1 cause no spike.
    """

    first: float
    last: float
    min_value: float = 0.0

    def __post_init__(self) -> None:
        interval_steps(self, "first")
        check_numbers(self, last=Interval(self.first, open_low=True), min_value=UNIT)
        interval_steps(self, "last")

    @property
    def n_steps(self) -> int:
        """Length of a sample's window, steps."""
        return interval_steps(self, "last")

    def spike_times(self, values: FloatArray) -> FloatArray:
        """Return the times of values, ms after the onset; infinite for those that do not spike."""
        times = self.last - values * (self.last - self.first)
        return np.where(values >= self.min_value, times, np.inf)

    def values_of_times(self, times: FloatArray) -> FloatArray:
        """Return the values of times (ms after the onset, finite)."""
        return (self.last - times) / (self.last - self.first)


@dataclass(frozen=True, eq=False, kw_only=True)
class LogarithmicLatency(LatencyCode):
    """The time at which a leaky integrator that is driven by the value reaches a threshold.

    It is tau log(value / (value - threshold)): a membrane's potential approaches the value from 0
    with time constant tau.

    Parameters
    ----------
    dt : float
        Step, ms.
    duration : float
        Length of a sample's window, ms, on the grid.
    tau : float
        Time constant, ms.
    threshold : float
        Values up to it never spike; above 0, below 1.

    Raises
    ------
    DescriptionError
        If a number is out of range or the duration off the grid.

    Notes
    -----
    Values whose time is beyond the window do not spike either: those below
    ``threshold / (1 - exp(-duration / tau))``.

    Source: the first spike of an integrate-and-fire neuron under constant current, Gerstner &
    Kistler (2002), Spiking Neuron Models, section 4.1; as a code, Eshraghian et al. (2023),
    Proc. IEEE 111:1016.
    """

    duration: float
    tau: float
    threshold: float

    def __post_init__(self) -> None:
        interval_steps(self, "duration")
        inside = Interval(0.0, 1.0, open_low=True, open_high=True)
        check_numbers(self, tau=POSITIVE, threshold=inside)

    @property
    def n_steps(self) -> int:
        """Length of a sample's window, steps."""
        return interval_steps(self, "duration")

    def spike_times(self, values: FloatArray) -> FloatArray:
        """Return the times of values, ms after the onset; infinite for those that do not spike."""
        times = np.full(values.shape, np.inf)
        above = values > self.threshold
        times[above] = -self.tau * np.log1p(-self.threshold / values[above])
        return times

    def values_of_times(self, times: FloatArray) -> FloatArray:
        """Return the values of times (ms after the onset, finite)."""
        return -self.threshold / np.expm1(-times / self.tau)
