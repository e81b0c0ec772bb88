"""A small index of a rank's spikes: which row has which step, within a few hundred entries.

The stamps of every `stride`-th spike are kept in the same attributes as the commit, so the index
is always as valid as the commit and costs no write of its own. When it grows beyond its limit the
stride doubles: it stays small however long the run. It lets a reader of 1e8 spikes find a time
window, and cut the run into windows of about equal size, without reading the spikes.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MAX_ENTRIES = 256


@dataclass
class SpikeIndex:
    """The writer's side: entries for rows 0, stride, 2·stride, ... as they are committed.

    Attributes
    ----------
    stride : int
        Rows between entries; a multiple of the chunk.
    steps : list of int
        Stamp of each of these rows.
    """

    stride: int
    steps: list[int] = field(default_factory=list)

    def add_block(self, start: int, step: int) -> None:
        """Take the stamp of the first row of a block; each block once, in their order."""
        if start % self.stride == 0 and start // self.stride == len(self.steps):
            self.steps.append(step)
            if len(self.steps) > MAX_ENTRIES:
                self.steps = self.steps[::2]
                self.stride *= 2


@dataclass(frozen=True)
class SpikeTable:
    """The reader's side: bounds on the number of spikes up to a step.

    Attributes
    ----------
    rows : int
        Committed rows.
    committed_step : int
        All spikes stamped up to here are among these rows.
    last_step : int
        The last step that any of these rows may have; at least `committed_step`.
    stride : int
        Rows between entries.
    steps : ndarray of int64, shape (ceil(rows / stride),)
        Stamps of rows 0, stride, ...
    """

    rows: int
    committed_step: int
    last_step: int
    stride: int
    steps: NDArray[np.int64]

    def bracket(self, step: int) -> tuple[int, int]:
        """Return bounds (low, high) on the number of rows stamped ≤ `step`."""
        entry = int(np.searchsorted(self.steps, step, side="right"))
        low = 0 if entry == 0 else (entry - 1) * self.stride + 1
        high = self.rows if entry == len(self.steps) else entry * self.stride
        return low, high

    def estimate(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the estimated number of rows stamped ≤ each of `steps`, by interpolation."""
        if self.rows == 0:
            return np.zeros(len(steps))
        known = np.append(self.steps, max(self.last_step, int(self.steps[-1])))
        rows = np.append(np.arange(len(self.steps)) * self.stride, self.rows)
        # Of several entries with one step only the last counts: all these rows are of that step.
        last = np.append(np.diff(known) > 0, True)
        estimated: NDArray[np.float64] = np.interp(steps, known[last], rows[last], left=0.0)
        return estimated


def plan_windows(
    pieces: list[tuple[SpikeTable, int, int]], first: int, last: int, *, target: int, align: int
) -> list[tuple[int, int]]:
    """Cut the steps (first, last] into windows that hold about `target` spikes or fewer.

    Parameters
    ----------
    pieces : list of (SpikeTable, int, int)
        Every rank's table, and the steps (after, until] for which it counts.
    first, last : int
        The range, steps; `first` itself is outside.
    target : int
        Spikes per window, about: a rank's index knows them to one stride.
    align : int
        Window bounds are `first` plus a multiple of this (but for `last`), steps.

    Returns
    -------
    list of (int, int)
        Half-open windows (after, until] that cover the range without gaps; none is empty.
    """
    if last <= first:
        return []
    bounds = [np.array([first, last], dtype=np.int64)]
    for table, after, until in pieces:
        inner = np.append(table.steps, [after, until, table.last_step])
        bounds.append(np.clip(inner, first, last))
    steps = np.unique(np.concatenate(bounds))
    total = np.zeros(len(steps))
    for table, after, until in pieces:
        count = table.estimate(np.clip(steps, after, until))
        total += count - table.estimate(np.array([after], dtype=np.int64))
    total -= total[0]
    n_windows = max(1, int(np.ceil(total[-1] / target)))
    cuts = np.interp(np.arange(1, n_windows) * (total[-1] / n_windows), total, steps)
    aligned = first + np.floor((cuts - first) / align).astype(np.int64) * align
    edges = np.unique(np.concatenate([[first], aligned, [last]]))
    return [(int(a), int(b)) for a, b in pairwise(edges)]
