"""Every statistic against plain numpy (or scipy) on all spikes at once."""

from itertools import pairwise

import dask
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_run import SIZES, metadata, write_rank, write_run

from distsnn.analysis import open_run
from distsnn.analysis.correlation import CountMoments, pairs
from distsnn.analysis.isi import NO_SPIKE, IsiMoments
from distsnn.errors import DescriptionError
from distsnn.io.run_writer import RunWriter

RANGES = [(None, None), (123.4, 1567.8)]


def between(written, start, stop):
    first, last = round((start or 0) / 0.1), round((stop or 2000) / 0.1)
    inside = (written.step > first) & (written.step <= last)
    return written.step[inside], written.gid[inside], first, last


def intervals(step: np.ndarray, gid: np.ndarray, neuron: int) -> np.ndarray:
    return np.diff(np.sort(step[gid == neuron])) * 0.1


def counts_matrix(step, gid, first, last, width, n=100):
    bins = (last - first) // width
    number = (step - first - 1) // width
    matrix = np.zeros((n, bins), int)
    np.add.at(matrix, (gid[number < bins], number[number < bins]), 1)
    return matrix


@pytest.mark.parametrize(("start", "stop"), RANGES)
def test_rates(run, written, start, stop):
    _, gid, first, last = between(written, start, stop)
    rates = run.rates(None, start, stop)
    assert rates.attrs["units"] == "spikes/s"
    expected = np.bincount(gid, minlength=100) / ((last - first) * 1e-4)
    np.testing.assert_allclose(rates.values, expected)
    of_i = run.rates("I", start, stop)
    np.testing.assert_allclose(of_i.values, expected[80:])
    np.testing.assert_array_equal(of_i["gid"], np.arange(80, 100))
    np.testing.assert_array_equal(of_i["index"], np.arange(20))
    by_population = rates.groupby("population").mean()
    np.testing.assert_allclose(by_population.sel(population="I"), expected[80:].mean())


@pytest.mark.parametrize(("start", "stop"), RANGES)
def test_intervals_and_their_cv(run, written, start, stop):
    step, gid, _, _ = between(written, start, stop)
    table = run.isi(None, start, stop).compute()
    threshold = round(float(table["n"].median()))
    cv = run.cv(None, start, stop, min_isis=threshold).compute()
    for neuron in range(100):
        own = intervals(step, gid, neuron)
        assert table["n"].values[neuron] == len(own)
        np.testing.assert_allclose(table["mean"].values[neuron], own.mean())
        np.testing.assert_allclose(table["sd"].values[neuron], own.std())
        expected = own.std() / own.mean() if len(own) >= threshold else np.nan
        np.testing.assert_allclose(cv.values[neuron], expected)
    assert 10 < np.count_nonzero(np.isnan(cv)) < 90, "the threshold must show"


def test_the_cv_of_a_clock_is_zero_and_of_two_spikes_unknown(tmp_path):
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 10_000), ({}, {}), 1).path
    step = np.sort(np.concatenate([np.arange(7, 10_000, 100), [50, 60]])).astype(np.int32)
    gid = np.where(np.isin(step, [50, 60]), 3, 99).astype(np.uint32)
    write_rank(path, 0, 0, 1, (step, gid), start_step=0, last_step=10_000)
    run = open_run(path, window=20)
    assert run.cv().values[99] == 0.0
    assert run.cv(min_isis=1).values[3] == 0.0
    assert np.isnan(run.cv().values[3])
    assert run.isi()["mean"].values[99] == pytest.approx(10.0)
    assert np.isnan(run.isi()["mean"].values[0])


SPIKES = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 4)), max_size=60, unique=True)


@settings(max_examples=60, deadline=None)
@given(SPIKES, st.lists(st.integers(0, 300), min_size=2, max_size=5))
def test_moments_of_intervals_join_associatively(spikes, cuts):
    spikes.sort()
    step = np.array([s for s, _ in spikes], np.int32)
    neuron = np.array([n for _, n in spikes], np.int64)
    edges = sorted({0, 300, *cuts})
    parts = []
    for low, high in pairwise(edges):
        inside = (step > low) & (step <= high)
        parts.append(IsiMoments.from_spikes(step[inside], neuron[inside], 5))
    from_left = parts[0]
    for part in parts[1:]:
        from_left = from_left.followed_by(part)
    from_right = parts[-1]
    for part in parts[-2::-1]:
        from_right = part.followed_by(from_right)
    whole = IsiMoments.from_spikes(step, neuron, 5)
    for field in ("n", "total", "squares", "first", "last"):
        np.testing.assert_array_equal(getattr(from_left, field), getattr(whole, field))
        np.testing.assert_array_equal(getattr(from_right, field), getattr(whole, field))
    for index in range(5):
        own = np.diff(step[neuron == index].astype(int))
        assert whole.n[index] == len(own)
        assert whole.total[index] == own.sum()
        assert whole.squares[index] == (own**2).sum()
        assert (whole.first[index] == NO_SPIKE) == (not (neuron == index).any())


