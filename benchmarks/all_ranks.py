"""Wall time and other processes' CPU of a piece of code that all ranks of one machine run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from peers.measure import Cost, measured

from distsnn.comm import Communicator


@contextmanager
def measured_on(ranks: Communicator) -> Iterator[Cost]:
    """Measure a block that all ranks enter and leave together. Collective.

    Parameters
    ----------
    ranks : Communicator
        All ranks, on one machine.

    Yields
    ------
    Cost
        Right on rank 0 after the block. `others_cpu` counts in ticks of 10 ms, so of blocks below
        a second it is coarse.
    """
    ranks.barrier()
    own = time.process_time()
    with measured() as cost:
        yield cost
        ranks.barrier()
    # each rank took the others for strangers
    others = sum(ranks.allgather(time.process_time() - own)[1:])
    share = cost.others_cpu - others / (cost.wall_s * ranks.cores)
    cost.others_cpu = min(1.0, max(0.0, share))
