"""Programs of two parts: ``PROGRAM OUT begin`` ends after a checkpoint, ``resume`` continues."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from distsnn.comm import Communicator, run_program

# Do not wait for the disk: tests do not cut the power.
os.fsync = lambda descriptor: None


def run_part(*parts: Callable[..., None]) -> NoReturn:
    """Run the function that the command line names, on the ranks of this job."""
    out, name = sys.argv[1:]
    (part,) = (part for part in parts if part.__name__ == name)

    def main(communicator: Communicator) -> int:
        part(Path(out), communicator=communicator)
        return 0

    sys.exit(run_program(main))
