"""What one rank writes: its spikes and states, through bounded buffers and a writer thread."""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distsnn.errors import DescriptionError, StoreError, unknown
from distsnn.io.checkpoint_files import sync_files
from distsnn.io.nodes import (
    create_array,
    create_group,
    open_group,
    open_root,
    read_attributes,
    store_errors,
    write_attributes,
)
from distsnn.io.row_stream import RowStream, SpikeStream, StateStream
from distsnn.io.schema import attempt_path, check_component, rank_path
from distsnn.io.stream_thread import StreamThread

SPIKE_CHUNK = 2**18
# Bytes of a time block (chunk) of one state variable: a few dozen blocks a second at most.
_STATE_BLOCK_BYTES = 2**20
_MAX_STATE_ROWS = 2**16


@dataclass(frozen=True)
class StateVariable:
    """One variable of a state recording.

    Attributes
    ----------
    unit : str
        Its unit, such as ``"mV"``.
    doc : str
        Its meaning.
    offset : float or ndarray of shape (n_neurons,)
        Added to what `RankWriter.append_state` is given: a kernel that holds V_m relative to E_L
        records absolute mV by ``offset=E_L``. The sum is done in float64, then rounded to `dtype`.
    dtype : str or None
        float32, float64 or int32; None: that of the recording.
    """

    unit: str
    doc: str = ""
    offset: float | NDArray[np.floating[Any]] = 0.0
    dtype: str | None = None


@dataclass(frozen=True)
class StateSpec:
    """A rank's part of one state recording.

    Attributes
    ----------
    name : str
        The recording's name, the same on every rank.
    variables : mapping of str to StateVariable
        What is recorded.
    dtype : str
        float32, float64 or int32, for variables that name none.
    gids : ndarray of uint32, shape (n_neurons,)
        This rank's recorded neurons, the columns; may be empty.
    every : int
        Steps between rows.
    first_step : int
        Step of row 0: the first multiple of `every` after the attempt's first step.
    rows : int
        Rows expected, to pre-size the arrays; they grow where there are more.
    """

    name: str
    variables: Mapping[str, StateVariable]
    dtype: str
    gids: NDArray[np.uint32]
    every: int
    first_step: int
    rows: int = 0

    def __post_init__(self) -> None:
        where = f"state recording {self.name!r}"
        check_component(self.name, where=where)
        for variable in self.variables:
            check_component(variable, where=where)
        if "gid" in self.variables:
            raise DescriptionError("a recorded variable cannot be called 'gid'", where=where)
        if not self.variables:
            raise DescriptionError("no variables", where=where)
        for field, least in (("every", 1), ("first_step", 1), ("rows", 0)):
            value = getattr(self, field)
            if value < least:
                raise DescriptionError(
                    f"{field} is too small", where=where, value=value, allowed=f"at least {least}"
                )


def state_block_rows(n_neurons: int, itemsize: int) -> int:
    """Return the rows per time block: the largest power of two within 1 MiB, at least 1."""
    fitting = _STATE_BLOCK_BYTES // max(1, n_neurons * itemsize)
    return int(min(_MAX_STATE_ROWS, 1 << max(0, fitting.bit_length() - 1)))


