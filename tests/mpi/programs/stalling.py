"""Run on N ranks: one of them stops for good at the place that the arguments name.

stalling.py PLACE RANK HEARTBEAT_S START_LIMIT_S: ``python`` before it connects to its launcher,
``mpi`` before MPI starts, ``main`` in its program, ``none`` nowhere.
"""

import os
import signal
import sys
import time

from distsnn.comm import Communicator, run_program, world
from distsnn.comm import world as world_function
from distsnn.comm.supervision.launcher import detect_launcher


def stop() -> None:
    print(f"failing at {time.time():.3f}, rank {own} is {os.getpid()}", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)


def main(ranks: Communicator) -> int:
    if place == "main" and ranks.rank == victim:
        stop()
    ranks.barrier()
    return 0


place, victim = sys.argv[1], int(sys.argv[2])
launched = detect_launcher()
assert launched is not None
own = launched.rank
module = sys.modules[world_function.__module__]
module.start_timeout = lambda heartbeat_s: float(sys.argv[4])  # type: ignore[attr-defined]
if own == victim:
    if place == "python":
        stop()
    elif place == "mpi":

        def stopping() -> Communicator:
            stop()
            return world()

        module.world = stopping  # type: ignore[attr-defined]
sys.exit(run_program(main, heartbeat_s=float(sys.argv[3])))
