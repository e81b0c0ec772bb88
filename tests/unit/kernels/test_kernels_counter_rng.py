"""The generators against published vectors, and their keyed streams against chance."""

import numpy as np
import numpy.typing as npt
import pytest
from numba import uint32, uint64
from scipy import stats

from distsnn import counter_rng as rng
from distsnn.jit import kernel

LEAST_P = 1e-5  # seeds are fixed: what passes once passes always

# Salmon et al. (2011), Random123's kat_vectors: counter, key and result of philox4x32-10.
PHILOX = [
    ("00000000 " * 4, "00000000 " * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]

# Steele, Lea & Flood (2014): the first outputs of splitmix64 from two seeds.
SPLITMIX = [
    (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]),
    (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423]),
]


@kernel
def _philox(counter, key):
    return rng.philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1])


@kernel
def _words(key, counters):
    out = np.empty(counters.size, np.uint64)
    for i in range(counters.size):
        out[i] = rng.random_word(uint64(key), counters[i])
    return out


@kernel
def _streams(key, indices):
    out = np.empty(indices.size, np.uint64)
    for i in range(indices.size):
        out[i] = rng.substream_key(uint64(key), indices[i])
    return out


@kernel
def _philox_words(n, step, key):
    out = np.empty((n, 4), np.uint32)
    for i in range(n):
        a, b, c, d = rng.philox(
            uint32(i), uint32(step), uint32(0), uint32(5), uint32(key), uint32(0)
        )
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = a, b, c, d
    return out


@kernel
def _maps(words, n):
    below = np.empty(words.size, np.int64)
    unit = np.empty(words.size)
    halves = np.empty((words.size, 2), np.uint64)
    for i in range(words.size):
        below[i] = rng.uniform_below(rng.high_half(words[i]), n)
        unit[i] = rng.uniform_01(words[i])
        halves[i, 0], halves[i, 1] = rng.high_half(words[i]), rng.low_half(words[i])
    return below, unit, halves


def _hex(text: str) -> npt.NDArray[np.uint32]:
    return np.array([int(word, 16) for word in text.split()], np.uint32)


@pytest.mark.parametrize(("counter", "key", "expected"), PHILOX)
def test_philox_gives_the_published_words(counter: str, key: str, expected: str) -> None:
    np.testing.assert_array_equal(np.array(_philox(_hex(counter), _hex(key))), _hex(expected))


@pytest.mark.parametrize(("seed", "expected"), SPLITMIX)
def test_words_of_a_key_are_the_published_outputs_of_splitmix64(
    seed: int, expected: list[int]
) -> None:
    words = _words(seed, np.arange(1, len(expected) + 1))
    np.testing.assert_array_equal(words, np.array(expected, np.uint64))


def _uniform(words: npt.NDArray[np.unsignedinteger]) -> float:
    """Return the smallest p of chi-squared tests of all bytes of the words."""
    octets = words.reshape(-1, 1).view(np.uint8)
    counts = [np.bincount(column, minlength=256) for column in octets.T]
    return min(stats.chisquare(count).pvalue for count in counts)


KEYS = np.arange(2**16)


@pytest.mark.parametrize(
    "words",
    [
        lambda: _words(7, KEYS),
        lambda: _streams(7, KEYS),
        lambda: _streams(7, KEYS + (1 << 44)),
        # one word each of neighbouring streams
        lambda: np.concatenate([_words(key, np.array([3])) for key in _streams(1, KEYS[:8192])]),
        lambda: _philox_words(2**16, 3, 99),
    ],
    ids=["words", "streams", "far streams", "words of streams", "philox"],
)
def test_words_are_uniform_in_every_byte(words) -> None:
    assert _uniform(words()) > LEAST_P


@pytest.mark.parametrize("draw", [_words, _streams])
def test_neighbouring_keys_and_counters_are_independent(draw) -> None:
    # each bit of the difference of neighbours is 0 or 1 at even odds, and so is each pair of bits
    for first, second in (
        (draw(11, KEYS), draw(11, KEYS + 1)),
        (draw(11, KEYS), draw(12, KEYS)),
        (draw(11, KEYS), draw(11, KEYS ^ (1 << 40))),
    ):
        bits = np.unpackbits((first ^ second).view(np.uint8).reshape(-1, 8), axis=1)
        z = (bits.mean(axis=0) - 0.5) * 2.0 * np.sqrt(KEYS.size)
        assert np.abs(z).max() < 5.0
        flips = np.bincount(bits.sum(axis=1, dtype=np.int64), minlength=65)
        expected = stats.binom.pmf(np.arange(65), 64, 0.5) * KEYS.size
        tails = [slice(0, 20), *[slice(k, k + 1) for k in range(20, 45)], slice(45, 65)]
        chance = stats.chisquare(
            [flips[part].sum() for part in tails], [expected[part].sum() for part in tails]
        )
        assert chance.pvalue > LEAST_P


def test_streams_of_two_levels_do_not_collide() -> None:
    parents = _streams(1, np.arange(512))
    words = np.concatenate([_streams(parent, np.arange(512)) for parent in parents])
    assert np.unique(words).size == words.size
    assert _uniform(words) > LEAST_P


def test_a_word_maps_into_its_range_at_both_ends() -> None:
    ends = np.array([0, 2**64 - 1, 2**32 - 1, 2**32], np.uint64)
    below, unit, halves = _maps(ends, 1000)
    np.testing.assert_array_equal(below, [0, 999, 0, 0])
    assert unit[0] == 2.0**-53
    assert unit[1] == 1.0 - 2.0**-53
    np.testing.assert_array_equal(halves[:, 0], [0, 2**32 - 1, 0, 1])
    np.testing.assert_array_equal(halves[:, 1], [0, 2**32 - 1, 2**32 - 1, 0])
    largest, _, _ = _maps(ends, 2**32 - 1)
    np.testing.assert_array_equal(largest[:2], [0, 2**32 - 2])


def test_below_is_uniform_for_a_range_that_is_no_power_of_two() -> None:
    below, unit, _ = _maps(_words(5, np.arange(300_000)), 1001)
    assert stats.chisquare(np.bincount(below, minlength=1001)).pvalue > LEAST_P
    assert stats.kstest(unit, "uniform").pvalue > LEAST_P


def test_philox_is_uncorrelated_between_counters_steps_and_lanes() -> None:
    first, second = _philox_words(2**14, 0, 1) / 2.0**32, _philox_words(2**14, 1, 1) / 2.0**32
    columns = np.concatenate([first, second, np.roll(first, 1, axis=0)], axis=1)
    correlation = np.corrcoef(columns.T) - np.eye(12)
    assert np.abs(correlation).max() < 5.0 / np.sqrt(2**14)
