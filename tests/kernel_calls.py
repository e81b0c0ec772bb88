"""Calls of compiled entries from Python, as the loop makes them."""

import ctypes

import numpy as np
import numpy.typing as npt

from distsnn.engine.tables import Call, address
from distsnn.kernels import poisson, rows

_ENTRY = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int64,
)


def invoke(one: Call, step: int, first: int | None = None, last: int | None = None) -> int:
    """Call an entry in a loop, over its own range or another, and return its status."""
    function = _ENTRY(one.entry.address)
    low, high = one.first if first is None else first, one.last if last is None else last
    return int(function(address(one.table), address(one.scalars), low, high, step))


def counters(n: int) -> npt.NDArray[np.uint32]:
    """Return the Philox counters of n neurons (a multiple of 64) of one population."""
    return np.arange(n // 8, dtype=np.uint32)


class PoissonCall:
    """A Poisson entry over n neurons (a multiple of 64) and the row that it adds to."""

    def __init__(
        self,
        means: float | npt.NDArray[np.float64],
        n: int,
        *,
        weights: npt.ArrayLike = 1,
        row_bits: int = 32,
        search: bool | None = None,
        stimulus: int = 0,
        seed: int = 1,
    ) -> None:
        kind = np.int32 if row_bits == 32 else np.int64
        self.row = np.zeros(n, kind)
        given = np.atleast_1d(np.asarray(weights, kind))
        if isinstance(means, float):
            if search is None:
                search = poisson.searches(means)
            entry = poisson.common_rate(row_bits, search, given.size == 1)
        else:
            entry = poisson.own_rates(row_bits)
            given = np.ascontiguousarray(np.broadcast_to(given, n))
        self.call = Call(entry, np.zeros(poisson.TABLE_SIZE, np.int64), 0, n)
        self.call.point(rows.RING, self.row)
        self.call.table[rows.STRIDE] = n
        self.call.point(poisson.COUNTERS, counters(n))
        self.call.point(poisson.WEIGHTS, given)
        self.call.table[poisson.STIMULUS_ID] = stimulus
        self.call.table[poisson.SEED_LOW] = seed & 0xFFFFFFFF
        self.call.table[poisson.SEED_HIGH] = seed >> 32
        if isinstance(means, float):
            self.exact = poisson.thresholds(means)
            self.call.point(poisson.THRESHOLDS, self.exact)
            self.call.table[poisson.N_THRESHOLDS] = self.exact.size
            self.call.point(poisson.GUIDE, poisson.guide(self.exact))
            self.call.point(poisson.SCRATCH, np.zeros(poisson.SCRATCH_BYTES, np.uint8))
        else:
            self.call.point(poisson.MEANS, means)

    def counts(self, step: int, *cuts: int) -> npt.NDArray[np.signedinteger]:
        """Return what a step adds to the row, with the range cut at given neurons."""
        self.row[:] = 0
        for low, high in zip((0, *cuts), (*cuts, self.row.size), strict=True):
            assert invoke(self.call, step, low, high) == 0
        return self.row.copy()
