"""``distsnn worker``: what `simulate(..., ranks=N)` starts its ranks with; not for people."""

from argparse import Namespace

from distsnn.comm import Communicator
from distsnn.errors import UsageError
from distsnn.simulation.launched_simulation import is_request, run_request


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run, as one of the ranks, the request in the folder. Collective."""
    if not is_request(options.folder):
        raise UsageError("no folder of a request", where="FOLDER", value=options.folder)
    run_request(options.folder, communicator.rank)
    return 0
