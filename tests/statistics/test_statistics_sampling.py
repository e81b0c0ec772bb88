"""Samplers against the distributions of scipy, with fixed keys."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from chance import LEAST_P, p_of_continuous, p_of_discrete
from numba import uint64
from scipy import stats
from scipy.special import ndtr

from distsnn.counter_rng import GOLDEN, random_word, splitmix64, substream_key
from distsnn.jit import kernel
from distsnn.kernels import sampling

INF = math.inf


@kernel
def _draws(kind, a, b, low, high, n, key):
    out = np.empty(n)
    for i in range(n):
        out[i] = sampling.draw(kind, a, b, low, high, random_word(uint64(key), i))
    return out


@kernel
def _words(key, counters):
    out = np.empty(counters.size, np.uint64)
    for i in range(counters.size):
        out[i] = random_word(uint64(key), counters[i])
    return out


@kernel
def _continued(bits, delays):
    # whether a draw of a positive normal goes on at the words at which `normal` would
    same = np.empty(bits.size, np.bool_)
    for i in range(bits.size):
        after = splitmix64(bits[i] + GOLDEN)
        kind = sampling.TRUNCATED_NORMAL
        if delays:
            most = 1 << 40
            one = sampling.draw_delay(sampling.NORMAL, 0.0, 1e9, 0.0, 0.0, most, bits[i])
            other = sampling.draw_delay(sampling.NORMAL, 0.0, 1e9, 0.0, 0.0, most, after)
            same[i] = one == other
        else:
            one = sampling.draw(kind, 0.0, 1.0, 0.0, np.inf, bits[i])
            same[i] = one == sampling.draw(kind, 0.0, 1.0, 0.0, np.inf, after)
    return same


@kernel
def _delays(kind, a, b, low, high, largest, n, key):
    out = np.empty(n, np.int64)
    for i in range(n):
        out[i] = sampling.draw_delay(kind, a, b, low, high, largest, random_word(uint64(key), i))
    return out


@kernel
def _first_tries(n, key):
    values, settled, normals = np.empty(n), np.empty(n, np.bool_), np.empty(n)
    for i in range(n):
        bits = random_word(uint64(key), i)
        values[i], settled[i] = sampling.first_try(bits)
        normals[i] = sampling.normal(bits)
    return values, settled, normals


@kernel
def _poissons(mean, n, key):
    out = np.empty(n, np.int64)
    for i in range(n):
        out[i] = sampling.poisson(mean, substream_key(uint64(key), i))
    return out


@kernel
def _binomials(trials, part, whole, n, key):
    out = np.empty(n, np.int64)
    for i in range(n):
        out[i] = sampling.binomial(trials, part, whole, substream_key(uint64(key), i))
    return out


@kernel
def _hypergeometrics(drawn, part, whole, n, key):
    out = np.empty(n, np.int64)
    for i in range(n):
        out[i] = sampling.hypergeometric(drawn, part, whole, substream_key(uint64(key), i))
    return out


def _normal(n: int, key: int) -> npt.NDArray[np.float64]:
    return _draws(sampling.NORMAL, 0.0, 1.0, 0.0, 0.0, n, key)


def test_normal_draws_are_normal_to_their_tails() -> None:
    x = _normal(4_000_000, 1)
    assert p_of_continuous(x, stats.norm.cdf, 1024) > LEAST_P
    assert stats.kstest(x[:1_000_000], "norm").pvalue > LEAST_P
    for reach in (3.0, 3.6541528853610088, 4.0, 5.0):
        for beyond in (np.count_nonzero(x > reach), np.count_nonzero(x < -reach)):
            assert stats.binomtest(beyond, x.size, stats.norm.sf(reach)).pvalue > LEAST_P
    # the tail itself, where Marsaglia's method takes over
    tail = np.abs(x[np.abs(x) > 3.66])
    mass = stats.norm.sf(3.66)
    assert stats.kstest(tail, lambda t: 1.0 - stats.norm.sf(t) / mass).pvalue > LEAST_P


def test_neighbouring_normals_are_uncorrelated() -> None:
    x = _normal(1_000_000, 2)
    for lag in (1, 2, 3):
        for a, b in ((x[:-lag], x[lag:]), (x[:-lag] ** 2, x[lag:] ** 2)):
            assert abs(np.corrcoef(a, b)[0, 1]) < 5.0 / math.sqrt(x.size)


def test_a_first_try_is_what_the_full_method_returns() -> None:
    values, settled, normals = _first_tries(100_000, 3)
    np.testing.assert_array_equal(values[settled], normals[settled])
    assert 0.97 < settled.mean() < 0.995


def _truncated(low: float, high: float, mean: float, sd: float):
    """Return the distribution function of a truncated normal (scipy's is slow)."""
    below, above = ndtr(low), ndtr(high)
    return lambda x: (ndtr((x - mean) / sd) - below) / (above - below)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, INF), (-INF, -0.25), (0.5, 1.0), (-0.3, 0.4), (2.0, INF), (-1.5, 4.0)]
)
def test_truncated_normal_draws_are_the_normal_within_its_bounds(low: float, high: float) -> None:
    mean, sd = 1.5, 2.0
    bounds = mean + sd * low, mean + sd * high
    x = _draws(sampling.TRUNCATED_NORMAL, mean, sd, *bounds, 500_000, 4)
    assert x.min() >= bounds[0]
    assert x.max() <= bounds[1]
    assert p_of_continuous(x, _truncated(low, high, mean, sd)) > LEAST_P


