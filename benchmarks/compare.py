#!/usr/bin/env python3
"""Compare distsnn with its peers on this machine: runs all in turn, prints tables and ratios.

``python benchmarks/compare.py`` takes some seven minutes on two cores, and longer the first
time, for the peers' environments. A measurement during which other processes took more than 5 %
of the machine is marked with ``!``; figures on marked ones say little.
"""

import argparse
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cases import CASES, FIGURES, RANKS, Case
from running import (
    MeasurementError,
    append,
    discard_distsnn,
    run_distsnn,
    run_peer,
    say,
)

DISTURBED = 0.05  # share of the machine that others may take
PAIRS = 5  # of runs with and without recording
_MEDIANS = ("rtf", "build_s", "peak_rss_bytes", "others_cpu")
_MORE = ("events_per_s", "bytes_per_synapse", "plastic_bytes_per_synapse")  # of some

Measurement = dict[str, Any]
Run = Callable[[], Measurement]


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument(
        "--networks",
        nargs="+",
        choices=list(CASES),
        default=list(CASES),
        metavar="NETWORK",
        help=f"of {', '.join(CASES)}; default: all",
    )
    options.add_argument("--repeats", type=int, default=3, help="runs of each; medians count")
    options.add_argument("--pairs", type=int, default=PAIRS, help="pairs of runs of `recording`")
    options.add_argument(
        "--peers",
        nargs="*",
        choices=("nest", "brian2", "auryn"),
        default=None,
        help="default: each network's fastest peer; with no name: none",
    )
    options.add_argument(
        "--full-peers",
        action="store_true",
        help="also NEST's pd14-1.0, once: 3 minutes, 14.5 GB of memory",
    )
    options.add_argument("--ranks", type=int, default=RANKS, help="distsnn's ranks")
    options.add_argument("--out", type=Path, help="append every measurement here, as JSON lines")
    return options


def chosen_peers(case: Case, named: Sequence[str] | None, full: bool) -> list[str]:
    """Return which peers run a network: the fastest, or those named; slow ones only if asked."""
    peers = list(case.peers)[:1] if named is None else [one for one in case.peers if one in named]
    return [one for one in peers if full or not case.peers[one].slow]


def interleave(
    runs: Mapping[str, Run], repeats: int, once: Iterable[str] = ()
) -> dict[str, list[Measurement]]:
    """Run A B A B ...: what drifts on the machine meets all alike.

    Parameters
    ----------
    runs : mapping of str to callable
        Who, and how to measure it.
    repeats : int
        Rounds.
    once : iterable of str
        Who takes part in the first round only.

    Returns
    -------
    dict of str to list of dict
        Measurements by who; one that fails is left out, and takes no part in further rounds.
    """
    found: dict[str, list[Measurement]] = {who: [] for who in runs}
    failed: set[str] = set()
    once = set(once)
    for turn in range(repeats):
        for who, run in runs.items():
            if who in failed or (turn and who in once):
                continue
            try:
                found[who].append(run())
            except MeasurementError as error:
                say(f"  {who}: {error}")
                failed.add(who)
    return {who: measurements for who, measurements in found.items() if measurements}


def median(measurements: Sequence[Measurement]) -> Measurement:
    """Return the medians of some measurements, and how many were disturbed by other processes."""
    names = [*_MEDIANS, *(name for name in _MORE if all(name in one for one in measurements))]
    middle = {name: statistics.median(one[name] for one in measurements) for name in names}
    disturbed = sum(one["others_cpu"] > DISTURBED for one in measurements)
    return middle | {"runs": len(measurements), "disturbed": disturbed}


def overhead(pairs: Sequence[tuple[Measurement, Measurement]]) -> Measurement:
    """Return what recording costs: the median over pairs (all, none) of all / none - 1."""
    costs = [recorded["run_s"] / bare["run_s"] - 1.0 for recorded, bare in pairs]
    disturbed = sum(max(a["others_cpu"], b["others_cpu"]) > DISTURBED for a, b in pairs)
    return {
        "overhead": statistics.median(costs),
        "overheads": [round(cost, 5) for cost in costs],
        "runs": len(pairs),
        "disturbed": disturbed,
    }


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, aligned: the first column to the left."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]

    def text(line: Sequence[str]) -> str:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        return f"| {' | '.join(cells)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([text(lines[0]), f"| {' | '.join(rule)} |", *map(text, lines[1:])])


def _marked(text: str, result: Measurement) -> str:
    return f"{text} !" if result["disturbed"] else text


def _optional(result: Measurement, name: str, scale: float = 1.0) -> str:
    return f"{result[name] * scale:.3g}" if name in result else ""


def comparison(results: Mapping[str, Mapping[str, Measurement]]) -> str:
    """Return the table of medians, with each peer's figures by distsnn's.

    Parameters
    ----------
    results : mapping of str to mapping of str to dict
        Medians by network and by who.
    """
    rows = []
    for network, by_who in results.items():
        ours = by_who.get("distsnn")
        for who, result in by_who.items():
            if "rtf" not in result:
                continue
            ratio = result["rtf"] / ours["rtf"] if ours and who != "distsnn" else None
            rows.append(
                (
                    network,
                    who,
                    _marked(f"{result['rtf']:.3g}", result),
                    f"{result['build_s']:.2f}",
                    f"{result['peak_rss_bytes'] / 1e6:.0f}",
                    _optional(result, "events_per_s", 1e-6),
                    _optional(result, "bytes_per_synapse"),
                    f"{100 * result['others_cpu']:.1f} %",
                    f"{result['runs']}",
                    "" if ratio is None else f"{ratio:.1f}",
                )
            )
    header = ("network", "who", "RTF", "build s", "peak MB", "M events/s", "B/synapse")
    return table((*header, "others' CPU", "runs", "RTF / distsnn's"), rows)


