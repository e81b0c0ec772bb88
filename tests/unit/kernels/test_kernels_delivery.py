"""Delivery by push and pull against sums in numpy, for every layout of words."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from campaigns import sampled

from distsnn.engine import delivery
from distsnn.engine.delivery import RowSetDelivery
from distsnn.engine.kernel_calls import invoke
from distsnn.engine.local_neurons import InputRing
from distsnn.engine.row_sets import RowSet
from distsnn.engine.storage import RowSetPlan
from distsnn.kernels import delivery as kernels
from distsnn.kernels.source_spikes import advance
from distsnn.kernels.synapses import make_records, tsodyks2_synapse

Ints = npt.NDArray[np.int64]
N_GIDS = 300
LIST = 6000


@dataclass
class Synapses:
    source: Ints
    target: Ints
    delay: Ints
    weight: Ints


def _row_set(plan: RowSetPlan, given: Synapses, n_gids: int = N_GIDS) -> RowSet:
    """Write synapses as the wiring kernels do, with plain numpy."""
    order = np.lexsort((given.delay, given.source)) if plan.pull else np.argsort(given.source)
    source, target = given.source[order], given.target[order]
    delay, weight = given.delay[order], given.weight[order]
    field = np.zeros(0, np.int64)
    if plan.weight is None:
        field = (weight >> plan.stored_shift).astype(np.uint64) & np.uint64(
            (1 << plan.field_bits) - 1
        )
        assert np.all(weight % (1 << plan.stored_shift) == 0)
    words = target.astype(np.uint64)
    if plan.delay_bits:
        words |= delay.astype(np.uint64) << np.uint64(plan.target_bits)
    if plan.weight is None:
        words = (words << np.uint64(plan.field_bits)) | field
    assert np.all(words < 1 << plan.word_bits) if plan.word_bits < 64 else True
    sources, starts = np.unique(source, return_index=True)
    runs, run_rows = [], [0]
    bounds = [*starts.tolist(), source.size]
    for low, high in pairwise(bounds):
        for d, n in zip(*np.unique(delay[low:high], return_counts=True), strict=True):
            while n > 0 and plan.pull:
                part = min(int(n), kernels.LONGEST_RUN)
                runs.append((int(d) << 16) | part)
                n -= part
        run_rows.append(len(runs))
    bits = np.zeros((n_gids // 64 + 1) * 64, np.bool_)
    bits[sources] = True
    return RowSet(
        plan,
        words.astype({16: np.uint16, 32: np.uint32, 64: np.uint64}[plan.word_bits]),
        np.array(bounds, np.int64),
        np.array(run_rows, np.int64),
        np.array(runs, np.uint32),
        np.packbits(bits, bitorder="little").view(np.uint64).copy(),
    )


@dataclass
class States:
    """States of short-term plasticity, a record for every source of a row set."""

    records: npt.NDArray[np.float64]
    kernel = tsodyks2_synapse

    @classmethod
    def of(cls, row_set: RowSet) -> "States":
        draw = np.random.default_rng(14)
        n = row_set.sources.size
        use, rec, fac = draw.random(n), draw.uniform(1.0, 50.0, n), draw.uniform(0.0, 20.0, n)
        constants = {"c_U": use, "tau_rec": rec, "tau_fac": fac}
        _, records = make_records(n, 7, 1.0)
        records[:, 0] = 1.0
        records[:, 3:6] = np.stack([constants[name] for name in cls.kernel.CONSTANTS], axis=1)
        return cls(records)

    def factor(self, row: int, step: int) -> float:
        """Advance a source to a spike in a loop, and return the factor of its weights."""
        place, stamp = np.array([row]), np.array([step + 1], np.int32)
        advance(self.kernel.spike.address, self.records, place, stamp)
        return float(self.records[row, -1])


class Driver:
    """Delivers lists of spikes as the loop does, and hands out each loop's row."""

    def __init__(
        self, row_set: RowSet, row_bits: int, planes: int = 1, states: States | None = None
    ) -> None:
        plan = row_set.plan
        rows = 1 if plan.pull else 1 << plan.max_delay.bit_length()
        kind = np.int32 if row_bits == 32 else np.int64
        self.ring = InputRing(np.zeros((planes, rows, 1 << plan.target_bits), kind))
        self.gid, self.step = np.zeros(LIST, np.uint32), np.zeros(LIST, np.int64)
        self.one = RowSetDelivery(row_set, self.ring, self.gid, self.step, states)
        self.plane = plan.plane
        self.grown = 0

    def row(self, loop: int) -> npt.NDArray[np.signedinteger]:
        if self.one.collect is not None:
            assert invoke(self.one.collect, loop) == kernels.DONE
        at = loop & (self.ring.rows.shape[1] - 1)
        found = self.ring.rows[self.plane, at].copy()
        self.ring.rows[self.plane, at] = 0
        return found

    def deliver(self, gids: npt.ArrayLike, steps: npt.ArrayLike) -> None:
        gids = np.asarray(gids)
        self.gid[: gids.size], self.step[: gids.size] = gids, steps
        while invoke(self.one.deliver, 0, 0, gids.size) == kernels.GROW:
            self.one.double_calendar()
            self.grown += 1


def _compare(given: Synapses, driver: Driver, lists: Iterator[tuple[int, Ints, Ints]]) -> int:
    """Compare every loop's row with a sum; return the number of events."""
    width, longest = driver.ring.rows.shape[2], int(given.delay.max())
    expected: dict[int, Ints] = defaultdict(lambda: np.zeros(width, np.int64))
    events = 0
    order = np.argsort(given.source, kind="stable")
    bounds = np.searchsorted(given.source[order], np.arange(N_GIDS + 1))

    def check(loop: int) -> None:
        np.testing.assert_array_equal(driver.row(loop), expected.pop(loop, np.zeros(width)))

    last = -1
    for loop, gids, steps in lists:
        for k in range(last + 1, loop + 1):
            check(k)
        last = loop
        driver.deliver(gids, steps)
        counts = bounds[gids + 1] - bounds[gids]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        mine = order[np.repeat(bounds[gids], counts) + within]
        due = np.repeat(steps, counts) + given.delay[mine]
        assert np.all(due > loop)
        for at in np.unique(due).tolist():
            now = mine[due == at]
            np.add.at(expected[at], given.target[now], given.weight[now])
        events += mine.size
    for k in range(last + 1, last + longest + 2):
        check(k)
    assert not expected
    assert driver.one.events == events
    return events


def _spikes(loops: int, epoch: int, seed: int) -> Iterator[tuple[int, Ints, Ints]]:
    """Yield lists: every loop's own spikes, and at epochs' ends those of the loops before."""
    rng = np.random.default_rng(seed)
    for loop in range(loops):
        own = np.sort(rng.choice(N_GIDS, rng.integers(0, 40), replace=False))
        yield loop, own, np.full(own.size, loop)
        if (loop + 1) % epoch == 0:
            far = rng.integers(0, N_GIDS, 60)
            yield loop, far, rng.integers(loop + 1 - epoch, loop + 1, far.size)


def _random(plan: RowSetPlan, row_bits: int, seed: int, shortest: int) -> Synapses:
    rng = np.random.default_rng(seed)
    n = 4000
    sources = rng.choice(N_GIDS, 150, replace=False)
    sources[:4] = [0, 63, 64, N_GIDS - 1]
    if plan.weight is not None:
        weight = np.full(n, plan.weight)
    else:
        half = 1 << (plan.field_bits - 1)
        if row_bits == 32:
            half = min(half, 1 << 18)
        weight = rng.integers(-half, half, n) << plan.stored_shift
        weight[:2] = -half << plan.stored_shift, (half - 1) << plan.stored_shift
    delay = (
        np.full(n, plan.delay)
        if plan.delay is not None
        else rng.integers(shortest, plan.max_delay + 1, n)
    )
    if plan.delay is None:
        delay[0] = plan.max_delay
    return Synapses(
        rng.choice(sources, n), rng.integers(0, 1 << plan.target_bits, n), delay, weight
    )


