"""Spikes in flight: those of this rank that may still have synaptic events ahead of them."""

from collections import deque

import numpy as np
import numpy.typing as npt

Spikes = tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]


class History:
    """The latest spikes of a rank, in the order of (step, gid).

    Parameters
    ----------
    reach : int
        Steps for which a spike is kept: the longest delay of the whole network.
    """

    def __init__(self, reach: int) -> None:
        self.reach = reach
        self._pieces: deque[Spikes] = deque()

    def append(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Take some spikes, later than all before, and let go of those that have arrived."""
        self._pieces.append((step.copy(), gid.copy()))
        latest = int(step[-1])
        while self._pieces and int(self._pieces[0][0][-1]) <= latest - self.reach:
            self._pieces.popleft()

    def since(self, step: int) -> Spikes:
        """Return the kept spikes stamped after a step."""
        steps = np.concatenate([np.empty(0, np.int32), *(piece[0] for piece in self._pieces)])
        gids = np.concatenate([np.empty(0, np.uint32), *(piece[1] for piece in self._pieces)])
        first = int(np.searchsorted(steps, step, side="right"))
        return steps[first:], gids[first:]
