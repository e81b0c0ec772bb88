"""Exit reports of ranks that die; ranks that stall end the job; nothing else counts as either."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_jobs import SOON
from mpi_jobs import PROGRAMS, Ended, Job, Starter

import distsnn.comm
from distsnn.comm.supervision.liveness_socket import RUN_MONITOR

LIMIT = 2.0  # s of silence
LAUNCH = """
import sys
from distsnn.comm import launch
ranks, program, *arguments = sys.argv[1:]
print("code", launch(int(ranks), arguments, program=[program]))
"""
# Hides a rank's death by a signal from the launcher, as some launchers do not look for it.
HIDING = '"$@"; code=$?; [ $code -le 128 ] || sleep 30; exit $code'


def exit_reports(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the exit reports by rank, once the exit monitor has had time to write."""
    limit = time.monotonic() + 60.0
    while not list(folder.glob("rank*/zarr.json")) and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(0.2)
    files = folder.glob("rank*/zarr.json")
    reports = [json.loads(file.read_text())["attributes"] for file in files]
    return {report["rank"]: report for report in reports}


def pid_of(ended: Ended, rank: int) -> int:
    match = re.search(rf"rank {rank} is (\d+)", ended.out)
    assert match
    return int(match[1])


def left_behind(starter: Starter) -> dict[int, list[str]]:
    """Return the command lines of the tests' processes, once all had time to end."""
    limit = time.monotonic() + SOON
    while (processes := starter.processes()) and time.monotonic() < limit:
        time.sleep(0.1)
    return processes


@pytest.mark.parametrize(
    ("ranks", "victim", "fate", "cause"),
    [
        (2, 1, "kill", "was ended by signal 9 (SIGKILL), as when memory runs out"),
        pytest.param(
            *(3, 1, "segfault", "was ended by signal 11 (SIGSEGV)"), marks=pytest.mark.faults
        ),
        pytest.param(
            *(4, 0, "kill", "was ended by signal 9 (SIGKILL), as when memory runs out"),
            marks=pytest.mark.faults,
        ),
        pytest.param(3, 2, "exit", "ended by itself with exit code 7", marks=pytest.mark.faults),
    ],
)
def test_death_is_noted_though_the_launcher_kills_all_at_once(
    starter: Starter, tmp_path: Path, ranks: int, victim: int, fate: str, cause: str
) -> None:
    folder = tmp_path / "exit_reports"
    # The others hold Python's lock: none of them would come to write anything.
    words = (fate, str(victim), "30", str(folder), "busy", "30")
    ended = starter.mpiexec(ranks, "watched.py", *words).end()
    assert ended.code != 0
    assert ended.since_error < SOON
    (report,) = exit_reports(folder).values()
    assert report["rank"] == victim
    assert report["pid"] == pid_of(ended, victim)
    assert report["step"] == 100 + victim
    # before Linux 6.15 the status is not known for certain
    assert report["cause"] in {cause, "ended for an unknown reason"}
    assert left_behind(starter) == {}


@pytest.mark.parametrize(
    ("ranks", "victim"),
    [
        (2, 1),
        pytest.param(3, 0, marks=pytest.mark.faults),
        pytest.param(4, 1, marks=pytest.mark.faults),
    ],
)
def test_rank_that_stalls_ends_the_job(
    starter: Starter, tmp_path: Path, ranks: int, victim: int
) -> None:
    folder = tmp_path / "exit_reports"
    ended = starter.mpiexec(ranks, "watched.py", "stop", str(victim), str(LIMIT), str(folder)).end()
    assert ended.code != 0
    (message,) = ended.messages
    text = rf"rank {victim} \(process {pid_of(ended, victim)} on \S+\) sent no heartbeat for 2 s"
    assert re.match(rf"distsnn: {text}, last step {100 + victim}: process stopped", message)
    assert LIMIT / 2 < ended.since_error < LIMIT + SOON
    assert {rank: report["cause"] for rank, report in exit_reports(folder).items()} == {
        victim: "sent no heartbeat for 2 s"
    }
    assert left_behind(starter) == {}


@pytest.mark.faults
def test_job_whose_exit_monitor_is_killed_goes_on_and_is_watched(
    starter: Starter, tmp_path: Path
) -> None:
    folder = tmp_path / "exit_reports"
    job = starter.mpiexec(2, "watched.py", "none", "0", str(LIMIT), str(folder), "idle", "60")
    job.wait_for(" is ", times=2)
    (monitor,) = [pid for pid, words in starter.processes().items() if RUN_MONITOR in words]
    os.kill(monitor, signal.SIGKILL)
    time.sleep(LIMIT + 1.0)
    assert job.process.poll() is None
    (victim,) = [int(pid) for pid in re.findall(r"rank 1 is (\d+)", job.read)]
    stopped = time.time()
    os.kill(victim, signal.SIGSTOP)
    ended = job.end()
    (message,) = ended.messages
    assert re.match(rf"distsnn: rank 1 \(process {victim} on \S+\) sent no heartbeat", message)
    assert LIMIT / 2 < ended.at - stopped < LIMIT + SOON
    assert list(exit_reports(folder)) == [1]


