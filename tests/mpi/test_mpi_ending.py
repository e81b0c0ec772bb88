"""However a rank fails, the job ends soon, with one exit code and one message."""

import os
import signal
import time

import pytest
from command_jobs import AT_ONCE
from mpi_jobs import Starter

REFUSED = "projection 3: unknown population; given 'Q'"


@pytest.mark.parametrize(
    ("ranks", "waiting"), [(2, "yielding"), pytest.param(4, "spinning", marks=pytest.mark.faults)]
)
def test_failure_on_one_rank_while_others_wait_in_machine_code(
    starter: Starter, ranks: int, waiting: str
) -> None:
    ended = starter.mpiexec(ranks, "failing.py", "outside", waiting).end()
    assert ended.code == 2
    assert ended.messages == [f"distsnn: rank {ranks - 1}: {REFUSED}"]
    assert "Traceback" not in ended.err
    assert "Abort" not in ended.err + ended.out
    assert ended.since_error < AT_ONCE


@pytest.mark.faults
def test_lowest_of_several_failing_ranks_speaks(starter: Starter) -> None:
    ended = starter.mpiexec(3, "failing.py", "two").end()
    assert ended.code == 2
    assert ended.messages == ["distsnn: rank 1: projection 3: unknown population; given 1"]
    assert ended.since_error < AT_ONCE


@pytest.mark.faults
def test_failure_on_all_ranks_is_printed_once(starter: Starter) -> None:
    ended = starter.mpiexec(3, "failing.py", "everywhere").end()
    assert ended.code == 1
    assert len(ended.messages) == 1
    assert ended.messages[0].startswith("distsnn: unexpected ZeroDivisionError: ")
    assert "failing.py, line" in ended.messages[0]
    assert ended.err.count("Traceback") == 1
    assert ended.err.index("distsnn: ") < ended.err.index("Traceback")
    assert ended.since_error < AT_ONCE


def test_failed_phase_ends_on_all_ranks_with_time_to_clean_up(starter: Starter) -> None:
    ended = starter.mpiexec(3, "failing.py", "phase").end()
    assert ended.code == 2
    assert ended.messages == [f"distsnn: rank 1: {REFUSED}"]
    for rank in (0, 2):
        assert f"rank {rank} has 1 in rank 1: building the network: {REFUSED}" in ended.out
    assert ended.out.count("cleaned up") == 3
    assert ended.since_error < AT_ONCE


@pytest.mark.faults
def test_killed_rank_ends_the_job(starter: Starter) -> None:
    ended = starter.mpiexec(3, "failing.py", "killed").end()
    assert ended.code != 0
    assert ended.since_error < AT_ONCE


@pytest.mark.faults
def test_exit_codes_become_one(starter: Starter) -> None:
    ended = starter.mpiexec(3, "failing.py", "exits").end()
    assert (ended.code, ended.messages) == (3, [])


@pytest.mark.faults
def test_uncaught_exception_of_a_script_ends_the_job(starter: Starter) -> None:
    ended = starter.mpiexec(2, "failing.py", "script").end()
    assert ended.code == 1
    assert len(ended.messages) == 1
    assert "rank 1: unexpected ValueError: a user's mistake" in ended.messages[0]
    assert ended.since_error < AT_ONCE


@pytest.mark.faults
def test_interrupt_ends_all_ranks(starter: Starter) -> None:
    job = starter.mpiexec(2, "failing.py", "sleeping")
    job.wait_for("asleep", times=2)
    begin = time.time()
    os.kill(job.process.pid, signal.SIGINT)
    ended = job.end()
    assert ended.code == 130
    assert ended.messages == ["distsnn: interrupted"]
    assert ended.at - begin < AT_ONCE


@pytest.mark.faults
@pytest.mark.parametrize(
    ("rank", "variables", "name", "but"),
    [
        (
            "OMPI_COMM_WORLD_RANK",
            {"OMPI_COMM_WORLD_SIZE": "2"},
            "Open MPI's mpirun",
            "is the library of mpi4py",
        ),
        ("SLURM_PROCID", {"SLURM_NTASKS": "2", "SLURM_STEP_ID": "0"}, "srun", "sees 1"),
    ],
)
def test_launcher_of_another_mpi_is_refused(
    starter: Starter, rank: str, variables: dict[str, str], name: str, but: str
) -> None:
    code = "import sys, distsnn.comm as c; sys.exit(c.run_program(lambda ranks: 0))"
    first = starter.python("-c", code, **variables, **{rank: "0"})
    second = starter.python("-c", code, **variables, **{rank: "1"})
    ended = first.end()
    assert ended.code == 2
    assert len(ended.messages) == 1
    assert f"{name} started 2 processes, but " in ended.messages[0]
    assert but in ended.messages[0]
    assert "mpiexec -n 2 distsnn" in ended.messages[0]
    other = second.end()
    assert (other.code, other.messages) == (2, [])
