"""Reads a checkpoint's generation: verified first, then by the blocks that a rank needs."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr
from numpy.typing import NDArray

from distsnn.errors import DescriptionError, StoreError
from distsnn.io.checkpoint_files import (
    CHECKPOINT,
    files_below,
    generation_name,
    generations,
    seal,
    verify,
)
from distsnn.io.metadata_checks import check_generation, check_segments
from distsnn.io.node_files import METADATA
from distsnn.io.nodes import (
    check_claim,
    location,
    open_array,
    open_group,
    open_root,
    read_attributes,
    store_errors,
    stored_attributes,
)
from distsnn.io.reader import StoreReader
from distsnn.io.schema import CHECKPOINT_FORMAT, CHECKPOINT_VERSION


@dataclass(frozen=True, eq=False)
class Generation:
    """A complete generation whose attributes and index are whole.

    Attributes
    ----------
    store : Path
        The run's store.
    number : int
        Its number.
    about : dict
        Its attributes, as in the schema.
    """

    store: Path
    number: int
    about: dict[str, Any]
    _root: zarr.Group
    _segments: dict[int, dict[tuple[str, str], Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, store: Path, number: int) -> Self:
        """Open a generation.

        Raises
        ------
        StoreError
            If it is damaged.
        DescriptionError
            If it was written in another version's format.
        """
        root = open_root(store)
        path = f"{CHECKPOINT}/{generation_name(number)}"
        group = open_group(root, path)
        if group is None:
            raise StoreError("there is no such generation", path=f"{store}/{path}")
        raw = group.attrs.asdict()
        version = raw.get("format_version")
        if raw.get("format") != CHECKPOINT_FORMAT or not isinstance(version, int):
            raise StoreError("damaged: no checkpoint", path=location(group))
        with store_errors(location(group), "damaged"):
            whole = raw.get("seal") == seal(raw)
        if not whole:
            raise StoreError("damaged: attributes are not those written", path=location(group))
        if version != CHECKPOINT_VERSION:
            raise DescriptionError(
                f"a checkpoint of format version {version}",
                where=location(group),
                allowed=f"version {CHECKPOINT_VERSION}, which this distsnn reads",
            )
        about = read_attributes(group)
        check_generation(about, path=location(group))
        return cls(store, number, about, root)

    @property
    def _path(self) -> str:
        return f"{CHECKPOINT}/{generation_name(self.number)}"

    @property
    def folder(self) -> Path:
        """Its folder."""
        return self.store / self._path

    @property
    def ranks(self) -> int:
        """Number of ranks that wrote it."""
        return int(self.about["ranks"])

    def check_files(self) -> None:
        """Check that all files are there, without reading them (StoreError if one is missing)."""
        known = [self.folder / name for name in self.about.get("files", {})]
        for rank in range(self.ranks):
            folder = self.folder / f"rank{rank:04d}"
            known += [folder / name for name in self._rank(rank)["files"]]
        for path in known:
            if not path.is_file():
                raise StoreError("damaged: a file is missing", path=str(path))

    def verify_index(self) -> None:
        """Check the index against its checksums (StoreError if it is damaged)."""
        verify(
            self.folder,
            {
                name: known
                for name, known in self.about.get("files", {}).items()
                if name[:4] != "rank"
            },
        )

    def verify_rank(self, rank: int) -> None:
        """Check all that one rank wrote against its checksums (StoreError if it is damaged)."""
        name = f"rank{rank:04d}/{METADATA}"
        verify(self.folder, {name: self.about.get("files", {}).get(name)})
        folder = self.folder / f"rank{rank:04d}"
        known = self._rank(rank)["files"]
        verify(folder, known)
        with store_errors(folder, "cannot be read"):
            names = {path.relative_to(folder).as_posix() for path in files_below(folder)}
        more = names - set(known)
        if more:
            raise StoreError(f"damaged: {sorted(more)[0]} was not written by us", path=str(folder))

    def blocks(self, most: int) -> dict[str, NDArray[Any]]:
        """Return the index of so many blocks at most: rank, digest and wiring."""
        names = ("rank", "digest", "wiring")
        return {name: self._read_all(f"blocks/{name}", most) for name in names}

    def spikes(self, rank: int, most: int) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
        """Return the spikes in flight of one rank's neurons, of which there can be so many."""
        path = f"rank{rank:04d}/spikes"
        step, gid = self._read_all(f"{path}/step", most), self._read_all(f"{path}/gid", most)
        if step.shape != gid.shape:
            raise StoreError("damaged: steps and neurons differ", path=f"{self.folder}/{path}")
        return step, gid

    def states(
        self,
        population: str,
        variable: str,
        ranks: NDArray[np.int32],
        offsets: NDArray[np.int64],
        sizes: Sequence[int],
    ) -> NDArray[Any]:
        """Return one state of some blocks of a population, block after block.

        Parameters
        ----------
        population, variable : str
            Which state.
        ranks : ndarray of int32, shape (n_blocks,)
            The ranks that wrote the blocks, from the index.
        offsets : ndarray of int64, shape (n_blocks,)
            How many values of other blocks these ranks wrote before.
        sizes : sequence of int
            How many values the blocks have.
        """
        parts: list[NDArray[Any]] = [np.empty(0)] * len(sizes)
        for rank in np.unique(ranks).tolist():
            mine = np.flatnonzero(ranks == rank).tolist()
            low = int(offsets[mine].min())
            high = max(int(offsets[i]) + sizes[i] for i in mine)
            found = self._segment(rank, population, variable, low, high)
            for i in mine:
                parts[i] = found[int(offsets[i]) - low : int(offsets[i]) - low + sizes[i]]
        return np.concatenate(parts)

    def _rank(self, rank: int) -> dict[str, Any]:
        """Return the attributes of a rank's group."""
        path = f"{self._path}/rank{rank:04d}"
        attributes, where = stored_attributes(self._root, path), location(self._root, path)
        if attributes is None:
            raise StoreError("damaged: a rank's group is missing", path=where)
        check_segments(attributes, path=where)
        return attributes

    def _segment(
        self, rank: int, population: str, variable: str, low: int, high: int
    ) -> NDArray[Any]:
        """Return a range of what a rank saved of a state."""
        if rank not in self._segments:
            self._segments[rank] = {
                (one["population"], one["variable"]): one for one in self._rank(rank)["segments"]
            }
        segment = self._segments[rank].get((population, variable))
        if segment is None or high > segment["size"]:
            raise StoreError(
                f"damaged: state {variable!r} of {population!r} is not whole",
                path=f"{self.folder}/rank{rank:04d}",
            )
        first = segment["first"]
        path = f"rank{rank:04d}/state/{segment['dtype']}"
        return self._read(path, first + low, first + high)

    def _read_all(self, path: str, most: int | None = None) -> NDArray[Any]:
        array = open_array(self._root, f"{self._path}/{path}")
        if most is not None and array.shape[0] > most:
            raise StoreError(
                f"damaged: {array.shape[0]} values, {most} at most", path=location(array)
            )
        return self._read(path, 0, array.shape[0])

    def _read(self, path: str, low: int, high: int) -> NDArray[Any]:
        array = open_array(self._root, f"{self._path}/{path}")
        if high > array.shape[0]:
            raise StoreError(
                f"damaged: {array.shape[0]} values, {high} expected", path=location(array)
            )
        check_claim(array, low, high)
        with store_errors(location(array), "cannot be read"):
            return np.asarray(array[low:high])


