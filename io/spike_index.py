"""Index of a rank's spikes: the steps of some rows, at most a few hundred.

The attributes of the commit contain the step of every `stride`-th spike, so the index is always as
valid as the commit and needs no extra write. When it exceeds its limit the stride doubles, so that
it stays small. With the index, a reader of 1e8 spikes finds a time window, and divides the run into
windows of similar size, without reading the spikes.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MAX_ENTRIES = 256


@dataclass
class SpikeIndex:
    """The index of a writer: entries for rows 0, stride, 2·stride, ... of committed rows.

    Attributes
    ----------
    stride : int
        Rows between entries; a multiple of the chunk.
    steps : list of int
        Step of each of these rows.
    """

    stride: int
    steps: list[int] = field(default_factory=list)

    def add_block(self, start: int, step: int) -> None:
        """Add the step of the first row of a block; each block once, in order."""
        if start % self.stride == 0 and start // self.stride == len(self.steps):
            self.steps.append(step)
            if len(self.steps) > MAX_ENTRIES:
                self.steps = self.steps[::2]
                self.stride *= 2


@dataclass(frozen=True)
class SpikeTable:
    """The index of a reader: bounds on the number of spikes up to a step.

    Attributes
    ----------
    rows : int
        Committed rows.
    committed_step : int
        These rows contain all spikes up to this step.
    last_step : int
        The last step that any of these rows may have; at least `committed_step`.
    stride : int
        Rows between entries.
    steps : ndarray of int64, shape (ceil(rows / stride),)
        Steps of rows 0, stride, ...
    """

    rows: int
    committed_step: int
    last_step: int
    stride: int
    steps: NDArray[np.int64]

    def bracket(self, step: int) -> tuple[int, int]:
        """Return bounds (low, high) on the number of rows up to `step`."""
        entry = int(np.searchsorted(self.steps, step, side="right"))
        low = 0 if entry == 0 else (entry - 1) * self.stride + 1
        high = self.rows if entry == len(self.steps) else entry * self.stride
        return low, high

    def estimate(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the estimated number of rows up to each of `steps`, by interpolation."""
        if self.rows == 0:
            return np.zeros(len(steps))
        steps_of_entries = np.append(self.steps, max(self.last_step, int(self.steps[-1])))
        rows = np.append(np.arange(len(self.steps)) * self.stride, self.rows)
        # Of several entries with the same step, the last is used: all these rows have this step.
        last = np.append(np.diff(steps_of_entries) > 0, True)
        estimated: NDArray[np.float64] = np.interp(
            steps, steps_of_entries[last], rows[last], left=0.0
        )
        return estimated


def plan_windows(
    pieces: list[tuple[SpikeTable, int, int]], first: int, last: int, *, target: int, align: int
) -> list[tuple[int, int]]:
    """Divide the steps (first, last] into windows of about `target` spikes or fewer.

    Parameters
    ----------
    pieces : list of (SpikeTable, int, int)
        Every rank's table, and the steps (after, until] for which it is valid.
    first, last : int
        The range, steps, without `first`.
    target : int
        Approximate spikes per window; the resolution is one stride of a rank's index.
    align : int
        Window bounds are `first` plus a multiple of this (except `last`), steps.

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
