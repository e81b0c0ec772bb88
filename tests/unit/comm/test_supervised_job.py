"""The result of a launched job: its exit code and its message."""

import secrets
import signal
import subprocess
from contextlib import closing

import pytest

from distsnn.comm.supervision import supervised_job
from distsnn.comm.supervision.exit_monitor import ExitMonitor, RankExit
from distsnn.comm.supervision.liveness_socket import connect, open_listener
from distsnn.comm.supervision.supervised_job import JobResult, SupervisedJob, job_result

KILLED, CRASHED = "=   EXIT CODE: 9\n", "=   EXIT CODE: 139\n"


def death(status: int | None) -> RankExit:
    return RankExit(rank=2, pid=4242, status=status)


@pytest.mark.parametrize(
    ("code", "status", "banner", "message"),
    [
        (9, signal.SIGKILL, KILLED, "was ended by signal 9 (SIGKILL), as when memory runs out"),
        (15, signal.SIGABRT, KILLED, "was ended by signal 6 (SIGABRT)"),
        (9, 7 << 8, KILLED, "ended by itself with exit code 7"),
        # exit codes that equal codes which ranks report
        (1, signal.SIGHUP, "", "was ended by signal 1 (SIGHUP)"),
        # unknown status: mpiexec's code counts unless it may belong to another rank
        (139, None, CRASHED, "was ended by signal 11 (SIGSEGV)"),
        (9, None, KILLED, "ended for an unknown reason"),
        (9, None, "", "ended for an unknown reason"),
    ],
)
def test_message_names_rank_process_and_cause(
    code: int, status: int | None, banner: str, message: str
) -> None:
    result = job_result(code, death(status), banner)
    assert result == JobResult(1, f"rank 2 (process 4242) {message}")


@pytest.mark.parametrize(
    ("code", "status", "job_code"),
    [
        (0, None, 0),
        (2, 2 << 8, 2),
        (85, 85 << 8, 85),
        # a rank has reported and aborted; other ranks were killed before it ended
        (2, signal.SIGKILL, 2),
        # a rank aborted the job because of another rank, which mpiexec then killed
        (9, 1 << 8, 1),
    ],
)
def test_ranks_that_end_by_themselves_have_reported_the_reason(
    code: int, status: int | None, job_code: int
) -> None:
    first = None if status is None else death(status)
    assert job_result(code, first, KILLED) == JobResult(job_code)


def test_job_without_a_known_rank_keeps_its_code() -> None:
    assert job_result(9, None, KILLED) == JobResult(9, "mpiexec ended with exit code 9")
    assert job_result(-9, None, "") == JobResult(128 + 9, "mpiexec ended with exit code 137")


@pytest.mark.parametrize("reports", [False, True])
def test_a_rank_that_has_printed_the_reason_leaves_nothing_to_print(reports: bool) -> None:
    """The end of a rank that mpiexec kills may be seen before the end of the rank that reports."""
    token = secrets.token_hex(16)
    with (
        closing(ExitMonitor(open_listener(token), token, 3)) as monitor,
        subprocess.Popen(["sleep", "60"]) as killed,
    ):
        monitor.watch(2, killed.pid)
        channel = connect(token, 0)
        assert channel is not None
        with closing(channel):
            if reports:
                channel.send({"failing": True, "bye": True, "reported": True})
            killed.kill()
            while not monitor.exits or reports > monitor.has_reported:
                monitor.handle_events(1.0)
            result = SupervisedJob(killed, 3, monitor, 1.0, 1.0).result(9, KILLED)
    assert [end.rank for end in monitor.exits] == [2]
    assert result.code == 1
    assert bool(result.message) != reports


def test_ranks_that_do_not_end_after_their_last_step_are_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervised_job, "_FINALIZE_TIMEOUT_S", 0.2)
    listener = open_listener("token")
    with (
        closing(ExitMonitor(listener, "token", 1)) as monitor,
        subprocess.Popen(["sleep", "60"]) as rank,
    ):
        monitor.watch(0, rank.pid)
        channel = connect("token", 0)
        assert channel is not None
        with closing(channel):
            channel.send({"exit_code": 4})
            job = SupervisedJob(rank, 1, monitor, 1.0, 60.0)
            code = job.wait()
            result = job.result(code, "")
    assert rank.returncode == -signal.SIGTERM
    assert result.code == 4
    assert "the ranks did not end within 0.2 s of their last step" in result.message
