"""Random numbers of neurons: for each place in a model that asks for one, one a neuron and step.

Axes: b Philox block.
"""

import numpy as np
from numba import uint32, uint64

from distsnn.counter_rng import NEURON, philox
from distsnn.jit import inline
from distsnn.kernels.sampling import normal

# A part of the update entry's table: counters, the population's number, the seed.
COUNTERS, POPULATION, SEED_LOW, SEED_HIGH = range(4)
TABLE_SIZE = 4


# The largest number below 1 in float32, to which larger ones would not be rounded.
_MOST = 1.0 - 2.0**-24


@inline
def _unit(word):
    return min((np.float64(np.int64(word)) + 0.5) * 2.0**-32, _MOST)


@inline
def _purpose(place):
    return uint32(NEURON) | (uint32(place) << uint32(16))


@inline
def fill_uniform(out, counters, loop, place, population, seed_low, seed_high):
    """Fill an array with numbers in (0, 1), four of each Philox block.

    The largest are limited to what float32 has below 1, the smallest keep their digits.

    Parameters
    ----------
    out : ndarray of float32 or float64
        A multiple of 64.
    counters : ndarray of uint32
        `Layout.counters` of these neurons, one for eight.
    loop, place, population, seed_low, seed_high : int
        What the stream belongs to; `place` counts those of the model.
    """
    step, number, purpose = uint32(loop), uint32(population), _purpose(place)
    low, high = uint32(seed_low), uint32(seed_high)
    for b in range(out.size >> 2):
        counter = uint32(counters[b >> 1] * uint32(2) + uint32(b & 1))
        w0, w1, w2, w3 = philox(counter, step, number, purpose, low, high)
        out[4 * b] = _unit(w0)
        out[4 * b + 1] = _unit(w1)
        out[4 * b + 2] = _unit(w2)
        out[4 * b + 3] = _unit(w3)


@inline
def fill_normal(out, counters, loop, place, population, seed_low, seed_high):
    """Fill an array with standard normal numbers, two of a Philox block; see `fill_uniform`."""
    step, number, purpose = uint32(loop), uint32(population), _purpose(place)
    low, high = uint32(seed_low), uint32(seed_high)
    for b in range(out.size >> 1):
        counter = uint32(counters[b >> 2] * uint32(4) + uint32(b & 3))
        w0, w1, w2, w3 = philox(counter, step, number, purpose, low, high)
        out[2 * b] = normal((uint64(w0) << uint64(32)) | uint64(w1))
        out[2 * b + 1] = normal((uint64(w2) << uint64(32)) | uint64(w3))


@inline
def fill_bits(out, counters, loop, place, population, seed_low, seed_high):
    """Fill an array with words of random bits (uint64), two of a Philox block; see `fill_uniform`.

    Each word is the key of a stream of its own, of which counts are drawn.
    """
    step, number, purpose = uint32(loop), uint32(population), _purpose(place)
    low, high = uint32(seed_low), uint32(seed_high)
    for b in range(out.size >> 1):
        counter = uint32(counters[b >> 2] * uint32(4) + uint32(b & 3))
        w0, w1, w2, w3 = philox(counter, step, number, purpose, low, high)
        out[2 * b] = (uint64(w0) << uint64(32)) | uint64(w1)
        out[2 * b + 1] = (uint64(w2) << uint64(32)) | uint64(w3)
