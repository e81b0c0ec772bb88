"""Edges that are not drawn by a rule: given in arrays or files, or too large for their row set."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from distsnn.errors import DescriptionError
from distsnn.network import Explicit, ExplicitFile, Projection, delay_steps
from distsnn.network.claims import EdgeSummary

# Edges read at a time: some 30 MB with weights and delays.
SLICE = 1 << 20

Ints = npt.NDArray[np.int64]
Reader = Callable[[int, int], npt.NDArray[Any]]
Edges = tuple[Ints, Ints, npt.NDArray[np.float64] | None, npt.NDArray[np.float64] | None]


def slices(one: Projection) -> Iterator[tuple[int, Edges]]:
    """Yield a projection's given edges piece by piece.

    Yields
    ------
    first : int
        Number of the piece's first edge.
    edges : tuple
        Sources and targets (within pre and post), weights and delays (ms) or None where the
        projection's own hold.

    Raises
    ------
    DescriptionError
        If a file's indices, weights or delays are not valid.
    """
    if isinstance(one.rule, Explicit):
        n = one.rule.sources.size
        for first in range(0, n, SLICE):
            part = slice(first, first + SLICE)
            weight = one.weight[part] if isinstance(one.weight, np.ndarray) else None
            delay = one.delay[part] if isinstance(one.delay, np.ndarray) else None
            yield (
                first,
                (
                    one.rule.sources[part].astype(np.int64),
                    one.rule.targets[part].astype(np.int64),
                    weight,
                    delay,
                ),
            )
        return
    assert isinstance(one.rule, ExplicitFile)
    first = 0
    for piece in _read(one.rule):
        _check(one, first, piece)
        yield first, piece
        first += piece[0].size


def summary(one: Projection) -> EdgeSummary:
    """Return what the fixed-point scales need to know of a file's edges (one pass).

    It comes before any other reading, so it is here that the file is checked to be the stored one.
    """
    assert isinstance(one.rule, ExplicitFile)
    one.rule.verify()
    degree = np.zeros(one.post.size, np.int64)
    low, high = np.inf, -np.inf
    for _, (_, targets, weights, _) in slices(one):
        degree += np.bincount(targets, minlength=degree.size)
        if weights is not None and weights.size:
            low, high = min(low, float(weights.min())), max(high, float(weights.max()))
    if low > high:
        low = high = 0.0
    return EdgeSummary(int(degree.max(initial=0)), low, high)


def _read(rule: ExplicitFile) -> Iterator[Edges]:
    path = Path(rule.path)
    with ExitStack() as stack:
        if path.is_dir():
            opened = partial(_zarr_reader, path)
        else:
            opened = partial(_npz_reader, stack.enter_context(zipfile.ZipFile(path)), stack)
        sources, targets = opened(rule.sources), opened(rule.targets)
        weights = None if rule.weights is None else opened(rule.weights)
        delays = None if rule.delays is None else opened(rule.delays)
        for first in range(0, rule.n_edges, SLICE):
            last = min(first + SLICE, rule.n_edges)
            yield (
                sources(first, last).astype(np.int64),
                targets(first, last).astype(np.int64),
                None if weights is None else weights(first, last).astype(np.float64),
                None if delays is None else delays(first, last).astype(np.float64),
            )


def _zarr_reader(folder: Path, name: str) -> Reader:
    array = zarr.open_array(str(folder / name), mode="r")
    return lambda first, last: np.asarray(array[first:last])


def _npz_reader(archive: zipfile.ZipFile, stack: ExitStack, name: str) -> Reader:
    # the array is compressed: read from its beginning, piece after piece
    stream = stack.enter_context(archive.open(f"{name}.npy"))
    version = np.lib.format.read_magic(stream)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    dtype = header(stream)[2]
    return lambda first, last: np.frombuffer(stream.read((last - first) * dtype.itemsize), dtype)


def _check(one: Projection, first: int, edges: Edges) -> None:
    assert isinstance(one.rule, ExplicitFile)
    sources, targets, weights, delays = edges
    where = f"projection {one.name!r}, file {one.rule.path}"
    for name, values, size in (
        (one.rule.sources, sources, one.pre.size),
        (one.rule.targets, targets, one.post.size),
    ):
        bad = (values < 0) | (values >= size)
        if bad.any():
            at = int(np.argmax(bad))
            raise DescriptionError(
                "index out of range",
                where=f"{where}, array {name!r}[{first + at}]",
                value=int(values[at]),
                allowed=f"0 to {size - 1}",
            )
    for array, reals in ((one.rule.weights, weights), (one.rule.delays, delays)):
        if reals is not None and not np.isfinite(reals).all():
            at = int(np.argmax(~np.isfinite(reals)))
            raise DescriptionError(
                "must be finite",
                where=f"{where}, array {array!r}[{first + at}]",
                value=float(reals[at]),
            )


def given_delays(one: Projection, dt: float, delays: npt.NDArray[np.float64], first: int) -> Ints:
    """Return given delays (ms) of a piece in steps, on the grid and at least one step.

    Raises
    ------
    DescriptionError
        If one is not; it counts from edge `first`.
    """
    where = f"projection {one.name!r}, delays of the edges from {first} on"
    return delay_steps(delays, dt, where=where).astype(np.int64)
