"""The latest spikes of a plastic projection's targets, from which rows catch up."""

from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.kernels.plastic import NEVER

# A record of 8 spikes and one trace of float32 is a cache line.
_FIRST_DEPTH = 8
_LINE = 64


class PostHistory:
    """A record for each of some targets (see `kernels.plastic`).

    Parameters
    ----------
    size : int
        Targets.
    traces : int
        Traces of a target.
    precision : str
        Type of traces.

    Attributes
    ----------
    depth : int
        Spikes that a record holds.
    records : ndarray of structured type, shape (size,)
        ``step``, int32 of shape (depth,), and ``trace``, of shape (traces, depth).
    """

    def __init__(self, size: int, traces: int, precision: str) -> None:
        self._traces, self._precision = traces, precision
        self.depth = _FIRST_DEPTH
        self.records = self._made(size)

    def _made(self, size: int) -> npt.NDArray[Any]:
        kind = np.dtype(
            [
                ("step", np.int32, (self.depth,)),
                ("trace", self._precision, (self._traces, self.depth)),
            ]
        )
        room = np.zeros(size * kind.itemsize + _LINE, np.uint8)
        first = -room.ctypes.data % _LINE
        records = room[first : first + size * kind.itemsize].view(kind)
        records["step"] = NEVER
        return records

    def double(self) -> None:
        """Make room for twice as many spikes of each target."""
        old, depth = self.records, self.depth
        self.depth *= 2
        self.records = self._made(old.size)
        self.records["step"][:, :depth] = old["step"]
        self.records["trace"][:, :, :depth] = old["trace"]
