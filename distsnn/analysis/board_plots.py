"""Plots of a network mapped onto a board: which chips are full, which links are hot.

They take the data that `distsnn map` writes, and know nothing of how it was made.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from distsnn.analysis.figure_style import Style, new_figure, style_axes

# Two links in one direction each, side by side; in units of the distance of two chips.
_APART = 0.09
_HEX_PORTS = 6


def chip_map(data: Mapping[str, Any], style: Style | None = None) -> Figure:
    """Plot each chip with the part of its cores that host neurons.

    Parameters
    ----------
    data : mapping
        The JSON that `distsnn map` writes.
    style : Style, optional
        Colours.
    """
    style = style or Style()
    used = Counter(
        (node["x"], node["y"]) for node in {_core(item): item for item in data["slices"]}.values()
    )
    nodes = data["nodes"]
    fraction = [used[node["x"], node["y"]] / max(1, node["cores"]) for node in nodes]
    figure, ax, positions = _canvas(data, style, "cores that host neurons")
    dots = ax.scatter(
        *positions.T, c=fraction, vmin=0.0, vmax=1.0, s=260, marker="h", cmap="viridis"
    )
    for (x, y), node in zip(positions, nodes, strict=True):
        number = used[node["x"], node["y"]]
        ax.text(x, y, str(number), ha="center", va="center", fontsize=7, color="#888888")
    _scale(figure, ax, dots, "fraction of its cores", style)
    return figure


def link_map(data: Mapping[str, Any], style: Style | None = None) -> Figure:
    """Plot the packets/s over each link, as heat; links around the edges end halfway.

    Parameters
    ----------
    data : mapping
        The JSON that `distsnn map` writes.
    style : Style, optional
        Colours.
    """
    style = style or Style()
    figure, ax, positions = _canvas(data, style, "packets over links")
    place = {
        (node["x"], node["y"]): spot for node, spot in zip(data["nodes"], positions, strict=True)
    }
    ax.scatter(*positions.T, s=40, color=style.ink, alpha=0.3, marker="h")
    lines, heat = [], []
    for link in data["links"]:
        step = data["ports"].get(link["port"])
        if step is None:
            continue  # links of a graph have no direction
        spot = place[link["x"], link["y"]]
        way = _flat(np.array([step], float), len(data["ports"]))[0]
        side = _APART * np.array([-way[1], way[0]])
        near = (link["x"] + step[0], link["y"] + step[1]) in place
        lines.append([spot + 0.15 * way + side, spot + (0.85 if near else 0.5) * way + side])
        heat.append(link["packets_per_s"])
    drawn = LineCollection(lines, cmap=matplotlib.colormaps["inferno_r"], linewidths=3.0)
    drawn.set_array(np.array(heat, float))
    ax.add_collection(drawn)
    if heat:
        drawn.set_clim(0.0, max(heat))
        _scale(figure, ax, drawn, "packets/s", style)
    return figure


def _core(slice_: Mapping[str, Any]) -> tuple[int, int, int]:
    return slice_["x"], slice_["y"], slice_["core"]


def _canvas(data: Mapping[str, Any], style: Style, title: str) -> tuple[Figure, Any, Any]:
    nodes = data["nodes"]
    positions = _flat(
        np.array([[node["x"], node["y"]] for node in nodes], float), len(data["ports"])
    )
    width, height = np.ptp(positions, axis=0) + 2.0
    scale = min(0.55, 12.0 / max(width, height))
    figure = new_figure(max(4.0, scale * width + 1.2), max(3.0, scale * height + 0.6), style)
    ax = figure.add_subplot()
    style_axes(ax, style, x="", title=f"{data['report']['board']}: {title}")
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_xlim(positions[:, 0].min() - 1.0, positions[:, 0].max() + 1.0)
    ax.set_ylim(positions[:, 1].min() - 1.0, positions[:, 1].max() + 1.0)
    return figure, ax, positions


def _flat(positions: Any, ports: int) -> Any:
    # the six directions of a hexagonal grid stand 60 degrees apart on paper
    if ports != _HEX_PORTS:
        return positions
    return np.column_stack(
        [positions[:, 0] - 0.5 * positions[:, 1], np.sqrt(0.75) * positions[:, 1]]
    )


def _scale(figure: Figure, ax: Any, drawn: Any, label: str, style: Style) -> None:
    bar = figure.colorbar(drawn, ax=ax, shrink=0.7)
    bar.set_label(label, color=style.ink, fontsize=8)
    bar.ax.tick_params(colors=style.ink, labelsize=7)
