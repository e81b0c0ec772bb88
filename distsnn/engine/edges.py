"""Explicit edges, in arrays or in files, as records.

A file is read by slices, so that ranks may share the reading: who reads an edge need not own it.
`split_by_owner` sorts records by owner; what carries them there is not the engine's business.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from distsnn.engine.layout import LocalLayout
from distsnn.errors import DescriptionError
from distsnn.network import ConnectionFile, ConnectionList, Projection, delay_steps
from distsnn.network.checks import ANY, check_indices, check_range
from distsnn.network.edge_files import check_chunk, zarr_layout
from distsnn.network.magnitudes import GivenMagnitudes
from distsnn.network.scale_requirements import EdgeFileSummary

# Edges read at a time: at most 28 MB of records.
SLICE = 1 << 20

# What corrupt files make zipfile and zarr raise.
_UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, RuntimeError),
    *(MemoryError, zlib.error, zipfile.BadZipFile),
)

Ints = npt.NDArray[np.int64]
Records = npt.NDArray[np.void]
Reader = Callable[[int, int], npt.NDArray[Any]]


def edge_dtype(projection: Projection) -> np.dtype[np.void]:
    """Return the dtype of a projection's records.

    They hold ``source`` and ``target`` (within pre and post), ``weight`` and ``delay`` (steps)
    where these are given edge by edge, and else the edge's ``number``, by which they are drawn.
    """
    if isinstance(projection.rule, ConnectionFile):
        weights, delays = projection.rule.weights is not None, projection.rule.delays is not None
    else:
        weights = isinstance(projection.weight, np.ndarray)
        delays = isinstance(projection.delay, np.ndarray)
    fields = [("source", "u4"), ("target", "u4")]
    fields += [("weight", "f8")] if weights else []
    fields += [("delay", "i4")] if delays else []
    fields += [] if weights and delays else [("number", "i8")]
    return np.dtype(fields)


def array_records(projection: Projection, dt: float) -> Iterator[Records]:
    """Yield the edges that a projection gives in arrays, piece by piece."""
    assert isinstance(projection.rule, ConnectionList)
    for first in range(0, projection.rule.sources.size, SLICE):
        part = slice(first, first + SLICE)
        records = _numbered(projection, first, projection.rule.sources[part])
        records["target"] = projection.rule.targets[part]
        if isinstance(projection.weight, np.ndarray):
            records["weight"] = projection.weight[part]
        if isinstance(projection.delay, np.ndarray):
            records["delay"] = delay_steps(projection.delay[part], dt)
        yield records


def rows_per_chunk(projection: Projection) -> int:
    """Return how many edges of a projection's file are best read together: a Zarr chunk."""
    assert isinstance(projection.rule, ConnectionFile)
    path = Path(projection.rule.path)
    if not path.is_dir():
        return 1
    return zarr_layout(path, projection.rule.sources).chunks[0]


def file_records(
    projection: Projection, dt: float, slices: Iterable[tuple[int, int]]
) -> Iterator[Records]:
    """Yield some slices of a projection's edge file.

    Parameters
    ----------
    projection : Projection
        The projection.
    dt : float
        Step, ms.
    slices : iterable of (int, int)
        First edge and end of each slice, ascending: a compressed stream has no way back.

    Raises
    ------
    DescriptionError
        If the file cannot be read, or indices, weights or delays are not valid: it names the array
        and the edge's number.
    """
    rule = projection.rule
    assert isinstance(rule, ConnectionFile)
    with ExitStack() as stack:
        path = Path(rule.path)
        if path.is_dir():
            opened = partial(_zarr_reader, path, rule.sha256 is not None)
        else:
            opened = partial(_npz_reader, stack.enter_context(zipfile.ZipFile(path)), stack)
        names = (rule.sources, rule.targets, rule.weights, rule.delays)
        try:
            readers = [None if name is None else opened(name) for name in names]
        except DescriptionError:
            raise
        except _UNREADABLE as error:
            raise DescriptionError(f"cannot be read: {error}", where=f"file {path}") from error
        for first, last in slices:
            try:
                read = [None if reader is None else reader(first, last) for reader in readers]
            except _UNREADABLE as error:
                raise DescriptionError(
                    f"cannot be read: {error}", where=f"file {path}, edges {first} to {last - 1}"
                ) from error
            yield _checked(projection, dt, first, read)


