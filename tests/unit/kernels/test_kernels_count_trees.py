"""Splits down trees: nothing is lost, and any part can be evaluated alone."""

import numpy as np
import numpy.typing as npt
import pytest

from distsnn.kernels.count_trees import (
    SOURCES_IN_GROUP,
    count_in_group,
    split_over_blocks,
    split_over_source_groups,
)

Ints = npt.NDArray[np.int64]
KEY = np.uint64(0x123456789ABCDEF)


def _split(
    total: int, sizes: Ints, owned: npt.NDArray[np.bool_], distinct: bool, key: np.uint64 = KEY
) -> Ints:
    capacity = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    before = np.concatenate([[0], np.cumsum(owned)]).astype(np.int64)
    out = np.full(int(before[-1]), -1, np.int64)
    split_over_blocks(total, capacity, before, distinct, key, out)
    return out


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("blocks", [1, 2, 3, 7, 64, 65, 1000])
def test_blocks_add_up_and_may_be_evaluated_alone(blocks: int, distinct: bool) -> None:
    rng = np.random.default_rng(blocks)
    sizes = rng.integers(1, 65, blocks)
    every = np.ones(blocks, bool)
    for share in (0.0, 0.01, 0.5, 0.99, 1.0):
        total = int(share * sizes.sum())
        whole = _split(total, sizes, every, distinct)
        assert whole.sum() == total
        assert whole.min() >= 0
        if distinct:
            assert np.all(whole <= sizes)
        for chance in (0.1, 0.5):
            owned = rng.random(blocks) < chance
            np.testing.assert_array_equal(_split(total, sizes, owned, distinct), whole[owned])
        for block in {0, blocks // 2, blocks - 1}:
            alone = np.arange(blocks) == block
            np.testing.assert_array_equal(_split(total, sizes, alone, distinct), whole[alone])


@pytest.mark.parametrize("distinct", [False, True])
def test_empty_blocks_get_no_counts(distinct: bool) -> None:
    sizes = np.array([0, 5, 0, 0, 7, 0])
    for total in (1, 12):
        found = _split(total, sizes, np.ones(6, bool), distinct)
        assert found.sum() == total
        assert not found[sizes == 0].any()
    np.testing.assert_array_equal(_split(12, sizes, np.ones(6, bool), True), sizes)


def test_pairs_beyond_32_bits() -> None:
    sizes = np.full(1000, 10**8)
    sizes[-1] = 1
    for total in (1, 40, 10**6, 10**10):
        counts = [
            _split(total, sizes, np.ones(1000, bool), False, np.uint64(key)) for key in range(20)
        ]
        assert all(each.sum() == total for each in counts)
        # spread over all blocks evenly: halves differ by a few standard deviations at most
        left = np.sum(counts, axis=0)[:500].sum()
        share = sizes[:500].sum() / sizes.sum()
        assert abs(left - 20 * total * share) < 5.0 * np.sqrt(20 * total) / 2


@pytest.mark.parametrize("n_pre", [1, 63, 64, 65, 700, 5000])
@pytest.mark.parametrize("first_self", [None, 0, 64, 640])
def test_groups_of_sources_add_up_and_may_be_evaluated_alone(
    n_pre: int, first_self: int | None
) -> None:
    size, groups = 64, -(-n_pre // SOURCES_IN_GROUP)
    if first_self is not None and first_self >= n_pre:
        first_self = 0
    begin = -size - 1 if first_self is None else first_self
    for total in (0, 1, 50, 100_000):
        whole = np.empty(groups, np.int64)
        split_over_source_groups(total, n_pre, size, begin, KEY, 0, groups, whole)
        assert whole.sum() == total
        for low, high in ((0, 1), (groups // 3, groups), (groups // 2, groups // 2 + 1)):
            part = np.full(high - low, -1, np.int64)
            split_over_source_groups(total, n_pre, size, begin, KEY, low, high, part)
            np.testing.assert_array_equal(part, whole[low:high])


def test_a_group_that_can_only_reach_itself_gets_nothing() -> None:
    # a block of one neuron, which is the last source and may not reach itself
    shares = np.empty(2, np.int64)
    split_over_source_groups(10_000, 65, 1, 64, KEY, 0, 2, shares)
    np.testing.assert_array_equal(shares, [10_000, 0])


@pytest.mark.parametrize(("start", "sources"), [(0, 64), (64, 64), (128, 3), (0, 1)])
@pytest.mark.parametrize("total", [0, 1, 2, 7, 5001])
def test_counts_in_a_group_add_up(start: int, sources: int, total: int) -> None:
    for first_self in (-65, 0, 64, 120):
        out = np.full(sources, -1, np.int32)
        count_in_group(total, start, sources, 64, first_self, KEY, out)
        assert out.sum() == total
        assert out.min() >= 0


def test_sources_that_are_targets_have_one_target_less() -> None:
    counts = np.zeros(64, np.int64)
    for key in range(300):
        out = np.empty(64, np.int32)
        # sources 0 to 63, of which 32 to 33 are the only two targets
        count_in_group(1000, 0, 64, 2, 32, np.uint64(key), out)
        counts += out
    expected = np.full(64, 2.0)
    expected[32:34] = 1.0
    expected *= counts.sum() / expected.sum()
    assert np.abs((counts - expected) / np.sqrt(expected)).max() < 4.5
