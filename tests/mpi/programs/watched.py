"""Run on N ranks under a heartbeat: something befalls one rank, as the arguments say.

watched.py FATE RANK LIMIT_S EXIT_REPORTS [busy | idle SECONDS]: all others then wait inside MPI, so
that only their heartbeats can act; or first for some seconds, busy with Python's lock held or idle.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from distsnn.comm import Communicator, run_program
from distsnn.comm.supervision.heartbeat import Heartbeat


def befall(fate: str) -> None:
    print(f"failing at {time.time():.3f}", flush=True)
    match fate:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(7)
        case "raise":
            raise ValueError("a user's mistake")


def main(ranks: Communicator) -> int:
    fate, victim, limit, folder, *how = sys.argv[1:]
    # such as a handler of Simulation: a launcher's TERM alone ends no rank
    signal.signal(signal.SIGTERM, lambda *_: None)
    with Heartbeat(ranks, float(limit), Path(folder) if folder else None) as heartbeat:
        heartbeat.step = 100 + ranks.rank
        print(f"rank {ranks.rank} is {os.getpid()}", flush=True)
        # a beat or two, so that the step is known
        time.sleep(0.1 if fate == "none" else 1.2)
        ranks.barrier()
        if ranks.rank == int(victim):
            befall(fate)
        end = time.monotonic() + (float(how[1]) if how else 0.0)
        while time.monotonic() < end:
            sum(range(1000)) if how[0] == "busy" else time.sleep(0.1)
        ranks.barrier()
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
