"""Plots of partitions: traffic between ranks, load of ranks, and delays between ranks.

They take the data that `distsnn partition --json` prints, and know nothing of how it was made.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from distsnn.analysis.figure_style import Style, colour, new_figure, style_axes

_MOST_TICKS = 9


def partition_plot(data: Sequence[Mapping[str, Any]], style: Style | None = None) -> Figure:
    """Plot partitions, a row each: traffic between ranks, load of each, smallest delays.

    Parameters
    ----------
    data : sequence of mapping
        The JSON that `distsnn partition` prints.
    style : Style, optional
        Colours.
    """
    style = style or Style()
    figure = new_figure(10.5, 0.4 + 2.6 * len(data), style)
    axes = figure.subplots(len(data), 3, squeeze=False)
    max_spikes = max(np.max(metrics["spikes_between_per_s"], initial=0.0) for metrics in data)
    max_delay = max(np.max(metrics["min_delay_ms"], initial=0.0) for metrics in data)
    for row, metrics in zip(axes, data, strict=True):
        spike_rates = np.array(metrics["spikes_between_per_s"])
        np.fill_diagonal(spike_rates, np.nan)  # spikes within a rank cost nothing
        title = f"{metrics['strategy']}, {metrics['kind']}"
        _matrix(figure, row[0], spike_rates, max_spikes, "spikes/s", style, title)
        _load(row[1], metrics, style)
        delay = np.array(metrics["min_delay_ms"])
        delay[delay == 0.0] = np.nan
        _matrix(figure, row[2], delay, max_delay, "smallest delay, ms", style, "")
    return figure


def _matrix(
    figure: Figure, ax: Any, values: Any, maximum: float, label: str, style: Style, title: str
) -> None:
    style_axes(ax, style, x="to rank", y="from rank", title=title)
    image = ax.imshow(np.ma.masked_invalid(values), vmin=0.0, vmax=maximum or 1.0, cmap="viridis")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(_ticks(len(values)))
    bar = figure.colorbar(image, ax=ax, shrink=0.8)
    bar.set_label(label, color=style.ink, fontsize=8)
    bar.ax.tick_params(colors=style.ink, labelsize=7)


def _load(ax: Any, metrics: Mapping[str, Any], style: Style) -> None:
    cost = np.array(metrics["cost_ns_per_s"]) * 1e-9
    title = f"imbalance {100.0 * metrics['imbalance']:.1f} %"
    style_axes(ax, style, x="rank", y="work, s per s", title=title)
    ranks = np.arange(cost.size)
    ax.bar(ranks, cost, color=colour(0))
    balanced = np.array(metrics["balanced_cost_ns_per_s"]) * 1e-9
    ax.hlines(balanced, ranks - 0.4, ranks + 0.4, color=style.ink, linewidth=0.8)
    ax.set_xticks(_ticks(cost.size))


def _ticks(ranks: int) -> Any:
    return np.arange(0, ranks, -(-ranks // _MOST_TICKS))
