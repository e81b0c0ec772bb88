"""Populations and views."""

import pickle

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.network import IafPscExp, Normal, Population, PopulationView, SpikeSource


@pytest.fixture
def neurons():
    return Population("E", 100, IafPscExp(), initial={"V_m": Normal(-58.0, 5.0)})


@pytest.mark.parametrize(
    ("item", "start", "stop"),
    [
        (slice(0, 50), 0, 50),
        (slice(None), 0, 100),
        (slice(-10, None), 90, 100),
        (slice(5, -5, 1), 5, 95),
        (5, 5, 6),
        (-1, 99, 100),
        (np.int32(7), 7, 8),
    ],
)
def test_slices_are_views(neurons, item, start, stop):
    view = neurons[item]
    assert view == PopulationView("E", start, stop)
    assert view.size == stop - start


@pytest.mark.parametrize(
    "item",
    [
        *(100, -101, True, 5.0, "V_m", [], [5, 1], [1, 1], [1, 100], [1.0], [[1]], [[1], [2, 3]]),
        *(np.ones(99, bool), np.zeros(100, bool), np.array(5)),
        *(slice(5, 5), slice(10, 5), slice(0, 101), slice(0.0, 5), slice(None, None, -1)),
        *(slice(5, 5, 2), slice(0, 10, 0)),
    ],
)
def test_other_items_are_refused(neurons, item):
    with pytest.raises(DescriptionError, match="'E'"):
        neurons[item]


def test_an_error_shows_the_neuron_that_does_not_exist(neurons):
    with pytest.raises(DescriptionError, match="no such neuron; given 100; allowed: -100 to 99"):
        neurons[[1, 100]]
    with pytest.raises(DescriptionError, match="not an index of neurons; given True"):
        neurons[True]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "uint64"])
def test_an_index_may_have_any_integer_type(dtype):
    large, item = Population("E", 100_000, IafPscExp()), np.array([3, 99], dtype)
    assert large[item] == large[[3, 99]]
    # sums beyond 255
    assert large[200:300][item] == large[[203, 299]]
    assert large[::1000][item] == large[[3000, 99_000]]
    if item.dtype.kind == "i":
        assert large[-item[::-1]] == large[[99_901, 99_997]]


def test_a_view_has_views(neurons):
    assert neurons[20:50][3] == neurons[23]
    assert neurons[20:50][-10:] == neurons[40:50]
    assert neurons[::10][[1, 3]] == neurons[[10, 30]]
    assert neurons[[4, 7, 9]][np.array([True, False, True])] == neurons[[4, 9]]
    with pytest.raises(DescriptionError, match=r"view of population 'E', index: .* given 3"):
        neurons[[4, 7, 9]][3]
    with pytest.raises(DescriptionError, match="number of neurons is unknown"):
        PopulationView("E")[3]


@pytest.mark.parametrize(
    ("item", "members", "text"),
    [
        (slice(None, None, 2), range(0, 100, 2), "0:99:2"),
        (slice(-5, None, 3), [95, 98], "95, 98"),
        ([1, 5], [1, 5], "1, 5"),
        ([-2, -1], [98, 99], "98:100"),
        (np.array([7]), [7], "7:8"),
        (np.arange(100) % 10 == 4, range(4, 100, 10), "4:95:10"),
        (range(3, 6), [3, 4, 5], "3:6"),
        ([*range(9), 20], [*range(9), 20], "0, 1, 2, 3, 4, 5, 6, 7, ... 10 neurons, #"),
    ],
)
def test_views_of_any_neurons(neurons, item, members, text):
    view = neurons[item]
    members = list(members)
    assert view.size == len(members)
    assert view.text.startswith(text)
    everyone = np.arange(-1, 100)
    positions = [members.index(one) if one in members else -1 for one in everyone]
    np.testing.assert_array_equal(view.positions(everyone), positions)
    np.testing.assert_array_equal(np.arange(100)[view.index], members)
    np.testing.assert_array_equal(view.neurons_at(np.arange(view.size, dtype="u4")), members)
    below = [sum(one < bound for one in members) for bound in range(102)]
    np.testing.assert_array_equal(view.count_below(np.arange(102)), below)
    for other in (neurons[4:50:5], neurons[7:60], neurons[[5]]):
        both = sorted({*members} & {*np.arange(100)[other.index].tolist()})
        shared = PopulationView("E", neurons=both) if both else None
        assert view.shared(other) == other.shared(view) == shared
    # consecutive neurons are a range
    assert (view.neurons is None) == (len(members) == view.stop - view.start)
    assert PopulationView("E", neurons=members) == view == pickle.loads(pickle.dumps(view))
    assert view.n_shared(neurons[4:50:5]) == len({*members} & {*range(4, 50, 5)})
    assert (
        neurons[:10].n_shared(view) == view.n_shared(neurons[:10]) == sum(m < 10 for m in members)
    )


