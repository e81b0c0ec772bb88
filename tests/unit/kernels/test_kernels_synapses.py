"""The state of short-term plasticity against its recursion in numpy, and its bounds."""

import numpy as np
import numpy.typing as npt
import pytest

from distsnn.kernels.synapses import tsodyks2_synapse as kernels

Floats = npt.NDArray[np.float64]


def record(first: float, tau_rec: float, tau_fac: float, last: float = 0.0) -> Floats:
    """Return the record of one source that has not spiked; time constants in steps."""
    return np.array([[1.0, 0.0, last, first, tau_rec, tau_fac]])


def factors(records: Floats, steps: list[int]) -> Floats:
    found = []
    for step in steps:
        kernels.advance(records, np.zeros(1, np.int64), np.array([step], np.int32))
        found.append(records[0, kernels.X] * records[0, kernels.U])
    return np.array(found)


def reference(first: float, tau_rec: float, tau_fac: float, steps: list[int]) -> Floats:
    x, u = 1.0, first
    found = [x * u]
    for h in np.diff(steps):
        facilitation = np.exp(-h / tau_fac) if tau_fac else 0.0
        x, u = (
            1.0 + (x - x * u - 1.0) * np.exp(-h / tau_rec),
            first + u * (1 - first) * facilitation,
        )
        found.append(x * u)
    return np.array(found)


STEPS = [3, 4, 5, 105, 205, 305, 306, 306, 2000, 100_000, 2**31 - 1]


@pytest.mark.parametrize(
    ("first", "tau_rec", "tau_fac"),
    [(0.5, 8000.0, 0.0), (0.04, 500.0, 10_000.0), (0.3, 1e-3, 1e-3), (1.0, 1e9, 300.0), (0, 1, 1)],
)
@pytest.mark.parametrize("last", [0.0, 3.0])
def test_factors_follow_the_recursion(
    first: float, tau_rec: float, tau_fac: float, last: float
) -> None:
    found = factors(record(first, tau_rec, tau_fac, last), STEPS)
    np.testing.assert_allclose(
        found, reference(first, tau_rec, tau_fac, STEPS), rtol=1e-12, atol=1e-15
    )
    # what came before the first spike does not count
    assert found[0] == first


def test_depression_and_facilitation_go_their_ways() -> None:
    regular = list(range(100, 1100, 100))
    assert np.all(np.diff(factors(record(0.5, 8000.0, 0.0), regular)) < 0)
    assert np.all(np.diff(factors(record(0.02, 1.0, 20_000.0), regular)) > 0)
    recovered = factors(record(0.5, 80.0, 0.0), [1, 100_000])
    np.testing.assert_allclose(recovered, 0.5, rtol=1e-15)


def test_factors_never_leave_0_to_1() -> None:
    draw = np.random.default_rng(3)
    for _ in range(200):
        first = draw.choice([draw.random(), 10.0 ** draw.uniform(-300, 0), 1.0, 0.1])
        times = 10.0 ** draw.uniform(-5, 8, 2)
        steps = np.cumsum(draw.integers(0, 10 ** draw.integers(1, 7), 60))
        found = factors(record(first, *times), steps.tolist())
        assert found.min() >= 0.0
        assert found.max() <= 1.0


def test_sources_do_not_touch_each_other() -> None:
    records = np.concatenate([record(0.5, 800.0, 0.0), record(0.1, 100.0, 900.0)])
    untouched = records[0].copy()
    kernels.advance(records, np.array([1, 1, 1]), np.array([5, 9, 400], np.int32))
    np.testing.assert_array_equal(records[0], untouched)
    expected = reference(0.1, 100.0, 900.0, [5, 9, 400])[-1]
    assert records[1, kernels.X] * records[1, kernels.U] == pytest.approx(expected, rel=1e-14)
    assert records[1, kernels.LAST] == 400
