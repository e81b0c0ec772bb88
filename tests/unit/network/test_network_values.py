"""Values: conversion, bounds and grid of what users give."""

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.network import (
    Exponential,
    Normal,
    distribution_code,
    magnitude_of,
    mean_of,
    value_bounds,
)
from distsnn.network.base import FrozenMapping, readonly
from distsnn.network.checks import (
    POSITIVE,
    Interval,
    as_indices,
    as_integer,
    check_range,
    steps_array,
)
from distsnn.network.values import as_value


@pytest.mark.parametrize("given", [3, 3.0, np.float32(3.0), np.int64(3), np.array(3.0)])
def test_numbers_become_floats(given):
    value = as_value(given, where="here")
    assert type(value) is float
    assert value == 3.0


@pytest.mark.parametrize("given", [[1, 2], (1, 2), np.array([1, 2], np.float32)])
def test_sequences_become_readonly_float64(given):
    value = as_value(given, where="here")
    assert value.dtype == np.float64
    assert not value.flags.writeable
    np.testing.assert_array_equal(value, [1.0, 2.0])


@pytest.mark.parametrize("given", ["3", None, True, 1j, object(), ["a"], [[1], [2, 3]], Normal])
def test_other_types_are_refused(given):
    with pytest.raises(DescriptionError) as error:
        as_value(given, where="here")
    assert error.value.where == "here"


def test_the_users_array_is_copied_once_and_only_if_it_can_change():
    mine = np.arange(5.0)
    value = as_value(mine, where="here")
    mine[0] = 7.0
    assert value[0] == 0.0
    assert as_value(value, where="here") is value
    view = np.arange(5.0)[1:]
    view.setflags(write=False)
    assert not np.shares_memory(readonly(view, view), view)


def test_coded_bounds_scale_and_mean():
    assert distribution_code(2) == (0, (2.0, 0.0, 0.0, 0.0))
    assert distribution_code(Exponential(3.0)) == (5, (3.0, 0.0, 0.0, 0.0))
    array = np.array([1.0, -4.0])
    assert value_bounds(array) == (-4.0, 1.0)
    assert value_bounds(np.empty(0)) == (0.0, 0.0)
    assert value_bounds(-2.0) == (-2.0, -2.0)
    assert value_bounds(Exponential(1.0)) == (0.0, np.inf)
    assert value_bounds(Exponential(1.0), 2.0**-60)[1] == pytest.approx(60 * np.log(2))
    assert magnitude_of(array) == 4.0
    assert magnitude_of(-3.0) == 3.0
    assert magnitude_of(Normal(1.0, 5.0)) == 5.0
    assert mean_of(array) == -1.5
    assert mean_of(np.empty(0)) == 0.0
    assert mean_of(Normal(1.0, 5.0)) == 1.0


@pytest.mark.parametrize(
    ("bad", "value", "what"),
    [(np.nan, np.nan, "finite"), (np.inf, np.inf, "finite"), (-1.0, -1.0, "out of range")],
)
def test_the_error_names_index_and_value(bad, value, what):
    array = np.ones((4, 5))
    array[2, 3] = bad
    with pytest.raises(DescriptionError, match=what) as error:
        check_range(array, POSITIVE, where="field weight")
    assert error.value.where == "field weight[2, 3]"
    assert error.value.value == pytest.approx(value, nan_ok=True)
    assert error.value.allowed == "> 0"


def test_ranges_read_well():
    assert str(Interval(0.0, 1.0)) == ">= 0 and <= 1"
    assert str(Interval(0.0, 1.0, True, True)) == "> 0 and < 1"
    assert str(Interval()) == "finite"


def test_integers():
    assert as_integer(np.int32(3), where="here") == 3
    for bad in (3.0, True, "3", None, -1):
        with pytest.raises(DescriptionError, match=r"^here: "):
            as_integer(bad, where="here")


def test_indices_are_int32_even_if_given_wider():
    assert as_indices([], where="here").dtype == np.int32
    assert as_indices(np.array([5], np.uint64), where="here").dtype == np.int32
    for bad in ([1.5], [[1]], [2**31], [-1, 2**40], "ab", [[1], [2, 3]]):
        with pytest.raises(DescriptionError, match=r"^here"):
            as_indices(bad, where="here")


def test_times_become_steps():
    times = np.array([0.1, 0.3, 1e5, 0.0])
    np.testing.assert_array_equal(steps_array(times, 0.1, where="t"), [1, 3, 1_000_000, 0])
    for bad in (0.25, np.inf, np.nan):
        with pytest.raises(DescriptionError) as error:
            steps_array(np.array([0.1, bad]), 0.1, where="t")
        assert error.value.where == "t[1]"


def test_frozen_mapping_is_a_mapping_without_setters():
    source = {"a": 1}
    frozen = FrozenMapping(source)
    source["b"] = 2
    assert dict(frozen) == {"a": 1}
    assert repr(frozen) == "{'a': 1}"
    with pytest.raises(TypeError):
        frozen["b"] = 2