def _checked(
    projection: Projection, dt: float, first: int, read: Sequence[npt.NDArray[Any] | None]
) -> Records:
    rule = projection.rule
    assert isinstance(rule, ConnectionFile)
    sources, targets, weights, delays = read
    assert sources is not None
    assert targets is not None
    where = f"projection {projection.name!r}, file {rule.path}, array "
    check_indices(sources, projection.pre.size, where=f"{where}{rule.sources!r}", first=first)
    check_indices(targets, projection.post.size, where=f"{where}{rule.targets!r}", first=first)
    records = _numbered(projection, first, sources)
    records["target"] = targets
    if weights is not None:
        records["weight"] = weights
        check_range(records["weight"], ANY, where=f"{where}{rule.weights!r}", first=first)
    if delays is not None:
        records["delay"] = delay_steps(
            delays.astype(np.float64), dt, where=f"{where}{rule.delays!r}", first=first
        )
    return records


def _numbered(projection: Projection, first: int, sources: npt.NDArray[Any]) -> Records:
    records = np.empty(sources.size, edge_dtype(projection))
    records["source"] = sources
    if "number" in records.dtype.fields:  # type: ignore[operator]
        records["number"] = np.arange(first, first + sources.size)
    return records


def _zarr_reader(folder: Path, is_known: bool, name: str) -> Reader:
    # Zarr reads a missing chunk as fill values: only a known hash detects this.
    layout = zarr_layout(folder, name)
    array = zarr.open_array(str(folder / name), mode="r")
    rows = layout.chunks[0]

    def read(first: int, last: int) -> npt.NDArray[Any]:
        for number in range(first // rows, -(-last // rows)):
            chunk = folder / name / array.metadata.encode_chunk_key((number,))
            if chunk.is_file():
                check_chunk(chunk, layout)
            elif not is_known:
                raise ValueError(
                    f"chunk {chunk} is missing; one that holds only fill values must be written "
                    "too (with zarr's write_empty_chunks)"
                )
        return np.asarray(array[first:last])

    return read


def _npz_reader(archive: zipfile.ZipFile, stack: ExitStack, name: str) -> Reader:
    # What lies between slices is decompressed and thrown away: a zip member has no index.
    stream = stack.enter_context(archive.open(f"{name}.npy"))
    version = np.lib.format.read_magic(stream)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    dtype = header(stream)[2]
    begin = stream.tell()

    def read(first: int, last: int) -> npt.NDArray[Any]:
        stream.seek(begin + first * dtype.itemsize)
        size = (last - first) * dtype.itemsize
        content = stream.read(size)
        if len(content) < size:
            raise EOFError(f"array {name!r} ends too early")
        return np.frombuffer(content, dtype)

    return read


def pop_all(pieces: list[Records]) -> Iterator[Records]:
    """Yield the pieces of a list, and remove each from the list."""
    pieces.reverse()
    while pieces:
        yield pieces.pop()


def split_by_owner(layout: LocalLayout, projection: Projection, records: Records) -> list[Records]:
    """Return the records for each rank, the owner of their targets, in the order given."""
    table, owner = layout.blocks, layout.assignment.owner
    population = layout.population_index(projection.post.population)
    first_block = np.searchsorted(table.population, population)
    block = projection.post.neurons_at(records["target"]) // table.block_size
    owners = owner[first_block + block]
    order = np.argsort(owners, kind="stable")
    ends = np.cumsum(np.bincount(owners, minlength=layout.assignment.ranks))
    return np.split(records[order], ends[:-1])


def summarise_edges(projection: Projection, pieces: Iterable[Records]) -> EdgeFileSummary:
    """Return what the fixed-point scales need to know of edges that include all onto a target."""
    degree = np.zeros(projection.post.size, np.int64)
    low, high, magnitudes = np.inf, -np.inf, []
    for piece in pieces:
        degree += np.bincount(piece["target"], minlength=degree.size)
        if "weight" in edge_dtype(projection).names and piece.size:  # type: ignore[operator]
            low = min(low, float(piece["weight"].min()))
            high = max(high, float(piece["weight"].max()))
            magnitudes.append(GivenMagnitudes.of(piece["weight"]))
    return EdgeFileSummary(
        int(degree.max(initial=0)), low, high, GivenMagnitudes.merged(magnitudes)
    )


def merge_summaries(summaries: Sequence[EdgeFileSummary]) -> EdgeFileSummary:
    """Return the summary of a whole file, from the summaries of all ranks; 0 without weights."""
    low = min(edge_summary.low for edge_summary in summaries)
    high = max(edge_summary.high for edge_summary in summaries)
    if low > high:
        low = high = 0.0
    magnitudes = GivenMagnitudes.merged(edge_summary.magnitudes for edge_summary in summaries)
    return EdgeFileSummary(
        max(edge_summary.max_indegree for edge_summary in summaries), low, high, magnitudes
    )