def test_a_redraw_shares_no_word_with_the_rejected_draw() -> None:
    # what the rejected draw used up next in the ziggurat must not be what the redraw begins with
    first = _normal(10_000, 4)
    bits = _words(4, np.arange(10_000))[first < 0.0]
    for delays in (False, True):
        assert np.mean(_continued(bits, delays)) < 0.01


@pytest.mark.parametrize(
    ("kind", "a", "b", "cdf"),
    [
        (sampling.LOGNORMAL, 0.3, 0.7, stats.lognorm(0.7, scale=math.exp(0.3)).cdf),
        (sampling.UNIFORM, -2.0, 5.0, stats.uniform(-2.0, 7.0).cdf),
        (sampling.EXPONENTIAL, 3.0, 0.0, stats.expon(scale=3.0).cdf),
        (sampling.NORMAL, -3.0, 0.5, stats.norm(-3.0, 0.5).cdf),
    ],
)
def test_continuous_draws(kind: int, a: float, b: float, cdf) -> None:
    assert p_of_continuous(_draws(kind, a, b, 0.0, 0.0, 1_000_000, 5), cdf) > LEAST_P


def test_constants_and_normals_without_spread() -> None:
    assert set(_draws(sampling.CONSTANT, 2.5, 9.0, 0.0, 0.0, 10, 6)) == {2.5}
    assert set(_draws(sampling.NORMAL, 2.5, 0.0, 0.0, 0.0, 1000, 6)) == {2.5}
    assert set(_draws(sampling.TRUNCATED_NORMAL, 2.5, 0.0, 0.0, 3.0, 1000, 6)) == {2.5}


