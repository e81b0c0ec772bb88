"""What a launched job's end means: its code, and whether there is something to tell."""

import signal

import pytest

from distsnn.comm.supervision.exit_monitor import RankExit
from distsnn.comm.supervision.supervised_job import JobResult, job_result

KILLED, CRASHED = "=   EXIT CODE: 9\n", "=   EXIT CODE: 139\n"


def death(status: int | None) -> RankExit:
    return RankExit(rank=2, pid=4242, status=status)


@pytest.mark.parametrize(
    ("code", "status", "banner", "message"),
    [
        (9, signal.SIGKILL, KILLED, "was ended by signal 9 (SIGKILL), as when memory runs out"),
        (15, signal.SIGABRT, KILLED, "was ended by signal 6 (SIGABRT)"),
        (9, 7 << 8, KILLED, "ended by itself with exit code 7"),
        # codes that look like those of ranks that have said why
        (1, signal.SIGHUP, "", "was ended by signal 1 (SIGHUP)"),
        # a kernel that does not tell: only what cannot be another rank's is taken from mpiexec
        (139, None, CRASHED, "was ended by signal 11 (SIGSEGV)"),
        (9, None, KILLED, "ended for an unknown reason"),
        (9, None, "", "ended for an unknown reason"),
    ],
)
def test_death_is_told_with_rank_process_and_cause(
    code: int, status: int | None, banner: str, message: str
) -> None:
    told = job_result(code, death(status), banner)
    assert told == JobResult(1, f"rank 2 (process 4242) {message}")


@pytest.mark.parametrize(
    ("code", "status", "verdict"),
    [
        (0, None, 0),
        (2, 2 << 8, 2),
        (85, 85 << 8, 85),
        # one rank said why and aborted; that others were killed before it ended is no news
        (2, signal.SIGKILL, 2),
        # a rank that ended the job for another, which mpiexec then killed
        (9, 1 << 8, 1),
    ],
)
def test_ranks_that_end_by_themselves_have_said_why(
    code: int, status: int | None, verdict: int
) -> None:
    first = None if status is None else death(status)
    assert job_result(code, first, KILLED) == JobResult(verdict)


def test_job_of_which_no_rank_was_seen_keeps_its_code() -> None:
    assert job_result(9, None, KILLED) == JobResult(9, "mpiexec ended with exit code 9")
    assert job_result(-9, None, "") == JobResult(128 + 9, "mpiexec ended with exit code 137")
