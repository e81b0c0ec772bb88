"""Uniform random numbers for neurons that spike by chance: one a neuron and step.

Axes: b block of four neurons.
"""

import numpy as np
from numba import uint32

from distsnn.counter_rng import NEURON, philox
from distsnn.jit import inline

# A part of the update entry's table: scratch, counters, the population's number, the seed.
UNIFORMS, COUNTERS, POPULATION, SEED_LOW, SEED_HIGH = range(5)
TABLE_SIZE = 5


@inline
def _unit(word):
    return (np.float64(np.int64(word)) + 0.5) * 2.0**-32


@inline
def fill(u, counters, loop, population, seed_low, seed_high):
    """Fill u with numbers in (0, 1), of the Philox block (four neurons, loop, population, NEURON).

    In float32 the largest are rounded to 1, the smallest keep their digits.

    Parameters
    ----------
    u : ndarray of float32 or float64
        A multiple of 64.
    counters : ndarray of uint32
        `Layout.counters` of these neurons, one for eight.
    loop, population, seed_low, seed_high : int
        What the stream belongs to.
    """
    step, number, purpose = uint32(loop), uint32(population), uint32(NEURON)
    low, high = uint32(seed_low), uint32(seed_high)
    for b in range(u.size >> 2):
        counter = uint32(counters[b >> 1] * uint32(2) + uint32(b & 1))
        w0, w1, w2, w3 = philox(counter, step, number, purpose, low, high)
        u[4 * b] = _unit(w0)
        u[4 * b + 1] = _unit(w1)
        u[4 * b + 2] = _unit(w2)
        u[4 * b + 3] = _unit(w3)
