"""Plots of what partitions come to: traffic between ranks, their load, delays between them.

They take the data that `distsnn partition --json` prints, and know nothing of how it was made.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from distsnn.analysis.figure_style import Style, colour, dress, new_figure

_MOST_TICKS = 9


def partition_plot(data: Sequence[Mapping[str, Any]], style: Style | None = None) -> Figure:
    """Plot partitions, a row each: traffic between ranks, load of each, smallest delays.

    Parameters
    ----------
    data : sequence of mapping
        What `distsnn partition` prints as JSON.
    style : Style, optional
        Colours.
    """
    style = style or Style()
    figure = new_figure(10.5, 0.4 + 2.6 * len(data), style)
    axes = figure.subplots(len(data), 3, squeeze=False)
    most = max(np.max(one["spikes_between_per_s"], initial=0.0) for one in data)
    longest = max(np.max(one["min_delay_ms"], initial=0.0) for one in data)
    for row, one in zip(axes, data, strict=True):
        spike_rates = np.array(one["spikes_between_per_s"])
        np.fill_diagonal(spike_rates, np.nan)  # spikes within a rank cost nothing
        title = f"{one['strategy']}, {one['kind']}"
        _matrix(figure, row[0], spike_rates, most, "spikes/s", style, title)
        _load(row[1], one, style)
        delay = np.array(one["min_delay_ms"])
        delay[delay == 0.0] = np.nan
        _matrix(figure, row[2], delay, longest, "smallest delay, ms", style, "")
    return figure


def _matrix(
    figure: Figure, ax: Any, values: Any, most: float, label: str, style: Style, title: str
) -> None:
    dress(ax, style, x="to rank", y="from rank", title=title)
    image = ax.imshow(np.ma.masked_invalid(values), vmin=0.0, vmax=most or 1.0, cmap="viridis")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(_ticks(len(values)))
    bar = figure.colorbar(image, ax=ax, shrink=0.8)
    bar.set_label(label, color=style.ink, fontsize=8)
    bar.ax.tick_params(colors=style.ink, labelsize=7)


def _load(ax: Any, one: Mapping[str, Any], style: Style) -> None:
    cost = np.array(one["cost_ns_per_s"]) * 1e-9
    title = f"imbalance {100.0 * one['imbalance']:.1f} %"
    dress(ax, style, x="rank", y="work, s per s", title=title)
    at = np.arange(cost.size)
    ax.bar(at, cost, color=colour(0))
    balanced = np.array(one["balanced_cost_ns_per_s"]) * 1e-9
    ax.hlines(balanced, at - 0.4, at + 0.4, color=style.ink, linewidth=0.8)
    ax.set_xticks(_ticks(cost.size))


def _ticks(ranks: int) -> Any:
    return np.arange(0, ranks, -(-ranks // _MOST_TICKS))
