#!/usr/bin/env python3
"""Auryn's own benchmark, Vogels and Abbott's network, measured; prints one line of JSON.

Its program ``sim_coba_benchmark`` (https://github.com/fzenke/auryn, GPL) is to be built as Auryn's
manual says, and must be on PATH. The program's clock counts whole seconds, so a run is timed from
outside, and a shorter one, with all that comes before the first step, is subtracted. Its memory is
that of the largest process.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Cost, measured, report

PROGRAM = "sim_coba_benchmark"
SIZES = {"E": 3200, "I": 800}  # fixed in the program, as is the probability
CONNECTED = 0.02


def run(command: list[str], time_ms: float) -> Cost:
    """Run the program for a biological time and return what that cost; end if it fails."""
    with measured() as cost:
        done = subprocess.run(
            [*command, "--simtime", f"{time_ms / 1e3}"], capture_output=True, text=True
        )
    if done.returncode != 0:
        sys.exit(f"{PROGRAM} ended with exit code {done.returncode}:\n{done.stderr}")
    return cost


def spikes_after(folder: Path, population: str, time_ms: float) -> int:
    """Return how many spikes of a population all ranks have written after a time."""
    return sum(
        float(line.split()[0]) * 1e3 > time_ms
        for file in folder.glob(f"coba.*.{population.lower()}.ras")
        for line in file.read_text().splitlines()
    )


def main() -> None:
    """Run it twice and report the difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--time", type=float, default=20_000.0, help="measured time, ms")
    parser.add_argument("--warmup", type=float, default=200.0, help="time before it, ms")
    parser.add_argument("--ranks", type=int, default=1, help="with an mpiexec of Auryn's MPI")
    parser.add_argument(
        "--recording",
        choices=("files", "none"),
        default="files",
        help="files: every spike, as text; none: no spike",
    )
    options = parser.parse_args()
    program = shutil.which(PROGRAM)
    if program is None:
        sys.exit(f"Auryn's {PROGRAM} is not on PATH: build it from https://github.com/fzenke/auryn")
    recording = options.recording == "files"
    with tempfile.TemporaryDirectory(prefix="distsnn-auryn-") as name:
        folder = Path(name)
        command = [program, "--dir", name, *([] if recording else ["--fast"])]
        if options.ranks > 1:
            command = ["mpiexec", "-n", f"{options.ranks}", *command]
        before = run(command, options.warmup)
        whole = run(command, options.warmup + options.time)
        rates = {
            population: spikes_after(folder, population, options.warmup)
            / (size * options.time * 1e-3)
            for population, size in SIZES.items()
            if recording
        }
    neurons = sum(SIZES.values())
    report(
        simulator="Auryn",
        version="8.3",
        network="sim_coba_benchmark",
        neurons=neurons,
        synapses=round(CONNECTED * neurons * neurons),
        threads=options.ranks,
        time_ms=options.time,
        warmup_ms=options.warmup,
        recording=options.recording,
        build_s=before.wall_s,
        run=Cost(whole.wall_s - before.wall_s, whole.others_cpu),
        rates=rates,
        peak_bytes=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    )


if __name__ == "__main__":
    main()
