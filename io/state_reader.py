"""Recordings of states: columns and rows of each rank, and one array for all ranks and attempts.

`distsnn.io.weight_reader` joins recordings of weights, and `distsnn.io.sum_reader` sums of states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import zarr
from numpy.typing import NDArray

from distsnn.errors import StoreError, unknown_name_error
from distsnn.io.committed_arrays import CommittedArray, SlicedArray
from distsnn.io.intervals import Intervals
from distsnn.io.metadata_checks import check_state
from distsnn.io.node_files import ArrayLayout
from distsnn.io.zarr_nodes import location, open_array, stored_attributes, stored_layout

# Arrays that describe the columns, by the folder of a recording; and of sums of states.
COLUMNS = {"state": ("gid",), "weights": ("source", "target", "delay")}
SUM_COLUMNS = ("quantum",)
# Positions of a rank's columns among all columns.
Places = NDArray[np.intp]


@dataclass(frozen=True)
class RankRows:
    """One rank's part of a recording of states or weights.

    Attributes
    ----------
    root : zarr.Group
        The store.
    path : str
        The group inside it.
    rows, committed_step : int
        Committed rows; all rows up to this step are committed.
    interval_steps : int
        Steps are multiples of this.
    variables : tuple of str
        Names of the arrays.
    on : Intervals
        Intervals in which it was on; each multiple of `interval_steps` in them has a row.
    columns : tuple of str
        Names of the arrays that describe the columns.
    n_summed : int or None
        Of sums over neurons: the number of this rank's neurons.
    """

    root: zarr.Group
    path: str
    rows: int
    committed_step: int
    interval_steps: int
    variables: tuple[str, ...]
    on: Intervals
    columns: tuple[str, ...]
    n_summed: int | None

    @classmethod
    def of(cls, root: zarr.Group, path: str, on: Intervals | None = None) -> Self | None:
        """Read the commit of a rank's recording, or return None if the group does not exist.

        Without `on`, the recording was always on.
        """
        attributes = stored_attributes(root, path)
        if attributes is None:
            return None
        check_state(attributes, path=location(root, path))
        n_summed = attributes.get("neurons")
        return cls(
            root,
            path,
            attributes["committed_rows"],
            attributes["committed_step"],
            attributes["interval_steps"],
            tuple(attributes["variables"]),
            on or Intervals.always(attributes["first_step"] - attributes["interval_steps"]),
            COLUMNS[path.split("/")[2]] if n_summed is None else SUM_COLUMNS,
            n_summed,
        )

    def layouts(self, until: int | None = None) -> list[tuple[ArrayLayout, int, int]]:
        """Return the layouts of the arrays, each with its committed and its required rows.

        Required rows are the rows up to step `until` (None: all).

        Raises
        ------
        StoreError
            If an array is missing or shorter, or their columns differ.
        """
        columns = [stored_layout(self.root, f"{self.path}/{name}") for name in self.columns]
        values = [
            stored_layout(self.root, f"{self.path}/{name}", self.rows) for name in self.variables
        ]
        widths = {layout.shape[0] for layout in columns} | {layout.shape[1] for layout in values}
        if len(widths) > 1:
            where = location(self.root, self.path)
            raise StoreError(f"corrupt: arrays of {sorted(widths)} columns", path=where)
        count = self.rows if until is None else self.rows_until(until)
        layouts = [(layout, layout.shape[0], layout.shape[0]) for layout in columns]
        return layouts + [(layout, self.rows, count) for layout in values]

    def arrays(self, after: int, until: int) -> list[tuple[CommittedArray, int]]:
        """Return the arrays up to step `until`, each with its first row after step `after`.

        Arrays of columns are returned with all rows.
        """
        columns = [(self._column(name), 0) for name in self.columns]
        first, rows = self.rows_until(after), self.rows_until(until)
        values = (self.values(name).array for name in self.variables)
        return columns + [(CommittedArray(array, rows), first) for array in values]

    def column(self, name: str = "gid") -> NDArray[Any]:
        """Return an array that describes the columns."""
        return self._column(name)[:]

    def _column(self, name: str) -> CommittedArray:
        array = open_array(self.root, f"{self.path}/{name}")
        return CommittedArray(array, array.shape[0])

    def values(self, variable: str) -> CommittedArray:
        """Return a variable, (time, column), lazily."""
        return CommittedArray(open_array(self.root, f"{self.path}/{variable}"), self.rows)

    def rows_until(self, step: int) -> int:
        """Return the number of committed rows up to `step`."""
        return min(self.rows, self.on.samples_until(step, self.interval_steps))


@dataclass(frozen=True)
class RowSegment:
    """The recordings of an attempt's ranks, and the steps (after, until] for which they are valid.

    ``is_complete``: every rank of the attempt has its recording, or has lost it; otherwise no rows
    are valid. ``lost``: a rank has lost its recording.
    """

    parts: tuple[RankRows, ...]
    after: int
    until: int | None
    is_complete: bool
    lost: bool = False

    def row_range(self) -> tuple[int, int]:
        """Return the valid rows [start, stop) that all ranks have committed."""
        if not self.parts or not self.is_complete:
            return 0, 0
        stop = min(part.rows for part in self.parts)
        if self.until is not None:
            stop = min(stop, self.parts[0].rows_until(self.until))
        start = self.parts[0].rows_until(self.after)
        return start, max(start, stop)

    def steps(self) -> NDArray[np.int64]:
        """Return the steps of these rows."""
        start, stop = self.row_range()
        if start == stop:
            return np.empty(0, np.int64)
        return self.parts[0].on.samples(start, stop, self.parts[0].interval_steps)


class RowArray(SlicedArray):
    """One variable of a recording joined over ranks and attempts, read by slices.

    Attributes
    ----------
    shape : (int, int)
        Rows, and neurons in the order of gids or synapses in the order of (source, target).
    dtype : numpy.dtype
        Type of the elements; a float type if columns are lost, whose elements are NaN.
    block_rows : int
        Preferred number of rows per read: whole chunks of every rank.
    units, long_name : str
        Unit and meaning.
    """

    def __init__(
        self,
        sources: list[tuple[int, int, list[tuple[CommittedArray, Places]]]],
        n_columns: int,
    ) -> None:
        # (first row of the segment in its arrays, number of rows, every rank's array and columns)
        self._sources = sources
        arrays = [array for _, _, ranks in sources for array, _ in ranks]
        self._shape = sum(count for _, count, _ in sources), n_columns
        dtypes = {array.dtype for array in arrays}
        self.dtype = np.result_type(*dtypes) if dtypes else np.dtype(np.float64)
        covered = (sum(place.size for _, place in ranks) for _, _, ranks in sources)
        self._lost = any(n < n_columns for n in covered)
        if self._lost:
            self.dtype = np.result_type(self.dtype, np.float32)
        self.block_rows = max((array.chunk_rows for array in arrays), default=1)
        attributes = arrays[0].array.attrs.asdict() if arrays else {}
        self.units = str(attributes.get("units", ""))
        self.long_name = str(attributes.get("long_name", ""))

    @property
    def shape(self) -> tuple[int, int]:  # noqa: D102 (attribute)
        return self._shape

    def load(self, start: int, stop: int) -> NDArray[Any]:
        """Return rows [start, stop) of all columns."""
        out = np.empty((stop - start, self.shape[1]), self.dtype)
        if self._lost:
            out[...] = np.nan
        row = 0
        for first, count, ranks in self._sources:
            low, high = max(start, row), min(stop, row + count)
            if low < high:
                for array, columns in ranks:
                    out[low - start : high - start, columns] = array.load(
                        first + low - row, first + high - row
                    )
            row += count
        return out


def check_same_steps(segment: RowSegment, name: str, *, path: str) -> None:
    """Check that all ranks recorded the same steps (StoreError if not)."""
    if len({(part.on, part.interval_steps) for part in segment.parts}) > 1:
        raise StoreError(f"corrupt: ranks recorded {name!r} at different steps", path=path)


def join_segments(
    used: Sequence[RowSegment], columns: Sequence[Sequence[Places]], variable: str, n_columns: int
) -> RowArray:
    """Return a variable of segments with rows.

    Parameters
    ----------
    used : sequence of RowSegment
        The segments.
    columns : sequence of sequence of ndarray
        For each segment, the positions of its ranks' columns among all columns.
    variable : str
        The variable.
    n_columns : int
        Number of columns.
    """
    sources = []
    for segment, places in zip(used, columns, strict=True):
        start, stop = segment.row_range()
        ranks = []
        for part, place in zip(segment.parts, places, strict=True):
            if not len(place):
                continue
            values = part.values(variable)
            if values.shape[1:] != place.shape:
                raise StoreError(
                    f"corrupt: {values.shape[1]} columns, {len(place)} expected",
                    path=location(values.array),
                )
            ranks.append((values, place))
        sources.append((start, stop - start, ranks))
    return RowArray(sources, n_columns)


def steps_of(used: Sequence[RowSegment]) -> NDArray[np.int64]:
    """Return the steps of all rows of some segments."""
    steps = [segment.steps() for segment in used]
    return np.concatenate(steps) if steps else np.empty(0, np.int64)


def named_recording(
    metadata: dict[str, Any], name: str, *, path: str
) -> tuple[dict[str, Any], NDArray[np.int64], NDArray[np.uint32]]:
    """Return a state recording's row of the metadata, and indices and gids of its neurons.

    Raises
    ------
    DescriptionError
        If the recording does not exist.
    """
    views = {str(view["name"]): view for view in metadata["recorded_states"]}
    if name not in views:
        raise unknown_name_error("state recording", name, views, where=path)
    view = views[name]
    first_gid = {row["name"]: row["first_gid"] for row in metadata["populations"]}
    listed = view.get("neurons", range(view["start"], view["stop"]))
    neurons = np.array(listed, dtype=np.int64)
    return view, neurons, (neurons + first_gid[view["population"]]).astype(np.uint32)


@dataclass(frozen=True)
class StateRecording:
    """A state recording of the whole run, not loaded.

    Attributes
    ----------
    name, population : str
        The recording and the population recorded.
    projection : str or None
        The projection whose synapse model has the states; None: the neurons have them.
    gids : ndarray of uint32, shape (n_neurons,)
        The neurons, ascending.
    neurons : ndarray of int64, shape (n_neurons,)
        Indices of the neurons in the population.
    steps : ndarray of int64, shape (n_rows,)
        Steps of the rows.
    variables : dict of str to RowArray
        The values, in absolute units.
    """

    name: str
    population: str
    projection: str | None
    gids: NDArray[np.uint32]
    neurons: NDArray[np.int64]
    steps: NDArray[np.int64]
    variables: dict[str, RowArray]

    @classmethod
    def of(
        cls, metadata: dict[str, Any], name: str, segments: Sequence[RowSegment], *, path: str
    ) -> Self:
        """Join the segments of a recording that the metadata lists."""
        view, neurons, gids = named_recording(metadata, name, path=path)
        used = [segment for segment in segments if len(segment.steps())]
        columns = [
            [np.searchsorted(gids, part.column()) for part in segment.parts] for segment in used
        ]
        for segment, places in zip(used, columns, strict=True):
            check_same_steps(segment, name, path=path)
            positions = np.sort(np.concatenate(places))
            expected = np.unique(positions) if segment.lost else np.arange(len(gids))
            # searchsorted() returns len(gids) for a neuron after the last one
            if not np.array_equal(positions, expected) or np.any(positions == len(gids)):
                raise StoreError(
                    f"corrupt: the neurons of all ranks differ from recording {name!r} "
                    f"({segment.parts[0].path})",
                    path=path,
                )
        names = map(str, view["variables"])
        variables = {
            variable: join_segments(used, columns, variable, len(gids)) for variable in names
        }
        return cls(
            name=name,
            population=view["population"],
            projection=view.get("projection"),
            gids=gids,
            neurons=neurons,
            steps=steps_of(used),
            variables=variables,
        )
