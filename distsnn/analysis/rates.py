"""Spike counts: rates of neurons, rates of populations over time, distributions of counts."""

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray

from distsnn.analysis.coordinates import bin_centres, lazy, per_neuron
from distsnn.analysis.selection import Selection, Window, tree_reduce

Counts = NDArray[np.int64]


def spike_counts(selection: Selection) -> xr.DataArray:
    """Return the number of spikes of each neuron, on Dask.

    Returns
    -------
    DataArray of int64, dims (neuron,)
    """
    n = selection.neurons.count
    parts = [value for _, value in selection.per_window(_counts, n)]
    total = tree_reduce(parts, _sum) if parts else delayed(np.zeros(n, np.int64))
    return per_neuron(
        total, selection, "int64", name="spikes", units="1", long_name="number of spikes"
    )


def rates(selection: Selection) -> xr.DataArray:
    """Return the mean rate of each neuron in the time in which it was recorded, on Dask.

    Returns
    -------
    DataArray of float64, dims (neuron,), spikes/s
        NaN where nothing was recorded.
    """
    seconds = selection.seconds
    seconds[seconds == 0.0] = np.nan
    result = spike_counts(selection) / seconds[selection.neurons.population_index]
    return result.rename("rate").assign_attrs(units="spikes/s", long_name="mean rate")


def binned_counts(selection: Selection, bin_ms: float) -> xr.DataArray:
    """Return the spikes of each population in bins of time, on Dask, one chunk a window.

    Parameters
    ----------
    selection : Selection
        The spikes.
    bin_ms : float
        Width of the bins, ms; an incomplete bin at the end is left out.

    Returns
    -------
    DataArray of int64, dims (population, time)

    Raises
    ------
    DescriptionError
        If spikes were not recorded in all of the time.
    """
    selection.check_whole("spike counts in bins")
    return _binned_counts(selection, bin_ms)


def _binned_counts(selection: Selection, bin_ms: float) -> xr.DataArray:
    steps = selection.bin_steps(bin_ms)
    neurons = selection.neurons
    n, population_index = len(neurons.names), neurons.population_index
    blocks = []
    populations = delayed(population_index, traverse=False)
    for (low, high), value in selection.per_window(_binned, populations, n, steps, bin_steps=steps):
        bins = (high - low) // steps
        if bins:
            blocks.append(lazy(value, (n, bins), "int64"))
    blocks = blocks or [da.zeros((n, 0), np.int64)]
    data = da.concatenate(blocks, axis=1)  # type: ignore[no-untyped-call]
    return xr.DataArray(
        data,
        dims=("population", "time"),
        coords={
            "population": np.array(neurons.names, dtype=np.str_),
            "time": ("time", bin_centres(selection, steps), {"units": "ms"}),
        },
        name="spikes",
        attrs={"units": "1", "long_name": "number of spikes", "bin_ms": steps * selection.dt},
    )


def population_rate(selection: Selection, bin_ms: float = 1.0) -> xr.DataArray:
    """Return the rate of each population in bins of time, per neuron, on Dask.

    Parameters
    ----------
    selection : Selection
        The spikes.
    bin_ms : float
        Width of the bins, ms.

    Returns
    -------
    DataArray of float64, dims (population, time), spikes/s
        NaN in bins in which the population's spikes were not recorded all the time.
    """
    counts = _binned_counts(selection, bin_ms)
    size = xr.DataArray(selection.neurons.sizes, dims="population")
    bin_s = float(counts.attrs["bin_ms"]) * 1e-3
    result: xr.DataArray = counts / (size * bin_s)
    if not selection.is_whole:
        result = result.where(_whole_bins(selection, selection.bin_steps(bin_ms)))
    return result.rename("rate").assign_attrs(
        units="spikes/s", long_name="population rate", bin_ms=counts.attrs["bin_ms"]
    )


