"""Run by `launch` from a plain process: say what the ranks see, then do what is asked."""

import os
import sys
import time

from distsnn.comm import Communicator, run_program


def main(ranks: Communicator) -> int:
    threads = os.environ["OMP_NUM_THREADS"]
    # Each line in one piece: ranks write to the same pipe.
    sys.stdout.write(f"rank {ranks.rank} of {ranks.size}, threads {threads}, {sys.argv[1:]}\n")
    sys.stdout.flush()
    if ranks.rank == 0:
        sys.stderr.write("to standard error\n")
    if sys.argv[1] == "sleep":
        time.sleep(50)
    return int(sys.argv[2])


if __name__ == "__main__":
    sys.exit(run_program(main))
