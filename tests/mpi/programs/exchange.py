"""Run on N ranks: exchange random spikes by the compiled entry and compare with numpy."""

import ctypes
import sys
import time

import numpy as np

from distsnn.comm import Communicator, first_on_node, run_program
from distsnn.comm import exchange_entries as layout
from distsnn.comm.exchange import Exchange
from distsnn.comm.exchange_entries import WINDOW

ENTRY = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int64,
)
Spikes = list[list[np.ndarray]]  # [rank][step of the epoch] -> gids, uint32


class Checker:
    """One exchange, fed with the same spikes of all ranks on all ranks."""

    def __init__(
        self, ranks: Communicator, sizes: list[int], steps: int, yielding: bool | None
    ) -> None:
        self.rank, self.size, self.steps, self.now = ranks.rank, ranks.size, steps, 0
        exchange = ranks.exchange(sizes[ranks.rank], sum(sizes), steps, yielding=yielding)
        assert isinstance(exchange, Exchange)
        self.exchange = exchange
        # the even ones of all gids that are drawn below; what lies between costs no memory
        self.known = np.zeros((2**31 + 2**15) >> 6, np.uint64)
        for drawn in (self.known[:2000], self.known[(2**31 - 128) >> 6 :]):
            drawn[:] = 0x5555_5555_5555_5555
        exchange.count_spikes_of(self.known)
        self.spikes_from_rank, self.received = np.zeros(ranks.size, np.int64), 0
        with first_on_node(ranks):
            self.entry = ENTRY(exchange.address)

    def epoch(self, spikes: Spikes) -> None:
        first, last = self.now, self.now + len(spikes[0])
        exchange = self.exchange
        mine = np.concatenate(spikes[self.rank])
        exchange.send_buffer[0] = mine.size
        exchange.send_buffer[1 : 1 + self.steps] = -7  # past a short epoch's end: never read
        exchange.send_buffer[1 : 1 + last - first] = [gids.size for gids in spikes[self.rank]]
        exchange.send_buffer[1 + self.steps :][: mine.size] = mine.view(np.int32)
        status = self.entry(
            exchange.table.ctypes.data, exchange.scalars.ctypes.data, first, last, first
        )
        assert status == 0, exchange.error_text(status)
        others = [r for r in range(self.size) if r != self.rank]
        gids = np.concatenate([g for r in others for g in spikes[r]])
        steps = np.concatenate(
            [np.full(g.size, first + i) for r in others for i, g in enumerate(spikes[r])]
        )
        arrived = int(exchange.n_received[0])
        assert arrived == gids.size, (arrived, gids.size)
        np.testing.assert_array_equal(exchange.received_gid[:arrived], gids)
        np.testing.assert_array_equal(exchange.received_step[:arrived], steps)
        self.spikes_from_rank[others] += [
            sum(int((g % 2 == 0).sum()) for g in spikes[r]) for r in others
        ]
        np.testing.assert_array_equal(exchange.spikes_from_rank, self.spikes_from_rank)
        self.received += arrived
        assert exchange.counters.received_spikes == self.received
        self.now = last

    @property
    def stride(self) -> int:
        return int(self.exchange.table[layout.STRIDE])

    @property
    def limit(self) -> int:
        return int(self.exchange.table[layout.MAX_STRIDE])


def draw(rng: np.random.Generator, sizes: list[int], steps: int, share: float) -> Spikes:
    """Spikes of all ranks; gids reach beyond 2^31, as uint32 may."""
    base = np.concatenate([[0], np.cumsum(sizes)])
    return [
        [
            (np.flatnonzero(rng.random(size) < share) + base[r] + 2**31 - 100).astype(np.uint32)
            for _ in range(steps)
        ]
        for r, size in enumerate(sizes)
    ]


def first_of(counts: list[int]) -> Spikes:
    """Just so many spikes of each rank, in one step."""
    return [[np.arange(n, dtype=np.uint32) + 10_000 * r] for r, n in enumerate(counts)]


