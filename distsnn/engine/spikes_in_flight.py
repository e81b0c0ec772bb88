"""Spikes in flight: spikes of this rank that may still have pending synaptic events."""

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Spikes = tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]

# Letting go costs as much for a few spikes as for many: in a run of short pieces it would be done
# at every piece.
_SLACK = 1000  # steps


class SpikesInFlight:
    """The latest spikes of a rank, in the order of (step, gid)."""

    def __init__(self) -> None:
        self._pieces: deque[Spikes] = deque()

    def append(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> Spikes:
        """Take some spikes, later than all before, and return the copies that are kept."""
        piece = step.copy(), gid.copy()
        self._pieces.append(piece)
        return piece

    def should_drop(self, until: int) -> bool:
        """Return whether enough spikes up to a step can be dropped."""
        return bool(self._pieces[0][0][0] <= until - _SLACK)

    def drop_until(self, until: int) -> Iterator[Spikes]:
        """Drop the spikes up to a step, and yield them in pieces."""
        while self._pieces and int(self._pieces[0][0][0]) <= until:
            step, gid = self._pieces.popleft()
            n = int(step.searchsorted(until, side="right"))
            if n < step.size:
                self._pieces.appendleft((step[n:], gid[n:]))
            yield step[:n], gid[:n]

    def remaining(self) -> Spikes:
        """Return the spikes that are left."""
        steps = np.concatenate([np.empty(0, np.int32), *(piece[0] for piece in self._pieces)])
        gids = np.concatenate([np.empty(0, np.uint32), *(piece[1] for piece in self._pieces)])
        return steps, gids
