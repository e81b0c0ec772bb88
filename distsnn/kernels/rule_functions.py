"""Functions of plasticity kernels: states between spikes, and random numbers of synapses.

All results are in the precision of the rule's weights and constants. Neuron kernels draw counts by
the same functions.
"""

import numpy as np
from numba import uint32, uint64

from distsnn.counter_rng import philox, uniform_01
from distsnn.jit import inline, kernel
from distsnn.kernels.functions import exp, expm1, exprel, flush_subnormal
from distsnn.kernels.sampling import MOST_POISSON, binomial, normal, poisson

# Replaces a time constant of 0, steps: after one step the value is 0.
_SHORTEST = 1e-9
# The largest number below 1 in float32: larger ones would round to 1.
_MOST = 1.0 - 2.0**-24
# Probabilities of trials are multiples of 1 / _WHOLE.
_WHOLE = 1 << 31


@inline
def decay(steps, tau):
    """Return exp(-steps / tau), with a time constant in steps."""
    return flush_subnormal(exp(-type(tau)(steps) / max(tau, type(tau)(_SHORTEST))))


@inline
def decayed(value, steps, rate):
    """Return a value after decay at a rate per step, with one rounding of its change."""
    return type(value)(value - value * spent(steps, rate))


@inline
def spent(steps, rate):
    """Return the fraction of a value that decays, at a rate per step; float64."""
    return -expm1(-np.float64(steps) * rate)


@inline
def integral(steps, rate):
    """Return the sum of exp(-rate x) over an interval, x in steps; float64."""
    n = np.float64(steps)
    # a constant value has rate 0
    return n if rate == 0 else spent(steps, rate) / np.float64(rate)


@inline
def filtered(steps, tau, tau_input):
    """Return x(steps) where tau dx/dt = y - x from x = 0, and y decays from 1 with tau_input.

    It is (exp(-steps/tau_input) - exp(-steps/tau)) / (1 - tau/tau_input), in a form without a
    special case for equal time constants.
    """
    n = type(tau)(steps)
    rate = n / max(tau, type(tau)(_SHORTEST))
    rate_input = n / max(tau_input, type(tau)(_SHORTEST))
    return rate * flush_subnormal(exp(-min(rate, rate_input))) * exprel(-abs(rate - rate_input))


@inline
def synapse_bits(step, target, source, number, low, high):
    """Return two words of random bits (uint64) of a synapse and a spike of its source.

    Parameters
    ----------
    step : int
        The spike's step.
    target, source : int
        Gids.
    number : int
        Index of the synapse in its pair, and of the source's spike in the step.
    low, high : uint32
        Key of the projection and of the occurrence in the rule.
    """
    a, b, c, d = philox(uint32(step), uint32(target), uint32(source), uint32(number), low, high)
    return (uint64(a) << uint64(32)) | uint64(b), (uint64(c) << uint64(32)) | uint64(d)


@inline
def uniform_in(like, bits):
    """Return a number in (0, 1), in the type of `like`."""
    return type(like)(min(uniform_01(bits), _MOST))


@inline
def normal_in(like, bits):
    """Return a standard normal number, in the type of `like`."""
    return type(like)(normal(bits))


@inline
def binomial_in(like, bits, trials, probability):
    """Return the number of successes among trials, in the type of `like`.

    Trials are rounded to an integer, probabilities to multiples of 2**-31.
    """
    n = np.int64(np.rint(np.float64(trials)))
    part = np.int64(np.rint(np.float64(probability) * _WHOLE))
    return type(like)(binomial(n, part, np.int64(_WHOLE), bits))


@inline
def poisson_in(like, bits, mean):
    """Return a Poisson count of a mean, in the type of `like`.

    It is 0 for a mean below 0, and NaN for a mean that is NaN or above `MOST_POISSON`.
    """
    if mean <= 0.0:
        return type(like)(0.0)
    return type(like)(poisson(np.float64(mean), bits) if mean <= MOST_POISSON else np.nan)


@kernel
def number_multapses(rows, targets, numbers, counts):
    """Number the synapses of each pair of neurons, in the order of the rows.

    Parameters
    ----------
    rows : ndarray of int64, shape (n_rows + 1,)
        First synapse of each row.
    targets : ndarray of int64, shape (n_synapses,)
        Local targets.
    numbers : ndarray of uint32, shape (n_synapses,)
        Filled: 0 for the first synapse of a pair.
    counts : ndarray of int64, shape (n_local,)
        Scratch: zeros.
    """
    for r in range(rows.size - 1):
        for i in range(rows[r], rows[r + 1]):
            numbers[i] = counts[targets[i]]
            counts[targets[i]] += 1
        for i in range(rows[r], rows[r + 1]):
            counts[targets[i]] = 0
