"""Checks of a store's files before zarr reads them: limits of sizes, and the encoding of chunks.

A store may come from an untrusted source. Its metadata may declare any size and any codec, such as
gzip inside gzip. Declared sizes are compared with files and limits before memory is allocated.
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
# Larger than the metadata of any run: a description of 100,000 projections has a tenth of it.
MAX_METADATA_BYTES = 2**26
# The largest chunk of writers: digests of 2**20 blocks.
MAX_CHUNK_BYTES = 2**25
# zstd, in the blocks of Blosc, compresses zeros by a factor of at most 4400 (measured).
_MAX_COMPRESSION = 2**13
_BLOSC_HEADER = struct.Struct("<4BIII")
_CHECKSUM_BYTES = 4
_MAX_SIZE = 2**62
MISSING_CHUNK = "corrupt: a chunk is missing"
_KINDS = ("group", "array")


@dataclass(frozen=True)
class ArrayLayout:
    """Type, shape and chunks of an array, from checked metadata.

    Attributes
    ----------
    folder : Path
        The array's folder.
    dtype : str
        numpy's name of the type.
    shape, chunks : tuple of int
        Lengths of the array and of its chunks.
    dims : tuple of (str or None)
        Names of the dimensions; may be empty.
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

    def chunk_indices(self, start: int, stop: int) -> Iterator[tuple[int, ...]]:
        """Iterate over the chunks of rows [start, stop): their indices along each axis."""
        axes = [range(-(-size // n)) for size, n in zip(self.shape, self.chunks, strict=True)]
        if axes and start < stop:
            axes[0] = range(start // self.chunks[0], -(-stop // self.chunks[0]))
        elif axes:
            axes[0] = range(0)
        return _all_indices(axes)

    def chunk_file(self, index: tuple[int, ...]) -> Path:
        """Return the file of a chunk."""
        return self.folder.joinpath("c", *map(str, index))

    def gap(self, rows: int) -> "Gap | None":
        """Return the first chunk of the first `rows` rows that is missing, or None."""
        present = set[str]()
        if (
            rows and len(self.shape) == 1
        ):  # one system call for the folder instead of one for each file
            with suppress(OSError), os.scandir(self.folder / "c") as entries:
                present |= {entry.name for entry in entries}
        # a listing may lack a file that was just renamed, or be outdated on a file server
        gone = (
            index
            for index in self.chunk_indices(0, rows)
            if "/".join(map(str, index)) not in present and not self.chunk_file(index).exists()
        )
        index = next(gone, None)
        if index is None:
            return None
        error = StoreError(MISSING_CHUNK, path=str(self.chunk_file(index)))
        return Gap(index[0] * self.chunks[0] if index else 0, error)

    def check_chunks(self, rows: int) -> None:
        """Check sizes and headers of the chunks of the first `rows` rows, as `check_chunk`."""
        for index in self.chunk_indices(0, rows):
            check_chunk(self.chunk_file(index), self.chunk_bytes)


@dataclass(frozen=True)
class Gap:
    """A missing chunk: its first row, and the error to raise."""

    row: int
    error: StoreError


def read_metadata(folder: Path) -> dict[str, Any] | None:
    """Return the metadata of the node in a folder, or None if it does not exist.

    Raises
    ------
    StoreError
        If it is not a file, too large, or not the metadata of a Zarr v3 group or array.
    """
    path = folder / METADATA
    try:
        held = path.stat()
        if not stat.S_ISREG(held.st_mode):  # reading a pipe, for example, would never end
            raise ValueError("is not a file")
        if held.st_size > MAX_METADATA_BYTES:
            raise ValueError(f"{held.st_size} bytes, at most {MAX_METADATA_BYTES} are read")
        with path.open("rb") as stream:
            # a running job may have replaced the file by a longer one since
            size = os.fstat(stream.fileno()).st_size
            content = stream.read(min(size, MAX_METADATA_BYTES))
        metadata = json.loads(content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", path=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"corrupt: {error}", path=str(path)) from error
    if not isinstance(metadata, dict) or metadata.get("zarr_format") != 3:
        raise StoreError("corrupt: not the metadata of Zarr v3", path=str(path))
    if metadata.get("node_type") not in _KINDS or not isinstance(
        metadata.get("attributes", {}), dict
    ):
        raise StoreError("corrupt: neither a group nor an array", path=str(path))
    return metadata


def check_metadata_size(size: int, path: str) -> None:
    """Raise StoreError if a file of metadata would be larger than the limit of readers."""
    if size > MAX_METADATA_BYTES:
        raise StoreError(
            f"metadata of {size:,} bytes cannot be written; allowed: at most "
            f"{MAX_METADATA_BYTES:,} bytes, the limit of readers",
            path=path,
        )


def array_layout(metadata: dict[str, Any], folder: Path) -> ArrayLayout:
    """Return the layout of an array from the result of `read_metadata`.

    Raises
    ------
    StoreError
        If sizes are impossible.
    """
    path = str(folder)
    shape = _sizes(metadata.get("shape"), min_size=0)
    grid = _configuration(metadata.get("chunk_grid"), "regular")
    chunks = _sizes(grid.get("chunk_shape"), min_size=1)
    if shape is None or chunks is None or len(shape) != len(chunks):
        raise StoreError("corrupt: shape or chunks are impossible", path=path)
    dtype = metadata.get("data_type")
    if dtype not in NUMBERS:
        raise StoreError(f"dtype {str(dtype)[:40]}, must be a type of numbers", path=path)
    names = metadata.get("dimension_names") or ()
    if not isinstance(names, list | tuple) or not all(isinstance(n, str | None) for n in names):
        raise StoreError("corrupt: dimension names are not names", path=path)
    layout = ArrayLayout(folder, str(dtype), shape, chunks, tuple(names))
    if layout.chunk_bytes > MAX_CHUNK_BYTES:
        raise StoreError(f"corrupt: chunks of {chunks} elements", path=path)
    return layout


def check_encoding(metadata: dict[str, Any], folder: Path) -> None:
    """Raise StoreError unless an array's chunks have distsnn's encoding and names."""
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
            "the encoding of chunks differs from distsnn's (bytes, blosc with zstd, crc32c)",
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
    if nbytes > _MAX_COMPRESSION * held:
        raise StoreError(f"corrupt: {held} bytes cannot contain {nbytes}", path=str(path))
    declared, _, compressed = (0, 0, 0) if len(head) < 16 else _BLOSC_HEADER.unpack(head)[4:]
    if declared != nbytes or compressed + _CHECKSUM_BYTES != held:
        raise StoreError(f"corrupt: not a chunk of {nbytes} bytes", path=str(path))


def _configuration(part: Any, name: str) -> dict[str, Any]:
    """Return the configuration of a part of the metadata, which must have this name."""
    if not isinstance(part, dict) or part.get("name") != name:
        return {"separator": None}  # no check accepts it
    configuration = part.get("configuration", {})
    return configuration if isinstance(configuration, dict) else {"separator": None}


def _all_indices(axes: Sequence[range]) -> Iterator[tuple[int, ...]]:
    # itertools.product would convert the ranges to lists first
    if not axes:
        yield ()
        return
    for first in axes[0]:
        for others in _all_indices(axes[1:]):
            yield (first, *others)


def _sizes(value: Any, *, min_size: int) -> tuple[int, ...] | None:
    if not isinstance(value, list):
        return None
    good = all(type(size) is int and min_size <= size <= _MAX_SIZE for size in value)
    return tuple(value) if good else None
