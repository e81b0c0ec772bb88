"""Style of figures, which are made without pyplot's global state."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from distsnn.public_api import public_class

# Distinct for colour-blind readers, and of a lightness that shows on white and on black.
COLOURS = (
    *("#3d85c6", "#d9653b", "#2f9e83", "#9a6fc4", "#c39a1f", "#cc5a8c", "#6c8f3c", "#7c8794"),
)
_LONGEST_NAME = 24


@public_class
@dataclass(frozen=True)
class Style:
    """Colours of a figure.

    Attributes
    ----------
    ink : str
        Text and axes.
    paper : str
        Background; "none" for transparent.
    """

    ink: str = "#222222"
    paper: str = "white"


def new_figure(width: float, height: float, style: Style) -> Figure:
    """Return a figure of this size, inches, drawn by Agg unless it is saved otherwise."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor=style.paper)
    FigureCanvasAgg(figure)
    return figure


def style_axes(ax: Axes, style: Style, *, x: str, y: str = "", title: str = "") -> None:
    """Label axes and give them the style's colours."""
    ax.set_facecolor("none")
    ax.set_xlabel(x, color=style.ink)
    ax.set_ylabel(y, color=style.ink)
    if title:
        ax.set_title(title, color=style.ink, fontsize=10, loc="left")
    ax.tick_params(colors=style.ink, labelsize=8)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(style.ink)
        spine.set_alpha(0.6)


def colour(index: int) -> str:
    """Return the colour of the population of this index."""
    return COLOURS[index % len(COLOURS)]


def escape_mathtext(texts: Sequence[Text]) -> None:
    """Show texts as they are: a population's name may hold a dollar sign."""
    for text in texts:
        text.set_parse_math(False)


def shorten_name(name: str) -> str:
    """Return a name as it fits beside a plot."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def population_ticks(ax: Axes, names: Sequence[str], positions: Sequence[float]) -> None:
    """Write the names of populations along the vertical axis."""
    ax.set_yticks(list(positions), [shorten_name(name) for name in names])
    escape_mathtext([label for label in ax.get_yticklabels() if isinstance(label, Text)])


def legend(
    ax: Axes, lines: Sequence[Any], names: Sequence[str], style: Style, *, inside: bool = False
) -> None:
    """Add a legend of populations, in the upper right corner or outside of it."""
    # matplotlib takes a label that starts with an underscore for a hidden one.
    labels = [shorten_name(f" {name}" if name.startswith("_") else name) for name in names]
    box = ax.legend(
        list(lines),
        labels,
        frameon=False,
        fontsize=8,
        labelcolor=style.ink,
        loc="upper right" if inside else "upper left",
        bbox_to_anchor=(1.0, 1.0),
    )
    escape_mathtext(box.get_texts())


@contextmanager
def any_glyph() -> Iterator[None]:
    """Draw names in scripts that matplotlib's font lacks without a warning for each letter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield
