"""The batch script on a real SLURM; a small program stands in for the simulation.

Jobs that take long are submitted before the first test and looked at by the last ones.
"""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from in_ci import IN_CI
from slurm_cluster import Cluster, missing, signal_all
from slurm_jobs import Job, starts, submit

from distsnn.slurm.script import MOST_STALLS


@pytest.mark.skipif(not IN_CI, reason="outside CI SLURM is optional")
def test_slurm_is_there_in_ci() -> None:
    assert missing() == [], "CI must install slurm-wlm and munge, or no batch job is tested"
    assert shutil.which("shellcheck"), "CI must install shellcheck, or no script is checked"


@pytest.fixture(scope="module", autouse=True)
def limited(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    """Submit jobs that run into their time limit: SLURM's shortest is a minute."""
    folder = tmp_path_factory.mktemp("limited")
    options = {"time_limit": "1", "checkpoint_lead": 50, "nodes": 1}
    return [
        submit(cluster, folder / "signal.zarr", "steps=450", **options),
        submit(cluster, folder / "deaf.zarr", "steps=950", "deaf=yes", **options),
    ]


def test_plain_job_on_two_nodes(cluster: Cluster, tmp_path: Path) -> None:
    own = {"DISTSNN_CACHE_DIR": "", "TMPDIR": str(tmp_path)}
    options = {"seed": 7, "prologue": ("echo first",)}
    job = submit(cluster, tmp_path / "a run.zarr", "steps=3", variables=own, **options)
    assert job.end()["JobState"] == "COMPLETED", job.log
    cache = tmp_path / f"distsnn-{os.getuid()}"
    said = rf"rank (\d) of 2 on (\w+), seed 7, cache {cache}, threads 1"
    ranks = re.findall(said, job.log)
    assert sorted(rank for rank, _ in ranks) == ["0", "1"]
    assert len({node for _, node in ranks}) == 2
    assert job.log.startswith("first\n")
    assert job.status == [f"start 0: on {starts(job.log)[0]}", "start 0: done"]
    assert job.counted(0) == job.counted(1) == [0, 1, 2]


def test_array_has_a_run_for_each_seed(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, tmp_path / "run.zarr", "steps=2", array="3-5", nodes=1, ntasks=1)
    for task in (3, 4, 5):
        assert cluster.wait(f"{job.number}_{task}")["JobState"] == "COMPLETED"
        log = (tmp_path / f"run-{job.number}_{task}.log").read_text()
        assert f"seed {task}," in log
        assert (tmp_path / f"run-seed{task}.zarr" / "rank0").read_text() == "0\n1\n"


def test_one_of_an_array_is_queued_again_alone(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, tmp_path / "run.zarr", "steps=30", array="1-2", nodes=1, ntasks=1)
    log = tmp_path / f"run-{job.number}_2.log"
    cluster.until(lambda: log.exists() and "rank 0" in log.read_text(), "second task listens")
    cluster.run("scancel", "--batch", "--signal=USR1", f"{job.number}_2")
    assert cluster.wait(f"{job.number}_1")["Restarts"] == "0"
    cluster.until(lambda: cluster.job(f"{job.number}_2")["Restarts"] == "1", "queued again")
    assert cluster.wait(f"{job.number}_2")["JobState"] == "COMPLETED"
    text = (tmp_path / "run-seed2.zarr" / "rank0").read_text()
    assert text.split() == [str(i) for i in range(30)]


def test_signalled_job_requeues_once_and_resumes(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, tmp_path / "run.zarr", "steps=25")
    job.listening(2)
    cluster.run("scancel", "--batch", "--signal=USR1", job.number)
    cluster.until(lambda: job.state["Restarts"] == "1", "queued again")
    state = job.end()
    assert (state["JobState"], state["Restarts"]) == ("COMPLETED", "1"), job.log
    assert len(starts(job.log)) == 2
    assert job.status[1] == "start 0: stopped and saved"
    assert job.status[-1] == "start 1: done"
    for rank in (0, 1):
        assert job.counted(rank) == list(range(25))


def test_rank_that_listens_late_is_asked_again(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, tmp_path / "run.zarr", "steps=400", "late=4")
    cluster.until(lambda: bool(job.status), "it runs")
    time.sleep(1)
    cluster.run("scancel", "--batch", "--signal=USR1", job.number)
    cluster.until(lambda: "start 0: stopped and saved" in job.status, "asked again")
    assert 0 < len(job.counted(0)) < 400
    cluster.run("scancel", job.number)


def test_job_without_progress_is_not_queued_again_for_ever(
    cluster: Cluster, tmp_path: Path
) -> None:
    job = submit(cluster, tmp_path / "run.zarr", "steps=30", "build=60")
    for start in range(MOST_STALLS):
        job.listening(2, start)
        cluster.run("scancel", "--batch", "--signal=USR1", job.number)
    state = job.end()
    assert (state["JobState"], state["ExitCode"], state["Restarts"]) == ("FAILED", "1:0", "2")
    assert job.status[-2].startswith("start 2: stopped without a new checkpoint, 3 starts in a row")


def test_cancelled_job_saves_and_stays_cancelled(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, tmp_path / "run.zarr", "steps=600")
    job.listening(2)
    cluster.run("scancel", job.number)
    cluster.until(lambda: "start 0: the job is over: not queued again" in job.status, "saved")
    time.sleep(1)
    state = job.state
    assert (state["JobState"], state["Restarts"]) == ("CANCELLED", "0")


def test_killed_rank_ends_the_job_and_is_named(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, tmp_path / "run.zarr", "steps=600")
    job.listening(2)
    node, pid = cluster.ranks(job.number)[-1]
    begin = time.monotonic()
    signal_all([pid], signal.SIGKILL)
    state = job.end()
    # left alone it would count for a minute
    assert time.monotonic() - begin < 30
    assert (state["JobState"], state["ExitCode"]) == ("FAILED", "137:0")
    assert re.fullmatch(
        rf"start 0: failed with exit code 137 \(rank \d on n{node}\)", job.status[-1]
    )


def test_failed_run_is_not_queued_again(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, tmp_path / "run.zarr", "steps=600", "code=2", "rank=1")
    state = job.end()
    assert (state["JobState"], state["ExitCode"], state["Restarts"]) == ("FAILED", "2:0", "0")
    assert job.status[-1].startswith("start 0: failed with exit code 2 (rank 1 on n")


def test_preempted_job_requeues_once_and_resumes(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, tmp_path / "run.zarr", "steps=40", partition="scavenge", nodes=1)
    job.listening(2)
    node = job.state["NodeList"]
    words = ("--parsable", "--exclusive", "-N1", f"--nodelist={node}", "--output=/dev/null")
    more = cluster.run("sbatch", *words, "--wrap", "sleep 1").strip()
    cluster.until(lambda: job.state["Restarts"] == "1", "queued again")
    state = job.end()
    assert (state["JobState"], state["Restarts"]) == ("COMPLETED", "1")
    assert job.status[1:3] == [
        "start 0: stopped and saved",
        "start 0: preempted: SLURM queues it again",
    ]
    assert job.counted(0) == job.counted(1) == list(range(40))
    assert cluster.wait(more)["JobState"] == "COMPLETED"


def test_death_of_a_node_queues_the_job_again(cluster: Cluster, tmp_path: Path) -> None:
    """So does a start on a dead node of which SLURM does not know yet."""
    job = submit(cluster, tmp_path / "run.zarr", "steps=60")
    job.listening(2)
    node = cluster.ranks(job.number)[-1][0]
    try:
        cluster.kill_node(node)
        # its script starts on the node that lives, its second rank on the dead one
        options = {"sbatch": (("nodelist", f"n[{node - 1}-{node}]"),)}
        unaware = submit(cluster, tmp_path / "unaware.zarr", "steps=3", **options)
        state = job.end()
        assert (state["JobState"], state["Restarts"]) == ("COMPLETED", "1"), job.log
        assert f"n{node}" not in re.findall(r"start 1: on (\S+)", job.log)[0]
        assert job.counted(0) == job.counted(1) == list(range(60))
    finally:
        cluster.start_node(node)
    state = unaware.end()
    assert state["JobState"] == "COMPLETED", unaware.log
    assert int(state["Restarts"]) >= 1
    assert "srun ended with" in unaware.log
    cluster.until(cluster.all_up, "the node is back")


def test_time_limit_saves_requeues_once_and_resumes(limited: list[Job]) -> None:
    job = limited[0]
    state = job.end()
    assert (state["JobState"], state["Restarts"]) == ("COMPLETED", "1"), job.log
    assert job.status[1] == "start 0: stopped and saved"
    assert job.counted(0) == job.counted(1) == list(range(450))


def test_run_that_saves_only_at_the_limit_resumes(limited: list[Job]) -> None:
    """SIGTERM comes at the limit itself, and leaves KillWait seconds to save."""
    job = limited[1]
    state = job.end("COMPLETED", "FAILED")
    assert (state["JobState"], state["Restarts"]) == ("COMPLETED", "1"), job.log
    assert job.counted(0) == job.counted(1) == list(range(950))
