"""``distsnn map``: a network onto a neuromorphic board."""

import re
from argparse import Namespace
from typing import Any

from distsnn.cli.function_calls import call_function, option_errors
from distsnn.cli.tables import columns
from distsnn.comm import Communicator, collective_phase
from distsnn.errors import UsageError
from distsnn.tools.board_mapping import NetworkMapping, map_network
from distsnn.tools.models import load_model
from distsnn.units import format_count


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command: the first rank maps, all ranks simulate (--simulate). Collective."""
    with collective_phase(communicator, "making the network"):
        grid = None if options.board_grid is None else _read_grid(options.board_grid)
        with option_errors(options):
            model = load_model(options.model, options.set)
    seed = model.seed if options.seed is None else options.seed
    others = {"board_grid": grid, "seed": seed, "communicator": communicator}
    mapped = call_function(map_network, options, model.network, options.board, **others)
    if communicator.rank == 0:
        effect = [] if mapped.run is None else _effect_lines(mapped.run, mapped.mapping.board.name)
        print("\n".join([*_report_lines(mapped), *effect]))
    return 0


def _read_grid(text: str) -> tuple[int, int]:
    """Return columns and rows of boards."""
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if match is None:
        raise UsageError(
            "is not a rectangle of boards", where="--board-grid", value=text, allowed="such as 3x3"
        )
    return int(match[1]), int(match[2])


def _report_lines(mapped: NetworkMapping) -> list[str]:
    """Return the report of a mapping in words."""
    report = mapped.report
    lines = [
        f"{report['neurons']:,} neurons in {report['slices']:,} slices of up to "
        f"{mapped.neurons_per_core} on {report['cores']:,} of {report['cores_available']:,} cores, "
        f"{format_count(report['chips'], 'chip')}",
        f"rate-weighted hops {report['rate_weighted_hops']:.4g}/s, "
        f"{100.0 * report['relative_gap']:.0f} % "
        "of them above the lower bound; packets cross "
        f"{report['link_crossings_per_s']:.4g} links/s, the largest load "
        f"{report['max_link_load']:.4g}/s",
    ]
    if mapped.limit is not None:
        lines.append(f"with more neurons a core would exceed its limit of {mapped.limit}")
    for name, axons in report["axons"].items():
        lines.append(
            f"{name}: at most {axons['max']:,.0f} of {axons['allowed']:,.0f} a core "
            f"(neurons with a synapse there: {report['connectivity']})"
        )
    if "table_entries" in report:
        entries = report["table_entries"]
        lines.append(
            f"router entries: {entries['uncompressed']:,}, without default routes "
            f"{entries['without_default']:,}, merged {entries['compressed']:,}; "
            f"the largest table {entries['max_per_node']:,}"
        )
    power = report["power_W"]
    terms = [f"{name} {value:.3g}" for name, value in power.items() if value is not None]
    lines.append(f"power, W: {', '.join(terms) or 'no term is known'}")
    missing = sorted(
        {text.split(":", 1)[0] for text in report["unknown"]} | set(report["unknown_limits"])
    )
    if missing:
        lines.append(f"not computed, because the board file has no value for: {', '.join(missing)}")
    scope = (
        "the packets of every slice were followed"
        if "table_entries" in report
        else "all limits were checked"
    )
    memory = report["peak_rss_bytes"] / 2**20
    lines.append(f"{scope}: no violation ({report['seconds']:.1f} s, {memory:,.0f} MiB)")
    return lines


def _effect_lines(effect: dict[str, Any], board: str) -> list[str]:
    """Return the effect of a board on a run in words and columns."""
    lines = [f"{effect['time_ms']:g} ms under the limits of {board}:"]
    lines += [f"  {change}" for change in effect["changes"] or ["nothing changes"]]
    if effect["not_applied"]:
        lines.append(f"  not applied, as unknown: {', '.join(effect['not_applied'])}")
    heads = ["", "spikes/s", "limited", "", "CV", "limited", ""]
    rows = [
        [f"  {name}", *_pair(*values["rate"]), *_pair(*values["cv"])]
        for name, values in effect["populations"].items()
    ]
    lines += columns(heads, rows)
    if effect["same_spikes"]:
        lines.append("all spikes are the same as without limits")
    measured, predicted = effect["measured"], effect["predicted"]
    return [
        *lines,
        f"{format_count(measured['spikes'], 'spike')} sent "
        f"{format_count(measured['packets'], 'packet')} over "
        f"{format_count(measured['hops'], 'link')} (predicted: {predicted['packets']:,.0f} over "
        f"{predicted['hops']:,.0f})",
    ]


def _pair(before: float | None, after: float | None) -> list[str]:
    texts = ["-" if value is None else f"{value:.3g}" for value in (before, after)]
    if not before or after is None:
        return [*texts, ""]
    return [*texts, f"{100.0 * (after / before - 1.0):+.1f} %"]