@pytest.mark.parametrize(("start", "stop"), RANGES)
@pytest.mark.parametrize("bin_ms", [0.1, 1.0, 3.0, 7.7, 150.0])
def test_population_rates(run, written, start, stop, bin_ms):
    step, gid, first, last = between(written, start, stop)
    width = round(bin_ms / 0.1)
    matrix = counts_matrix(step, gid, first, last, width)
    expected = np.stack([matrix[:80].mean(axis=0), matrix[80:].mean(axis=0)]) / (bin_ms * 1e-3)
    rate = run.population_rate(None, start, stop, bin_ms=bin_ms)
    assert rate.dims == ("population", "time")
    np.testing.assert_allclose(rate.values, expected)
    np.testing.assert_array_equal(rate["population"], ["E", "I"])
    np.testing.assert_allclose(
        rate["time"], (first + (np.arange(matrix.shape[1]) + 0.5) * width) * 0.1
    )
    assert len(rate.data.chunks[1]) > 1
    np.testing.assert_allclose(
        run.population_rate("I", start, stop, bin_ms=bin_ms).values, expected[1:]
    )


@pytest.mark.parametrize("bin_ms", [1.0, 5.0])
def test_the_power_spectrum_is_welchs(run, bin_ms):
    rate = run.population_rate(bin_ms=bin_ms).values
    segments = ((500.0, 500 / bin_ms), (334.9, 334 // bin_ms // 2 * 2), (1e6, 2000 / bin_ms))
    for segment_ms, n in segments:
        spectrum = run.power_spectrum(bin_ms=bin_ms, segment_ms=segment_ms)
        frequency, expected = scipy.signal.welch(
            rate, 1e3 / bin_ms, "hann", nperseg=round(n), detrend="constant"
        )
        np.testing.assert_allclose(spectrum["frequency"], frequency)
        np.testing.assert_allclose(spectrum.values, expected, rtol=1e-9, atol=1e-12)


def test_a_rhythm_shows_as_a_peak(tmp_path):
    """Half of the neurons fire at 40 Hz together, the others do not: the peak is at 40 Hz."""
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 20_000), ({}, {}), 1).path
    volley = np.arange(250, 20_000, 250)
    step = np.repeat(volley, 40).astype(np.int32)
    gid = np.tile(np.arange(40), len(volley)).astype(np.uint32)
    write_rank(path, 0, 0, 1, (step, gid), start_step=0, last_step=20_000)
    spectrum = open_run(path, window=500).power_spectrum("E", bin_ms=5.0).compute()
    assert float(spectrum["frequency"][spectrum.values[0].argmax()]) == 40.0


def test_a_spectrum_of_too_few_bins_is_refused(run):
    with pytest.raises(DescriptionError, match="segments are too short"):
        run.power_spectrum(bin_ms=100.0, segment_ms=500.0)


@pytest.mark.parametrize(("start", "stop"), RANGES)
def test_correlations(run, written, start, stop):
    step, gid, first, last = between(written, start, stop)
    chosen = [3, 4, 50, 79, 80, 99]
    matrix = counts_matrix(step, gid, first, last, 50)[chosen]
    found = run.correlations(None, start, stop, bin_ms=5.0, neurons=chosen)
    np.testing.assert_array_equal(found["gid"], chosen)
    np.testing.assert_array_equal(found["other_gid"], chosen)
    expected = np.corrcoef(matrix)
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    upper = expected[np.triu_indices(6, k=1)]
    np.testing.assert_allclose(pairs(found), upper, atol=1e-12)


