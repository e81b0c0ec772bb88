"""Poisson input: counts with their tails, and no trace of neighbours in neurons or steps."""

import numpy as np
import numpy.typing as npt
import pytest
from chance import LEAST_P, p_of_counts
from kernel_calls import PoissonCall
from scipy import stats

N = 4096


def _histogram(one: PoissonCall, steps: int) -> npt.NDArray[np.int64]:
    total = np.zeros(4096, np.int64)
    for step in range(steps):
        counts = np.bincount(one.counts(step))
        total[: counts.size] += counts
    return total[: int(np.flatnonzero(total)[-1]) + 1]


def _p(one: PoissonCall, mean: float, steps: int) -> float:
    seen = _histogram(one, steps)
    pmf = stats.poisson.pmf(np.arange(seen.size), mean)
    return p_of_counts(seen, pmf * seen.sum())


@pytest.mark.parametrize("mean", [2e-4, 0.02, 0.3, 0.9, 2.0, 3.0])
def test_compared_counts_are_poisson_to_their_tails(mean: float) -> None:
    assert _p(PoissonCall(mean, N, search=False, seed=2), mean, 8000) > LEAST_P


@pytest.mark.parametrize("mean", [0.5, 3.5, 20.0, 250.0, 600.0])
def test_searched_counts_are_poisson(mean: float) -> None:
    assert _p(PoissonCall(mean, N, search=True, seed=3), mean, 1500) > LEAST_P


@pytest.mark.parametrize("mean", [1e-3, 0.4, 3.0, 9.99, 10.0, 30.0, 400.0])
def test_counts_of_own_rates_are_poisson(mean: float) -> None:
    assert _p(PoissonCall(np.full(N, mean), N, seed=4), mean, 400) > LEAST_P


def test_a_large_own_rate_has_the_right_moments_and_shape() -> None:
    mean = 3e6
    one = PoissonCall(np.full(N, mean), N, seed=5)
    z = np.concatenate([(one.counts(step) - mean) / np.sqrt(mean) for step in range(50)])
    assert stats.kstest(z, "norm").pvalue > LEAST_P


def test_neighbouring_own_rates_do_not_mix() -> None:
    means = np.tile([0.0, 0.5, 12.0, 5.0], N // 4)
    one = PoissonCall(means, N, seed=6)
    total = np.zeros(N)
    for step in range(200):
        total += one.counts(step)
    assert np.all(total[::4] == 0)
    for first, mean in ((1, 0.5), (2, 12.0), (3, 5.0)):
        each = total[first::4]
        z = (each.sum() - each.size * 200 * mean) / np.sqrt(each.size * 200 * mean)
        assert abs(z) < 4.5
        # the dispersion of Poisson counts
        chi2 = np.sum((each - 200 * mean) ** 2) / (200 * mean)
        assert stats.chi2(each.size).sf(chi2) > LEAST_P
        assert stats.chi2(each.size).cdf(chi2) > LEAST_P


CALLS = {
    "compare": lambda: PoissonCall(0.6, 256, seed=7),
    "search": lambda: PoissonCall(5.0, 256, seed=7),
    "own": lambda: PoissonCall(np.full(256, 1.5), 256, seed=7),
}


@pytest.mark.parametrize("kind", list(CALLS))
def test_neurons_and_steps_are_uncorrelated(kind: str) -> None:
    one, steps = CALLS[kind](), 4000
    counts = np.array([one.counts(step) for step in range(steps)], np.float64)
    z = (counts - counts.mean(axis=0)) / counts.std(axis=0)
    between = z.T @ z / steps - np.eye(256)
    later = z[1:].T @ z[:-1] / (steps - 1)
    for correlation in (between, later):
        # 65536 values, normal with sd 1/sqrt(steps)
        assert np.abs(correlation).max() < 5.6 / np.sqrt(steps)
        assert abs(correlation.mean()) < 5.0 / np.sqrt(steps) / 256


@pytest.mark.parametrize("kind", list(CALLS))
def test_the_sum_over_a_population_varies_like_a_sum_of_independent_counts(kind: str) -> None:
    one, steps = CALLS[kind](), 4000
    sums = np.array([one.counts(step).sum() for step in range(steps)], np.float64)
    mean = 256 * {"compare": 0.6, "search": 5.0, "own": 1.5}[kind]
    chi2 = np.sum((sums - mean) ** 2) / mean
    assert LEAST_P < stats.chi2(steps).cdf(chi2) < 1.0 - LEAST_P


def test_rare_counts_of_a_large_population_vary_independently() -> None:
    n, mean, steps = 2**19, 2e-5, 400
    one = PoissonCall(mean, n, seed=8)
    sums = np.array([one.counts(step).sum() for step in range(steps)], np.float64)
    chi2 = np.sum((sums - n * mean) ** 2) / (n * mean)
    assert LEAST_P < stats.chi2(steps).cdf(chi2) < 1.0 - LEAST_P


def test_stimuli_of_one_rate_are_independent() -> None:
    first, second = (PoissonCall(0.6, 256, seed=7, stimulus=number) for number in (0, 1))
    a = np.concatenate([first.counts(step) for step in range(1000)]).astype(np.float64)
    b = np.concatenate([second.counts(step) for step in range(1000)]).astype(np.float64)
    assert abs(np.corrcoef(a, b)[0, 1]) < 5.0 / np.sqrt(a.size)
