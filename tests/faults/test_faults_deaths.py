"""However a rank dies, one message says which and how, and `distsnn info` does afterwards."""

import json
import os
import re
import signal
import sys
import time
import warnings
from pathlib import Path

import pytest
import zarr
from command_jobs import ROOT, SOON, Ended, Job, run, running
from small_runs import PATIENCE, wait_for_spikes

from distsnn.comm import mpiexec_path
from distsnn.io.exit_reports import exit_reports_folder
from distsnn.io.summary import read_run_info

WATCHED = ROOT / "tests" / "mpi" / "programs" / "watched.py"


def the_message(ended: Ended) -> str:
    assert len(ended.messages) == 1, ended.err
    assert "BAD TERMINATION" not in ended.out + ended.err
    return ended.messages[0]


@pytest.mark.parametrize(
    ("fault", "ranks", "how"),
    [
        ("kill", 3, r"was ended by signal 9 \(SIGKILL\), as when memory runs out$"),
        ("segfault", 2, r"was ended by signal 11 \(SIGSEGV\) in fail \(.*small.py, line \d+\)$"),
        ("leave", 4, "ended by itself with exit code 7$"),
    ],
)
def test_rank_that_dies_in_its_model_is_named(
    small: Path, fault: str, ranks: int, how: str
) -> None:
    words = ("--set", f"fault={fault}", "rank=1", "--time", "100", "--ranks", str(ranks))
    ended = run("run", small, *words)
    assert re.match(rf"distsnn: rank 1 \(process \d+\) {how}", the_message(ended))
    assert ended.code == 1
    assert ended.since_error < SOON
    # the place in full comes after the message
    assert ("Fatal Python error" in ended.err) == (fault == "segfault")
    assert "Extension modules" not in ended.err


@pytest.mark.parametrize("ranks", [None, 2])
def test_rank_stopped_while_the_model_is_built_ends_the_job(small: Path, ranks: int | None) -> None:
    words = ("--set", "fault=stop", "rank=1", "--time", "100", "--heartbeat-timeout", "3s")
    ended = run("run", small, *words, *(() if ranks else ("--ranks", "2")), ranks=ranks)
    assert re.match(
        r"distsnn: rank 1 \(process \d+ on \S+\) sent no heartbeat for 3 s", the_message(ended)
    )
    assert ended.code != 0
    assert ended.since_error < SOON


def test_crash_under_mpiexec_prints_its_location(small: Path) -> None:
    words = ("--set", "fault=segfault", "rank=1", "--time", "100")
    ended = run("run", small, *words, ranks=2)
    assert ended.code != 0
    assert ended.since_error < SOON
    assert re.search(r'Fatal Python error: Seg(.*\n)+.*small.py", line \d+ in fail', ended.err)


def wait_for_ranks(job: Job, out: Path, ranks: int) -> list[int]:
    """Return the processes of a run's ranks, once all of them have committed spikes."""
    wait_for_spikes(job, out)  # from its first commit on, an attempt has exit reports
    groups = [out / "attempt000" / f"rank{rank:04d}" for rank in range(ranks)]
    texts = [(group / "zarr.json").read_text() for group in groups]
    return [int(json.loads(text)["attributes"]["pid"]) for text in texts]


@pytest.mark.parametrize(
    ("options", "ranks"), [((), 3), (("--ranks", "3"), None)], ids=["mpiexec", "supervisor"]
)
def test_info_reports_a_rank_killed_in_mid_run(
    small: Path, tmp_path: Path, options: tuple[str, ...], ranks: int | None
) -> None:
    out = tmp_path / "run.zarr"
    with running("run", small, "--time", "1e6", "--out", out, *options, ranks=ranks) as job:
        pids = wait_for_ranks(job, out, 3)
        assert read_run_info(out).vanished_ranks == []
        os.kill(pids[2], signal.SIGKILL)
        killed = time.time()
        ended = job.end()
    assert ended.code != 0
    assert ended.at - killed < SOON
    wait_for_exit_report(out)
    info = json.loads(run("info", out, "--json").out)
    assert info["vanished_ranks"] == [0, 1, 2]
    (report,) = info["exit_reports"]
    assert (report["rank"], report["pid"]) == (2, pids[2])
    assert "ranks: running, but its process is gone\n" in run("info", out).out