def verdicts(results: Mapping[str, Mapping[str, Measurement]]) -> str:
    """Return the table of the figures to reach, for the networks that were run."""
    rows = []
    for figure in FIGURES:
        ours = results.get(figure.case, {}).get("distsnn")
        if ours is None or figure.quantity not in ours:
            continue
        value = ours[figure.quantity]
        rows.append(
            (
                f"{figure.case}: {figure.label}",
                _marked(figure.text(value), ours),
                f"{figure.sign} {figure.text(figure.must)}",
                f"{figure.sign} {figure.text(figure.goal)}",
                figure.verdict(value),
            )
        )
    return table(("figure", "measured", "must", "goal", "reached"), rows)


def _noting(who: str, run: Run, out: Path | None, case: str) -> Run:
    def noted() -> Measurement:
        found = run()
        mark = " !" if found["others_cpu"] > DISTURBED else ""
        say(
            f"  {who}: RTF {found['rtf']:.3g}, build {found['build_s']:.2f} s, "
            f"others' CPU {100 * found['others_cpu']:.1f} %{mark}"
        )
        append(out, {"case": case, "who": who, **found})
        return found

    return noted


def measure_case(
    case: Case, *, ranks: int, repeats: int, peers: Sequence[str], out: Path | None
) -> dict[str, Measurement]:
    """Run a network in distsnn and in some peers, in turn; return medians by who."""
    say(case.name)
    discard_distsnn(ranks, case.arguments)
    runs: dict[str, Run] = {
        "distsnn": _noting("distsnn", lambda: run_distsnn(ranks, case.arguments), out, case.name)
    }
    for name in peers:

        def run(name: str = name) -> Measurement:
            return run_peer(name, case.peers[name].script, case.peers[name].arguments)

        runs[name] = _noting(name, run, out, case.name)
    once = [name for name in peers if case.peers[name].slow]
    found = interleave(runs, repeats, once)
    return {who: median(measurements) for who, measurements in found.items()}


def measure_recording(
    case: Case, *, ranks: int, pairs: int, out: Path | None
) -> dict[str, Measurement]:
    """Run a network with all spikes recorded and with none, in turn; return what it costs."""
    say(f"{case.name}: {pairs} pairs")
    discard_distsnn(ranks, case.arguments)
    runs: dict[str, Run] = {}
    for record in ("all", "none"):

        def run(record: str = record) -> Measurement:
            return run_distsnn(ranks, [*case.arguments, "--record", record])

        runs[record] = _noting(f"record {record}", run, out, case.name)
    found = interleave(runs, pairs)
    if len(found.get("all", ())) != pairs or len(found.get("none", ())) != pairs:
        return {}
    return {"distsnn": overhead(list(zip(found["all"], found["none"], strict=True)))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return 1 if a network has no result of distsnn."""
    options = parser().parse_args(arguments)
    results: dict[str, dict[str, Measurement]] = {}
    failed = False
    for name in options.networks:
        case = CASES[name]
        try:
            if name == "recording":
                results[name] = measure_recording(
                    case, ranks=options.ranks, pairs=options.pairs, out=options.out
                )
            else:
                results[name] = measure_case(
                    case,
                    ranks=options.ranks,
                    repeats=options.repeats,
                    peers=chosen_peers(case, options.peers, options.full_peers),
                    out=options.out,
                )
        except MeasurementError as error:
            say(f"  {error}")
            results[name] = {}
        failed |= "distsnn" not in results[name]
    print(report(results, ranks=options.ranks, repeats=options.repeats))
    return 1 if failed else 0


def report(results: Mapping[str, Mapping[str, Measurement]], *, ranks: int, repeats: int) -> str:
    """Return all tables and what is to be said about them."""
    parts = []
    if any("rtf" in one for by_who in results.values() for one in by_who.values()):
        parts.append(f"Medians; distsnn on {ranks} ranks:\n\n{comparison(results)}")
    for by_who in results.values():
        if "overheads" in by_who.get("distsnn", {}):
            costs = ", ".join(f"{100 * cost:+.2f} %" for cost in by_who["distsnn"]["overheads"])
            parts.append(f"All spikes recorded against none, pair by pair: {costs}")
    judged = verdicts(results)
    if judged.count("\n") > 1:
        parts.append(judged)
        if ranks != RANKS or repeats < 3:
            parts.append(f"The figures are meant for {RANKS} ranks and medians of 3 or more runs.")
    if any(one["disturbed"] for by_who in results.values() for one in by_who.values()):
        share = f"{100 * DISTURBED:.0f} %"
        parts.append(f"! other processes took more than {share} of the machine in some run")
    return "\n\n".join(parts)


if __name__ == "__main__":
    raise SystemExit(main())
