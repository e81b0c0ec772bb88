"""Weight recordings: all ranks' synapses in the order of (source, target), joined over attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from distsnn.errors import StoreError, unknown
from distsnn.io.state_reader import (
    Places,
    RowArray,
    RowSegment,
    check_rhythm,
    joined,
    steps_of,
)


@dataclass(frozen=True)
class WeightRecording:
    """A weight recording of the whole run, not loaded.

    Synapses are in the order of (source, target); several of a pair are in the order in which they
    were drawn or given.

    Attributes
    ----------
    name, projection : str
        The recording and the projection recorded.
    sources, targets : ndarray of uint32, shape (n_synapses,)
        Gids.
    delays : ndarray of int32, shape (n_synapses,)
        Delays, steps.
    steps : ndarray of int64, shape (n_rows,)
        Stamps of the rows.
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
            raise unknown("weight recording", name, views, where=path)
        view = views[name]
        used = [segment for segment in segments if len(segment.steps())]
        merged = [_merged(segment) for segment in used]
        columns = _merge_columns([found for found, _ in merged])
        places = []
        for segment, (found, its) in zip(used, merged, strict=True):
            check_rhythm(segment, name, path=path)
            mine = np.flatnonzero(np.isin(columns[1], found[1]))
            same = all(map(np.array_equal, found, [column[mine] for column in columns]))
            whole = len(mine) == len(columns[0]) == view["synapses"]
            if not same or not (whole or segment.lost):
                raise StoreError(
                    f"damaged: the ranks' synapses do not make up the recording {name!r} "
                    f"({segment.parts[0].path})",
                    path=path,
                )
            places.append([mine[place] for place in its])
        names, n = map(str, view["variables"]), len(columns[0])
        return cls(
            name=name,
            projection=view["projection"],
            sources=columns[0],
            targets=columns[1],
            delays=columns[2],
            steps=steps_of(used),
            variables={one: joined(used, places, one, n) for one in names},
        )


def _merge_columns(found: Sequence[Sequence[NDArray[Any]]]) -> list[NDArray[Any]]:
    """Return sources, targets and delays of all synapses that any segment still has, in order.

    Of a neuron a segment has all synapses or none, as they are all on one rank.
    """
    columns: list[NDArray[Any]] = [np.empty(0, kind) for kind in (np.uint32, np.uint32, np.int32)]
    for more in found:
        new = ~np.isin(more[1], columns[1])
        columns = [np.append(own, one[new]) for own, one in zip(columns, more, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    return [one[order] for one in columns]


def _merged(segment: RowSegment) -> tuple[list[NDArray[Any]], list[Places]]:
    """Return sources, targets and delays in their order, and where each part's columns stand."""
    parts = [
        [part.column(name) for name in ("source", "target", "delay")] for part in segment.parts
    ]
    source, target, delay = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not len(source) == len(target) == len(delay):
        raise StoreError("damaged: columns of different length", path=segment.parts[0].path)
    # all synapses onto a neuron are of one rank, which has several of a pair in their order
    order = np.lexsort((target, source))
    place = np.empty(order.size, np.intp)
    place[order] = np.arange(order.size)
    ends = np.cumsum([len(columns[0]) for columns in parts])
    return [source[order], target[order], delay[order]], np.split(place, ends[:-1])
