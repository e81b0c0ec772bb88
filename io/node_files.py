"""Checks files of a store before zarr reads them: sizes have limits, chunks have one encoding.

A store is data from anywhere. Its metadata may declare any size and any codec, such as gzip inside
gzip. Here declared sizes are compared with files and limits before memory is allocated.
"""

import json
import math
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distsnn.errors import StoreError
from distsnn.io.schema import NUMBERS

METADATA = "zarr.json"
# Larger than the metadata of any run: a description of 100,000 projections takes a tenth.
MOST_METADATA = 2**26
# The largest chunk that is written: digests of 2**20 blocks.
MOST_CHUNK = 2**25
# zstd, in the blocks that Blosc cuts, compresses zeros at most 4400 times (measured).
_MOST_COMPRESSED = 2**13
_BLOSC_HEADER = struct.Struct("<4BIII")
_CHECKSUM_BYTES = 4
_MOST_SIZE = 2**62
MISSING_CHUNK = "damaged: a chunk is missing"
_KINDS = ("group", "array")


@dataclass(frozen=True)
class ArrayLayout:
    """Type, shape and chunks of an array, from metadata that has been checked.

    Attributes
    ----------
    folder : Path
        The array's folder.
    dtype : str
        numpy's name of the type.
    shape, chunks : tuple of int
        Lengths of the array and of its chunks.
    dims : tuple of (str or None)
        Names of the dimensions; empty if there are none.
    """

    folder: Path
    dtype: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dims: tuple[str | None, ...]

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk in memory."""
        return math.prod(self.chunks) * np.dtype(self.dtype).itemsize

    def places(self, start: int, stop: int) -> Iterator[tuple[int, ...]]:
        """Iterate over chunks that have rows of [start, stop): their numbers along each axis."""
        axes = [range(-(-size // n)) for size, n in zip(self.shape, self.chunks, strict=True)]
        if axes and start < stop:
            axes[0] = range(start // self.chunks[0], -(-stop // self.chunks[0]))
        elif axes:
            axes[0] = range(0)
        return _places(axes)

    def chunk_file(self, place: tuple[int, ...]) -> Path:
        """Return the file of a chunk."""
        return self.folder.joinpath("c", *map(str, place))

    def gap(self, rows: int) -> "Gap | None":
        """Return the first chunk of the first `rows` rows that is missing, or None."""
        present = set[str]()
        if rows and len(self.shape) == 1:  # one question about the folder, not one about each file
            with suppress(OSError), os.scandir(self.folder / "c") as entries:
                present |= {entry.name for entry in entries}
        # a listing may lack a file that was renamed meanwhile, or be an older one of a file server
        gone = (
            place
            for place in self.places(0, rows)
            if "/".join(map(str, place)) not in present and not self.chunk_file(place).exists()
        )
        place = next(gone, None)
        if place is None:
            return None
        error = StoreError(MISSING_CHUNK, path=str(self.chunk_file(place)))
        return Gap(place[0] * self.chunks[0] if place else 0, error)

    def check_chunks(self, rows: int) -> None:
        """Check sizes and headers of the chunks of the first `rows` rows, as `check_chunk`."""
        for place in self.places(0, rows):
            check_chunk(self.chunk_file(place), self.chunk_bytes)


@dataclass(frozen=True)
class Gap:
    """A chunk that is missing: its first row, and the error to raise."""

    row: int
    error: StoreError


def read_metadata(folder: Path) -> dict[str, Any] | None:
    """Return the metadata of the node in a folder, or None if there is none.

    Raises
    ------
    StoreError
        If it is not a file, too large, or not the metadata of a Zarr v3 group or array.
    """
    path = folder / METADATA
    try:
        held = path.stat()
        if not stat.S_ISREG(held.st_mode):  # reading a pipe, say, would never end
            raise ValueError("is not a file")
        if held.st_size > MOST_METADATA:
            raise ValueError(f"{held.st_size} bytes, at most {MOST_METADATA} are read")
        with path.open("rb") as stream:
            content = stream.read(held.st_size)
        found = json.loads(content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", path=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"damaged: {error}", path=str(path)) from error
    if not isinstance(found, dict) or found.get("zarr_format") != 3:
        raise StoreError("damaged: not the metadata of Zarr v3", path=str(path))
    if found.get("node_type") not in _KINDS or not isinstance(found.get("attributes", {}), dict):
        raise StoreError("damaged: neither a group nor an array", path=str(path))
    return found


def check_metadata_size(size: int, path: str) -> None:
    """Raise StoreError if a file of metadata would be larger than the limit of readers."""
    if size > MOST_METADATA:
        raise StoreError(
            f"metadata of {size:,} bytes cannot be written; allowed: at most {MOST_METADATA:,} "
            "bytes, the limit of readers",
            path=path,
        )


def array_layout(metadata: dict[str, Any], folder: Path) -> ArrayLayout:
    """Return the layout of an array that `read_metadata` found.

    Raises
    ------
    StoreError
        If sizes are impossible.
    """
    path = str(folder)
    shape = _sizes(metadata.get("shape"), least=0)
    grid = _configuration(metadata.get("chunk_grid"), "regular")
    chunks = _sizes(grid.get("chunk_shape"), least=1)
    if shape is None or chunks is None or len(shape) != len(chunks):
        raise StoreError("damaged: shape or chunks are impossible", path=path)
    dtype = metadata.get("data_type")
    if dtype not in NUMBERS:
        raise StoreError(f"dtype {str(dtype)[:40]}, must be a type of numbers", path=path)
    names = metadata.get("dimension_names") or ()
    if not isinstance(names, list | tuple) or not all(isinstance(n, str | None) for n in names):
        raise StoreError("damaged: dimension names are no names", path=path)
    layout = ArrayLayout(folder, str(dtype), shape, chunks, tuple(names))
    if layout.chunk_bytes > MOST_CHUNK:
        raise StoreError(f"damaged: chunks of {chunks} elements", path=path)
    return layout


def check_encoding(metadata: dict[str, Any], folder: Path) -> None:
    """Raise StoreError unless an array's chunks are encoded and named as distsnn does it."""
    codecs = metadata.get("codecs")
    codecs = codecs if isinstance(codecs, list) else []
    names = [codec.get("name") if isinstance(codec, dict) else None for codec in codecs]
    good = (
        names == ["bytes", "blosc", "crc32c"]
        and _configuration(codecs[0], "bytes").get("endian", "little") == "little"
        and _configuration(codecs[1], "blosc").get("cname") == "zstd"
        and not metadata.get("storage_transformers")
    )
    keys = _configuration(metadata.get("chunk_key_encoding"), "default")
    if not good or keys.get("separator", "/") != "/":
        raise StoreError(
            "chunks are not encoded as distsnn encodes them (bytes, blosc with zstd, crc32c)",
            path=str(folder),
        )


