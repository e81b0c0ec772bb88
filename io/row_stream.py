"""Streams of rows to a store: a bounded ring in memory, chunks on disk, atomic commits.

Row r of a stream is at ``r % capacity`` of its ring, and the capacity is a multiple of the block
(chunk) size, so that a block is contiguous in memory. Its space is released only when the block is
full and committed: a partly committed block is written again as a whole, without reading it. The
state of a stream is three counters:

    released ≤ committed ≤ appended ≤ released + capacity

The rank's main thread changes `appended`; the writer thread changes the other counters. Both hold
the lock of `WriterThread` while they read or change counters, but not while they copy or write: the
writer reads rows below `appended`, the main thread fills rows from `appended`.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from distsnn.errors import StoreError
from distsnn.io.checkpoint_files import sync_files
from distsnn.io.intervals import RowSteps
from distsnn.io.spike_index import SpikeIndex
from distsnn.io.zarr_nodes import (
    ZarrArray,
    check_present,
    chunk_file,
    location,
    store_errors,
    write_attributes,
)

# Blocks in a ring: one being filled, two being written, one for delays of the writer.
BLOCKS = 4


@dataclass(frozen=True)
class Commit:
    """The data that a write makes valid: rows below `rows`, and all data up to `step`."""

    rows: int
    step: int


class RowStream(ABC):
    """Rows of several columns of equal length.

    Parameters
    ----------
    group : zarr.Group
        The group whose attributes commit the rows.
    arrays : mapping of str to zarr.Array
        One array per column; the first axis counts rows and is chunked by `block_rows`.
    block_rows : int
        Rows per chunk.
    start_step : int
        The committed step at the start.
    """

    counter = "committed"

    def __init__(
        self,
        group: zarr.Group,
        arrays: Mapping[str, ZarrArray],
        *,
        block_rows: int,
        start_step: int,
    ) -> None:
        self._group, self._arrays = group, dict(arrays)
        self.block_rows, self.capacity = block_rows, BLOCKS * block_rows
        self.ring: dict[str, NDArray[Any]] = {
            name: np.empty((self.capacity, *array.shape[1:]), array.dtype)
            for name, array in arrays.items()
        }
        self._length = {name: array.shape[0] for name, array in arrays.items()}
        self.appended = self.committed = self.released = 0
        self.advanced = self.committed_step = start_step

    def free_rows(self) -> int:
        """Return the number of free rows of the ring (hold the lock)."""
        return self.released + self.capacity - self.appended

    def has_block(self) -> bool:
        """Return whether a whole block is ready to be written (hold the lock)."""
        return self.appended // self.block_rows > self.committed // self.block_rows

    def fill(self, columns: Mapping[str, NDArray[Any]], start: int, stop: int) -> None:
        """Copy rows [start, stop) of `columns` into the ring after the appended rows."""
        row = self.appended
        while start < stop:
            position = row % self.capacity
            count = min(stop - start, self.capacity - position)
            for name, column in columns.items():
                self.ring[name][position : position + count] = column[start : start + count]
            row, start = row + count, start + count

    @abstractmethod
    def step_of_row(self, row: int) -> int:
        """Return the step of a row that is still in the ring."""

    def plan(self, *, everything: bool) -> Commit | None:
        """Return the next commit, or None if there is nothing to do (hold the lock).

        Rows are in the order of their steps: if some rows are not part of the commit, all data
        before the step of the first of these rows is.
        """
        rows = self.appended
        if not everything:
            if not self.has_block():
                return None
            rows = rows // self.block_rows * self.block_rows
        step = self.advanced
        if rows < self.appended:
            step = min(step, self.step_of_row(rows) - 1)
        commit = Commit(rows, max(step, self.committed_step))
        return None if commit == Commit(self.committed, self.committed_step) else commit

    def write(self, commit: Commit) -> None:
        """Write rows [committed, commit.rows) and then commit them in one write of attributes.

        Rows are synced before they are committed, so that all committed rows exist after a power
        cut.
        """
        check_present(self._group)
        created = []
        if commit.rows > self.committed:
            first = self.committed // self.block_rows * self.block_rows
            for name, array in self._arrays.items():
                self._length[name] = self._grow(array, self._length[name], commit.rows)
                for start in range(first, commit.rows, self.block_rows):
                    stop = min(start + self.block_rows, commit.rows)
                    position = start % self.capacity
                    with store_errors(location(array), "cannot be written"):
                        array[start:stop] = self.ring[name][position : position + stop - start]
                    if start < self.committed:
                        continue  # replaced chunks are already synced
                    # no file if a rank records no column
                    sizes = zip(array.shape[1:], array.chunks[1:], strict=True)
                    for place in itertools.product(
                        *(range(-(-n // chunk_length)) for n, chunk_length in sizes)
                    ):
                        created.append(chunk_file(array, (start // self.block_rows, *place)))
            if created:
                sync_files(Path(location(self._group)), created)
            self._rows_written(first, commit.rows)
        write_attributes(
            self._group,
            {self.counter: commit.rows, "committed_step": commit.step, **self._more_attributes()},
        )

    def apply_commit(self, commit: Commit) -> None:
        """Update the counters after a commit (hold the lock)."""
        self.committed, self.committed_step = commit.rows, commit.step
        self.released = commit.rows // self.block_rows * self.block_rows

    def trim(self) -> None:
        """Shorten the arrays to the committed rows, for readers that do not know commits."""
        check_present(self._group)
        for name, array in self._arrays.items():
            if self._length[name] > self.committed:
                with store_errors(location(array), "cannot be shortened"):
                    array.resize((self.committed, *array.shape[1:]))
                self._length[name] = self.committed

    def _grow(self, array: ZarrArray, length: int, rows: int) -> int:
        if rows <= length:
            return length
        with store_errors(location(array), "cannot be extended"):
            array.resize((rows, *array.shape[1:]))
        return rows

    def _rows_written(self, first: int, rows: int) -> None:  # noqa: B027 (a hook, may do nothing)
        """Handle rows [first, rows), which are on the disk; `first` starts a block."""

    def _more_attributes(self) -> dict[str, Any]:
        return {}


class SpikeStream(RowStream):
    """Spikes: columns step and gid, with their index."""

    def __init__(
        self,
        group: zarr.Group,
        arrays: Mapping[str, ZarrArray],
        *,
        block_rows: int,
        start_step: int,
    ) -> None:
        super().__init__(group, arrays, block_rows=block_rows, start_step=start_step)
        self.index = SpikeIndex(stride=block_rows)
        self._last_spike_step = 0
        self._least_key = (start_step + 1) << 32

    def check(self, step: NDArray[np.int32], gid: NDArray[np.uint32]) -> None:
        """Raise StoreError unless the spikes continue the order of (step, gid).

        A relay may spike several times in a step.
        """
        if len(step) != len(gid):
            raise StoreError(f"{len(step)} steps but {len(gid)} gids", path=location(self._group))
        key = step.astype(np.int64) << 32
        key |= gid
        if len(key) and (key[0] < self._least_key or not bool(np.all(key[1:] >= key[:-1]))):
            raise StoreError("spikes out of the order (step, gid)", path=location(self._group))
        if len(key) and int(step[0]) <= self.advanced:
            raise StoreError(
                f"spike at step {int(step[0])}, but all spikes up to step {self.advanced} "
                "were declared complete",
                path=location(self._group),
            )
        if len(key):
            self._least_key = int(key[-1])

    def step_of_row(self, row: int) -> int:  # noqa: D102 (documented in the base)
        return int(self.ring["step"][row % self.capacity])

    def _rows_written(self, first: int, rows: int) -> None:
        for start in range(first, rows, self.block_rows):
            self.index.add_block(start, self.step_of_row(start))
        self._last_spike_step = self.step_of_row(rows - 1)

    def _more_attributes(self) -> dict[str, Any]:
        return {
            "last_spike_step": self._last_spike_step,
            "index_stride": self.index.stride,
            "index_step": self.index.steps,
        }


class StateStream(RowStream):
    """Rows of a state recording, at multiples of a number of steps while the recording is on.

    Attributes
    ----------
    stamps : RowSteps
        Steps of the rows.
    """

    counter = "committed_rows"

    def __init__(
        self,
        group: zarr.Group,
        arrays: Mapping[str, ZarrArray],
        *,
        block_rows: int,
        start_step: int,
        stamps: RowSteps,
    ) -> None:
        super().__init__(group, arrays, block_rows=block_rows, start_step=start_step)
        self.stamps = stamps

    def step_of_row(self, row: int) -> int:  # noqa: D102 (documented in the base)
        return self.stamps[row]

    def _grow(self, array: ZarrArray, length: int, rows: int) -> int:
        # The size doubles, so that a run of many short segments rarely resizes.
        return super()._grow(array, length, rows if rows <= length else max(rows, 2 * length))