def test_populations_are_not_sequences_of_views(neurons):
    with pytest.raises(TypeError, match="not iterable"):
        list(neurons)


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        (PopulationView("E", 10, 20), 10),
        (PopulationView("E", 0, 12), 2),
        (PopulationView("E", 20, 30), 0),
        (PopulationView("I", 10, 20), 0),
    ],
)
def test_overlap(other, shared):
    assert (
        PopulationView("E", 10, 20).n_shared(other)
        == other.n_shared(PopulationView("E", 10, 20))
        == shared
    )


def test_populations_are_frozen_comparable_hashable_and_can_be_pickled():
    def make(last):
        initial = {"V_m": np.array([1.0, 2.0, last])}
        return Population("E", 3, IafPscExp(tau_m=np.array([1.0, 2.0, 3.0])), initial)

    one, same, other = make(3.0), make(3.0), make(4.0)
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != "E"
    with pytest.raises(AttributeError):
        one.size = 4
    with pytest.raises(ValueError, match="read-only"):
        one.initial["V_m"][0] = 7.0
    copy = pickle.loads(pickle.dumps(one))
    assert copy == one
    with pytest.raises(ValueError, match="read-only"):
        copy.model.tau_m[0] = 7.0


@pytest.mark.parametrize(
    ("arguments", "place", "what"),
    [
        (("E", 0, IafPscExp()), "field size", "out of range"),
        (("E", -1, IafPscExp()), "field size", "out of range"),
        (("E", 1.5, IafPscExp()), "field size", "integer"),
        (("E", 2**31 + 1, IafPscExp()), "field size", "out of range"),
        (("E", 1, IafPscExp), "field model", "with its parameters"),
        (("E", 1, "iaf_psc_exp"), "field model", "with its parameters"),
        (("E", 1, IafPscExp(C_m=0.0)), "field C_m", "out of range"),
        (("E", 1, IafPscExp(), None, "float16"), "field precision", "unknown precision"),
        (("E", 1, IafPscExp(), {"v": 0.0}), "initial", "unknown state variable"),
        (("E", 1, IafPscExp(), {"V_m": np.nan}), "initial V_m", "finite"),
        (("E", 1, IafPscExp(), {"V_m": [1.0, 2.0]}), "initial V_m", "wrong shape"),
        (("E", 1, IafPscExp(), {"V_m": "rest"}), "initial V_m", "must be a number"),
        (
            ("E", 1, IafPscExp(), {"refractory": 0.5}),
            "initial refractory",
            "integer number of steps",
        ),
        (("E", 1, IafPscExp(), {"refractory": -1}), "initial refractory", "out of range"),
        (("E", 1, IafPscExp(), {"refractory": Normal(9, 0)}), "initial refractory", "integer"),
        (("E", 1, IafPscExp(), ["V_m"]), "field initial", "must map"),
        (("E", 1, SpikeSource([], []), {"V_m": 0.0}), "initial", "unknown state variable"),
    ],
)
def test_bad_populations(arguments, place, what):
    with pytest.raises(DescriptionError, match=what) as error:
        Population(*arguments)
    assert error.value.where == f"population 'E', {place}"


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", ".a", " a", "a\n", 5, None])
def test_bad_names(name):
    with pytest.raises(DescriptionError, match="not a usable name"):
        Population(name, 1, IafPscExp())


def test_the_nearest_name_is_suggested():
    with pytest.raises(DescriptionError) as error:
        Population("E", 1, IafPscExp(), initial={"v_m": 0.0})
    assert error.value.nearest == "V_m"
    with pytest.raises(DescriptionError) as error:
        Population("E", 1, IafPscExp(), initail={})
    assert error.value.nearest == "initial"


def test_the_largest_population():
    assert Population("E", 2**31, IafPscExp()).size == 2**31
