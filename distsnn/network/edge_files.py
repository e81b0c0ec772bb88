"""Headers and fingerprints of edge files, without reading their arrays."""

import hashlib
import json
import math
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError, unknown_name_error

_MALFORMED = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
_MOST_METADATA = 2**24
# 32 times the recommended size, a million edges of 8 bytes.
_MOST_CHUNK = 2**28
_HEADER_BYTES = 18  # the longest of zstd and blosc
_MOST_OVERHEAD = 2**16
_CHECKSUM_BYTES = 4


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


@dataclass(frozen=True)
class ZarrLayout:
    """Storage of an array of a ``.zarr`` folder.

    Parameters
    ----------
    shape, chunks : tuple of int
        Lengths of the array and of its chunks.
    dtype : numpy.dtype
        Type of the elements.
    compressor : str
        Its compressor; empty if chunks are not compressed.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    compressor: str

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.chunks) or 0 in self.chunks:
            raise ValueError(f"chunks {self.chunks} of shape {self.shape}")

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk in memory."""
        return math.prod(self.chunks) * self.dtype.itemsize


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
    except (OSError, EOFError, ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
        raise DescriptionError(f"cannot be read: {error}", where=where) from error
    raise DescriptionError("not an edge file", where=where, allowed="a .npz file or .zarr folder")


def _npz_header(file: Path, name: str) -> ArrayHeader:
    with zipfile.ZipFile(file) as archive:
        members = {member.removesuffix(".npy") for member in archive.namelist()}
        if name not in members:
            raise unknown_name_error("array", name, members, where=f"file {file}")
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
    layout = zarr_layout(folder, name)
    return ArrayHeader(layout.shape, layout.dtype.kind)


def zarr_layout(folder: Path, name: str) -> ZarrLayout:
    """Return the layout of an array in a ``.zarr`` folder, of format 2 or 3.

    The metadata may be from anywhere: sizes have limits, and of codecs one compressor is allowed.

    Raises
    ------
    DescriptionError
        If the array is missing, malformed or encoded in another way.
    """
    for metadata_name, read in (("zarr.json", _layout_3), (".zarray", _layout_2)):
        file = folder / name / metadata_name
        if not file.is_file():
            continue
        where = f"file {folder}, array {name!r}"
        try:
            if file.stat().st_size > _MOST_METADATA:
                raise ValueError(f"{file.name} of {file.stat().st_size} bytes")
            metadata = json.loads(file.read_bytes())
            if "shape" not in metadata:  # a group
                continue
            layout = read(metadata)
        except _MALFORMED as error:
            raise DescriptionError(f"cannot be read: {error}", where=where) from error
        if layout.compressor and layout.compressor not in _COMPRESSORS:
            raise DescriptionError(
                "the chunks cannot be decoded",
                where=where,
                value=layout.compressor,
                allowed="no compression, zstd or blosc; no shards",
            )
        if layout.chunk_bytes > _MOST_CHUNK:
            raise DescriptionError(
                "the chunks are too large",
                where=where,
                value=layout.chunks,
                allowed=f"at most {_MOST_CHUNK} bytes a chunk",
            )
        return layout
    arrays = {
        file.parent.relative_to(folder).as_posix()
        for metadata in ("zarr.json", ".zarray")
        for file in folder.rglob(metadata)
        if file.parent != folder
    }
    raise unknown_name_error("array", name, arrays, where=f"file {folder}")


def _layout_3(metadata: dict[str, Any]) -> ZarrLayout:
    grid, names = metadata["chunk_grid"], [codec["name"] for codec in metadata["codecs"]]
    if grid["name"] != "regular" or metadata.get("storage_transformers"):
        raise ValueError("chunks are not regular")
    if names[-1:] == ["crc32c"]:
        names.pop()
    if names[:1] == ["bytes"]:
        names = names[1:]
    chunks = _sizes(grid["configuration"]["chunk_shape"])
    dtype = _number_type(metadata["data_type"])
    return ZarrLayout(_sizes(metadata["shape"]), chunks, dtype, ", ".join(map(str, names)))


def _layout_2(metadata: dict[str, Any]) -> ZarrLayout:
    compressor, filters = metadata.get("compressor"), metadata.get("filters")
    names = [codec["id"] for codec in filters or ()]
    names += [] if compressor is None else [compressor["id"]]
    chunks, dtype = _sizes(metadata["chunks"]), _number_type(metadata["dtype"])
    return ZarrLayout(_sizes(metadata["shape"]), chunks, dtype, ", ".join(map(str, names)))


def _number_type(name: Any) -> np.dtype[Any]:
    # of a list numpy makes a record
    if not isinstance(name, str):
        raise TypeError(f"dtype {str(name)[:40]}")
    return np.dtype(name)


def _sizes(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(n) is int and 0 <= n < 2**62 for n in value):
        raise ValueError(f"shape or chunks {str(value)[:40]}")
    return tuple(value)


def check_chunk(path: Path, layout: ZarrLayout) -> None:
    """Check that a chunk's file cannot become larger than a chunk when it is decompressed.

    Raises
    ------
    ValueError
        If its header declares another size, or it is longer than a chunk can be.
    """
    with path.open("rb") as stream:
        held, head = os.fstat(stream.fileno()).st_size, stream.read(_HEADER_BYTES)
    expected = layout.chunk_bytes
    if layout.compressor:
        good = _COMPRESSORS[layout.compressor](head) == expected
        good = good and held <= expected + _MOST_OVERHEAD
    else:
        good = held - expected in (0, _CHECKSUM_BYTES)
    if not good:
        raise ValueError(f"{path} does not hold a chunk of {expected} bytes")


def _blosc_size(head: bytes) -> int:
    return int.from_bytes(head[4:8], "little")


def _zstd_size(head: bytes) -> int:
    """Return the content size that a frame declares (RFC 8878); -1 if none."""
    if head[:4] != b"\x28\xb5\x2f\xfd" or len(head) < 6:
        return -1
    flags = head[4]
    single, width = flags >> 5 & 1, (0, 2, 4, 8)[flags >> 6]
    width = width or single
    begin = 5 + (0 if single else 1) + (0, 1, 2, 4)[flags & 3]
    field = head[begin : begin + width]
    if not width or len(field) < width:
        return -1
    return int.from_bytes(field, "little") + (256 if width == 2 else 0)


# The size from a chunk's header, by compressor.
_COMPRESSORS = {"zstd": _zstd_size, "blosc": _blosc_size}


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
