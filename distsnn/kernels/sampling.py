"""Samplers: normal, lognormal, exponential, uniform, binomial, Poisson, hypergeometric.

The streams of numpy and scipy change between versions. Every sampler takes one 64-bit word
(and derives more from it when it rejects) or a keyed stream, so a draw depends on its key only.
"""

import numpy as np
from numba import uint64

from distsnn.counter_rng import GOLDEN, high_half, low_half, random_word, splitmix64, uniform_01
from distsnn.jit import inline, kernel
from distsnn.kernels.functions import exp, log, log_of_complement

CONSTANT, NORMAL, TRUNCATED_NORMAL, LOGNORMAL, UNIFORM, EXPONENTIAL = range(6)

# A redraw must share no word with the rejected draw, which may have used a chain of words one
# GOLDEN apart.
_REDRAW, _REDRAW_DELAY = np.uint64(0xD1B54A32D192ED03), np.uint64(0xABC98388FB8FAC03)

INVERTED_BELOW = 10.0  # mean of a Poisson count
MOST_POISSON = 1e9  # mean; float64 does not resolve the probabilities of larger means

_LAYERS = 256
_R = 3.6541528853610088  # start of the tail
_AREA = 0.00492867323399  # of a layer


def _ziggurat():
    """Return the layers' right edges and the density at them, from the base strip up.

    Not compiled: loading a kernel would take longer, in each process that imports this module.
    Marsaglia & Tsang (2000), J. Stat. Softw. 5(8).
    """
    x, y = np.empty(_LAYERS + 1), np.empty(_LAYERS + 1)
    x[0], x[1], x[_LAYERS] = _AREA / exp(-0.5 * _R * _R), _R, 0.0
    for i in range(2, _LAYERS):
        x[i] = np.sqrt(-2.0 * log(_AREA / x[i - 1] + exp(-0.5 * x[i - 1] * x[i - 1])))
    for i in range(_LAYERS + 1):
        y[i] = exp(-0.5 * x[i] * x[i])
    return x, y


_X, _Y = _ziggurat()  # type: ignore[no-untyped-call]


@inline
def normal(bits):
    """Return a standard normal float64 from a 64-bit word (ziggurat, exact tails)."""
    while True:
        layer = np.int64(bits & uint64(255))
        sign = 1.0 if bits & uint64(256) else -1.0
        x = np.float64(np.int64(bits >> uint64(11))) * 1.1102230246251565e-16 * _X[layer]
        if x < _X[layer + 1]:
            return sign * x
        bits = splitmix64(bits + GOLDEN)
        if layer == 0:
            # Marsaglia's tail: x = -log(u)/R, accepted when -2 log(v) > x^2
            while True:
                x = -log(uniform_01(bits)) / _R
                bits = splitmix64(bits + GOLDEN)
                y = -log(uniform_01(bits))
                bits = splitmix64(bits + GOLDEN)
                if y + y > x * x:
                    return sign * (_R + x)
        if _Y[layer] + uniform_01(bits) * (_Y[layer + 1] - _Y[layer]) < exp(-0.5 * x * x):
            return sign * x
        bits = splitmix64(bits + GOLDEN)


@inline
def first_try(bits):
    """Return the first proposal of `normal`, and whether `normal` accepts it.

    The function has no branch, so that a loop over many words is vectorised; the caller draws the
    few others (1 in 80) with `normal`.
    """
    layer = bits & uint64(255)
    x = np.float64(np.int64(bits >> uint64(11))) * 1.1102230246251565e-16 * _X[layer]
    return (x if bits & uint64(256) else -x), x < _X[layer + uint64(1)]


@inline
def draw(kind, a, b, low, high, bits):
    """Return one float64 of a coded distribution from a 64-bit word.

    (kind, a, b, low, high): constant a; normal(mean a, sd b); truncated normal redrawn until in
    [low, high]; lognormal exp(normal(a, b)); uniform in (a, b); exponential of mean a.
    """
    if kind == CONSTANT:
        return a
    if kind == NORMAL:
        return a + b * normal(bits)
    if kind == TRUNCATED_NORMAL:
        while True:
            x = a + b * normal(bits)
            if low <= x <= high:
                return x
            bits = splitmix64(bits + _REDRAW)
    if kind == LOGNORMAL:
        return exp(a + b * normal(bits))
    if kind == UNIFORM:
        return a + (b - a) * uniform_01(bits)
    return -a * log(uniform_01(bits))


