"""What it costs that no job is lost: saving, restoring, the heartbeat, and minding signals.

``mpiexec -n 2 python benchmarks/safety.py microcircuit --set scale=1`` prints one line of JSON.
What is compared are stretches of one recorded simulation, in the order A B, B A, A B and so on: two
runs of a network differ by more than what is to be seen. Costs are parts of the run time: the
median over the pairs, its quartiles, and pair by pair.

- `saves`: a run that is saved every `--between` s: ms per save (median, most), the first one of the
  process, which digests the synapses, apart; and what the others come to at one save every
  `--every` s. Besides the time to build and to restore, and a checkpoint's size.
- `checkpoints`: stretches of about `--every` s with a save in the middle, against none.
- `heartbeat`: stretches with its threads against none, and the processor time that they took.
- `signals`: stretches in which signals are noted, and ranks agree after each piece whether to go
  on, against neither; and the time of such agreements, measured by themselves.
"""

import argparse
import gc
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from distsnn.comm import Communicator, collective_phase, run_program
from distsnn.comm.supervision.heartbeat import Heartbeat
from distsnn.io.checkpoint_files import CHECKPOINT, generation_name, generations
from distsnn.network import Network
from distsnn.simulation import RunPolicy, Simulation
from distsnn.simulation.segments import RUNNING
from distsnn.tools.models import load_model

PARTS = ("saves", "checkpoints", "heartbeat", "signals")
WARMUP_MS = 300.0
AGREEMENTS = 2000  # measured by themselves


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("network", help="an example's name or a Python file")
    options.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options.add_argument("--every", type=float, default=10.0, help="between checkpoints, s")
    options.add_argument("--between", type=float, default=2.0, help="saves of `saves`, s")
    options.add_argument("--time", type=float, default=28000.0, help="of the run of `saves`, ms")
    options.add_argument("--short", type=float, default=1000.0, help="of other stretches, ms")
    options.add_argument("--pairs", type=int, default=7)
    return options


def seconds(ranks: Communicator, action: Callable[[], object]) -> float:
    """Return the time that something takes on the slowest rank, s. Collective."""
    ranks.barrier()
    begin = time.perf_counter()
    action()
    return max(ranks.allgather(time.perf_counter() - begin))


def compared(pairs: int, first: Callable[[], float], other: Callable[[], float]) -> dict[str, Any]:
    """Return what the first of two ways costs over the other, each of which returns its time."""
    each = []
    for pair in range(pairs):
        if pair % 2 == 0:
            first_s = first()
            other_s = other()
        else:
            other_s = other()
            first_s = first()
        each.append(first_s / other_s - 1.0)
    low, median, high = statistics.quantiles(each, n=4, method="inclusive")
    return {
        "median": round(median, 5),
        "quartiles": [round(low, 5), round(high, 5)],
        "pairs": [round(one, 5) for one in each],
    }


