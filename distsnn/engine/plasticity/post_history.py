"""Histories of a plastic projection's targets, by which its rows are updated."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.kernels.plastic import NEVER

# The latest 8 spikes of a record, with one trace of float32, are a cache line; others are seldom
# needed. Records are an odd number of lines: were it even, first lines would crowd in a part of
# the cache.
_LINE = 64
# Places in histories have 32 bits.
_MOST_REALS = 1 << 32


class TargetSpikeHistory:
    """A record for each of some targets (see `kernels.plastic`).

    Parameters
    ----------
    size : int
        Targets.
    traces : int
        Traces of a target.
    precision : str
        Type of traces.

    Attributes
    ----------
    depth : int
        Spikes that a record holds.
    records : ndarray of structured type, shape (size, depth)
        ``step``, int32, and ``trace``, of shape (traces,), newest first.
    """

    _first_depth = 16

    def __init__(self, size: int, traces: int, precision: str) -> None:
        self._traces, self._precision = traces, precision
        real = np.dtype(precision)
        self._kind = np.dtype(
            {
                "names": ["step", "trace"],
                "formats": [np.int32, (real, (traces,))],
                "offsets": [0, real.itemsize],
                "itemsize": real.itemsize * (1 + traces),
            }
        )
        self.depth = self._at_least(self._first_depth)
        self.records = self._made(size)

    def _at_least(self, depth: int) -> int:
        """Return the next depth with which records are an odd number of lines."""
        spikes_per_line = _LINE // math.gcd(
            _LINE, self._kind.itemsize
        )  # spikes that fill whole lines
        lines = spikes_per_line * self._kind.itemsize // _LINE
        times = -(-depth // spikes_per_line)
        return spikes_per_line * (times if lines * times % 2 else times + 1)

    def _made(self, size: int) -> npt.NDArray[Any]:
        if size * self.depth * (1 + self._traces) >= _MOST_REALS:
            raise MemoryError(
                f"{self.depth} spikes of each of {size} neurons are more than are kept"
            )
        n_bytes = size * self.depth * self._kind.itemsize
        room = np.zeros(n_bytes + _LINE, np.uint8)
        first = -room.ctypes.data % _LINE
        records = room[first : first + n_bytes].view(self._kind).reshape(size, self.depth)
        records["step"] = NEVER
        return records

    def double_depth(self) -> None:
        """Make room for twice as many spikes of each target, or a few more."""
        old, depth = self.records, self.depth
        self.depth = self._at_least(2 * depth)
        self.records = self._made(len(old))
        self.records[:, :depth] = old


class TargetStepHistory(TargetSpikeHistory):
    """A record of steps for each of some targets, which is filled from its end.

    Parameters
    ----------
    size : int
        Targets.
    values : int
        Number of values of a step.
    precision : str
        Type of these.

    Attributes
    ----------
    newest_index : ndarray of int32, shape (size,)
        Index of the newest entry of each record; earlier entries are invalid.
    """

    _first_depth = 64  # a target acts in dozens of steps per spike

    def __init__(self, size: int, values: int, precision: str) -> None:
        super().__init__(size, values, precision)
        self.newest_index = np.full(size, self.depth - 1, np.int32)

    def double(self) -> None:
        """Make room for twice as many steps of each target."""
        old, depth = self.records, self.depth
        self.depth = self._at_least(2 * depth)
        n_added = self.depth - depth
        self.records = self._made(len(old))
        self.records[:, n_added:] = old
        self.newest_index += n_added

    def is_full(self, settled: int) -> bool:
        """Return whether a record has no free entry, if entries up to a step are dropped."""
        last = self.records["step"][self.newest_index == 0] > settled
        return bool((last.sum(axis=1) > self.depth // 2).any())

    def entries_after(self, step: int, steps: int) -> npt.NDArray[Any]:
        """Return the values of some steps after a step, 0 without an entry.

        Returns
        -------
        ndarray, shape (size, steps, values)
        """
        is_after = (self.records["step"] > step) & (
            np.arange(self.depth) >= self.newest_index[:, None]
        )
        target, entry = np.nonzero(is_after)
        entries = np.zeros((len(is_after), steps, self._traces), self._precision)
        column = self.records["step"][target, entry] - step - 1
        entries[target, column] = self.records["trace"][target, entry]
        return entries

    def restore(self, values: npt.NDArray[Any], step: int) -> None:
        """Set the records to what `entries_after` returned."""
        acts = values.any(axis=2)
        counts = np.count_nonzero(acts, axis=1)
        while self.depth // 2 < counts.max(initial=0):
            self.depth = self._at_least(2 * self.depth)
        self.records = self._made(len(values))
        target, column = np.nonzero(acts)
        earlier = np.arange(target.size) - (np.cumsum(counts) - counts)[target]
        entry = self.depth - 2 - earlier
        self.records["step"][target, entry] = step + 1 + column
        self.records["trace"][target, entry] = values[target, column]
        self.newest_index[:] = self.depth - 1 - counts
