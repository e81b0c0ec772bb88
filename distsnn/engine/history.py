"""Spikes in flight: those of this rank that may still have synaptic events ahead of them."""

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Spikes = tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]


class History:
    """The latest spikes of a rank, in the order of (step, gid)."""

    def __init__(self) -> None:
        self._pieces: deque[Spikes] = deque()

    def append(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Take some spikes, later than all before."""
        self._pieces.append((step.copy(), gid.copy()))

    def let_go(self, until: int) -> Iterator[Spikes]:
        """Let go of the spikes stamped up to a step, and yield them piece by piece."""
        while self._pieces and int(self._pieces[0][0][0]) <= until:
            step, gid = self._pieces.popleft()
            n = int(step.searchsorted(until, side="right"))
            if n < step.size:
                self._pieces.appendleft((step[n:], gid[n:]))
            yield step[:n], gid[:n]

    def kept(self) -> Spikes:
        """Return the spikes that are left."""
        steps = np.concatenate([np.empty(0, np.int32), *(piece[0] for piece in self._pieces)])
        gids = np.concatenate([np.empty(0, np.uint32), *(piece[1] for piece in self._pieces)])
        return steps, gids
