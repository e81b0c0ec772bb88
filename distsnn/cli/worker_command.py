"""``distsnn worker``: what `simulate(..., ranks=N)` starts its ranks with; not for people."""

from argparse import Namespace

from distsnn.comm import Communicator
from distsnn.simulation.remote import work


def execute(options: Namespace, communicator: Communicator) -> int:
    """Do, as one of the ranks, what was written into the folder. Collective."""
    work(options.folder, communicator.rank)
    return 0
