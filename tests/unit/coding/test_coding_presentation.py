"""Sequences of samples: onsets, input as stimuli take it, recordings cut into samples."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distsnn.coding import PoissonRate, Presentation, RegularRate, SampleSpikes, spike_counts
from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    Network,
    ParrotNeuron,
    Piecewise,
    PoissonInput,
    Population,
    RecordSpikes,
    SpikeInput,
)
from distsnn.simulation import simulate

BATCH = Presentation(dt=0.1, n_samples=3, duration=2.0, rest=1.0, start=10.0)


def test_when_samples_are_presented():
    np.testing.assert_allclose(BATCH.onsets, [10.0, 13.0, 16.0])
    assert BATCH.window(1) == pytest.approx((13.0, 15.0))
    assert BATCH.stop == pytest.approx(19.0)
    after = Presentation(dt=0.1, n_samples=1, duration=2.0, start=BATCH.stop)
    assert after.window(0) == pytest.approx((19.0, 21.0))


def test_events_are_sorted_and_on_the_grid():
    spikes = SampleSpikes([2, 0, 0, 1], [1, 0, 1, 1], [1, 20, 20, 7], (3, 2), 20, 0.1)
    times, channels = BATCH.events(spikes)
    np.testing.assert_allclose(times, [12.0, 12.0, 13.7, 16.1])
    np.testing.assert_array_equal(channels, [0, 1, 1, 1])


def test_rates_are_0_in_rests():
    rates = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    zero = [0.0, 0.0]
    with_rest = BATCH.piecewise(rates)
    assert with_rest == Piecewise(
        np.array([100, 120, 130, 150, 160, 180]) * 0.1,
        [rates[0], zero, rates[1], zero, rates[2], zero],
    )
    without = Presentation(dt=0.1, n_samples=3, duration=2.0).piecewise(rates)
    assert without == Piecewise(np.array([0, 20, 40, 60]) * 0.1, [*rates, zero])


def test_spikes_in_rests_and_outside_are_left_out():
    # windows are (10, 12], (13, 15] and (16, 18]
    times = [9.0, 10.0, 10.1, 12.0, 12.1, 13.0, 13.1, 18.0, 18.1, 40.0]
    cut = BATCH.cut(times, [0, 0, 1, 2, 0, 0, 3, 4, 0, 0], 5)
    assert cut == SampleSpikes([0, 0, 1, 2], [1, 2, 3, 4], [1, 20, 1, 20], (3, 5), 20, 0.1)


@st.composite
def sequences(draw):
    n_samples, n_steps, rest, start = (
        draw(st.integers(low, high)) for low, high in ((1, 6), (1, 30), (0, 9), (0, 99))
    )
    n = draw(st.integers(0, 40))
    columns = [
        draw(st.lists(st.integers(low, high), min_size=n, max_size=n))
        for low, high in ((0, n_samples - 1), (0, 3), (1, n_steps))
    ]
    dt = draw(st.sampled_from([0.1, 0.25, 1.0]))
    spikes = SampleSpikes(*columns, (n_samples, 4), n_steps, dt)
    return spikes, Presentation(
        dt=dt, n_samples=n_samples, duration=n_steps * dt, rest=rest * dt, start=start * dt
    )


@settings(max_examples=50, deadline=None)
@given(sequences())
def test_events_cut_again_are_the_samples(made):
    spikes, presentation = made
    times, channels = presentation.events(spikes)
    assert (np.diff(times) >= 0).all()
    assert presentation.cut(times, channels, 4) == spikes


@settings(max_examples=50, deadline=None)
@given(sequences(), st.data())
def test_chosen_samples(made, data):
    spikes, presentation = made
    chosen = data.draw(st.lists(st.integers(0, presentation.n_samples - 1), max_size=8))
    taken = spikes.select(chosen)
    assert taken.shape == (len(chosen), 4)
    for i, sample in enumerate(chosen):
        mine, theirs = taken.samples == i, spikes.samples == sample
        np.testing.assert_array_equal(taken.steps[mine], spikes.steps[theirs])
        np.testing.assert_array_equal(taken.channels[mine], spikes.channels[theirs])


def recorded(path: Path, network: Network, presentation: Presentation, size: int) -> SampleSpikes:
    simulate(network, presentation.stop, out=path, progress=False, seed=3)
    steps, gids = StoreReader(path).spikes()
    return presentation.cut(steps * 0.1, gids, size)


def test_a_network_gets_the_samples_spikes(tmp_path):
    values = np.random.default_rng(2).random((4, 6))
    spikes = RegularRate(dt=0.1, duration=20.0, high=400.0).encode(values)
    presentation = Presentation(dt=0.1, n_samples=4, duration=25.0, rest=5.0)
    cells = Population("cells", 6, ParrotNeuron())
    # a parrot spikes in the step in which its input arrives
    stimulus = SpikeInput(cells, *presentation.events(spikes), weight=1.0)
    network = Network([cells], stimuli=[stimulus], recordings=[RecordSpikes(cells)])
    cut = recorded(tmp_path / "run.zarr", network, presentation, 6)
    for name in ("samples", "channels", "steps"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(spikes, name))


def test_a_network_gets_the_samples_rates(tmp_path):
    code = PoissonRate(dt=0.1, duration=200.0, high=500.0, seed=1)
    values = [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]
    presentation = Presentation(dt=0.1, n_samples=3, duration=200.0, rest=100.0)
    cells = Population("cells", 2, ParrotNeuron())
    stimulus = PoissonInput(cells, presentation.piecewise(code.rates(values)), weight=1.0)
    network = Network([cells], stimuli=[stimulus], recordings=[RecordSpikes(cells)])
    cut = recorded(tmp_path / "run.zarr", network, presentation, 2)
    counts = spike_counts(cut)
    expected = 100.0 * np.array(values)
    assert (np.abs(counts - expected) <= 4.5 * np.sqrt(expected)).all()
    # nothing arrived in rests
    assert cut.steps.size == StoreReader(tmp_path / "run.zarr").spikes()[0].size > 0


SPIKES = SampleSpikes([0], [0], [20], (3, 1), 20, 0.1)


@pytest.mark.parametrize(
    ("call", "where", "what"),
    [
        (lambda: Presentation(dt=0.1, n_samples=0, duration=1.0), "field n_samples", "range"),
        (lambda: Presentation(dt=0.1, n_samples=1, duration=0.0), "field duration", "range"),
        (lambda: Presentation(dt=0.1, n_samples=1, duration=1.0, rest=0.01), "field rest", "grid"),
        (lambda: Presentation(dt=0.1, n_samples=1, duration=1.0, start=-1.0), "start", "range"),
        (lambda: BATCH.window(3), "sample", "range"),
        (lambda: BATCH.events(SPIKES.select([0, 1])), "spikes", "another n_samples"),
        (
            lambda: BATCH.events(SampleSpikes([0], [0], [1], (3, 1), 2, 0.5)),
            "spikes",
            "another dt",
        ),
        (
            lambda: BATCH.events(SampleSpikes([0], [0], [1], (3, 1), 21, 0.1)),
            "spikes",
            "longer",
        ),
        (lambda: BATCH.piecewise([[1.0]]), "values", "shape"),
        (lambda: BATCH.cut([0.15], [0], 1), "times[0]", "grid"),
        (lambda: BATCH.cut([0.1], [1], 1), "neurons[0]", "range"),
        (lambda: BATCH.cut([0.1, 0.2], [0], 1), "times", "shape"),
        (lambda: SampleSpikes([0], [0], [0], (1, 1), 5, 0.1), "steps[0]", "outside"),
        (lambda: SampleSpikes([0, 0], [0, 0], [1, 6], (1, 1), 5, 0.1), "steps[1]", "outside"),
        (lambda: SampleSpikes([1], [0], [1], (1, 1), 5, 0.1), "samples[0]", "range"),
        (lambda: SampleSpikes([0], [1], [1], (1, 1), 5, 0.1), "channels[0]", "range"),
        (lambda: SampleSpikes([0], [0, 0], [1], (1, 1), 5, 0.1), "channels", "shape"),
        (lambda: SampleSpikes([0], [0], [1], (1, 1), 5, 0.0), "field dt", "range"),
        (lambda: SampleSpikes([0], [0], [1.5], (1, 1), 5, 0.1), "steps", "integers"),
        (lambda: SPIKES.select([3]), "samples[0]", "range"),
    ],
)
def test_what_is_refused(call, where, what):
    with pytest.raises(DescriptionError) as caught:
        call()
    assert where in caught.value.where
    assert what in caught.value.problem
