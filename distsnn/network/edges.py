"""Explicit edges, from arrays or from a file that the engine reads by slices."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network.checks import IntArray, as_indices, check_indices, check_shape
from distsnn.network.edge_files import ArrayHeader, fingerprint, header
from distsnn.network.rules import ConnectionRule


@dataclass(frozen=True, eq=False)
class Explicit(ConnectionRule):
    """Edges given by arrays.

    Parameters
    ----------
    sources, targets : array_like of int, shape (n_edges,)
        Source and target of each edge: indices within the projection's `pre` and `post`.
    """

    sources: IntArray
    targets: IntArray

    def __post_init__(self) -> None:
        super().__post_init__()
        sources = as_indices(self.sources, where=self._place("sources"))
        targets = as_indices(self.targets, where=self._place("targets"))
        check_shape(
            targets, sources.shape, where=self._place("targets"), meaning="the shape of sources"
        )
        self._fill(sources=sources, targets=targets)

    def check(self, n_pre: int, n_post: int, is_recurrent: bool, *, where: str) -> None:
        """Check that indices lie within the two ends."""
        check_indices(self.sources, n_pre, where=f"{where}, field rule.sources")
        check_indices(self.targets, n_post, where=f"{where}, field rule.targets")

    def array_shape(self, n_pre: int, n_post: int) -> tuple[int, ...]:
        """Return (n_edges,)."""
        return self.sources.shape

    def expected_synapses(self, n_pre: int, n_post: int, is_recurrent: bool) -> float:
        """Return n_edges."""
        return float(self.sources.size)

    @cached_property
    def _max_indegree(self) -> int:
        return int(np.bincount(self.targets).max()) if self.targets.size else 0

    def max_indegree_bound(self, n_pre: int, n_post: int) -> int:
        """Return the largest indegree, counted."""
        return self._max_indegree


@dataclass(frozen=True, eq=False)
class ExplicitFile(ConnectionRule):
    """Edges in a file that is read by slices; nothing of it is held in the description.

    Parameters
    ----------
    path : str or Path
        A ``.npz`` file or a ``.zarr`` folder with one-dimensional arrays of equal length.
    sources, targets : str
        Names of the arrays of indices within the projection's `pre` and `post`.
    weights, delays : str, optional
        Names of arrays of weights and delays (ms), in place of the projection's own.
    size : int, optional
        Bytes of the file; filled in when the description is stored.
    sha256 : str, optional
        Hash of the file; filled in when the description is stored.

    Notes
    -----
    The values in the file are checked while it is read. Every rank reads a share of it, and sends
    the edges to the ranks that own their targets. Zarr arrays (with equal chunks of about a million
    edges) are read by chunks, each by one rank. A compressed ``.npz`` array can only be
    read from its beginning, so every rank decompresses it all: for small files. A missing
    Zarr chunk is an error unless the hash is known, because its content is unknown.
    Chunks may be compressed by zstd (as by default) or Blosc, and take at most 256 MiB:
    the memory that they need is known before it is allocated. Other codecs and shards are refused.
    """

    path: str
    sources: str = "sources"
    targets: str = "targets"
    weights: str | None = None
    delays: str | None = None
    size: int | None = field(default=None, compare=False)
    sha256: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.path, str | Path):
            raise DescriptionError("must be a path", where=self._place("path"), value=self.path)
        self._fill(path=str(Path(self.path).expanduser().absolute()))

    def headers(self) -> dict[str, ArrayHeader]:
        """Return shape and type of the arrays in use, by field: sources, targets, weights, delays.

        Raises
        ------
        DescriptionError
            If the file or one of the arrays is missing, or arrays do not fit together.
        """
        headers = {}
        for field_name in ("sources", "targets", "weights", "delays"):
            name = getattr(self, field_name)
            if name is None:
                continue
            place = f"file {self.path}, array {name!r}"
            headers[field_name] = header(self.path, name)
            shape, kind = headers[field_name].shape, headers[field_name].kind
            if len(shape) != 1 or shape != headers["sources"].shape:
                raise DescriptionError(
                    "array of the wrong shape",
                    where=place,
                    value=shape,
                    allowed=f"one-dimensional, {headers['sources'].shape}",
                )
            if kind not in ("iu" if field_name in ("sources", "targets") else "iuf"):
                raise DescriptionError(
                    "array of the wrong type",
                    where=place,
                    value=kind,
                    allowed="integers" if field_name in ("sources", "targets") else "numbers",
                )
        return headers

    @cached_property
    def n_edges(self) -> int:
        """Number of edges, from the file's header."""
        return self.headers()["sources"].shape[0]

    def check(self, n_pre: int, n_post: int, is_recurrent: bool, *, where: str) -> None:
        """Check that the file is there and its arrays fit together."""
        self.headers()

    def verify(self) -> None:
        """Check that the file is the one that was there when the description was stored.

        Raises
        ------
        DescriptionError
            If size or hash differ from the stored values, if any.
        """
        if self.sha256 is None:
            return
        size, sha256 = fingerprint(self.path)
        if (size, sha256) != (self.size, self.sha256):
            raise DescriptionError(
                "the file has changed since the network was stored",
                where=f"file {self.path}",
                value=f"{size} bytes, sha256 {sha256}",
                allowed=f"{self.size} bytes, sha256 {self.sha256}",
            )

    def stored(self) -> "ExplicitFile":
        """Return the rule with the file's size and hash."""
        if self.sha256 is not None:
            return self
        size, sha256 = fingerprint(self.path)
        names = (self.path, self.sources, self.targets, self.weights, self.delays)
        return ExplicitFile(*names, size=size, sha256=sha256)

    def expected_synapses(self, n_pre: int, n_post: int, is_recurrent: bool) -> float:
        """Return n_edges."""
        return float(self.n_edges)

    def max_indegree_bound(self, n_pre: int, n_post: int) -> int:
        """Return n_edges; the engine reads more from the file."""
        return self.n_edges
