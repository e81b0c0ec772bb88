#!/usr/bin/env python3
"""Time and memory of statistics of a large recording, each in a process of its own.

``python benchmarks/analysis.py`` records 1e8 spikes of independent neurons (`--spikes`), in a
temporary folder or at `--store`, where it finds them again the next time, and prints one line of
JSON for each statistic: seconds and peak memory of a process that opens the run and computes it.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from compare import table
from peers.measure import peak_rss_bytes
from running import say

from distsnn import Network, Population, RecordSpikes, simulate
from distsnn.analysis import open_run, write_report
from distsnn.analysis.run import Run
from distsnn.network import PoissonNeuron

NEURONS, RATE = 20_000, 50.0  # spikes/s
DT = 0.5  # ms

STATISTICS: dict[str, Callable[[Run], object]] = {
    "rates": lambda run: run.rates().compute(),
    "cv": lambda run: run.cv().compute(),
    "population_rate": lambda run: run.population_rate().compute(),
    "synchrony": lambda run: run.synchrony().compute(),
    "spike_count_histogram": lambda run: run.spike_count_histogram().compute(),
    "correlations": lambda run: run.correlations().compute(),
    "power_spectrum": lambda run: run.power_spectrum().compute(),
    "report": lambda run: write_report(run.reader.path),
}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--spikes", type=float, default=1e8)
    options.add_argument("--store", type=Path, help="where the run is, or is kept")
    options.add_argument("--statistics", nargs="+", choices=STATISTICS, default=[*STATISTICS])
    options.add_argument("--here", action="store_true", help="all in this process")
    return options


def record(store: Path, spikes: float) -> None:
    """Simulate about that many spikes."""
    neurons = Population("neurons", NEURONS, PoissonNeuron(rate=RATE))
    network = Network([neurons], recordings=[RecordSpikes(neurons)], dt=DT)
    time_ms = DT * math.ceil(spikes / (NEURONS * RATE * 1e-3) / DT)
    simulate(network, time_ms, out=store, progress=False)


def measure(store: Path, name: str) -> dict[str, object]:
    """Return what a statistic of a run took in this process."""
    begin = time.perf_counter()
    run = open_run(store)
    STATISTICS[name](run)
    return {
        "statistic": name,
        "spikes": run.reader.n_committed,
        "wall_s": round(time.perf_counter() - begin, 3),
        "peak_rss_bytes": peak_rss_bytes(),
    }


def main(arguments: list[str]) -> int:
    """Record if need be and measure all statistics."""
    chosen = parser().parse_args(arguments)
    if chosen.here:
        for name in chosen.statistics:
            print(json.dumps(measure(chosen.store, name)), flush=True)
        return 0
    with tempfile.TemporaryDirectory(prefix="distsnn-") as folder:
        store = chosen.store or Path(folder) / "run.zarr"
        if not store.exists():
            say(f"recording {chosen.spikes:.3g} spikes")
            record(store, chosen.spikes)
        lines = []
        for name in chosen.statistics:
            words = [sys.executable, __file__, "--here", "--store", str(store)]
            done = subprocess.run(
                [*words, "--statistics", name], stdout=subprocess.PIPE, text=True, check=True
            )
            lines.append(json.loads(done.stdout))
            print(json.dumps(lines[-1]), flush=True)
    rows = [
        [one["statistic"], f"{one['wall_s']:.1f}", f"{one['peak_rss_bytes'] / 2**20:.0f}"]
        for one in lines
    ]
    say(table(["statistic", "s", "peak MB"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
