"""Run by `launch` from a plain process: say what the ranks see, then do what is asked."""

import os
import sys
import time

from distsnn.comm import Communicator, start


def main(ranks: Communicator) -> int:
    threads = os.environ["OMP_NUM_THREADS"]
    print(f"rank {ranks.rank} of {ranks.size}, threads {threads}, {sys.argv[1:]}", flush=True)
    if ranks.rank == 0:
        print("to standard error", file=sys.stderr, flush=True)
    if sys.argv[1] == "sleep":
        time.sleep(50)
    return int(sys.argv[2])


if __name__ == "__main__":
    sys.exit(start(main))
