"""Magnitudes of weights against quantiles and sums over sorted weights."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from distsnn.network import Distribution, Exponential, Lognormal, Normal, TruncatedNormal, Uniform
from distsnn.network.magnitudes import NEGLIGIBLE, GivenMagnitudes, magnitudes_of

FLOATS = st.one_of(st.just(0.0), st.floats(-1e300, 1e300), st.floats(-1e-300, 1e-300))


@pytest.mark.parametrize(
    ("one", "peer"),
    [
        (Normal(-351.0, 35.1), stats.norm(-351.0, 35.1)),
        (Normal(0.3, 1.0), stats.norm(0.3, 1.0)),
        (TruncatedNormal(-0.5, 1.0, high=0.25), stats.truncnorm(-np.inf, 0.75, -0.5, 1.0)),
        (Lognormal(-0.5, 1.0), stats.lognorm(1.0, scale=np.exp(-0.5))),
        (Uniform(-1.0, 3.0), stats.uniform(-1.0, 4.0)),
        (Exponential(2.5), stats.expon(scale=2.5)),
    ],
    ids=lambda value: repr(value) if isinstance(value, Distribution) else "peer",
)
def test_distributions_agree_with_their_quantiles(one, peer):
    n = 2**14
    drawn, exact = GivenMagnitudes.of(peer.ppf((np.arange(n) + 0.5) / n)), magnitudes_of(one)
    for exponent in range(-12, 12):
        for found, wanted in zip(exact.below(exponent), drawn.below(exponent), strict=True):
            assert found == pytest.approx(wanted, abs=1e-3)
    assert exact.below(exact.least)[1] <= NEGLIGIBLE < exact.below(exact.least + 1)[1]


def test_a_lognormal_in_figures():
    """Those of docs/models.md."""
    for sigma, least, zero, share, part in (
        (1.0, -3, 1e-15, 0.0188, 0.00104),
        (2.0, -4, 6e-7, 0.083, 3.6e-4),
        (3.0, -5, 2.7e-4, 0.124, 1.7e-5),
        (4.0, 7, 0.3, 0.887, 0.0027),
    ):
        one = Lognormal(0.0, sigma)
        magnitudes = magnitudes_of(one)
        assert magnitudes.least == least
        error = magnitudes.rounded(least - 9)
        assert error.share == pytest.approx(share, rel=0.02)
        assert error.part == pytest.approx(part, rel=0.05)
        assert one.cdf(2.0 ** (least - 10)) == pytest.approx(zero, rel=0.1, abs=1e-14)


@settings(max_examples=200, deadline=None)
@given(
    weights=st.lists(FLOATS, max_size=40), cut=st.integers(-1074, 1000), pieces=st.integers(1, 5)
)
def test_arrays_agree_with_sums_over_sorted_weights(weights, cut, pieces):
    whole = GivenMagnitudes.of(weights)
    size = np.sort(np.abs(weights))
    size = size[size > 0.0]
    assert (whole.smallest, whole.largest) == ((size[0], size[-1]) if size.size else (0.0, 0.0))
    share, part = whole.below(cut)
    chosen = size < math.ldexp(1.0, cut)
    assert share == (chosen.mean() if size.size else 0.0)
    if size.size:
        scaled = size / size[-1]
        assert part == pytest.approx(scaled[chosen].sum() / scaled.sum(), rel=1e-5, abs=1e-300)
    # who reads which piece, and in what order, has no influence
    parts = [GivenMagnitudes.of(weights[at::pieces]) for at in range(pieces)]
    assert GivenMagnitudes.merged(parts[::-1]) == whole


def test_given_weights_matter_by_number_too():
    outlier = [50.0] * 199 + [1e9]
    assert magnitudes_of(np.array(outlier)).least == 5
    # one of 200 counts, one of 1000 does not
    assert magnitudes_of(np.array([50.0] + [1e9] * 199)).least == 5
    assert magnitudes_of(np.array([50.0] + [1e9] * 999)).least == 29


def test_the_ends_of_floats():
    for one in (
        Uniform(-1e308, 1e308),
        Exponential(1e308),
        Normal(0.0, 1e-320),
        Lognormal(-300, 5),
    ):
        assert -1073 <= magnitudes_of(one).least <= 1024
        assert 0.0 <= magnitudes_of(one).rounded(-1083).largest <= 1.0


def test_rounding_errors():
    error = magnitudes_of(np.array([0.0, 3.0, -1000.0])).rounded(0)
    assert (error.largest, error.share) == (0.5 / 3.0, 0.5)
    assert error.part == pytest.approx(3.0 / 1003.0, rel=1e-5)
    assert magnitudes_of(np.array([3.0, 1e6])).rounded(4).largest == 1.0
    assert vars(magnitudes_of(0.0).rounded(0)) == {"largest": 0.0, "share": 0.0, "part": 0.0}
    assert magnitudes_of(512.0).rounded(0).share == 0.0
    assert magnitudes_of(511.0).rounded(0).share == 1.0
    assert magnitudes_of(Normal(0.0, 1.0)).rounded(-12).largest == 1.0
    # 4.76 standard deviations below the mean
    assert magnitudes_of(Normal(100.0, 10.0)).rounded(-4).largest == pytest.approx(
        2**-5 / 52.4, rel=1e-3
    )
