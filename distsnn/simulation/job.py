"""What the command line knows of a run beside what a script says of its simulation."""

import os
from dataclasses import dataclass
from typing import Any

from distsnn.io.reader import StoreReader
from distsnn.io.run_lock import RunLock


@dataclass(frozen=True)
class Job:
    """What goes with a simulation that `orchestrator.simulation_of` makes.

    Attributes
    ----------
    model : dict or None
        Where the network came from, for the run's metadata.
    start : str, PathLike, StoreReader or None
        A store with a checkpoint of the network to go on from, written by any number of ranks. If
        it is where the run is recorded as well, its run goes on in a new attempt. A reader from
        `open_shared_reader` is used as it is: rank 0 must have had the lock when it was opened.
    lock : RunLock or None
        The lock on where the run is recorded, if rank 0 has it already; the simulation gives it
        back when it ends.
    """

    model: dict[str, Any] | None = None
    start: str | os.PathLike[str] | StoreReader | None = None
    lock: RunLock | None = None
