"""Reader of a run store: complete, interrupted, or while ranks are appending to it.

Only committed rows are read; the `shape` of an array may be larger. The commit is read before the
array is opened, so the array is at least as long. The reader joins attempts: the first step of a
later attempt bounds the valid steps of earlier ones.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distsnn.errors import StoreError, unknown_name_error
from distsnn.io.attempts import Attempt, FoundAttempt, RankRecord
from distsnn.io.intervals import Intervals, merge_intervals
from distsnn.io.metadata_checks import check_run
from distsnn.io.network_arrays import NETWORK, load_arrays
from distsnn.io.rank_spikes import RankSpikes, Spikes, empty_spikes, merge
from distsnn.io.schema import FORMAT, FORMAT_VERSION
from distsnn.io.spike_index import SpikeTable, plan_windows
from distsnn.io.state_reader import RankRows, RowSegment, StateRecording, named_recording
from distsnn.io.sum_reader import SumRecording
from distsnn.io.weight_reader import WeightRecording
from distsnn.io.zarr_nodes import open_root, read_attributes, stored_layout

# The spikes of a rank are in chunks that are decompressed as a whole. Windows grow with the number
# of ranks, so that each chunk is decompressed at most a few times, within a bounded memory.
_WINDOW = (2**20, 2**23)
_WINDOW_PER_RANK = 2**16

_RECORD = np.dtype([("step", "<i4"), ("gid", "<u4")])


class StoreReader:
    """A run store at the time when this object was created.

    Parameters
    ----------
    path : str or PathLike
        The store.
    skip_damaged_attempts : bool
        Exclude the first attempt with missing data, and later attempts, instead of raising an
        error: a power cut may leave an incomplete attempt without a checkpoint, and a run can
        resume without it. Chunks are not checked: `verify` reads the required ones.
    partial : bool
        Exclude missing data instead of raising an error.
    share : (int, int)
        With (i, n): of each attempt, read the data of ranks i, i + n, ... only. Attempts,
        `metadata` and arrays of the description are read completely.
        `newest_checkpoint.open_shared_reader` makes readers of the shares of one store agree.

    Attributes
    ----------
    path : Path
        The store.
    metadata : dict
        Attributes of the root, as in `distsnn.io.schema`.
    attempts : tuple of Attempt
        In order.
    complete_step : int
        The last step up to which every rank has committed everything since `start_step`.
    damage : StoreError or None
        Reason for excluding attempts, with `skip_damaged_attempts`.
    superseded_damage : tuple of StoreError
        Corruption in superseded steps, which loses no data.
    missing : tuple of StoreError
        Excluded groups and arrays, and missing chunks, with `partial`.

    Raises
    ------
    StoreError
        If it is not a run, has another format version, or its valid data is corrupt.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        skip_damaged_attempts: bool = False,
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
        lost, gaps = self._read_attempts(
            self.metadata["attempts"], chunks=not skip_damaged_attempts
        )
        if lost and skip_damaged_attempts:
            self.leave_out(*lost[0])
            lost = []
        missing = [error for _, error in lost] + gaps + missing
        if missing and not partial:
            raise missing[0]
        self.missing = tuple(missing)

    def leave_out(self, index: int, damage: StoreError) -> None:
        """Exclude attempt `index` and later ones, because of this corruption (with `resuming`).

        More steps of earlier attempts then become valid, so corruption in these steps may exclude
        further attempts.
        """
        lost = [(index, damage)]
        while lost:
            index, self.damage = lost[0]
            lost, _ = self._read_attempts(index, chunks=False)

    def _read_attempts(
        self, count: int, *, chunks: bool
    ) -> tuple[list[tuple[int, StoreError]], list[StoreError]]:
        """Read the first attempts; return errors by attempt, and errors of missing chunks."""
        names = [f"state/{name}" for name in self.state_names]
        names += [f"weights/{name}" for name in self.weight_names]
        results, until = list[FoundAttempt](), None
        for index in reversed(
            range(count)
        ):  # a later attempt bounds the valid steps of earlier ones
            result = FoundAttempt(self._root, index, names, until, chunks, self._share)
            results.append(result)
            if result.attempt is not None:
                first = result.attempt.start_step
                until = first if until is None else min(until, first)
        results.reverse()
        self.attempts = tuple(result.attempt for result in results if result.attempt is not None)
        self.superseded_damage = tuple(
            error for result in results for error in result.superseded_errors
        )
        self.complete_step = self.start_step
        for attempt in self.attempts:
            # A gap between attempts ends the complete recording.
            if attempt.start_step <= self.complete_step:
                self.complete_step = max(self.complete_step, attempt.complete_step)
        lost = [(result.index, error) for result in results for error in result.lost]
        return lost, [error for result in results for error in result.gaps]

    def _missing_arrays(self) -> list[StoreError]:
        """Return the errors of arrays of the description that cannot be read."""
        errors = []
        for name in self.metadata["arrays"]:
            try:
                layout = stored_layout(self._root, f"{NETWORK}/{name}")
                gap = layout.gap(layout.shape[0] if layout.shape else 1)
                errors += [] if gap is None else [gap.error]
            except StoreError as error:
                errors.append(error)
        return errors

    @property
    def dt(self) -> float:
        """Time step, ms."""
        return float(self.metadata["dt"])

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return sum(int(row["size"]) for row in self.metadata["populations"])

    def population(self, name: str) -> dict[str, Any]:
        """Return a population's row of the table (DescriptionError if it does not exist)."""
        rows = {str(row["name"]): row for row in self.metadata["populations"]}
        if name not in rows:
            raise unknown_name_error("population", name, rows, where=str(self.path))
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
        """Whether the run reached its end on every rank."""
        return bool(self.metadata["complete"])

    @property
    def last_step(self) -> int:
        """The last step that may have committed data."""
        return max(
            (attempt.last for attempt in self.attempts if not attempt.is_superseded), default=0
        )

    @property
    def start_step(self) -> int:
        """The step after which the run is recorded: 0, unless it started from a checkpoint."""
        return min((attempt.start_step for attempt in self.attempts), default=0)

    def intervals(self, recording: str) -> NDArray[np.int64]:
        """Return the steps in which a recording was on, up to `complete_step`.

        Parameters
        ----------
        recording : str
            ``"spikes/POPULATION"``, ``"state/NAME"`` or ``"weights/NAME"``.

        Returns
        -------
        ndarray of int64, shape (n, 2)
            Intervals (after, until], ascending and disjoint. The recording was off in all other
            steps.

        Raises
        ------
        DescriptionError
            If the recording does not exist.
        """
        valid_names = self.recordings
        if recording not in valid_names:
            raise unknown_name_error("recording", recording, valid_names, where=str(self.path))
        bounds: list[tuple[int, int]] = []
        for attempt in self.attempts:
            on = attempt.intervals.get(recording, Intervals.always(attempt.start_step))
            bounds += on.within(attempt.start_step, min(attempt.complete_step, self.complete_step))
        return merge_intervals(bounds)

    @property
    def recordings(self) -> list[str]:
        """All recordings, as `intervals` names them."""
        populations = dict.fromkeys(str(v["population"]) for v in self.metadata["recorded_spikes"])
        return [
            *(f"spikes/{name}" for name in populations),
            *(f"state/{name}" for name in self.state_names),
            *(f"weights/{name}" for name in self.weight_names),
        ]

    def is_recorded_until(self, step: int) -> bool:
        """Return whether a run that continues after a step leaves no gap in the recordings.

        Without attempts nothing has been recorded, so nothing can be missing. For an unreadable
        attempt this is unknown: its checkpoints and later ones are not used.
        """
        return not (self.attempts or self.damage) or step <= self.complete_step

    @property
    def n_committed(self) -> int:
        """Number of committed spikes, including superseded steps; reads no spikes."""
        return sum(s.table.rows for attempt in self.attempts for s in _spikes_of(attempt))

    @cached_property
    def n_spikes(self) -> int:
        """Number of committed spikes, without superseded steps."""
        total = 0
        for attempt in self.attempts:
            for spikes in _spikes_of(attempt):
                total += spikes.rows_until(attempt.last) - spikes.rows_until(attempt.start_step)
        return total

    def verify(self, step: int, *, after: int = 0) -> None:
        """Check sizes and headers of all chunks of the valid recordings up to a step.

        Parameters
        ----------
        step : int
            The step.
        after : int
            Chunks with later rows are read completely.

        Raises
        ------
        StoreError
            If a chunk is missing or corrupt.
        """
        recordings = (
            (recording, step if attempt.until_step is None else min(step, attempt.until_step))
            for attempt in self.attempts
            for rank in attempt.ranks
            for recording in (rank.spikes, *rank.states.values(), *rank.weights.values())
            if recording is not None and attempt.start_step < step and not attempt.is_superseded
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
        """Divide steps (first, last] into windows of similar size, without reading spikes.

        Parameters
        ----------
        first, last : int
            The range, steps; by default all that is committed.
        target : int, optional
            Approximate number of spikes per window.
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
            pieces += [(s.table, attempt.start_step, attempt.last) for s in _spikes_of(attempt)]
        if target is None:
            target = int(np.clip(len(pieces) * _WINDOW_PER_RANK, *_WINDOW))
        return plan_windows(pieces, first, last, target=target, align=align)

    def estimate_spikes(self, first: int = 0, last: int | None = None) -> float:
        """Return the approximate number of spikes in steps (first, last], from the index."""
        last = self.last_step if last is None else last
        total = 0.0
        for attempt in self.attempts:
            low, high = max(first, attempt.start_step), min(last, attempt.last)
            for spikes in _spikes_of(attempt) if low < high else ():
                below, upto = spikes.table.estimate(np.array([low, high], dtype=np.int64))
                total += float(upto - below)
        return total

    def spikes(self, first: int = 0, last: int | None = None) -> Spikes:
        """Load the spikes in steps (first, last], merged over ranks and attempts.

        Parameters
        ----------
        first, last : int
            Steps, without `first`. By default, all committed steps.

        Returns
        -------
        (ndarray of int32, ndarray of uint32)
            Steps and gids, in the order of (step, gid).

        Raises
        ------
        StoreError
            If chunks are missing or corrupt.
        """
        last = self.last_step if last is None else last
        merged = []
        for attempt in self.attempts:
            low, high = max(first, attempt.start_step), min(last, attempt.last)
            if low < high:
                merged.append(merge([s.read(low, high) for s in _spikes_of(attempt)]))
        if not merged:
            return empty_spikes()
        step = np.concatenate([part[0] for part in merged])
        gid = np.concatenate([part[1] for part in merged])
        if len(gid) and int(gid.max()) >= self.n_neurons:
            raise StoreError(f"corrupt: gid {int(gid.max())} is not a neuron", path=str(self.path))
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
        order of (step, gid): equal for equal recordings, for any number of ranks and attempts. The
        memory is bounded.
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

    def state(self, name: str) -> StateRecording | SumRecording:
        """Return a state recording joined over ranks and attempts, without loading it.

        Recordings with ``reduce`` are returned as SumRecording.

        Raises
        ------
        DescriptionError
            If the recording does not exist.
        StoreError
            If it is corrupt.
        """
        segments = _segments(self.attempts, f"state/{name}", lambda rank: rank.states.get(name))
        view, *_ = named_recording(self.metadata, name, path=str(self.path))
        kind = SumRecording if view.get("reduce") else StateRecording
        return kind.of(self.metadata, name, segments, path=str(self.path))

    @property
    def weight_names(self) -> list[str]:
        """Names of the weight recordings."""
        return [str(view["name"]) for view in self.metadata.get("recorded_weights", [])]

    def weights(self, name: str) -> WeightRecording:
        """Return a weight recording joined over ranks and attempts; only its synapses are loaded.

        Raises
        ------
        DescriptionError
            If the recording does not exist.
        StoreError
            If it is corrupt.
        """
        segments = _segments(self.attempts, f"weights/{name}", lambda rank: rank.weights.get(name))
        return WeightRecording.of(self.metadata, name, segments, path=str(self.path))


def _segments(
    attempts: Sequence[Attempt], group: str, part_of: Callable[[RankRecord], RankRows | None]
) -> list[RowSegment]:
    segments = []
    for attempt in attempts:
        parts = [part_of(rank) for rank in attempt.ranks]
        present = tuple(part for part in parts if part is not None)
        lost = sum(group in rank.lost for rank in attempt.ranks)
        # Rows are valid if every rank has them, or has lost them.
        is_whole = len(present) + lost == len(parts)
        segments.append(
            RowSegment(present, attempt.start_step, attempt.until_step, is_whole, lost=lost > 0)
        )
    return segments


def _spikes_of(attempt: Attempt) -> list[RankSpikes]:
    return [rank.spikes for rank in attempt.ranks if rank.spikes is not None]
