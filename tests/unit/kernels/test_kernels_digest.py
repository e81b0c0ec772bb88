"""The digest of wiring: what it does not depend on, and the damage that it must not miss."""

from collections.abc import Callable

import numpy as np
import pytest
from campaigns import sampled
from decoded import DELAY, PLANE, SOURCE, TARGET, WEIGHT, Ints
from wiring_digests import Words, reference_digests

from distsnn.kernels import digest

NEURONS, BLOCK = 512, 128
TARGET_BITS, FIELD_BITS = 9, 24
GROUP_GID = np.arange(0, NEURONS, 64, dtype=np.uint32)
GROUP_SIZE = np.full(GROUP_GID.size, 64, np.int32)
TRIALS = 200

Damage = Callable[[np.random.Generator, Ints], Ints]


def network(rng: np.random.Generator, n: int = 400) -> Ints:
    """Return synapses of few values, among few sources and targets: many agree in some of them."""
    made = np.empty((n, 5), np.int64)
    made[:, SOURCE] = rng.choice([3, 4, 5, 300, 70_000], n)
    made[:, TARGET] = rng.choice([0, 1, 2, 3, 64, 128, 130, 256, 257, 511], n)
    made[:, DELAY] = rng.integers(1, 5, n)
    made[:, WEIGHT] = rng.choice([-4, -3, -1, 0, 1, 2, 3, 1000], n)
    made[:, PLANE] = rng.integers(0, 2, n)
    return made


def neuron_sums(synapses: Ints, *, pull: bool = False) -> Words:
    """Return the sums by neuron, of rows that hold the synapses in the order of the list."""
    sums = np.zeros(NEURONS, np.uint64)
    for plane in (0, 1):
        mine = synapses[synapses[:, PLANE] == plane]
        key = mine[:, SOURCE] << 32 | (mine[:, DELAY] if pull else 0)
        mine = mine[np.argsort(key, kind="stable")]
        sources, starts = np.unique(mine[:, SOURCE], return_index=True)
        rows = np.append(starts, len(mine))
        words = mine[:, WEIGHT] & ((1 << FIELD_BITS) - 1) | mine[:, TARGET] << FIELD_BITS
        run_rows, runs = np.zeros(1, np.int64), np.zeros(0, np.uint32)
        if pull:
            pairs, lengths = np.unique(mine[:, [SOURCE, DELAY]], axis=0, return_counts=True)
            runs = (pairs[:, 1] << 16 | lengths).astype(np.uint32)
            run_rows = np.append(np.searchsorted(pairs[:, 0], sources), len(pairs))
        else:
            words |= mine[:, DELAY] << (FIELD_BITS + TARGET_BITS)
        layout = (pull, TARGET_BITS, FIELD_BITS, 0, 0, 0, plane)
        digest.add_rows(words.astype(np.uint64), rows, run_rows, runs, sources, *layout, sums)
    return sums


