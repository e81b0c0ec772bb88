"""Plots of a run: raster, rates, distributions, spectrum, and all of them as a summary."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from distsnn.analysis.figure_data import (
    RasterData,
    SummaryData,
    last_window,
    raster_data,
    summary_data,
)
from distsnn.analysis.figure_style import (
    Style,
    colour,
    escape_mathtext,
    legend,
    new_figure,
    population_ticks,
    shorten_name,
    style_axes,
)
from distsnn.analysis.run import Run, as_run
from distsnn.analysis.selection import SelectedPopulations
from distsnn.public_api import public_function

# More lines or rows than this cannot be distinguished.
MAX_LINES = 12
MAX_ROWS = 60
MOST_HIGH_PANELS = 4
PHASES = ("build", "update", "deliver", "exchange", "wait", "record")


@public_function
def raster(
    run: Run | str | os.PathLike[str],
    population: SelectedPopulations = None,
    start: float | None = None,
    stop: float | None = None,
    *,
    max_neurons: int = 2000,
    max_spikes: int = 50_000,
    ax: Axes | None = None,
    style: Style | None = None,
) -> Figure:
    """Plot spikes as dots, neurons from top to bottom by population.

    Time in which a population's spikes were not recorded is grey.

    Parameters
    ----------
    run : Run, str or PathLike
        The run, or the path of its store.
    population : str, Population, PopulationView or sequence of these, optional
        Names, populations or views such as ``E[:5]``; by default all.
    start, stop : float, optional
        Time range, ms; by default the last 200 ms recorded.
    max_neurons, max_spikes : int
        Maximum numbers. If there are more, each population shows the same fraction of its neurons.
    ax : matplotlib.axes.Axes, optional
        Axes to plot on; by default a new figure.
    style : Style, optional
        Colours.

    Returns
    -------
    matplotlib.figure.Figure
    """
    style, run = style or Style(), as_run(run)
    if start is None and stop is None:
        start, stop = last_window(run)
    selection = run.select(population, start, stop)
    data = raster_data(selection, max_neurons=max_neurons, max_spikes=max_spikes)
    axes = ax or new_figure(10.0, 4.4, style).add_subplot()
    draw_raster(axes, data, style)
    return _figure_of(axes)


@public_function
def summary(run: Run | str | os.PathLike[str], *, style: Style | None = None) -> Figure:
    """Plot a run on one page: raster, rates over time, distributions, spectrum.

    Reads all spikes twice, in bounded memory.

    Parameters
    ----------
    run : Run, str or PathLike
        The run, or the path of its store.
    style : Style, optional
        Colours.

    Returns
    -------
    matplotlib.figure.Figure
    """
    style, run = style or Style(), as_run(run)
    data = summary_data(run)
    heights = [4.5, max(3.0, 0.9 + 0.33 * rate_rows(data)), 3.6]
    figure = new_figure(11.0, sum(heights), style)
    # Rows with layouts of their own: long names in one do not squeeze the others.
    parts = figure.subfigures(3, 1, height_ratios=heights, squeeze=False)[:, 0]
    top, middle, bottom = parts
    dots = raster_data(run.select(None, *last_window(run)))
    draw_raster(top.add_subplot(), dots, style)
    left, right = middle.subfigures(1, 2, width_ratios=[2.0, 1.0])
    draw_rate(left.subplots(rate_rows(data), 1, sharex=True, squeeze=False)[:, 0], data.rate, style)
    draw_spectrum(right.add_subplot(), data.spectrum, style)
    draw_distributions(bottom.subplots(1, 3), data, style)
    for part in (top, left, right, bottom):
        part.set_facecolor(style.paper)
    return figure


def draw_raster(ax: Axes, data: RasterData, style: Style) -> None:
    """Draw a raster plot."""
    size = float(np.clip(140.0 / np.sqrt(len(data.row) + 1.0), 1.5, 4.0))
    for index in range(len(data.names)):
        is_member = (data.row >= data.edges[index]) & (data.row < data.edges[index + 1])
        ax.plot(
            data.time[is_member],
            data.row[is_member],
            linestyle="none",
            color=colour(index),
            marker=".",
            markersize=size,
            markeredgewidth=0.0,
            # Tens of thousands of dots as one picture; the rest of the figure stays vectors.
            rasterized=True,
        )
    for index, start, stop in data.gaps:
        low, high = data.edges[index] - 0.5, data.edges[index + 1] - 0.5
        ax.fill_between([start, stop], low, high, color=style.ink, alpha=0.12, linewidth=0.0)
    for edge in data.edges[1:-1]:
        ax.axhline(edge - 0.5, color=style.ink, linewidth=0.5, alpha=0.25)
    title = "Spikes of a sample of neurons" if data.sampled else "Spikes"
    style_axes(ax, style, x="time (ms)", title=title)
    ax.set_xlim(data.start, max(data.stop, data.start + 1e-9))
    ax.set_ylim(max(float(data.edges[-1]), 1.0) - 0.5, -0.5)
    middle = (data.edges[:-1] + data.edges[1:] - 1) / 2
    if len(data.names) <= MAX_ROWS // 2:
        apart = data.edges[-1] / max(16.0, 1.1 * len(data.names))
        population_ticks(ax, data.names, _spread(middle, apart))
        ax.tick_params(axis="y", length=0)
    else:
        ax.set_ylabel("neuron", color=style.ink)


def rate_rows(data: SummaryData) -> int:
    """Return how many axes `draw_rate` fills."""
    return min(len(data.names), MAX_LINES)


def draw_rate(panels: Sequence[Axes], rate: xr.DataArray, style: Style) -> None:
    """Draw population rates over time, one below the other."""
    for index, ax in enumerate(panels):
        time, values = rate["time"].values, rate.values[index]
        ax.fill_between(time, values, color=colour(index), linewidth=0.0, alpha=0.35)
        ax.plot(time, values, color=colour(index), linewidth=0.9)
        first, last = index == 0, index == len(panels) - 1
        title = f"Population rates (spikes/s), bins of {rate.attrs['bin_ms']:g} ms"
        style_axes(ax, style, x="time (ms)" if last else "", title=title if first else "")
        top = max(float(values[np.isfinite(values)].max(initial=0.0)) * 1.05, 1e-3)
        ax.set_ylim(0.0, top)
        ax.set_xlim(0.0 if not len(time) else time[0], 1.0 if not len(time) else time[-1])
        # Low panels have room for one number; that they begin at 0 goes without saying.
        highest = [tick for tick in MaxNLocator(2).tick_values(0.0, top) if tick <= top][-1]
        ax.set_yticks([0.0, highest] if len(panels) <= MOST_HIGH_PANELS else [highest])
        ax.tick_params(labelbottom=last)
        text = ax.text(
            1.005,
            0.5,
            shorten_name(str(rate["population"].values[index])),
            color=colour(index),
            fontsize=8,
            va="center",
            transform=ax.transAxes,
        )
        escape_mathtext([text])


def draw_spectrum(ax: Axes, spectrum: xr.DataArray | None, style: Style) -> None:
    """Draw power spectra of population rates, in the colours of the other plots."""
    style_axes(ax, style, x="frequency (Hz)", y="(spikes/s)²/Hz", title="Power of population rates")
    if spectrum is None:
        note(ax, "the run is too short, or not recorded all the time", style)
        return
    names = [str(name) for name in spectrum["population"].values][:MAX_LINES]
    lines = []
    for index in range(len(names)):
        # Frequency 0 is the mean, which was taken off.
        power = spectrum.values[index, 1:]
        displayed = np.where(power > 0, power, np.nan)
        lines += ax.plot(
            spectrum["frequency"].values[1:], displayed, color=colour(index), linewidth=0.9
        )
    if any(np.isfinite(line.get_ydata()).any() for line in lines):
        ax.set_yscale("log")
    ax.tick_params(which="both", colors=style.ink)


def draw_histogram(ax: Axes, histogram: xr.DataArray | None, style: Style) -> None:
    """Draw the distribution of spike counts in bins of time."""
    style_axes(
        ax,
        style,
        x="spikes of a neuron in 100 ms",
        y="fraction",
        title="Distribution of spike counts",
    )
    if histogram is None:
        note(ax, "the run is too short, or not recorded all the time", style)
        return
    names = [str(name) for name in histogram["population"].values][:MAX_LINES]
    pairs = histogram.values.astype(float)
    fraction = pairs / np.maximum(pairs.sum(axis=1, keepdims=True), 1.0)
    lines = [
        ax.plot(
            np.arange(fraction.shape[1]),
            np.where(fraction[index] > 0, fraction[index], np.nan),
            color=colour(index),
            marker=".",
            markersize=4,
            linewidth=0.9,
        )[0]
        for index in range(len(names))
    ]
    highest = int(np.flatnonzero(pairs.sum(axis=0))[-1]) if pairs.any() else 1
    ax.set_xlim(-0.3, max(highest, 4) + 0.5)
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.tick_params(which="both", colors=style.ink)
    legend(ax, lines, names, style, inside=True)


def draw_distributions(panels: Sequence[Axes], data: SummaryData, style: Style) -> None:
    """Draw rates, CVs and correlations of each population as three rows of boxes."""
    rows = range(min(len(data.names), MAX_ROWS))
    columns = (
        ("Rate", "spikes/s", [data.finite_values(data.rates, i) for i in rows]),
        ("CV of interspike intervals", "CV", [data.finite_values(data.cv, i) for i in rows]),
        ("Correlation of pairs", "correlation (2 ms)", [data.correlations[i] for i in rows]),
    )
    for ax, (title, unit, values) in zip(panels, columns, strict=True):
        for index, members in enumerate(values):
            _box(ax, index, members, style)
        style_axes(ax, style, x=unit, title=title)
        ax.set_ylim(len(values) - 0.5, -0.5)
        population_ticks(ax, data.names[: len(values)], range(len(values)))
        ax.grid(axis="x", color=style.ink, alpha=0.12)
        ax.xaxis.set_major_locator(MaxNLocator(5))
    for ax in panels[1:]:
        ax.tick_params(labelleft=False)


def draw_timing(ax: Axes, timing: pd.DataFrame, style: Style) -> None:
    """Draw each rank's wall time by phase as a bar."""
    table = timing.iloc[np.unique(np.linspace(0, len(timing) - 1, MAX_ROWS).astype(int))]
    phases = [phase for phase in PHASES if phase in table.columns]
    left = np.zeros(len(table))
    bars = []
    for index, phase in enumerate(phases):
        width = table[phase].fillna(0.0).to_numpy()
        bars.append(ax.barh(np.arange(len(table)), width, left=left, color=colour(index)))
        left += width
    several = table.index.get_level_values("attempt").nunique() > 1
    names = [f"{a}/{r}" if several else str(r) for a, r in table.index]
    style_axes(ax, style, x="wall time (s)", y="attempt/rank" if several else "rank")
    population_ticks(ax, names, range(len(names)))
    ax.set_ylim(len(table) - 0.5, -0.5)
    legend(ax, bars, phases, style)


