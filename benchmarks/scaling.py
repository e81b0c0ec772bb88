#!/usr/bin/env python3
"""Strong and weak scaling: one network on several numbers of ranks; prints lines of JSON.

``python benchmarks/scaling.py strong microcircuit --parameter scale --values 0.1 0.3 --ranks 1 2``
runs each size on each number of ranks; ``weak`` lets the size grow with the ranks,
value · ranks^exponent, so that each rank keeps as many synapses.
"""

import argparse
import json
import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from compare import DISTURBED, table
from running import append, discard_distsnn, run_distsnn, say

# Per network: the parameter that sizes it, a value for two cores, and the power of the ranks by
# which it grows with as many synapses a rank (indegrees grow with the size, or do not).
SIZED_BY = {
    "microcircuit": ("scale", 0.1, 0.5),
    "brunel": ("order", 1000.0, 0.5),
    "brette_cuba": ("neurons", 10000.0, 1.0),
}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("kind", choices=("strong", "weak"))
    options.add_argument("network", nargs="?", default="microcircuit")
    options.add_argument("--parameter", help="the parameter that sizes the network")
    options.add_argument("--values", type=float, nargs="+", help="sizes (weak: on one rank)")
    options.add_argument("--exponent", type=float, help="weak: size grows as ranks^exponent")
    options.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    options.add_argument("--repeats", type=int, default=1, help="of each; the median one counts")
    options.add_argument("--time", type=float, default=2000.0, help="measured time, ms")
    options.add_argument("--warmup", type=float, default=200.0, help="time before it, ms")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--delivery", default="auto")
    options.add_argument("--strategy", default="round_robin")
    options.add_argument("--out", type=Path, help="append the lines here as well")
    return options


def sizes(
    kind: str, values: Sequence[float], ranks: Sequence[int], exponent: float
) -> Iterator[tuple[float, int, float]]:
    """Yield (value, ranks, size) of all runs, by value and then by ranks."""
    for value in values:
        for n in ranks:
            yield value, n, value * n**exponent if kind == "weak" else value


def setting(parameter: str, size: float) -> str:
    """Return the setting of a size; sizes above 10 are whole numbers."""
    return f"{parameter}={round(size)}" if size > 10 else f"{parameter}={size:g}"


def efficiency(kind: str, first: dict[str, Any], line: dict[str, Any]) -> float:
    """Return the speed on a line's ranks by that of the first's, as it would ideally be."""
    speed = first["rtf"] / line["rtf"]
    return float(speed * first["ranks"] / line["ranks"] if kind == "strong" else speed)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run all sizes on all numbers of ranks; print and return the lines."""
    known = SIZED_BY.get(options.network)
    parameter = options.parameter or (known[0] if known else None)
    values = options.values or ([known[1]] if known else None)
    exponent = options.exponent
    if exponent is None:
        exponent = known[2] if known else 1.0
    if parameter is None or values is None:
        raise SystemExit(f"how is {options.network} sized? --parameter NAME --values ...")
    lines: list[dict[str, Any]] = []
    first: dict[str, Any] = {}
    for value, ranks, size in sizes(options.kind, values, options.ranks, exponent):
        arguments = [options.network, "--set", setting(parameter, size)]
        arguments += [word for one in options.set for word in ("--set", one)]
        arguments += ["--seed", str(options.seed), "--delivery", options.delivery]
        arguments += ["--strategy", options.strategy]
        discard_distsnn(ranks, arguments)
        timed = [*arguments, "--time", str(options.time), "--warmup", str(options.warmup)]
        runs = [run_distsnn(ranks, timed) for _ in range(options.repeats)]
        middle = statistics.median_low(run["rtf"] for run in runs)
        line = {
            "benchmark": f"{options.kind} scaling",
            "scale": size,
            "crowded": ranks > (os.cpu_count() or 1),
            **next(run for run in runs if run["rtf"] == middle),
        }
        if not first or first["value"] != value:
            first = {"value": value, **line}
        line["efficiency"] = round(efficiency(options.kind, first, line), 4)
        print(json.dumps(line), flush=True)
        append(options.out, line)
        lines.append(line)
    return lines


def scaling_table(lines: Sequence[dict[str, Any]]) -> str:
    """Return the lines as a table; phases in percent of the run."""
    phases = list(lines[0]["phases"]) if lines else []
    rows = [
        (
            line["network"],
            f"{line['ranks']}{' (crowded)' if line['crowded'] else ''}",
            f"{line['rtf']:.3g}{' !' if line['others_cpu'] > DISTURBED else ''}",
            f"{line['efficiency']:.2f}",
            f"{line['build_s']:.2f}",
            f"{line['peak_rss_bytes'] / 1e6:.0f}",
            f"{line['exchanges']}",
            *(f"{100 * line['phases'][phase] / line['run_s']:.0f} %" for phase in phases),
        )
        for line in lines
    ]
    header = ("network", "ranks", "RTF", "efficiency", "build s", "peak MB", "exchanges")
    return table((*header, *phases), rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for."""
    lines = measure(parser().parse_args(arguments))
    say(scaling_table(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
