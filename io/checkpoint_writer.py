"""Writer of a checkpoint generation: every rank writes its group, rank 0 the index.

A generation is written under a name that ends in ``.partial``, and renamed when all files are on
the disk, so that it is always complete.
"""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from distsnn.errors import StoreError
from distsnn.io.checkpoint_files import (
    CHECKPOINT,
    CHUNK,
    attributes_checksum,
    checksums,
    generation_name,
    generations,
    sync_files,
    write_files,
)
from distsnn.io.durable_files import rename
from distsnn.io.node_files import METADATA
from distsnn.io.schema import CHECKPOINT_FORMAT, CHECKPOINT_VERSION
from distsnn.io.zarr_nodes import (
    InMemoryGroup,
    check_inside,
    create_array,
    create_group,
    location,
    open_group,
    open_root,
    store_errors,
    write_attributes,
)


class CheckpointWriter:
    """One new generation of a store's checkpoint.

    Parameters
    ----------
    store : Path
        The run's store.
    number : int
        Number of the generation; no complete generation has this number.
    """

    def __init__(self, store: Path, number: int) -> None:
        self.store, self.number = store, number
        self._name = f"{CHECKPOINT}/{generation_name(number)}"
        self._folder = store / f"{self._name}.partial"
        self._about: dict[str, Any] = {}

    def write_index(
        self, attributes: Mapping[str, Any], blocks: Mapping[str, NDArray[Any]]
    ) -> None:
        """Write the index, on rank 0, before the ranks write; remove leftovers.

        Parameters
        ----------
        attributes : mapping
            As in the schema, without format, format_version, files and seal.
        blocks : mapping of str to ndarray
            The index: rank, digest and wiring, by block.
        """
        root = open_root(self.store, writable=True)
        check_inside(root, CHECKPOINT)  # before leftovers are removed
        _make_folder(root, self.store / CHECKPOINT / METADATA)
        with store_errors(self.store / CHECKPOINT, "cannot be removed"):
            for leftover in (self.store / CHECKPOINT).glob("*.partial"):
                _remove(leftover)
        all_attributes = {
            "format": CHECKPOINT_FORMAT,
            "format_version": CHECKPOINT_VERSION,
            **attributes,
        }
        draft, path = InMemoryGroup(), f"{self._name}/blocks"
        create_group(draft.root, path, {})
        for name, values in blocks.items():
            _write(draft.root, f"{path}/{name}", values)
        files = {f"blocks/{name}": content for name, content in draft.files(path).items()}
        write_files(self._folder, files)
        self._about = {**all_attributes, "files": checksums(files)}

    def write_rank(
        self,
        rank: int,
        states: Mapping[tuple[str, str, str], NDArray[Any]],
        spikes: tuple[NDArray[Any], NDArray[Any]],
    ) -> str:
        """Write one rank's states and spikes in flight.

        Returns
        -------
        str
            The checksum for `finish`, which covers all files of the rank.
        """
        draft, group_path = InMemoryGroup(), f"{self._name}/rank{rank:04d}"
        segments, arrays = _packed(states)
        group = create_group(draft.root, group_path, {"segments": segments, "files": {}})
        for path in ("spikes", "state"):
            create_group(draft.root, f"{group_path}/{path}", {})
        for name, values in zip(("step", "gid"), spikes, strict=True):
            _write(draft.root, f"{group_path}/spikes/{name}", values)
        for dtype, values in arrays.items():
            _write(draft.root, f"{group_path}/state/{dtype}", values)
        sums = checksums(draft.files(group_path))
        del sums[METADATA]  # it will contain the others
        write_attributes(group, {"files": sums})
        files = draft.files(group_path)
        write_files(self._folder / f"rank{rank:04d}", files)
        return checksums(files)[METADATA]

    def finish(self, ranks: list[str]) -> None:
        """Seal and rename the generation (on rank 0, after all ranks).

        Parameters
        ----------
        ranks : list of str
            Results of `write_rank` of all ranks.
        """
        attributes = self._about
        attributes["files"] |= {
            f"rank{rank:04d}/{METADATA}": checksum for rank, checksum in enumerate(ranks)
        }
        draft = InMemoryGroup()
        group = create_group(draft.root, self._name, attributes)
        write_attributes(group, {"attributes_sha256": attributes_checksum(group.attrs.asdict())})
        write_files(self._folder, draft.files(self._name))
        with store_errors(self._folder, "cannot be written"):
            rename(self._folder, self.store / self._name)
            # the group `checkpoint` may be new; attempts were synced when they started
            sync_files(self.store, [self.store / CHECKPOINT / METADATA])

    def prune(self, keep: int | None) -> None:
        """Remove all generations except this one and `keep`, or the newest other one (on rank 0).

        Folders that cannot be removed, because they are read over a network, remain until the next
        call.
        """
        others = [number for number in generations(self.store) if number != self.number]
        keep = max(others, default=None) if keep is None else keep
        for number in others:
            if number != keep:
                folder = self.store / CHECKPOINT / generation_name(number)
                # a kill during the removal must not leave a generation that looks corrupt
                leftover = folder.with_name(f"{folder.name}.partial")
                with suppress(OSError):
                    folder.rename(leftover)
                shutil.rmtree(leftover, ignore_errors=True)

    def discard(self) -> None:
        """Remove the files of a generation that could not be written (on rank 0)."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _make_folder(root: zarr.Group, metadata: Path) -> None:
    """Create the group of all generations. It has no data: a corrupt group is replaced."""
    try:
        if open_group(root, CHECKPOINT) is not None:
            return
    except StoreError:
        with store_errors(metadata, "cannot be replaced"):
            metadata.unlink()
    create_group(root, CHECKPOINT, {})


def _remove(leftover: Path) -> None:
    if leftover.is_dir() and not leftover.is_symlink():
        shutil.rmtree(leftover)
    else:
        leftover.unlink()


def _packed(
    states: Mapping[tuple[str, str, str], NDArray[Any]],
) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """Return the segment of each state, and one array for each type."""
    segments, parts, sizes = [], dict[str, list[NDArray[Any]]](), dict[str, int]()
    for (population, group, variable), values in states.items():
        dtype = values.dtype.name
        row = {"population": population, "group": group, "variable": variable, "dtype": dtype}
        segments.append(row | {"first": sizes.get(dtype, 0), "size": values.size})
        parts.setdefault(dtype, []).append(values)
        sizes[dtype] = sizes.get(dtype, 0) + values.size
    return segments, {dtype: np.concatenate(arrays) for dtype, arrays in parts.items()}


def _write(root: Any, path: str, values: NDArray[Any]) -> None:
    chunks = tuple(
        max(1, min(length, CHUNK if axis == 0 else length))
        for axis, length in enumerate(values.shape)
    )
    array = create_array(root, path, shape=values.shape, chunks=chunks, dtype=values.dtype.name)
    with store_errors(location(root, path), "cannot be written"):
        array[...] = values