def draw_traces(panels: Sequence[Axes], state: xr.Dataset, style: Style) -> None:
    """Draw traces of state variables over time, a panel each, neurons in colours.

    A sum or mean over neurons is one line.

    Lines end where the recording was off.
    """
    time = state["time"].values
    between = np.diff(time)
    gaps = 1 + np.flatnonzero(between > 1.5 * between.min(initial=np.inf))
    time = np.insert(time, gaps, np.nan)
    for ax, (name, values) in zip(panels, state.data_vars.items(), strict=True):
        columns = values.values.reshape(values.sizes["time"], -1)
        lines = [
            ax.plot(
                time,
                np.insert(columns[:, index].astype(np.float64), gaps, np.nan),
                color=colour(index),
                linewidth=0.9,
            )[0]
            for index in range(columns.shape[1])
        ]
        units = values.attrs.get("units", "")
        style_axes(ax, style, x="time (ms)", y=f"{name} ({units})" if units else str(name))
        # The name is the user's.
        ax.yaxis.label.set_parse_math(False)
        if ax is panels[0] and "neuron" in state.dims:
            legend(ax, lines, [f"neuron {n}" for n in state["neuron"].values], style)


def note(ax: Axes, text: str, style: Style) -> None:
    """Write a note in the middle of empty axes."""
    ax.text(
        0.5, 0.5, text, color=style.ink, ha="center", va="center", transform=ax.transAxes, alpha=0.7
    )


