"""Superpositions of gamma processes, exact for varying rates, in operational time.

Operational time is the expected number of spikes of a process; in this time, intervals have the
mean 1 for any rate (Cox & Isham 1980, Point Processes). A neuron's clock is the operational time at
the end of its last step. A binary heap contains the next spike of each process, so that a step
without spikes reads a single one. At a spike, an interval of the gamma distribution is drawn
(Marsaglia & Tsang 2000, ACM Trans. Math. Softw. 26). The order of the processes does not matter.

Axes: i neuron (padded to 64), j process, from 1; index 0 is the clock. Philox blocks: (neuron,
step, stimulus, NOISE and the number of the draw in this step).
"""

from functools import cache

import numpy as np
from numba import uint32, uint64

from distsnn.counter_rng import NOISE, philox, uniform_01
from distsnn.jit import KernelEntry, array, inline, kernel, kernel_entry
from distsnn.kernels.functions import log
from distsnn.kernels.poisson import (
    COUNTERS,
    MEANS,
    N_THRESHOLDS,
    SEED_HIGH,
    SEED_LOW,
    STIMULUS_ID,
    THRESHOLDS,
    WEIGHTS,
)
from distsnn.kernels.rows import row_of
from distsnn.kernels.sampling import normal

# The table consists of the words that it shares with a Poisson entry, and
TIMES, N_TIMES = THRESHOLDS, N_THRESHOLDS
ORDER = 0  # of the scalars

_BEFORE_ALL = 0xFFFFFFFF  # no step has this number


@inline
def _gamma(order, draw, counter, step, stimulus, low, high):
    # a gamma variate of mean 1, and the number of the next draw
    d = order - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    while True:
        w0, w1, w2, w3 = philox(
            counter, step, stimulus, uint32(uint32(NOISE) + (uint32(draw) << uint32(8))), low, high
        )
        draw += 1
        x = normal((uint64(w0) << uint64(32)) | uint64(w1))
        u = uniform_01((uint64(w2) << uint64(32)) | uint64(w3))
        v = 1.0 + c * x
        if v <= 0.0:
            continue
        v = v * v * v
        if log(u) < 0.5 * x * x + d - d * v + d * log(v):
            return d * v / order, draw


@inline
def _sink(times, value):
    # replace the smallest value, and restore the heap
    last = times.size - 1
    parent = 1
    while 2 * parent <= last:
        child = 2 * parent
        if child < last and times[child + 1] < times[child]:
            child += 1
        if value <= times[child]:
            break
        times[parent] = times[child]
        parent = child
    times[parent] = value


@kernel
def fill_in_equilibrium(times, counters, order, stimulus, low, high):
    """Draw the next spikes of processes in equilibrium, with clocks at 0, not in heap order.

    The interval around an arbitrary moment has the density x f(x), a gamma distribution of the
    order + 1, and the moment is uniformly distributed in it (Cox 1962, Renewal Theory, 5.2).

    Parameters
    ----------
    times : ndarray of float64, shape (n, 1 + processes)
        Filled, in operational time.
    counters : ndarray of uint32, shape (n / 8,)
        `LocalLayout.counters` of these neurons, one for eight.
    order : float
        Order of the processes.
    stimulus, low, high : int
        The stimulus' number and the halves of the seed.
    """
    before, number = uint32(_BEFORE_ALL), uint32(stimulus)
    key0, key1 = uint32(low), uint32(high)
    for i in range(times.shape[0]):
        counter = uint32(counters[i >> 3] * uint32(8) + uint32(i & 7))
        times[i, 0] = 0.0
        draw = 0
        for j in range(1, times.shape[1]):
            around, draw = _gamma(order + 1.0, draw, counter, before, number, key0, key1)
            purpose = uint32(uint32(NOISE) + (uint32(draw) << uint32(8)))
            a, b, _, _ = philox(counter, before, number, purpose, key0, key1)
            draw += 1
            part = uniform_01((uint64(a) << uint64(32)) | uint64(b))
            times[i, j] = part * around * ((order + 1.0) / order)


@cache
def gammas(row_bits: int) -> KernelEntry:
    """Return the kernel entry that adds the spikes of a step; MEANS are expected for a process.

    TIMES hold a clock and a heap of N_TIMES - 1 processes for each neuron, ORDER is a scalar.
    """
    integer, width = (np.int32, 4) if row_bits == 32 else (np.int64, 8)

    def update(table, scalars, first, last, step):
        low, high = uint32(table[SEED_LOW]), uint32(table[SEED_HIGH])
        stimulus, now = uint32(table[STIMULUS_ID]), uint32(step)
        row = row_of(table, first, last, step, integer, width)
        n, size, order = last - first, table[N_TIMES], scalars[ORDER]
        weights = array(table[WEIGHTS] + width * first, n, integer)
        means = array(table[MEANS] + 8 * first, n, np.float64)
        all_times = array(table[TIMES] + 8 * size * first, n * size, np.float64)
        counters = array(table[COUNTERS] + (first >> 3) * 4, n >> 3, np.uint32)
        for i in range(n):
            if means[i] <= 0.0:
                continue
            times = all_times[i * size : (i + 1) * size]
            times[0] += means[i]
            if times[1] > times[0]:
                continue
            counter = uint32(counters[i >> 3] * uint32(8) + uint32(i & 7))
            count = draw = 0
            while times[1] <= times[0]:
                interval, draw = _gamma(order, draw, counter, now, stimulus, low, high)
                _sink(times, times[1] + interval)
                count += 1
            row[i] += integer(integer(count) * weights[i])
        return 0

    return kernel_entry(update)
