"""Weights and delays of a chunk of a row, from the keys of its synapses.

Each pass is a plain loop over arrays that LLVM vectorises. The few draws that a pass does not
settle are drawn again individually, from the same words and so with the same results.

Axes: n synapse of the row.
"""

import numpy as np
from numba import uint64

from distsnn.counter_rng import GOLDEN, splitmix64
from distsnn.jit import kernel
from distsnn.kernels.sampling import (
    CONSTANT,
    NORMAL,
    TRUNCATED_NORMAL,
    draw,
    draw_delay,
    first_try,
)


@kernel
def normal_tries(keys, step, a, b, low, high, values, settled):
    """Fill values with a + b·normal of the word at key + step·GOLDEN if one try settles it."""
    offset = uint64(step) * GOLDEN
    for n in range(keys.size):
        z, accepted = first_try(splitmix64(keys[n] + offset))
        x = a + b * z
        values[n] = x
        settled[n] = accepted and low <= x and x < high


@kernel
def draw_weights(projection, keys, value_index, listed, reals, settled, weights):
    """Fill weights (quanta) of synapses of one projection.

    Parameters
    ----------
    projection : record of PROJECTION
        The projection.
    keys : ndarray of uint64, shape (n,)
        Keys of the synapses; the weight comes from the word at key + GOLDEN.
    value_index : ndarray of int64, shape (n,)
        Index of each synapse's listed weight, if weights are listed.
    listed : ndarray of float64
        Listed weights.
    reals, settled : ndarray of float64, uint8, shape (n,)
        Scratch.
    weights : ndarray of int64, shape (n,)
    """
    kind, a, b = projection.weight_kind, projection.weight_a, projection.weight_b
    low, high = projection.weight_low, projection.weight_high
    if projection.weight_start >= 0:
        for n in range(keys.size):
            reals[n] = listed[projection.weight_start + value_index[n]]
    elif kind == CONSTANT:
        reals[:] = a
    elif kind in (NORMAL, TRUNCATED_NORMAL):
        if kind == NORMAL:
            low, high = -np.inf, np.inf
        normal_tries(keys, np.int64(1), a, b, low, high, reals, settled)
        for n in range(keys.size):
            if settled[n] == 0:
                reals[n] = draw(kind, a, b, low, high, splitmix64(keys[n] + GOLDEN))
    else:
        for n in range(keys.size):
            reals[n] = draw(kind, a, b, low, high, splitmix64(keys[n] + GOLDEN))
    positive, negative = projection.scale_positive, projection.scale_negative
    shift = projection.weight_shift
    for n in range(keys.size):
        w = reals[n]
        weights[n] = np.int64(np.rint(w * (positive if w >= 0.0 else negative))) << shift


@kernel
def draw_delays(projection, keys, value_index, listed, reals, settled, delays):
    """Fill delays (steps) of synapses of one projection, from the words at key + 2·GOLDEN.

    Parameters as in `draw_weights`, with listed delays in steps (int32).
    """
    kind, a, b = projection.delay_kind, projection.delay_a, projection.delay_b
    low, high, max_delay = projection.delay_low, projection.delay_high, projection.max_delay
    if projection.delay_start >= 0:
        for n in range(keys.size):
            delays[n] = listed[projection.delay_start + value_index[n]]
    elif kind == CONSTANT:
        delays[:] = np.int64(a)
    elif kind == NORMAL:
        normal_tries(keys, np.int64(2), a, b, 0.5, np.float64(max_delay) + 0.5, reals, settled)
        for n in range(keys.size):
            delays[n] = np.int64(np.floor(reals[n] + 0.5))
        for n in range(keys.size):
            if settled[n] == 0:
                bits = splitmix64(keys[n] + uint64(2) * GOLDEN)
                delays[n] = draw_delay(kind, a, b, low, high, max_delay, bits)
    else:
        for n in range(keys.size):
            bits = splitmix64(keys[n] + uint64(2) * GOLDEN)
            delays[n] = draw_delay(kind, a, b, low, high, max_delay, bits)
