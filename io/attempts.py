"""Attempts of a run: the readable data of their ranks, and missing data.

The store lists its attempts, and an attempt lists the groups of each rank. A listed group is lost
if it is missing or shorter than its committed rows. Steps that a later attempt simulated again are
superseded: corruption in them loses no data.
"""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import zarr

from distsnn.errors import StoreError
from distsnn.io.intervals import Intervals, read_intervals
from distsnn.io.metadata_checks import LAST_STEP, check_attempt, check_rank
from distsnn.io.node_files import METADATA
from distsnn.io.rank_spikes import RankSpikes
from distsnn.io.schema import attempt_path, rank_path
from distsnn.io.state_reader import RankRows
from distsnn.io.zarr_nodes import location, stored_attributes

_Part = TypeVar("_Part", RankSpikes, RankRows)


@dataclass(frozen=True)
class RankRecord:
    """The data of one rank in one attempt.

    Attributes
    ----------
    attempt, rank : int
        Indices.
    started : bool
        Whether the rank has created its group.
    status : str
        "running", "complete", "stopped: …" or "failed: …"; "not started".
    timing : dict of str to float
        Wall time by phase, s.
    memory : dict
        ``peak_rss_bytes`` and more.
    counters : dict
        Counters of its connections and exchanges, as in `distsnn.io.schema`; empty if missing.
    spikes : RankSpikes or None
        Its spikes, lazily opened.
    states, weights : dict of str to RankRows
        Its recordings of states and of weights, lazily opened.
    lost : frozenset of str
        Listed groups that cannot be read, such as "spikes" or "state/V".
    """

    attempt: int
    rank: int
    started: bool
    status: str
    timing: dict[str, float]
    memory: dict[str, Any]
    counters: dict[str, Any]
    spikes: RankSpikes | None
    states: dict[str, RankRows]
    weights: dict[str, RankRows]
    lost: frozenset[str] = frozenset()

    def with_intervals(self, intervals: Mapping[str, Intervals]) -> Self:
        """Return a copy with the intervals of switched recordings."""
        states, weights = (
            {
                name: replace(part, on=intervals.get(f"{folder}/{name}", part.on))
                for name, part in parts.items()
            }
            for folder, parts in (("state", self.states), ("weights", self.weights))
        )
        return replace(self, states=states, weights=weights)

    @property
    def committed_step(self) -> int:
        """All recorded data of this rank up to this step is committed (-1: unknown)."""
        return -1 if self.spikes is None else self.spikes.table.committed_step

    @property
    def last_step(self) -> int:
        """The last step with committed data of this rank (-1: none)."""
        return -1 if self.spikes is None else self.spikes.table.last_step


