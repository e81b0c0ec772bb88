"""Starting ranks from a plain process: output, exit codes, signals, and nothing left behind."""

import os
import signal
import time

import pytest
from campaigns import sampled
from command_jobs import SOON
from mpi_jobs import PROGRAMS, Starter

import distsnn.comm

LAUNCH = """
import sys
from distsnn.comm import launch
ranks, program, *arguments = sys.argv[1:]
code = launch(int(ranks), arguments, program=[program], grace_period_s=2.0)
print("code", code)
"""


def launching(ranks: int, program: str, *arguments: str) -> list[str]:
    return ["-c", LAUNCH, str(ranks), str(PROGRAMS / program), *arguments]


def ranks_left(starter: Starter, program: str) -> list[list[str]]:
    """Return the command lines of processes that run a program of the programs folder."""
    commands = starter.processes().values()
    return [words for words in commands if words[1:2] == [str(PROGRAMS / program)]]


@pytest.mark.faults
def test_more_ranks_than_cores_report_and_end(starter: Starter) -> None:
    ended = starter.python(
        *launching(3, "launched.py", "go", "0"), PMI_RANK="0", PMI_SIZE="1"
    ).end()
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert sorted(lines[:-1]) == [f"rank {r} of 3, threads 1, ['go', '0']" for r in range(3)]
    assert lines[-1] == "code 0"
    assert ended.err.splitlines() == ["to standard error"]


def test_exit_code_and_output_to_a_replaced_stream(
    starter: Starter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # pytest's capsys replaces sys.stdout by an object without a descriptor, as notebooks do.
    monkeypatch.setenv("PYTHONPATH", starter.environment["PYTHONPATH"])
    arguments = ["go", "2"]
    code = distsnn.comm.launch(1, arguments, program=[str(PROGRAMS / "launched.py")])
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == "rank 0 of 1, threads 1, ['go', '2']\n"
    assert captured.err == "to standard error\n"


@pytest.mark.faults
def test_job_that_outlives_a_rank_is_ended(starter: Starter) -> None:
    # The first rank leaves before MPI_Init, in which the other then waits for good.
    begin = time.time()
    ended = starter.python(*launching(2, "failing.py", "early")).end()
    assert ended.out.splitlines()[-1] == "code 1"
    assert len(ended.messages) == 1
    assert (
        "ended by itself with exit code 1, and the others did not within 2 s" in ended.messages[0]
    )
    assert ended.at - begin < SOON
    assert ranks_left(starter, "failing.py") == []


@pytest.mark.parametrize(
    ("number", "code"), sampled([(signal.SIGINT, 130), (signal.SIGTERM, 143)], 2)
)
def test_signals_reach_the_ranks(starter: Starter, number: signal.Signals, code: int) -> None:
    job = starter.python(*launching(2, "launched.py", "sleep", "0"))
    job.wait_for("rank", times=2)
    begin = time.time()
    os.kill(job.process.pid, number)
    ended = job.end()
    assert ended.out.splitlines()[-1] == f"code {code}"
    assert ended.at - begin < SOON
    assert ended.messages == (["distsnn: interrupted"] if number == signal.SIGINT else [])
    assert ranks_left(starter, "launched.py") == []