def digests(synapses: Ints, *, pull: bool = False) -> Words:
    """Return the digests by block."""
    sums = neuron_sums(synapses, pull=pull)
    found = np.zeros(NEURONS // BLOCK, np.uint64)
    digest.add_neurons(sums, GROUP_GID, GROUP_SIZE, GROUP_GID.astype(np.int64) // BLOCK, found)
    return found


@pytest.mark.parametrize("pull", [False, True])
def test_digests_are_the_reference_in_any_order(pull: bool) -> None:
    rng = np.random.default_rng(1)
    synapses = network(rng)
    expected = reference_digests(synapses, np.arange(NEURONS) // BLOCK)
    assert np.unique(expected).size == expected.size
    for _ in range(3):
        np.testing.assert_array_equal(digests(synapses, pull=pull), expected)
        synapses = rng.permutation(synapses)


def exchanged(rng: np.random.Generator, synapses: Ints, column: int, alike: list[int]) -> Ints:
    """Exchange a field of two synapses that differ in it and agree in (only) the others given."""
    others = [one for one in range(5) if one not in (column, *alike)]
    for _ in range(100_000):
        i, j = rng.integers(0, len(synapses), 2)
        same = synapses[i] == synapses[j]
        if not same[column] and same[alike].all() and not same[others].any():
            break
    else:
        raise AssertionError("no such pair")
    changed = synapses.copy()
    changed[[i, j], column] = changed[[j, i], column]
    return changed


def swap(column: int, *alike: int) -> Damage:
    return lambda rng, synapses: exchanged(rng, synapses, column, list(alike))


def other_value(column: int, values: list[int]) -> Damage:
    def changed(rng: np.random.Generator, synapses: Ints) -> Ints:
        synapses = synapses.copy()
        one = synapses[rng.integers(0, len(synapses))]
        one[column] = rng.choice([value for value in values if value != one[column]])
        return synapses

    return changed


def flipped_weight(rng: np.random.Generator, synapses: Ints) -> Ints:
    synapses = synapses.copy()
    one = synapses[rng.integers(0, len(synapses))]
    flipped = one[WEIGHT] ^ (1 << rng.integers(0, FIELD_BITS))
    sign = 1 << (FIELD_BITS - 1)
    one[WEIGHT] = ((flipped & (2 * sign - 1)) ^ sign) - sign
    return synapses


def missing(rng: np.random.Generator, synapses: Ints) -> Ints:
    return np.delete(synapses, rng.integers(0, len(synapses)), axis=0)


def twice(rng: np.random.Generator, synapses: Ints) -> Ints:
    return np.concatenate([synapses, synapses[[rng.integers(0, len(synapses))]]])


def twice_and_missing(rng: np.random.Generator, synapses: Ints) -> Ints:
    return missing(rng, twice(rng, synapses)[::-1])


def other_order_of_targets(rng: np.random.Generator, synapses: Ints) -> Ints:
    """Put in weights a b b a on four targets in a line; b a a b have the same sums by source."""
    block = np.array([[3, target, 1, 1, 0] for target in (0, 1, 2, 3)])
    before, after = block.copy(), block.copy()
    a, b = rng.choice(np.arange(-50, 50), 2, replace=False)
    before[:, WEIGHT], after[:, WEIGHT] = [a, b, b, a], [b, a, a, b]
    synapses[:4] = before
    return np.concatenate([after, synapses[4:]])


def other_order_of_sources(rng: np.random.Generator, synapses: Ints) -> Ints:
    """Put them in from four sources in a line: they have the same sums by target."""
    changed = other_order_of_targets(rng, synapses)
    for one in (synapses, changed):
        one[:4, [SOURCE, TARGET]] = one[:4, [TARGET, SOURCE]]
    return changed


def parallel_weights(rng: np.random.Generator, synapses: Ints) -> Ints:
    """Put in two parallel synapses; one gives weight to the other, so their sum agrees."""
    synapses[:2] = synapses[0]
    changed = synapses.copy()
    changed[:2, WEIGHT] += rng.integers(1, 1000) * np.array([1, -1])
    return changed


def neurons_exchanged(rng: np.random.Generator, synapses: Ints) -> Ints:
    """All synapses onto two neurons of one block change places."""
    changed = synapses.copy()
    for here, there in ((0, 1), (1, 0)):
        changed[synapses[:, TARGET] == here, TARGET] = there
    return changed


DAMAGES: dict[str, Damage] = {
    "weights of two synapses of a row": swap(WEIGHT, SOURCE, PLANE),
    "weights of two synapses onto a neuron": swap(WEIGHT, TARGET, PLANE),
    "weights of parallel synapses": swap(WEIGHT, SOURCE, TARGET, PLANE),
    "delays of parallel synapses": swap(DELAY, SOURCE, TARGET, PLANE),
    "targets in a row": swap(TARGET, SOURCE, PLANE),
    "targets in a row, else alike but for the delay": swap(TARGET, SOURCE, PLANE, WEIGHT),
    "targets of two rows": swap(TARGET, PLANE),
    "targets of two rows, else alike": swap(TARGET, PLANE, WEIGHT, DELAY),
    "receptors": swap(PLANE, SOURCE, TARGET),
    "weights of two receptors": swap(WEIGHT, SOURCE, TARGET, DELAY),
    "another source": other_value(SOURCE, [3, 4, 5, 300, 70_000]),
    "another target": other_value(TARGET, [0, 1, 63, 64, 127, 128, 511]),
    "another delay": other_value(DELAY, [1, 2, 3, 4, 500]),
    "another receptor": other_value(PLANE, [0, 1]),
    "a flipped bit of a weight": flipped_weight,
    "one missing": missing,
    "one twice": twice,
    "one twice, another missing": twice_and_missing,
    "another order of targets": other_order_of_targets,
    "another order of sources": other_order_of_sources,
    "weight given to a parallel synapse": parallel_weights,
    "all of two neurons": neurons_exchanged,
}


@pytest.mark.parametrize("name", sampled(DAMAGES, 4))
def test_damage_shows_in_the_blocks_of_the_targets(name: str) -> None:
    rng = np.random.default_rng(2)
    real = 0
    for _ in range(TRIALS):
        before = network(rng)
        after = DAMAGES[name](rng, before)
        blocks = touched(before, after)
        np.testing.assert_array_equal(np.flatnonzero(digests(before) != digests(after)), blocks)
        real += blocks.size > 0
    # by chance the one that is missing is the one that is there twice
    assert real > 0.9 * TRIALS


def test_exchange_between_sources_shows_in_the_whole_sum() -> None:
    """Chances of 2^-64 cannot be seen, but the upper halves of sums must differ by any number."""
    rng = np.random.default_rng(3)
    for _ in range(TRIALS):
        before = network(rng)
        after = exchanged(rng, before, WEIGHT, [TARGET, PLANE])
        change = (neuron_sums(after) - neuron_sums(before)).view(np.int64) >> 32
        (at,) = np.unique(touched_neurons(before, after))
        assert abs(change[at]) > 1000


def touched_neurons(before: Ints, after: Ints) -> Ints:
    """Return the targets of synapses that are not in both lists as often."""
    every, at = np.unique(np.concatenate([before, after]), axis=0, return_inverse=True)
    n = len(before)
    counts = [np.bincount(one.reshape(-1), minlength=len(every)) for one in (at[:n], at[n:])]
    return every[counts[0] != counts[1], TARGET]


def touched(before: Ints, after: Ints) -> Ints:
    """Return the blocks of those targets."""
    return np.unique(touched_neurons(before, after) // BLOCK)
