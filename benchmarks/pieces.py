#!/usr/bin/env python3
"""Time of one piece of a closed loop, beside the same time in one run.

``python benchmarks/pieces.py`` or ``mpiexec -n 2 python benchmarks/pieces.py`` prints one line of
JSON and, to standard error, a table of µs: medians of rank 0.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from all_ranks import measured_on
from compare import table
from running import say

from distsnn.comm import Communicator, run_program
from distsnn.network import (
    AllToAll,
    ConstantCurrent,
    FixedIndegree,
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    Projection,
    SpikeSource,
)
from distsnn.simulation import Simulation

WARM_UP = 50
ROWS = {
    "loop_us": "compiled loop alone, in one long run",
    "run_us": "run",
    "set_rate_us": "set a rate",
    "set_rates_us": "set a rate for each neuron",
    "set_currents_us": "set a current for each neuron",
    "emit_us": "emit two spikes",
    "spikes_us": "read spikes",
    "counts_us": "read spike counts",
    "state_us": "read a state",
    "piece_us": "set a rate, run, read spikes",
}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--neurons", type=int, default=100)
    options.add_argument("--piece", type=float, default=1.0, help="biological time, ms")
    options.add_argument("--pieces", type=int, default=2000, help="number of pieces")
    options.add_argument("--record", action="store_true", help="record spikes to a store")
    return options


def network(neurons: int) -> Network:
    """Return a recurrent network with every kind of input that can be set."""
    cells = Population("E", neurons, IafPscExp())
    sensors = Population("S", 10, SpikeSource([], []))
    return Network(
        [cells, sensors],
        [
            Projection(cells, cells, FixedIndegree(10), weight=20.0, delay=1.5),
            Projection(sensors, cells, AllToAll(), weight=10.0, delay=1.0),
        ],
        [PoissonInput(cells, 9000.0, 50.0, name="drive"), ConstantCurrent(cells, 0.0, name="push")],
    )


def actions(simulation: Simulation, neurons: int, piece: float) -> dict[str, Callable[[], object]]:
    """Return what is timed, by the name of its figure."""
    rates, currents = np.full(neurons, 9000.0), np.zeros(neurons)
    states = simulation["E"].state
    return {
        "run_us": lambda: simulation.run(piece),
        "set_rates_us": lambda: simulation["drive"].set(rate=rates),
        "set_currents_us": lambda: simulation["push"].set(amplitude=currents),
        "set_rate_us": lambda: simulation["drive"].set(rate=9000.0),
        "emit_us": lambda: simulation["S"].emit([2, 7]),
        "spikes_us": lambda: simulation["E"].spikes(),
        "counts_us": lambda: simulation["E"].spike_counts(),
        "state_us": lambda: states["V_m"],
    }


def timed(action: Callable[[], object]) -> float:
    """Return the wall time of an action, µs."""
    begin = time.perf_counter()
    action()
    return 1e6 * (time.perf_counter() - begin)


def measure(
    ranks: Communicator, neurons: int, piece: float, pieces: int, out: Path | None
) -> dict[str, float]:
    """Return the medians, µs. Collective."""
    with Simulation(network(neurons), out=out, communicator=ranks) as simulation:
        simulation.run(WARM_UP * piece)
        loop_us = timed(lambda: simulation.run(pieces * piece)) / pieces
        todo = actions(simulation, neurons, piece)
        found: dict[str, list[float]] = {name: [] for name in (*todo, "piece_us")}

        def whole() -> None:
            for name in ("set_rate_us", "run_us", "spikes_us"):
                todo[name]()

        for _ in range(pieces):
            for name, action in todo.items():
                found[name].append(timed(action))
        for _ in range(pieces):
            found["piece_us"].append(timed(whole))
    medians = {name: statistics.median(times) for name, times in found.items()}
    return {name: round(({"loop_us": loop_us} | medians)[name], 2) for name in ROWS}


def main(ranks: Communicator) -> int:
    """Measure what the command line asks for."""
    options = parser().parse_args()
    folder = tempfile.TemporaryDirectory() if options.record and ranks.rank == 0 else nullcontext()
    with folder as path:
        place = ranks.bcast(path)
        out = Path(place, "run.zarr") if place is not None else None
        with measured_on(ranks) as cost:
            found = measure(ranks, options.neurons, options.piece, options.pieces, out)
    if ranks.rank == 0:
        about = {"benchmark": "pieces", "ranks": ranks.size, "library": ranks.library}
        settings = {"neurons": options.neurons, "piece_ms": options.piece, "record": options.record}
        line = about | settings | found | {"others_cpu": round(cost.others_cpu, 4)}
        print(json.dumps(line))
        say(table(("", "µs"), [(text, f"{found[name]:.1f}") for name, text in ROWS.items()]))
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
