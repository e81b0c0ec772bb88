"""Correlations of binned spike counts between pairs of neurons."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray

from distsnn.analysis.coordinates import lazy
from distsnn.analysis.rates import spike_counts
from distsnn.analysis.selection import Selection, Window, tree_reduce

# Bins worked on at a time, so that a quiet network's long windows stay small.
_BINS = 4096


@dataclass(frozen=True)
class CountMoments:
    """Sums over bins of counts and of their products: they add up exactly over windows.

    Attributes
    ----------
    bins : int
        Number of bins.
    total : ndarray of float64, shape (n_neurons,)
        Σ count.
    products : ndarray of float64, shape (n_neurons, n_neurons)
        Σ count_i · count_j.
    """

    bins: int
    total: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def empty(cls, n: int) -> "CountMoments":
        """Return the sums over no bins."""
        return cls(0, np.zeros(n), np.zeros((n, n)))

    def __add__(self, other: "CountMoments") -> "CountMoments":
        return CountMoments(
            self.bins + other.bins, self.total + other.total, self.products + other.products
        )

    def correlation(self) -> NDArray[np.float64]:
        """Return the matrix of Pearson correlations; NaN for neurons whose count never changes."""
        if self.bins == 0:
            return np.full(self.products.shape, np.nan)
        covariance = self.products - np.outer(self.total, self.total / self.bins)
        variance = np.diag(covariance).copy()
        variance[variance <= 0] = np.nan
        matrix: NDArray[np.float64] = covariance / np.sqrt(np.outer(variance, variance))
        return matrix


def active_gids(selection: Selection, n: int) -> NDArray[np.int64]:
    """Return `n` neurons that spiked (or all, if fewer), evenly spaced among them; reads a pass."""
    counts = spike_counts(selection).values
    active = selection.neurons.gids[counts > 0]
    if len(active) <= n:
        return active
    return active[np.arange(n) * len(active) // n]


def correlations(
    selection: Selection, bin_ms: float = 2.0, neurons: int | Sequence[int] = 250
) -> xr.DataArray:
    """Return the Pearson correlations of binned spike counts of pairs of neurons, on Dask.

    Parameters
    ----------
    selection : Selection
        The spikes.
    bin_ms : float
        Width of the bins, ms.
    neurons : int or sequence of int
        Gids; or how many of the neurons that spiked (they are found by reading the spikes once).

    Returns
    -------
    DataArray of float64, dims (neuron, other)
        Coordinates gid and other_gid. NaN for neurons whose count never changes.

    Raises
    ------
    DescriptionError
        If spikes were not recorded in all of the time.
    """
    selection.check_whole("correlations")
    steps = selection.bin_steps(bin_ms)
    if isinstance(neurons, int):
        gids = active_gids(selection, neurons)
    else:
        gids = np.array(sorted(set(neurons)), np.int64)
    index, inside = selection.neurons.locate(gids.astype(np.uint32))
    gids, n = gids[inside], int(inside.sum())
    column = np.full(selection.neurons.count, -1, np.int64)
    column[index[inside]] = np.arange(n)
    columns = delayed(column, traverse=False)
    parts = [
        value for _, value in selection.per_window(_moments, columns, n, steps, bin_steps=steps)
    ]
    moments = tree_reduce(parts, _sum) if parts else delayed(CountMoments.empty(n))
    matrix = delayed(CountMoments.correlation)(moments)
    return xr.DataArray(
        lazy(matrix, (n, n), "float64"),
        dims=("neuron", "other"),
        coords={"gid": ("neuron", gids), "other_gid": ("other", gids)},
        name="correlation",
        attrs={"units": "1", "long_name": f"correlation of spike counts in {bin_ms:g} ms"},
    )


def pairs(matrix: xr.DataArray) -> NDArray[np.float64]:
    """Return the correlations of all pairs of two neurons, those that are NaN left out."""
    values = np.asarray(matrix.values)
    upper: NDArray[np.float64] = values[np.triu_indices(len(values), k=1)]
    finite: NDArray[np.float64] = upper[np.isfinite(upper)]
    return finite


def _moments(window: Window, column: NDArray[np.int64], n: int, steps: int) -> CountMoments:
    row = column[window.neuron]
    bin_number = (window.step.astype(np.int64) - window.after - 1) // steps
    bins = (window.until - window.after) // steps
    keep = (row >= 0) & (bin_number < bins)
    row, bin_number = row[keep], bin_number[keep]
    moments = CountMoments.empty(n)
    for start in range(0, bins, _BINS):
        width = min(_BINS, bins - start)
        # Spikes are in the order of time.
        low, high = np.searchsorted(bin_number, [start, start + width])
        cell = row[low:high] * width + bin_number[low:high] - start
        counts = np.bincount(cell, minlength=n * width).reshape(n, width).astype(np.float64)
        moments += CountMoments(width, counts.sum(axis=1), counts @ counts.T)
    return moments


def _sum(parts: list[CountMoments]) -> CountMoments:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
