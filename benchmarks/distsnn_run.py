#!/usr/bin/env python3
"""A network in distsnn, measured as the peers' scripts measure theirs; prints one line of JSON.

``mpiexec -n 2 python benchmarks/distsnn_run.py microcircuit --set scale=0.1``, or without mpiexec
on one rank. NETWORK is whatever ``distsnn run`` takes. The kernels should be in the disk cache:
the first start of a network compiles what is missing, so its build time is to be discarded.
"""

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from all_ranks import measured_on
from peers.measure import rss_bytes

from distsnn import Simulation
from distsnn.comm import Communicator, collective_phase, run_program
from distsnn.tools.models import load_model

MS = 1e-3


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("network", help="an example's name or a Python file")
    options.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of it"
    )
    options.add_argument("--time", type=float, default=1000.0, help="measured time, ms")
    options.add_argument("--warmup", type=float, default=200.0, help="time before it, ms")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument(
        "--record",
        choices=("all", "none"),
        default="all",
        help="all: every spike, into a store; none: no spike, and no store",
    )
    options.add_argument("--delivery", default="auto")
    options.add_argument("--storage", default="auto")
    options.add_argument("--strategy", default="round_robin")
    options.add_argument("--out", type=Path, help="keep the store here; else it is removed")
    return options


def measure(options: argparse.Namespace, ranks: Communicator, store: Path | None) -> dict[str, Any]:
    """Build and run the network on all ranks and return the measurement. Collective.

    Parameters
    ----------
    options : Namespace
        As from `parser`.
    ranks : Communicator
        All ranks.
    store : Path or None
        Where spikes are recorded; None to record none.

    Returns
    -------
    dict
        The fields of the peers' measurements, with `ranks` for their threads, and

        - `phases`: seconds by phase, each the mean over the ranks, of the measured time;
        - `slowest`: the same, each of the rank that spent most;
        - `exchanges`: number of exchanges in the measured time;
        - `events_per_s`: synaptic events of all ranks by second of wall time;
        - `bytes_per_synapse`: memory that the ranks took from before the build to their peaks, by
          synapse;
        - `plastic_bytes_per_synapse`: the same of the arrays of synapses that learn alone, where
          there are any;
        - `close_s`: closing the store after it, s.
    """
    before = sum(ranks.allgather(rss_bytes()))
    ranks.barrier()
    begin = time.perf_counter()
    with collective_phase(ranks, "making the network"):
        network = load_model(options.network, options.set).network
        if store is None:
            network = dataclasses.replace(network, recordings=())
    simulation = Simulation(
        network,
        seed=options.seed,
        out=store,
        partition=options.strategy,
        delivery=options.delivery,
        storage=options.storage,
        communicator=ranks,
    )
    build_s = max(ranks.allgather(time.perf_counter() - begin))
    with simulation:
        simulation.run(options.warmup)
        start_counts = simulation.counters()
        with measured_on(ranks) as cost:
            simulation.run(options.time)
        after = simulation.counters()
        begin = time.perf_counter()
        summary = simulation.close()
        close_s = max(ranks.allgather(time.perf_counter() - begin))
    spent = {
        # the ticks' length becomes better known with time: no time must not come out negative
        phase: np.maximum(np.subtract(after.phases[phase], start_counts.phases[phase]), 0.0)
        for phase in after.phases
        if phase not in ("build", "total")
    }
    seconds = options.time * MS
    settings = "".join(f" {one}" for one in options.set)
    taken = sum(summary.peak_rss_bytes) - before
    plastic = {}
    if after.plastic_synapses:
        each = after.plastic_bytes / after.plastic_synapses
        plastic["plastic_bytes_per_synapse"] = round(each, 2)
    return {
        "simulator": "distsnn",
        "version": version("distsnn"),
        "network": f"{options.network}{settings}",
        "neurons": summary.neurons,
        "synapses": summary.synapses,
        "ranks": summary.ranks,
        "time_ms": options.time,
        "warmup_ms": options.warmup,
        "recording": "store" if store is not None else "none",
        "build_s": round(build_s, 4),
        "run_s": round(cost.wall_s, 4),
        "rtf": round(cost.wall_s / seconds, 5),
        "rates": {
            one.name: round(
                (after.spikes[one.name] - start_counts.spikes[one.name]) / one.size / seconds, 4
            )
            for one in network.populations
            if store is not None
        },
        "peak_rss_bytes": sum(summary.peak_rss_bytes),
        "others_cpu": round(cost.others_cpu, 4),
        "phases": {phase: round(float(np.mean(values)), 4) for phase, values in spent.items()},
        "slowest": {phase: round(float(np.max(values)), 4) for phase, values in spent.items()},
        "exchanges": after.exchanges - start_counts.exchanges,
        "events_per_s": round((after.events - start_counts.events) / cost.wall_s),
        "bytes_per_synapse": round(taken / max(1, summary.synapses), 2),
        **plastic,
        "close_s": round(close_s, 4),
    }


def main(ranks: Communicator) -> int:
    """Measure, and print the line on rank 0."""
    options = parser().parse_args()
    folder = None
    with collective_phase(ranks, "making a folder for the store"):
        if options.record == "all" and options.out is None and ranks.rank == 0:
            folder = tempfile.mkdtemp(prefix="distsnn-benchmark-")
    folder = ranks.bcast(folder)
    store = options.out or (Path(folder) / "run.zarr" if folder is not None else None)
    try:
        line = measure(options, ranks, store if options.record == "all" else None)
    finally:
        if folder is not None and ranks.rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
    if ranks.rank == 0:
        print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
