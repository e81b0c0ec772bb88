"""The latest spikes of a plastic projection's targets, from which rows catch up."""

from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.kernels.plastic import NEVER

_FIRST_DEPTH = 16
# The latest 8 spikes of a record, with one trace of float32, are a cache line.
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
    records : ndarray of structured type, shape (size, depth)
        ``step``, int32, and ``trace``, of shape (traces,), newest first.
    """

    def __init__(self, size: int, traces: int, precision: str) -> None:
        self._traces, self._precision = traces, precision
        self.depth = _FIRST_DEPTH
        self.records = self._made(size)

    def _made(self, size: int) -> npt.NDArray[Any]:
        real = np.dtype(self._precision)
        kind = np.dtype(
            {
                "names": ["step", "trace"],
                "formats": [np.int32, (real, (self._traces,))],
                "offsets": [0, real.itemsize],
                "itemsize": real.itemsize * (1 + self._traces),
            }
        )
        n_bytes = size * self.depth * kind.itemsize
        room = np.zeros(n_bytes + _LINE, np.uint8)
        first = -room.ctypes.data % _LINE
        records = room[first : first + n_bytes].view(kind).reshape(size, self.depth)
        records["step"] = NEVER
        return records

    def double(self) -> None:
        """Make room for twice as many spikes of each target."""
        old, depth = self.records, self.depth
        self.depth *= 2
        self.records = self._made(len(old))
        self.records[:, :depth] = old
