"""``distsnn report``: a page about a run."""

from argparse import Namespace

from distsnn.analysis import write_report
from distsnn.comm import Communicator


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank)."""
    if communicator.rank == 0:
        print(write_report(options.run, options.out))
    return 0
