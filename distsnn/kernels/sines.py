"""Sines of time, computed in every step from + − × only: the same bits on every machine.

A phase is a fraction of a turn in units of 2^-64, an integer that wraps at a full turn. The turns
of a step have 32 more bits, so that the phase of step k is within 2^-63 of a turn of the exact
phase for every k below 2^32: errors do not accumulate.

Axes: i value (neuron, or the only one of all neurons).
"""

from functools import cache

import numpy as np
from numba import int64, uint64

from distsnn.jit import KernelEntry, array, inline, kernel_entry

# Output; amplitudes and offsets; integer phases and turns (uint64).
VALUES, AMPLITUDES, OFFSETS, PHASES, TURNS, REMAINDERS = range(6)
TABLE_SIZE = 6

_RADIANS = 6.283185307179586 / 18446744073709551616.0  # of 2^-64 of a turn
_HALF, _QUARTER = uint64(1 << 63), int64(1 << 62)


@inline
def sine_of(phase):
    """Return the sine of a phase (uint64, units of 2^-64 of a turn), within 2 ulp."""
    near = int64(phase)
    # sin(half a turn - x) = sin(x)
    folded = near if -_QUARTER <= near < _QUARTER else int64(_HALF - phase)
    x = np.float64(folded) * _RADIANS
    z = x * x
    # x (1 - z/(2·3) (1 - z/(4·5) (...))), 1e-19 off at a quarter turn
    p = 1.0
    for k in (22.0, 20.0, 18.0, 16.0, 14.0, 12.0, 10.0, 8.0, 6.0, 4.0):
        p = 1.0 - p * (z * (1.0 / (k * (k + 1.0))))
    return x - x * (p * (z * (1.0 / 6.0)))


@cache
def sines(common_wave: bool) -> KernelEntry:
    """Return the kernel entry that computes OFFSETS + AMPLITUDES · sine at the start of the step.

    Parameters
    ----------
    common_wave : bool
        Whether all values share phase and frequency, the words of `first`; else each has its own.
    """

    def compute(table, scalars, first, last, step):
        n, now = last - first, uint64(step)
        values = array(table[VALUES] + 8 * first, n, np.float64)
        amplitudes = array(table[AMPLITUDES] + 8 * first, n, np.float64)
        offsets = array(table[OFFSETS] + 8 * first, n, np.float64)
        phases = array(table[PHASES] + 8 * first, n, np.uint64)
        turns = array(table[TURNS] + 8 * first, n, np.uint64)
        remainders = array(table[REMAINDERS] + 8 * first, n, np.uint64)
        if common_wave:
            shared = sine_of(phases[0] + turns[0] * now + ((remainders[0] * now) >> uint64(32)))
            for i in range(n):
                values[i] = offsets[i] + amplitudes[i] * shared
        else:
            for i in range(n):
                phase = phases[i] + turns[i] * now + ((remainders[i] * now) >> uint64(32))
                values[i] = offsets[i] + amplitudes[i] * sine_of(phase)
        return 0

    return kernel_entry(compute)
