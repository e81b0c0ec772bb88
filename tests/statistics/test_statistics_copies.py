"""Correlated Poisson input: the law of each neuron's counts and of their sum."""

import numpy as np
import numpy.typing as npt
import pytest
from chance import LEAST_P, p_of_counts
from kernel_calls import PoissonCall
from scipy import stats

N, STEPS = 64, 20_000


def sum_pmf(mean: float, correlation: float, n: int) -> npt.NDArray[np.float64]:
    """Return the probabilities of the sum of n neurons' counts, from 0 on.

    Given m spikes of the mother process, it is binomial of m n trials.
    """
    mother = mean / correlation
    m = np.arange(int(mother + 12.0 * np.sqrt(mother) + 30.0))
    given = stats.binom.pmf(np.arange(m[-1] * n + 1), m[:, None] * n, correlation)
    return stats.poisson.pmf(m, mother) @ given


@pytest.mark.parametrize(
    ("mean", "correlation"), [(0.02, 0.1), (0.4, 0.5), (0.9, 1.0), (2.4, 0.3), (6.0, 0.5)]
)
def test_counts_of_copies(mean: float, correlation: float) -> None:
    one = PoissonCall(mean, N, correlation=correlation, seed=11)
    counts = np.array([one.counts(step, 64 if step % 2 else 0) for step in range(STEPS)])
    sums = counts.sum(axis=1)
    pmf = sum_pmf(mean, correlation, N)
    assert p_of_counts(np.bincount(sums, minlength=pmf.size), pmf * STEPS) > LEAST_P
    for neuron in (0, 37):
        seen = np.bincount(counts[:, neuron])
        expected = stats.poisson.pmf(np.arange(seen.size), mean) * STEPS
        assert p_of_counts(seen, expected) > LEAST_P
    # steps have nothing to do with each other
    later = np.corrcoef(sums[1:], sums[:-1])[0, 1]
    assert abs(later) < 5.0 / np.sqrt(STEPS)
    if correlation == 1.0:
        assert np.all(counts == counts[:, :1])
    else:
        # nor neurons, given the sum: differences have the variance 2 mean (1 - correlation)
        differences = (counts[:, ::2] - counts[:, 1::2]).astype(np.float64)
        variance = np.mean(differences**2, axis=1)
        error = variance.std() / np.sqrt(STEPS)
        assert abs(variance.mean() - 2.0 * mean * (1.0 - correlation)) < 4.5 * error


def test_copies_of_two_stimuli_are_independent() -> None:
    first, second = (PoissonCall(0.6, N, correlation=0.8, stimulus=number) for number in (0, 1))
    a, b = (np.array([one.counts(k).sum() for k in range(5000)]) for one in (first, second))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5.0 / np.sqrt(5000)