def _rounded(cdf, largest: int):
    """Return the probabilities of floor(x + 0.5), given 0.5 <= x < largest + 0.5."""
    below, above = cdf(0.5), cdf(largest + 0.5)

    def pmf(k: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        p = (cdf(k + 0.5) - cdf(k - 0.5)) / (above - below)
        return np.where((k >= 1) & (k <= largest), p, 0.0)

    return pmf


@pytest.mark.parametrize(
    ("kind", "a", "b", "largest", "cdf"),
    [
        (sampling.NORMAL, 2.0, 3.0, 40, stats.norm(2.0, 3.0).cdf),
        (sampling.NORMAL, 0.2, 1.0, 2, stats.norm(0.2, 1.0).cdf),
        (sampling.EXPONENTIAL, 5.0, 0.0, 300, stats.expon(scale=5.0).cdf),
        (sampling.LOGNORMAL, 1.0, 0.8, 12, stats.lognorm(0.8, scale=math.e).cdf),
        (sampling.UNIFORM, 0.5, 9.5, 9, stats.uniform(0.5, 9.0).cdf),
    ],
)
def test_delays_are_redrawn_below_half_a_step_and_rounded(
    kind: int, a: float, b: float, largest: int, cdf
) -> None:
    delays = _delays(kind, a, b, 0.0, 0.0, largest, 2_000_000, 7)
    assert delays.min() >= 1
    assert delays.max() <= largest
    assert p_of_discrete(delays, _rounded(cdf, largest)) > LEAST_P


def test_truncated_delays_keep_to_their_bounds() -> None:
    delays = _delays(sampling.TRUNCATED_NORMAL, 3.0, 4.0, 2.0, 7.4, 7, 2_000_000, 8)
    low, high = (2.0 - 3.0) / 4.0, (7.4 - 3.0) / 4.0
    inside = _truncated(low, high, 3.0, 4.0)

    def cdf(x):
        return np.clip(inside(x), 0.0, 1.0)

    assert p_of_discrete(delays, _rounded(cdf, 7)) > LEAST_P
    assert set(_delays(sampling.CONSTANT, 15.0, 0.0, 0.0, 0.0, 15, 10, 8)) == {15}


@pytest.mark.parametrize(
    ("trials", "part", "whole"),
    [
        # counted one by one
        (1, 1, 3),
        (7, 2, 5),
        (64, 1000, 1999),
        (63, 2**31, 2**32 - 1),
        # a whole that 32 bits do not hold
        (1, 2**33, 3 * 2**33),
        (5, 3 * 10**9, 10**10),
        (40, 10**10, 4 * 10**10),
        (64, 7 * 10**9, 10**10),
        (64, 10**8, 10**10),
        # geometric skips, also of more than half
        (65, 1, 20),
        (100, 3, 100),
        (1000, 9, 1000),
        (1000, 995, 1000),
        (10**6, 3, 10**6),
        (10**9, 5, 10**9),
        # transformed rejection
        (65, 31, 64),
        (66, 35, 64),
        (100, 50, 100),
        (1000, 1, 20),
        (1000, 19, 20),
        (10**6, 1, 3),
        (10**6, 20, 10**6),
        (3 * 10**8, 10**10, 4 * 10**10),
    ],
)
def test_binomial_draws(trials: int, part: int, whole: int) -> None:
    draws = _binomials(trials, part, whole, 300_000, 9)
    assert draws.max() <= trials
    assert p_of_discrete(draws, stats.binom(trials, part / whole).pmf) > LEAST_P


@pytest.mark.parametrize(
    "mean",
    # sequential inversion, then transformed rejection
    [1e-3, 0.3, 2.0, np.nextafter(10.0, 0.0), 10.0, 15.5, 80.0, 3000.0],
)
def test_poisson_draws(mean: float) -> None:
    draws = _poissons(mean, 300_000, 12)
    assert p_of_discrete(draws, stats.poisson(mean).pmf) > LEAST_P


def test_poisson_draws_of_a_large_mean() -> None:
    for mean in (1e6, sampling.MOST_POISSON):
        z = (_poissons(mean, 100_000, 13) - mean) / np.sqrt(mean)
        assert stats.kstest(z, "norm").pvalue > LEAST_P


def test_rare_successes_are_as_rare_as_they_should_be() -> None:
    # 1 - p rounds: its logarithm must be taken without the rounding
    trials, part, whole = 10**15, 5, 10**15
    draws = _binomials(trials, part, whole, 300_000, 10)
    assert p_of_discrete(draws, stats.poisson(5.0).pmf) > LEAST_P


def test_binomial_at_its_ends() -> None:
    for trials in (1, 64, 65, 10**6):
        assert set(_binomials(trials, 0, 10, 3, 11)) == {0}
        assert set(_binomials(trials, 10, 10, 3, 11)) == {trials}
    assert set(_binomials(0, 5, 10, 3, 11)) == {0}


@pytest.mark.parametrize(
    ("drawn", "part", "whole"),
    [
        # one by one; and the complement, one by one
        (1, 1, 2),
        (10, 7, 30),
        (32, 64, 128),
        (20, 90, 100),
        (95, 30, 100),
        (118, 64, 150),
        # ratio of uniforms, in all four symmetric cases
        (40, 50, 200),
        (40, 150, 200),
        (160, 50, 200),
        (160, 150, 200),
        (33, 66, 132),
        (64, 64, 128),
        (300, 512, 1024),
        (1000, 3, 10_000),
        (5000, 9_900, 10_000),
        (10_000, 500_000, 1_000_000),
        (900_000, 400_000, 1_000_000),
    ],
)
def test_hypergeometric_draws(drawn: int, part: int, whole: int) -> None:
    draws = _hypergeometrics(drawn, part, whole, 300_000, 12)
    assert draws.min() >= max(0, drawn - (whole - part))
    assert draws.max() <= min(drawn, part)
    assert p_of_discrete(draws, stats.hypergeom(whole, part, drawn).pmf) > LEAST_P


def test_hypergeometric_at_its_ends() -> None:
    assert set(_hypergeometrics(5, 0, 10, 3, 13)) == {0}
    assert set(_hypergeometrics(0, 5, 10, 3, 13)) == {0}
    assert set(_hypergeometrics(5, 10, 10, 3, 13)) == {5}
    assert set(_hypergeometrics(10, 4, 10, 3, 13)) == {4}
    assert set(_hypergeometrics(200, 100, 200, 3, 13)) == {100}
