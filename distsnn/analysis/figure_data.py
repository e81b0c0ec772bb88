"""Data of the plots, read from a run in bounded memory."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from dask.base import compute
from numpy.typing import NDArray

from distsnn.analysis.correlation import correlations
from distsnn.analysis.isi import isi
from distsnn.analysis.rates import (
    population_rate,
    rates,
    spike_count_histogram,
    spike_counts,
)
from distsnn.analysis.run import Run
from distsnn.analysis.selection import Neurons, Selection, Window
from distsnn.analysis.spectrum import power_spectrum

_RASTER_MS = 200.0
_RATE_BINS = 400
_LEAST_RATE_BIN_MS = 5.0
# Correlations cost (neurons² × bins): a sample of neurons and of time gives their mean.
_CORRELATION_NEURONS = 600
_CORRELATION_MS = 20_000.0
_COUNT_BIN_MS = 100.0
_MIN_ISIS = 5


@dataclass(frozen=True)
class RasterData:
    """Dots of a raster plot: a sample of neurons, in rows from the top.

    Attributes
    ----------
    time : ndarray of float64, shape (n_dots,)
        ms.
    row : ndarray of int64, shape (n_dots,)
        Row of each dot, counted from the top.
    names : tuple of str
        Populations.
    edges : ndarray of int64, shape (n_populations + 1,)
        Rows [edges[i], edges[i+1]) are population i's.
    start, stop : float
        Time range, ms.
    sampled : bool
        Whether some neurons are left out.
    gaps : tuple of (int, float, float)
        Populations by number, with times (after, until] in which they were not recorded, ms.
    """

    time: NDArray[np.float64]
    row: NDArray[np.int64]
    names: tuple[str, ...]
    edges: NDArray[np.int64]
    start: float
    stop: float
    sampled: bool
    gaps: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True)
class SummaryData:
    """Statistics by neuron and by population of a whole run, computed.

    Attributes
    ----------
    names : tuple of str
        Recorded populations.
    index : ndarray of int64, shape (n_neurons,)
        Population of each recorded neuron.
    counts : ndarray of int64, shape (n_neurons,)
        Spikes.
    rates, cv : ndarray of float64, shape (n_neurons,)
        Rate in the time in which it was recorded, spikes/s, NaN where that is none; CV of ISI, NaN
        with fewer than 5 intervals.
    rate : DataArray (population, time)
        Population rate, spikes/s.
    histogram : DataArray (population, count)
        (neuron, bin) pairs by spike count, bins of 100 ms; None for shorter runs.
    spectrum : DataArray (population, frequency) or None
        None for runs too short for one.
    correlations : list of ndarray
        Correlations of pairs within each population, spike counts in 2 ms; arrays may be
        empty.

    Where recordings of spikes were switched off in between, there are neither CVs, histogram,
    spectrum nor correlations.
    """

    names: tuple[str, ...]
    index: NDArray[np.int64]
    counts: NDArray[np.int64]
    rates: NDArray[np.float64]
    cv: NDArray[np.float64]
    rate: xr.DataArray
    histogram: xr.DataArray | None
    spectrum: xr.DataArray | None
    correlations: list[NDArray[np.float64]]

    def finite_values(self, values: NDArray[np.float64], population: int) -> NDArray[np.float64]:
        """Return the finite values of one population's neurons."""
        selected = values[self.index == population]
        finite: NDArray[np.float64] = selected[np.isfinite(selected)]
        return finite


def raster_data(
    selection: Selection, *, max_neurons: int = 2000, max_spikes: int = 50_000
) -> RasterData:
    """Return the dots of a raster plot.

    Where neurons or spikes are more than these, every population shows the same fraction of its
    neurons, evenly spaced.
    """
    neurons = selection.neurons
    dots = selection.reader.estimate_spikes(selection.start_step, selection.last_step)
    fraction = min(1.0, max_neurons / neurons.count, max_spikes / max(dots, 1.0))
    n_displayed = np.maximum(1, (neurons.sizes * fraction).astype(np.int64))
    rows = _sample(neurons, n_displayed)
    parts = compute(*[value for _, value in selection.per_window(_dots, rows)])  # type: ignore[no-untyped-call]
    steps = np.concatenate([part[0] for part in parts]) if parts else np.empty(0)
    row = np.concatenate([part[1] for part in parts]) if parts else np.empty(0, np.int64)
    return RasterData(
        time=steps * selection.dt,
        row=row,
        names=neurons.names,
        edges=np.concatenate([[0], np.cumsum(n_displayed)]),
        start=selection.start_step * selection.dt,
        stop=selection.last_step * selection.dt,
        sampled=bool(np.any(n_displayed < neurons.sizes)),
        gaps=tuple(
            (index, after * selection.dt, until * selection.dt)
            for index, name in enumerate(neurons.names)
            for after, until in selection.gaps(name)
        ),
    )


