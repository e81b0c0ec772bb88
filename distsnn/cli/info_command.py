"""``distsnn info``: what a run is, in numbers."""

import json
from argparse import Namespace

from distsnn.cli.tables import info_lines
from distsnn.comm import Communicator
from distsnn.io.summary import summarise


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank)."""
    if communicator.rank == 0:
        numbers = summarise(options.run)
        print(json.dumps(numbers, indent=2) if options.json else "\n".join(info_lines(numbers)))
    return 0
