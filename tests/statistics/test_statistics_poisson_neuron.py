"""Neurons that spike by themselves: their rates, intervals and independence, with a fixed seed."""

import numpy as np
import pytest
from chance import LEAST_P, p_of_discrete
from kernel_calls import NeuronCall
from scipy import stats

DT, SIZE, STEPS = 0.1, 640, 20_000


def trains(rate: object, precision: str = "float32") -> np.ndarray:
    """Return who spiked when: bool (STEPS, SIZE)."""
    one = NeuronCall("poisson_neuron", {"rate": np.asarray(rate)}, SIZE, precision=precision)
    spiked = np.zeros((STEPS, SIZE), bool)
    for k in range(STEPS):
        spiked[k, one.step(k)] = True
    return spiked


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_intervals_are_exponential_and_neurons_independent(precision: str) -> None:
    p = 80.0 * DT * 1e-3
    spiked = trains(80.0, precision)
    assert abs(spiked.mean() - p) < 5.0 * np.sqrt(p / spiked.size)
    # all of one step, and all of one neuron, are binomial
    assert p_of_discrete(spiked.sum(axis=1), stats.binom(SIZE, p).pmf) > LEAST_P
    assert p_of_discrete(spiked.sum(axis=0), stats.binom(STEPS, p).pmf) > LEAST_P
    first = np.argmax(spiked, axis=0) + 1
    assert p_of_discrete(first, stats.geom(p).pmf) > LEAST_P

    gids, steps = np.nonzero(spiked.T)
    intervals = np.diff(steps)[np.diff(gids) == 0]
    # the coefficient of variation of a geometric distribution is sqrt(1 - p), here 0.996
    assert intervals.std() / intervals.mean() == pytest.approx(np.sqrt(1 - p), abs=0.01)
    counts = spiked.reshape(200, -1, SIZE).sum(axis=1)
    between = np.corrcoef(counts.T)[np.triu_indices(SIZE, 1)]
    assert abs(between.mean()) < 5.0 / np.sqrt(between.size * 200)
    assert abs(between.std() * np.sqrt(200) - 1.0) < 0.02


def test_each_neuron_has_its_own_rate() -> None:
    rates = np.linspace(0.0, 400.0, SIZE)
    counts = trains(rates).sum(axis=0)
    expected = rates * STEPS * DT * 1e-3
    assert counts[0] == 0
    assert np.all(np.abs(counts - expected) < 5.0 * np.sqrt(expected) + 1e-9)
    chi2 = np.sum((counts[1:] - expected[1:]) ** 2 / expected[1:])
    assert 1e-4 < stats.chi2(SIZE - 1).sf(chi2) < 1.0 - 1e-4


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_rate_of_one_spike_per_step_is_certain_and_none_never(precision: str) -> None:
    spiked = trains(np.repeat([0.0, 1e4], SIZE // 2), precision)
    assert not spiked[:, : SIZE // 2].any()
    assert spiked[:, SIZE // 2 :].all()
