"""Poisson input bit by bit: thresholds, shared and own words, ranges cut anywhere."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from kernel_calls import PoissonCall, counters
from numba import uint32
from scipy import stats

from distsnn.counter_rng import NOISE, STIMULUS, philox, uniform_01
from distsnn.engine.kernel_calls import invoke
from distsnn.jit import kernel
from distsnn.kernels import poisson
from distsnn.kernels.functions import exp, log
from distsnn.kernels.sampling import inverted_poisson

N = 2112  # two chunks and a ragged third


@kernel
def _philox(counter, step, stimulus, purpose, low, high):
    out = np.empty((counter.size, 4), np.uint32)
    for i in range(counter.size):
        a, b, c, d = philox(
            uint32(counter[i]), uint32(step), uint32(stimulus), uint32(purpose), low, high
        )
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = a, b, c, d
    return out


def _words(counter, step: int, stimulus: int, purpose: int, seed: int):
    low, high = np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32)
    return _philox(np.asarray(counter, np.uint32), step, stimulus, purpose, low, high)


@pytest.mark.parametrize("mean", [1e-9, 1e-4, 0.3, 0.8, 3.0, 17.0, 600.0])
def test_thresholds_are_the_distribution_function(mean: float) -> None:
    one = PoissonCall(mean, N)
    exact, guide = one.exact, one.guide
    assert exact.size >= poisson.COMPARED + 1
    assert exact[-1] == 2**32
    np.testing.assert_allclose(
        exact[:-1] / 2.0**32, stats.poisson.cdf(np.arange(exact.size - 1), mean), atol=2.0**-32
    )
    # the count never exceeds what the size of input rows allows for
    assert exact.size - 1 <= math.ceil(mean + 12.0 * math.sqrt(mean) + 40.0)
    for byte in (0, 1, 100, 254, 255):
        assert guide[byte] == np.count_nonzero(exact <= byte << 24)


@pytest.mark.parametrize("mean", [1e-3, 0.3, 0.9, 2.9])
def test_compared_counts_are_those_of_a_32_bit_uniform(mean: float) -> None:
    seed, stimulus = 2**63 + 12345, 7
    one = PoissonCall(mean, N, search=False, seed=seed, stimulus=stimulus)
    seen = 0
    for step in range(1, 400):
        words = _words(counters(N), step, stimulus, STIMULUS, seed)
        halves = words.reshape(-1).view(np.uint16).astype(np.uint64)
        shared = _words([0xFFFFFFFF], step, stimulus, STIMULUS, seed)[0, 0] & np.uint64(0xFFFF)
        own = _words(np.arange(N), step, stimulus, NOISE, seed)[:, 0].astype(np.uint64) >> 16
        tail = min(int(one.exact[poisson.COMPARED - 1]) >> 16, 0xFFFF)
        low = np.where(halves >= tail, own, shared)
        uniform = (halves << np.uint64(16)) | low
        expected = np.searchsorted(one.exact, uniform, side="right")
        np.testing.assert_array_equal(one.counts(step), expected)
        seen += np.count_nonzero(halves >= tail)
    assert seen > 0  # so the tail was tried


@pytest.mark.parametrize("mean", [0.5, 3.5, 60.0, 600.0])
def test_searched_counts_are_those_of_a_32_bit_uniform(mean: float) -> None:
    one = PoissonCall(mean, N, search=True, seed=3)
    for step in range(5):
        upper, lower = (
            _words(counters(N), step, 0, purpose, 3).reshape(-1).view(np.uint16).astype(np.uint64)
            for purpose in (STIMULUS, NOISE)
        )
        expected = np.searchsorted(one.exact, (upper << np.uint64(16)) | lower, side="right")
        np.testing.assert_array_equal(one.counts(step), expected)


def _means(kind: str) -> float | npt.NDArray[np.float64]:
    return {
        "compare": 0.7,
        "search": 11.0,
        "own": np.random.default_rng(1).choice([0.0, 1e-3, 2.0, 9.9, 10.0, 50.0, 3e4], N),
    }[kind]


@pytest.mark.parametrize("kind", ["compare", "search", "own"])
def test_counts_do_not_depend_on_how_the_range_is_cut(kind: str) -> None:
    one = PoissonCall(_means(kind), N)
    for step in (0, 1, 17, 2**31 + 5):
        whole = one.counts(step)
        assert whole.any()
        for cuts in ((64,), (128, 192, 1024), (1088,), (64, 1152, 2048), tuple(range(64, N, 64))):
            np.testing.assert_array_equal(one.counts(step, *cuts), whole)


@pytest.mark.parametrize("kind", ["compare", "search", "own"])
def test_counts_belong_to_the_group_not_to_its_place(kind: str) -> None:
    # a rank that owns groups 5 to 20 only, from its first slot on
    means = _means(kind)
    whole = PoissonCall(means, N).counts(9)
    mine = means if isinstance(means, float) else means[320:1344].copy()
    part = PoissonCall(mine, 1024)
    part.call.bind(poisson.COUNTERS, counters(N)[40:168].copy())
    np.testing.assert_array_equal(part.counts(9), whole[320:1344])


@pytest.mark.parametrize("kind", ["compare", "search", "own"])
@pytest.mark.parametrize("row_bits", [32, 64])
def test_weights_mask_and_scale_and_add(kind: str, row_bits: int) -> None:
    large = 3 if row_bits == 32 else 2**33 + 1
    weights = np.where(np.arange(N) % 3 == 0, 0, large)
    weights[1::5] = -large
    plain = PoissonCall(_means(kind), N).counts(4).astype(np.int64)
    one = PoissonCall(_means(kind), N, weights=weights, row_bits=row_bits)
    np.testing.assert_array_equal(one.counts(4), plain * weights)
    same = PoissonCall(_means(kind), N, weights=large, row_bits=row_bits)
    np.testing.assert_array_equal(same.counts(4), plain * large)
    # an entry adds to what is there
    same.row[:] = 11
    assert invoke(same.call, 4) == 0
    np.testing.assert_array_equal(same.row, plain * large + 11)


@pytest.mark.parametrize("kind", ["compare", "search", "own"])
def test_seeds_stimuli_and_steps_give_other_counts(kind: str) -> None:
    means = _means(kind)
    found = [
        PoissonCall(means, N, seed=seed, stimulus=stimulus).counts(step)
        for seed, stimulus, step in ((1, 0, 0), (2, 0, 0), (1 + 2**32, 0, 0), (1, 1, 0), (1, 0, 1))
    ]
    for i, one in enumerate(found):
        for other in found[:i]:
            assert np.any(one != other)


@kernel
def _inversion(mean, words):
    out = np.empty(words.size, np.int64)
    for i in range(words.size):
        out[i] = inverted_poisson(mean, exp(-mean), uniform_01(words[i]))
    return out


@kernel
def _exp_and_log(means):
    out = np.empty((2, means.size))
    for i in range(means.size):
        out[0, i], out[1, i] = exp(-means[i]), log(means[i])
    return out


def test_constants_of_own_rates_have_the_bits_of_the_kernels_functions() -> None:
    means = np.concatenate([np.linspace(1e-9, 40.0, 5001), 10.0 ** np.arange(-12.0, 6.0)])
    exps, logs = _exp_and_log(means)
    found = poisson.neuron_rate_constants(means)
    low = means < 10.0
    assert 0 < np.count_nonzero(low) < means.size
    np.testing.assert_array_equal(found.view(np.int64), np.where(low, exps, logs).view(np.int64))
    np.testing.assert_array_equal(poisson.neuron_rate_constants(np.zeros(1)), [1.0])
    # and inversion uses it: what a neuron gets is what its own uniform says
    means = np.random.default_rng(2).uniform(0.01, 9.99, N)
    counter = np.arange(N)
    for step in range(20):
        words = _words(counter, step, 0, NOISE, 3).astype(np.uint64)
        uniform = (words[:, 0] << np.uint64(32)) | words[:, 1]
        one = PoissonCall(means, N, seed=3).counts(step)
        for i in range(0, N, 61):
            assert one[i] == _inversion(means[i], uniform[i : i + 1])[0]


def test_the_largest_uniform_gives_a_likely_count() -> None:
    # the sum of the probabilities rounds: it must not be searched for ever
    for mean in np.linspace(0.001, 9.999, 500):
        most = math.ceil(mean + 12.0 * math.sqrt(mean) + 40.0)
        ends = np.array([0, 2**64 - 1, 2**64 - 4096, 2**64 - 8192], np.uint64)
        counts = _inversion(mean, ends)
        assert counts[0] == 0
        assert counts.max() <= most


@pytest.mark.parametrize("weights", [3, np.arange(N)], ids=["one weight", "weights"])
def test_a_varying_common_rate_has_the_counts_of_each_rate_that_it_takes(weights) -> None:
    one = PoissonCall(1.0, N, weights=weights, varies=True)
    means = one.call.referenced_arrays[poisson.MEANS]
    for step, mean in enumerate([0.7, 1e-3, 3.5, 600.0, 0.02, 9.0]):
        means[0] = mean
        fixed = PoissonCall(mean, N, weights=weights, search=True).counts(step)
        assert fixed.any()
        np.testing.assert_array_equal(one.counts(step, 1024), fixed)
        for nothing in (0.0, -0.0, -3.0):
            means[0] = nothing
            assert not one.counts(step).any()


def test_varying_own_rates_have_the_counts_of_the_rates_that_they_take() -> None:
    one = PoissonCall(np.zeros(N), N, varies=True)
    means = one.call.referenced_arrays[poisson.MEANS]
    for step in range(20):
        means[:] = np.linspace(-5.0, 25.0, N)[:: 1 if step % 2 else -1]
        fixed = PoissonCall(means.copy(), N).counts(step)
        assert 3 * np.count_nonzero(fixed) > N
        np.testing.assert_array_equal(one.counts(step, 64, 640), fixed)
