import ctypes
import os

import numpy as np
import pytest

from distsnn.comm import Communicator, DryRun, SingleProcess
from distsnn.errors import DescriptionError


@pytest.mark.parametrize("ranks", [SingleProcess(), DryRun(2, 5)])
def test_collectives_return_at_once(ranks: Communicator) -> None:
    value = {"a": [1]}
    assert ranks.bcast(value) is value
    assert ranks.allgather(7) == [7] * ranks.size
    assert ranks.gather(7) == ([7] if ranks.rank == 0 else None)
    assert ranks.allreduce_max(-3) == -3
    array = np.array([4, 5], np.int64)
    reduced = ranks.allreduce_max(array)
    np.testing.assert_array_equal(reduced, array)
    assert reduced is not array
    parts = [np.full(rank, rank) for rank in range(ranks.size)]
    received = ranks.alltoall(parts)
    assert len(received) == ranks.size
    for part in received:
        np.testing.assert_array_equal(part, parts[ranks.rank])
    ranks.barrier()
    ranks.node_barrier()
    assert ranks.gather_exit_codes(4, 0.0) == (4,) * ranks.size
    assert ranks.cores == len(os.sched_getaffinity(0))


def test_single_process_has_nobody_to_exchange_with() -> None:
    ranks = SingleProcess()
    assert (ranks.rank, ranks.size, ranks.node_rank, ranks.node_size) == (0, 1, 0, 1)
    assert ranks.exchange(10, 10, 1) is None
    assert DryRun(0, 1).exchange(10, 10, 1) is None


def test_abort_leaves_the_process_with_the_code() -> None:
    with pytest.raises(SystemExit) as caught:
        SingleProcess().abort(3)
    assert caught.value.code == 3


def test_dry_run_receives_nothing() -> None:
    ranks = DryRun(2, 5)
    assert (ranks.rank, ranks.size, ranks.node_rank, ranks.node_size) == (2, 5, 2, 5)
    assert DryRun(0, 5).gather(1) == [1] * 5
    exchange = ranks.exchange(10, 42, 3)
    assert exchange is not None
    exchange.n_received[0] = 99
    entry = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3)
    status = entry(exchange.address)(
        exchange.table.ctypes.data, exchange.scalars.ctypes.data, 0, 3, 0
    )
    assert status == 0
    assert exchange.n_received[0] == 0
    assert exchange.counters.exchanges == 1


@pytest.mark.parametrize(("rank", "size"), [(5, 5), (-1, 2), (0, 0)])
def test_dry_run_of_a_rank_that_does_not_exist(rank: int, size: int) -> None:
    with pytest.raises(DescriptionError, match="no such rank"):
        DryRun(rank, size)
