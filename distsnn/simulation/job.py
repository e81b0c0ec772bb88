"""Settings of a run that only the command line uses."""

import os
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from distsnn.comm import world
from distsnn.io.reader import StoreReader
from distsnn.io.run_lock import RunLock
from distsnn.network import Network
from distsnn.simulation.newest_checkpoint import open_shared_reader
from distsnn.simulation.resumed_partition import partition_for_resume

_Made = TypeVar("_Made")  # Simulation, or a class made of it


@dataclass(frozen=True)
class Job:
    """What goes with a simulation that `simulation_of` makes.

    Attributes
    ----------
    model : dict or None
        Where the network came from, for the run's metadata.
    start : str, PathLike, StoreReader or None
        A store with a checkpoint from which to resume, written by any number of ranks. If the run
        is recorded to the same store, it continues in a new attempt. A reader from
        `open_shared_reader` is used as it is: rank 0 must have had the lock when it was opened.
    lock : RunLock or None
        The lock on where the run is recorded, if rank 0 has it already; the simulation gives it
        back when it ends.
    """

    model: dict[str, Any] | None = None
    start: str | os.PathLike[str] | StoreReader | None = None
    lock: RunLock | None = None


def simulation_of(
    job: Job, network: Network, simulation_class: type[_Made], **settings: Any
) -> _Made:
    """Return a simulation that knows of a job. Collective.

    Parameters
    ----------
    job : Job
        Settings of the command line.
    network : Network
        The network.
    simulation_class : type
        `Simulation`, or a class made of it.
    **settings
        As in `Simulation`.

    Raises
    ------
    DescriptionError
        As `Simulation`, and if the job's `start` is of another network.
    StoreError
        As `Simulation`, and if `start` has no whole checkpoint.
    """
    simulation: Any = simulation_class.__new__(simulation_class)
    simulation._job = job
    simulation.__init__(network, **settings)
    return cast(_Made, simulation)


def restored(
    simulation_class: type[_Made],
    job: Job,
    *,
    network: Network | None = None,
    out: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> _Made:
    """Do what `Simulation.restore` does, from the `start` of a job. Collective."""
    assert job.start is not None
    settings["communicator"] = settings.get("communicator") or world()
    reader = open_shared_reader(job.start, settings["communicator"])
    if settings.get("partition") is None:
        settings["partition"] = partition_for_resume(reader, settings["communicator"].size)
    if network is None:
        network = Network.from_dict(*reader.network())
    seed = int(reader.metadata["seed"])
    return simulation_of(job, network, simulation_class, seed=seed, out=out, **settings)
