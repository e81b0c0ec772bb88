"""The part that NEST's benchmark scripts share: options, kernel settings, the measured run.

Runs in NEST's environment (see environments.py). Spikes are recorded in memory by default, as
distsnn records them too; ``--recording none`` shows NEST at its fastest.
"""

import argparse
import os
from collections.abc import Callable, Mapping
from typing import Any

os.environ.setdefault("PYNEST_QUIET", "1")  # no banner; so the scripts take nest from here

import nest as nest
from measure import measured, peak_rss_bytes, report
from parameters import DT


def parser(description: str, *, warmup: float) -> argparse.ArgumentParser:
    """Return a parser with the options that every script has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--time", type=float, default=1000.0, help="measured time, ms")
    options.add_argument("--warmup", type=float, default=warmup, help="time before it, ms")
    options.add_argument("--threads", type=int, default=os.cpu_count())
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--recording", choices=("memory", "none"), default="memory")
    return options


def reset(options: argparse.Namespace) -> None:
    """Set up an empty, quiet kernel."""
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = DT
    nest.local_num_threads = options.threads
    nest.rng_seed = options.seed
    nest.print_time = False


def prepare(options: argparse.Namespace, populations: Mapping[str, Any]) -> dict[str, Any]:
    """Finish the build: connect a recorder to each population and make the kernel ready to run."""
    recorders = {}
    if options.recording == "memory":
        for name, population in populations.items():
            recorders[name] = nest.Create("spike_recorder", params={"start": options.warmup})
            nest.Connect(population, recorders[name])
    nest.Prepare()
    return recorders


def run_and_report(
    options: argparse.Namespace,
    populations: Mapping[str, Any],
    recorders: Mapping[str, Any],
    *,
    network: str,
    synapses: int,
    build_s: float,
    more: Callable[[Mapping[str, float], float], Mapping[str, float]] | None = None,
) -> None:
    """Run the warm-up and the measured time, and print the measurement.

    `more` returns further fields, given the rates and the measured wall time in s.
    """
    if options.warmup > 0:
        nest.Run(options.warmup)
    with measured() as run:
        nest.Run(options.time)
    spikes_of_run = nest.local_spike_counter
    nest.Cleanup()
    neurons = sum(len(population) for population in populations.values())
    seconds = options.time * 1e-3
    if recorders:
        rates = {
            name: recorder.n_events / len(populations[name]) / seconds
            for name, recorder in recorders.items()
        }
    else:
        rates = {"all": spikes_of_run / neurons / seconds}
    report(
        simulator="NEST",
        version=nest.__version__,
        network=network,
        neurons=neurons,
        synapses=synapses,
        threads=options.threads,
        time_ms=options.time,
        warmup_ms=options.warmup,
        recording=options.recording,
        build_s=build_s,
        run=run,
        rates=rates,
        peak_bytes=peak_rss_bytes(),
        more=None if more is None else more(rates, run.wall_s),
    )
