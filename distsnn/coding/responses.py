"""Responses of each channel to each sample: counts, rates, first spikes, filtered spikes."""

import numpy as np

from distsnn.coding.checks import Integers
from distsnn.coding.spikes import SampleSpikes
from distsnn.errors import DescriptionError
from distsnn.network.checks import (
    POSITIVE,
    FloatArray,
    as_floats,
    check_increasing,
    check_range,
    steps_array,
)
from distsnn.public_api import public_function


@public_function
def spike_counts(spikes: SampleSpikes) -> Integers:
    """Return how often each channel spiked in each sample.

    Returns
    -------
    ndarray of int64, shape (n_samples, n_channels)
    """
    counts = np.zeros(spikes.shape, np.int64)
    np.add.at(counts, (spikes.samples, spikes.channels), 1)
    return counts


def sum_by_channel(spikes: SampleSpikes, values: FloatArray) -> FloatArray:
    """Return the sum of a value of each spike, by sample and channel."""
    sums = np.zeros(spikes.shape)
    np.add.at(sums, (spikes.samples, spikes.channels), values)
    return sums


@public_function
def windowed_counts(spikes: SampleSpikes, edges: object) -> Integers:
    """Return how often each channel spiked in consecutive windows of each sample.

    Parameters
    ----------
    spikes : SampleSpikes
        Spikes.
    edges : array_like, shape (n_windows + 1,), ms
        Increasing times after the onset, on the grid; window i is (edges[i], edges[i + 1]].

    Returns
    -------
    ndarray of int64, shape (n_samples, n_windows, n_channels)

    Raises
    ------
    DescriptionError
        If there are fewer than two edges, or they do not increase, lie off the grid, or go beyond
        the samples' window.
    """
    where = "windowed_counts, edges"
    times = as_floats(edges, where=where)
    check_increasing(times, where=where)
    bounds = steps_array(times, spikes.dt, where=where)
    if bounds.size < 2:
        raise DescriptionError("no window", where=where, value=times.tolist(), allowed="2 or more")
    if bounds[-1] > spikes.n_steps:
        raise DescriptionError(
            "beyond the samples' window",
            where=f"{where}[{bounds.size - 1}]",
            value=float(times[-1]),
            allowed=f"<= {spikes.duration:g}",
        )
    window = np.searchsorted(bounds, spikes.steps) - 1
    inside = (window >= 0) & (window < bounds.size - 1)
    counts = np.zeros((spikes.shape[0], bounds.size - 1, spikes.shape[1]), np.int64)
    np.add.at(counts, (spikes.samples[inside], window[inside], spikes.channels[inside]), 1)
    return counts


@public_function
def spike_rates(spikes: SampleSpikes) -> FloatArray:
    """Return each channel's mean rate in each sample.

    Returns
    -------
    ndarray of float64, shape (n_samples, n_channels), spikes/s
    """
    return spike_counts(spikes).astype(np.float64) * (1e3 / spikes.duration)


@public_function
def first_spike_times(spikes: SampleSpikes) -> FloatArray:
    """Return when each channel spiked first.

    Returns
    -------
    ndarray of float64, shape (n_samples, n_channels), ms
        Times after the onset; infinite for channels without a spike.
    """
    first = np.full(spikes.shape, np.inf)
    np.minimum.at(first, (spikes.samples, spikes.channels), spikes.times)
    return first


@public_function
def first_to_spike(spikes: SampleSpikes) -> Integers:
    """Return which channel spiked first, such as the class that an output layer decides for.

    Returns
    -------
    ndarray of int64, shape (n_samples,)
        The lowest of those that spiked in the same step; -1 for samples without a spike.
    """
    first = first_spike_times(spikes)
    return np.where(np.isfinite(first.min(axis=1)), first.argmin(axis=1), -1)


@public_function
def filtered_at_end(spikes: SampleSpikes, tau: float) -> FloatArray:
    """Return exponentially filtered spikes at the window's end: late spikes count more.

    Parameters
    ----------
    spikes : SampleSpikes
        Spikes.
    tau : float
        Time constant, ms: each spike counts exp(-(time to the end)/tau).

    Returns
    -------
    ndarray of float64, shape (n_samples, n_channels)

    Raises
    ------
    DescriptionError
        If `tau` is not positive.
    """
    check_range(tau, POSITIVE, where="filtered_spikes, tau")
    left = np.exp((spikes.steps - spikes.n_steps) * (spikes.dt / tau))
    return sum_by_channel(spikes, left)