class Bench:
    """One network on the ranks of this job, and a place for its runs.

    Parameters
    ----------
    options : Namespace
        The command line's.
    ranks : Communicator
        The ranks. Every method is collective.
    out : Path
        The store, replaced by each simulation.
    """

    def __init__(self, options: argparse.Namespace, ranks: Communicator, out: Path) -> None:
        self.options, self.ranks, self.out = options, ranks, out
        with collective_phase(ranks, "making the network"):
            self.network: Network = load_model(options.network, options.set).network

    def simulation(self, **settings: Any) -> Simulation:
        """Return a recorded simulation that has run for a little while."""
        simulation = Simulation(
            self.network, out=self.out, overwrite=True, communicator=self.ranks, **settings
        )
        simulation.run(WARMUP_MS)
        return simulation

    def compile(self) -> None:
        """Run and save once, so that all kernels are compiled."""
        with self.simulation() as simulation:
            simulation.save()

    def saves(self) -> dict[str, Any]:
        """Measure the saves of one run, and a restore, where nothing of that run is left."""
        found = self._saved()
        gc.collect()
        restored: list[Simulation] = []
        restore_s = seconds(
            self.ranks,
            lambda: restored.append(
                Simulation.restore(self.out, out=self.out, communicator=self.ranks)
            ),
        )
        restored[0].close()
        folder = self.out / CHECKPOINT / generation_name(generations(self.out)[0])
        sizes = [one.stat().st_size for one in folder.rglob("*") if one.is_file()]
        return found | {"restore_s": round(restore_s, 3), "checkpoint_bytes": sum(sizes)}

    def _saved(self) -> dict[str, Any]:
        options, spent = self.options, []
        made = time.perf_counter()
        simulation = Simulation(
            self.network,
            out=self.out,
            overwrite=True,
            communicator=self.ranks,
            policy=RunPolicy(checkpoint_wall_time=options.between),
        )
        build_s = max(self.ranks.allgather(time.perf_counter() - made))
        save = simulation.save
        with patch.object(simulation, "save", lambda: spent.append(seconds(self.ranks, save))):
            run_s = seconds(self.ranks, lambda: simulation.run(options.time))
        simulation.close()
        median_s = statistics.median(spent[1:])
        return {
            "build_s": round(build_s, 3),
            "rtf": round(1e3 * run_s / options.time, 3),
            "saves": len(spent),
            "first_save_ms": round(1e3 * spent[0], 1),
            "save_ms": [round(1e3 * one(spent[1:]), 1) for one in (statistics.median, max)],
            "cost": round(median_s / options.every, 5),
        }

    def checkpoints(self) -> dict[str, Any]:
        """Compare stretches with a save in their middle to others."""
        with self.simulation() as simulation:
            simulation.save()  # the first, which takes longer, is `saves`'s
            run_s = seconds(self.ranks, lambda: simulation.run(self.options.short))
            half = round(0.5 * self.options.every / run_s * self.options.short)

            def stretch(save: Callable[[], object]) -> float:
                def action() -> None:
                    simulation.run(half)
                    save()
                    simulation.run(half)

                return seconds(self.ranks, action)

            found = compared(
                self.options.pairs, lambda: stretch(simulation.save), lambda: stretch(bool)
            )
            return found | {"stretch_ms": 2 * half}

    def heartbeat(self) -> dict[str, Any]:
        """Compare stretches with a heartbeat to others."""
        used = []
        with self.simulation() as simulation:
            # no option turns the heartbeat off: that of the job is stopped, which this one joined
            of_job = simulation._heartbeat._joined
            simulation._heartbeat.stop()
            if of_job is not None:
                of_job.stop()

            def without() -> float:
                return seconds(self.ranks, lambda: simulation.run(self.options.short))

            def beating() -> float:
                with Heartbeat(self.ranks) as heartbeat:
                    assert heartbeat._thread is not None and heartbeat._thread.ident is not None
                    clock = time.pthread_getcpuclockid(heartbeat._thread.ident)
                    before, spent_s = time.clock_gettime(clock), without()
                    used.append((time.clock_gettime(clock) - before) / spent_s)
                return spent_s

            found = compared(self.options.pairs, beating, without)
        busy = max(self.ranks.allgather(statistics.median(used)))
        return found | {"processor": round(busy, 6)}

    def signals(self) -> dict[str, Any]:
        """Compare stretches that heed signals to others."""
        with self.simulation() as simulation:
            pace, interrupts = simulation._loop.scheduler, simulation._interrupts

            def heeding() -> float:
                return seconds(self.ranks, lambda: simulation.run(self.options.short))

            def deaf() -> float:
                with (
                    patch.object(interrupts, "deferred", nullcontext),
                    patch.object(pace, "agree_after_segment", lambda *spent, **own: (RUNNING, 0)),
                ):
                    return heeding()

            found = compared(self.options.pairs, heeding, deaf)
            with patch.object(pace, "agree_after_segment", wraps=pace.agree_after_segment) as after:
                run_s = heeding()
            pieces_per_s = after.call_count / run_s

            def agreements() -> None:
                for _ in range(AGREEMENTS):
                    # a time at which the pieces stay as long as they are
                    pace.agree_after_segment(1, 1, 0.05, failed=False, signal=interrupts.number)

            agreement_s = seconds(self.ranks, agreements) / AGREEMENTS
            return found | {
                "agreement_us": round(1e6 * agreement_s, 1),
                "pieces_per_s": round(pieces_per_s, 1),
                "agreements": round(pieces_per_s * agreement_s, 6),
            }


def main(ranks: Communicator) -> int:
    """Measure, and print the line on rank 0."""
    options = parser().parse_args()
    if ranks.size == 1 and "heartbeat" in options.parts:
        parser().error("one rank has no heartbeat; start it by mpiexec -n 2")
    made = tempfile.mkdtemp(prefix="distsnn-safety-") if ranks.rank == 0 else ""
    folder = Path(ranks.bcast(made))
    try:
        bench = Bench(options, ranks, folder / "run.zarr")
        bench.compile()
        found: dict[str, Any] = {"network": options.network, "ranks": ranks.size}
        found |= {part: getattr(bench, part)() for part in options.parts}
    finally:
        if ranks.rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
    if ranks.rank == 0:
        print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
