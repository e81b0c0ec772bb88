"""The steps in which a recording was on: a script may switch it off and on between run calls."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from distsnn.errors import StoreError


@dataclass(frozen=True)
class Intervals:
    """Intervals (after, until] of steps, ascending and apart; the last may have no end (None)."""

    bounds: tuple[tuple[int, int | None], ...]

    @classmethod
    def of(cls, given: Any, name: str, *, first_step: int, path: str) -> Self:
        """Read the intervals that an attempt notes of a recording.

        Raises
        ------
        StoreError
            If they cannot be.
        """
        found: list[tuple[int, int | None]] = []
        before: int | None = first_step - 1
        for one in given if isinstance(given, list) else [None]:
            match one:
                case [int(after), int() | None as until] if (
                    not isinstance(after, bool)
                    and not isinstance(until, bool)
                    and before is not None
                    and before < after
                    and (until is None or after < until < 2**31)
                ):
                    found.append((after, until))
                    before = until
                case _:
                    raise StoreError(f"damaged: intervals of {name!r}: {one!r}"[:200], path=path)
        return cls(tuple(found))

    @classmethod
    def always(cls, first_step: int) -> Self:
        """Return the interval of all steps after one."""
        return cls(((first_step, None),))

    def samples_until(self, step: int, every: int) -> int:
        """Return how many multiples of `every` up to a step lie in the intervals."""
        return sum(
            (step if until is None else min(step, until)) // every - after // every
            for after, until in self.bounds
            if after < step
        )

    def samples(self, start: int, stop: int, every: int) -> NDArray[np.int64]:
        """Return multiples of `every` in the intervals, from number `start` to `stop`."""
        found, number = list[NDArray[np.int64]](), 0
        for after, until in self.bounds:
            count = stop - number if until is None else until // every - after // every
            low, high = max(start - number, 0), min(stop - number, count)
            if low < high:
                found.append((after // every + 1 + np.arange(low, high, dtype=np.int64)) * every)
            number += count
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def within(self, after: int, until: int) -> list[tuple[int, int]]:
        """Return the parts of the intervals in (after, until]."""
        cut = (
            (max(low, after), until if high is None else min(high, until))
            for low, high in self.bounds
        )
        return [(low, high) for low, high in cut if low < high]


def merge_intervals(given: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Return ascending intervals, shape (n, 2), those that meet as one."""
    found: list[list[int]] = []
    for after, until in given:
        if found and found[-1][1] == after:
            found[-1][1] = until
        else:
            found.append([after, until])
    return np.array(found, np.int64).reshape(-1, 2)


class RowStamps:
    """Steps of a stream's rows while it is written: some follow a gap.

    Parameters
    ----------
    first_step : int
        Step of row 0, if it is on from the begin.
    every : int
        Steps between rows in an interval.
    """

    def __init__(self, first_step: int, every: int) -> None:
        self._every = every
        self._pieces = [(0, first_step)]

    def begin(self, row: int, step: int) -> None:
        """Take note that `row`, the next, is the first one stamped later than a step."""
        self._pieces.append((row, (step // self._every + 1) * self._every))

    def __getitem__(self, row: int) -> int:
        first, step = self._pieces[bisect_right(self._pieces, row, key=lambda one: one[0]) - 1]
        return step + (row - first) * self._every


def read_intervals(attributes: Mapping[str, Any], *, path: str) -> dict[str, Intervals]:
    """Return the intervals of an attempt's recordings that were switched, by recording.

    Raises
    ------
    StoreError
        If they cannot be.
    """
    noted, first = attributes.get("intervals", {}), attributes["first_step"]
    if not isinstance(noted, dict):
        raise StoreError("damaged: intervals are no table", path=path)
    return {
        str(name): Intervals.of(given, str(name), first_step=first, path=path)
        for name, given in noted.items()
    }