@inline
def draw_delay(kind, a, b, low, high, largest, bits):
    """Return a delay in steps (parameters in steps): redrawn below half a step, then rounded.

    Draws above `largest` steps, whose probability is below 2**-60 for unbounded distributions,
    are redrawn too.
    """
    if kind == CONSTANT:
        return np.int64(a)
    while True:
        x = draw(kind, a, b, low, high, bits)
        if 0.5 <= x < np.float64(largest) + 0.5:
            return np.int64(np.floor(x + 0.5))
        bits = splitmix64(bits + _REDRAW_DELAY)


@inline
def _stirling(k):
    """Return log(k!) minus Stirling's formula (Hörmann 1993): exact to 1e-8 of the result."""
    if k < 10.0:
        table = (
            0.08106146679532726,
            0.04134069595540929,
            0.02767792568499834,
            0.02079067210376509,
            0.01664469118982119,
            0.01387612882307075,
            0.01189670994589177,
            0.01041126526197209,
            0.009255462182712733,
            0.008330563433362871,
        )
        return table[np.int64(k)]
    z = 1.0 / ((k + 1.0) * (k + 1.0))
    return (1 / 12 - (1 / 360 - 1 / 1260 * z) * z) / (k + 1.0)


@inline
def log_factorial(k):
    """Return log(k!) for a whole float64 k >= 0 (Stirling's series)."""
    half_log_two_pi = 0.9189385332046727
    return half_log_two_pi + (k + 0.5) * log(k + 1.0) - (k + 1.0) + _stirling(k)


@kernel
def binomial(n, successes, total, key):
    """Return how many of n independent trials of probability successes / total succeed.

    A few trials are drawn individually; many use transformed rejection (Hörmann 1993, BTRS,
    J. Stat. Comput. Simul. 46). `key` is the key of a separate stream.
    """
    if successes <= 0 or n <= 0:
        return np.int64(0)
    if successes >= total:
        return np.int64(n)
    if n <= 64 and total < (1 << 32):
        # two trials a word, each exact to 2**-32: uniform in [0, whole) below part
        limit = uint64(successes)
        size = uint64(total)
        count = np.int64(0)
        for i in range((n + 1) >> 1):
            bits = random_word(key, i)
            count += np.int64(((high_half(bits) * size) >> uint64(32)) < limit)
            if 2 * i + 1 < n:
                count += np.int64(((low_half(bits) * size) >> uint64(32)) < limit)
        return count
    p = np.float64(successes) / np.float64(total)
    flipped = p > 0.5
    if flipped:
        p = np.float64(total - successes) / np.float64(total)
    trials = np.float64(n)
    mean = trials * p
    k = _binomial_small(trials, p, key) if mean < 10.0 else _binomial_large(trials, p, key)
    return np.int64(n - k) if flipped else np.int64(k)


@inline
def _binomial_small(n, p, key):
    # skips between successes are geometric (Devroye 1986, X.4.2)
    scale = 1.0 / log_of_complement(p)
    count = np.int64(0)
    position = 0.0
    while True:
        position += np.floor(log(uniform_01(random_word(key, count))) * scale) + 1.0
        if position > n:
            return count
        count += 1