def test_correlations_choose_neurons_that_spike(tmp_path):
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 1000), ({}, {}), 1).path
    step = np.arange(1, 61, dtype=np.int32)
    gid = np.tile(np.uint32([5, 40, 85]), 20)
    write_rank(path, 0, 0, 1, (step, gid), start_step=0, last_step=1000)
    run = open_run(path)
    np.testing.assert_array_equal(run.correlations(neurons=10)["gid"], [5, 40, 85])
    np.testing.assert_array_equal(run.correlations(neurons=2)["gid"], [5, 40])
    np.testing.assert_array_equal(run.correlations("I", neurons=2)["gid"], [85])
    with_silent = run.correlations(neurons=[5, 6]).values
    assert with_silent[0, 0] == pytest.approx(1.0)
    assert np.isnan(with_silent[1, 0])
    assert len(pairs(run.correlations(neurons=[5, 6]))) == 0
    assert np.isnan(CountMoments.empty(2).correlation()).all()


def test_equal_trains_correlate_fully(tmp_path):
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 20_000), ({}, {}), 1).path
    rng = np.random.default_rng(1)
    one = np.unique(rng.integers(1, 20_000, 300))
    step = np.repeat(one, 2).astype(np.int32)
    gid = np.tile([10, 11], len(one)).astype(np.uint32)
    write_rank(path, 0, 0, 1, (step, gid), start_step=0, last_step=20_000)
    found = open_run(path, window=100).correlations(neurons=[10, 11]).values
    np.testing.assert_allclose(found, np.ones((2, 2)), atol=1e-12)


@pytest.mark.parametrize(("start", "stop"), RANGES)
@pytest.mark.parametrize(("bin_ms", "max_count"), [(50.0, 20), (50.0, 2), (10.0, 5)])
def test_histograms_of_counts_in_bins(run, written, start, stop, bin_ms, max_count):
    step, gid, first, last = between(written, start, stop)
    matrix = np.minimum(counts_matrix(step, gid, first, last, round(bin_ms / 0.1)), max_count)
    expected = [np.bincount(m.ravel(), minlength=max_count + 1) for m in (matrix[:80], matrix[80:])]
    found = run.spike_count_histogram(None, start, stop, bin_ms=bin_ms, max_count=max_count)
    np.testing.assert_array_equal(found.values, expected)
    np.testing.assert_array_equal(found["count"], np.arange(max_count + 1))


def test_histograms_of_counts_in_the_whole_run(run, written):
    counts = np.minimum(np.bincount(written.gid, minlength=100), 60)
    expected = [np.bincount(c, minlength=61) for c in (counts[:80], counts[80:])]
    found = run.spike_count_histogram(max_count=60)
    np.testing.assert_array_equal(found.values, expected)


def test_synchrony(run, written):
    for limit in (None, 10):
        n = limit or 80
        inside = written.gid < n
        matrix = counts_matrix(written.step[inside], written.gid[inside], 0, 20_000, 30)
        total = matrix.sum(axis=0)
        found = run.synchrony("E", bin_ms=3.0, neurons=limit)
        np.testing.assert_allclose(found.values, [total.var() / total.mean()])


def test_windows_do_not_show_in_the_results(written):
    alone = open_run(written.path, window=10**9)
    cut = open_run(written.path, window=400)
    assert len(alone.select().windows()) == 1
    assert len(cut.select().windows()) > 10
    for statistic in ("rates", "isi", "cv", "synchrony", "spike_count_histogram"):
        a, b = dask.compute(getattr(alone, statistic)(), getattr(cut, statistic)())
        assert a.identical(b), statistic


def test_a_silent_run_has_rates_of_zero(tmp_path):
    run = open_run(write_run(tmp_path / "r.zarr", n_spikes=0, n_steps=3000).path)
    assert (run.rates().values == 0).all()
    assert np.isnan(run.cv().values).all()
    assert (run.population_rate().values == 0).all()
    assert (run.power_spectrum(segment_ms=100.0).values == 0).all()
    assert np.isnan(run.synchrony().values).all()
    assert run.correlations().shape == (0, 0)
    assert run.spike_count_histogram(bin_ms=10.0).values.sum() == 100 * 30
    assert len(run.spikes()) == 0


def test_a_run_that_has_recorded_nothing_yet(tmp_path):
    path = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 100), ({}, {}), 2).path
    run = open_run(path)
    assert run.time_ms == 0
    assert np.isnan(run.rates().values).all()
    assert run.population_rate().shape == (2, 0)
    assert len(run.spikes()) == 0
    assert run.state("V").sizes["time"] == 0
