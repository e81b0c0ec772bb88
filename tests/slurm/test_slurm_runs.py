"""Simulations on a real SLURM, as `distsnn submit` and `srun` start them."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from slurm_cluster import Cluster
from slurm_jobs import Job, starts

from distsnn.io.checkpoint_files import generations
from distsnn.slurm.submission import job_number
from distsnn.slurm.templates import template

SMALL = ("tutorial", "--set", "excitatory=100", "inhibitory=100")
SRUN = ("srun", "-n2", "--kill-on-bad-exit=1")
RUN = (sys.executable, "-m", "distsnn", "run", "tutorial", "--quiet")


@pytest.fixture(scope="module", autouse=True)
def compiled(cluster: Cluster) -> None:
    """Have all kernels compiled: what follows has time limits."""
    words = (sys.executable, "-m", "distsnn", "run", *SMALL, "--time", "2", "--ranks", "2")
    done = subprocess.run(words, env=cluster.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def numbers(cluster: Cluster, run: Path) -> dict:
    return dict(json.loads(cluster.distsnn("info", "--json", run, cwd=run.parent)))


@pytest.mark.parametrize("nodes", [1, 2])
def test_srun_starts_ranks(cluster: Cluster, nodes: int, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    words = ("--mpi=pmi2", f"-N{nodes}", *RUN, "--time", "20", "--out", out)
    done = cluster.execute(*SRUN, *words)
    assert done.returncode == 0, done.stderr
    assert numbers(cluster, out)["ranks"] == 2


def test_a_batch_script_starts_ranks_by_itself(cluster: Cluster, tmp_path: Path) -> None:
    script, out = tmp_path / "job.sh", tmp_path / "run.zarr"
    words = map(str, (*RUN, "--time", "20", "--ranks", "2", "--out", out))
    script.write_text(f"#!/bin/bash\n{shlex.join(words)}\n")
    done = cluster.execute("sbatch", "--wait", "-N1", "-n2", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr + next(tmp_path.glob("slurm-*.out")).read_text()
    assert numbers(cluster, out)["ranks"] == 2


@pytest.mark.parametrize(
    ("flag", "nodes", "why"),
    [("none", 1, "sees 1"), ("none", 2, "sees 1"), ("pmix", 1, "does not support PMIx")],
)
def test_wrong_mpi_is_refused_with_the_right_command(
    cluster: Cluster, flag: str, nodes: int, why: str
) -> None:
    # not pmix on two nodes: on one host their helpers get in each other's way
    done = cluster.execute(*SRUN, f"--mpi={flag}", f"-N{nodes}", *RUN, "--time", "20")
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("distsnn: ")]
    assert len(said) == 1, done.stderr
    assert "srun started 2 processes, but MPICH" in said[0] and why in said[0]
    assert "hint: start it with srun --mpi=pmi2 -n 2 distsnn ..." in said[0]


def test_unknown_slurm_partition_is_reported(cluster: Cluster, tmp_path: Path) -> None:
    words = ("submit", *SMALL, "--time", "5", "--time-limit", "5", "--out", "r.zarr")
    done = cluster.execute(
        sys.executable, "-m", "distsnn", *words, "--partition", "nowhere", cwd=tmp_path
    )
    assert done.returncode == 2
    assert "sbatch refused the job: " in done.stderr
    assert "invalid partition specified: nowhere" in done.stderr


def submit(cluster: Cluster, folder: Path, *words: str) -> Job:
    said = cluster.distsnn("submit", *SMALL, *words, "--out", "run.zarr", cwd=folder)
    number = said.split()[1]
    return Job(cluster, job_number(number), folder / "run.zarr")


TWO_NODES = ("--ntasks", "2", "--nodes", "2")


def test_run_and_report_on_two_nodes(cluster: Cluster, tmp_path: Path) -> None:
    words = ("--time", "100", "--time-limit", "5", *TWO_NODES, "--analyse", "report")
    job = submit(cluster, tmp_path, *words)
    assert job.end()["JobState"] == "COMPLETED", job.log
    found = numbers(cluster, job.run)
    assert found["complete"] and found["ranks"] == 2
    report = tmp_path / "run.html"
    cluster.until(report.exists, "the report")


@pytest.mark.parametrize("kind", ["strong", "weak"])
def test_template_of_scaling(cluster: Cluster, kind: str, tmp_path: Path) -> None:
    (tmp_path / "scaling.sh").write_text(template("scaling"))
    variables = {
        "DISTSNN": f"{sys.executable} -m distsnn",
        "RANKS": "1 2",
        "GROW": "excitatory=100 inhibitory=100" if kind == "weak" else "",
    }
    words = ("tutorial", "--time", "50", "--time-limit", "5")
    done = cluster.execute("bash", "scaling.sh", kind, *words, cwd=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert cluster.wait(line.split()[1])["JobState"] == "COMPLETED"
    done = cluster.execute("bash", "scaling.sh", kind, "table", cwd=tmp_path, **variables)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["ranks", "1", "2"], done.stdout + done.stderr
    assert rows[1][-1] == "1.00"
    assert numbers(cluster, tmp_path / f"{kind}-scaling" / "2.zarr")["ranks"] == 2


def test_template_of_seeds(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "seeds.sh").write_text(template("seeds"))
    variables = {"DISTSNN": f"{sys.executable} -m distsnn", "SEEDS": "4-5"}
    words = (*SMALL, "--time", "50", "--time-limit", "5")
    done = cluster.execute("bash", "seeds.sh", *words, cwd=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    analysis = done.stdout.splitlines()[-1].split()[1]
    assert cluster.wait(analysis)["JobState"] == "COMPLETED"
    text = (tmp_path / "seeds" / f"run-analysis-{analysis}.log").read_text()
    assert [line.split()[0] for line in text.splitlines()] == [
        "seeds/run-seed4.zarr",
        "seeds/run-seed5.zarr",
    ]
    assert numbers(cluster, tmp_path / "seeds" / "run-seed5.zarr")["seed"] == 5


@pytest.fixture(scope="module")
def speed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Return the biological ms that two nodes simulate in a second.

    What interrupts a run comes after seconds of wall time: its length has to be told in those. On
    one node ranks exchange spikes several times faster, through memory.
    """
    out = tmp_path_factory.mktemp("speed") / "run.zarr"
    words = (*RUN, *SMALL[1:], "--time", "50000", "--out", out)
    done = cluster.execute(*SRUN, "--mpi=pmi2", "-N2", *words)
    assert done.returncode == 0, done.stderr
    return 1000 / float(numbers(cluster, out)["real_time_factor"])


