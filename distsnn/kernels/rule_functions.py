"""What kernels of plasticity rules call: states between spikes, and random numbers of synapses.

Everything is in the precision of the rule's weights and constants, however it is computed. Kernels
of neurons draw counts by the same functions.
"""

import numpy as np
from numba import uint32, uint64

from distsnn.counter_rng import philox, unit
from distsnn.jit import inline, kernel
from distsnn.kernels.functions import exp, expm1, exprel, flush
from distsnn.kernels.sampling import MOST_POISSON, binomial, normal, poisson

# A time constant of 0 counts as this, steps: after a step nothing is left.
_SHORTEST = 1e-9
# The largest number below 1 in float32, to which larger ones would not be rounded.
_MOST = 1.0 - 2.0**-24
# Probabilities of trials are resolved to one of these parts.
_WHOLE = 1 << 31


@inline
def decay(steps, tau):
    """Return exp(-steps / tau), of a time constant in steps."""
    return flush(exp(-type(tau)(steps) / max(tau, type(tau)(_SHORTEST))))


@inline
def decayed(value, steps, rate):
    """Return a value that has decayed at a rate per step, with one rounding of its change."""
    return type(value)(value - value * spent(steps, rate))


@inline
def spent(steps, rate):
    """Return the share by which a value decays at a rate per step; float64."""
    return -expm1(-np.float64(steps) * rate)


@inline
def integral(steps, rate):
    """Return the sum of exp(-rate x) over an interval, x in steps; float64."""
    n = np.float64(steps)
    # a rate that is 0 is that of what stays
    return n if rate == 0 else spent(steps, rate) / np.float64(rate)


@inline
def filtered(steps, tau, tau_input):
    """Return x(steps) where tau dx/dt = y - x from x = 0 on, and y decays from 1 with tau_input.

    It is (exp(-steps/tau_input) - exp(-steps/tau)) / (1 - tau/tau_input), in a form that has no
    special case where both time constants are equal.
    """
    n = type(tau)(steps)
    rate = n / max(tau, type(tau)(_SHORTEST))
    rate_input = n / max(tau_input, type(tau)(_SHORTEST))
    return rate * flush(exp(-min(rate, rate_input))) * exprel(-abs(rate - rate_input))


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
        Which of the pair's synapses it is, and which of the source's spikes in the step.
    low, high : uint32
        Key of the projection and of the place in the rule.
    """
    a, b, c, d = philox(uint32(step), uint32(target), uint32(source), uint32(number), low, high)
    return (uint64(a) << uint64(32)) | uint64(b), (uint64(c) << uint64(32)) | uint64(d)


@inline
def uniform_in(like, bits):
    """Return a number in (0, 1), of the type of another."""
    return type(like)(min(unit(bits), _MOST))


@inline
def normal_in(like, bits):
    """Return a standard normal number, of the type of another."""
    return type(like)(normal(bits))


@inline
def binomial_in(like, bits, trials, probability):
    """Return the number of successes among trials, of the type of another.

    Trials are rounded to a whole number, probabilities to multiples of 2**-31.
    """
    n = np.int64(np.rint(np.float64(trials)))
    part = np.int64(np.rint(np.float64(probability) * _WHOLE))
    return type(like)(binomial(n, part, np.int64(_WHOLE), bits))


@inline
def poisson_in(like, bits, mean):
    """Return a Poisson count of a mean, of the type of another.

    It is 0 of a mean below 0. Of a mean above `MOST_POISSON`, or that is no number, it is none.
    """
    if mean <= 0.0:
        return type(like)(0.0)
    return type(like)(poisson(np.float64(mean), bits) if mean <= MOST_POISSON else np.nan)


@kernel
def number_multapses(rows, targets, numbers, seen):
    """Number the synapses of each pair of neurons, in the order in which rows hold them.

    Parameters
    ----------
    rows : ndarray of int64, shape (n_rows + 1,)
        First synapse of each row.
    targets : ndarray of int64, shape (n_synapses,)
        Local targets.
    numbers : ndarray of uint32, shape (n_synapses,)
        Filled: 0 for the first synapse of a pair.
    seen : ndarray of int64, shape (n_local,)
        Scratch: zeros.
    """
    for r in range(rows.size - 1):
        for i in range(rows[r], rows[r + 1]):
            numbers[i] = seen[targets[i]]
            seen[targets[i]] += 1
        for i in range(rows[r], rows[r + 1]):
            seen[targets[i]] = 0
