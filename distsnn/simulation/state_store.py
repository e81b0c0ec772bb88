"""A store of saved states alone, which a script names and no run records into."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distsnn.comm import Communicator
from distsnn.io.run_lock import RunLock
from distsnn.io.run_writer import create_state_store, write_script_changes
from distsnn.network import Network
from distsnn.simulation.build import BuildResult, SimulationSettings
from distsnn.simulation.checkpoint import check_checkpoint_store
from distsnn.simulation.recorder import metadata

# How long another process may take to save, s.
_PATIENCE_S = 60.0


@contextmanager
def state_store(
    path: Path,
    network: Network,
    settings: SimulationSettings,
    built: BuildResult,
    communicator: Communicator,
    *,
    model: dict[str, Any] | None,
    scripted: list[str],
) -> Iterator[None]:
    """Make a store that a state is to be saved into, or check the one that is there (on rank 0).

    It is locked within the context: processes that save into one store do so in turn.

    Parameters
    ----------
    path : Path
        The store.
    network, settings, built, communicator, model
        As for a run's `metadata`.
    scripted : list of str
        Names that a script has set so far, stored as in a run.

    Raises
    ------
    DescriptionError
        If the store belongs to another network or seed, or to a run.
    StoreError
        If it cannot be read or written, or another process writes to it all the time.
    """
    if path.exists():  # what cannot be right is refused at once
        check_checkpoint_store(path, network, settings.seed)
    lock = RunLock(path, _PATIENCE_S)
    try:
        if path.exists():
            check_checkpoint_store(path, network, settings.seed)
        else:
            attributes = metadata(network, settings, built, communicator, model)
            create_state_store(path, attributes, network.to_dict())
        if scripted:
            write_script_changes(path, scripted)
        yield
    finally:
        lock.release()
