"""Gaussian receptive fields, population vectors and level crossings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distsnn.coding import GaussianFields, SendOnDelta, population_vector
from distsnn.errors import DescriptionError

DELTA = SendOnDelta(dt=0.5, threshold=0.25)


def test_fields_of_bohte_et_al():
    # their example: m = 8 fields, beta = 1.5; here over 0 to 6, so that centres are 1 apart
    fields = GaussianFields(n_fields=8, high=6.0)
    np.testing.assert_allclose(fields.centres, np.arange(-0.5, 7.0, 1.0))
    assert fields.width == pytest.approx(1.0 / 1.5)
    responses = fields.encode([[2.5, 3.0]])
    assert responses.shape == (1, 16)
    one, other = responses.reshape(2, 8)
    assert one.argmax() == 3 and one.max() == 1.0
    # at one distance exp(-beta^2/2), at half a distance exp(-beta^2/8)
    np.testing.assert_allclose(one[[2, 4]], np.exp(-1.125))
    np.testing.assert_allclose(other[[3, 4]], np.exp(-0.28125))


@settings(max_examples=50, deadline=None)
@given(st.integers(8, 20), st.floats(-5.0, 5.0), st.floats(0.1, 10.0), st.floats(0.25, 0.75))
def test_centre_of_mass_is_the_value(n_fields, low, size, part):
    fields = GaussianFields(n_fields=n_fields, low=low, high=low + size)
    distance = size / (n_fields - 2)
    decoded = fields.decode(fields.encode([[low + part * size, low]]))
    assert decoded[0, 0] == pytest.approx(low + part * size, abs=2e-3 * distance)
    # at the end, fields further out are missing
    assert 0.0 < decoded[0, 1] - low < 0.1 * distance


def test_channels_of_silent_fields_decode_to_nan():
    fields = GaussianFields(n_fields=3)
    decoded = fields.decode([[0.0, 0.0, 0.0, 0.0, 2.0, 0.0]])
    np.testing.assert_allclose(decoded, [[np.nan, 0.5]])


def test_population_vector_of_directions():
    preferred = np.linspace(0.0, 2.0 * np.pi, 12, endpoint=False)
    vectors = np.column_stack([np.cos(preferred), np.sin(preferred)])
    angles = np.linspace(-3.0, 3.0, 25)
    # cosine tuning: the population vector is unbiased
    rates = 20.0 + 15.0 * np.cos(angles[:, np.newaxis] - preferred)
    x, y = population_vector(rates, vectors).T
    np.testing.assert_allclose(np.arctan2(y, x), angles, atol=1e-12)
    np.testing.assert_allclose(np.hypot(x, y), 0.5 * 15.0 / 20.0)
    np.testing.assert_allclose(population_vector([[1.0, 3.0]], [2.0, 4.0]), [3.5])


def test_level_crossings_of_a_known_signal():
    signal = np.array([0.1, 0.3, 0.36, 0.2, 0.1, -0.15, 0.95, 0.95])
    spikes = DELTA.encode(signal[np.newaxis, :, np.newaxis])
    # up at 0.35; back to 0.1; down at -0.15; up four levels at once
    assert spikes.steps.tolist() == [2, 4, 5, 6, 6, 6, 6]
    assert spikes.channels.tolist() == [0, 1, 1, 0, 0, 0, 0]
    assert (spikes.shape, spikes.n_steps, spikes.dt) == ((1, 2), 7, 0.5)
    decoded = DELTA.decode(spikes, [[0.1]])[0, :, 0]
    np.testing.assert_allclose(decoded, [0.1, 0.1, 0.35, 0.35, 0.1, -0.15, 0.85, 0.85])


@settings(max_examples=50, deadline=None)
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.integers(2, 20), st.integers(1, 3)),
        elements=st.floats(-10.0, 10.0),
    ),
    st.sampled_from([0.01, 0.3, 7.0]),
)
def test_reconstruction_is_within_the_threshold(signals, threshold):
    code = SendOnDelta(dt=0.1, threshold=threshold)
    spikes = code.encode(signals)
    decoded = code.decode(spikes, signals[:, 0])
    assert decoded.shape == signals.shape
    assert np.abs(decoded - signals).max() <= threshold * (1.0 + 1e-9)
    # what was reconstructed makes the same spikes, but for a level on the edge of rounding
    again = code.decode(code.encode(decoded), signals[:, 0])
    np.testing.assert_allclose(again, decoded, rtol=0.0, atol=threshold * (1.0 + 1e-9))


def test_a_monotonic_signal_spikes_once_a_threshold():
    signals = np.linspace(0.0, [[8.0, -8.0]], 1001, axis=1)
    spikes = DELTA.encode(signals)
    np.testing.assert_array_equal(np.bincount(spikes.channels, minlength=4), [32, 0, 0, 32])


@pytest.mark.parametrize(
    ("call", "where", "what"),
    [
        (lambda: GaussianFields(n_fields=2), "field n_fields", "range"),
        (lambda: GaussianFields(n_fields=3, low=1.0), "field high", "range"),
        (lambda: GaussianFields(n_fields=3, beta=0.0), "field beta", "range"),
        (lambda: GaussianFields(n_fields=3).encode([[np.nan]]), "sample 0, channel 0", "finite"),
        (lambda: GaussianFields(n_fields=3).decode([[1.0] * 4]), "activity", "number of fields"),
        (lambda: GaussianFields(n_fields=3).decode([[1.0, 0.0, -1.0]]), "channel 2", "range"),
        (lambda: population_vector([[1.0, 2.0]], [1.0]), "activity", "number of neurons"),
        (lambda: population_vector([[1.0]], [np.nan]), "neuron 0", "finite"),
        (lambda: SendOnDelta(dt=0.1, threshold=0.0), "field threshold", "range"),
        (lambda: DELTA.encode([[1.0, 2.0]]), "signals", "shape"),
        (lambda: DELTA.encode([[[1.0], [np.nan]]]), "sample 0, time 1, channel 0", "finite"),
        (lambda: DELTA.encode([[[1.0]]]), "signals", "too short"),
        (lambda: DELTA.decode(DELTA.encode([[[1.0], [2.0]]]), [[1.0, 2.0]]), "start", "fit"),
        (lambda: DELTA.decode(DELTA.encode([[[1.0], [2.0]]]), [[1.0], [2.0]]), "start", "fit"),
    ],
)
def test_what_is_refused(call, where, what):
    with pytest.raises(DescriptionError) as caught:
        call()
    assert where in caught.value.where
    assert what in caught.value.problem
