"""exp, expm1, log and erf against extended precision, and the same bits however arrays are cut."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from mpmath import mp

from distsnn.jit import kernel
from distsnn.kernels.functions import (
    checked_log,
    erf,
    erf_array,
    exp,
    exp_array,
    expm1_array,
    exprel,
    flush_subnormal,
    log_array,
    log_of_complement,
    power,
)

Floats = npt.NDArray[np.float64]

pytestmark = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="no type of extended precision to compare with"
)


def _largest_ulp(got: Floats, exact: npt.NDArray[np.longdouble]) -> float:
    return float(np.max(np.abs(got - exact) / np.spacing(np.abs(exact).astype(np.float64))))


def _around(rng: np.random.Generator, low: float, high: float) -> Floats:
    spread = rng.uniform(low, high, 200_000)
    # the points where the reduced argument changes sides
    n = np.arange(np.ceil(low / np.log(2.0)), np.floor(high / np.log(2.0)) + 1) + 0.5
    edges = np.concatenate([np.nextafter(n * np.log(2.0), side) for side in (-np.inf, np.inf)])
    return np.concatenate([spread, edges[(edges > low) & (edges < high)]])


@pytest.mark.parametrize(("low", "high"), [(-708.0, 709.0), (-1.0, 1.0), (-1e-8, 1e-8)])
def test_exp_is_within_an_ulp(low: float, high: float) -> None:
    x = _around(np.random.default_rng(1), low, high)
    assert _largest_ulp(exp_array(x), np.exp(x.astype(np.longdouble))) < 1.0


def test_exp_at_and_beyond_its_ends() -> None:
    x = np.array([-np.inf, -1e9, -708.0, 0.0, -0.0, 709.0, 1e9, np.inf])
    got = exp_array(x)
    assert np.all(np.isfinite(got))
    assert np.all(got >= np.finfo(np.float64).tiny)
    assert got[0] == got[1] == got[2]
    assert got[5] == got[6] == got[7]
    assert got[3] == got[4] == 1.0


@pytest.mark.parametrize(("low", "high"), [(-30.0, 30.0), (-0.5, 0.5), (-1e-6, 1e-6)])
def test_expm1_is_within_two_ulp_or_little_more(low: float, high: float) -> None:
    x = np.concatenate([_around(np.random.default_rng(2), low, high), [-0.35, 0.35]])
    assert _largest_ulp(expm1_array(x), np.expm1(x.astype(np.longdouble))) < 2.2


@pytest.mark.parametrize(
    "x",
    [
        lambda rng: np.exp(rng.uniform(-700.0, 700.0, 300_000)),
        lambda rng: rng.uniform(0.5, 2.0, 300_000),
        lambda rng: 1.0 + rng.uniform(-1e-8, 1e-8, 100_000),
        lambda rng: 1.0 - np.arange(1, 1000) * 2.0**-53,
        lambda rng: (np.arange(1000) + 0.5) * 2.0**-52,
        lambda rng: np.nextafter(np.sqrt(0.5) * 2.0 ** np.arange(-300, 300), 0.0),
    ],
    ids=["wide", "middle", "near 1", "below 1", "smallest units", "edges"],
)
def test_log_is_within_an_ulp(x: Callable[[np.random.Generator], Floats]) -> None:
    values = x(np.random.default_rng(3))
    assert _largest_ulp(log_array(values), np.log(values.astype(np.longdouble))) < 1.1


@kernel
def _log_of_complement(p, out):
    for i in range(p.size):
        out[i] = log_of_complement(p[i])


def test_log_of_complement_is_exact_for_small_probabilities() -> None:
    p = np.concatenate([10.0 ** np.linspace(-300.0, -0.001, 20_000), [1e-4, np.nextafter(1e-4, 0)]])
    out = np.empty_like(p)
    _log_of_complement(p, out)
    exact = np.log1p(-p.astype(np.longdouble))
    # from 1e-4 on, the rounding of 1 - p is left
    assert np.max(np.abs(out / exact - 1.0)) < 2e-12
    assert _largest_ulp(out[p < 1e-4], exact[p < 1e-4]) < 2.0


def _erf_points() -> Floats:
    rng = np.random.default_rng(6)
    ends = np.array([1.0, 6.0])
    edges = [0.0, 5e-324, *ends, *np.nextafter(ends, 0.0), *np.nextafter(ends, 9.0), 40.0]
    some = [rng.uniform(0.0, 6.5, 4000), rng.uniform(0.9, 1.2, 2000), 10.0 ** rng.uniform(-300, 0)]
    x = np.concatenate([*map(np.atleast_1d, some), edges])
    return np.concatenate([x, -x])


def test_erf_is_within_one_and_a_half_ulp() -> None:
    x = _erf_points()
    with mp.workdps(40):
        exact = [mp.erf(float(one)) for one in x]
        got = [mp.mpf(float(one)) for one in erf_array(x)]
        off = [float(abs(a - b)) for a, b in zip(got, exact, strict=True)]
    ulp = np.spacing(np.abs(np.array([float(one) for one in exact])))
    assert np.max(np.array(off) / ulp) < 1.4


def test_erf_agrees_with_the_library() -> None:
    x = np.linspace(-7.0, 7.0, 200_001)
    library = np.array([math.erf(one) for one in x])
    assert np.max(np.abs(erf_array(x) - library) / np.spacing(np.abs(library) + 1e-300)) <= 2.0
    assert np.all(np.diff(erf_array(x)) >= 0.0)
    np.testing.assert_array_equal(erf_array(-x), -erf_array(x))


@kernel
def _erf_of_each(x, out):
    for i in range(x.size):
        out[i] = erf(x[i])


def test_erf_in_float32_and_at_its_ends() -> None:
    x = _erf_points().astype(np.float32)
    out = np.empty_like(x)
    _erf_of_each(x, out)
    library = np.array([math.erf(float(one)) for one in x], np.float32)
    assert np.mean(out == library) > 0.999
    assert np.all(np.abs(out - library) <= np.spacing(np.abs(library)))
    assert list(erf_array(np.array([-np.inf, -6.0, 0.0, 6.0, np.inf]))) == [-1.0, -1.0, 0, 1.0, 1.0]
    assert np.isnan(erf_array(np.nan)) and math.isnan(erf(math.nan)) and erf(0.5) == erf_array(0.5)


def test_log_of_one_is_zero() -> None:
    assert log_array(1.0) == 0.0
    assert log_array(np.ones((2, 3))).shape == (2, 3)


@pytest.mark.parametrize("function", [exp_array, expm1_array, log_array, erf_array])
def test_bits_do_not_depend_on_how_an_array_is_cut(function: Callable[[Floats], Floats]) -> None:
    x = np.abs(np.random.default_rng(4).normal(0.0, 3.0, 333)) + 1e-3
    whole = function(x)
    for width in (1, 2, 3, 5, 7, 8, 15, 16, 17, 63, 64, 65, 130):
        for start in (0, 1, 3):
            pieces = [function(x[i : i + width]) for i in range(start, x.size, width)]
            np.testing.assert_array_equal(np.concatenate(pieces), whole[start:])
    assert all(function(value) == there for value, there in zip(x, whole, strict=True))
    # neither do strides
    np.testing.assert_array_equal(function(x[::3]), whole[::3])


@kernel
def _flushed(x, out):
    for i in range(x.size):
        out[i] = flush_subnormal(x[i])


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_flush_zeroes_what_is_too_small_and_nothing_else(real: type) -> None:
    tiny = np.finfo(real).smallest_subnormal
    x = np.array([0.0, tiny, -tiny, 9e-21, -9e-21, 2e-20, 1.0, -3.5, np.inf, np.nan], real)
    out = np.empty_like(x)
    _flushed(x, out)
    np.testing.assert_array_equal(out, np.where(np.abs(x) <= 1e-20, 0, x))
    np.testing.assert_array_equal(
        [flush_subnormal(value) for value in x.tolist()], np.where(np.abs(x) <= 1e-20, 0, x)
    )


@kernel
def _exp_of(x, out):
    for i in range(x.size):
        out[i] = exp(x[i])


def test_exp_of_float32_is_within_an_ulp_and_stays_float32() -> None:
    x = _around(np.random.default_rng(1), -87.0, 88.0).astype(np.float32)
    out = np.empty_like(x)
    _exp_of(x, out)
    exact = np.exp(x.astype(np.float64))
    assert np.max(np.abs(out - exact) / np.spacing(exact.astype(np.float32))) < 1.1
    _exp_of(np.array([-np.inf, -1e9, 0.0, 1e9, np.inf], np.float32), out[:5])
    assert np.all(np.isfinite(out[:5])) and out[2] == 1.0 and out[0] == out[1]


def test_exp_of_float64_is_that_of_arrays() -> None:
    x = np.random.default_rng(1).uniform(-700.0, 700.0, 1000)
    out = np.empty_like(x)
    _exp_of(x, out)
    np.testing.assert_array_equal(out, exp_array(x))
    assert exp(1.5) == exp_array(1.5)


@kernel
def _for_own_models(x, relative, logarithm, root):
    for i in range(x.size):
        relative[i] = exprel(x[i])
        logarithm[i] = checked_log(x[i])
        root[i] = power(abs(x[i]), x[i])


@pytest.mark.parametrize(("kind", "ulps"), [(np.float64, 3.0), (np.float32, 4.0)])
def test_functions_of_own_models_keep_to_their_precision(kind: type, ulps: float) -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.uniform(-20, 20, 9000), rng.uniform(-1e-3, 1e-3, 999), [0.0]])
    x = x.astype(kind)
    relative, logarithm, root = (np.empty_like(x) for _ in range(3))
    _for_own_models(x, relative, logarithm, root)
    assert relative[-1] == exprel(0.0) == 1.0
    assert logarithm[-1] == checked_log(0.0) == -np.inf
    assert np.isnan(logarithm[x < 0]).all()
    assert np.isnan(checked_log(-1.0))
    exact, good = x[:-1].astype(np.longdouble), x > 0

    def largest(got: npt.NDArray, expected: npt.NDArray) -> float:
        return float(np.max(np.abs(got - expected) / np.spacing(np.abs(expected).astype(kind))))

    assert largest(relative[:-1], np.expm1(exact) / exact) < ulps
    assert largest(logarithm[good], np.log(x[good].astype(np.longdouble))) < ulps
    # the exponent's rounding grows with it
    expected = np.abs(exact) ** exact
    np.testing.assert_allclose(root[:-1], expected.astype(kind), rtol=200 * np.finfo(kind).eps)


def test_small_exponent_loses_no_precision() -> None:
    x = np.array([1e-300, -1e-18, 5e-8])
    assert [exprel(one) for one in x] == pytest.approx([1.0, 1.0, 1.0 + 2.5e-8], rel=3e-16, abs=0)
