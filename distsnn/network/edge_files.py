"""Headers and fingerprints of edge files, without reading their arrays."""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distsnn.errors import DescriptionError, unknown


@dataclass(frozen=True)
class ArrayHeader:
    """Shape and kind of an array in a file.

    Parameters
    ----------
    shape : tuple of int
        Shape.
    kind : str
        numpy's letter: "i", "u", "f", ...
    """

    shape: tuple[int, ...]
    kind: str


def header(path: str, name: str) -> ArrayHeader:
    """Return the header of an array in a ``.npz`` file or a ``.zarr`` folder.

    Raises
    ------
    DescriptionError
        If the file is missing or unreadable, or has no such array.
    """
    where, file = f"file {path}", Path(path)
    if not file.exists():
        raise DescriptionError("no such file", where=where)
    try:
        if file.is_dir():
            return _zarr_header(file, name)
        if zipfile.is_zipfile(file):
            return _npz_header(file, name)
    except DescriptionError:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DescriptionError(f"cannot be read: {error}", where=where) from error
    raise DescriptionError("not an edge file", where=where, allowed="a .npz file or .zarr folder")


def _npz_header(file: Path, name: str) -> ArrayHeader:
    with zipfile.ZipFile(file) as archive:
        members = {member.removesuffix(".npy") for member in archive.namelist()}
        if name not in members:
            raise unknown("array", name, members, where=f"file {file}")
        with archive.open(f"{name}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read(stream)
    return ArrayHeader(tuple(shape), dtype.kind)


def _zarr_header(folder: Path, name: str) -> ArrayHeader:
    for metadata in ("zarr.json", ".zarray"):
        file = folder / name / metadata
        if file.is_file():
            found = json.loads(file.read_text())
            if "shape" in found:
                dtype = np.dtype(found.get("data_type", found.get("dtype")))
                return ArrayHeader(tuple(found["shape"]), dtype.kind)
    arrays = {
        file.parent.relative_to(folder).as_posix()
        for metadata in ("zarr.json", ".zarray")
        for file in folder.rglob(metadata)
        if file.parent != folder
    }
    raise unknown("array", name, arrays, where=f"file {folder}")


def fingerprint(path: str) -> tuple[int, str]:
    """Return size in bytes and sha256 of a file, or of all files of a folder with their names."""
    root = Path(path)
    if root.is_file():
        with root.open("rb") as stream:
            return root.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()
    digest, size = hashlib.sha256(), 0
    for file in sorted(file for file in root.rglob("*") if file.is_file()):
        name = file.relative_to(root).as_posix()
        digest.update(f"{len(name)}:{name}".encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
        size += file.stat().st_size
    return size, digest.hexdigest()
