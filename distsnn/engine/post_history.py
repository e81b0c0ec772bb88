"""The latest spikes of a plastic projection's targets, from which rows catch up."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.kernels.plastic import NEVER

_FIRST_DEPTH = 16
# The latest 8 spikes of a record, with one trace of float32, are a cache line; others are seldom
# needed. Records are an odd number of lines: were it even, first lines would crowd in a part of
# the cache.
_LINE = 64
# Places in histories have 32 bits.
_MOST_REALS = 1 << 32


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
        self._traces = traces
        real = np.dtype(precision)
        self._kind = np.dtype(
            {
                "names": ["step", "trace"],
                "formats": [np.int32, (real, (traces,))],
                "offsets": [0, real.itemsize],
                "itemsize": real.itemsize * (1 + traces),
            }
        )
        self.depth = self._at_least(_FIRST_DEPTH)
        self.records = self._made(size)

    def _at_least(self, depth: int) -> int:
        """Return the next depth with which records are an odd number of lines."""
        whole = _LINE // math.gcd(_LINE, self._kind.itemsize)  # spikes that fill whole lines
        lines = whole * self._kind.itemsize // _LINE
        times = -(-depth // whole)
        return whole * (times if lines * times % 2 else times + 1)

    def _made(self, size: int) -> npt.NDArray[Any]:
        if size * self.depth * (1 + self._traces) >= _MOST_REALS:
            raise MemoryError(
                f"{self.depth} spikes of each of {size} neurons are more than are kept"
            )
        n_bytes = size * self.depth * self._kind.itemsize
        room = np.zeros(n_bytes + _LINE, np.uint8)
        first = -room.ctypes.data % _LINE
        records = room[first : first + n_bytes].view(self._kind).reshape(size, self.depth)
        records["step"] = NEVER
        return records

    def double(self) -> None:
        """Make room for twice as many spikes of each target, or a few more."""
        old, depth = self.records, self.depth
        self.depth = self._at_least(2 * depth)
        self.records = self._made(len(old))
        self.records[:, :depth] = old
