"""Stands in for ``distsnn run`` in a job: counts, and stops and resumes as a run does.

``standin.py run MODEL --set steps=N --out RUN ...``: each rank appends the numbers below N to
RUN/rankR, a tenth of a second apart, beginning where an earlier start left off. On SIGUSR1 or
SIGTERM it leaves a checkpoint, unless it has counted nothing, and ends with exit code 85.
``--set build=S`` takes S seconds before it counts, ``--set late=S`` makes it listen only after S
seconds, ``--set deaf=yes`` only to SIGTERM;
``--set code=C rank=R`` makes rank R end with code C at once.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

RESUMABLE = 85


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("command")
    options.add_argument("model")
    options.add_argument("--set", action="append", default=[])
    options.add_argument("--out", type=Path)
    for ignored in ("--time", "--seed", "--checkpoint-wall-time", "--resume"):
        options.add_argument(ignored)
    given = options.parse_args()
    settings = dict(one.split("=") for one in given.set)
    rank = int(os.environ["SLURM_PROCID"])

    time.sleep(float(settings.get("late", 0)))
    asked: list[int] = []
    for number in (signal.SIGTERM,) if "deaf" in settings else (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, lambda number, frame: asked.append(number))

    given.out.mkdir(exist_ok=True)
    path = given.out / f"rank{rank}"
    if settings.get("rank") == str(rank):
        return int(settings["code"])
    print(
        f"rank {rank} of {os.environ['SLURM_NTASKS']} on {os.environ['SLURMD_NODENAME']},"
        f" seed {given.seed}, cache {os.environ['DISTSNN_CACHE_DIR']},"
        f" threads {os.environ['OMP_NUM_THREADS']}",
        flush=True,
    )
    first = len(path.read_text().split()) if path.exists() else 0
    end = time.monotonic() + float(settings.get("build", 0))
    while time.monotonic() < end and not asked:
        time.sleep(0.1)
    for step in range(first, int(settings["steps"])):
        if asked:
            if step > first:
                saved = given.out / "checkpoint" / f"generation{step:06d}"
                saved.mkdir(parents=True, exist_ok=True)
            return RESUMABLE
        with path.open("a") as file:
            file.write(f"{step}\n")
        time.sleep(0.1)
    return 0


if __name__ == "__main__":
    code = main()
    # Python drops its handlers when it ends: a signal that is repeated may not end it otherwise.
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)
