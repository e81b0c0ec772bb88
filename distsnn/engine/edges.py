"""Edges that are not drawn by a rule: given in arrays or files, or too large for their row set."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import zarr

from distsnn.errors import DescriptionError
from distsnn.network import Explicit, ExplicitFile, Projection, delay_steps
from distsnn.network.claims import EdgeSummary

# Edges read at a time: some 30 MB with weights and delays.
SLICE = 1 << 20

Ints = npt.NDArray[np.int64]
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
    one.rule.verify()
    first = 0
    for piece in _read(one.rule):
        _check(one, first, piece)
        yield first, piece
        first += piece[0].size


def summary(one: Projection) -> EdgeSummary:
    """Return what the fixed-point scales need to know of a file's edges (one pass)."""
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
    names = (rule.sources, rule.targets, rule.weights, rule.delays)
    kinds = (np.int64, np.int64, np.float64, np.float64)
    n = rule.n_edges
    path = Path(rule.path)
    if path.is_dir():
        group = zarr.open_group(str(path), mode="r")
        for first in range(0, n, SLICE):
            yield tuple(  # type: ignore[misc]
                None if name is None else np.asarray(group[name][first : first + SLICE], kind)  # type: ignore[index]
                for name, kind in zip(names, kinds, strict=True)
            )
        return
    with zipfile.ZipFile(path) as archive:
        streams = []
        for name in names:
            if name is None:
                streams.append(None)
                continue
            stream = archive.open(f"{name}.npy")
            version = np.lib.format.read_magic(stream)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            streams.append((stream, read(stream)[2]))
        for first in range(0, n, SLICE):
            m = min(SLICE, n - first)
            yield tuple(  # type: ignore[misc]
                None
                if stream is None
                else np.frombuffer(stream[0].read(m * stream[1].itemsize), stream[1]).astype(kind)
                for stream, kind in zip(streams, kinds, strict=True)
            )


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
    for name, reals in ((one.rule.weights, weights), (one.rule.delays, delays)):
        if reals is not None and not np.isfinite(reals).all():
            at = int(np.argmax(~np.isfinite(reals)))
            raise DescriptionError(
                "must be finite",
                where=f"{where}, array {name!r}[{first + at}]",
                value=float(reals[at]),
            )


def given_delays(one: Projection, dt: float, delays: npt.NDArray[np.float64]) -> Ints:
    """Return given delays (ms) in steps, checked to be on the grid and at least one step."""
    return delay_steps(delays, dt, where=f"projection {one.name!r}, delays").astype(np.int64)
