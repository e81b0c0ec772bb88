"""Files of checkpoints: names of generations, checksums, and writing that survives a power cut."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from distsnn.errors import StoreError
from distsnn.io.durable_files import sync_path
from distsnn.io.node_files import METADATA
from distsnn.io.zarr_nodes import store_errors

CHECKPOINT = "checkpoint"
# Neurons or spikes per chunk: few files, and a restore may skip chunks.
CHUNK = 2**20
_NAME = re.compile(r"generation(\d{6,})")


def generation_name(number: int) -> str:
    """Return a generation's folder, such as ``generation000003``."""
    return f"generation{number:06d}"


def generations(store: Path) -> list[int]:
    """Return the numbers of the complete generations in a store, the newest first."""
    folder = store / CHECKPOINT
    with store_errors(folder, "cannot be read"):
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    matches = [_NAME.fullmatch(name) for name in names]
    return sorted((int(match[1]) for match in matches if match), reverse=True)


def files_below(folder: Path) -> Iterable[Path]:
    """Yield all files below a folder except its own zarr.json, in a fixed order."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / METADATA:
            yield path


def checksum(path: Path) -> str:
    """Return a file's SHA-256, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checksums(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of the contents of files."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write new files and sync them to the disk.

    Parameters
    ----------
    folder : Path
        Created with its subfolders if necessary.
    files : mapping of str to bytes
        Contents by path below the folder.
    """
    paths = [folder / name for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        with store_errors(path, "cannot be written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    sync_files(folder, paths)


def verify(folder: Path, expected: Mapping[str, Any]) -> None:
    """Check files below a folder against their checksums.

    Raises
    ------
    StoreError
        If a file is missing, has changed, or is outside the folder.
    """
    for name, expected_checksum in expected.items():
        path = folder / name
        # a file may contain any text as names
        with store_errors(path, "corrupt"):
            inside = path.resolve().is_relative_to(folder.resolve())
            actual = checksum(path) if inside and path.is_file() else None
        if not inside:
            raise StoreError("corrupt: a path leaves the checkpoint", path=str(path))
        if actual is None:
            raise StoreError("corrupt: a file is missing", path=str(path))
        if actual != expected_checksum:
            raise StoreError("corrupt: the checksum differs", path=str(path))


def attributes_checksum(attributes: Mapping[str, Any]) -> str:
    """Return the SHA-256 of attributes (without ``seal`` itself) as sorted JSON."""
    others = {name: value for name, value in attributes.items() if name != "attributes_sha256"}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def sync(folder: Path) -> None:
    """Sync all files and folders below a folder to the disk (fsync)."""
    sync_files(folder, folder.rglob("*"))


def sync_files(folder: Path, paths: Iterable[Path]) -> None:
    """Sync paths below a folder, and their parent folders, to the disk."""
    to_sync = {folder}
    with store_errors(folder, "cannot be written to the disk"):
        for path in paths:
            while path not in to_sync:
                to_sync.add(path)
                path = path.parent
        for path in to_sync:
            sync_path(path)