class RankWriter:
    """Appends one rank's recordings to a run's store while it runs.

    Appending copies into a bounded buffer and returns; a writer thread writes whole chunks, and
    what there is every `flush_seconds`, and commits it. An error of that thread (a full disk) is
    raised by the next call. As a context manager it closes itself, with the status "complete" or
    "failed: …".

    Parameters
    ----------
    path : str or PathLike
        The store, created by `RunWriter`.
    attempt, rank : int
        Whose group to create.
    spike_chunk : int
        Spikes per chunk; the buffer holds 4 chunks.
    state : sequence of StateSpec
        State recordings.
    flush_seconds : float
        Age at which incomplete chunks are committed, s of wall time.

    Raises
    ------
    StoreError
        If the store or attempt does not exist, this rank has a group there already, or it cannot
        be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        attempt: int,
        rank: int,
        *,
        spike_chunk: int = SPIKE_CHUNK,
        state: Sequence[StateSpec] = (),
        flush_seconds: float = 2.0,
    ) -> None:
        self.path = Path(path)
        self._root = open_root(self.path, writable=True)
        attempt_group = open_group(self._root, attempt_path(attempt))
        if attempt_group is None:
            raise StoreError(f"there is no attempt {attempt}", path=str(self.path))
        attributes = read_attributes(attempt_group)
        self._first_step: int = attributes["first_step"]
        if not 0 <= rank < attributes["ranks"]:
            raise StoreError(
                f"rank {rank} of {attributes['ranks']} in attempt {attempt}", path=str(self.path)
            )
        own = rank_path(attempt, rank)
        about = {"status": "running", "host": socket.gethostname(), "pid": os.getpid()}
        self._group = create_group(self._root, own, about)
        self._spikes = self._spike_stream(f"{own}/spikes", spike_chunk)
        self._specs = {spec.name: spec for spec in state}
        if len(self._specs) != len(state):
            raise DescriptionError("two state recordings of one name", where=f"{self.path}")
        if state:
            create_group(self._root, f"{own}/state", {})
        self._states = {spec.name: self._state_stream(f"{own}/state", spec) for spec in state}
        self._streams: list[RowStream] = [self._spikes, *self._states.values()]
        self._thread = StreamThread(
            self._streams, flush_seconds=flush_seconds, name=f"writer of {own}"
        )
        self._closed = False
        self._secured = False

    def append_spikes(self, step: ArrayLike, gid: ArrayLike) -> None:
        """Append spikes, in the order of (step, gid) within a call and from call to call.

        Parameters
        ----------
        step : ndarray of int32, shape (n,)
            Stamps, steps.
        gid : ndarray of uint32, shape (n,)
            Neurons.

        Raises
        ------
        StoreError
            If the spikes are out of order or earlier ones could not be written.
        """
        steps = _vector(step, np.dtype(np.int32), name="step")
        gids = _vector(gid, np.dtype(np.uint32), name="gid")
        self._spikes.check(steps, gids)
        self._thread.append(self._spikes, {"step": steps, "gid": gids}, len(steps))

    def append_state(self, name: str, first_row: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Append rows to a state recording.

        Parameters
        ----------
        name : str
            The recording.
        first_row : int
            Number of the first row, which must be the number of rows appended so far.
        values : mapping of str to ndarray, shape (rows, n_neurons)
            Every variable, before its offset is added.

        Raises
        ------
        StoreError
            If rows are missing or misshapen, or earlier ones could not be written.
        """
        if name not in self._specs:
            raise unknown("state recording", name, self._specs, where=f"{self.path}")
        spec, stream = self._specs[name], self._states[name]
        where = f"{self.path}, state recording {name!r}"
        if first_row != stream.appended:
            raise StoreError(f"row {first_row} follows row {stream.appended - 1}", path=where)
        if set(values) != set(spec.variables):
            raise StoreError(
                f"variables {sorted(values)}, must be {sorted(spec.variables)}", path=where
            )
        shapes = {np.shape(block) for block in values.values()}
        if len(shapes) != 1 or any(shape[1:] != spec.gids.shape for shape in shapes):
            raise StoreError(
                f"shapes {sorted(shapes)}, must be (rows, {len(spec.gids)})", path=where
            )
        columns = {
            variable: _with_offset(values[variable], about.offset)
            for variable, about in spec.variables.items()
        }
        self._thread.append(stream, columns, shapes.pop()[0])

    def advance(self, step: int) -> None:
        """Declare that everything stamped ≤ `step` has been appended."""
        self._thread.advance(step)

    def flush(self) -> None:
        """Return when everything appended is committed (StoreError if that fails)."""
        self._thread.flush()

    def secure(self) -> None:
        """Return when everything appended is committed and on the disk, should the power fail."""
        self.flush()
        folder = self.path / self._group.path
        # The writer's thread does nothing meanwhile, as nothing is left to be written.
        written = [path for stream in self._streams for path in stream.files]
        # the first time also what was written before there was any stream
        sync_files(folder, written if self._secured else folder.rglob("*"))
        self._secured = True
        for stream in self._streams:
            stream.files.clear()

    def close(self, status: str = "complete", **attributes: Any) -> None:
        """Commit everything, end the thread, and set the status with other attributes.

        Closing again does nothing.

        Parameters
        ----------
        status : str
            "complete", "stopped: …" or "failed: …".
        **attributes
            ``timing`` and ``memory``.

        Raises
        ------
        StoreError
            If something appended could not be written and no call has said so yet; the status is
            then "failed: …" where that can still be written.
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
            # On a full disk the status cannot be written either; what matters is the first error.
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
                "committed_step": self._first_step,
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
        return SpikeStream(group, arrays, block_rows=chunk, first_step=self._first_step)

    def _state_stream(self, path: str, spec: StateSpec) -> StateStream:
        path = f"{path}/{spec.name}"
        group = create_group(
            self._root,
            path,
            {
                "committed_rows": 0,
                "committed_step": self._first_step,
                "first_step": spec.first_step,
                "every": spec.every,
                "variables": list(spec.variables),
            },
        )
        n = len(spec.gids)
        gids = create_array(
            self._root, f"{path}/gid", shape=(n,), chunks=(max(1, n),), dtype="uint32"
        )
        with store_errors(f"{self.path}/{path}/gid", "cannot be written"):
            gids[:] = np.asarray(spec.gids, np.uint32)
        dtypes = {name: about.dtype or spec.dtype for name, about in spec.variables.items()}
        rows = state_block_rows(n, max(np.dtype(dtype).itemsize for dtype in dtypes.values()))
        arrays = {
            name: create_array(
                self._root,
                f"{path}/{name}",
                shape=(spec.rows, n),
                chunks=(rows, max(1, n)),
                dtype=dtypes[name],
                units=about.unit,
                doc=about.doc or name,
            )
            for name, about in spec.variables.items()
        }
        return StateStream(
            group,
            arrays,
            block_rows=rows,
            first_step=self._first_step,
            row_zero=spec.first_step,
            every=spec.every,
        )


def _vector(values: ArrayLike, dtype: np.dtype[Any], *, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype != dtype):
        raise StoreError(
            f"array of {array.dtype}, shape {array.shape}, must be {dtype}, shape (n,)", path=name
        )
    return array.astype(dtype, copy=False)


def _with_offset(values: NDArray[Any], offset: float | NDArray[np.floating[Any]]) -> NDArray[Any]:
    if isinstance(offset, float | int) and offset == 0.0:
        return np.asarray(values)
    summed: NDArray[Any] = np.asarray(values, np.float64) + offset
    return summed
