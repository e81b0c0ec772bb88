"""Intervals of steps in which a recording was on: a script may switch it between run calls."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from distsnn.errors import StoreError


@dataclass(frozen=True)
class Intervals:
    """Intervals (after, until] of steps, ascending and disjoint; the last may be open (None)."""

    bounds: tuple[tuple[int, int | None], ...]

    @classmethod
    def from_attribute(cls, stored: Any, name: str, *, start_step: int, path: str) -> Self:
        """Read the intervals of a recording from an attempt's attributes.

        Raises
        ------
        StoreError
            If they are corrupt.
        """
        bounds: list[tuple[int, int | None]] = []
        before: int | None = start_step - 1
        for pair in stored if isinstance(stored, list) else [None]:
            match pair:
                case [int(after), int() | None as until] if (
                    not isinstance(after, bool)
                    and not isinstance(until, bool)
                    and before is not None
                    and before < after
                    and (until is None or after < until < 2**31)
                ):
                    bounds.append((after, until))
                    before = until
                case _:
                    raise StoreError(f"corrupt: intervals of {name!r}: {pair!r}"[:200], path=path)
        return cls(tuple(bounds))

    @classmethod
    def always(cls, start_step: int) -> Self:
        """Return the interval of all steps after one."""
        return cls(((start_step, None),))

    def samples_until(self, step: int, interval_steps: int) -> int:
        """Return how many multiples of `interval_steps` up to a step lie in the intervals."""
        return sum(
            (step if until is None else min(step, until)) // interval_steps
            - after // interval_steps
            for after, until in self.bounds
            if after < step
        )

    def samples(self, start: int, stop: int, interval_steps: int) -> NDArray[np.int64]:
        """Return multiples of `interval_steps` in the intervals, from index `start` to `stop`."""
        samples, n_earlier = list[NDArray[np.int64]](), 0
        for after, until in self.bounds:
            count = (
                stop - n_earlier
                if until is None
                else until // interval_steps - after // interval_steps
            )
            low, high = max(start - n_earlier, 0), min(stop - n_earlier, count)
            if low < high:
                samples.append(
                    (after // interval_steps + 1 + np.arange(low, high, dtype=np.int64))
                    * interval_steps
                )
            n_earlier += count
        return np.concatenate(samples) if samples else np.empty(0, np.int64)

    def within(self, after: int, until: int) -> list[tuple[int, int]]:
        """Return the parts of the intervals in (after, until]."""
        cut = (
            (max(low, after), until if high is None else min(high, until))
            for low, high in self.bounds
        )
        return [(low, high) for low, high in cut if low < high]


def merge_intervals(intervals: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Return ascending intervals, shape (n, 2), with adjacent intervals merged."""
    merged: list[list[int]] = []
    for after, until in intervals:
        if merged and merged[-1][1] == after:
            merged[-1][1] = until
        else:
            merged.append([after, until])
    return np.array(merged, np.int64).reshape(-1, 2)


class RowSteps:
    """Steps of the rows of a stream that is being written, with gaps.

    Parameters
    ----------
    first_step : int
        Step of row 0, if the recording is on from the start.
    interval_steps : int
        Steps between rows in an interval.
    """

    def __init__(self, first_step: int, interval_steps: int) -> None:
        self._interval_steps = interval_steps
        self._starts = [(0, first_step)]

    def begin(self, row: int, step: int) -> None:
        """Declare that the next row, `row`, is the first one after a step."""
        self._starts.append((row, (step // self._interval_steps + 1) * self._interval_steps))

    def __getitem__(self, row: int) -> int:
        first, step = self._starts[
            bisect_right(self._starts, row, key=lambda start_of_rows: start_of_rows[0]) - 1
        ]
        return step + (row - first) * self._interval_steps


def read_intervals(attributes: Mapping[str, Any], *, path: str) -> dict[str, Intervals]:
    """Return the intervals of an attempt's switched recordings, by recording.

    Raises
    ------
    StoreError
        If they are corrupt.
    """
    stored, first = attributes.get("intervals", {}), attributes["start_step"]
    if not isinstance(stored, dict):
        raise StoreError("corrupt: intervals are not a table", path=path)
    return {
        str(name): Intervals.from_attribute(bounds, str(name), start_step=first, path=path)
        for name, bounds in stored.items()
    }
