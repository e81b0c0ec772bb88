"""Rate codes: regular trains in closed form, Poisson trains against chance."""

import math

import numpy as np
import pytest
from chance import LEAST_P, p_of_continuous, p_of_discrete
from scipy import stats

from distsnn.coding import (
    PoissonRate,
    RegularRate,
    filtered_at_end,
    first_spike_times,
    first_to_spike,
    spike_counts,
    spike_rates,
    windowed_counts,
)
from distsnn.coding.spikes import SampleSpikes
from distsnn.counter_rng import STIMULUS
from distsnn.errors import DescriptionError

REGULAR = RegularRate(dt=0.1, duration=100.0, low=0.0, high=100.0)


def poisson(**fields):
    return PoissonRate(**{"dt": 0.1, "duration": 100.0, "high": 200.0, "seed": 1, **fields})


def test_regular_train_is_evenly_spaced():
    spikes = REGULAR.encode([[1.0, 0.3, 0.0]])
    np.testing.assert_allclose(spikes.times[spikes.channels == 0], np.arange(5.0, 100.0, 10.0))
    np.testing.assert_allclose(spikes.times[spikes.channels == 1], [16.7, 50.0, 83.3])
    assert not (spikes.channels == 2).any()
    np.testing.assert_allclose(spike_rates(spikes), [[100.0, 30.0, 0.0]])


def test_regular_train_decodes_to_half_a_spike():
    values = np.linspace(0.0, 1.0, 401).reshape(-1, 1)
    for code in (REGULAR, RegularRate(dt=0.5, duration=37.0, low=20.0, high=3000.0)):
        decoded = code.decode(code.encode(values))
        worst = np.abs(decoded - values).max()
        bound = 500.0 / (code.duration * (code.high - code.low))
        assert 0.9 * bound < worst <= bound * (1.0 + 1e-9)


def test_counts_of_poisson_trains():
    spikes = poisson().encode(np.full((200, 500), 0.3))
    counts = spike_counts(spikes).ravel()
    assert p_of_discrete(counts, stats.poisson(6.0).pmf) > LEAST_P
    # 1e5 trains: the tail is there, and thins out where it should
    assert (counts >= 17).sum() == pytest.approx(1e5 * stats.poisson(6.0).sf(16), rel=0.4)
    assert 18 <= counts.max() <= 24


def test_intervals_and_places_of_poisson_spikes():
    # dt is so small that the grid does not show in intervals of 1 ms
    spikes = poisson(dt=2.0**-20, duration=64.0, high=1000.0).encode(np.ones((500, 4)))
    train = spikes.samples.astype(np.int64) * 4 + spikes.channels
    order = np.lexsort((spikes.steps, train))
    times, train = spikes.times[order], train[order]
    assert p_of_continuous(times / 64.0, lambda x: x) > LEAST_P
    # intervals that a window's end cannot cut short: those of the trains' first 20 spikes
    first = np.concatenate([[True], np.diff(train) > 0])
    number = np.arange(train.size) - np.maximum.accumulate(
        np.where(first, np.arange(train.size), 0)
    )
    intervals = np.where(first, times, np.diff(times, prepend=0.0))[number < 20]
    assert intervals.size == 500 * 4 * 20
    assert p_of_continuous(intervals, stats.expon().cdf) > LEAST_P
    assert stats.expon().sf(intervals.max()) * intervals.size > 1e-4


def test_poisson_trains_are_independent():
    counts = spike_counts(poisson().encode(np.full((2000, 6), 0.2))).astype(np.float64)
    # channels with each other, and samples with their neighbours
    for one, other in ((counts[:, :-1], counts[:, 1:]), (counts[:-1], counts[1:])):
        assert abs(stats.pearsonr(one.ravel(), other.ravel())[0]) < 4.5 / np.sqrt(one.size)


def test_several_poisson_spikes_may_share_a_step():
    spikes = poisson(dt=1.0, high=3000.0).encode(np.ones((50, 20)))
    per_step = np.zeros((50, 20, 100), np.int64)
    np.add.at(per_step, (spikes.samples, spikes.channels, spikes.steps - 1), 1)
    assert p_of_discrete(per_step.ravel(), stats.poisson(3.0).pmf) > LEAST_P


def test_poisson_spikes_of_a_sample_do_not_depend_on_its_batch():
    values = np.random.default_rng(5).random((20, 7))
    code = poisson()
    whole = code.encode(values)
    for batch in ([3], [4, 5, 6, 7], [19, 0, 11]):
        assert code.encode(values[batch], batch) == whole.select(batch)
    # nor on how many channels there are after a channel
    fewer = code.encode(values[:, :3])
    kept = whole.channels < 3
    np.testing.assert_array_equal(fewer.steps, whole.steps[kept])
    # nor do other values change the numbers that a channel draws
    assert code.encode(values, np.arange(20) + 20) != whole
    assert poisson(seed=2).encode(values) != whole