def _whole_bins(selection: Selection, steps: int) -> xr.DataArray:
    """Return which bins were recorded all the time, dims (population, time)."""
    is_whole = np.ones((len(selection.neurons.names), selection.bins(steps)), np.bool_)
    for row, name in zip(is_whole, selection.neurons.names, strict=True):
        for after, until in selection.gaps(name):
            first, last = after - selection.start_step, until - selection.start_step
            row[first // steps : -(-last // steps)] = False
    return xr.DataArray(is_whole, dims=("population", "time"))


def synchrony(selection: Selection, bin_ms: float = 3.0) -> xr.DataArray:
    """Return variance / mean of each population's binned spike counts, on Dask.

    1 for independent Poisson neurons; it grows with the number of neurons counted.

    Returns
    -------
    DataArray of float64, dims (population,)

    Raises
    ------
    DescriptionError
        If spikes were not recorded in all of the time.
    """
    counts = binned_counts(selection, bin_ms)
    bins = counts.sizes["time"]
    # Sums of integers: how time was cut into windows does not show.
    total = counts.sum("time")
    squares = (counts * counts).sum("time")
    ratio: xr.DataArray = squares / total.where(total > 0) - total / max(bins, 1)
    ratio.attrs = {"units": "1", "long_name": "variance / mean of the population's spike count"}
    return ratio.rename("synchrony")


def spike_count_histogram(
    selection: Selection, bin_ms: float | None = None, max_count: int = 100
) -> xr.DataArray:
    """Return how often a neuron has k spikes in a bin of time, by population, on Dask.

    Parameters
    ----------
    selection : Selection
        The spikes.
    bin_ms : float, optional
        Width of the bins, ms; None: the whole time range is one bin.
    max_count : int
        The last k, which stands for as many or more.

    Returns
    -------
    DataArray of int64, dims (population, count)
        Number of pairs (neuron, bin).

    Raises
    ------
    DescriptionError
        If spikes were not recorded in all of the time.
    """
    selection.check_whole("a histogram of spike counts")
    neurons = selection.neurons
    n, population_index = len(neurons.names), neurons.population_index
    if bin_ms is None:
        counts = spike_counts(selection).data
        value = delayed(_count_histogram)(counts, population_index, n, max_count)
    else:
        steps = selection.bin_steps(bin_ms)
        populations = delayed(population_index, traverse=False)
        parts = [
            value
            for _, value in selection.per_window(
                _binned_histogram, populations, n, steps, max_count, bin_steps=steps
            )
        ]
        nothing = delayed(np.zeros((n, max_count + 1), np.int64))
        occupied = tree_reduce(parts, _sum) if parts else nothing
        value = delayed(_with_empty_pairs)(occupied, neurons.sizes * selection.bins(steps))
    return xr.DataArray(
        lazy(value, (n, max_count + 1), "int64"),
        dims=("population", "count"),
        coords={
            "population": np.array(neurons.names, dtype=np.str_),
            "count": np.arange(max_count + 1),
        },
        name="pairs",
        attrs={"units": "1", "long_name": "number of (neuron, bin) pairs"},
    )


def _counts(window: Window, n: int) -> Counts:
    return np.bincount(window.neuron, minlength=n).astype(np.int64)


def _sum(parts: list[Counts]) -> Counts:
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


def _bin_numbers(window: Window, steps: int) -> tuple[NDArray[np.int64], int]:
    """Return the bin of each spike and the number of whole bins; later spikes have no bin."""
    bins = (window.until - window.after) // steps
    return (window.step.astype(np.int64) - window.after - 1) // steps, bins


def _binned(window: Window, population_index: Counts, n: int, steps: int) -> Counts:
    number, bins = _bin_numbers(window, steps)
    in_range = number < bins
    cell = population_index[window.neuron[in_range]] * bins + number[in_range]
    return np.bincount(cell, minlength=n * bins).reshape(n, bins).astype(np.int64)


def _binned_histogram(
    window: Window, population_index: Counts, n: int, steps: int, max_count: int
) -> Counts:
    number, bins = _bin_numbers(window, steps)
    in_range = number < bins
    pair, count = np.unique(
        window.neuron[in_range] * max(bins, 1) + number[in_range], return_counts=True
    )
    population = population_index[pair // max(bins, 1)]
    cell = population * (max_count + 1) + np.minimum(count, max_count)
    return np.bincount(cell, minlength=n * (max_count + 1)).reshape(n, -1).astype(np.int64)


def _with_empty_pairs(occupied: Counts, pairs: Counts) -> Counts:
    filled = occupied.copy()
    filled[:, 0] = pairs - occupied.sum(axis=1)
    return filled


def _count_histogram(counts: Counts, population_index: Counts, n: int, max_count: int) -> Counts:
    cell = population_index * (max_count + 1) + np.minimum(counts, max_count)
    return np.bincount(cell, minlength=n * (max_count + 1)).reshape(n, -1).astype(np.int64)