def _plan(
    word_bits: int,
    *,
    pull: bool,
    constant: int | None,
    delay: int | None,
    longest: int,
    shift: int = 0,
    target_bits: int = 7,
    field_bits: int | None = None,
) -> RowSetPlan:
    delay_bits = 0 if pull or delay is not None else longest.bit_length()
    room = word_bits - target_bits - delay_bits
    field = 0 if constant is not None else min(room, 58) if field_bits is None else field_bits
    return RowSetPlan(
        (), 0, pull, word_bits, target_bits, delay_bits, field, shift, constant, delay, longest
    )


# weights of as few bits as a word of 16 has need no wide rows
LAYOUTS = [
    (word_bits, row_bits, constant)
    for word_bits in (16, 32, 64)
    for row_bits in (32, 64)
    for constant in (False, True)
    if (word_bits, row_bits, constant) != (16, 64, False)
]


@pytest.mark.parametrize(("word_bits", "row_bits", "constant"), sampled(LAYOUTS, 3))
@pytest.mark.parametrize("pull", [False, True], ids=["push", "pull"])
def test_every_layout_delivers_the_same_sums(
    word_bits: int, row_bits: int, constant: bool, pull: bool
) -> None:
    for delay in (None, 5):
        for weight in (3, -(2**18) - 1) if constant else (None,):
            plan = _plan(word_bits, pull=pull, constant=weight, delay=delay, longest=delay or 31)
            given = _random(plan, row_bits, 1, shortest=3)
            driver = Driver(_row_set(plan, given), row_bits)
            assert _compare(given, driver, _spikes(60, 3, 2)) > 10_000


@pytest.mark.parametrize("pull", [False, True], ids=["push", "pull"])
@pytest.mark.parametrize(("word_bits", "shift"), [(32, 6), (32, 13), (64, 3), (64, 10)])
def test_weights_are_kept_without_their_common_factor(
    word_bits: int, shift: int, pull: bool
) -> None:
    field = 10 if word_bits == 32 else 40
    plan = _plan(word_bits, pull=pull, constant=None, delay=None, longest=9, shift=shift)
    plan = RowSetPlan(**{**plan.__dict__, "field_bits": field})
    given = _random(plan, 64, 3, shortest=1)
    _compare(given, Driver(_row_set(plan, given), 64), _spikes(30, 1, 4))