@inline
def _binomial_large(n, p, key):
    spread = np.sqrt(n * p * (1.0 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = n * p + 0.5
    v_r = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * spread
    odds = p / (1.0 - p)
    mode = np.floor((n + 1.0) * p)
    counter = np.int64(0)
    while True:
        u = uniform_01(random_word(key, counter)) - 0.5
        v = uniform_01(random_word(key, counter + 1))
        counter += 2
        us = 0.5 - abs(u)
        k = np.floor((2.0 * a / us + b) * u + c)
        if k < 0.0 or k > n:
            continue
        if us >= 0.07 and v <= v_r:
            return np.int64(k)
        v = log(v * alpha / (a / (us * us) + b))
        bound = (
            (mode + 0.5) * log((mode + 1.0) / (odds * (n - mode + 1.0)))
            + (n + 1.0) * log((n - mode + 1.0) / (n - k + 1.0))
            + (k + 0.5) * log(odds * (n - k + 1.0) / (k + 1.0))
            + _stirling(mode)
            + _stirling(n - mode)
            - _stirling(k)
            - _stirling(n - k)
        )
        if v <= bound:
            return np.int64(k)


@inline
def poisson(mean, key):
    """Return a Poisson count of a mean up to `MOST_POISSON` from a separate stream.

    Sequential inversion (Devroye 1986, X.3.3) of 52 bits below a mean of 10, transformed rejection
    (Hörmann 1993, PTRS, Insurance: Mathematics and Economics 12) above.
    """
    if mean < INVERTED_BELOW:
        return np.int64(inverted_poisson(mean, exp(-mean), uniform_01(random_word(key, 0))))
    log_mean, counter = log(mean), np.int64(0)
    while True:
        u = uniform_01(random_word(key, counter)) - 0.5
        v = uniform_01(random_word(key, counter + 1))
        counter += 2
        k = proposed_poisson(mean, log_mean, u, v)
        if k >= 0:
            return k


@inline
def inverted_poisson(mean, p, u):
    """Return the Poisson count of a uniform number u; p is e^-mean of a mean below 10."""
    # terms below 1e-18 are in the tail: the rest of u is rounding
    k = 0
    while u > p and p > 1e-18:
        u -= p
        k += 1
        p *= mean / k
    return k


@inline
def proposed_poisson(mean, log_mean, u, v):
    """Return the Poisson count that uniform numbers propose, for a mean of at least 10.

    PTRS: u is in (-0.5, 0.5), v in (0, 1). The result is -1 if the count is rejected.
    """
    b = 0.931 + 2.53 * np.sqrt(mean)
    a = -0.059 + 0.02483 * b
    us = 0.5 - abs(u)
    k = np.floor((2.0 * a / us + b) * u + mean + 0.43)
    if us >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2.0):
        return np.int64(k)
    if k < 0.0 or (us < 0.013 and v > us):
        return np.int64(-1)
    log_ratio = log(v) + log(1.1239 + 1.1328 / (b - 3.4)) - log(a / (us * us) + b)
    return np.int64(k) if log_ratio <= k * log_mean - mean - log_factorial(k) else np.int64(-1)


@kernel
def hypergeometric(drawn, marked, total, key):
    """Return how many of `drawn` items, drawn without replacement from `total`, are `marked`.

    A few items are drawn individually; many use the ratio-of-uniforms rejection HRUA (Stadlober
    1990, J. Comput. Appl. Math. 31) on the smaller of the four symmetric cases.
    """
    if drawn <= 0 or marked <= 0:
        return np.int64(0)
    if marked >= total:
        return np.int64(drawn)
    if drawn >= total:
        return np.int64(marked)
    sample = min(drawn, total - drawn)
    if sample <= 32:
        count = np.int64(0)
        n_marked = np.int64(marked)
        for i in range(sample):
            bits = high_half(random_word(key, i))
            if np.int64((bits * uint64(total - i)) >> uint64(32)) < n_marked:
                count += 1
                n_marked -= 1
    else:
        count = _hypergeometric_large(sample, marked, total, key)
    return np.int64(count if sample == drawn else marked - count)


@inline
def _hypergeometric_large(sample, marked, population, key):
    minority = min(marked, population - marked)
    m, s, total = np.float64(minority), np.float64(sample), np.float64(population)
    p = m / total
    centre = s * p + 0.5
    deviation = np.sqrt((total - s) * s * p * (1.0 - p) / (total - 1.0) + 0.5)
    width = 1.7155277699214135 * deviation + 0.8989161620588988
    mode = np.floor((s + 1.0) * (m + 1.0) / (total + 2.0))
    peak = (
        log_factorial(mode)
        + log_factorial(m - mode)
        + log_factorial(s - mode)
        + log_factorial(total - m - s + mode)
    )
    top = min(min(s, m) + 1.0, np.floor(centre + 16.0 * deviation))
    counter = np.int64(0)
    while True:
        x = uniform_01(random_word(key, counter))
        y = uniform_01(random_word(key, counter + 1))
        counter += 2
        k = centre + width * (y - 0.5) / x
        if k < 0.0 or k >= top:
            continue
        k = np.floor(k)
        gain = peak - (
            log_factorial(k)
            + log_factorial(m - k)
            + log_factorial(s - k)
            + log_factorial(total - m - s + k)
        )
        if x * (4.0 - x) - 3.0 <= gain:
            break
        if x * (x - gain) >= 1.0:
            continue
        if 2.0 * log(x) <= gain:
            break
    count = np.int64(k)
    return count if minority == marked else np.int64(sample) - count