@pytest.fixture(scope="module")
def long(speed: float) -> str:
    """Return the ms of a run of some twenty seconds."""
    return str(round(20 * speed))


@pytest.fixture(scope="module")
def uninterrupted(cluster: Cluster, long: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the hash of the spikes of the run that the others are compared with."""
    out = tmp_path_factory.mktemp("uninterrupted") / "run.zarr"
    cluster.distsnn("run", *SMALL, "--time", long, "--quiet", "--out", out, cwd=out.parent)
    return str(numbers(cluster, out)["spike_hash"])


def ends_like(cluster: Cluster, job: Job, spike_hash: str) -> None:
    cluster.until(lambda: job.state["Restarts"] == "1", "queued again")
    state = job.end()
    assert (state["JobState"], state["Restarts"]) == ("COMPLETED", "1"), job.log
    assert len(starts(job.log)) == 2
    found = numbers(cluster, job.run)
    assert found["complete"] and found["attempts"] == 2
    assert found["spike_hash"] == spike_hash


def stopped(cluster: Cluster, job: Job) -> None:
    """Wait until the run is well on its way."""
    cluster.until(lambda: job.run.exists() and "attempt000" in str(list(job.run.iterdir())), "run")
    cluster.until(lambda: numbers(cluster, job.run)["recorded_ms"] > 0, "spikes")


def test_signal_resumes_to_the_same_spikes(
    cluster: Cluster, long: str, uninterrupted: str, tmp_path: Path
) -> None:
    job = submit(cluster, tmp_path, "--time", long, "--time-limit", "5", *TWO_NODES)
    stopped(cluster, job)
    cluster.run("scancel", "--batch", "--signal=USR1", job.number)
    ends_like(cluster, job, uninterrupted)


def test_time_limits_resume_to_the_same_spikes(
    cluster: Cluster, speed: float, tmp_path: Path
) -> None:
    # ms: 60 seconds, or 25 if other work slowed the measurement; signals come after 5 to 25
    longer = str(round(60 * speed))
    words = ("--time", longer, "--time-limit", "1", "--checkpoint-lead", "45", *TWO_NODES)
    job = submit(cluster, tmp_path, *words)
    out = tmp_path / "uninterrupted.zarr"
    cluster.distsnn("run", *SMALL, "--time", longer, "--quiet", "--out", out, cwd=out.parent)
    state = job.end(timeout=400)
    # how often the limit comes depends on the machine; what comes of it does not
    assert state["JobState"] == "COMPLETED" and int(state["Restarts"]) >= 1, job.log
    # the first limit may come before the first step
    assert "stopped and saved" in {line.partition(": ")[2] for line in job.status}
    found, expected = numbers(cluster, job.run), numbers(cluster, out)
    assert found["complete"] and found["attempts"] >= 2
    assert found["spike_hash"] == expected["spike_hash"]


def test_preemption_resumes_to_the_same_spikes(
    cluster: Cluster, long: str, uninterrupted: str, tmp_path: Path
) -> None:
    words = ("--time", long, "--time-limit", "5", "--partition", "scavenge")
    job = submit(cluster, tmp_path, *words, *TWO_NODES)
    stopped(cluster, job)
    nodes = job.state["NodeList"]
    words = ("--exclusive", "-N2", f"--nodelist={nodes}", "--output=/dev/null", "--wrap", "sleep 1")
    cluster.run("sbatch", *words)
    ends_like(cluster, job, uninterrupted)


def test_death_of_a_node_resumes_to_the_same_spikes(
    cluster: Cluster, long: str, uninterrupted: str, tmp_path: Path
) -> None:
    words = ("--time", long, "--time-limit", "5", *TWO_NODES, "--checkpoint-wall-time", "1s")
    job = submit(cluster, tmp_path, *words)
    stopped(cluster, job)
    cluster.until(lambda: bool(generations(job.run)), "a whole checkpoint")
    node = cluster.ranks(job.number)[-1][0]
    cluster.kill_node(node)
    try:
        ends_like(cluster, job, uninterrupted)
    finally:
        cluster.start_node(node)
        cluster.until(cluster.all_up, "the node is back")


def test_analysis_on_a_cluster_of_dask(cluster: Cluster, tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    run = tmp_path / "run.zarr"
    cluster.distsnn("run", *SMALL, "--time", "200", "--quiet", "--out", run, cwd=tmp_path)
    script = tmp_path / "dask_analysis.py"
    script.write_text(template("dask-analysis"))
    words = ("--jobs", "2", "--memory", "1GB", "--partition", "main", "--interface", "lo")
    done = cluster.execute(sys.executable, script, run, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Worker" not in done.stdout
    lines = (tmp_path / "run.csv").read_text().splitlines()
    assert lines[0] == 'population,"rate, spikes/s",CV,synchrony'
    rates = numbers(cluster, run)["rates"]
    for line in lines[1:]:
        name, rate = line.split(",")[:2]
        assert float(rate) == pytest.approx(rates[name])
    assert len(list(tmp_path.glob("slurm-*.out"))) >= 1, "no worker was a job"
