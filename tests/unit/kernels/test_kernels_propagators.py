"""The matrix exponential against scipy's, and the same bits however neurons are cut up."""

import numpy as np
import pytest
from scipy.linalg import expm

from distsnn.kernels.propagators import exponential


def dense(size: int, columns: int, entries: dict[tuple[int, int], np.ndarray], n: int):
    out = np.zeros((n, columns, columns))
    for (row, column), value in entries.items():
        out[:, row, column] = value
    return out


@pytest.mark.parametrize("h", [0.01, 0.1, 1.0, 30.0])
def test_it_is_scipys(h: float) -> None:
    rng = np.random.default_rng(1)
    n, size, columns = 20, 4, 6
    entries = {
        (row, column): rng.normal(0.0, 0.3, n) if column < size else rng.normal(0.0, 50.0, n)
        for row in range(size)
        for column in range(columns)
        if rng.random() < 0.7 or row == column
    }
    found = exponential(size, entries, h)
    expected = [expm(h * one) for one in dense(size, columns, entries, n)]
    for (row, column), values in found.items():
        scale = np.abs([one[:size, column] for one in expected]).max(axis=1)
        for neuron in range(n):
            error = abs(values[neuron] - expected[neuron][row, column])
            assert error <= 3e-14 * max(1.0, h) * scale[neuron]
    given = set(entries) | {(row, row) for row in range(size)}
    assert given <= set(found)


def test_the_ends_of_a_long_chain_do_not_meet_in_one_step() -> None:
    size = 30
    entries = {(row, row): np.array(-0.1) for row in range(size)}
    entries |= {(row, row - 1): np.array(0.1) for row in range(1, size)}
    found = exponential(size, entries, 0.1)
    whole = expm(0.1 * dense(size, size, entries, 1)[0])
    assert len(found) == size * size
    assert found[size - 1, 0] == 0.0
    for (row, column), value in found.items():
        assert value == pytest.approx(whole[row, column], rel=1e-9, abs=1e-30)


@pytest.mark.parametrize("tau", [10.0, 10.0 * (1 + 1e-13), 10.0 * (1 - 1e-9), 2.0, 1e9, 0.05])
def test_equal_time_constants_are_no_special_case(tau: float) -> None:
    h, tau_m, c = 0.1, np.longdouble(10.0), 250.0
    entries = {(0, 0): -1 / 10.0, (0, 1): 1 / c, (1, 1): -1 / tau}
    found = exponential(2, {place: np.asarray(one) for place, one in entries.items()}, h)
    rate = 1 / np.longdouble(tau) - 1 / tau_m
    shape = np.longdouble(h) if rate == 0 else -np.expm1(-rate * h) / rate
    assert float(found[0, 1]) == pytest.approx(float(np.exp(-h / tau_m) * shape / c), rel=3e-15)
    assert float(found[0, 0]) == pytest.approx(np.exp(-0.01), rel=4e-16)
    assert found[1, 0] == 0.0


def test_constant_input_adds_up_where_nothing_decays() -> None:
    found = exponential(1, {(0, 1): np.asarray(3.0), (0, 2): np.asarray([1.0, 2.0])}, 0.1)
    assert float(found[0, 0]) == 1.0
    assert float(found[0, 1]) == pytest.approx(0.3, rel=1e-15)
    np.testing.assert_allclose(found[0, 2], [0.1, 0.2], rtol=1e-15)


def test_a_neurons_bits_do_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(2)
    n = 50
    # rates so different that the neurons need different numbers of squarings
    entries = {
        (row, column): rng.normal(0.0, 1.0, n) * 10.0 ** rng.uniform(-3, 2, n)
        for row in range(3)
        for column in range(4)
    }
    whole = exponential(3, entries, 0.1)
    for k in range(n):
        alone = exponential(3, {place: np.asarray(one[k]) for place, one in entries.items()}, 0.1)
        assert all(float(value) == whole[place][k] for place, value in alone.items())