def _box(ax: Axes, row: int, values: NDArray[np.float64], style: Style) -> None:
    """Draw a box of the quartiles, a line from the 5th to the 95th percentile, and the mean."""
    if len(values) == 0:
        return
    low, first, median, third, high = np.percentile(values, [5, 25, 50, 75, 95])
    ax.plot([low, high], [row, row], color=colour(row), linewidth=1.2)
    ax.barh(row, third - first, left=first, height=0.6, color=colour(row), alpha=0.55)
    ax.use_sticky_edges = False  # a bar's edge is not the plot's
    ax.plot([median, median], [row - 0.3, row + 0.3], color=colour(row), linewidth=2.0)
    ax.plot(values.mean(), row, "o", color=style.ink, markersize=3.0)


def _spread(positions: NDArray[np.float64], distance: float) -> list[float]:
    """Move labels of small populations down until they do not overlap."""
    placed: list[float] = []
    for position in positions:
        minimum = placed[-1] + distance if placed else -np.inf
        placed.append(max(float(position), float(minimum)))
    return placed


def _figure_of(ax: Any) -> Figure:
    figure = ax.get_figure()
    # Axes may lie in a part of a figure.
    while isinstance(figure, SubFigure):
        figure = figure.figure
    if not isinstance(figure, Figure):
        raise TypeError("axes without a figure")
    return figure
