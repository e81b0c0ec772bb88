"""Reads a run's store: complete, interrupted, or while ranks are still appending to it.

Only what is committed is read; an array's `shape` may have run ahead of it. The commit is read
before the array is opened, so the array is at least as long. Attempts are joined here: a later
attempt's first step bounds what the earlier ones count for.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distsnn.errors import StoreError, unknown
from distsnn.io.attempts import Attempt, FoundAttempt, RankRecord
from distsnn.io.intervals import Intervals, merge_intervals
from distsnn.io.metadata_checks import check_run
from distsnn.io.network_arrays import NETWORK, load_arrays
from distsnn.io.nodes import open_root, read_attributes, stored_layout
from distsnn.io.rank_spikes import RankSpikes, Spikes, empty_spikes, merge
from distsnn.io.schema import FORMAT, FORMAT_VERSION
from distsnn.io.spike_index import SpikeTable, plan_windows
from distsnn.io.state_reader import RankRows, RowSegment, StateRecording
from distsnn.io.weight_reader import WeightRecording

# A rank's spikes lie in chunks that are decompressed whole. Windows grow with the ranks so that
# each chunk is decompressed a few times at most, within a bounded memory.
_WINDOW = (2**20, 2**23)
_WINDOW_PER_RANK = 2**16

_RECORD = np.dtype([("step", "<i4"), ("gid", "<u4")])


class StoreReader:
    """A run's store as it was when this object was made.

    Parameters
    ----------
    path : str or PathLike
        The store.
    resuming : bool
        Leave out the first attempt of which something is lost, and later ones, instead of raising:
        a power cut may leave one so that had not been saved yet, and a run can resume without it.
        Chunks are not looked for: `verify` reads those that are needed.
    partial : bool
        Leave out what is lost, instead of raising.
    share : (int, int)
        With (i, n): of each attempt read what ranks i, i + n, ... wrote. Attempts, `metadata` and
        arrays of the description are read whole. `newest_checkpoint.open_shared_reader` makes
        readers of the shares of one store agree.

    Attributes
    ----------
    path : Path
        The store.
    metadata : dict
        Attributes of the root, as in `distsnn.io.schema`.
    attempts : tuple of Attempt
        In their order.
    complete_step : int
        The last step up to which every rank has committed everything since `first_step`.
    damage : StoreError or None
        Why attempts were left out, with `resuming`.
    superseded_damage : tuple of StoreError
        Damage in superseded steps, by which no data is lost.
    missing : tuple of StoreError
        What was left out, or has chunks that are missing, with `partial`.

    Raises
    ------
    StoreError
        If it is no run, of another format version, or what counts of it is damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        resuming: bool = False,
        partial: bool = False,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.path, self._share = Path(path), slice(share[0], None, share[1])
        self._root = open_root(self.path)
        raw = self._root.attrs.asdict()
        if raw.get("format") != FORMAT:
            raise StoreError("is not a run of distsnn", path=str(self.path))
        version = raw.get("format_version")
        if version != FORMAT_VERSION or isinstance(version, bool):
            raise StoreError(
                f"format version {str(version)[:40]}; this distsnn reads version {FORMAT_VERSION}",
                path=str(self.path),
            )
        self.metadata = read_attributes(self._root)
        check_run(self.metadata, path=str(self.path))
        self.damage: StoreError | None = None
        missing = self._missing_arrays()
        lost, gaps = self._read_attempts(self.metadata["attempts"], chunks=not resuming)
        if lost and resuming:
            self.leave_out(*lost[0])
            lost = []
        missing = [error for _, error in lost] + gaps + missing
        if missing and not partial:
            raise missing[0]
        self.missing = tuple(missing)

    def leave_out(self, index: int, damage: StoreError) -> None:
        """Leave out attempt `index` and later ones, because of this damage (with `resuming`).

        More steps of earlier attempts then count, so damage in these steps may exclude further
        attempts.
        """
        lost = [(index, damage)]
        while lost:
            index, self.damage = lost[0]
            lost, _ = self._read_attempts(index, chunks=False)

    def _read_attempts(
        self, count: int, *, chunks: bool
    ) -> tuple[list[tuple[int, StoreError]], list[StoreError]]:
        """Read the first attempts; return what is lost, by attempt, and chunks that are missing."""
        names = [f"state/{one}" for one in self.state_names]
        names += [f"weights/{one}" for one in self.weight_names]
        found, until = list[FoundAttempt](), None
        for index in reversed(range(count)):  # a later one bounds what those before it count for
            one = FoundAttempt(self._root, index, names, until, chunks, self._share)
            found.append(one)
            if one.attempt is not None:
                first = one.attempt.first_step
                until = first if until is None else min(until, first)
        found.reverse()
        self.attempts = tuple(one.attempt for one in found if one.attempt is not None)
        self.superseded_damage = tuple(error for one in found for error in one.superseded_errors)
        self.complete_step = self.first_step
        for attempt in self.attempts:
            # A gap between attempts ends what is complete.
            if attempt.first_step <= self.complete_step:
                self.complete_step = max(self.complete_step, attempt.complete_step)
        lost = [(one.index, error) for one in found for error in one.lost]
        return lost, [error for one in found for error in one.gaps]

    def _missing_arrays(self) -> list[StoreError]:
        """Return why arrays of the description cannot be read."""
        found = []
        for name in self.metadata["arrays"]:
            try:
                layout = stored_layout(self._root, f"{NETWORK}/{name}")
                gap = layout.gap(layout.shape[0] if layout.shape else 1)
                found += [] if gap is None else [gap.error]
            except StoreError as error:
                found.append(error)
        return found

    @property
    def dt(self) -> float:
        """Time step, ms."""
        return float(self.metadata["dt"])

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return sum(int(row["size"]) for row in self.metadata["populations"])

    def population(self, name: str) -> dict[str, Any]:
        """Return a population's row of the table (DescriptionError if there is none)."""
        rows = {str(row["name"]): row for row in self.metadata["populations"]}
        if name not in rows:
            raise unknown("population", name, rows, where=str(self.path))
        row: dict[str, Any] = rows[name]
        return row

    def recorded(self, population: str) -> NDArray[np.bool_]:
        """Return which neurons of a population have their spikes recorded, shape (size,)."""
        recorded = np.zeros(self.population(population)["size"], np.bool_)
        for view in self.metadata["recorded_spikes"]:
            if view["population"] == population:
                recorded[view.get("neurons", slice(view["start"], view["stop"]))] = True
        return recorded

    @property
    def complete(self) -> bool:
        """Whether the run reached its end and every rank said so."""
        return bool(self.metadata["complete"])

    @property
    def last_step(self) -> int:
        """The last step of which anything may be committed."""
        return max(
            (attempt.last for attempt in self.attempts if not attempt.is_superseded), default=0
        )

    @property
    def first_step(self) -> int:
        """The step after which the run is recorded: 0, unless it began from a checkpoint."""
        return min((attempt.first_step for attempt in self.attempts), default=0)

    def intervals(self, recording: str) -> NDArray[np.int64]:
        """Return the steps in which a recording was on, up to `complete_step`.

        Parameters
        ----------
        recording : str
            ``"spikes/POPULATION"``, ``"state/NAME"`` or ``"weights/NAME"``.

        Returns
        -------
        ndarray of int64, shape (n, 2)
            Intervals (after, until], ascending and apart. In all other steps nothing was recorded,
            whatever happened.

        Raises
        ------
        DescriptionError
            If there is no such recording.
        """
        known = self.recordings
        if recording not in known:
            raise unknown("recording", recording, known, where=str(self.path))
        found: list[tuple[int, int]] = []
        for attempt in self.attempts:
            on = attempt.intervals.get(recording, Intervals.always(attempt.first_step))
            found += on.within(attempt.first_step, min(attempt.complete_step, self.complete_step))
        return merge_intervals(found)

    @property
    def recordings(self) -> list[str]:
        """All recordings, as `intervals` names them."""
        populations = dict.fromkeys(str(v["population"]) for v in self.metadata["recorded_spikes"])
        return [
            *(f"spikes/{name}" for name in populations),
            *(f"state/{name}" for name in self.state_names),
            *(f"weights/{name}" for name in self.weight_names),
        ]

    def reaches(self, step: int) -> bool:
        """Return whether a run that goes on after a step leaves no gap in what is recorded.

        Where there is no attempt nothing has been recorded yet, so nothing can be missing. Of an
        attempt that cannot be read that is not known: what it and later ones saved is not used.
        """
        return not (self.attempts or self.damage) or step <= self.complete_step

    @property
    def n_committed(self) -> int:
        """Number of committed spikes, counting those in superseded steps; reads no spikes."""
        return sum(s.table.rows for attempt in self.attempts for s in _spikes_of(attempt))

    @cached_property
    def n_spikes(self) -> int:
        """Number of committed spikes that count."""
        total = 0
        for attempt in self.attempts:
            for spikes in _spikes_of(attempt):
                total += spikes.rows_until(attempt.last) - spikes.rows_until(attempt.first_step)
        return total

    def verify(self, step: int, *, after: int = 0) -> None:
        """Check the recordings of all that counts up to a step: of every chunk size and header.

        Parameters
        ----------
        step : int
            The step.
        after : int
            Chunks of what is stamped later than this are read.

        Raises
        ------
        StoreError
            If a chunk is missing or damaged.
        """
        recordings = (
            (recording, step if attempt.until_step is None else min(step, attempt.until_step))
            for attempt in self.attempts
            for rank in attempt.ranks
            for recording in (rank.spikes, *rank.states.values(), *rank.weights.values())
            if recording is not None and attempt.first_step < step and not attempt.is_superseded
        )
        for recording, until in recordings:
            for layout, _, count in recording.layouts(until):
                layout.check_chunks(count)
            if until <= after:
                continue
            for array, first in recording.arrays(after, until):
                begin = first // array.chunk_rows * array.chunk_rows
                for start in range(begin, array.rows, array.chunk_rows):
                    array.load(start, min(start + array.chunk_rows, array.rows))

    def network(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the network's description: its JSON and its arrays."""
        return self.metadata["network"], load_arrays(self._root, self.metadata["arrays"])

    def windows(
        self,
        first: int = 0,
        last: int | None = None,
        *,
        target: int | None = None,
        align: int = 1,
    ) -> list[tuple[int, int]]:
        """Cut steps (first, last] into windows of about equally many spikes, reading none.

        Parameters
        ----------
        first, last : int
            The range, steps; by default all that is committed.
        target : int, optional
            Spikes per window, about.
        align : int
            Windows start at `first` plus multiples of this, steps.

        Returns
        -------
        list of (int, int)
            Windows (after, until] without gaps.
        """
        last = self.last_step if last is None else last
        pieces: list[tuple[SpikeTable, int, int]] = []
        for attempt in self.attempts:
            pieces += [(s.table, attempt.first_step, attempt.last) for s in _spikes_of(attempt)]
        if target is None:
            target = int(np.clip(len(pieces) * _WINDOW_PER_RANK, *_WINDOW))
        return plan_windows(pieces, first, last, target=target, align=align)

    def estimate_spikes(self, first: int = 0, last: int | None = None) -> float:
        """Return about how many spikes are stamped in (first, last], reading none."""
        last = self.last_step if last is None else last
        total = 0.0
        for attempt in self.attempts:
            low, high = max(first, attempt.first_step), min(last, attempt.last)
            for spikes in _spikes_of(attempt) if low < high else ():
                below, upto = spikes.table.estimate(np.array([low, high], dtype=np.int64))
                total += float(upto - below)
        return total

    def spikes(self, first: int = 0, last: int | None = None) -> Spikes:
        """Load the spikes stamped in (first, last], merged over ranks and attempts.

        Parameters
        ----------
        first, last : int
            Steps; `first` itself is outside. By default all that is committed.

        Returns
        -------
        (ndarray of int32, ndarray of uint32)
            Stamps (steps) and gids, in the order of (step, gid).

        Raises
        ------
        StoreError
            If chunks are missing or damaged.
        """
        last = self.last_step if last is None else last
        merged = []
        for attempt in self.attempts:
            low, high = max(first, attempt.first_step), min(last, attempt.last)
            if low < high:
                merged.append(merge([s.read(low, high) for s in _spikes_of(attempt)]))
        if not merged:
            return empty_spikes()
        step = np.concatenate([part[0] for part in merged])
        gid = np.concatenate([part[1] for part in merged])
        if len(gid) and int(gid.max()) >= self.n_neurons:
            raise StoreError(f"damaged: gid {int(gid.max())} is no neuron", path=str(self.path))
        return step, gid

    def iterate_spikes(
        self, first: int = 0, last: int | None = None, *, target: int | None = None
    ) -> Iterator[Spikes]:
        """Yield the merged spikes window by window, in bounded memory."""
        for low, high in self.windows(first, last, target=target):
            yield self.spikes(low, high)

    def spike_hash(self) -> str:
        """Return the SHA-256, in hexadecimal, of all committed spikes.

        Hashed are 8-byte records, step as int32 and gid as uint32, both little-endian, in the
        order of (step, gid): equal for equal recordings, whatever the number of ranks or attempts.
        Bounded memory.
        """
        digest = hashlib.sha256()
        for step, gid in self.iterate_spikes():
            records = np.empty(len(step), _RECORD)
            records["step"], records["gid"] = step, gid
            digest.update(records.tobytes())
        return digest.hexdigest()

    @property
    def state_names(self) -> list[str]:
        """Names of the state recordings."""
        return [str(view["name"]) for view in self.metadata["recorded_states"]]

    def state(self, name: str) -> StateRecording:
        """Return a state recording joined over ranks and attempts, without loading it.

        Raises
        ------
        DescriptionError
            If there is no such recording.
        StoreError
            If it is damaged.
        """
        segments = _segments(self.attempts, f"state/{name}", lambda rank: rank.states.get(name))
        return StateRecording.of(self.metadata, name, segments, path=str(self.path))

    @property
    def weight_names(self) -> list[str]:
        """Names of the weight recordings."""
        return [str(view["name"]) for view in self.metadata.get("recorded_weights", [])]

    def weights(self, name: str) -> WeightRecording:
        """Return a weight recording joined over ranks and attempts, with its synapses alone loaded.

        Raises
        ------
        DescriptionError
            If there is no such recording.
        StoreError
            If it is damaged.
        """
        segments = _segments(self.attempts, f"weights/{name}", lambda rank: rank.weights.get(name))
        return WeightRecording.of(self.metadata, name, segments, path=str(self.path))


def _segments(
    attempts: Sequence[Attempt], group: str, part_of: Callable[[RankRecord], RankRows | None]
) -> list[RowSegment]:
    found = []
    for attempt in attempts:
        parts = [part_of(rank) for rank in attempt.ranks]
        present = tuple(part for part in parts if part is not None)
        lost = sum(group in rank.lost for rank in attempt.ranks)
        # Rows are valid where every rank has them, or has lost them.
        whole = len(present) + lost == len(parts)
        found.append(
            RowSegment(present, attempt.first_step, attempt.until_step, whole, lost=lost > 0)
        )
    return found


def _spikes_of(attempt: Attempt) -> list[RankSpikes]:
    return [rank.spikes for rank in attempt.ranks if rank.spikes is not None]
