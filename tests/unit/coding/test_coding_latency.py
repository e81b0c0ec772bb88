"""Codes by time and order of spikes: closed forms, and round trips to the grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distsnn.coding import (
    GaussianFields,
    LinearLatency,
    LogarithmicLatency,
    PhaseCode,
    RankOrder,
    SampleSpikes,
    first_spike_times,
    spike_counts,
)
from distsnn.errors import DescriptionError

LINEAR = LinearLatency(dt=0.1, first=1.0, last=21.0)
LOGARITHMIC = LogarithmicLatency(dt=0.1, duration=40.0, tau=10.0, threshold=0.2)
PHASE = PhaseCode(dt=0.1, period=25.0, cycles=3)
RANK = RankOrder(dt=0.1, gap=0.5)

TABLES = arrays(
    np.float64, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.floats(0, 1)
)


def test_linear_latency_falls_with_the_value():
    spikes = LINEAR.encode([[1.0, 0.75, 0.0]])
    np.testing.assert_allclose(first_spike_times(spikes), [[1.0, 6.0, 21.0]])
    assert spikes.n_steps == 210
    silent = LinearLatency(dt=0.1, first=1.0, last=21.0, min_value=0.1).encode([[0.1, 0.0999]])
    np.testing.assert_allclose(first_spike_times(silent), [[19.0, np.inf]])


def test_logarithmic_latency_is_a_leaky_integrators():
    values = np.array([[1.0, 0.5, 0.25, 0.2, 0.0]])
    times = LOGARITHMIC.spike_times(values)
    # potential value (1 - exp(-t / tau)) reaches the threshold 0.2
    np.testing.assert_allclose(values[:, :3] * -np.expm1(-times[:, :3] / 10.0), 0.2, rtol=1e-12)
    np.testing.assert_allclose(times[0, 1], 10.0 * np.log(0.5 / 0.3))
    assert np.isinf(times[0, 3:]).all()
    # the window's end: what would spike later does not
    least = 0.2 / -np.expm1(-4.0)
    spikes = LOGARITHMIC.encode([[least + 1e-4, least - 1e-4]])
    np.testing.assert_array_equal(spike_counts(spikes), [[1, 0]])


@settings(max_examples=50, deadline=None)
@given(TABLES)
def test_latencies_decode_to_the_grid(values):
    for code in (LINEAR, LOGARITHMIC):
        spikes = code.encode(values)
        decoded = code.decode(spikes)
        assert (spike_counts(spikes) <= 1).all() and (decoded >= 0).all() and (decoded <= 1).all()
        spiked = spike_counts(spikes) > 0
        wanted = code.spike_times(values)
        assert (spiked == (np.rint(wanted / 0.1) <= code.n_steps)).all()
        assert (decoded[~spiked] == 0.0).all()
        # the decoded value's time is the given one's but for the grid
        got = code.spike_times(decoded)[spiked]
        np.testing.assert_allclose(got, wanted[spiked], rtol=0.0, atol=0.05 + 1e-9)
        assert code.encode(decoded).select([0]) == spikes.select([0])


def test_a_latency_below_half_a_step_spikes_in_the_first():
    code = LogarithmicLatency(dt=1.0, duration=10.0, tau=1.0, threshold=0.1)
    spikes = code.encode([[1.0]])
    assert spikes.steps.tolist() == [1]
    assert code.decode(spikes)[0, 0] == pytest.approx(0.1 / -np.expm1(-1.0))


def test_latency_takes_the_first_spike():
    spikes = SampleSpikes([0, 0], [0, 0], [110, 30], (1, 2), 210, 0.1)
    np.testing.assert_allclose(LINEAR.decode(spikes), [[0.9, 0.0]])


def test_phases_within_the_oscillation():
    spikes = PHASE.encode([[1.0, 0.6, 0.0]])
    # half a cycle of 250 steps carries values; its first step has phase 0
    expected = {0: [1, 251, 501], 1: [51, 301, 551], 2: [126, 376, 626]}
    for channel, steps in expected.items():
        assert spikes.steps[spikes.channels == channel].tolist() == steps
    assert spikes.n_steps == 750


@settings(max_examples=50, deadline=None)
@given(TABLES, st.sampled_from([0.1, 0.5, 0.9, 0.99]))
def test_phases_decode_to_the_grid(values, span):
    code = PhaseCode(dt=0.1, period=25.0, cycles=2, span=span)
    spikes = code.encode(values)
    assert (spike_counts(spikes) == 2).all()
    half_a_step = 0.5 / (250.0 * span)
    np.testing.assert_allclose(code.decode(spikes), values, rtol=0.0, atol=half_a_step + 1e-9)


def test_jittered_phases_are_averaged_and_do_not_wrap_around():
    # 12 steps early is the end of the cycle before; the mean of +12 and -12 is the phase itself
    steps = [1 + 12, 251 - 12, 376 + 12, 376 - 12]
    spikes = SampleSpikes([0, 0, 0, 0], [0, 0, 1, 1], steps, (1, 3), 750, 0.1)
    np.testing.assert_allclose(PHASE.decode(spikes), [[1.0, 0.0, 0.0]], atol=1e-9)


def test_ranks_follow_falling_values():
    spikes = RANK.encode([[0.3, -2.0, 7.0, 0.3]])
    np.testing.assert_array_equal(RANK.channel_order(spikes), [[1, 3, 0, 2]])
    np.testing.assert_allclose(first_spike_times(spikes), [[1.0, 2.0, 0.5, 1.5]])
    assert spikes.n_steps == 20
    # 100 channels of two values in turn: first all odd ones, then all even ones
    spikes = RANK.encode([np.arange(100) % 2])
    expected = np.arange(100) // 2 + np.where(np.arange(100) % 2, 0, 50)
    np.testing.assert_array_equal(RANK.channel_order(spikes), [expected])


@settings(max_examples=50, deadline=None)
@given(TABLES)
def test_rank_order_keeps_the_order_and_by_the_values_themselves_all(values):
    spikes = RANK.encode(values)
    n = values.shape[1]
    decoded = RANK.decode(spikes, 0.8 ** np.arange(n))
    assert RANK.encode(decoded) == spikes
    first = RANK.decode(spikes.select([0]), np.sort(values[0])[::-1])
    np.testing.assert_array_equal(first, values[:1])


def test_a_channel_without_a_spike_has_no_rank():
    spikes = SampleSpikes([0, 0], [2, 0], [30, 40], (1, 3), 50, 0.1)
    np.testing.assert_array_equal(RANK.channel_order(spikes), [[1, -1, 0]])
    np.testing.assert_array_equal(RANK.decode(spikes, [1.0, 0.5, 0.25]), [[0.5, 0.0, 1.0]])


def test_samples_are_coded_each_for_itself():
    values = np.random.default_rng(1).random((12, 5))
    for code in (LINEAR, LOGARITHMIC, PHASE, RANK):
        assert code.encode(values).select([7, 2]) == code.encode(values[[7, 2]])


def test_no_samples_are_no_spikes():
    for code in (LINEAR, LOGARITHMIC, PHASE, RANK):
        spikes = code.encode(np.empty((0, 4)))
        assert (spikes.shape, spikes.steps.size) == ((0, 4), 0)
        assert spike_counts(spikes).shape == first_spike_times(spikes).shape == (0, 4)


def test_fields_feed_latencies():
    # Bohte et al.: the nearest field spikes first, distant ones stay silent
    fields, latency = (
        GaussianFields(n_fields=8),
        LinearLatency(dt=0.1, first=0.1, last=10.0, min_value=0.1),
    )
    values = np.linspace(0.1, 0.9, 33)[:, np.newaxis]
    spikes = latency.encode(fields.encode(values))
    nearest = np.abs(values - fields.centres).argmin(axis=1)
    times = first_spike_times(spikes)
    assert (times[np.arange(33), nearest] == times.min(axis=1)).all()
    assert (spike_counts(spikes).sum(axis=1) < 5).all()
    decoded = fields.decode(latency.decode(spikes))
    np.testing.assert_allclose(decoded, values, atol=0.12 * (1.0 / 6.0))


@pytest.mark.parametrize(
    ("call", "where", "what"),
    [
        (
            lambda: LINEAR.encode([[0.5, -0.1]]),
            "LinearLatency, values, sample 0, channel 1",
            "range",
        ),
        (lambda: LinearLatency(dt=0.1, first=2.0, last=2.0), "field last", "range"),
        (lambda: LinearLatency(dt=0.1, first=0.0, last=2.0), "field first", "range"),
        (lambda: LinearLatency(dt=0.1, first=0.15, last=2.0), "field first", "grid"),
        (lambda: LinearLatency(dt=0.1, first=1.0, last=2.05), "field last", "grid"),
        (
            lambda: LinearLatency(dt=0.1, first=1.0, last=2.0, min_value=1.5),
            "field min_value",
            "range",
        ),
        (
            lambda: LogarithmicLatency(dt=0.1, duration=1.0, tau=1.0, threshold=1.0),
            "field threshold",
            "range",
        ),
        (
            lambda: LogarithmicLatency(dt=0.1, duration=1.0, tau=0.0, threshold=0.5),
            "field tau",
            "range",
        ),
        (lambda: PhaseCode(dt=0.1, period=25.0, cycles=0), "field cycles", "range"),
        (lambda: PhaseCode(dt=0.1, period=25.0, cycles=1, span=0.999), "field span", "range"),
        (lambda: PhaseCode(dt=0.1, period=25.03, cycles=1), "field period", "grid"),
        (lambda: PHASE.encode([[np.nan]]), "PhaseCode, values, sample 0, channel 0", "finite"),
        (lambda: RankOrder(dt=0.1, gap=0.0), "field gap", "range"),
        (lambda: RANK.encode([[1.0, np.inf]]), "sample 0, channel 1", "finite"),
        (lambda: RANK.decode(RANK.encode([[1.0, 2.0]]), [1.0]), "by_rank", "shape"),
        (lambda: RANK.decode(RANK.encode([[1.0, 2.0]]), [1.0, np.nan]), "by_rank[1]", "finite"),
    ],
)
def test_what_is_refused(call, where, what):
    with pytest.raises(DescriptionError) as caught:
        call()
    assert where in caught.value.where
    assert what in caught.value.problem
