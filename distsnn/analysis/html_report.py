"""One self-contained HTML page about a run: what it was, what it did, how long it took."""

import json
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from distsnn.analysis import plots
from distsnn.analysis.figure_data import SummaryData, last_window, raster_data, summary_data
from distsnn.analysis.figure_style import Style, any_glyph, new_figure
from distsnn.analysis.html_template import FIGURE, TEMPLATE
from distsnn.analysis.run import Run, open_run
from distsnn.analysis.selection import format_intervals
from distsnn.errors import DescriptionError, StoreError
from distsnn.io.durable_files import atomic_write
from distsnn.public_api import public_function
from distsnn.units import format_count

# Ink of this colour becomes the page's own, light or dark.
_INK = "#010203"
_STYLE = Style(ink=_INK, paper="none")
_TRACE_ROWS = 2000
_TRACE_MS = 500.0
_TRACES = 4
_MAX_TRACE_PANELS = 3
_MAX_DESCRIPTION = 100_000


@dataclass(frozen=True)
class ReportFigure:
    """A figure of the page."""

    svg: Markup
    caption: str


@public_function
def write_report(path: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Path:
    """Write a page with a run's plots, settings and timing.

    The run may be complete, interrupted, still running, or have missing parts.

    Parameters
    ----------
    path : str or PathLike
        The run's store.
    out : str or PathLike, optional
        The page; by default beside the store, with the ending ``.html``.

    Returns
    -------
    Path
        The page, one file that needs no other.

    Raises
    ------
    StoreError
        If the run does not exist or is corrupt, or the page cannot be written.
    MissingExtraError
        If the extra `analysis` is not installed.

    Examples
    --------
    >>> write_report("run.zarr", "pages/run.html")  # doctest: +SKIP
    PosixPath('pages/run.html')
    """
    run = open_run(path, partial=True)
    target = Path(out) if out is not None else Path(path).with_suffix(".html")
    text = render(run)
    try:
        with atomic_write(target) as stream:
            # a stored text may hold what no encoding has
            stream.write(text.encode(errors="backslashreplace"))
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", path=str(target)) from error
    return target


def render(run: Run) -> str:
    """Return the page about a run, HTML."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    figure = environment.from_string(FIGURE)

    def draw(picture: ReportFigure) -> Markup:
        return Markup(figure.render(svg=picture.svg, caption=picture.caption))

    problem, data = _statistics(run)
    page = environment.from_string(TEMPLATE)
    return page.render(
        draw=draw,
        title=run.reader.path.name,
        path=str(run.reader.path.resolve()),
        complete=run.complete,
        state="corrupt" if run.missing else "complete" if run.complete else "not complete",
        missing=run.missing,
        subtitle=_subtitle(run),
        tiles=_tiles(run, data),
        problem=problem,
        activity=_activity(run, data) if data else [],
        populations=_population_rows(run, data),
        weights=_weight_rows(run),
        more_weights=_some(len(run.weight_errors), plots.MAX_ROWS, "projections"),
        distributions=_distributions(data) if data else [],
        pair=_pair(data) if data else [],
        states=_states(run),
        timing=_timing_rows(run),
        phases=_phases(run),
        timings=_timing_figure(run),
        settings=_settings(run),
        network=_description(run),
    )


def to_svg(figure: Figure, label: str, number: int) -> Markup:
    """Return a figure as an SVG element in the page's own colours and fonts.

    Parameters
    ----------
    figure : Figure
        Drawn in the report's style.
    label : str
        What it shows, for readers who do not see it.
    number : int
        Distinguishes the identifiers of several figures on one page.
    """
    buffer = StringIO()
    # Settings for this call alone: text stays text, and the same run gives the same page.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "distsnn"}), any_glyph():
        figure.savefig(buffer, format="svg", dpi=150, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\1f{number}-", text)
    text = text.replace(_INK, "currentColor")
    opening = Markup('<svg role="img" aria-label="{}"').format(label)
    # matplotlib escapes the text in what it writes.
    return Markup(text.replace("<svg", opening, 1))


def _statistics(run: Run) -> tuple[str, SummaryData | None]:
    if run.missing:
        return "Statistics need all recordings, and some are missing.", None
    try:
        run.select()
    except DescriptionError as error:
        return str(error), None
    if run.duration_ms == 0:
        return "Nothing is recorded yet.", None
    return _switched(run), summary_data(run)


def _switched(run: Run) -> str:
    """Return in which time recordings of spikes were on, if some were switched."""
    selection = run.select()
    texts = [
        f"{name} in {format_intervals(selection.intervals(name), run.dt) or 'no interval'}"
        for name in selection.neurons.names
        if selection.gaps(name)
    ]
    if not texts:
        return ""
    return (
        f"Spikes were recorded of {'; '.join(texts)} only. Rates refer to this time; "
        "statistics of intervals, spectra and correlations need the whole time."
    )


def _asked_ms(run: Run) -> float:
    # after a crash, the time in the store may be a second old
    return max(run.time_ms, float(run.attributes["target_time_ms"]))


def _subtitle(run: Run) -> str:
    since = f", from {run.start_ms:g} ms on" if run.start_ms else ""
    parts = [f"{run.time_ms:g} of {_asked_ms(run):g} ms recorded{since}"]
    if "created" in run.attributes:
        parts.append(f"started {run.attributes['created']}")
    attempts = len(run.reader.attempts)
    if attempts > 1:
        parts.append(f"{attempts} attempts")
    return " · ".join(parts)


def _tiles(run: Run, data: SummaryData | None) -> list[tuple[str, str]]:
    wall = run.attributes.get("wall_clock", {})
    ranks = run.reader.attempts[-1].ranks if run.reader.attempts else ()
    memory = [rank.memory["peak_rss_bytes"] for rank in ranks if "peak_rss_bytes" in rank.memory]
    tiles = [
        ("neurons", f"{run.reader.n_neurons:,}"),
        ("synapses", _count(run.attributes.get("synapses"))),
        ("biological time", f"{run.time_ms:,.6g} ms"),
        ("ranks", str(len(ranks))),
        ("spikes", _count(run.reader.n_spikes)),
        ("mean rate", f"{_number(_mean(data.rates[np.isfinite(data.rates)]))} /s" if data else "–"),
        ("building", _with_unit(wall.get("build_s"), "s")),
        ("simulating", _with_unit(wall.get("run_s"), "s")),
        ("real-time factor (wall / biological)", _with_unit(wall.get("real_time_factor"), "")),
        ("peak memory, all ranks", _bytes(sum(memory)) if memory else "–"),
    ]
    return [tile for tile in tiles if tile[1] != "–"]


def _activity(run: Run, data: SummaryData) -> list[ReportFigure]:
    start, stop = last_window(run)
    dots = raster_data(run.select(None, start, stop))
    height = 4.4 if len(dots.names) <= 12 else 6.0
    raster = _figure(10.0, height, lambda ax: plots.draw_raster(ax, dots, _STYLE))
    rows = plots.rate_rows(data)
    rate = new_figure(10.0, 0.9 + 0.5 * rows, _STYLE)
    panels = rate.subplots(rows, 1, sharex=True, squeeze=False)
    plots.draw_rate(list(panels[:, 0]), data.rate, _STYLE)
    sampled = f" of {int(dots.edges[-1]):,} neurons, evenly spaced," if dots.sampled else ""
    return [
        ReportFigure(
            to_svg(raster, "Raster plot of spikes", 1),
            f"Spikes{sampled} in the last {stop - start:g} ms; populations from top to bottom.",
        ),
        ReportFigure(
            to_svg(rate, "Population rates over time", 2),
            "Spikes per second and neuron." + _some(len(data.names), plots.MAX_LINES),
        ),
    ]


def _distributions(data: SummaryData) -> list[ReportFigure]:
    rows = min(len(data.names), plots.MAX_ROWS)
    figure = new_figure(10.0, 1.3 + 0.27 * rows, _STYLE)
    panels = [figure.add_subplot(1, 3, column + 1) for column in range(3)]
    plots.draw_distributions(panels, data, _STYLE)
    caption = (
        "Boxes: quartiles and median over neurons (correlation: over pairs); lines: 5th to 95th "
        "percentile; dots: mean." + _some(len(data.names), plots.MAX_ROWS)
    )
    return [ReportFigure(to_svg(figure, "Rates, CVs and correlations by population", 3), caption)]


def _pair(data: SummaryData) -> list[ReportFigure]:
    some = _some(len(data.names), plots.MAX_LINES)
    spectrum = _figure(5.4, 3.2, lambda ax: plots.draw_spectrum(ax, data.spectrum, _STYLE))
    counts = _figure(5.4, 3.2, lambda ax: plots.draw_histogram(ax, data.histogram, _STYLE))
    return [
        ReportFigure(
            to_svg(spectrum, "Power spectra", 4),
            f"Welch's method, segments of 500 ms; colours as beside.{some}",
        ),
        ReportFigure(
            to_svg(counts, "Distribution of spike counts", 5),
            f"Fraction of all neurons and intervals of 100 ms with this number of spikes.{some}",
        ),
    ]


def _states(run: Run) -> list[ReportFigure]:
    pictures = []
    # of a corrupt run any chunk may be missing
    for number, name in enumerate(run.state_names if not run.missing else ()):
        state = run.state(name)
        reduce = state.attrs.get("reduce")
        rows = state.sizes["time"]
        neurons = state.attrs["neurons"] if reduce else state.sizes["neuron"]
        names = list(state.data_vars)[:_MAX_TRACE_PANELS]
        if rows == 0 or neurons == 0 or not names:
            continue
        recent = state["time"].values > state["time"].values[-1] - _TRACE_MS
        n_displayed = min(_TRACE_ROWS, int(recent.sum()))
        part = state[names].isel(time=slice(-n_displayed, None))
        displayed = f"the last {format_count(n_displayed, 'row')}"
        if not reduce:
            chosen = np.unique(np.linspace(0, neurons - 1, _TRACES).astype(int))
            part = part.isel(neuron=chosen)
            displayed = f"{format_count(len(chosen), 'neuron')}, {displayed}"
        part = part.compute()
        figure = new_figure(10.0, 0.4 + 2.2 * len(names), _STYLE)
        panels = [figure.add_subplot(len(names), 1, row + 1) for row in range(len(names))]
        plots.draw_traces(panels, part, _STYLE)
        projection = state.attrs.get("projection")
        noun = "neuron" if projection is None else "source"
        owner = state.attrs["population"] if projection is None else projection
        pictures.append(
            ReportFigure(
                to_svg(figure, f"Traces of {name}", 10 + number),
                f"{name}: {f'{reduce} over ' if reduce else ''}"
                f"{format_count(neurons, noun)} of {owner}, "
                f"{format_count(rows, 'row')}; shown: {displayed}.",
            )
        )
    return pictures


def _population_rows(run: Run, data: SummaryData | None) -> list[dict[str, str]]:
    rows = []
    for name, row in run.populations.iterrows():
        row_index = data.names.index(str(name)) if data and str(name) in data.names else None
        cells = dict.fromkeys(("spikes", "rate", "rate_sd", "silent", "cv", "correlation"), "–")
        if data is not None and row_index is not None:
            rates, counts = (
                data.finite_values(data.rates, row_index),
                data.counts[data.index == row_index],
            )
            cells = {
                "spikes": f"{int(counts.sum()):,}",
                "rate": _number(_mean(rates)),
                "rate_sd": _number(float(rates.std()) if len(rates) else math.nan),
                "silent": f"{np.count_nonzero(counts == 0) / len(counts):.1%}",
                "cv": _number(_mean(data.finite_values(data.cv, row_index))),
                "correlation": _fixed(_mean(data.correlations[row_index])),
            }
        rows.append(
            {
                "name": str(name),
                "model": str(row["model"]),
                "size": f"{int(row['size']):,}",
                "recorded": f"{int(row['recorded']):,}",
                **cells,
            }
        )
    return rows


def _weight_rows(run: Run) -> list[dict[str, str]]:
    worst = run.weight_errors.sort_values(["largest", "part"], ascending=False, kind="stable")
    return [
        {"projection": str(name)} | {key: _percent(float(row[key])) for key in worst.columns}
        for name, row in worst.head(plots.MAX_ROWS).iterrows()
    ]


def _phases(run: Run) -> list[str]:
    phases = list(run.timing.columns)
    first = [phase for phase in plots.PHASES if phase in phases]
    return first + [phase for phase in phases if phase not in first]


def _timing_rows(run: Run) -> list[dict[str, Any]]:
    timing, several = run.timing, len(run.reader.attempts) > 1
    rows = []
    for attempt in run.reader.attempts:
        for rank in attempt.ranks:
            row = timing.loc[(attempt.index, rank.rank)]
            rows.append(
                {
                    "rank": f"{attempt.index}/{rank.rank}" if several else str(rank.rank),
                    "seconds": [_seconds(float(row[phase])) for phase in _phases(run)],
                    "memory": _bytes(rank.memory.get("peak_rss_bytes")),
                    "status": rank.status,
                }
            )
    return rows


def _timing_figure(run: Run) -> list[ReportFigure]:
    timing = run.timing
    if not set(plots.PHASES) & set(timing.columns):
        return []
    height = 1.0 + 0.24 * min(len(timing), plots.MAX_ROWS)
    figure = _figure(10.0, height, lambda ax: plots.draw_timing(ax, timing, _STYLE))
    return [
        ReportFigure(
            to_svg(figure, "Wall time by rank and phase", 6),
            "Wall time of each rank by phase." + _some(len(timing), plots.MAX_ROWS, "ranks"),
        )
    ]


def _settings(run: Run) -> list[tuple[str, str]]:
    attributes = run.attributes
    rows: list[tuple[str, str]] = []
    if "command" in attributes:
        rows.append(("command", " ".join(str(word) for word in attributes["command"])))
    rows += [
        ("seed", str(attributes["seed"])),
        ("time step", f"{run.dt:g} ms"),
        ("time asked for", f"{_asked_ms(run):g} ms"),
    ]
    rows += [
        (
            f"population {row['name']}",
            f"states in {row['precision']}, substeps {row.get('substeps')}",
        )
        for row in attributes["populations"]
        if "precision" in row
    ]
    for group in ("network_source", "settings", "versions"):
        rows += [
            (f"{group}: {name}", value if isinstance(value, str) else json.dumps(value))
            for name, value in attributes.get(group, {}).items()
        ]
    return rows


def _description(run: Run) -> str:
    text = json.dumps(run.attributes["network"], indent=2, ensure_ascii=False)
    if len(text) > _MAX_DESCRIPTION:
        return f"{text[:_MAX_DESCRIPTION]}\n… {len(text) - _MAX_DESCRIPTION:,} more characters"
    return text


def _figure(width: float, height: float, draw: Callable[[Any], None]) -> Figure:
    figure = new_figure(width, height, _STYLE)
    draw(figure.add_subplot())
    return figure


def _some(total: int, displayed: int, kind: str = "populations") -> str:
    return f" Shown are {displayed} of {total} {kind}." if total > displayed else ""


def _mean(values: Sequence[float] | np.ndarray[Any, Any]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "–"


def _percent(value: float) -> str:
    return f"{_number(100.0 * value)} %"


def _seconds(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:.3f}" if value < 10 else f"{value:,.1f}"


def _fixed(value: float) -> str:
    return f"{round(value, 4) + 0.0:.4f}" if math.isfinite(value) else "–"  # + 0.0: never -0.0000


def _with_unit(value: Any, unit: str) -> str:
    return f"{_number(float(value))} {unit}".strip() if value is not None else "–"


def _count(value: Any) -> str:
    if value is None:
        return "–"
    for scale, unit in ((1e9, "billion"), (1e6, "million")):
        if value >= scale:
            return f"{value / scale:.4g} {unit}"
    return f"{value:,}"


def _bytes(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"
