"""Writer of a rank's spikes, states and weights, with bounded buffers and a writer thread."""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distsnn.errors import DescriptionError, StoreError, unknown_name_error
from distsnn.io.checkpoint_files import sync
from distsnn.io.intervals import RowSteps
from distsnn.io.row_specs import RecordingSpec, StateRecordingSpec, WeightRecordingSpec
from distsnn.io.row_stream import RowStream, SpikeStream, StateStream
from distsnn.io.schema import attempt_path, rank_path
from distsnn.io.stream_thread import WriterThread
from distsnn.io.zarr_nodes import (
    create_array,
    create_group,
    open_group,
    open_root,
    read_attributes,
    store_errors,
    write_attributes,
)

SPIKE_CHUNK = 2**18
# Columns of a chunk: readers rarely need more columns at once.
MAX_CHUNK_COLUMNS = 2**20


class RankWriter:
    """Appends one rank's recordings to a run store during the run.

    An append copies rows to a bounded buffer and returns. A writer thread writes and commits whole
    chunks, and all rows every `flush_seconds`. The next call raises an error of this thread, such
    as a full disk. A context manager closes the writer with the status "complete" or "failed: …".

    Parameters
    ----------
    path : str or PathLike
        The store, created by `RunWriter`.
    attempt, rank : int
        Indices of the group to create.
    spike_chunk : int
        Spikes per chunk; the buffer holds 4 chunks.
    state, weights : sequence of StateRecordingSpec, WeightRecordingSpec
        State and weight recordings.
    flush_seconds : float
        Age at which incomplete chunks are committed, s of wall time.

    Raises
    ------
    StoreError
        If the store or attempt does not exist, this rank already has a group, or it cannot be
        written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        attempt: int,
        rank: int,
        *,
        spike_chunk: int = SPIKE_CHUNK,
        state: Sequence[StateRecordingSpec] = (),
        weights: Sequence[WeightRecordingSpec] = (),
        flush_seconds: float = 2.0,
    ) -> None:
        self.path = Path(path)
        self._root = open_root(self.path, writable=True)
        attempt_group = open_group(self._root, attempt_path(attempt))
        if attempt_group is None:
            raise StoreError(f"attempt {attempt} does not exist", path=str(self.path))
        attributes = read_attributes(attempt_group)
        self._start_step: int = attributes["start_step"]
        if not 0 <= rank < attributes["ranks"]:
            raise StoreError(
                f"rank {rank} of {attributes['ranks']} in attempt {attempt}", path=str(self.path)
            )
        path_of_rank = rank_path(attempt, rank)
        attributes_of_rank = {"status": "running", "host": socket.gethostname(), "pid": os.getpid()}
        self._group = create_group(self._root, path_of_rank, attributes_of_rank)
        self._spikes = self._spike_stream(f"{path_of_rank}/spikes", spike_chunk)
        self._rows: dict[tuple[str, str], tuple[RecordingSpec, StateStream]] = {}
        for spec in (*state, *weights):
            if (spec.folder, spec.name) in self._rows:
                raise DescriptionError(
                    f"two {spec.kind} recordings have the same name", where=f"{self.path}"
                )
            if spec.folder not in {folder for folder, _ in self._rows}:
                create_group(self._root, f"{path_of_rank}/{spec.folder}", {})
            self._rows[spec.folder, spec.name] = spec, self._row_stream(path_of_rank, spec)
        streams = (stream for _, stream in self._rows.values())
        self._streams: list[RowStream] = [self._spikes, *streams]
        self._thread = WriterThread(
            self._streams, flush_seconds=flush_seconds, name=f"writer of {path_of_rank}"
        )
        self._closed = False
        # synced before any commit: committed rows are always on the disk
        sync(self.path / path_of_rank)

    def append_spikes(self, step: ArrayLike, gid: ArrayLike) -> None:
        """Append spikes, in the order of (step, gid) within a call and across calls.

        Parameters
        ----------
        step : ndarray of int32, shape (n,)
            Steps.
        gid : ndarray of uint32, shape (n,)
            Gids.

        Raises
        ------
        StoreError
            If the spikes are out of order or earlier ones could not be written.
        """
        steps = _vector(step, np.dtype(np.int32), name="step")
        gids = _vector(gid, np.dtype(np.uint32), name="gid")
        self._spikes.check(steps, gids)
        self._thread.append(self._spikes, {"step": steps, "gid": gids}, len(steps))

    def append_rows(
        self, folder: str, name: str, first_row: int, values: Mapping[str, NDArray[Any]]
    ) -> None:
        """Append rows to a recording of states or weights.

        Parameters
        ----------
        folder, name : str
            The recording: ``"state"`` or ``"weights"``, and its name.
        first_row : int
            Index of the first row, which must equal the number of appended rows.
        values : mapping of str to ndarray, shape (rows, n_values)
            Values of every variable, before its offset is added.

        Raises
        ------
        StoreError
            If rows are missing or misshapen, their sums cannot be stored, or earlier rows could
            not be written.
        """
        spec, stream = self._recording(folder, name)
        where = f"{self.path}, {spec.kind} recording {name!r}"
        if first_row != stream.appended:
            raise StoreError(f"row {first_row} follows row {stream.appended - 1}", path=where)
        if set(values) != set(spec.variables):
            raise StoreError(
                f"variables {sorted(values)}, must be {sorted(spec.variables)}", path=where
            )
        shapes = {np.shape(block) for block in values.values()}
        if len(shapes) != 1 or any(shape[1:] != (spec.n_values,) for shape in shapes):
            raise StoreError(
                f"shapes {sorted(shapes)}, must be (rows, {spec.n_values})", path=where
            )
        n_rows = shapes.pop()[0]
        columns = {
            variable: spec.stored_rows(
                variable, values[variable], lambda row: stream.stamps[first_row + row], path=where
            )
            for variable in spec.variables
        }
        self._thread.append(stream, columns, n_rows)

    def begin_rows(self, folder: str, name: str, step: int) -> None:
        """Declare that a recording of states or weights is on again after a step."""
        _, stream = self._recording(folder, name)
        stream.stamps.begin(stream.appended, step)

    def _recording(self, folder: str, name: str) -> tuple[RecordingSpec, StateStream]:
        if (folder, name) not in self._rows:
            valid_names = [f"{kind}/{recording}" for kind, recording in self._rows]
            raise unknown_name_error(
                "recording", f"{folder}/{name}", valid_names, where=f"{self.path}"
            )
        return self._rows[folder, name]

    def mark_complete(self, step: int) -> None:
        """Declare that all rows up to `step` have been appended."""
        self._thread.advance(step)

    def flush(self) -> None:
        """Commit all appended rows and sync them to the disk.

        Raises
        ------
        StoreError
            If a write fails.
        """
        self._thread.flush()

    def close(self, status: str = "complete", **attributes: Any) -> None:
        """Commit all rows, end the thread, and set the status with other attributes.

        A second call has no effect.

        Parameters
        ----------
        status : str
            "complete", "stopped: …" or "failed: …".
        **attributes
            ``timing`` and ``memory``.

        Raises
        ------
        StoreError
            If appended rows could not be written and no call has raised the error yet; the status
            is then "failed: …", if it can be written.
        """
        if self._closed:
            return
        self._closed = True
        self._thread.close()
        error = self._thread.error
        if error is not None and not status.startswith("failed"):
            status = f"failed: {error}"
        try:
            if error is None:
                for stream in self._streams:
                    stream.trim()
            write_attributes(self._group, {"status": status, **attributes})
        except StoreError as failure:
            # On a full disk the status cannot be written either; the first error matters.
            if error is None:
                raise
            error.add_note(f"the status could not be written: {failure}")
        if error is not None and not self._thread.error_raised:
            raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close("complete" if error is None else f"failed: {error or type(error).__name__}")

    def _spike_stream(self, path: str, chunk: int) -> SpikeStream:
        group = create_group(
            self._root,
            path,
            {
                "committed": 0,
                "committed_step": self._start_step,
                "last_spike_step": 0,
                "index_stride": chunk,
                "index_step": [],
            },
        )
        arrays = {
            name: create_array(
                self._root, f"{path}/{name}", shape=(0,), chunks=(chunk,), dtype=dtype
            )
            for name, dtype in (("step", "int32"), ("gid", "uint32"))
        }
        return SpikeStream(group, arrays, block_rows=chunk, start_step=self._start_step)

    def _row_stream(self, path_of_rank: str, spec: RecordingSpec) -> StateStream:
        path = f"{path_of_rank}/{spec.folder}/{spec.name}"
        group = create_group(
            self._root,
            path,
            {
                "committed_rows": 0,
                "committed_step": self._start_step,
                "first_step": spec.first_step,
                "interval_steps": spec.interval_steps,
                "variables": list(spec.variables),
                **spec.attributes,
            },
        )
        n, rows = spec.n_columns, spec.block_rows
        wide = max(1, min(n, MAX_CHUNK_COLUMNS))
        for name, column in spec.columns.items():
            array = create_array(
                self._root, f"{path}/{name}", shape=(n,), chunks=(wide,), dtype=str(column.dtype)
            )
            with store_errors(f"{self.path}/{path}/{name}", "cannot be written"):
                array[:] = column
        arrays = {
            name: create_array(
                self._root,
                f"{path}/{name}",
                shape=(spec.rows, n),
                chunks=(rows, wide),
                dtype=spec.stored_dtype(name),
                units=variable.unit,
                doc=variable.doc or name,
            )
            for name, variable in spec.variables.items()
        }
        return StateStream(
            group,
            arrays,
            block_rows=rows,
            start_step=self._start_step,
            stamps=RowSteps(spec.first_step, spec.interval_steps),
        )


def _vector(values: ArrayLike, dtype: np.dtype[Any], *, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype != dtype):
        raise StoreError(
            f"array of {array.dtype}, shape {array.shape}, must be {dtype}, shape (n,)", path=name
        )
    return array.astype(dtype, copy=False)
