"""What it costs that no job is lost: saving, restoring, checkpoints by the clock, the heartbeat.

``mpiexec -n 2 python benchmarks/safety.py microcircuit --set scale=1`` prints one line of JSON: the
time to build, save and restore and a checkpoint's size; the run time with checkpoints every
`--every` s of wall time by the run time without, less 1, pair by pair, and the same for the
heartbeat. Runs alternate; every run is a simulation of its own on all ranks of this job, recorded.
"""

import argparse
import json
import math
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from distsnn.cli.models import load_model
from distsnn.comm import Communicator, start, together
from distsnn.io.checkpoint_files import CHECKPOINT, generation_name, generations
from distsnn.network import Network
from distsnn.simulation import Policy, Simulation


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("network", help="an example's name or a Python file")
    options.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options.add_argument("--time", type=float, default=12000.0, help="of a run of a pair, ms")
    options.add_argument("--every", type=float, default=10.0, help="between checkpoints, s")
    options.add_argument("--short", type=float, default=3000.0, help="with a heartbeat or not, ms")
    options.add_argument("--pairs", type=int, default=3)
    return options


def run(
    network: Network, out: Path, time_ms: float, ranks: Communicator, **settings: Any
) -> dict[str, float]:
    """Simulate once; return the slowest rank's seconds of building and of running."""
    ranks.barrier()
    begin = time.perf_counter()
    simulation = Simulation(network, out=out, overwrite=True, communicator=ranks, **settings)
    build_s = max(ranks.allgather(time.perf_counter() - begin))
    simulation.run(200.0)
    ranks.barrier()
    begin = time.perf_counter()
    simulation.run(time_ms)
    run_s = max(ranks.allgather(time.perf_counter() - begin))
    saved = len(generations(out))
    simulation.close()
    return {"build_s": build_s, "run_s": run_s, "generations": saved}


def saving(network: Network, out: Path, ranks: Communicator) -> dict[str, float]:
    """Return the seconds of saving (twice) and restoring, and a checkpoint's bytes."""
    simulation = Simulation(network, out=out, overwrite=True, communicator=ranks)
    simulation.run(500.0)
    spent = []
    for _ in range(2):
        ranks.barrier()
        begin = time.perf_counter()
        simulation.save()
        spent.append(max(ranks.allgather(time.perf_counter() - begin)))
    simulation.close()
    del simulation
    ranks.barrier()
    begin = time.perf_counter()
    simulation = Simulation.restore(out, out=out, communicator=ranks)
    restore_s = max(ranks.allgather(time.perf_counter() - begin))
    simulation.close()
    folder = out / CHECKPOINT / generation_name(generations(out)[0])
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "first_save_s": spent[0],
        "save_s": spent[1],
        "restore_s": restore_s,
        "checkpoint_bytes": size,
    }


def costs(pairs: list[tuple[dict[str, float], dict[str, float]]]) -> dict[str, Any]:
    """Return what the first of each pair costs over the second: the median, and pair by pair."""
    each = [first["run_s"] / other["run_s"] - 1.0 for first, other in pairs]
    return {"median": round(statistics.median(each), 5), "pairs": [round(one, 5) for one in each]}


def measure(options: argparse.Namespace, ranks: Communicator, folder: Path) -> dict[str, Any]:
    """Measure everything in turn."""
    with together(ranks, "making the network"):
        network = load_model(options.network, options.set).network
    out = folder / "run.zarr"
    run(network, out, 1.0, ranks)  # compiles
    found: dict[str, Any] = {"network": options.network, "ranks": ranks.size}
    found |= {name: round(value, 3) for name, value in saving(network, out, ranks).items()}
    policy = Policy(checkpoint_wall=options.every)
    pairs = [
        (
            run(network, out, options.time, ranks, policy=policy),
            run(network, out, options.time, ranks),
        )
        for _ in range(options.pairs)
    ]
    found["build_s"] = round(statistics.median(bare["build_s"] for _, bare in pairs), 3)
    found["run_s"] = round(statistics.median(bare["run_s"] for _, bare in pairs), 3)
    found["checkpoints"] = costs(pairs) | {
        "saved": [int(saved["generations"]) for saved, _ in pairs]
    }
    beats = [
        (
            run(network, out, options.short, ranks),
            run(network, out, options.short, ranks, heartbeat=math.inf),
        )
        for _ in range(options.pairs)
    ]
    found["heartbeat"] = costs(beats)
    return found


def main(ranks: Communicator) -> int:
    """Measure, and print the line on rank 0."""
    options = parser().parse_args()
    made = tempfile.mkdtemp(prefix="distsnn-safety-") if ranks.rank == 0 else ""
    folder = Path(ranks.bcast(made))
    try:
        found = measure(options, ranks, folder)
    finally:
        if ranks.rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
    if ranks.rank == 0:
        print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(start(main))
