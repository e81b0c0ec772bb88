"""Gamma input: intervals, counts of superpositions, and rates that vary, against closed forms."""

import numpy as np
import numpy.typing as npt
import pytest
from chance import LEAST_P
from scipy import stats

from distsnn.network import GammaInput, Network, ParrotNeuron, Piecewise, Population, Sine
from distsnn.simulation import Simulation

N, DT = 1024, 0.1
PARROTS = Population("P", N, ParrotNeuron())
JITTER = np.random.default_rng(2)

Ints = npt.NDArray[np.integer]


def spikes(drive: GammaInput, time: float) -> tuple[Ints, Ints]:
    """Return step and neuron of all spikes, sorted by neuron."""
    with Simulation(Network([PARROTS], [], [drive], dt=DT), seed=5) as simulation:
        simulation.run(time)
        step, gid = simulation[PARROTS].spikes()
    order = np.lexsort((step, gid))
    return step[order], gid[order]


def inside(step: Ints) -> npt.NDArray[np.float64]:
    """Return times within the steps of spikes, in steps."""
    return np.sort(step - JITTER.random(step.size))


@pytest.mark.parametrize("order", [1.0, 2.5, 20.0])
def test_intervals_of_a_process(order: float) -> None:
    rate = 100.0
    step, gid = spikes(GammaInput(PARROTS, rate, 1.0, order), 500.0)
    assert step.size > 0.95 * N * 50
    firsts, intervals = [], []
    for neuron in range(N):
        own = inside(step[gid == neuron]) * DT * 1e-3 * rate
        firsts.append(own[0])
        # those that begin late are known only if they are short
        begun = np.flatnonzero(own < 50.0 - 15.0)
        intervals.append(np.diff(own)[begun[begun < own.size - 1]])
    law = stats.gamma(order, scale=1.0 / order)
    found = np.concatenate(intervals)
    assert stats.kstest(found, law.cdf).pvalue > LEAST_P
    # the error of a coefficient of variation is about this, or less
    error = np.sqrt((0.5 + 1.0 / order) / (order * found.size))
    assert abs(found.std() / found.mean() - 1.0 / np.sqrt(order)) < 4.5 * error
    # each interval has nothing to do with the next
    pairs = np.concatenate([np.stack([one[1:], one[:-1]]) for one in intervals], axis=1)
    assert abs(np.corrcoef(pairs)[0, 1]) < 4.5 / np.sqrt(pairs.shape[1])
    # the time to the first spike has the density 1 - F(x): its integral is x (1 - F(x)) + G(x)
    around = stats.gamma(order + 1.0, scale=1.0 / order)
    first = stats.kstest(firsts, lambda x: x * law.sf(x) + around.cdf(x))
    assert first.pvalue > LEAST_P


@pytest.mark.parametrize("order", [3.0, 8.5])
def test_counts_of_superpositions_vary_less(order: float) -> None:
    n, rate, window = 12, 50.0, 800
    step, gid = spikes(GammaInput(PARROTS, rate, 1.0, order, n), 8 * window * DT)
    counts = np.zeros((8, N))
    np.add.at(counts, ((step - 1) // window, gid), 1)
    mean = n * rate * window * DT * 1e-3
    # of an equilibrium process, long after its start (Cox 1962, eq. 4.5.2 and 5.2)
    variance = mean / order + n * (1.0 - 1.0 / order**2) / 6.0
    for one in (counts[0], counts.ravel()):
        assert abs(one.mean() - mean) < 4.5 * np.sqrt(variance / one.size)
        assert abs(one.var() - variance) < 4.5 * variance * np.sqrt(2.0 / one.size)
    # nor do neurons have anything to do with each other
    assert abs(np.corrcoef(counts[:, ::2].ravel(), counts[:, 1::2].ravel())[0, 1]) < 4.5 / 64.0


WAVE = Sine(90.0, 40.0, 30.0, 100.0)
CLIPPED = Sine(np.linspace(100.0, 300.0, N), 40.0, offset=80.0)
STEPS = Piecewise([0.0, 30.0, 70.0, 90.0], [200.0, 0.0, 40.0, 400.0])


def means_of(rate: Sine | Piecewise, n_steps: int) -> npt.NDArray[np.float64]:
    """Return the expected count of each step and neuron of a process."""
    now = np.arange(n_steps) * DT
    if isinstance(rate, Piecewise):
        values = rate.values[np.searchsorted(rate.times, now + 1e-9, side="right") - 1]
        return np.broadcast_to(values[:, None], (n_steps, N)) * DT * 1e-3
    angle = 2e-3 * np.pi * rate.frequency * now[:, None] + np.deg2rad(rate.phase)
    values = np.maximum(rate.offset + rate.amplitude * np.sin(angle), 0.0)
    return np.broadcast_to(values, (n_steps, N)) * DT * 1e-3


@pytest.mark.parametrize("rate", [WAVE, CLIPPED, STEPS], ids=["sine", "clipped", "piecewise"])
def test_rates_that_vary_stretch_intervals(rate: Sine | Piecewise) -> None:
    order, n_steps = 4.0, 2000
    step, gid = spikes(GammaInput(PARROTS, rate, 1.0, order), n_steps * DT)
    means = means_of(rate, n_steps)
    # in equilibrium every step has its expected number of spikes, from the first step on
    expected, seen = means.sum(axis=1), np.bincount(step - 1, minlength=n_steps)
    assert not seen[expected < 1e-9].any()
    expected, seen = (one.reshape(-1, 40).sum(axis=1) for one in (expected, seen))
    often = expected > 8.0
    chi2 = np.sum((seen - expected)[often] ** 2 / expected[often])
    assert stats.chi2(often.sum()).cdf(chi2) < 1.0 - LEAST_P
    # and intervals have the law in operational time
    clocks = np.vstack([np.zeros(N), np.cumsum(means, axis=0)])
    found = []
    for neuron in range(N):
        at = inside(step[gid == neuron])
        own = np.interp(at, np.arange(n_steps + 1), clocks[:, neuron])
        begun = np.flatnonzero(own < clocks[-1, neuron] - 4.5)
        found.append(np.diff(own)[begun[begun < own.size - 1]])
    law = stats.gamma(order, scale=1.0 / order)
    assert stats.kstest(np.concatenate(found), law.cdf).pvalue > LEAST_P
