"""Poisson input whose rate is a sine: counts by phase, and how they vary."""

import numpy as np
import pytest
from chance import LEAST_P
from scipy import stats

from distsnn.network import Network, ParrotNeuron, PoissonInput, Population, Sine
from distsnn.simulation import Simulation

# 200 steps of 0.1 ms are a period, the phases of which are all there
N, FREQUENCY, PERIOD, PERIODS, DT = 512, 50.0, 200, 25, 0.1
RNG = np.random.default_rng(4)


def means_of(amplitude: object, phase: object, offset: object) -> np.ndarray:
    """Return the mean count of each step of a period and each neuron."""
    angle = 2.0 * np.pi * np.arange(PERIOD)[:, None] / PERIOD + np.deg2rad(phase)
    rate = np.broadcast_to(offset + amplitude * np.sin(angle), (PERIOD, N))
    return np.maximum(rate, 0.0) * DT * 1e-3


@pytest.mark.parametrize(
    "sine",
    [
        (300.0, 40.0, 500.0),
        (900.0, -30.0, 400.0),  # clipped
        (12000.0, 0.0, 10000.0),
        (RNG.uniform(0.0, 900.0, N), RNG.uniform(0.0, 360.0, N), RNG.uniform(0.0, 500.0, N)),
    ],
    ids=["common", "clipped", "several a step", "each neuron its own"],
)
def test_counts_by_phase_and_by_neuron(sine: tuple[object, object, object]) -> None:
    amplitude, phase, offset = sine
    parrots = Population("P", N, ParrotNeuron())
    drive = PoissonInput(parrots, Sine(amplitude, FREQUENCY, phase, offset), 1.0)
    counts = np.zeros((PERIODS, PERIOD, N))
    with Simulation(Network([parrots], [], [drive], dt=DT), seed=5) as simulation:
        simulation.run(PERIODS * PERIOD * DT)
        step, gid = simulation[parrots].spikes()
    # spikes of step k + 1 are drawn with the rate at the time of step k
    np.add.at(counts.reshape(-1, N), (step - 1, gid), 1)
    mean = means_of(amplitude, phase, offset)
    silent = mean < 1e-12
    assert not counts[:, silent].any()

    def is_chance(seen: np.ndarray, expected: np.ndarray) -> None:
        chi2 = np.sum((seen - expected) ** 2 / expected)
        assert LEAST_P < stats.chi2(seen.size).cdf(chi2) < 1.0 - LEAST_P

    by_phase, expected = counts.sum(axis=(0, 2)), PERIODS * mean.sum(axis=1)
    heard = expected > 8.0
    assert heard.sum() > 0.5 * PERIOD
    is_chance(by_phase[heard], expected[heard])
    by_neuron, expected = counts.sum(axis=(0, 1)), PERIODS * mean.sum(axis=0)
    is_chance(by_neuron[expected > 8.0], expected[expected > 8.0])
    # independent from period to period: each sum varies like a Poisson count
    by_period, expected = counts.sum(axis=2), np.tile(mean.sum(axis=1), (PERIODS, 1))
    is_chance(by_period[expected > 8.0], expected[expected > 8.0])
