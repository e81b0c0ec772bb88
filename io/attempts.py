"""A run's attempts: what their ranks wrote, as far as it can be read, and what is lost.

The store lists its attempts, and an attempt the groups that each rank has. What is listed and is
not there, or is shorter than what was committed, is lost. Steps that a later attempt simulated
again are superseded: damage in them loses no data.
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
from distsnn.io.nodes import location, stored_attributes
from distsnn.io.rank_spikes import RankSpikes
from distsnn.io.schema import attempt_path, rank_path
from distsnn.io.state_reader import RankRows

_Part = TypeVar("_Part", RankSpikes, RankRows)


@dataclass(frozen=True)
class RankRecord:
    """What one rank wrote in one attempt.

    Attributes
    ----------
    attempt, rank : int
        Which.
    started : bool
        Whether the rank has created its group.
    status : str
        "running", "complete", "stopped: …" or "failed: …"; "not started".
    timing : dict of str to float
        Wall time by phase, s.
    memory : dict
        ``peak_rss_bytes`` and more.
    counted : dict
        What it was connected to and exchanged, as in `distsnn.io.schema`; empty if not noted.
    spikes : RankSpikes or None
        Its spikes, lazily opened.
    states, weights : dict of str to RankRows
        Its recordings of states and of weights, lazily opened.
    lost : frozenset of str
        Groups that the attempt lists and that cannot be read, such as "spikes" or "state/V".
    """

    attempt: int
    rank: int
    started: bool
    status: str
    timing: dict[str, float]
    memory: dict[str, Any]
    counted: dict[str, Any]
    spikes: RankSpikes | None
    states: dict[str, RankRows]
    weights: dict[str, RankRows]
    lost: frozenset[str] = frozenset()

    def with_intervals(self, intervals: Mapping[str, Intervals]) -> Self:
        """Return the same with the steps in which recordings that were switched were on."""
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
        """All that this rank recorded up to this step is committed (-1: nothing can be said)."""
        return -1 if self.spikes is None else self.spikes.table.committed_step

    @property
    def last_step(self) -> int:
        """The last step of which this rank has committed anything (-1: none)."""
        return -1 if self.spikes is None else self.spikes.table.last_step


@dataclass(frozen=True)
class Attempt:
    """One start of the run, and the steps (first_step, until_step] for which it counts.

    ``ranks`` are the records of its ``n_ranks`` ranks, or of a share of them. ``until_step`` is
    None for the last attempt: it counts for all that it recorded. ``saved`` is the number of the
    last checkpoint generation that it wrote (None: none). ``intervals`` are the steps in which
    recordings that were switched were on.
    """

    index: int
    n_ranks: int
    ranks: tuple[RankRecord, ...]
    first_step: int
    until_step: int | None
    assignment: dict[str, Any]
    versions: dict[str, Any]
    saved: int | None
    intervals: Mapping[str, Intervals] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The last step that any rank may have committed and that counts, or first_step."""
        steps = max((rank.last_step for rank in self.ranks), default=-1)
        return max(self.first_step, self._bounded(steps))

    @property
    def complete_step(self) -> int:
        """Everything up to this step that counts is committed by all ranks; or first_step.

        Ranks whose spikes are lost do not count.
        """
        kept = (rank.committed_step for rank in self.ranks if "spikes" not in rank.lost)
        # a share of ranks may be empty: nothing is missing of it
        steps = min(kept, default=-1) if self.ranks else LAST_STEP
        return max(self.first_step, self._bounded(steps))

    @property
    def is_superseded(self) -> bool:
        """Whether a later attempt began where this one did, or before."""
        return self.until_step is not None and self.until_step <= self.first_step

    def _bounded(self, step: int) -> int:
        return step if self.until_step is None else min(step, self.until_step)


@dataclass
class FoundAttempt:
    """What can be read of one attempt that the store lists, and why the rest cannot.

    Attributes
    ----------
    until : int or None
        The step after which a later attempt counts (None: there is none).
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
            # what ranks have committed since was noted before
            attributes = self._read(attempt_path(self.index), check_attempt, listed=True)
            if attributes is None:
                return
            intervals = read_intervals(attributes, path=path)
            ranks = [rank.with_intervals(intervals) for rank in ranks]
        self.attempt = Attempt(
            index=self.index,
            n_ranks=n_ranks,
            ranks=tuple(ranks),
            first_step=attributes["first_step"],
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
        """Return a group's attributes; None if it is missing, which is noted if it is listed."""
        try:
            # the quick question first: an attempt may claim more ranks than there are
            where = location(self.root, path)
            there = os.path.lexists(Path(where, METADATA))
            attributes = stored_attributes(self.root, path) if there else None
            if attributes is not None:
                check(attributes, path=where)
                return attributes
            if listed:
                raise StoreError("damaged: the group is missing", path=where)
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
        about = self._read(path, partial(check_rank, ranks=ranks), listed=listed is not None)
        if about is None:
            status, groups = "not started", frozenset[str]()
            if len(self.lost) > before:
                status, groups = "missing", frozenset(listed or ())
            return RankRecord(self.index, rank, False, status, {}, {}, {}, None, {}, {}, groups)
        lost = set[str]()
        spikes = self._part(f"{path}/spikes", RankSpikes.of, listed or (), lost)
        # Asked for by name: a folder that is listed while its rank fills it shows half-made groups.
        rows = {
            name: self._part(
                f"{path}/{name}", partial(RankRows.of, on=intervals.get(name)), listed or (), lost
            )
            for name in self.names
        }
        found: dict[str, dict[str, RankRows]] = {"state": {}, "weights": {}}
        for name, part in rows.items():
            if part is not None:
                folder, _, own = name.partition("/")
                found[folder][own] = part
        return RankRecord(
            self.index,
            rank,
            True,
            about["status"],
            about.get("timing", {}),
            about.get("memory", {}),
            about.get("counted", {}),
            spikes,
            found["state"],
            found["weights"],
            frozenset(lost),
        )

    def _part(
        self,
        path: str,
        read: Callable[[zarr.Group, str], _Part | None],
        listed: Collection[str],
        lost: set[str],
    ) -> _Part | None:
        """Return a rank's recording; None if it is missing or, which is noted, cannot be read."""
        name = path.split("/", 2)[2]
        try:
            part = read(self.root, path)
            # until it is listed its rank may still be making it
            if name in listed:
                if part is None:
                    where = location(self.root, path)
                    raise StoreError("damaged: the group is missing", path=where)
                for layout, rows, count in part.layouts(self.until):
                    gap = layout.gap(rows) if self.chunks else None
                    if gap is not None:
                        (self.gaps if gap.row < count else self.superseded_errors).append(gap.error)
        except StoreError as error:
            self.lost.append(error)
            lost.add(name)
            return None
        return part
