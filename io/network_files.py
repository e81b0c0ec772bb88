"""A network description as a folder: ``network.json`` and ``arrays.npz``, without pickle.

``network.json`` contains the digest of ``arrays.npz``, so that files of two networks, which an
interrupted save can leave, are not read as one network.
"""

import json
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from distsnn.errors import StoreError
from distsnn.io.attributes import decode, encode
from distsnn.io.checkpoint_files import checksum
from distsnn.io.durable_files import atomic_write
from distsnn.io.node_files import MAX_METADATA_BYTES, check_metadata_size
from distsnn.network import Network

_DESCRIPTION, _ARRAYS = "network.json", "arrays.npz"
# Bytes that the digest adds to the description.
_DIGEST_ROOM = 128
# Exceptions of json, zipfile and numpy for a corrupt file. NotImplementedError: an unknown kind of
# compression; RuntimeError: an encrypted member.
_UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, MemoryError),
)


def save_network(path: str | os.PathLike[str], network: Network) -> None:
    """Write a network description into a folder, which is created if it is missing.

    Parameters
    ----------
    path : str or PathLike
        The folder.
    network : Network
        The network.

    Raises
    ------
    StoreError
        If it cannot be written, or is larger than `load_network` accepts.
    """
    folder = Path(path)
    description, arrays = network.to_dict()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        encoded = encode(description, where="network")
        check_metadata_size(len(json.dumps(encoded)) + _DIGEST_ROOM, str(folder / _DESCRIPTION))
        # the prefix keeps names apart from numpy's keyword arguments
        with atomic_write(folder / _ARRAYS) as stream:
            np.savez(stream, allow_pickle=False, **_renamed(arrays))
        text = json.dumps({"network": encoded, "arrays": checksum(folder / _ARRAYS)}).encode()
        with atomic_write(folder / _DESCRIPTION) as stream:
            stream.write(text)
    except OSError as error:
        raise StoreError(f"cannot be written: {error}", path=str(folder)) from error


def _renamed(arrays: dict[str, Any]) -> dict[str, Any]:
    return {f"array:{name}": array for name, array in arrays.items()}


def load_network(path: str | os.PathLike[str]) -> Network:
    """Read the network that `save_network` wrote.

    Raises
    ------
    StoreError
        If the folder contains none or it cannot be read.
    DescriptionError
        If the description is not valid.
    """
    folder = Path(path)
    try:
        file = folder / _DESCRIPTION
        if file.stat().st_size > MAX_METADATA_BYTES:
            raise ValueError(f"{_DESCRIPTION} of {file.stat().st_size} bytes")
        match json.loads(file.read_text(encoding="utf-8")):
            case {"network": dict(encoded), "arrays": str(digest)}:
                description = decode(encoded)
            case _:
                raise ValueError(f"{_DESCRIPTION} has no network, or no digest of its arrays")
        arrays = _load_arrays(folder / _ARRAYS)
        if digest != checksum(folder / _ARRAYS):
            raise ValueError(f"{_ARRAYS} does not belong to {_DESCRIPTION}")
    except _UNREADABLE as error:
        raise StoreError(f"contains no network: {error}", path=str(folder)) from error
    return Network.from_dict(description, arrays)


def _load_arrays(path: Path) -> dict[str, Any]:
    arrays = {}
    # Opened here, because numpy does not close a file that is not an archive.
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            # Written without compression, so that no member is larger than the file.
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > path.stat().st_size:
                raise ValueError(f"{member.filename} declares {member.file_size} bytes")
            with archive.open(member) as content:
                arrays[_name(member.filename)] = _load_array(content, member)
    return arrays


def _load_array(content: IO[bytes], member: zipfile.ZipInfo) -> Any:
    version = np.lib.format.read_magic(content)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{member.filename} is of format {version}")
    header = np.lib.format.read_array_header_1_0
    shape, fortran, dtype = (header if version[0] == 1 else np.lib.format.read_array_header_2_0)(
        content
    )
    if dtype.hasobject:
        raise ValueError(f"{member.filename} contains Python objects")
    size = math.prod(shape) * dtype.itemsize
    if size != member.file_size - content.tell():
        raise ValueError(f"{member.filename} declares {size} bytes, but its size differs")
    array = np.frombuffer(content.read(), dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def _name(member: str) -> str:
    return member.removesuffix(".npy").removeprefix("array:")


def is_network(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder contains a network description."""
    return (Path(path) / _DESCRIPTION).is_file()