def missing_checkpoints(reader: StoreReader) -> list[str]:
    """Return what is missing of a run's checkpoints, each with its path; files are not read."""
    lost = lost_generation(reader)
    found = [] if lost is None else [str(lost)]
    for number in generations(reader.path):
        try:
            Generation.open(reader.path, number).check_files()
        except (StoreError, DescriptionError) as error:
            if number in generations(reader.path):  # a running run removes older checkpoints
                found.append(str(error))
    return found


def lost_generation(reader: StoreReader) -> StoreError | None:
    """Return the error to raise if the last generation that a run has saved is not there."""
    saved = max((attempt.saved or 0 for attempt in reader.attempts), default=0)
    if saved <= max(generations(reader.path), default=0):
        return None
    path = reader.path / CHECKPOINT / generation_name(saved)
    return StoreError("the last checkpoint that was saved is missing", path=str(path))


def saved_beyond(reader: StoreReader, step: int) -> int | None:
    """Return at which step the state was saved that a run goes on from, if that is after `step`.

    Only generations that say so are verified; they count if the run is recorded up to there.
    """
    for number in generations(reader.path):
        with suppress(StoreError, DescriptionError):  # whoever goes on from it is told
            found = Generation.open(reader.path, number)
            saved = int(found.about["step"])
            if saved <= step:
                return None
            for rank in range(found.ranks):
                found.verify_rank(rank)
            if reader.reaches(saved):
                return saved
    return None