@dataclass(frozen=True)
class Attempt:
    """One start of the run, valid for steps (start_step, until_step].

    ``ranks`` are the records of its ``n_ranks`` ranks, or of a share of them. ``until_step`` is
    None for the last attempt, which is valid for all its steps. ``saved`` is the number of the
    last checkpoint generation that it wrote (None: none). ``intervals`` are the intervals of
    switched recordings.
    """

    index: int
    n_ranks: int
    ranks: tuple[RankRecord, ...]
    start_step: int
    until_step: int | None
    assignment: dict[str, Any]
    versions: dict[str, Any]
    saved: int | None
    intervals: Mapping[str, Intervals] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The last valid step that any rank may have committed, or start_step."""
        steps = max((rank.last_step for rank in self.ranks), default=-1)
        return max(self.start_step, self._bounded(steps))

    @property
    def complete_step(self) -> int:
        """All ranks have committed their valid data up to this step; at least start_step.

        Ranks with lost spikes are ignored.
        """
        steps_of_ranks = (rank.committed_step for rank in self.ranks if "spikes" not in rank.lost)
        # a share of ranks may be empty: it misses no data
        steps = min(steps_of_ranks, default=-1) if self.ranks else LAST_STEP
        return max(self.start_step, self._bounded(steps))

    @property
    def is_superseded(self) -> bool:
        """Whether a later attempt started at the same step or earlier."""
        return self.until_step is not None and self.until_step <= self.start_step

    def _bounded(self, step: int) -> int:
        return step if self.until_step is None else min(step, self.until_step)


@dataclass
class FoundAttempt:
    """The readable data of a listed attempt, and the errors of the other data.

    Attributes
    ----------
    until : int or None
        First step of a later attempt (None: no later attempt).
    share : slice
        The ranks to read.
    attempt : Attempt or None
        None if the attempt itself cannot be read.
    lost, gaps : list of StoreError
        Groups and arrays that cannot be read; committed chunks that are missing, with `chunks`.
    superseded_errors : list of StoreError
        The same in superseded steps.
    """

    root: zarr.Group
    index: int
    names: Collection[str]
    until: int | None
    chunks: bool
    share: slice
    attempt: Attempt | None = None
    lost: list[StoreError] = field(default_factory=list)
    gaps: list[StoreError] = field(default_factory=list)
    superseded_errors: list[StoreError] = field(default_factory=list)

    def __post_init__(self) -> None:
        attributes = self._read(attempt_path(self.index), check_attempt, listed=True)
        if attributes is None:
            return
        n_ranks = int(attributes["ranks"])
        recordings = attributes.get("recordings")
        path = location(self.root, attempt_path(self.index))
        intervals = read_intervals(attributes, path=path)
        ranks = [
            self._open_rank(rank, n_ranks, recordings, intervals)
            for rank in range(n_ranks)[self.share]
        ]
        if self.until is None:
            # read again: ranks may have committed rows of newer intervals
            attributes = self._read(attempt_path(self.index), check_attempt, listed=True)
            if attributes is None:
                return
            intervals = read_intervals(attributes, path=path)
            ranks = [rank.with_intervals(intervals) for rank in ranks]
        self.attempt = Attempt(
            index=self.index,
            n_ranks=n_ranks,
            ranks=tuple(ranks),
            start_step=attributes["start_step"],
            until_step=self.until,
            assignment=attributes["assignment"],
            versions=attributes["versions"],
            saved=attributes.get("saved"),
            intervals=intervals,
        )
        if self.attempt.is_superseded:
            self.superseded_errors += self.lost + self.gaps
            self.lost, self.gaps = [], []

    def _read(
        self, path: str, check: Callable[..., None], *, listed: bool
    ) -> dict[str, Any] | None:
        """Return a group's attributes, or None; a missing listed group is an error."""
        try:
            # the fast check first: an attempt may declare more ranks than exist
            where = location(self.root, path)
            exists = os.path.lexists(Path(where, METADATA))
            attributes = stored_attributes(self.root, path) if exists else None
            if attributes is not None:
                check(attributes, path=where)
                return attributes
            if listed:
                raise StoreError("corrupt: the group is missing", path=where)
        except StoreError as error:
            self.lost.append(error)
        return None

    def _open_rank(
        self,
        rank: int,
        ranks: int,
        listed: list[str] | None,
        intervals: Mapping[str, Intervals],
    ) -> RankRecord:
        path = rank_path(self.index, rank)
        before = len(self.lost)
        attributes = self._read(path, partial(check_rank, ranks=ranks), listed=listed is not None)
        if attributes is None:
            status, groups = "not started", frozenset[str]()
            if len(self.lost) > before:
                status, groups = "missing", frozenset(listed or ())
            return RankRecord(self.index, rank, False, status, {}, {}, {}, None, {}, {}, groups)
        lost = set[str]()
        spikes = self._part(f"{path}/spikes", RankSpikes.of, listed or (), lost)
        # Opened by name: a listing may contain incomplete groups while the rank writes.
        rows = {
            name: self._part(
                f"{path}/{name}", partial(RankRows.of, on=intervals.get(name)), listed or (), lost
            )
            for name in self.names
        }
        recordings: dict[str, dict[str, RankRows]] = {"state": {}, "weights": {}}
        for name, part in rows.items():
            if part is not None:
                folder, _, recording = name.partition("/")
                recordings[folder][recording] = part
        return RankRecord(
            self.index,
            rank,
            True,
            attributes["status"],
            attributes.get("timing", {}),
            attributes.get("memory", {}),
            attributes.get("counters", {}),
            spikes,
            recordings["state"],
            recordings["weights"],
            frozenset(lost),
        )

    def _part(
        self,
        path: str,
        read: Callable[[zarr.Group, str], _Part | None],
        listed: Collection[str],
        lost: set[str],
    ) -> _Part | None:
        """Return a rank's recording, or None if it is missing or unreadable (an error)."""
        name = path.split("/", 2)[2]
        try:
            part = read(self.root, path)
            # its rank may still be creating an unlisted group
            if name in listed:
                if part is None:
                    where = location(self.root, path)
                    raise StoreError("corrupt: the group is missing", path=where)
                for layout, rows, count in part.layouts(self.until):
                    gap = layout.gap(rows) if self.chunks else None
                    if gap is not None:
                        (self.gaps if gap.row < count else self.superseded_errors).append(gap.error)
        except StoreError as error:
            self.lost.append(error)
            lost.add(name)
            return None
        return part