@pytest.mark.faults
def test_death_that_the_launcher_does_not_see_ends_the_job(
    starter: Starter, tmp_path: Path
) -> None:
    folder = tmp_path / "exit_reports"
    command = [distsnn.comm.mpiexec_path(), "-n", "3", "sh", "-c", HIDING, "sh"]
    command += [sys.executable, str(PROGRAMS / "watched.py"), "kill", "1", "30", str(folder)]
    starter.jobs.append(Job(command, starter.environment))
    ended = starter.jobs[-1].end()
    (message,) = ended.messages
    text = r"rank 1 \(process \d+ on \S+\) ended for an unknown reason"
    assert re.match(rf"distsnn: {text}, last step 101; aborting the job", message)
    assert ended.since_error < SOON
    assert list(exit_reports(folder)) == [1]


@pytest.mark.parametrize(
    ("fate", "message"),
    [
        ("kill", r"rank 1 \(process \d+\) was ended by signal 9 \(SIGKILL\), as when memory"),
        pytest.param(
            *("stop", r"rank 1 \(process \d+ on \S+\) sent no heartbeat for 2 s"),
            marks=pytest.mark.faults,
        ),
        pytest.param(
            *("raise", r"rank 1: unexpected ValueError: a user's mistake"),
            marks=pytest.mark.faults,
        ),
        pytest.param(
            *("exit", r"rank 1 \(process \d+\) ended by itself with exit code 7$"),
            marks=pytest.mark.faults,
        ),
    ],
)
def test_launched_job_reports_the_end_of_a_rank_once(
    starter: Starter, fate: str, message: str
) -> None:
    words = ["3", str(PROGRAMS / "watched.py"), fate, "1", str(LIMIT), ""]
    ended = starter.python("-c", LAUNCH, *words).end()
    assert ended.out.splitlines()[-1] == "code 1"
    assert len(ended.messages) == 1
    assert re.match(f"distsnn: {message}", ended.messages[0])
    assert "BAD TERMINATION" not in ended.out
    assert ended.since_error < LIMIT + SOON


@pytest.mark.faults
def test_rank_that_fails_by_itself_leaves_no_notice(starter: Starter, tmp_path: Path) -> None:
    folder = tmp_path / "exit_reports"
    ended = starter.mpiexec(3, "watched.py", "raise", "1", str(LIMIT), str(folder)).end()
    assert ended.code == 1
    assert len(ended.messages) == 1
    assert left_behind(starter) == {}
    assert not folder.exists()


@pytest.mark.faults
def test_busy_main_threads_are_no_stall(starter: Starter, tmp_path: Path) -> None:
    folder = tmp_path / "exit_reports"
    # more ranks than cores, all with Python's lock held for longer than the limit
    ended = starter.mpiexec(4, "watched.py", "none", "0", "3", str(folder), "busy", "5").end()
    assert (ended.code, ended.messages) == (0, [])
    assert left_behind(starter) == {}
    assert not folder.exists()


@pytest.mark.faults
def test_job_continues_after_all_its_processes_were_suspended(
    starter: Starter, tmp_path: Path
) -> None:
    job = starter.mpiexec(2, "watched.py", "none", "0", "1", str(tmp_path / "n"), "idle", "2")
    job.wait_for(" is ", times=2)
    pids = [int(pid) for pid in re.findall(r"rank \d is (\d+)", job.read)]
    time.sleep(0.5)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3.0)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    ended = job.end()
    assert (ended.code, ended.messages) == (0, [])


@pytest.mark.faults
@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            "python",
            r"rank 1 \(process {pid}\) did not start within 3 s \(stopped by a signal\): all",
        ),
        ("mpi", r"rank 1 \(process {pid}\) did not start within 3 s \(stopped by a signal\): all"),
        ("main", r"rank 1 \(process {pid} on \S+\) sent no heartbeat for 2 s"),
    ],
)
def test_launched_rank_that_stalls_at_the_start_ends_the_job(
    starter: Starter, place: str, message: str
) -> None:
    words = ["2", str(PROGRAMS / "stalling.py"), place, "1", str(LIMIT), "3"]
    program = LAUNCH.replace("program=[program]", "program=[program], start_timeout_s=3.0")
    ended = starter.python("-c", program, *words).end()
    assert ended.out.splitlines()[-1] == "code 1"
    assert len(ended.messages) == 1
    assert re.match("distsnn: " + message.format(pid=pid_of(ended, 1)), ended.messages[0])
    assert ended.since_error < SOON
    assert left_behind(starter) == {}


@pytest.mark.parametrize(
    ("place", "ranks", "victim"),
    [
        ("mpi", 2, 0),
        pytest.param("python", 3, 1, marks=pytest.mark.faults),
        pytest.param("main", 2, 0, marks=pytest.mark.faults),
        pytest.param("mpi", 3, 1, marks=pytest.mark.faults),
    ],
)
def test_rank_that_stalls_at_the_start_under_mpiexec_ends_the_job(
    starter: Starter, place: str, ranks: int, victim: int
) -> None:
    ended = starter.mpiexec(ranks, "stalling.py", place, str(victim), str(LIMIT), "3").end()
    assert ended.code != 0
    (message,) = ended.messages
    if place == "main":
        text = (
            rf"rank {victim} \(process {pid_of(ended, victim)} on \S+\) sent no heartbeat for 2 s"
        )
    else:
        text = r"rank \d waited 3 s for all ranks to start MPI \(process stopped"
    assert re.match(f"distsnn: {text}", message)
    assert ended.since_error < SOON
    assert left_behind(starter) == {}


@pytest.mark.faults
def test_ranks_that_start_in_time_are_left_alone(starter: Starter) -> None:
    ended = starter.mpiexec(3, "stalling.py", "none", "0", str(LIMIT), "20").end()
    assert (ended.code, ended.messages) == (0, [])
