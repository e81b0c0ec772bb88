"""The power spectrum of population rates, by Welch's method, on Dask."""

from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from distsnn.analysis.rates import population_rate
from distsnn.analysis.selection import Selection
from distsnn.errors import DescriptionError

# Segments transformed together.
_BLOCK_SEGMENTS = 16


def power_spectrum(
    selection: Selection, bin_ms: float = 1.0, segment_ms: float = 500.0
) -> xr.DataArray:
    """Return the one-sided power spectral density of the population rates, on Dask.

    Welch (1967): the mean over half-overlapping segments, each less its mean and under a Hann
    window, so that the variance of the rate is the integral over frequency.

    Parameters
    ----------
    selection : Selection
        The spikes.
    bin_ms : float
        Width of the bins of the rate, ms; frequencies go up to 500 / bin_ms Hz.
    segment_ms : float
        Length of a segment, ms, rounded down to an even number of bins; frequencies are
        1000 / segment_ms Hz apart. A run shorter than this is one segment.

    Returns
    -------
    DataArray of float64, dims (population, frequency), (spikes/s)²/Hz

    Raises
    ------
    DescriptionError
        If a segment has fewer than 8 bins, or spikes were not recorded in all of the time.
    """
    selection.check_whole("a power spectrum")
    rate = population_rate(selection, bin_ms)
    n_bins = rate.sizes["time"]
    # Halves of equal length, so that segments overlap evenly.
    length = min(round(segment_ms / rate.attrs["bin_ms"]), n_bins) // 2 * 2
    if length < 8:
        raise DescriptionError(
            "segments are too short",
            where="power spectrum",
            value=f"{length} bins",
            allowed="at least 8 bins of time in a segment and in the run",
        )
    sampling = 1e3 / rate.attrs["bin_ms"]
    total: Any = 0.0
    segments = 0
    for offset in (0, length // 2):
        count = (n_bins - offset) // length
        if count:
            stretch = rate.data[:, offset : offset + count * length]
            total = total + _sum_of_segments(stretch, length, sampling)
            segments += count
    return xr.DataArray(
        total / segments,
        dims=("population", "frequency"),
        coords={
            "population": rate.coords["population"],
            "frequency": ("frequency", np.fft.rfftfreq(length, 1.0 / sampling), {"units": "Hz"}),
        },
        name="power",
        attrs={
            "units": "(spikes/s)²/Hz",
            "long_name": "power spectral density of the population rate",
            "segments": segments,
        },
    )


def _sum_of_segments(rate: da.Array, length: int, sampling: float) -> da.Array:
    """Return the sum of the segments' densities, (population, frequency)."""
    n = rate.shape[0]
    blocks = rate.rechunk({0: n, 1: length * _BLOCK_SEGMENTS})  # type: ignore[no-untyped-call]
    densities = blocks.map_blocks(
        _densities,
        length,
        sampling,
        dtype=np.float64,
        new_axis=2,
        chunks=((n,), tuple(c // length for c in blocks.chunks[1]), (length // 2 + 1,)),
    )
    total: da.Array = densities.sum(axis=1)
    return total


def _densities(rate: NDArray[np.float64], length: int, sampling: float) -> NDArray[np.float64]:
    """Return the density of each segment, (population, segment, frequency)."""
    segments = rate.reshape(len(rate), -1, length)
    # The periodic Hann window, as spectral estimates need it.
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    centred = (segments - segments.mean(axis=2, keepdims=True)) * window
    power = np.abs(np.fft.rfft(centred, axis=2)) ** 2 / (sampling * (window**2).sum())
    # One side stands for both, but zero and the Nyquist frequency have no other side.
    power[:, :, 1 : (length + 1) // 2] *= 2.0
    return np.asarray(power, np.float64)
