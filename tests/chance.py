"""Chi-squared tests of counts, with rare outcomes put together."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import stats

# Seeds are fixed, so a test that passes once passes always; a defect gives p = 0.
LEAST_P = 1e-5

Array = npt.NDArray[np.float64]


def p_of_counts(counts: npt.ArrayLike, expected: npt.ArrayLike, least: float = 8.0) -> float:
    """Return the p of a chi-squared test of counts against expected ones.

    Neighbouring outcomes are put together until each group expects `least`; the last group takes
    what the expected counts leave out (the total of both is made equal).
    """
    seen, hoped = np.asarray(counts, np.float64), np.asarray(expected, np.float64)
    assert seen.shape == hoped.shape
    bounds, inside = [0], 0.0
    for i, each in enumerate(hoped):
        inside += each
        if inside >= least:
            bounds.append(i + 1)
            inside = 0.0
    bounds = bounds[:-1] if len(bounds) > 2 else bounds
    starts = np.array(bounds)
    seen, hoped = np.add.reduceat(seen, starts), np.add.reduceat(hoped, starts)
    hoped[-1] += seen.sum() - hoped.sum()
    assert seen.size >= 2 and hoped.min() > 0.0
    return float(stats.chisquare(seen, hoped).pvalue)


def p_of_discrete(draws: npt.NDArray[np.integer], pmf: Callable[[npt.NDArray[np.int64]], Array]):
    """Return the p of draws (>= 0) of a discrete distribution."""
    least = int(draws.min())
    assert least >= 0
    counts = np.bincount(draws - least)
    support = least + np.arange(counts.size)
    probability = pmf(support)
    assert np.all(counts[probability == 0.0] == 0)
    return p_of_counts(counts, probability * draws.size)


def p_of_continuous(draws: Array, cdf: Callable[[Array], Array], bins: int = 512) -> float:
    """Return the p of draws of a continuous distribution, in bins of equal probability."""
    levels = cdf(draws)
    assert np.all((levels >= 0.0) & (levels <= 1.0))
    counts = np.histogram(levels, bins=bins, range=(0.0, 1.0))[0]
    return float(stats.chisquare(counts).pvalue)
