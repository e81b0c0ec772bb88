"""Sums and means of states over neurons: added over ranks, and joined over attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from distsnn.errors import StoreError
from distsnn.io.committed_arrays import CommittedArray, SlicedArray
from distsnn.io.fixed_sums import QUANTA, from_fixed
from distsnn.io.state_reader import RowSegment, check_same_steps, named_recording, steps_of
from distsnn.io.zarr_nodes import location


class SumArray(SlicedArray):
    """Sums or means of one variable, read by slices.

    Parameters
    ----------
    segments : sequence of RowSegment
        Segments with rows.
    variable : str
        The variable.
    n_neurons : int
        Number of neurons.
    reduce : str
        ``"sum"`` or ``"mean"``.

    Attributes
    ----------
    shape : (int,)
        Rows.
    dtype : numpy.dtype
        float64. Rows are NaN where the sum of a rank is lost.
    block_rows : int
        Preferred number of rows per read.
    units, long_name : str
        Unit and meaning.
    """

    dtype = np.dtype(np.float64)

    def __init__(
        self, segments: Sequence[RowSegment], variable: str, n_neurons: int, reduce: str
    ) -> None:
        self._divisor = n_neurons if reduce == "mean" else 1
        # (first row in the arrays, number of rows, arrays of all ranks, whether a rank is lost)
        self._sources = list[tuple[int, int, list[CommittedArray], bool]]()
        for segment in segments:
            start, stop = segment.row_range()
            arrays = [part.values(variable) for part in segment.parts]
            self._sources.append((start, stop - start, arrays, segment.lost))
        every_array = [array for _, _, arrays, _ in self._sources for array in arrays]
        for array in every_array:
            if array.dtype != np.int64 or array.shape[1:] != (len(QUANTA),):
                layout = f"{array.dtype}, shape {array.shape}"
                raise StoreError(
                    f"corrupt: sums are {layout}, must be int64 with {len(QUANTA)} columns",
                    path=location(array.array),
                )
        self._rows = sum(count for _, count, _, _ in self._sources)
        self.block_rows = max((array.chunk_rows for array in every_array), default=1)
        attributes = every_array[0].array.attrs.asdict() if every_array else {}
        self.units = str(attributes.get("units", ""))
        self.long_name = f"{reduce} of {attributes.get('long_name', variable)}"

    @property
    def shape(self) -> tuple[int]:  # noqa: D102 (attribute)
        return (self._rows,)

    def load(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return rows [start, stop)."""
        out = np.empty(stop - start)
        row = 0
        for first, count, arrays, lost in self._sources:
            low, high = max(start, row), min(stop, row + count)
            if low < high:
                total = np.zeros((high - low, len(QUANTA)), np.int64)
                for array in arrays:
                    total += array.load(first + low - row, first + high - row)
                sums = from_fixed(total) / self._divisor
                out[low - start : high - start] = np.nan if lost else sums
            row += count
        return out


@dataclass(frozen=True)
class SumRecording:
    """A recording of sums or means of states over neurons, not loaded.

    Attributes
    ----------
    name, population : str
        The recording and the population recorded.
    projection : str or None
        The projection whose synapse model has the states; None: the neurons have them.
    reduce : str
        ``"sum"`` or ``"mean"``.
    gids : ndarray of uint32, shape (n_neurons,)
        The neurons, ascending.
    neurons : ndarray of int64, shape (n_neurons,)
        Indices of the neurons in the population.
    steps : ndarray of int64, shape (n_rows,)
        Steps of the rows.
    variables : dict of str to SumArray
        The values, in absolute units.
    """

    name: str
    population: str
    projection: str | None
    reduce: str
    gids: NDArray[np.uint32]
    neurons: NDArray[np.int64]
    steps: NDArray[np.int64]
    variables: dict[str, SumArray]

    @classmethod
    def of(
        cls, metadata: dict[str, Any], name: str, segments: Sequence[RowSegment], *, path: str
    ) -> Self:
        """Join the segments of a recording that the metadata lists."""
        view, neurons, gids = named_recording(metadata, name, path=path)
        used = [segment for segment in segments if len(segment.steps())]
        for segment in used:
            check_same_steps(segment, name, path=path)
            numbers = [part.n_summed for part in segment.parts if part.n_summed is not None]
            is_whole = sum(numbers) == len(gids) or (segment.lost and sum(numbers) < len(gids))
            if len(numbers) < len(segment.parts) or not is_whole:
                raise StoreError(
                    f"corrupt: the ranks sum {sum(numbers)} neurons in recording {name!r}, "
                    f"must be {len(gids)} ({segment.parts[0].path})",
                    path=path,
                )
            for part in segment.parts:
                if part.column("quantum").tolist() != list(QUANTA):
                    raise StoreError(f"corrupt: quantum must be {list(QUANTA)}", path=part.path)
        return cls(
            name=name,
            population=view["population"],
            projection=view.get("projection"),
            reduce=view["reduce"],
            gids=gids,
            neurons=neurons,
            steps=steps_of(used),
            variables={
                variable: SumArray(used, variable, len(gids), view["reduce"])
                for variable in map(str, view["variables"])
            },
        )
