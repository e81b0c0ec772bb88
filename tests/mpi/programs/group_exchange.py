"""Run on N ranks: exchange random spikes in groups of ranks and compare with numpy."""

import sys

import numpy as np
from exchange import ENTRY, Spikes, draw, first_of

from distsnn.comm import Communicator, first_on_node, run_program
from distsnn.comm.group_exchange import GroupExchange, ranks_of_group

INNER, OUTER = 2, 6
GROUPS = {2: [(1, 1)], 3: [(2, 1), (1, 2)], 4: [(2, 2), (1, 3), (1, 1, 2)]}


class Checker:
    """One exchange in groups, fed with the same spikes of all ranks on all ranks."""

    def __init__(
        self, ranks: Communicator, sizes: list[int], groups: tuple[int, ...], yielding: bool
    ) -> None:
        self.rank, self.size, self.now, self.since = ranks.rank, ranks.size, 0, 0
        exchange = ranks.exchange_in_groups(
            *(sizes[ranks.rank], sum(sizes), (INNER, OUTER), groups), yielding=yielding
        )
        assert isinstance(exchange, GroupExchange)
        self.exchange, self.group = exchange, ranks_of_group(groups, ranks.rank)
        self.known = np.zeros((2**31 + 2**15) >> 6, np.uint64)
        for drawn in (self.known[:2000], self.known[(2**31 - 128) >> 6 :]):
            drawn[:] = 0x5555_5555_5555_5555
        exchange.count_spikes_of(self.known)
        self.spikes_from_rank = np.zeros(ranks.size, np.int64)
        self.kept: Spikes = [[] for _ in range(ranks.size)]
        self.levels = [0, 0]
        with first_on_node(ranks):
            self.entry = ENTRY(exchange.address)

    def epoch(self, spikes: Spikes, *, stop: bool = False) -> None:
        first, last = self.now, self.now + len(spikes[0])
        exchange = self.exchange
        mine = np.concatenate(spikes[self.rank])
        exchange.send_buffer[0] = mine.size
        exchange.send_buffer[1 : 1 + INNER] = -7
        exchange.send_buffer[1 : 1 + last - first] = [gids.size for gids in spikes[self.rank]]
        exchange.send_buffer[1 + INNER :][: mine.size] = mine.view(np.int32)
        status = self.entry(
            *(exchange.table.ctypes.data, exchange.scalars.ctypes.data, first, last),
            last if stop else 10**6,
        )
        assert status == 0, exchange.error_text(status)
        for rank, new in enumerate(spikes):
            self.kept[rank] += new
        came = [(r, first, spikes[r]) for r in self.group if r != self.rank]
        over = stop or last - self.since + INNER > OUTER
        if over:
            others = [r for r in range(self.size) if r not in self.group]
            came += [(r, self.since, self.kept[r]) for r in others]
            self.kept, self.since = [[] for _ in range(self.size)], last
        self.levels = [self.levels[0] + over, self.levels[1] + 1]
        gids = np.concatenate([np.empty(0), *(g for _, _, all_of in came for g in all_of)])
        steps = np.concatenate(
            [
                np.empty(0),
                *(np.full(g.size, at + i) for _, at, all_of in came for i, g in enumerate(all_of)),
            ]
        )
        arrived = int(exchange.n_received[0])
        assert arrived == gids.size, (arrived, gids.size)
        np.testing.assert_array_equal(exchange.received_gid[:arrived], gids)
        np.testing.assert_array_equal(exchange.received_step[:arrived], steps)
        for rank, _, all_of in came:
            self.spikes_from_rank[rank] += sum(int((g % 2 == 0).sum()) for g in all_of)
        np.testing.assert_array_equal(exchange.spikes_from_rank, self.spikes_from_rank)
        counters = exchange.counters, exchange.group_counters
        assert [one.exchanges for one in counters] == self.levels
        assert exchange.complete_until[0] == self.since
        self.now = last


def random_epochs(ranks: Communicator, groups: tuple[int, ...], yielding: bool) -> None:
    rng = np.random.default_rng(7)
    n = ranks.size
    for sizes in ([300] * n, [0] * (n - 1) + [5000], [1] * n, [0] * n):
        checker = Checker(ranks, sizes, groups, yielding)
        for share in (0.0, 0.01, 0.3, 1.0, 0.02):
            for length, stop in ((2, False), (1, True), (2, False), (2, False), (2, False)):
                checker.epoch(draw(rng, sizes, length, share), stop=stop)


def overflows(ranks: Communicator, groups: tuple[int, ...], yielding: bool) -> None:
    """What fits into the short messages of epochs need not fit into the long one."""
    n = ranks.size
    checker = Checker(ranks, [4000] * n, groups, yielding)
    for _ in range(3):
        few = [one * 2 for one in first_of([12] * n)]  # 24 spikes in two steps, 72 in all
        checker.epoch(few)
    exchange = checker.exchange
    assert exchange.group_counters.overflow_rounds == 0
    assert exchange.counters.overflow_rounds == 1
    assert (
        exchange.counters.max_spikes_per_message,
        exchange.group_counters.max_spikes_per_message,
    ) == (72, 24)
    many = [one * 2 for one in first_of([3000] + [1] * (n - 1))]
    for _ in range(6):
        checker.epoch(many)
    assert exchange.counters.overflow_rounds == 3


def main(ranks: Communicator) -> int:
    crowded = ranks.node_size > ranks.cores
    for groups in GROUPS[ranks.size]:
        # spinning takes too long where ranks wait for each other's cores
        for yielding in [True] if crowded else [True, False]:
            random_epochs(ranks, groups, yielding)
            overflows(ranks, groups, yielding)
    print("same", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
