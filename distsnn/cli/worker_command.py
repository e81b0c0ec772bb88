"""``distsnn worker``: what `simulate(..., ranks=N)` starts its ranks with; not for people."""

from argparse import Namespace

from distsnn.comm import Communicator
from distsnn.errors import DescriptionError
from distsnn.simulation.remote import is_request, work


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run, as one of the ranks, the request in the folder. Collective."""
    if not is_request(options.folder):
        raise DescriptionError("no folder of a request", where="FOLDER", value=options.folder)
    work(options.folder, communicator.rank)
    return 0
