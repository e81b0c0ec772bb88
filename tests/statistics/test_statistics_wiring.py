"""Pairs, degrees, weights and delays of drawn synapses against their distributions."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from campaigns import sampled
from chance import LEAST_P, p_of_counts, p_of_discrete
from decoded import DELAY, SOURCE, TARGET, WEIGHT, Ints, layouts, of_wiring, scales
from scipy import stats

from distsnn.engine import wiring
from distsnn.network import (
    ConnectionRule,
    Exponential,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscDelta,
    Lognormal,
    Network,
    Normal,
    PairwiseBernoulli,
    Population,
    Projection,
    TruncatedNormal,
    Uniform,
)

SMALL = Population("small", 70, IafPscDelta())  # a block of 64 and one of 6
PRE, POST = Population("pre", 1500, IafPscDelta()), Population("post", 2300, IafPscDelta())
RUNS = 250


def _built(network: Network, seed: int) -> Ints:
    (layout,) = layouts(network, 1)
    return of_wiring(layout, wiring.build(layout, scales(network), seed))


def _pairs(rule: ConnectionRule) -> npt.NDArray[np.int64]:
    """Return how often each (source, target) of 70 neurons was connected in all runs."""
    network = Network([SMALL], [Projection(SMALL, SMALL, rule, weight=1.0, delay=1.0)])
    counts = np.zeros(70 * 70, np.int64)
    for seed in range(RUNS):
        found = _built(network, seed)
        counts += np.bincount(found[:, SOURCE] * 70 + found[:, TARGET], minlength=4900)
    return counts.reshape(70, 70)


def _p_of_pairs(counts: npt.NDArray[np.int64], autapses: bool, variance: float) -> float:
    """Return the p of a chi-squared test of every row of equally likely pairs.

    `variance` is that of a pair's count by its mean: 1 where draws are independent, less where
    they are distinct. It is two-sided: distinct draws vary less.
    """
    statistic, freedom = 0.0, 0
    for i, row in enumerate(counts):
        each = row if autapses else np.delete(row, i)
        mean = each.mean()
        statistic += np.sum((each - mean) ** 2) / (mean * variance)
        freedom += each.size - 1
    chance = stats.chi2(freedom)
    return 2.0 * min(chance.sf(statistic), chance.cdf(statistic))


@pytest.mark.parametrize("autapses", [True, False])
@pytest.mark.parametrize("multapses", [True, False])
@pytest.mark.parametrize("degree", sampled([3, 40], 2))
@pytest.mark.parametrize("rule", [FixedIndegree, FixedOutdegree])
def test_every_pair_is_as_likely(
    rule: type[FixedIndegree], degree: int, multapses: bool, autapses: bool
) -> None:
    counts = _pairs(rule(degree, autapses=autapses, multapses=multapses))
    n = 70 if autapses else 69
    if not autapses:
        assert not np.trace(counts)
    if rule is FixedIndegree:
        counts = counts.T
    # of n equally likely ones, k distinct: the variance of each is that of a draw of a sample
    variance = 1.0 if multapses else (n - degree) / (n - 1)
    assert np.all(counts.sum(axis=1) == RUNS * degree)
    assert _p_of_pairs(counts, autapses, variance) > LEAST_P
    # the other way about, sums over rows are nearly independent
    assert _p_of_columns(counts, degree / n, autapses, multapses) > LEAST_P


def _p_of_columns(
    counts: npt.NDArray[np.int64], share: float, autapses: bool, multapses: bool
) -> float:
    rows = 70 if autapses else 69
    mean = RUNS * rows * share
    statistic = np.sum((counts.sum(axis=0) - mean) ** 2) / mean
    if not multapses:
        statistic /= 1.0 - share
    return 2.0 * min(stats.chi2(69).sf(statistic), stats.chi2(69).cdf(statistic))


@pytest.mark.parametrize("autapses", [True, False])
def test_every_pair_is_as_likely_among_a_total_number(autapses: bool) -> None:
    counts = _pairs(FixedTotalNumber(1300, autapses=autapses))
    assert counts.sum() == 1300 * RUNS
    if not autapses:
        assert not np.trace(counts)
    cells = counts if autapses else counts[~np.eye(70, dtype=bool)]
    chance = stats.chisquare(cells.ravel()).pvalue
    assert LEAST_P < chance < 1.0 - LEAST_P


@pytest.mark.parametrize("autapses", [True, False])
@pytest.mark.parametrize("p", [0.02, 0.6])
def test_every_pair_is_as_likely_by_itself(p: float, autapses: bool) -> None:
    counts = _pairs(PairwiseBernoulli(p, autapses=autapses))
    cells = (counts if autapses else counts[~np.eye(70, dtype=bool)]).ravel()
    assert autapses or not np.trace(counts)
    statistic = np.sum((cells - RUNS * p) ** 2) / (RUNS * p * (1.0 - p))
    assert LEAST_P < stats.chi2(cells.size).cdf(statistic) < 1.0 - LEAST_P
    assert p_of_discrete(cells, stats.binom(RUNS, p).pmf) > LEAST_P


def _degrees(rule: ConnectionRule) -> tuple[Ints, Ints]:
    network = Network([PRE, POST], [Projection(PRE, POST, rule, weight=1.0, delay=1.0)])
    found = _built(network, 5)
    return (
        np.bincount(found[:, SOURCE], minlength=1500),
        np.bincount(found[:, TARGET] - 1500, minlength=2300),
    )


def _p_of_degrees(degrees: Ints, trials: int, p: float) -> float:
    return p_of_discrete(degrees, stats.binom(trials, p).pmf)


@pytest.mark.parametrize("multapses", [True, False])
def test_outdegrees_of_fixed_indegrees(multapses: bool) -> None:
    outdegree, indegree = _degrees(FixedIndegree(60, multapses=multapses))
    assert np.all(indegree == 60)
    trials, p = (2300 * 60, 1 / 1500) if multapses else (2300, 60 / 1500)
    assert _p_of_degrees(outdegree, trials, p) > LEAST_P


@pytest.mark.parametrize("multapses", [True, False])
def test_indegrees_of_fixed_outdegrees(multapses: bool) -> None:
    outdegree, indegree = _degrees(FixedOutdegree(90, multapses=multapses))
    assert np.all(outdegree == 90)
    trials, p = (1500 * 90, 1 / 2300) if multapses else (1500, 90 / 2300)
    assert _p_of_degrees(indegree, trials, p) > LEAST_P


def test_degrees_of_a_total_number() -> None:
    outdegree, indegree = _degrees(FixedTotalNumber(150_000))
    assert _p_of_degrees(outdegree, 150_000, 1 / 1500) > LEAST_P
    assert _p_of_degrees(indegree, 150_000, 1 / 2300) > LEAST_P


@pytest.mark.parametrize("p", [0.003, 0.1])
def test_degrees_of_pairwise_bernoulli(p: float) -> None:
    outdegree, indegree = _degrees(PairwiseBernoulli(p))
    assert _p_of_degrees(outdegree, 2300, p) > LEAST_P
    assert _p_of_degrees(indegree, 1500, p) > LEAST_P
    total = stats.binomtest(int(outdegree.sum()), 1500 * 2300, p).pvalue
    assert total > LEAST_P


def test_synapses_of_a_pair_are_poisson() -> None:
    network = Network(
        [PRE, POST], [Projection(PRE, POST, FixedTotalNumber(1_000_000), weight=1.0, delay=1.0)]
    )
    found = _built(network, 6)
    counts = np.bincount(found[:, SOURCE] * 2300 + found[:, TARGET] - 1500, minlength=1500 * 2300)
    mean = 1_000_000 / counts.size
    seen = np.bincount(counts)
    pmf = stats.poisson.pmf(np.arange(seen.size), mean)
    assert p_of_counts(seen, pmf * counts.size) > LEAST_P


def _rounded(cdf, longest: int):
    below, above = cdf(0.05), cdf(0.1 * longest + 0.05)

    def pmf(k: Ints) -> npt.NDArray[np.float64]:
        inside = (cdf(0.1 * k + 0.05) - cdf(0.1 * k - 0.05)) / (above - below)
        return np.where((k >= 1) & (k <= longest), inside, 0.0)

    return pmf


@pytest.mark.parametrize(
    ("weight", "weights", "delay", "delays"),
    [
        (Normal(3.0, 2.0), stats.norm(3.0, 2.0), Normal(1.5, 0.75), stats.norm(1.5, 0.75)),
        (
            TruncatedNormal(1.0, 2.0, 0.0, 4.0),
            stats.truncnorm(-0.5, 1.5, loc=1.0, scale=2.0),
            TruncatedNormal(1.0, 0.5, low=0.2),
            stats.truncnorm(-1.6, math.inf, loc=1.0, scale=0.5),
        ),
        (
            Lognormal(0.0, 0.8),
            stats.lognorm(0.8),
            Lognormal(0.3, 0.6),
            stats.lognorm(0.6, scale=math.exp(0.3)),
        ),
        (
            Uniform(-2.0, 3.0),
            stats.uniform(-2.0, 5.0),
            Uniform(0.05, 4.0),
            stats.uniform(0.05, 3.95),
        ),
        (Exponential(2.0), stats.expon(scale=2.0), Exponential(1.0), stats.expon(scale=1.0)),
    ],
)
def test_weights_and_delays_follow_their_distributions(weight, weights, delay, delays) -> None:
    rule = FixedTotalNumber(200_000)
    network = Network([PRE, POST], [Projection(PRE, POST, rule, weight=weight, delay=delay)])
    found = _built(network, 7)
    made = scales(network)
    quantum = 2.0 ** made.exponent["post", "delta"]
    # spread over the interval that was rounded to each integer
    spread = np.random.default_rng(1).uniform(-0.5, 0.5, len(found)) * 2.0 ** made.shift[0]
    real = (found[:, WEIGHT] + spread) * quantum
    sample = real if weights.support()[0] != 0.0 else np.abs(real)
    assert stats.kstest(sample[:20_000], weights.cdf).pvalue > LEAST_P
    longest = int(found[:, DELAY].max())
    assert p_of_discrete(found[:, DELAY], _rounded(delays.cdf, longest)) > LEAST_P
    # nothing of a synapse tells of another of its properties, or of the next synapse
    ranks = [stats.rankdata(column) for column in found.T[:4]]
    ranks.append(np.roll(ranks[WEIGHT], 1))
    correlation = np.corrcoef(ranks) - np.eye(5)
    correlation[SOURCE, TARGET] = correlation[TARGET, SOURCE] = 0.0
    assert np.abs(correlation).max() < 5.0 / math.sqrt(len(found))