def check_chunk(path: Path, nbytes: int) -> None:
    """Check the size and the header of a chunk's file, before it is decompressed.

    Parameters
    ----------
    path : Path
        The file.
    nbytes : int
        Bytes of the chunk in memory.

    Raises
    ------
    StoreError
        If it is missing, or cannot decompress to this many bytes.
    """
    try:
        if not path.is_file():
            raise StoreError(MISSING_CHUNK, path=str(path))
        with path.open("rb") as stream:
            held, head = os.fstat(stream.fileno()).st_size, stream.read(_BLOSC_HEADER.size)
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", path=str(path)) from error
    if nbytes > _MOST_COMPRESSED * held:
        raise StoreError(f"damaged: {held} bytes cannot hold {nbytes}", path=str(path))
    declared, _, compressed = (0, 0, 0) if len(head) < 16 else _BLOSC_HEADER.unpack(head)[4:]
    if declared != nbytes or compressed + _CHECKSUM_BYTES != held:
        raise StoreError(f"damaged: not a chunk of {nbytes} bytes", path=str(path))


def _configuration(part: Any, name: str) -> dict[str, Any]:
    """Return the configuration of a part of the metadata, where this name must be."""
    if not isinstance(part, dict) or part.get("name") != name:
        return {"separator": None}  # which no check accepts
    found = part.get("configuration", {})
    return found if isinstance(found, dict) else {"separator": None}


def _places(axes: Sequence[range]) -> Iterator[tuple[int, ...]]:
    # itertools.product would make lists of the ranges first
    if not axes:
        yield ()
        return
    for first in axes[0]:
        for rest in _places(axes[1:]):
            yield (first, *rest)


def _sizes(value: Any, *, least: int) -> tuple[int, ...] | None:
    if not isinstance(value, list):
        return None
    good = all(type(size) is int and least <= size <= _MOST_SIZE for size in value)
    return tuple(value) if good else None
