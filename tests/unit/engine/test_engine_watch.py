"""Records of the steps in which targets act: filled from their end, grown, saved and set."""

import numpy as np
import numpy.typing as npt
import pytest

from distsnn.engine.kernel_calls import address
from distsnn.engine.plasticity.post_history import TargetStepHistory
from distsnn.jit import array, kernel
from distsnn.kernels.plastic import NEVER, insert

SIZE, VALUES = 5, 2


@kernel
def add(where, words, firsts, target, depth, settled, now, acts, values):
    """Insert into records at an address; `values` tells their type."""
    steps = array(where, 1 << 30, np.int32)
    reals = array(where, 1 << 30, values.dtype)
    return insert(steps, reals, words, firsts, target, depth, settled, now, acts)


class Targets:
    """A history beside lists of what was put into it."""

    def __init__(self, precision: str) -> None:
        self.history = TargetStepHistory(SIZE, VALUES, precision)
        self.kept: list[list[tuple[int, list[float]]]] = [[] for _ in range(SIZE)]
        self.settled = NEVER
        self._kind = np.zeros(1, precision)

    def add(self, target: int, now: int, value: float) -> None:
        one, acts = self.history, np.array([0.0, value] if now % 3 else [value, -value])
        words = (1 + VALUES) * self._kind.itemsize // 4
        more = add(
            *(
                address(one.records),
                words,
                one.newest_index,
                target,
                one.depth,
                self.settled,
                now,
                acts,
            ),
            self._kind,
        )
        self.kept[target].append((now, acts.tolist()))
        assert more != one.is_full(self.settled)
        while one.is_full(self.settled):
            one.double()

    def check(self) -> None:
        records, firsts = self.history.records, self.history.newest_index
        for target, kept in enumerate(self.kept):
            steps = records["step"][target, firsts[target] :].tolist()
            values = records["trace"][target, firsts[target] :].tolist()
            known = [(step, value) for step, value in kept if step > self.settled][::-1]
            assert list(zip(steps, values, strict=True))[: len(known)] == known
            # whoever looks for an older one ends there
            assert steps[-1] <= self.settled


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_records_keep_what_is_not_settled(precision: str) -> None:
    rng, one = np.random.default_rng(4), Targets(precision)
    for now in range(1, 3000):
        # some act all the time, some hardly ever
        for target in np.flatnonzero(rng.random(SIZE) < [1.0, 0.5, 0.1, 0.01, 0.0]):
            one.add(int(target), now, float(np.float32(rng.random() + 0.1)))
        if now % 70 == 0:
            one.settled = now - 40
        one.check()
    # doubled until half of it holds what is not settled, 110 steps at most
    assert 2 * 110 <= one.history.depth < 4 * 110
    assert one.history.newest_index[4] == one.history.depth - 1


def _table(one: Targets, step: int, steps: int) -> npt.NDArray[np.float64]:
    found = np.zeros((SIZE, steps, VALUES))
    for target, kept in enumerate(one.kept):
        for at, value in kept:
            if at > step:
                found[target, at - step - 1] = value
    return found


def test_the_last_steps_are_saved_and_set_again() -> None:
    rng, one = np.random.default_rng(5), Targets("float32")
    for now in range(1, 900):
        one.settled = max(one.settled, now - 150)
        for target in np.flatnonzero(rng.random(SIZE) < [1.0, 0.5, 0.1, 0.01, 0.0]):
            one.add(int(target), now, float(np.float32(rng.random() + 0.1)))
    saved = one.history.entries_after(899 - 130, 130)
    assert saved.dtype == np.float32
    np.testing.assert_array_equal(saved, _table(one, 899 - 130, 130).astype(np.float32))
    again = Targets("float32")
    again.settled, firsts = 899 - 130, again.history.newest_index
    again.history.restore(saved, 899 - 130)
    assert again.history.newest_index is firsts  # which tables point at
    np.testing.assert_array_equal(again.history.entries_after(899 - 130, 130), saved)
    again.kept = [[(at, x) for at, x in kept if at > 899 - 130] for kept in one.kept]
    again.check()
    for now in range(900, 1200):
        again.add(0, now, 1.0)
        again.check()
