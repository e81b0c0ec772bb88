"""Sums in fixed point: the same for any order and division, and as exact as they state."""

import math
from fractions import Fraction

import numpy as np
import pytest

from distsnn.io.fixed_sums import (
    QUANTA,
    first_unsummable,
    fixed_sums,
    from_fixed,
    max_summand,
)

RESOLUTION = Fraction(1, 2**43)


def values(n: int, scale: float, dtype: str) -> np.ndarray:
    rng = np.random.default_rng(n)
    drawn = rng.normal(-60.0, 10.0, (7, n)) * scale
    drawn[2] = rng.normal(0.0, 1e-9, n)  # far below a high quantum
    return drawn.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1.0, 1e-7, 1e5])
def test_sums_are_the_exact_sums_of_rounded_values(scale: float, dtype: str) -> None:
    given = values(301, scale, dtype)
    found = fixed_sums(given)
    for row, (high, low) in zip(given.tolist(), found.tolist(), strict=True):
        exact = sum(map(Fraction, row), Fraction())
        summed = high * Fraction(QUANTA[0]) + low * Fraction(QUANTA[1])
        assert abs(summed - exact) <= 301 * RESOLUTION / 2
        rounded = sum(round(Fraction(value) / RESOLUTION) for value in row)
        assert summed == rounded * RESOLUTION


def test_sums_do_not_depend_on_order_or_division() -> None:
    given = values(1000, 1.0, "float64")
    whole = fixed_sums(given)
    rng = np.random.default_rng(3)
    for parts in (1, 2, 3, 7, 1001):
        shuffled = given[:, rng.permutation(1000)]
        split = [fixed_sums(part) for part in np.array_split(shuffled, parts, axis=1)]
        np.testing.assert_array_equal(np.sum(split, axis=0), whole)
    # more values than are converted at a time
    many = np.tile(given, (40, 3))
    np.testing.assert_array_equal(fixed_sums(many), np.tile(3 * whole, (40, 1)))


def test_sums_are_converted_with_one_rounding() -> None:
    rng = np.random.default_rng(1)
    sums = np.stack(
        [rng.integers(-(2**52), 2**52, 1000), rng.integers(-(2**61), 2**61, 1000)], axis=1
    )
    expected = [float(Fraction(h, 2**12) + Fraction(int(lo), 2**43)) for h, lo in sums.tolist()]
    assert from_fixed(sums).tolist() == expected


@pytest.mark.parametrize("n", [1, 3, 1000, 2**20])
def test_largest_summands_do_not_overflow(n: int) -> None:
    largest = math.floor(max_summand(n))
    for sign in (1, -1):
        one = np.array([[sign * float(largest)]])
        assert first_unsummable(one, n) is None
        total = fixed_sums(one).astype(object) * n
        assert all(abs(part) < 2**63 for part in total[0])
        assert from_fixed(total.astype(np.int64)).tolist() == [sign * float(largest * n)]


def test_first_value_that_cannot_be_summed_is_found() -> None:
    given = np.zeros((4, 6), np.float32)
    assert first_unsummable(given, 6) is None
    assert first_unsummable(given[:, :0], 6) is None
    for bad in (np.nan, np.inf, -np.inf, 2.0**48, -(2.0**48)):
        given[2, 3] = bad
        given[3, 1] = np.nan
        assert first_unsummable(given, 6) == (2, 3)