def poisson_steps(seed, number, channel, per_step, n_steps):
    """One train, in Python's integers: splitmix64 keyed by seed, purpose, sample and channel."""
    golden, low = 0x9E3779B97F4A7C15, 2**64 - 1

    def mix(bits):
        bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & low
        bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & low
        return bits ^ bits >> 31

    key = 0
    for index in (seed, STIMULUS, number, channel):
        key = mix(key ^ (mix(index + golden & low) + golden & low))
    at, steps = 0.0, []
    for draw in range(1000):
        at -= math.log(((mix(key + draw * golden & low) >> 12) + 0.5) * 2.0**-52) / per_step
        if at > n_steps:
            return steps
        steps.append(math.ceil(at))


def test_poisson_spikes_are_the_generators():
    seed = 2**64 - 1
    spikes = poisson(seed=seed).encode([[0.1, 0.8], [0.3, 0.0]], [7, 2**31 - 1])
    for sample, number in enumerate((7, 2**31 - 1)):
        for channel, value in enumerate(([0.1, 0.8], [0.3])[sample]):
            mine = (spikes.samples == sample) & (spikes.channels == channel)
            expected = poisson_steps(seed, number, channel, value * 200.0 * 1e-4, 1000)
            assert spikes.steps[mine].tolist() == expected


def test_longer_windows_only_add_spikes():
    short, long = poisson().encode([[0.5]]), poisson(duration=150.0).encode([[0.5]])
    assert long.steps.size > short.steps.size > 0
    np.testing.assert_array_equal(long.steps[long.steps <= 1000], short.steps)


def test_poisson_decodes_to_its_value_in_the_mean():
    code = poisson(low=50.0)
    values = np.array([[0.0, 0.25, 1.0]])
    decoded = code.decode(code.encode(np.tile(values, (2000, 1))))
    spread = np.sqrt(code.rates(values) / 0.1 / 2000.0) / 150.0
    assert (np.abs(decoded.mean(axis=0) - values) < 4.5 * spread).all()


def test_windows_of_counts():
    spikes = SampleSpikes([0, 0, 0, 1], [0, 0, 1, 1], [10, 11, 30, 20], (2, 2), 30, 0.1)
    counts = windowed_counts(spikes, [0.0, 1.0, 3.0])
    np.testing.assert_array_equal(counts, [[[1, 0], [1, 1]], [[0, 0], [0, 1]]])
    np.testing.assert_array_equal(windowed_counts(spikes, [1.0, 2.9])[:, 0], [[1, 0], [0, 1]])
    np.testing.assert_array_equal(windowed_counts(spikes, [0.0, 3.0])[:, 0], spike_counts(spikes))


def test_first_and_filtered_spikes():
    spikes = SampleSpikes([0, 0, 0, 2], [2, 1, 1, 0], [10, 10, 30, 20], (3, 3), 30, 0.1)
    times = first_spike_times(spikes)
    np.testing.assert_array_equal(times[0], [np.inf, 1.0, 1.0])
    np.testing.assert_array_equal(first_to_spike(spikes), [1, -1, 0])
    filtered = filtered_at_end(spikes, 2.0)
    np.testing.assert_allclose(filtered[0], [0.0, np.exp(-1.0) + 1.0, np.exp(-1.0)])
    np.testing.assert_allclose(filtered[1:], [[0.0, 0.0, 0.0], [np.exp(-0.5), 0.0, 0.0]])


@pytest.mark.parametrize(
    ("call", "where", "what"),
    [
        (lambda: REGULAR.encode([[0.5, 1.1]]), "RegularRate, values, sample 0, channel 1", "range"),
        (lambda: REGULAR.rates([[np.nan]]), "channel 0", "finite"),
        (lambda: RegularRate(dt=0.1, duration=0.25, high=1.0), "field duration", "grid"),
        (lambda: RegularRate(dt=0.0, duration=1.0, high=1.0), "field dt", "range"),
        (lambda: RegularRate(dt=0.1, duration=1.0, low=5.0, high=5.0), "field high", "range"),
        (lambda: RegularRate(dt=0.1, duration=1.0, low=-1.0, high=5.0), "field low", "range"),
        (lambda: RegularRate(dt=0.1, duration="1", high=5.0), "field duration", "number"),
        (lambda: RegularRate(dt=0.1, duration=1.0, hihg=5.0), "RegularRate", "unknown argument"),
        (lambda: poisson(seed=-1), "field seed", "range"),
        (lambda: poisson().encode([[0.1]], [1, 2]), "numbers", "shape"),
        (lambda: poisson().encode([[0.1]], [-1]), "numbers[0]", "range"),
        (lambda: windowed_counts(REGULAR.encode([[1.0]]), [0.0]), "edges", "no window"),
        (lambda: windowed_counts(REGULAR.encode([[1.0]]), [0.0, 101.0]), "edges[1]", "beyond"),
        (lambda: windowed_counts(REGULAR.encode([[1.0]]), [0.0, 0.05]), "edges[1]", "grid"),
        (lambda: filtered_at_end(REGULAR.encode([[1.0]]), 0.0), "tau", "range"),
    ],
)
def test_what_is_refused(call, where, what):
    with pytest.raises(DescriptionError) as caught:
        call()
    assert where in caught.value.where
    assert what in caught.value.problem
