"""Weight recordings: synapses of all ranks by (source, target), joined over attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from distsnn.errors import StoreError, unknown_name_error
from distsnn.io.state_reader import (
    Places,
    RowArray,
    RowSegment,
    check_same_steps,
    join_segments,
    steps_of,
)


@dataclass(frozen=True)
class WeightRecording:
    """A weight recording of the whole run, not loaded.

    Synapses are in the order of (source, target); multapses are in the order in which they were
    drawn or listed.

    Attributes
    ----------
    name, projection : str
        The recording and the projection recorded.
    sources, targets : ndarray of uint32, shape (n_synapses,)
        Gids.
    delays : ndarray of int32, shape (n_synapses,)
        Delays, steps.
    steps : ndarray of int64, shape (n_rows,)
        Steps of the rows.
    variables : dict of str to RowArray
        Weights and states of the synapses.
    """

    name: str
    projection: str
    sources: NDArray[np.uint32]
    targets: NDArray[np.uint32]
    delays: NDArray[np.int32]
    steps: NDArray[np.int64]
    variables: dict[str, RowArray]

    @classmethod
    def of(
        cls, metadata: dict[str, Any], name: str, segments: Sequence[RowSegment], *, path: str
    ) -> Self:
        """Join the segments of a recording that the metadata lists."""
        views = {str(view["name"]): view for view in metadata.get("recorded_weights", [])}
        if name not in views:
            raise unknown_name_error("weight recording", name, views, where=path)
        view = views[name]
        used = [segment for segment in segments if len(segment.steps())]
        merged = [_merged(segment) for segment in used]
        columns = _merge_columns([segment_columns for segment_columns, _ in merged])
        places = []
        for segment, (segment_columns, positions) in zip(used, merged, strict=True):
            check_same_steps(segment, name, path=path)
            indices = np.flatnonzero(np.isin(columns[1], segment_columns[1]))
            same = all(
                map(np.array_equal, segment_columns, [column[indices] for column in columns])
            )
            is_whole = len(indices) == len(columns[0]) == view["synapses"]
            if not same or not (is_whole or segment.lost):
                raise StoreError(
                    f"corrupt: the synapses of all ranks differ from recording {name!r} "
                    f"({segment.parts[0].path})",
                    path=path,
                )
            places.append([indices[place] for place in positions])
        names, n = map(str, view["variables"]), len(columns[0])
        return cls(
            name=name,
            projection=view["projection"],
            sources=columns[0],
            targets=columns[1],
            delays=columns[2],
            steps=steps_of(used),
            variables={variable: join_segments(used, places, variable, n) for variable in names},
        )


def _merge_columns(segments: Sequence[Sequence[NDArray[Any]]]) -> list[NDArray[Any]]:
    """Return sources, targets and delays of all synapses that any segment has, in order.

    A segment has all synapses onto a neuron or none, because they are all on one rank.
    """
    columns: list[NDArray[Any]] = [np.empty(0, kind) for kind in (np.uint32, np.uint32, np.int32)]
    for segment in segments:
        new = ~np.isin(segment[1], columns[1])
        columns = [
            np.append(column, other[new]) for column, other in zip(columns, segment, strict=True)
        ]
    order = np.lexsort((columns[1], columns[0]))
    return [other[order] for other in columns]


def _merged(segment: RowSegment) -> tuple[list[NDArray[Any]], list[Places]]:
    """Return sources, targets and delays in order, and the positions of each part's columns."""
    parts = [
        [part.column(name) for name in ("source", "target", "delay")] for part in segment.parts
    ]
    source, target, delay = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not len(source) == len(target) == len(delay):
        raise StoreError("corrupt: columns of different length", path=segment.parts[0].path)
    # all synapses onto a neuron are on one rank, with multapses in order
    order = np.lexsort((target, source))
    place = np.empty(order.size, np.intp)
    place[order] = np.arange(order.size)
    ends = np.cumsum([len(columns[0]) for columns in parts])
    return [source[order], target[order], delay[order]], np.split(place, ends[:-1])
