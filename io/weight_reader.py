"""Weight recordings: all ranks' synapses in the order of (source, target), joined over attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
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
        columns: list[NDArray[Any]] = [
            np.empty(0, kind) for kind in (np.uint32, np.uint32, np.int32)
        ]
        places = []
        merged = [_merged(segment) for segment in used]
        if any(segment.lost for segment in used):  # those of the most synapses that are left
            most = max(len(found[0]) for found, _ in merged)
            kept = [len(found[0]) == most for found, _ in merged]
            used, merged = list(compress(used, kept)), list(compress(merged, kept))
        for number, (segment, (found, its)) in enumerate(zip(used, merged, strict=True)):
            check_rhythm(segment, name, path=path)
            same = all(map(np.array_equal, found, columns)) if number else True
            if (len(found[0]) != view["synapses"] and not segment.lost) or not same:
                raise StoreError(
                    f"damaged: the ranks' synapses do not make up the recording {name!r} "
                    f"({segment.parts[0].path})",
                    path=path,
                )
            columns = found
            places.append(its)
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
