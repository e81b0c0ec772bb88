"""Poisson input of every neuron and step, independent or copied from one process.

Shared rate. The count of a step is the number of thresholds T_k = round(2^32 P(X <= k)) that a
uniform 32-bit u reaches. Its upper 16 bits nearly always decide, so that one Philox block is enough
for eight neurons: the lower 16 bits are drawn once per step for all neurons and round every
threshold up or down (a marginal distribution exact to 2^-32). In the tail, from threshold
COMPARED - 1, each neuron draws its lower bits. For means above COMPARE_UP_TO, every neuron draws
all 32 bits and searches the thresholds from a guide table (Devroye 1986, III.2.4). So it does for
means below COMPARE_FROM: shared bits correlate neurons by 2^-34 / mean, which the sum over a large
population would reveal.

The tables of a varying rate are computed in every step; its counts are always searched.

Rates of neurons. Sequential inversion (Devroye 1986, X.3.3) below a mean of 10, transformed
rejection (Hörmann 1993, PTRS, Insurance: Mathematics and Economics 12) above.

Copies. A mother process has one count in each step, drawn as for a neuron's rate; each neuron gets
each of its spikes with a probability (Kuhn, Aertsen & Rotter 2003, Neural Computation 15).

Axes: i neuron (padded to 64), g group of 64 neurons. Counters: (8 g + j, step, stimulus, purpose).
"""

from functools import cache

import numpy as np
from numba import int16, uint16, uint32, uint64

from distsnn.counter_rng import NOISE, STIMULUS, philox, uniform_01
from distsnn.jit import KernelEntry, array, inline, kernel, kernel_entry, subroutine
from distsnn.kernels.functions import exp, exp_array, log, log_array
from distsnn.kernels.rows import row_of
from distsnn.kernels.sampling import INVERTED_BELOW, inverted_poisson, proposed_poisson

# Table: the row (kernels.rows), then
COUNTERS, THRESHOLDS, N_THRESHOLDS, WEIGHTS, STIMULUS_ID, SEED_LOW, SEED_HIGH, MEANS = range(3, 11)
SCRATCH, GUIDE, CONSTANTS, COPIED = 11, 12, 13, 14
TABLE_SIZE = 15

COMPARED = 10  # thresholds in the comparison of every neuron; larger counts are rare
COMPARE_FROM, COMPARE_UP_TO = 0.02, 3.0  # mean counts
LARGEST_COMMON_MEAN = 600.0  # exp(-mean) must not underflow; above it every neuron rejects
MOST_THRESHOLDS = 1024  # more than a mean below 700 has
GUIDE_SIZE = 256
_CHUNK = 1024
SCRATCH_BYTES = 8 * _CHUNK


@kernel
def tabulate(mean, exact, guide):
    """Write the tables of a shared rate.

    Parameters
    ----------
    mean : float
        Expected count of a step, above 0; ``exp(-mean)`` must not underflow (mean < 700).
    exact : ndarray of uint64, shape (MOST_THRESHOLDS,)
        Filled with T_k = round(2^32 P(X <= k)) for k = 0, 1, ... up to 2^32.
    guide : ndarray of int64, shape (GUIDE_SIZE,)
        Filled, for each upper byte of a uniform 32-bit number, with its smallest count.

    Returns
    -------
    int
        Number of thresholds, at least COMPARED + 1.
    """
    probability = exp(-mean)
    total, n = probability, 0
    while n <= mean or probability >= 2.0**-36:
        exact[n] = uint64(np.rint(min(total, 1.0) * 4294967296.0))
        n += 1
        probability *= mean / n
        total += probability
    last = max(n, COMPARED)
    exact[n : last + 1] = uint64(4294967296)
    k = 0
    for byte in range(guide.size):
        while exact[k] <= uint64(byte) << uint64(24):
            k += 1
        guide[byte] = k
    return last + 1


def uses_table_search(mean: float) -> bool:
    """Return whether counts of a shared mean are searched, with 32 bits for each neuron."""
    return not COMPARE_FROM <= mean <= COMPARE_UP_TO


