import threading
import time
from typing import Any

import pytest
from thread_ranks import run

from distsnn.comm import (
    Communicator,
    SingleProcess,
    allgather_checked,
    broadcast_from_rank0,
    collective_phase,
    first_on_node,
    raise_if_any_failed,
    require_equal_int,
)
from distsnn.errors import DescriptionError, RankError, UsageError


def test_no_rank_raises_without_an_error() -> None:
    results, _ = run(3, lambda ranks: raise_if_any_failed(ranks, None))
    assert results == [None] * 3


def test_one_rank_keeps_its_own_error_the_others_learn_of_it() -> None:
    mine = DescriptionError("bad weight", where="projection 0", value=7)
    results, _ = run(
        3, lambda ranks: raise_if_any_failed(ranks, mine if ranks.rank == 1 else None, "wiring")
    )
    assert results[1] is mine
    for rank in (0, 2):
        assert isinstance(results[rank], RankError)
        assert results[rank].rank == 1
        assert results[rank].message == "wiring: projection 0: bad weight; given 7"


def test_message_is_that_of_the_lowest_failing_rank() -> None:
    def main(ranks: Communicator) -> None:
        raise_if_any_failed(ranks, None if ranks.rank == 0 else ValueError(f"from {ranks.rank}"))

    results, _ = run(3, main)
    assert (results[0].rank, results[0].message) == (1, "ValueError: from 1")
    assert [str(error) for error in results[1:]] == ["from 1", "from 2"]


def test_together_runs_the_body_and_agrees() -> None:
    done = []

    def main(ranks: Communicator) -> None:
        with collective_phase(ranks, "loading"):
            if ranks.rank == 2:
                raise OSError("no such file")
            done.append(ranks.rank)
        done.append("reached")

    results, _ = run(3, main)
    assert sorted(done) == [0, 1]
    assert isinstance(results[2], OSError)
    assert results[2].__notes__ == ["while loading"]
    assert str(results[0]) == "rank 2: loading: OSError: no such file"


def test_nested_phases_report_the_first_failure() -> None:
    def main(ranks: Communicator) -> None:
        with collective_phase(ranks, "outer"), collective_phase(ranks, "inner"):
            if ranks.rank == 0:
                raise KeyboardInterrupt

    results, _ = run(2, main)
    assert isinstance(results[0], KeyboardInterrupt)
    assert str(results[1]) == "rank 0: inner: interrupted"


def test_single_process_raises_the_error_itself() -> None:
    with pytest.raises(ZeroDivisionError), collective_phase(SingleProcess(), "dividing"):
        print(1 // 0)


def test_first_rank_of_a_node_finishes_before_the_others_begin() -> None:
    order: list[tuple[int, str]] = []
    lock = threading.Lock()

    def main(ranks: Communicator) -> None:
        with first_on_node(ranks):
            with lock:
                order.append((ranks.rank, "begin"))
            time.sleep(0.05)
            with lock:
                order.append((ranks.rank, "end"))

    results, _ = run(3, main)
    assert results == [None] * 3
    assert order[:2] == [(0, "begin"), (0, "end")]
    assert len(order) == 6


def test_failure_of_the_first_rank_releases_the_others() -> None:
    def main(ranks: Communicator) -> int:
        with first_on_node(ranks):
            if ranks.rank == 0:
                raise ValueError("cannot compile")
        return ranks.rank

    results, _ = run(3, main)
    assert isinstance(results[0], ValueError)
    assert results[1:] == [1, 2]


def test_equal_numbers_are_returned() -> None:
    assert (
        run(3, lambda ranks: require_equal_int(ranks, lambda: 7, "counting", where="x"))[0]
        == [7] * 3
    )
    results, _ = run(
        3, lambda ranks: require_equal_int(ranks, lambda: ranks.rank % 2, "counting", where="x")
    )
    assert all(isinstance(error, UsageError) for error in results)
    assert [str(error) for error in results] == [
        "x: ranks were given different values; allowed: the same on all ranks"
    ] * 3


def refuse() -> Any:
    raise DescriptionError("no such thing", where="x")


def test_number_that_a_rank_cannot_make_is_an_error_on_all() -> None:
    def main(ranks: Communicator) -> int:
        return require_equal_int(
            ranks, refuse if ranks.rank == 1 else lambda: 7, "counting", where="x"
        )

    results, _ = run(3, main)
    assert [str(error) for error in results] == [
        "rank 1: counting: x: no such thing",
        "x: no such thing",
        "rank 1: counting: x: no such thing",
    ]


def test_answers_to_one_request_come_from_all() -> None:
    results, _ = run(
        3, lambda ranks: allgather_checked(ranks, lambda: ("E", ranks.rank), where="x")
    )
    assert results == [[0, 1, 2]] * 3
    results, _ = run(
        3, lambda ranks: allgather_checked(ranks, lambda: (ranks.rank // 2, 1), where="x")
    )
    for error in results:
        assert isinstance(error, UsageError)
        assert "x: rank 2 was given other neurons" in str(error)


def test_answer_that_a_rank_cannot_give_is_an_error_on_all() -> None:
    def main(ranks: Communicator) -> list[int]:
        return allgather_checked(ranks, refuse if ranks.rank == 1 else lambda: ("E", 7), where="x")

    results, _ = run(3, main)
    assert [type(error) for error in results] == [RankError, DescriptionError, RankError]
    assert str(results[2]) == "rank 1: x: no such thing"


def test_first_rank_alone_makes_what_all_get() -> None:
    assert run(3, lambda ranks: broadcast_from_rank0(ranks, lambda: ranks.rank))[0] == [0] * 3


def test_what_the_first_rank_cannot_make_is_an_error_on_all() -> None:
    results, _ = run(3, lambda ranks: broadcast_from_rank0(ranks, refuse))
    assert [type(error) for error in results] == [DescriptionError, RankError, RankError]
    assert str(results[1]) == "rank 0: x: no such thing"
