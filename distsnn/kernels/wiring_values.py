"""Weights and delays of a piece of a row, from the keys of its synapses.

Each pass is a plain loop over arrays that LLVM vectorises; the few draws that a pass cannot settle
are drawn again one by one, from the same word and so with the same result.

Axes: n synapse of the row.
"""

import numpy as np
from numba import uint64

from distsnn.counter_rng import GOLDEN, mix
from distsnn.jit import kernel
from distsnn.kernels.sampling import (
    CONSTANT,
    NORMAL,
    TRUNCATED_NORMAL,
    draw,
    draw_delay,
    first_try,
)
from distsnn.kernels.wiring_columns import (
    DELAY_A,
    DELAY_AT,
    DELAY_B,
    DELAY_HIGH,
    DELAY_KIND,
    DELAY_LOW,
    LARGEST_DELAY,
    SCALE_NEGATIVE,
    SCALE_POSITIVE,
    WEIGHT_A,
    WEIGHT_AT,
    WEIGHT_B,
    WEIGHT_HIGH,
    WEIGHT_KIND,
    WEIGHT_LOW,
    WEIGHT_SHIFT,
)


@kernel
def normal_tries(keys, step, a, b, low, high, values, settled):
    """Fill values with a + b·normal of the word at key + step·GOLDEN where one try settles it."""
    offset = uint64(step) * GOLDEN
    for n in range(keys.size):
        z, accepted = first_try(mix(keys[n] + offset))
        x = a + b * z
        values[n] = x
        settled[n] = accepted and low <= x and x < high


@kernel
def draw_weights(ints, floats, keys, at, given, reals, settled, weights):
    """Fill weights (quanta) of synapses of one projection.

    Parameters
    ----------
    ints, floats : ndarray of int64, float64
        The projection's row.
    keys : ndarray of uint64, shape (n,)
        Keys of the synapses; the weight comes from the word at key + GOLDEN.
    at : ndarray of int64, shape (n,)
        Where each synapse's given weight stands, if weights are given.
    given : ndarray of float64
        Given weights.
    reals, settled : ndarray of float64, uint8, shape (n,)
        Scratch.
    weights : ndarray of int64, shape (n,)
    """
    kind, a, b = ints[WEIGHT_KIND], floats[WEIGHT_A], floats[WEIGHT_B]
    low, high = floats[WEIGHT_LOW], floats[WEIGHT_HIGH]
    if ints[WEIGHT_AT] >= 0:
        for n in range(keys.size):
            reals[n] = given[ints[WEIGHT_AT] + at[n]]
    elif kind == CONSTANT:
        reals[:] = a
    elif kind in (NORMAL, TRUNCATED_NORMAL):
        if kind == NORMAL:
            low, high = -np.inf, np.inf
        normal_tries(keys, np.int64(1), a, b, low, high, reals, settled)
        for n in range(keys.size):
            if settled[n] == 0:
                reals[n] = draw(kind, a, b, low, high, mix(keys[n] + GOLDEN))
    else:
        for n in range(keys.size):
            reals[n] = draw(kind, a, b, low, high, mix(keys[n] + GOLDEN))
    positive, negative = floats[SCALE_POSITIVE], floats[SCALE_NEGATIVE]
    shift = ints[WEIGHT_SHIFT]
    for n in range(keys.size):
        w = reals[n]
        weights[n] = np.int64(np.rint(w * (positive if w >= 0.0 else negative))) << shift


@kernel
def draw_delays(ints, floats, keys, at, given, reals, settled, delays):
    """Fill delays (steps) of synapses of one projection, from the words at key + 2·GOLDEN.

    Parameters as in `draw_weights`, with given delays in steps (int32).
    """
    kind, a, b = ints[DELAY_KIND], floats[DELAY_A], floats[DELAY_B]
    low, high, largest = floats[DELAY_LOW], floats[DELAY_HIGH], ints[LARGEST_DELAY]
    if ints[DELAY_AT] >= 0:
        for n in range(keys.size):
            delays[n] = given[ints[DELAY_AT] + at[n]]
    elif kind == CONSTANT:
        delays[:] = np.int64(a)
    elif kind == NORMAL:
        normal_tries(keys, np.int64(2), a, b, 0.5, np.float64(largest) + 0.5, reals, settled)
        for n in range(keys.size):
            delays[n] = np.int64(np.floor(reals[n] + 0.5))
        for n in range(keys.size):
            if settled[n] == 0:
                bits = mix(keys[n] + uint64(2) * GOLDEN)
                delays[n] = draw_delay(kind, a, b, low, high, largest, bits)
    else:
        for n in range(keys.size):
            bits = mix(keys[n] + uint64(2) * GOLDEN)
            delays[n] = draw_delay(kind, a, b, low, high, largest, bits)
