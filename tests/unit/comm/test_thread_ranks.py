"""The communicator of threads, on which other tests rely: what it refuses, and how it aborts."""

import ctypes
import threading

import pytest
from thread_ranks import Aborted, run

from distsnn.comm import Communicator
from distsnn.comm.supervision.heartbeat import Heartbeat

_ENTRY = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 6)


def test_networks_with_rank_groups_are_refused() -> None:
    def main(ranks: Communicator) -> None:
        ranks.exchange_in_groups(1, 4, (1, 2), (2, 2))

    results, aborted = run(4, main)
    assert [repr(error) for error in results] == [
        "NotImplementedError('threads have no rank groups')"
    ] * 4
    assert aborted is None


def test_exchange_fails_on_the_ranks_that_wait_for_a_rank_that_aborts() -> None:
    def main(ranks: Communicator) -> str:
        exchange = ranks.exchange(1, 3, 1)
        assert exchange is not None
        if ranks.rank == 1:
            ranks.abort(5)
        status = _ENTRY(exchange.address)(0, 0, 0, 1, 1)
        assert status == 1
        return exchange.error_text(status)  # raises Aborted: no error of this rank

    results, aborted = run(3, main)
    assert [type(error) for error in results] == [Aborted] * 3
    assert aborted == 5


def test_heartbeat_left_running_by_a_test_fails_it() -> None:
    heartbeats: list[Heartbeat] = []

    def main(ranks: Communicator) -> None:
        heartbeat = Heartbeat(ranks, 60.0)
        heartbeat.start()
        heartbeats.append(heartbeat)

    try:
        with pytest.raises(AssertionError, match="stop each Heartbeat"):
            run(2, main)
    finally:
        for heartbeat in heartbeats:
            heartbeat.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "distsnn-heartbeat"]
