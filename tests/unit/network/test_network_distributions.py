"""Distributions against hand-computed values, scipy and numerical integration."""

import math

import numpy as np
import pytest
import scipy.stats as st

from distsnn.errors import DescriptionError
from distsnn.network import Exponential, Lognormal, Normal, TruncatedNormal, Uniform

INF = math.inf


def truncated(mean, sd, low, high):
    return st.truncnorm((low - mean) / sd, (high - mean) / sd, mean, sd)


PEERS = [
    pytest.param(Normal(87.8, 8.78), st.norm(87.8, 8.78), id="normal"),
    pytest.param(TruncatedNormal(1.5, 0.75, low=0.05), truncated(1.5, 0.75, 0.05, INF), id="low"),
    pytest.param(
        TruncatedNormal(-351.0, 35.1, high=0.0), truncated(-351.0, 35.1, -INF, 0.0), id="high"
    ),
    pytest.param(TruncatedNormal(0.0, 1.0, 2.0, 4.0), truncated(0.0, 1.0, 2.0, 4.0), id="tail"),
    pytest.param(TruncatedNormal(0.0, 1.0, -1.0, 1.0), truncated(0.0, 1.0, -1.0, 1.0), id="middle"),
    pytest.param(Lognormal(-0.5, 1.0), st.lognorm(1.0, scale=math.exp(-0.5)), id="lognormal"),
    pytest.param(Uniform(-1.0, 3.0), st.uniform(-1.0, 4.0), id="uniform"),
    pytest.param(Exponential(2.5), st.expon(scale=2.5), id="exponential"),
]


@pytest.mark.parametrize(("ours", "peer"), PEERS)
def test_moments_equal_scipys(ours, peer):
    assert ours.expectation() == pytest.approx(peer.mean(), rel=1e-9)
    assert ours.deviation() == pytest.approx(peer.std(), rel=1e-7)
    assert ours.scale() == max(abs(ours.expectation()), ours.deviation())


@pytest.mark.parametrize(("ours", "peer"), PEERS)
def test_cdf_equals_scipys(ours, peer):
    low, high = ours.quantile_range(1e-6)
    for x in np.linspace(low - 1.0, high + 1.0, 41):
        assert ours.cdf(float(x)) == pytest.approx(peer.cdf(x), rel=1e-8, abs=1e-15)


@pytest.mark.parametrize(("ours", "peer"), PEERS)
def test_partial_expectations_equal_integrals(ours, peer):
    low, high = ours.quantile_range(2.0**-20)
    for x in np.linspace(low, high, 5):
        wanted = peer.expect(lb=max(low, ours.support()[0]), ub=x, epsabs=1e-12)
        assert ours.partial_expectation(float(x)) == pytest.approx(wanted, rel=1e-4, abs=1e-3)
    bottom, top = ours.support()
    below, above = max(bottom, -1e6) - 1.0, min(top, 1e6) + 1.0
    assert ours.partial_expectation(below) == 0.0
    assert ours.partial_expectation(above) == pytest.approx(ours.expectation(), rel=1e-12)
    assert Normal(2.0, 0.0).partial_expectation(1.9) == 0.0
    assert TruncatedNormal(2.0, 0.0, 1.0).partial_expectation(2.0) == 2.0
    assert Lognormal(0.0, 0.0).partial_expectation(1.0) == 1.0


@pytest.mark.parametrize(("ours", "peer"), PEERS)
@pytest.mark.parametrize("tail", [1e-3, 2.0**-20])
def test_quantile_range_leaves_the_tail_out_on_both_sides(ours, peer, tail):
    low, high = ours.quantile_range(tail)
    assert low == pytest.approx(peer.ppf(tail), rel=1e-6, abs=1e-12)
    assert high == pytest.approx(peer.isf(tail), rel=1e-6)
    bottom, top = ours.support()
    assert bottom <= low < high <= top