def random_epochs(ranks: Communicator, yielding: bool) -> None:
    rng = np.random.default_rng(7)
    n = ranks.size
    for sizes in ([300] * n, [0] * (n - 1) + [5000], [1] * n, [0] * n):
        for steps in (1, 5, 90):
            checker = Checker(ranks, sizes, steps, yielding)
            for share in (0.0, 0.01, 0.3, 1.0, 0.02):
                for length in (steps, 1, (steps + 1) // 2, steps):
                    checker.epoch(draw(rng, sizes, length, share))
            counters = checker.exchange.counters
            assert counters.exchanges == 20
            assert counters.max_spikes_per_message == max(sizes) * steps
            assert counters.received_bytes > 0


def strides(ranks: Communicator, yielding: bool) -> None:
    n = ranks.size
    checker = Checker(ranks, [4000] * n, 1, yielding)
    assert (checker.stride, checker.limit) == (64, 2048)

    checker.epoch(first_of([62] * n))  # 1 + 1 + 62 words: just fits
    assert (checker.stride, checker.exchange.counters.overflow_rounds) == (64, 0)
    for expected in (1, 1, 1):  # one word too many on the last rank: once only
        checker.epoch(first_of([0] * (n - 1) + [63]))
        assert (checker.stride, checker.exchange.counters.overflow_rounds) == (128, expected)
    for expected in (2, 3, 4):  # beyond the limit the rest always comes separately
        checker.epoch(first_of([4000] + [10] * (n - 1)))
        assert (checker.stride, checker.exchange.counters.overflow_rounds) == (2048, expected)
    largest = checker.exchange.counters.max_spikes_per_message
    assert largest == 4000

    before = checker.exchange.counters.received_bytes
    checker.epoch(first_of([4000] + [10] * (n - 1)))
    received = checker.exchange.counters.received_bytes - before
    assert received == 4 * (2048 * n + 4002 - 2048)

    quiet = first_of([5] * n)
    for _ in range(6 * WINDOW):  # a burst is forgotten, window by window
        checker.epoch(quiet)
    assert (checker.stride, checker.exchange.counters.overflow_rounds) == (64, 5)
    assert ranks.allgather(checker.stride) == [64] * n


def two_at_once(ranks: Communicator) -> None:
    """Two exchanges of one job do not mix."""
    sizes = [50] * ranks.size
    rng = np.random.default_rng(3)
    one, two = Checker(ranks, sizes, 1, None), Checker(ranks, sizes, 4, None)
    for _ in range(20):
        one.epoch(draw(rng, sizes, 1, 0.2))
        two.epoch(draw(rng, sizes, 3, 0.4))


def late_rank(ranks: Communicator) -> None:
    """Ranks that wait for long leave the cores to other work."""
    checker = Checker(ranks, [10] * ranks.size, 1, True)
    ranks.barrier()
    if ranks.rank == 0:
        time.sleep(1.0)
    begin = time.thread_time()
    checker.epoch(first_of([1] * ranks.size))
    used = time.thread_time() - begin
    assert used < 0.1, f"a wait of a second took {used:.2f} s of a core"


def main(ranks: Communicator) -> int:
    if ranks.size == 1:
        assert ranks.exchange(10, 10, 1) is None
        print("alone", flush=True)
        return 0
    crowded = ranks.node_size > ranks.cores
    # spinning takes too long where ranks wait for each other's cores
    for yielding in [True] if crowded else [True, False]:
        random_epochs(ranks, yielding)
        strides(ranks, yielding)
    two_at_once(ranks)
    late_rank(ranks)
    default = ranks.exchange(1, ranks.size, 1)
    assert default is not None
    assert default._entry is (layout.yielding_entry if crowded else layout.blocking_entry)
    hits = int(default._entry._compiled.cache_hits)
    all_hits = ranks.gather(hits)
    if all_hits is not None:
        print("cache hits", *all_hits, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