@pytest.mark.parametrize(("word_bits", "row_bits", "constant"), sampled(LAYOUTS, 3))
@pytest.mark.parametrize("pull", [False, True], ids=["push", "pull"])
def test_scaled_weights_are_rounded_spike_by_spike(
    word_bits: int, row_bits: int, constant: bool, pull: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_FIRST_PAGES", 1)  # the calendar must grow
    weight = -(2**18) - 1 if constant else None
    plan = _plan(word_bits, pull=pull, constant=weight, delay=None, longest=31)
    given = _random(plan, row_bits, 1, shortest=3)
    row_set = _row_set(plan, given)
    driver, states = Driver(row_set, row_bits, states=States.of(row_set)), States.of(row_set)
    expected = np.zeros((100, 1 << plan.target_bits), np.int64)
    rng, factors = np.random.default_rng(15), []
    for loop in range(100):
        np.testing.assert_array_equal(driver.row(loop), expected[loop])
        lists = [(2 * rng.choice(N_GIDS // 2, 20, replace=False), np.full(20, loop))]
        if loop % 3 == 2:  # the other ranks' spikes, some of one source
            far = np.sort(rng.integers(loop - 2, loop + 1, 60))
            lists.append((2 * rng.integers(0, N_GIDS // 2, 60) + 1, far))
        for gids, steps in lists if loop < 60 else ():
            driver.deliver(gids, steps)
            for gid, step in zip(gids, steps, strict=True):
                mine = given.source == gid
                if mine.any():
                    row = int(np.searchsorted(row_set.sources, gid))
                    factors.append(states.factor(row, int(step)))
                    added = np.rint(given.weight[mine] * factors[-1]).astype(np.int64)
                    at = (step + given.delay[mine], given.target[mine])
                    np.add.at(expected, at, added)
    assert len(factors) > 500
    assert 0.0 < np.mean(factors) < 0.9
    assert driver.grown > 0 or not pull


def test_constants_wider_than_a_word_reach_wide_rows() -> None:
    for pull in (False, True):
        plan = _plan(16, pull=pull, constant=-(2**40) + 7, delay=4, longest=4)
        given = _random(plan, 64, 5, shortest=4)
        _compare(given, Driver(_row_set(plan, given), 64), _spikes(20, 4, 6))


def test_a_plane_of_several_is_written_alone() -> None:
    plan = RowSetPlan((), 1, False, 32, 7, 0, 20, 0, None, 2, 2)
    given = _random(plan, 32, 7, shortest=2)
    driver = Driver(_row_set(plan, given), 32, planes=3)
    _compare(given, driver, _spikes(20, 2, 8))
    assert not driver.ring.rows[[0, 2]].any()


@pytest.mark.parametrize("pull", [False, True], ids=["push", "pull"])
def test_delays_of_thousands_of_steps_wrap(pull: bool) -> None:
    plan = _plan(64, pull=pull, constant=None, delay=None, longest=3000, field_bits=40)
    given = _random(plan, 64, 9, shortest=2990)
    given.delay[:5] = 1, 2, 1023, 1024, 2048
    given.source[:5] = given.source[5]

    def lists() -> Iterator[tuple[int, Ints, Ints]]:
        for loop in (0, 2047, 2999, 3000, 4095, 4096, 9000):
            gids = np.arange(0, N_GIDS, 2)
            yield loop, gids, np.full(gids.size, loop)

    _compare(given, Driver(_row_set(plan, given), 64), lists())


def test_runs_longer_than_65535_are_several() -> None:
    plan = _plan(16, pull=True, constant=2, delay=None, longest=7)
    rng = np.random.default_rng(10)
    sizes = [65_534, 65_535, 65_536, 140_000]
    source = np.repeat([3, 4, 5, 6], sizes)
    delay = np.full(source.size, 2)
    delay[source == 6] = rng.choice([1, 7, 7, 7], sizes[3])
    given = Synapses(source, rng.integers(0, 128, source.size), delay, np.full(source.size, 2))
    row_set = _row_set(plan, given)
    assert np.any(row_set.runs & 0xFFFF == 65_535)
    gids = np.array([3, 4, 5, 6, 200])

    def lists() -> Iterator[tuple[int, Ints, Ints]]:
        for loop in range(3):
            yield loop, gids, np.full(gids.size, loop)

    _compare(given, Driver(row_set, 32), lists())


def test_a_calendar_grows_in_the_middle_of_a_list() -> None:
    plan = _plan(32, pull=True, constant=None, delay=None, longest=400)
    rng = np.random.default_rng(11)
    n = 40_000
    given = Synapses(
        rng.integers(0, N_GIDS, n),
        rng.integers(0, 128, n),
        rng.integers(1, 401, n),
        rng.integers(-1000, 1000, n),
    )
    driver = Driver(_row_set(plan, given), 64)

    def lists() -> Iterator[tuple[int, Ints, Ints]]:
        # longer than a batch of look-ups, each spike with over a hundred runs
        for loop in (0, 1, 2, 500, 501):
            gids = rng.integers(0, N_GIDS, LIST if loop < 3 else 2500)
            yield loop, gids, np.full(gids.size, loop)

    _compare(given, driver, lists())
    assert driver.grown >= 4


def test_a_row_of_more_runs_than_the_pool_has_pages() -> None:
    plan = _plan(32, pull=True, constant=1, delay=None, longest=5000)
    delay = np.arange(1, 5001)
    given = Synapses(np.full(5000, 64), delay % 128, delay, np.ones(5000, np.int64))
    driver = Driver(_row_set(plan, given), 32)
    lists = ((k, np.array([64, 1]), np.array([k, k])) for k in (0, 4999, 5000))
    _compare(given, driver, lists)
    assert driver.grown >= 4


def test_pages_are_given_back() -> None:
    plan = _plan(16, pull=True, constant=1, delay=None, longest=3)
    given = _random(plan, 32, 12, shortest=1)
    driver = Driver(_row_set(plan, given), 32)
    _compare(given, driver, _spikes(1000, 1, 13))
    assert driver.grown == 0
    assert driver.one._n_free[0] == driver.one._free.size
    assert np.unique(driver.one._free).size == driver.one._free.size
