"""Normalisation: what fitted numbers are, what becomes of constant channels, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from distsnn.coding import MinMax, ZScore
from distsnn.errors import DescriptionError

TRAINING = [[0.0, -1.0, 5.0], [4.0, 1.0, 5.0], [2.0, 3.0, 5.0]]
TABLES = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-1e6, 1e6)
)


def test_minimum_and_maximum_become_0_and_1():
    fitted = MinMax.fit(TRAINING)
    assert fitted == MinMax([0.0, -1.0, 5.0], [4.0, 4.0, 0.0])
    np.testing.assert_array_equal(
        fitted.apply(TRAINING), [[0.0, 0.0, 0.0], [1.0, 0.5, 0.0], [0.5, 1.0, 0.0]]
    )
    # other data are scaled by the same numbers, beyond 0 and 1
    np.testing.assert_array_equal(fitted.apply([[8.0, -3.0, 5.0]]), [[2.0, -0.5, 0.0]])


def test_mean_and_deviation_become_0_and_1():
    fitted = ZScore.fit(TRAINING)
    spread = np.sqrt(8.0 / 3.0)
    np.testing.assert_allclose(fitted.offset, [2.0, 1.0, 5.0])
    np.testing.assert_allclose(fitted.scale, [spread, spread, 0.0])
    np.testing.assert_allclose(fitted.apply([[2.0 + spread, 1.0, 5.0]]), [[1.0, 0.0, 0.0]])


@pytest.mark.parametrize("kind", [MinMax, ZScore])
def test_constant_channel_is_0_and_inverts_to_the_constant(kind):
    # the computed deviation of these is 1.4e-17, not 0
    fitted = kind.fit(np.full((7, 1), 0.1))
    assert fitted == kind([0.1], [0.0])
    np.testing.assert_array_equal(fitted.apply([[0.1], [7.0]]), [[0.0], [0.0]])
    np.testing.assert_array_equal(fitted.invert([[0.0], [3.0]]), [[0.1], [0.1]])


@settings(max_examples=50, deadline=None)
@given(TABLES)
def test_normalised_training_data_fill_the_range_and_invert(table):
    for kind in (MinMax, ZScore):
        fitted = kind.fit(table)
        made = fitted.apply(table)
        np.testing.assert_allclose(fitted.invert(made), table, rtol=1e-12, atol=1e-9)
        if kind is MinMax:
            assert made.min() >= 0.0 and made.max() <= 1.0
            varied = np.ptp(table, axis=0) > 0
            assert (made.min(axis=0) == 0.0).all() and (made.max(axis=0) == varied).all()


@pytest.mark.parametrize(
    ("call", "where", "what"),
    [
        (lambda: MinMax.fit([[1.0, 2.0], [3.0, np.nan]]), "sample 1, channel 1", "finite"),
        (lambda: ZScore.fit([[np.inf, 2.0]]), "training data, sample 0, channel 0", "finite"),
        (lambda: MinMax.fit([1.0, 2.0]), "training data", "shape"),
        (lambda: MinMax.fit(np.empty((0, 3))), "training data", "no samples"),
        (lambda: MinMax.fit([["a"]]), "training data", "numbers"),
        (lambda: MinMax.fit(TRAINING).apply([[1.0, 2.0]]), "data", "wrong number of channels"),
        (lambda: MinMax.fit(TRAINING).invert([[1.0, 2.0]]), "normalised", "wrong number"),
        (lambda: MinMax.fit(TRAINING).apply([[1.0, 2.0, np.nan]]), "channel 2", "finite"),
        (lambda: MinMax([0.0], [-1.0]), "field scale[0]", "out of range"),
        (lambda: MinMax([np.nan], [1.0]), "field offset[0]", "finite"),
        (lambda: MinMax([0.0, 1.0], [1.0]), "field scale", "shape"),
    ],
)
def test_what_is_refused(call, where, what):
    with pytest.raises(DescriptionError) as caught:
        call()
    assert where in caught.value.where
    assert what in caught.value.problem
