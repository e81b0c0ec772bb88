from itertools import pairwise

import numpy as np
import pytest

from distsnn.io.spike_index import MAX_ENTRIES, SpikeIndex, SpikeTable, plan_windows


def table_of(steps: np.ndarray, chunk: int, last_step: int | None = None) -> SpikeTable:
    index = SpikeIndex(chunk)
    for start in range(0, len(steps), chunk):
        index.add_block(start, int(steps[start]))
    last = last_step if last_step is not None else int(steps[-1]) if len(steps) else 0
    return SpikeTable(len(steps), last, last, index.stride, np.array(index.steps, np.int64))


def random_steps(rng: np.random.Generator, n: int, n_steps: int) -> np.ndarray:
    """Steps with bursts: half of the spikes lie in a hundredth of the time."""
    burst = rng.integers(n_steps // 2, n_steps // 2 + n_steps // 100, n // 2)
    return np.sort(np.concatenate([rng.integers(1, n_steps + 1, n - n // 2), burst]))


def test_the_index_stays_small_and_right():
    steps = np.arange(10_000) // 3
    index = SpikeIndex(8)
    for start in range(0, len(steps), 8):
        index.add_block(start, int(steps[start]))
        assert len(index.steps) <= MAX_ENTRIES
        done = min(start + 8, len(steps))
        assert len(index.steps) == -(-done // index.stride)
    assert index.stride == 64
    assert index.steps == steps[:: index.stride].tolist()


def test_a_block_written_again_adds_nothing():
    index = SpikeIndex(8)
    for start in (0, 0, 8, 8, 16):
        index.add_block(start, start)
    assert index.steps == [0, 8, 16]


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 5000])
def test_brackets_hold_the_true_count(n):
    rng = np.random.default_rng(n)
    steps = random_steps(rng, n, 400)
    table = table_of(steps, 8, last_step=400)
    for step in range(402):
        low, high = table.bracket(step)
        count = int(np.searchsorted(steps, step, side="right"))
        assert low <= count <= high
        assert high - low < table.stride + 1


@pytest.mark.parametrize("align", [1, 7, 50])
def test_windows_cover_the_range_and_bound_the_spikes(align):
    rng = np.random.default_rng(align)
    ranks = [random_steps(rng, n, 10_000) for n in (20_000, 5000, 0, 1)]
    tables = [(table_of(steps, 64, last_step=10_000), 0, 10_000) for steps in ranks]
    everything = np.sort(np.concatenate(ranks))
    windows = plan_windows(tables, 30, 9_990, target=2000, align=align)
    assert windows[0][0] == 30
    assert windows[-1][1] == 9_990
    assert all(a[1] == b[0] for a, b in pairwise(windows))
    assert all(low < high for low, high in windows)
    assert all((low - 30) % align == 0 for low, _ in windows)
    counts = np.diff(np.searchsorted(everything, [w[0] for w in windows] + [9_990], "right"))
    per_step = np.bincount(everything).max()
    strides = sum(table.stride for table, _, _ in tables)
    assert counts.max() <= 2000 + 2 * strides + align * per_step
    assert len(windows) >= 8


def test_empty_windows():
    empty = [(table_of(np.empty(0, np.int64), 8), 0, 100)]
    assert plan_windows(empty, 0, 100, target=10, align=1) == [(0, 100)]
    assert plan_windows([], 0, 100, target=10, align=1) == [(0, 100)]
    assert plan_windows(empty, 5, 5, target=10, align=1) == []


def test_spikes_beyond_a_cut_do_not_count():
    """An attempt that counts up to step 100 of 1000 must not shrink the later one's windows."""
    early = table_of(np.arange(1, 1001), 8)
    late = table_of(np.arange(101, 1001), 8)
    windows = plan_windows([(early, 0, 100), (late, 100, 1000)], 0, 1000, target=100, align=1)
    assert len(windows) == 10
