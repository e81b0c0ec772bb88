"""``distsnn info``: what a run is, in numbers."""

import json
from argparse import Namespace

from distsnn.cli.tables import info_lines
from distsnn.comm import Communicator
from distsnn.errors import printable
from distsnn.io.summary import read_run_info


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank); 1 if parts of the run are missing."""
    if communicator.rank != 0:
        return 0
    info = read_run_info(options.run)
    if options.json:
        print(json.dumps(info.to_dict(), indent=2))
    else:
        print("\n".join(map(printable, info_lines(info))))
    return 1 if info.missing else 0
