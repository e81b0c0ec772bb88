"""Random numbers of neurons: for each occurrence in a model, one number per neuron and step.

Axes: b Philox block.
"""

import numpy as np
from numba import uint32, uint64

from distsnn.counter_rng import NEURON, philox
from distsnn.jit import inline
from distsnn.kernels.sampling import normal

# Part of the update entry's table: counters, index of the population, the seed.
COUNTERS, POPULATION, SEED_LOW, SEED_HIGH = range(4)
TABLE_SIZE = 4


# The largest number below 1 in float32: larger ones would round to 1.
_MOST = 1.0 - 2.0**-24


@inline
def _unit(word):
    return min((np.float64(np.int64(word)) + 0.5) * 2.0**-32, _MOST)


@inline
def _purpose(place):
    return uint32(NEURON) | (uint32(place) << uint32(16))


@inline
def fill_uniform(out, counters, loop, place, population, seed_low, seed_high):
    """Fill an array with numbers in (0, 1), four from each Philox block.

    Large numbers are limited to the largest float32 below 1; small numbers keep their digits.

    Parameters
    ----------
    out : ndarray of float32 or float64
        The size is a multiple of 64.
    counters : ndarray of uint32
        `LocalLayout.counters` of these neurons, one for eight neurons.
    loop, place, population, seed_low, seed_high : int
        Key of the stream; `place` is the index of the occurrence in the model.
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
    """Fill an array with standard normal numbers, two from a Philox block; see `fill_uniform`."""
    step, number, purpose = uint32(loop), uint32(population), _purpose(place)
    low, high = uint32(seed_low), uint32(seed_high)
    for b in range(out.size >> 1):
        counter = uint32(counters[b >> 2] * uint32(4) + uint32(b & 3))
        w0, w1, w2, w3 = philox(counter, step, number, purpose, low, high)
        out[2 * b] = normal((uint64(w0) << uint64(32)) | uint64(w1))
        out[2 * b + 1] = normal((uint64(w2) << uint64(32)) | uint64(w3))


@inline
def fill_bits(out, counters, loop, place, population, seed_low, seed_high):
    """Fill an array with random words (uint64), two from a Philox block; see `fill_uniform`.

    Each word is the key of a separate stream, from which a count is drawn.
    """
    step, number, purpose = uint32(loop), uint32(population), _purpose(place)
    low, high = uint32(seed_low), uint32(seed_high)
    for b in range(out.size >> 1):
        counter = uint32(counters[b >> 2] * uint32(4) + uint32(b & 3))
        w0, w1, w2, w3 = philox(counter, step, number, purpose, low, high)
        out[2 * b] = (uint64(w0) << uint64(32)) | uint64(w1)
        out[2 * b + 1] = (uint64(w2) << uint64(32)) | uint64(w3)
