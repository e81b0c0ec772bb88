#!/usr/bin/env python3
"""How long it takes until a small simulation has been started and has ended, kernels cached.

``python benchmarks/start.py`` runs ``distsnn run microcircuit --set scale=0.1 --time 1`` on one and
on two ranks, each in processes of its own: first a start that is discarded, as it compiles what is
not in the cache, then some that count. It prints one line of JSON for each number of ranks.
"""

import argparse
import json
import statistics
import subprocess
import sys

from peers.measure import Cost, measured
from running import MeasurementError


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("network", nargs="?", default="microcircuit")
    options.add_argument(
        "--set", action="append", metavar="NAME=VALUE", help="a parameter (default: scale=0.1)"
    )
    options.add_argument("--time", type=float, default=1.0, help="biological time, ms")
    options.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    options.add_argument("--repeats", type=int, default=5, help="starts that count")
    return options


def start(network: str, settings: list[str], time_ms: float, ranks: int) -> Cost:
    """Return the wall time of one whole command, and what other processes took meanwhile.

    Raises
    ------
    MeasurementError
        If it ended with an error, which it has told on standard error.
    """
    words = ["distsnn", "run", network, "--time", f"{time_ms:g}", "--ranks", str(ranks), "--quiet"]
    words += [word for one in settings for word in ("--set", one)]
    with measured() as cost:
        code = subprocess.run([sys.executable, "-m", *words]).returncode
    if code != 0:
        raise MeasurementError(f"{' '.join(words)} ended with exit code {code}")
    return cost


def main(words: list[str] | None = None) -> int:
    """Measure, and print a line for each number of ranks."""
    options = parser().parse_args(words)
    settings = options.set
    if settings is None:
        settings = ["scale=0.1"] if options.network == "microcircuit" else []
    for ranks in options.ranks:
        what = options.network, settings, options.time, ranks
        start(*what)
        costs = [start(*what) for _ in range(options.repeats)]
        line = {
            "network": " ".join([options.network, *settings]),
            "ranks": ranks,
            "time_ms": options.time,
            "wall_s": round(statistics.median(one.wall_s for one in costs), 3),
            "walls_s": [round(one.wall_s, 3) for one in costs],
            "others_cpu": round(max(one.others_cpu for one in costs), 4),
        }
        print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
