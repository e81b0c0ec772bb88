"""A network's description as a folder: ``network.json`` and ``arrays.npz``. Nothing is pickled."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from distsnn.errors import StoreError
from distsnn.io.attributes import decode, encode
from distsnn.network import Network

_DESCRIPTION, _ARRAYS = "network.json", "arrays.npz"


def save_network(path: str | os.PathLike[str], network: Network) -> None:
    """Write a network's description into a folder, which is made if it is missing.

    Parameters
    ----------
    path : str or PathLike
        The folder.
    network : Network
        The network.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    folder = Path(path)
    description, arrays = network.to_dict()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(encode(description, where="network"))
        (folder / _DESCRIPTION).write_text(text, encoding="utf-8")
        # names hold slashes, which a zip member may, but numpy's keywords need care
        np.savez(folder / _ARRAYS, allow_pickle=False, **_renamed(arrays))
    except OSError as error:
        raise StoreError(f"cannot be written: {error}", path=str(folder)) from error


def _renamed(arrays: dict[str, Any]) -> dict[str, Any]:
    return {f"array:{name}": array for name, array in arrays.items()}


def load_network(path: str | os.PathLike[str]) -> Network:
    """Read the network that `save_network` wrote.

    Raises
    ------
    StoreError
        If there is none or it cannot be read.
    DescriptionError
        If the description is not valid.
    """
    folder = Path(path)
    try:
        description = decode(json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8")))
        with np.load(folder / _ARRAYS, allow_pickle=False) as stored:
            arrays = {name.removeprefix("array:"): stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise StoreError(f"holds no network: {error}", path=str(folder)) from error
    return Network.from_dict(description, arrays)


def is_network(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder holds a network's description."""
    return (Path(path) / _DESCRIPTION).is_file()
