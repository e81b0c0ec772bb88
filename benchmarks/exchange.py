#!/usr/bin/env python3
"""Time of one exchange of spikes: compiled, and driven from Python with mpi4py.

``mpiexec -n 2 python benchmarks/exchange.py`` prints one line of JSON for each number of spikes
and, to standard error, a table. An exchange of distsnn ends with the arrivals decoded to (step,
gid); of mpi4py's calls only the communication is timed, with the arrays at hand.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from all_ranks import measured_on
from compare import table
from running import say

from distsnn import jit
from distsnn.comm import Communicator, first_on_node, run_program
from distsnn.comm.exchange import Exchange
from distsnn.comm.exchange_entries import MAX_STRIDE, MIN_STRIDE, STRIDE
from distsnn.errors import DescriptionError

COLUMNS = {
    "compiled_us": "compiled",
    "overflow_us": "compiled, all overflow",
    "allgather_us": "Allgather",
    "allgatherv_us": "Allgather + Allgatherv",
}


@jit.kernel
def _repeat(entry, table, scalars, n, epoch_steps):
    """Exchange the outbox n times, as the simulation's loop does; return the first error."""
    for i in range(n):
        first = i * epoch_steps
        last = first + epoch_steps
        status = jit.call(entry, table, scalars, first, last, last)
        if status != 0:
            return status
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument(
        "--spikes",
        type=int,
        nargs="+",
        default=[0, 10, 50, 200, 1000, 5000],
        help="spikes of each rank in an epoch",
    )
    options.add_argument("--steps", type=int, default=1, help="steps of an epoch")
    options.add_argument("--iterations", type=int, default=2000, help="exchanges timed together")
    options.add_argument("--batches", type=int, default=7, help="of them; the median counts")
    return options


class Timer:
    """Times a collective operation; the slowest rank counts.

    Parameters
    ----------
    ranks : Communicator
        All ranks.
    iterations, batches : int
        Calls timed together, and how often.
    """

    def __init__(self, ranks: Communicator, iterations: int, batches: int) -> None:
        self.ranks, self.iterations, self.batches = ranks, iterations, batches

    def microseconds(self, repeat: Callable[[int], None]) -> float:
        """Return the median time of an iteration, µs; ``repeat(n)`` runs n of them."""
        repeat(max(1, self.iterations // 10))
        found = []
        for _ in range(self.batches):
            self.ranks.barrier()
            begin = time.perf_counter()
            repeat(self.iterations)
            found.append(max(self.ranks.allgather(time.perf_counter() - begin)))
        return 1e6 * statistics.median(found) / self.iterations


def compiled(
    ranks: Communicator, timer: Timer, spikes: int, steps: int, *, overflow: bool
) -> tuple[float, Exchange]:
    """Time distsnn's exchange.

    Parameters
    ----------
    ranks : Communicator
        All ranks.
    timer : Timer
        Takes the time.
    spikes, steps : int
        Spikes of each rank in an epoch, and its steps.
    overflow : bool
        Keep the fixed-size messages at their smallest, so that every message that does not fit
        takes the overflow path; otherwise they adapt.

    Returns
    -------
    float
        µs.
    Exchange
        For its counters.
    """
    per_step = [len(part) for part in np.array_split(np.arange(spikes), steps)]
    most = max(1, *per_step)
    exchange = ranks.exchange(most, most * ranks.size, steps)
    if exchange is None:
        raise DescriptionError("one rank has nobody to exchange with", where="exchange.py")
    with first_on_node(ranks):
        address = exchange.address
    if overflow:
        exchange.table[MAX_STRIDE] = exchange.table[STRIDE] = exchange.table[MIN_STRIDE]
    exchange.send_buffer[0] = spikes
    exchange.send_buffer[1 : 1 + steps] = per_step
    exchange.send_buffer[1 + steps : 1 + steps + spikes] = np.arange(spikes) + spikes * ranks.rank

    def repeat(n: int) -> None:
        status = _repeat(
            address, exchange.table.ctypes.data, exchange.scalars.ctypes.data, n, steps
        )
        if status != 0:
            raise RuntimeError(exchange.error_text(status))
        if exchange.n_received[0] != spikes * (ranks.size - 1):
            raise RuntimeError(f"{exchange.n_received[0]} spikes arrived")

    return timer.microseconds(repeat), exchange


def from_python(ranks: Communicator, timer: Timer, spikes: int, steps: int) -> tuple[float, float]:
    """Time mpi4py's calls: messages of one fixed size, and counts followed by the spikes."""
    from mpi4py import MPI  # the communicator has initialised it

    world, size = MPI.COMM_WORLD, ranks.size
    words = 1 + steps + spikes
    message, inbox = np.zeros(words, np.int32), np.zeros(size * words, np.int32)
    gids, arrived = np.zeros(spikes, np.int32), np.zeros(size * spikes, np.int32)
    mine, counts = np.full(1 + steps, spikes, np.int32), np.zeros((size, 1 + steps), np.int32)

    def fixed(n: int) -> None:
        for _ in range(n):
            world.Allgather(message, inbox)

    def counted(n: int) -> None:
        for _ in range(n):
            world.Allgather(mine, counts)
            world.Allgatherv(gids, (arrived, counts[:, 0]))

    return timer.microseconds(fixed), timer.microseconds(counted)


def measure(
    ranks: Communicator, spikes: int, steps: int, iterations: int, batches: int
) -> dict[str, Any]:
    """Return the times of one exchange of so many spikes. Collective."""
    timer = Timer(ranks, iterations, batches)
    with measured_on(ranks) as cost:
        adapting, exchange = compiled(ranks, timer, spikes, steps, overflow=False)
        overflowing, small = compiled(ranks, timer, spikes, steps, overflow=True)
        fixed, counted = from_python(ranks, timer, spikes, steps)
    counters, overflows = exchange.counters, small.counters
    return {
        "benchmark": "exchange",
        "ranks": ranks.size,
        "library": ranks.library,
        "steps": steps,
        "spikes": spikes,
        "compiled_us": round(adapting, 3),
        "overflow_us": round(overflowing, 3),
        "allgather_us": round(fixed, 3),
        "allgatherv_us": round(counted, 3),
        "overflow_share": round(counters.overflow_rounds / counters.exchanges, 4),
        "forced_overflow_share": round(overflows.overflow_rounds / overflows.exchanges, 4),
        "bytes": counters.received_bytes // counters.exchanges,
        "others_cpu": round(cost.others_cpu, 4),
    }


def times_table(lines: Sequence[dict[str, Any]]) -> str:
    """Return the measurements as a table, µs."""
    rows = []
    for line in lines:
        times = {name: f"{line[name]:.2f}" for name in COLUMNS}
        if line["forced_overflow_share"] == 0.0:
            times["overflow_us"] = ""  # so few fit the smallest message
        rows.append((f"{line['spikes']}", *times.values(), f"{line['bytes']}"))
    return table(("spikes a rank", *COLUMNS.values(), "bytes"), rows)


def main(ranks: Communicator) -> int:
    """Measure what the command line asks for."""
    options = parser().parse_args()
    lines = []
    for spikes in options.spikes:
        line = measure(ranks, spikes, options.steps, options.iterations, options.batches)
        if ranks.rank == 0:
            print(json.dumps(line), flush=True)
        lines.append(line)
    if ranks.rank == 0:
        say(f"µs an exchange on {ranks.size} ranks, {ranks.library}\n\n{times_table(lines)}")
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
