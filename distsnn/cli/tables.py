"""Summaries of runs as lines of text, and tables in columns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from distsnn.io.summary import RunInfo
from distsnn.units import format_count

if TYPE_CHECKING:
    # the type alone: `distsnn info` must not wait for compilers to load
    from distsnn.simulation import RunSummary

_MEBIBYTE = 2**20
_MOST_MESSAGES = 20


def run_lines(title: str, summary: "RunSummary") -> list[str]:
    """Return the summary of a run in a few lines."""
    neurons, synapses = (
        format_count(summary.neurons, "neuron"),
        format_count(summary.synapses, "synapse"),
    )
    memory = sum(summary.peak_rss_bytes) / _MEBIBYTE
    lines = [
        f"{title}: {neurons}, {synapses} on {format_count(summary.ranks, 'rank')}",
        f"built in {summary.build_s:.2f} s; {_ms(summary.time_ms)} in {summary.run_s:.2f} s: "
        f"real-time factor {summary.real_time_factor:.3g}; {memory:,.0f} MiB",
        f"{format_count(summary.spikes, 'spike')}; spikes/s: {_rates(summary.rates)}",
    ]
    return lines if summary.path is None else [*lines, f"recorded in {summary.path}"]


def info_lines(info: RunInfo) -> list[str]:
    """Return a run's numbers as a table."""
    missing = info.missing
    state = "complete" if info.complete else "not complete"
    if missing:
        state = f"corrupt, {format_count(len(missing), 'missing part')}"
    memory = [peak for peak in info.peak_rss_bytes if peak is not None]
    gone = set(info.vanished_ranks)
    status = {
        f"{item}, but its process is gone" if rank in gone else item
        for rank, item in enumerate(info.status)
    }
    rows = [
        ("state", f"{state}; ranks: {', '.join(sorted(status)) or 'none has recorded yet'}"),
        *_messages("missing", missing),
        *_messages("missing", info.missing_checkpoints),
        *_messages("superseded", info.superseded_damage),
        *(("lost", _exit_report(report, info.dt)) for report in info.exit_reports),
        ("neurons", _count(info.neurons)),
        ("synapses", _count(info.synapses)),
        ("ranks", _count(info.ranks)),
        ("time", f"{_ms(info.time_ms)}, {_recorded(info)} recorded"),
        *_messages("recorded", _switched(info.recorded_intervals_ms)),
        *_messages("states", _recorded_states(info.recorded_states)),
        ("step", f"{info.dt:g} ms"),
        ("substeps", _named(info.substeps)),
        ("state precision", _named(info.precision["states"])),
        ("weight precision", _named(info.precision["plastic_weights"]) or "none"),
        ("seed", str(info.seed)),
        ("built in", _seconds(info.build_s)),
        ("ran for", _seconds(info.run_s)),
        ("weights", _weights(info.weight_errors)),
        ("real-time factor", _rounded(info.real_time_factor)),
        ("peak memory", _memory(memory)),
        ("spikes", _count(info.spikes)),
        ("spikes/s", _rates(info.rates) or "unknown"),
        ("spike hash", info.spike_hash or "unknown"),
    ]
    width = max(len(name) for name, _ in rows)
    return [info.path, *(f"  {name:{width}}  {text}" for name, text in rows)]


def columns(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, of_numbers: bool = True
) -> list[str]:
    """Return a table's lines: numbers to the right, the first column and texts to the left."""
    widths = [max(len(row[index]) for row in (heads, *rows)) for index in range(len(heads))]
    return [
        "  ".join(
            text.rjust(width) if index and of_numbers else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (heads, *rows)
    ]


def _messages(label: str, messages: Sequence[str]) -> list[tuple[str, str]]:
    """Return rows of messages, of which there may be any number."""
    displayed, n_more = messages[:_MOST_MESSAGES], len(messages) - _MOST_MESSAGES
    rows = [(label, message) for message in displayed]
    return [*rows, (label, f"and {n_more} more")] if n_more > 0 else rows


def _recorded(info: RunInfo) -> str:
    begin, end = info.recorded_from_ms, _ms(info.recorded_ms)
    return f"{_ms(begin)} to {end}" if begin else end


def _switched(intervals: dict[str, list[list[float]]]) -> list[str]:
    """Return the intervals in which switched recordings were on."""
    lines = []
    for name, bounds in intervals.items():
        texts = [f"({after:.10g}, {until:.10g}]" for after, until in bounds[:_MOST_MESSAGES]]
        suffix = f" and {len(bounds) - len(texts)} more" if len(bounds) > len(texts) else ""
        lines.append(f"{name} in {', '.join(texts)}{suffix} ms" if bounds else f"{name} never")
    return lines


def _recorded_states(recordings: dict[str, Any]) -> list[str]:
    """Return what each recording of states contains."""
    lines = []
    for name, row in recordings.items():
        noun = "sources" if row["projection"] else "neurons"
        owner = f" of sources of {row['projection']}" if row["projection"] else ""
        reduced = f", {row['reduce']} over {noun}" if row["reduce"] else ""
        variables = ", ".join(row["variables"])
        lines.append(f"{name}: {variables}{owner} every {row['interval_ms']:.10g} ms{reduced}")
    return lines


def _exit_report(report: dict[str, Any], dt: float) -> str:
    if "damage" in report:
        return f"a rank, whose exit report cannot be read: {report['damage']}"
    step = report.get("step")
    time = "" if step is None else f", at {_ms(step * dt)}"
    rank = f"rank {report['rank']} (process {report['pid']} on {report['host']})"
    return f"{rank} {report['cause']}{time}; {report['time']}"


def _weights(errors: Sequence[dict[str, Any]]) -> str:
    """Return the rounding errors of the projection with the largest."""
    if not errors:
        return "no projection"
    worst = max(errors, key=lambda error: (error["largest"], error["part"]))
    largest, share, part = (f"{100.0 * worst[key]:.3g} %" for key in ("largest", "share", "part"))
    text = f"rounded by up to {largest} ({worst['projection']}"
    if worst["share"]:
        text += f"; by more than 2^-10: {share} of the weights, {part} of their total"
    return text + ")"


def _named(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {'unknown' if v is None else v}" for name, v in values.items())


def _rates(rates: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {_rounded(rate)}" for name, rate in rates.items())


def _ms(value: float) -> str:
    return f"{value:,.10g} ms"


def _memory(ranks: Sequence[int]) -> str:
    each = " + ".join(f"{size / _MEBIBYTE:,.0f}" for size in ranks)
    return f"{each} MiB" if ranks else "unknown"


def _rounded(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} s"


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"