def wait_for_exit_report(out: Path) -> None:
    """Wait until a run's store has an exit report, which its job may not have waited for."""
    limit = time.monotonic() + PATIENCE
    while not read_run_info(out).exit_reports:
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_rank_stopped_in_mid_run_ends_the_job(small: Path, tmp_path: Path) -> None:
    out, model = tmp_path / "run.zarr", tmp_path / "stalls.py"
    # a limit of 2 s, as of --heartbeat-timeout 2
    model.write_text(
        "import sys\n"
        "from distsnn.comm import run_program\n"
        "from distsnn.simulation import RunPolicy, Simulation\n"
        f"sys.path.insert(0, {str(small.parent)!r})\n"
        "from small import build\n"
        "def main(ranks):\n"
        "    policy = RunPolicy(heartbeat_timeout=2.0)\n"
        f"    with Simulation(build(), out={str(out)!r}, policy=policy) as one:\n"
        "        one.run(1e6)\n"
        "sys.exit(run_program(main))\n"
    )
    job = Job([mpiexec_path(), "-n", "2", sys.executable, str(model)], None)
    try:
        pids = wait_for_ranks(job, out, 2)
        os.kill(pids[1], signal.SIGSTOP)
        stopped = time.time()
        ended = job.end()
    finally:
        job.kill()
    assert ended.code != 0
    assert ended.at - stopped < SOON
    assert re.match(
        rf"distsnn: rank 1 \(process {pids[1]} on \S+\) sent no heartbeat", ended.messages[0]
    )
    assert len(ended.messages) == 1
    wait_for_exit_report(out)
    assert [report["rank"] for report in read_run_info(out).exit_reports] == [1]


def test_ranks_of_a_closed_store_are_not_missed(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    assert run("run", small, "--time", "5", "--out", out).code == 0
    numbers = read_run_info(out)
    assert (numbers.vanished_ranks, numbers.exit_reports) == ([], [])
    assert "lost" not in run("info", out).out
    # The process's number may have gone to another: to this one, which began long before, or to
    # one that began after the rank had written.
    group = out / "attempt000" / "rank0000" / "zarr.json"
    attributes = json.loads(group.read_text())
    attributes["attributes"] |= {"status": "running", "pid": os.getpid()}
    group.write_text(json.dumps(attributes))
    assert read_run_info(out).vanished_ranks == []
    os.utime(group, (1e9, 1e9))
    assert read_run_info(out).vanished_ranks == [0]


def test_info_names_the_rank_that_died_and_how(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    assert run("run", small, "--time", "5", "--out", out, "--ranks", "2").code == 0
    words = [sys.executable, WATCHED, "kill", "1", "30", exit_reports_folder(out, 0)]
    job = Job([mpiexec_path(), "-n", "2", *map(str, words)], None)
    ended = job.end()
    assert ended.code != 0
    wait_for_exit_report(out)
    (report,) = json.loads(run("info", out, "--json").out)["exit_reports"]
    assert report["rank"] == 1
    assert report["step"] == 101
    lines = run("info", out).out.splitlines()
    (line,) = [line for line in lines if line.startswith("  lost ")]
    how = (
        r"(was ended by signal 9 \(SIGKILL\), as when memory runs out|ended for an unknown reason)"
    )
    assert re.search(rf"rank 1 \(process {report['pid']} on \S+\) {how}, at 10.1 ms; 2", line)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "attempt000/exit_reports/rank0001" in dict(zarr.open_group(out).members(None))
