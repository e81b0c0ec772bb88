"""A store of saved states alone, which a script names and no run records into."""

from pathlib import Path
from typing import Any

from distsnn.comm import Communicator
from distsnn.io.run_writer import create_state_store, note_scripted
from distsnn.network import Network
from distsnn.simulation.build import Built, Settings
from distsnn.simulation.checkpoint import check_store
from distsnn.simulation.recorder import metadata


def state_store(
    path: Path,
    network: Network,
    settings: Settings,
    built: Built,
    communicator: Communicator,
    *,
    model: dict[str, Any] | None,
    scripted: list[str],
) -> None:
    """Make a store that a state is to be saved into, or check the one that is there (on rank 0).

    Parameters
    ----------
    path : Path
        The store.
    network, settings, built, communicator, model
        As for a run's `metadata`.
    scripted : list of str
        What a script has set so far, which such a store tells as a run's does.

    Raises
    ------
    DescriptionError
        If what is there is of another network or seed, or of a run of its own.
    StoreError
        If it cannot be read or written.
    """
    if path.exists():
        check_store(path, network, settings.seed)
    else:
        about = metadata(network, settings, built, communicator, model)
        create_state_store(path, about, network.to_dict())
    if scripted:
        note_scripted(path, scripted)
