"""Committed spikes of one rank, by time, and merging of the spikes of several ranks."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import zarr
from numpy.typing import NDArray

from distsnn.errors import StoreError
from distsnn.io.committed_arrays import CommittedArray
from distsnn.io.metadata_checks import check_spikes
from distsnn.io.node_files import ArrayLayout
from distsnn.io.spike_index import SpikeTable
from distsnn.io.zarr_nodes import (
    location,
    open_array,
    store_errors,
    stored_attributes,
    stored_layout,
)

Spikes = tuple[NDArray[np.int32], NDArray[np.uint32]]


@dataclass(frozen=True)
class RankSpikes:
    """One rank's committed spikes, in the order of (step, gid).

    Attributes
    ----------
    root : zarr.Group
        The store.
    path : str
        The group inside it.
    table : SpikeTable
        The number of spikes, the committed step, and the index.
    """

    root: zarr.Group
    path: str
    table: SpikeTable

    @classmethod
    def of(cls, root: zarr.Group, path: str) -> Self | None:
        """Read the commit of a rank's spikes, or return None if the group does not exist.

        Raises
        ------
        StoreError
            If the commit is inconsistent.
        """
        attributes = stored_attributes(root, path)
        if attributes is None:
            return None
        where = location(root, path)
        check_spikes(attributes, path=where)
        rows, stride = attributes["committed"], attributes["index_stride"]
        with store_errors(where, "corrupt index"):
            steps = np.array(attributes["index_step"], dtype=np.int64)
            if steps.shape != (-(-rows // stride),):
                raise ValueError(f"{len(steps)} entries of stride {stride} for {rows} spikes")
            committed = attributes["committed_step"]
            last = max(committed, attributes["last_spike_step"])
            if np.any(np.diff(steps) < 0) or (len(steps) and steps[-1] > last):
                raise ValueError("its steps are out of order")
        return cls(root, path, SpikeTable(rows, committed, last, stride, steps))

    def layouts(self, until: int | None = None) -> list[tuple[ArrayLayout, int, int]]:
        """Return the layouts of the arrays, each with its committed and its required rows.

        Required rows contain the spikes up to step `until` (None: all). No spikes are read.

        Raises
        ------
        StoreError
            If an array is missing or shorter.
        """
        rows = self.table.rows
        count = rows if until is None else self.table.bracket(until)[1]
        layouts = (
            stored_layout(self.root, f"{self.path}/{name}", rows) for name in ("step", "gid")
        )
        return [(layout, rows, count) for layout in layouts]

    def arrays(self, after: int, until: int) -> list[tuple[CommittedArray, int]]:
        """Return the arrays up to step `until`, each with its first row after step `after`."""
        first, rows = self.rows_until(after), self.rows_until(until)
        return [(CommittedArray(column.array, rows), first) for column in (self.step, self.gid)]

    @property
    def step(self) -> CommittedArray:
        """Steps of the spikes."""
        return CommittedArray(open_array(self.root, f"{self.path}/step"), self.table.rows)

    @property
    def gid(self) -> CommittedArray:
        """Gids of the spikes."""
        return CommittedArray(open_array(self.root, f"{self.path}/gid"), self.table.rows)

    def rows_until(self, step: int) -> int:
        """Return the number of spikes up to `step`; reads at most a few chunks."""
        low, high = self.table.bracket(step)
        if low >= high:
            return high
        column = self.step
        low, high = _narrow(column, step, low, high)
        return low + int(np.searchsorted(column.load(low, high), step, side="right"))

    def read(self, after: int, until: int) -> Spikes:
        """Return the spikes in steps (after, until].

        Raises
        ------
        StoreError
            If chunks are missing or corrupt, or steps are out of order.
        """
        low, high = self.table.bracket(after)[0], self.table.bracket(until)[1]
        if low >= high:
            return empty_spikes()
        column = self.step
        low = _narrow(column, after, *self.table.bracket(after))[0]
        high = _narrow(column, until, *self.table.bracket(until))[1]
        step = column.load(low, high)
        if len(step) and (step[0] < 0 or np.any(np.diff(step) < 0)):
            raise StoreError(
                "corrupt: steps out of order, or chunks missing", path=location(column.array)
            )
        start, stop = np.searchsorted(step, [after, until], side="right")
        if start == stop:
            return empty_spikes()
        return step[start:stop], self.gid.load(low + int(start), low + int(stop))


def empty_spikes() -> Spikes:
    """Return empty arrays of spikes."""
    return np.empty(0, np.int32), np.empty(0, np.uint32)


def _narrow(column: CommittedArray, step: int, low: int, high: int) -> tuple[int, int]:
    """Bisect bounds on the number of rows up to `step` to about one chunk."""
    chunk = column.chunk_rows
    while high - low > 2 * chunk:
        middle = (low + high) // 2
        if int(column.load(middle, middle + 1)[0]) <= step:
            low = middle + 1
        else:
            high = middle
    return low, high


def merge(parts: list[Spikes]) -> Spikes:
    """Merge the spikes of several ranks into the order of (step, gid)."""
    filled = [part for part in parts if len(part[0])]
    if not filled:
        return empty_spikes()
    if len(filled) == 1:
        return filled[0]
    step = np.concatenate([part[0] for part in filled])
    key = step.astype(np.int64) << 32
    key |= np.concatenate([part[1] for part in filled])
    key.sort()
    return (key >> 32).astype(np.int32), (key & 0xFFFFFFFF).astype(np.uint32)
