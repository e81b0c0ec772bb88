"""Run on N ranks under a heartbeat: something befalls one rank, as the arguments say.

watched.py FATE RANK LIMIT_S NOTICES: all others then wait inside MPI (FATE ``... busy``: hold
Python's lock instead), so that only their heartbeats can act.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from distsnn.comm import Communicator, start
from distsnn.comm.heartbeat import Heartbeat


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
    fate, victim, limit, notices = sys.argv[1:5]
    # such as a handler of Simulation: a launcher's TERM alone ends no rank
    signal.signal(signal.SIGTERM, lambda *_: None)
    with Heartbeat(ranks, float(limit), Path(notices) if notices else None) as heartbeat:
        heartbeat.step = 100 + ranks.rank
        print(f"rank {ranks.rank} is {os.getpid()}", flush=True)
        # a beat or two, so that the step is known
        time.sleep(1.2 if fate != "none" else 0.1)
        ranks.barrier()
        if ranks.rank == int(victim):
            befall(fate)
        if "busy" in sys.argv:
            limit_s = time.monotonic() + 30.0
            while time.monotonic() < limit_s:
                sum(range(1000))
        ranks.barrier()
    return 0


if __name__ == "__main__":
    sys.exit(start(main))