def last_window(run: Run, length_ms: float = _RASTER_MS) -> tuple[float, float]:
    """Return the last interval (start, stop] of the recorded time, ms."""
    return max(run.start_ms, run.time_ms - length_ms), run.time_ms


def summary_data(run: Run) -> SummaryData:
    """Compute a run's statistics in two passes over its spikes, in bounded memory."""
    selection = run.select()
    neurons = selection.neurons
    long_enough = run.duration_ms >= 2 * _COUNT_BIN_MS
    bin_ms = float(np.ceil(run.duration_ms / _RATE_BINS))
    bin_ms = max(_LEAST_RATE_BIN_MS if long_enough else 1.0, bin_ms)
    is_complete = selection.is_whole
    lazy = (
        spike_counts(selection),
        rates(selection),
        population_rate(selection, _on_grid(bin_ms, run.dt)),
        isi(selection)[["n", "cv"]] if is_complete else None,
        spike_count_histogram(selection, _on_grid(_COUNT_BIN_MS, run.dt), max_count=30)
        if is_complete and long_enough
        else None,
        power_spectrum(selection, _on_grid(1.0, run.dt)) if is_complete and long_enough else None,
    )
    computed = compute(*lazy)  # type: ignore[no-untyped-call]
    counts, per_neuron, rate, intervals, histogram, spectrum = computed
    cv = np.full(neurons.count, np.nan)
    if intervals is not None:
        has_intervals = intervals["n"].values >= _MIN_ISIS
        cv[has_intervals] = intervals["cv"].values[has_intervals]
    return SummaryData(
        names=neurons.names,
        index=neurons.population_index,
        counts=counts.values,
        rates=per_neuron.values,
        cv=cv,
        rate=rate,
        histogram=histogram,
        spectrum=spectrum,
        correlations=_correlations(run, neurons, counts.values),
    )


def _correlations(
    run: Run, neurons: Neurons, counts: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Return the correlations of pairs within each population, of a sample of active neurons."""
    each = max(2, min(100, _CORRELATION_NEURONS // len(neurons.names)))
    index, gids = neurons.population_index, neurons.gids
    chosen = []
    for population in range(len(neurons.names)):
        active = gids[(index == population) & (counts > 0)]
        n = min(each, len(active))
        chosen.append(active[np.arange(n) * len(active) // max(n, 1)])
    everyone = np.concatenate(chosen)
    if run.duration_ms == 0 or len(everyone) == 0:
        return [np.empty(0) for _ in chosen]
    start, stop = last_window(run, _CORRELATION_MS)
    selection = run.select(None, start, stop)
    if not selection.is_whole:
        return [np.empty(0) for _ in chosen]
    bin_ms = _on_grid(2.0, run.dt)
    matrix = correlations(selection, bin_ms, everyone.tolist()).values
    values, first = [], 0
    for group in chosen:
        block = matrix[first : first + len(group), first : first + len(group)]
        pairs = block[np.triu_indices(len(group), k=1)]
        values.append(pairs[np.isfinite(pairs)])
        first += len(group)
    return values


def _on_grid(bin_ms: float, dt: float) -> float:
    """Return a multiple of dt near the width of a bin."""
    return max(1, round(bin_ms / dt)) * dt


def _sample(neurons: Neurons, n_displayed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row of each neuron, −1 for those left out, shape (count,)."""
    rows = np.full(neurons.count, -1, np.int64)
    index, first = neurons.population_index, 0
    for population, n in enumerate(n_displayed):
        members = np.flatnonzero(index == population)
        rows[members[np.arange(n) * len(members) // n]] = first + np.arange(n)
        first += int(n)
    return rows


def _dots(window: Window, rows: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    row = rows[window.neuron]
    return window.step[row >= 0], row[row >= 0]