def neuron_rate_constants(
    means: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return the constants of means: e^-mean (for inversion) or log(mean) (for rejection)."""
    return np.where(
        means < INVERTED_BELOW, exp_array(-means), log_array(np.maximum(means, INVERTED_BELOW))
    )


@inline
def _at_least(x, threshold):
    return int16(1) if x >= threshold else int16(0)


@subroutine
def _words(out, counters, step, stimulus, purpose, low, high):
    # LLVM vectorises the generator only with plain strides and one output array
    for j in range(counters.size):
        a, b, c, d = philox(counters[j], step, stimulus, purpose, low, high)
        out[4 * j] = a
        out[4 * j + 1] = b
        out[4 * j + 2] = c
        out[4 * j + 3] = d


@subroutine
def _compare(halves, counts, t):
    t0, t1, t2, t3, t4 = t[0], t[1], t[2], t[3], t[4]
    t5, t6, t7, t8, t9 = t[5], t[6], t[7], t[8], t[9]
    largest = uint16(0)
    for i in range(halves.size):
        x = halves[i]
        counts[i] = (
            (_at_least(x, t0) + _at_least(x, t1))
            + (_at_least(x, t2) + _at_least(x, t3))
            + (_at_least(x, t4) + _at_least(x, t5))
            + (_at_least(x, t6) + _at_least(x, t7))
            + (_at_least(x, t8) + _at_least(x, t9))
        )
        largest = max(largest, x)
    return largest


@subroutine
def _search(halves, low_halves, counts, exact, start):
    for i in range(halves.size):
        u = (uint64(halves[i]) << uint64(16)) | uint64(low_halves[i])
        k = start[u >> uint64(24)]
        while u >= exact[k]:
            k += 1
        counts[i] = k


@subroutine
def _resolve_tail(halves, counts, counters, exact, tail, step, stimulus, low, high):
    for i in range(halves.size):
        if halves[i] >= tail:
            low_word = philox(
                uint32(counters[i >> 3] * uint32(8) + uint32(i & 7)),
                step,
                stimulus,
                uint32(NOISE),
                low,
                high,
            )[0]
            u = (uint64(halves[i]) << uint64(16)) | (uint64(low_word) >> uint64(16))
            k = 0
            while u >= exact[k]:
                k += 1
            counts[i] = k


@inline
def _rounded(exact, shared, rounded):
    # x >= rounded  <=>  (x << 16 | shared) >= exact, limited to 16 bits
    for k in range(COMPARED):
        top = exact[k] >> uint64(16)
        if shared < (exact[k] & uint64(0xFFFF)):
            top += uint64(1)
        rounded[k] = uint16(min(top, uint64(0xFFFF)))
    return uint16(min(exact[COMPARED - 1] >> uint64(16), uint64(0xFFFF)))


def _row_type(row_bits: int) -> tuple[type, int]:
    return (np.int32, 4) if row_bits == 32 else (np.int64, 8)


@cache
def shared_rate_entry(
    row_bits: int, search: bool, single_weight: bool, varies: bool = False
) -> KernelEntry:
    """Return the kernel entry for one rate of all neurons.

    Parameters
    ----------
    row_bits : {32, 64}
        Width of the input rows.
    search : bool
        Whether counts are searched (`uses_table_search`) or compared.
    single_weight : bool
        Whether all neurons of the range have the weight ``weights[0]``; else one each.
    varies : bool
        Whether the tables are computed in each step for the only value of MEANS, at most
        LARGEST_COMMON_MEAN (no spikes if it is not above 0). Counts must be searched.
    """
    integer, width = _row_type(row_bits)

    def update(table, scalars, first, last, step):
        if varies:
            mean = array(table[MEANS], 1, np.float64)[0]
            if mean <= 0.0:
                return 0
            exact = array(table[THRESHOLDS], MOST_THRESHOLDS, np.uint64)
            guide = array(table[GUIDE], GUIDE_SIZE, np.int64)
            table[N_THRESHOLDS] = tabulate(mean, exact, guide)
        exact = array(table[THRESHOLDS], table[N_THRESHOLDS], np.uint64)
        low, high = uint32(table[SEED_LOW]), uint32(table[SEED_HIGH])
        stimulus, now = uint32(table[STIMULUS_ID]), uint32(step)
        words = array(table[SCRATCH], _CHUNK // 2, np.uint32)
        low_words = array(table[SCRATCH] + 2 * _CHUNK, _CHUNK // 2, np.uint32)
        all_counts = array(table[SCRATCH] + 4 * _CHUNK, _CHUNK, np.int16)
        rounded = array(table[SCRATCH] + 6 * _CHUNK, COMPARED, np.uint16)
        shared = uint64(
            philox(uint32(0xFFFFFFFF), now, stimulus, uint32(STIMULUS), low, high)[0]
        ) & uint64(0xFFFF)
        tail = _rounded(exact, shared, rounded)
        for start in range(first, last, _CHUNK):
            stop = min(start + _CHUNK, last)
            n = stop - start
            counts = all_counts[:n]
            counters = array(table[COUNTERS] + (start >> 3) * 4, n >> 3, np.uint32)
            _words(words, counters, now, stimulus, uint32(STIMULUS), low, high)
            halves = array(table[SCRATCH], n, np.uint16)
            if search:
                _words(low_words, counters, now, stimulus, uint32(NOISE), low, high)
                low_halves = array(table[SCRATCH] + 2 * _CHUNK, n, np.uint16)
                _search(
                    halves, low_halves, counts, exact, array(table[GUIDE], GUIDE_SIZE, np.int64)
                )
            elif _compare(halves, counts, rounded) >= tail:
                _resolve_tail(halves, counts, counters, exact, tail, now, stimulus, low, high)
            row = row_of(table, start, stop, step, integer, width)
            if single_weight:
                weight = array(table[WEIGHTS], 1, integer)[0]
                for i in range(n):
                    row[i] += integer(integer(counts[i]) * weight)
            else:
                weights = array(table[WEIGHTS] + width * start, n, integer)
                for i in range(n):
                    row[i] += integer(integer(counts[i]) * weights[i])
        return 0

    return kernel_entry(update)


@inline
def _inversion(mean, p, key0, key1, counter, step, stimulus):
    a, b, _, _ = philox(counter, step, stimulus, uint32(NOISE), key0, key1)
    return inverted_poisson(mean, p, uniform_01((uint64(a) << uint64(32)) | uint64(b)))


@inline
def _rejection(mean, log_mean, key0, key1, counter, step, stimulus):
    attempt = uint32(0)
    while True:
        w0, w1, w2, w3 = philox(
            counter, step, stimulus, uint32(uint32(NOISE) + (attempt << uint32(8))), key0, key1
        )
        attempt = uint32(attempt + uint32(1))
        u = uniform_01((uint64(w0) << uint64(32)) | uint64(w1)) - 0.5
        v = uniform_01((uint64(w2) << uint64(32)) | uint64(w3))
        k = proposed_poisson(mean, log_mean, u, v)
        if k >= 0:
            return k


@cache
def neuron_rates_entry(row_bits: int, varies: bool = False) -> KernelEntry:
    """Return the kernel entry for one rate per neuron (MEANS of a step, and their CONSTANTS).

    If rates vary, MEANS are the means of the current step, and CONSTANTS are not used.
    """
    integer, width = _row_type(row_bits)

    def update(table, scalars, first, last, step):
        low, high = uint32(table[SEED_LOW]), uint32(table[SEED_HIGH])
        stimulus, now = uint32(table[STIMULUS_ID]), uint32(step)
        row = row_of(table, first, last, step, integer, width)
        n = last - first
        weights = array(table[WEIGHTS] + width * first, n, integer)
        means = array(table[MEANS] + first * 8, n, np.float64)
        constants = means if varies else array(table[CONSTANTS] + first * 8, n, np.float64)
        counters = array(table[COUNTERS] + (first >> 3) * 4, n >> 3, np.uint32)
        for i in range(n):
            mean = means[i]
            if mean <= 0.0:
                continue
            counter = uint32(counters[i >> 3] * uint32(8) + uint32(i & 7))
            if mean < INVERTED_BELOW:
                constant = exp(-mean) if varies else constants[i]
                k = _inversion(mean, constant, low, high, counter, now, stimulus)
            else:
                constant = log(mean) if varies else constants[i]
                k = _rejection(mean, constant, low, high, counter, now, stimulus)
            row[i] += integer(integer(k) * weights[i])
        return 0

    return kernel_entry(update)


@cache
def copied_rate_entry(row_bits: int) -> KernelEntry:
    """Return the kernel entry for copies of one process; its mean count in the step is MEANS[0].

    Each neuron gets each spike of the process with the probability 2^-32 COPIED.
    """
    integer, width = _row_type(row_bits)

    def update(table, scalars, first, last, step):
        mean = array(table[MEANS], 1, np.float64)[0]
        if mean <= 0.0:
            return 0
        low, high = uint32(table[SEED_LOW]), uint32(table[SEED_HIGH])
        stimulus, now, mother = uint32(table[STIMULUS_ID]), uint32(step), uint32(0xFFFFFFFF)
        if mean < INVERTED_BELOW:
            spikes = _inversion(mean, exp(-mean), low, high, mother, now, stimulus)
        else:
            spikes = _rejection(mean, log(mean), low, high, mother, now, stimulus)
        if spikes == 0:
            return 0
        row = row_of(table, first, last, step, integer, width)
        n, copied = last - first, uint64(table[COPIED])
        weights = array(table[WEIGHTS] + width * first, n, integer)
        counters = array(table[COUNTERS] + (first >> 3) * 4, n >> 3, np.uint32)
        for i in range(n):
            if weights[i] == 0:
                continue
            counter = uint32(counters[i >> 3] * uint32(8) + uint32(i & 7))
            count = 0
            for spike in range(0, spikes, 4):
                a, b, c, d = philox(
                    counter,
                    now,
                    stimulus,
                    uint32(uint32(STIMULUS) + (uint32(spike) << uint32(6))),
                    low,
                    high,
                )
                left = spikes - spike
                count += 1 if uint64(a) < copied else 0
                count += 1 if left > 1 and uint64(b) < copied else 0
                count += 1 if left > 2 and uint64(c) < copied else 0
                count += 1 if left > 3 and uint64(d) < copied else 0
            row[i] += integer(integer(count) * weights[i])
        return 0

    return kernel_entry(update)