def test_the_deepest_tail():
    # scipy's truncnorm is off there; its norm is not.
    tail = 2.0**-60
    assert Normal(0.0, 1.0).quantile_range(tail)[1] == pytest.approx(st.norm.isf(tail), rel=1e-12)
    cut = TruncatedNormal(1.5, 0.75, low=0.05)
    low, high = cut.quantile_range(tail)
    assert high == pytest.approx(st.norm(1.5, 0.75).isf(tail * cut.acceptance()), rel=1e-12)
    assert low == pytest.approx(0.05)
    assert Lognormal(0.0, 1.0).quantile_range(tail)[1] == pytest.approx(math.exp(st.norm.isf(tail)))
    assert Exponential(1.0).quantile_range(tail) == pytest.approx(
        (tail, 60.0 * math.log(2.0)), abs=0.0
    )


@pytest.mark.parametrize(
    ("ours", "kind", "parameters", "support"),
    [
        (Normal(1, 2), 1, (1.0, 2.0, 0.0, 0.0), (-INF, INF)),
        (TruncatedNormal(1, 2, low=0), 2, (1.0, 2.0, 0.0, INF), (0.0, INF)),
        (Lognormal(1, 2), 3, (1.0, 2.0, 0.0, 0.0), (0.0, INF)),
        (Uniform(1, 2), 4, (1.0, 2.0, 0.0, 0.0), (1.0, 2.0)),
        (Exponential(2), 5, (2.0, 0.0, 0.0, 0.0), (0.0, INF)),
    ],
)
def test_codes_that_kernels_take(ours, kind, parameters, support):
    assert ours.kind is type(ours).kind
    assert ours.kind == kind
    assert isinstance(ours.kind, int)
    assert ours.parameters() == parameters
    assert all(isinstance(value, float) for value in ours.parameters())
    assert ours.support() == support


def test_moments_by_hand():
    half = TruncatedNormal(0.0, 2.0, low=0.0)  # half-normal
    assert half.expectation() == pytest.approx(2.0 * math.sqrt(2.0 / math.pi))
    assert half.deviation() == pytest.approx(2.0 * math.sqrt(1.0 - 2.0 / math.pi))
    assert Lognormal(0.0, 1.0).expectation() == pytest.approx(1.6487212707)
    assert Uniform(0.0, 12.0).deviation() == pytest.approx(math.sqrt(12.0))


@pytest.mark.parametrize("ours", [Normal(3.0, 0.0), TruncatedNormal(3.0, 0.0, 1.0, 5.0)])
def test_no_spread_is_a_constant(ours):
    assert ours.support() == ours.quantile_range(1e-3) == (3.0, 3.0)
    assert (ours.expectation(), ours.deviation()) == (3.0, 0.0)
    assert (ours.cdf(2.999), ours.cdf(3.0)) == (0.0, 1.0)
    assert Lognormal(0.0, 0.0).support() == (1.0, 1.0)


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: Normal(math.nan, 1.0), "Normal, field mean"),
        (lambda: Normal(0.0, INF), "Normal, field sd"),
        (lambda: Normal(0.0, -1.0), "Normal, field sd"),
        (lambda: Normal("1", 1.0), "Normal, field mean"),
        (lambda: TruncatedNormal(0.0, 1.0, 2.0, 1.0), "TruncatedNormal, field low"),
        (lambda: TruncatedNormal(0.0, 1.0, math.nan), "TruncatedNormal, field low"),
        (lambda: TruncatedNormal(0.0, 1.0, low=3.2), "TruncatedNormal"),
        (lambda: TruncatedNormal(0.0, 0.0, low=1.0), "TruncatedNormal"),
        (lambda: Lognormal(400.0, 1.0), "Lognormal"),
        (lambda: Lognormal(0.0, 30.0), "Lognormal"),
        (lambda: Lognormal(0.0, -1.0), "Lognormal, field sigma"),
        (lambda: Uniform(1.0, 1.0), "Uniform, field high"),
        (lambda: Uniform(-INF, 1.0), "Uniform, field low"),
        (lambda: Exponential(0.0), "Exponential, field mean"),
    ],
)
def test_impossible_distributions_are_refused(make, place):
    with pytest.raises(DescriptionError) as error:
        make()
    assert error.value.where == place


def test_acceptance_of_one_in_a_thousand_is_the_limit():
    assert TruncatedNormal(0.0, 1.0, low=3.09).acceptance() == pytest.approx(1.0008e-3, rel=1e-3)
    with pytest.raises(DescriptionError, match="hardly any draw"):
        TruncatedNormal(0.0, 1.0, low=3.091)
