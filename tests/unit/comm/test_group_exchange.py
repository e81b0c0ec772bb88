"""Exchanges at two levels, without MPI: what is kept, when it goes on, and what is taken of it."""

import ctypes

import numpy as np
import pytest

from distsnn.comm import DryRun
from distsnn.comm import exchange_entries as layout
from distsnn.comm.exchange import Exchange, MpiHandles, ReceiveBuffer
from distsnn.comm.group_exchange import GroupExchange, ranks_of_group
from distsnn.errors import DescriptionError

INNER, OUTER = 2, 6
ENTRY = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3)


def made(rank: int = 1, groups: tuple[int, ...] = (2, 2)) -> GroupExchange:
    exchange = DryRun(rank, 4).exchange_in_groups(10, 40, (INNER, OUTER), groups)
    assert exchange is not None
    return exchange


def emit(exchange: GroupExchange, *steps: list[int]) -> None:
    """Put an epoch's spikes into the send_buffer."""
    gids = [gid for step in steps for gid in step]
    exchange.send_buffer[0] = len(gids)
    exchange.send_buffer[1 : 1 + INNER] = -7  # past a short epoch's end: never read
    exchange.send_buffer[1 : 1 + len(steps)] = [len(step) for step in steps]
    exchange.send_buffer[1 + INNER :][: len(gids)] = gids


def swap(exchange: GroupExchange, first: int, last: int, stop: int) -> None:
    exchange.n_received[0] = 99
    status = ENTRY(exchange.address)(
        exchange.table.ctypes.data, exchange.scalars.ctypes.data, first, last, stop
    )
    assert (status, exchange.n_received[0]) == (0, 0)


def counts(exchange: GroupExchange) -> tuple[int, int]:
    return exchange.counters.exchanges, exchange.group_counters.exchanges


def test_ranks_of_a_group_follow_each_other() -> None:
    assert [ranks_of_group((2, 1, 3), rank) for rank in range(6)] == [
        *(range(2), range(2), range(2, 3), range(3, 6), range(3, 6), range(3, 6))
    ]


def test_own_spikes_are_kept_until_no_further_epoch_fits() -> None:
    exchange = made()
    message = exchange._global_exchange.send_buffer
    emit(exchange, [5, 7], [6])
    swap(exchange, 0, 2, 100)
    emit(exchange, [], [])
    swap(exchange, 2, 4, 100)
    assert counts(exchange) == (0, 2)
    assert message[: 1 + 4].tolist() == [3, 2, 1, 0, 0]
    assert exchange.complete_until[0] == 0
    emit(exchange, [], [2**31 - 1, 8])
    swap(exchange, 4, 6, 100)
    assert counts(exchange) == (1, 3)
    assert message[1 : 1 + OUTER].tolist() == [2, 1, 0, 0, 0, 2]
    assert message[1 + OUTER :][:5].tolist() == [5, 7, 6, 2**31 - 1, 8]
    assert (message[0], exchange.complete_until[0]) == (0, 6)  # begun anew
    emit(exchange, [9], [])
    swap(exchange, 6, 8, 100)
    assert message[: 1 + 2].tolist() == [1, 1, 0]
    assert message[1 + OUTER] == 9


def test_where_a_run_stops_all_is_exchanged() -> None:
    exchange = made()
    emit(exchange, [1], [2])
    swap(exchange, 0, 2, 3)
    assert counts(exchange) == (0, 1)
    emit(exchange, [3])  # an epoch cut short
    swap(exchange, 2, 3, 3)
    assert counts(exchange) == (1, 2)
    assert exchange.complete_until[0] == 3
    assert exchange._global_exchange.send_buffer[1 : 1 + 3].tolist() == [1, 1, 1]
    emit(exchange, [4])
    swap(exchange, 3, 4, 4)
    assert counts(exchange) == (2, 3)
    assert exchange.complete_until[0] == 4
    # a whole outer epoch from where it went on
    for first in (4, 6):
        emit(exchange, [], [])
        swap(exchange, first, first + 2, 100)
    assert counts(exchange) == (2, 5)
    emit(exchange, [], [])
    swap(exchange, 8, 10, 100)
    assert counts(exchange) == (3, 6)


@pytest.mark.parametrize(("rank", "mates"), [(0, 1), (1, 3), (3, 3)])
def test_arrivals_hold_the_group_s_epoch_and_the_others_outer_one(rank: int, mates: int) -> None:
    exchange = made(rank, (1, 3))
    assert exchange.received_gid.size == 10 * (mates * INNER + (4 - mates) * OUTER)
    for level in (exchange._group_exchange, exchange._global_exchange):
        assert level.received_gid is exchange.received_gid
        assert level.n_received is exchange.n_received
    assert exchange._group_exchange.spikes_from_rank.base is exchange.spikes_from_rank
    assert exchange.send_buffer is exchange._group_exchange.send_buffer


def test_levels_must_fit_each_other_and_what_mpi_counts() -> None:
    ranks = DryRun(0, 4)
    with pytest.raises(ValueError, match="7 steps are not a multiple of 2"):
        ranks.exchange_in_groups(10, 40, (2, 7), (2, 2))
    with pytest.raises(ValueError, match="do not add up to 4"):
        ranks.exchange_in_groups(10, 40, (2, 6), (2, 3))
    # the longer epoch is what counts
    assert ranks.exchange_in_groups(10, 10**8, (2, 20), (2, 2)) is not None
    with pytest.raises(DescriptionError, match="at most 20 steps"):
        ranks.exchange_in_groups(10, 10**8, (2, 22), (2, 2))


def test_what_arrives_is_appended_without_a_group_s_own() -> None:
    received = ReceiveBuffer.with_capacity(100)
    exchange = Exchange(
        layout.dry_run_entry,
        rank=1,
        max_spikes_by_rank=[5] * 4,
        max_spikes_total=20,
        epoch_steps=3,
        handles=MpiHandles(),
        error_text=str,
        skip=range(1, 3),
        receive_buffer=received,
    )
    bitmap = np.full(2, 0b1010_1010, np.uint64)
    exchange.count_spikes_of(bitmap)
    stride = int(exchange.table[layout.STRIDE])
    messages = exchange._messages[: 4 * stride].reshape(4, stride)
    for rank, (by_step, gids) in enumerate(
        [([1, 0, 2], [3, 4, 1]), ([1, 0, 0], [9]), ([0, 0, 1], [8]), ([0, 1, 0], [7])]
    ):
        messages[rank, 0] = len(gids)
        messages[rank, 1:4] = by_step
        messages[rank, 4 : 4 + len(gids)] = gids
    received.gid[0], received.step[0], received.n_spikes[0] = 50, 11, 1
    layout._decode(exchange.table, 10, 13)
    assert received.n_spikes[0] == 5
    assert received.gid[:5].tolist() == [50, 3, 4, 1, 7]
    assert received.step[:5].tolist() == [11, 10, 12, 12, 11]
    assert exchange.spikes_from_rank.tolist() == [2, 0, 0, 1]
    assert exchange.counters.received_spikes == 4
