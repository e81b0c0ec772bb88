"""Reader of a checkpoint generation: verification, then the blocks that a rank needs."""

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
    attributes_checksum,
    files_below,
    generation_name,
    generations,
    verify,
)
from distsnn.io.metadata_checks import check_generation, check_segments
from distsnn.io.node_files import METADATA
from distsnn.io.reader import StoreReader
from distsnn.io.schema import CHECKPOINT_FORMAT, CHECKPOINT_VERSION
from distsnn.io.zarr_nodes import (
    check_chunks_exist,
    location,
    open_array,
    open_group,
    open_root,
    read_attributes,
    store_errors,
    stored_attributes,
)


@dataclass(frozen=True, eq=False)
class CheckpointReader:
    """A complete generation with valid attributes and index.

    Attributes
    ----------
    store : Path
        The run's store.
    number : int
        Its number.
    attributes : dict
        Its attributes, as in the schema.
    """

    store: Path
    number: int
    attributes: dict[str, Any]
    _root: zarr.Group
    _segments: dict[int, dict[tuple[str, str, str], Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, store: Path, number: int) -> Self:
        """Open a generation.

        Raises
        ------
        StoreError
            If it is corrupt.
        DescriptionError
            If it was written in another version's format.
        """
        root = open_root(store)
        path = f"{CHECKPOINT}/{generation_name(number)}"
        group = open_group(root, path)
        if group is None:
            raise StoreError("the generation does not exist", path=f"{store}/{path}")
        raw = group.attrs.asdict()
        version = raw.get("format_version")
        if raw.get("format") != CHECKPOINT_FORMAT or not isinstance(version, int):
            raise StoreError("corrupt: no checkpoint", path=location(group))
        with store_errors(location(group), "corrupt"):
            is_sealed = raw.get("attributes_sha256") == attributes_checksum(raw)
        if not is_sealed:
            raise StoreError("corrupt: the attributes have changed", path=location(group))
        if version != CHECKPOINT_VERSION:
            raise DescriptionError(
                f"a checkpoint of format version {version}",
                where=location(group),
                allowed=f"version {CHECKPOINT_VERSION}, which this distsnn reads",
            )
        attributes = read_attributes(group)
        check_generation(attributes, path=location(group))
        return cls(store, number, attributes, root)

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
        return int(self.attributes["ranks"])

    def check_files(self) -> None:
        """Check that all files exist, without reading them (StoreError if a file is missing)."""
        paths = [self.folder / name for name in self.attributes.get("files", {})]
        for rank in range(self.ranks):
            folder = self.folder / f"rank{rank:04d}"
            paths += [folder / name for name in self._rank(rank)["files"]]
        for path in paths:
            if not path.is_file():
                raise StoreError("corrupt: a file is missing", path=str(path))

    def verify_index(self) -> None:
        """Check the index against its checksums (StoreError if it is corrupt)."""
        verify(
            self.folder,
            {
                name: checksum
                for name, checksum in self.attributes.get("files", {}).items()
                if name[:4] != "rank"
            },
        )

    def verify_rank(self, rank: int) -> None:
        """Check all files of one rank against their checksums (StoreError if a file is corrupt)."""
        name = f"rank{rank:04d}/{METADATA}"
        verify(self.folder, {name: self.attributes.get("files", {}).get(name)})
        folder = self.folder / f"rank{rank:04d}"
        expected = self._rank(rank)["files"]
        verify(folder, expected)
        with store_errors(folder, "cannot be read"):
            names = {path.relative_to(folder).as_posix() for path in files_below(folder)}
        extra = names - set(expected)
        if extra:
            raise StoreError(
                f"corrupt: {sorted(extra)[0]} is not part of the checkpoint", path=str(folder)
            )

    def blocks(self, max_blocks: int) -> dict[str, NDArray[Any]]:
        """Return the index of at most `max_blocks` blocks: rank, digest and wiring."""
        names = ("rank", "digest", "wiring")
        return {name: self._read_all(f"blocks/{name}", max_blocks) for name in names}

    def spikes(self, rank: int, max_spikes: int) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
        """Return the spikes in flight of one rank's neurons, at most `max_spikes`."""
        path = f"rank{rank:04d}/spikes"
        step = self._read_all(f"{path}/step", max_spikes)
        gid = self._read_all(f"{path}/gid", max_spikes)
        if step.shape != gid.shape:
            raise StoreError("corrupt: steps and neurons differ", path=f"{self.folder}/{path}")
        return step, gid

    def states(
        self,
        population: str,
        group: str,
        variable: str,
        ranks: NDArray[np.int32],
        offsets: NDArray[np.int64],
        sizes: Sequence[int],
    ) -> NDArray[Any]:
        """Return one state of some blocks of a population, in the order of the blocks.

        Parameters
        ----------
        population, group, variable : str
            The state.
        ranks : ndarray of int32, shape (n_blocks,)
            The ranks that wrote the blocks, from the index.
        offsets : ndarray of int64, shape (n_blocks,)
            Number of values of earlier blocks of these ranks.
        sizes : sequence of int
            Number of values of the blocks.
        """
        parts: list[NDArray[Any]] = [np.empty(0)] * len(sizes)
        for rank in np.unique(ranks).tolist():
            indices = np.flatnonzero(ranks == rank).tolist()
            low = int(offsets[indices].min())
            high = max(int(offsets[i]) + sizes[i] for i in indices)
            segment = self._segment(rank, (population, group, variable), low, high)
            for i in indices:
                parts[i] = segment[int(offsets[i]) - low : int(offsets[i]) - low + sizes[i]]
        return np.concatenate(parts)

    def _rank(self, rank: int) -> dict[str, Any]:
        """Return the attributes of a rank's group."""
        path = f"{self._path}/rank{rank:04d}"
        attributes, where = stored_attributes(self._root, path), location(self._root, path)
        if attributes is None:
            raise StoreError("corrupt: a rank's group is missing", path=where)
        check_segments(attributes, path=where)
        return attributes

    def _segment(self, rank: int, key: tuple[str, str, str], low: int, high: int) -> NDArray[Any]:
        """Return a range of the values of a state that a rank saved."""
        if rank not in self._segments:
            self._segments[rank] = {
                (row["population"], row["group"], row["variable"]): row
                for row in self._rank(rank)["segments"]
            }
        segment = self._segments[rank].get(key)
        if segment is None or high > segment["size"]:
            raise StoreError(
                f"corrupt: state {key[1]}/{key[2]} of population {key[0]!r} is incomplete",
                path=f"{self.folder}/rank{rank:04d}",
            )
        first = segment["first"]
        path = f"rank{rank:04d}/state/{segment['dtype']}"
        return self._read(path, first + low, first + high)

    def _read_all(self, path: str, max_size: int | None = None) -> NDArray[Any]:
        array = open_array(self._root, f"{self._path}/{path}")
        if max_size is not None and array.shape[0] > max_size:
            raise StoreError(
                f"corrupt: {array.shape[0]} values, at most {max_size} expected",
                path=location(array),
            )
        return self._read(path, 0, array.shape[0])

    def _read(self, path: str, low: int, high: int) -> NDArray[Any]:
        array = open_array(self._root, f"{self._path}/{path}")
        if high > array.shape[0]:
            raise StoreError(
                f"corrupt: {array.shape[0]} values, {high} expected", path=location(array)
            )
        check_chunks_exist(array, low, high)
        with store_errors(location(array), "cannot be read"):
            return np.asarray(array[low:high])


def missing_checkpoints(reader: StoreReader) -> list[str]:
    """Return messages about missing files of a run's checkpoints; files are not read."""
    lost = lost_generation(reader)
    messages = [] if lost is None else [str(lost)]
    for number in generations(reader.path):
        try:
            CheckpointReader.open(reader.path, number).check_files()
        except (StoreError, DescriptionError) as error:
            if number in generations(reader.path):  # an active run removes older checkpoints
                messages.append(str(error))
    return messages


def lost_generation(reader: StoreReader) -> StoreError | None:
    """Return the error for a missing last generation of a run, if it is missing."""
    saved = max((attempt.saved or 0 for attempt in reader.attempts), default=0)
    if saved <= max(generations(reader.path), default=0):
        return None
    path = reader.path / CHECKPOINT / generation_name(saved)
    return StoreError("the last saved checkpoint is missing", path=str(path))


def checkpoint_after(reader: StoreReader, step: int) -> int | None:
    """Return the step of the checkpoint from which a run continues, if it is after `step`.

    Only generations after `step` are verified; they are valid if the run is recorded up to them.
    """
    for number in generations(reader.path):
        with suppress(StoreError, DescriptionError):  # a resume reports the error
            generation = CheckpointReader.open(reader.path, number)
            saved = int(generation.attributes["step"])
            if saved <= step:
                return None
            for rank in range(generation.ranks):
                generation.verify_rank(rank)
            if reader.is_recorded_until(saved):
                return saved
    return None
