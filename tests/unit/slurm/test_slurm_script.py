"""Batch scripts as text: nothing here needs a cluster."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distsnn.comm import EXIT_RESUMABLE
from distsnn.errors import DescriptionError
from distsnn.io.checkpoint_files import CHECKPOINT, generation_name
from distsnn.slurm import BatchJob, analysis_script, job_script
from distsnn.slurm.script import MOST_STALLS
from distsnn.slurm.templates import names, template

PROGRAM = ("/venv/bin/python", "-m", "distsnn")


def a_job(**options: Any) -> BatchJob:
    given = {"model": "brunel", "out": "runs/b.zarr", "time_limit": "60", "program": PROGRAM}
    return BatchJob(**(given | options))


FULL = {
    "ntasks": 64,
    "nodes": 2,
    "partition": "main",
    "account": "a1",
    "qos": "high",
    "mem": "8G",
    "settings": ("order=100", "name=it's"),
    "time_ms": 1000.0,
    "seed": 3,
    "run_options": ("--delivery", "push"),
    "sbatch": (("constraint", "ib"), ("exclusive", ""), ("comment", "two words")),
    "prologue": ("module load mpich",),
}


def directives(script: str) -> dict[str, str]:
    lines = [line for line in script.splitlines() if line.startswith("#SBATCH --")]
    pairs = (line.removeprefix("#SBATCH --").partition("=") for line in lines)
    return {name: value for name, _, value in pairs}


def test_exit_code_that_asks_for_another_start_is_that_of_a_stopped_run() -> None:
    # bash text, which knows no constants
    assert f"((code == {EXIT_RESUMABLE}))" in job_script(a_job())


def test_checkpoints_that_a_script_looks_for_are_those_of_the_store() -> None:
    pattern = f'"$run"/{CHECKPOINT}/{generation_name(0).rstrip("0")}*'
    assert pattern in job_script(a_job())


# srun stands for a start: it ends with a code, after a new checkpoint if it is asked for.
SRUN = """#!/usr/bin/env bash
read -r code saves <"$PLAN"
[[ $saves == no ]] || mkdir -p "run.zarr/checkpoint/generation$SLURM_RESTART_COUNT"
echo "$code rank 0 on n1" >"$DISTSNN_FAILED"
exit "$code"
"""
SCONTROL = "#!/bin/sh\necho JobState=RUNNING\n"


def test_starts_without_progress_are_counted_and_the_job_given_up(tmp_path: Path) -> None:
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    plan = tmp_path / "plan"
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1", "PLAN": str(plan)}
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    codes = []
    for start, saves in enumerate(["no", "no", "yes", "no", "no", "no"]):
        plan.write_text(f"{EXIT_RESUMABLE} {saves}\n")
        done = subprocess.run(
            ["bash"],
            input=job_script(a_job(out="run.zarr")),
            cwd=tmp_path,
            env=os.environ | job | path | {"SLURM_RESTART_COUNT": str(start)},
            text=True,
        )
        codes.append(done.returncode)
    said = [line.partition(" ")[2] for line in (tmp_path / "run-7.status").read_text().splitlines()]
    said = [line for line in said if " on n1" not in line]
    assert said[:-2] == [
        "start 0: stopped without a new checkpoint",
        "start 1: stopped without a new checkpoint",
        "start 2: stopped and saved",
        "start 3: stopped without a new checkpoint",
        "start 4: stopped without a new checkpoint",
    ]
    assert said[-2] == (
        f"start 5: stopped without a new checkpoint, {MOST_STALLS} starts in a row: "
        "not queued again"
    )
    assert said[-1].startswith("start 5: the build takes longer than a start")
    assert codes == [EXIT_RESUMABLE] * 5 + [1]


def test_signal_before_the_step_is_passed_on_to_it(tmp_path: Path) -> None:
    # srun handles signals only some time after its start
    wait = "for i in {1..100}; do sleep 0.1; done"
    srun = f"#!/usr/bin/env bash\nsleep 0.3\ntrap 'exit 85' USR1\n{wait}\n"
    for name, text in (("srun", srun), ("scontrol", SCONTROL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1"}
    done = subprocess.run(
        ["bash"],
        # as while a module is loaded
        input=job_script(a_job(out="run.zarr", prologue=("kill -USR1 $$",))).replace(
            "sleep 10", "sleep 1"
        ),
        cwd=tmp_path,
        env=os.environ | job | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        text=True,
        timeout=30,
    )
    assert done.returncode == EXIT_RESUMABLE


def test_a_rank_leaves_the_check_of_the_kernel_cache_to_the_package(tmp_path: Path) -> None:
    # which follows the user's own link to another disk
    (tmp_path / "scratch").mkdir(0o700)
    (tmp_path / f"distsnn-{os.getuid()}").symlink_to("scratch")
    for name, text in (
        ("srun", '#!/usr/bin/env bash\nshift 3\nexec "$@"\n'),
        ("scontrol", SCONTROL),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1", "SLURM_TMPDIR": str(tmp_path)}
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    shows = a_job(out="run.zarr", program=("sh", "-c", 'echo "cache: $DISTSNN_CACHE_DIR"'))
    for own in ("", "own"):
        done = subprocess.run(
            ["bash"],
            input=job_script(shows),
            cwd=tmp_path,
            env=os.environ | job | path | {"DISTSNN_CACHE_DIR": own},
            text=True,
            capture_output=True,
        )
        assert f"cache: {own or tmp_path / f'distsnn-{os.getuid()}'}\n" in done.stdout, done.stderr
        assert done.returncode == 0


def test_directives_of_a_job() -> None:
    found = directives(job_script(a_job(**FULL)))
    assert found == {
        "job-name": "b",
        "nodes": "2",
        "ntasks": "64",
        "cpus-per-task": "1",
        "output": "runs/b-%j.log",
        "open-mode": "append",
        "signal": "B:USR1@120",
        "time": "60",
        "partition": "main",
        "account": "a1",
        "qos": "high",
        "mem": "8G",
        "chdir": ".",
        "constraint": "ib",
        "exclusive": "",
        "comment": '"two words"',
        "requeue": "",
    }


def test_command_of_a_job() -> None:
    script = job_script(a_job(**FULL, mpi="pmix"))
    command = script[script.index("command=(") :].partition("\n)\n")[0].splitlines()[1:]
    assert [line.strip() for line in command] == [
        "/venv/bin/python -m distsnn run brunel",
        "--set order=100",
        "--set 'name=it'\"'\"'s'",
        "--time 1000.0",
        "--seed 3",
        "--delivery push",
        '--out "$run"',
        "--checkpoint-wall-time 5min",
        "--resume auto",
    ]
    assert "\nrun=runs/b.zarr\n" in script
    assert "srun --mpi=pmix --kill-on-bad-exit=1 " in script
    assert script.index("module load mpich") < script.index("srun ")


def test_array_names_run_and_seed() -> None:
    job = a_job(array="1-3%2")
    script = job_script(job)
    assert directives(script)["array"] == "1-3%2"
    assert directives(script)["output"] == "runs/b-%A_%a.log"
    assert '\nrun=runs/b-seed"$SLURM_ARRAY_TASK_ID".zarr\n' in script
    assert '--seed "$SLURM_ARRAY_TASK_ID"' in script
    assert job.run_paths == ("runs/b-seed1.zarr", "runs/b-seed2.zarr", "runs/b-seed3.zarr")


@pytest.mark.parametrize(
    ("out", "first"),
    [
        ("./run.zarr", "run-seed1.zarr"),
        ("runs//a.zarr", "runs/a-seed1.zarr"),
        ("a/./b.zarr/", "a/b-seed1.zarr"),
        ("a/b", "a/b-seed1"),
        ("a/b.run", "a/b.run-seed1"),
    ],
)
def test_runs_of_an_array_are_named_however_the_path_is_written(out: str, first: str) -> None:
    assert a_job(array="1-2", out=out).run_paths[0] == first


def test_analysis_waits_for_the_job_and_gets_all_runs() -> None:
    job = a_job(array="1-2", sbatch=(("ntasks-per-node", "2"), ("constraint", "ib")))
    script = analysis_script(job, "my analysis.py", "17")
    found = directives(script)
    assert (found["dependency"], found["ntasks"]) == ("afterok:17", "1")
    assert found["constraint"] == "ib" and "ntasks-per-node" not in found
    assert "runs=(\n  runs/b-seed1.zarr\n  runs/b-seed2.zarr\n)\n" in script
    assert "/venv/bin/python 'my analysis.py' \"${runs[@]}\"" in script
    assert '/venv/bin/python -m distsnn report "$run"' in analysis_script(job, "report", "17")


@pytest.mark.parametrize(
    ("limit", "lead", "seconds"),
    [("60", None, 120), ("8", None, 120), ("2", None, 30), ("60", 7, 7)],
)
def test_seconds_before_the_limit(limit: str, lead: int | None, seconds: int) -> None:
    assert a_job(time_limit=limit, checkpoint_lead=lead).checkpoint_lead_s == seconds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ntasks": 0}, "^ntasks: must be 1 or more"),
        ({"nodes": 3, "ntasks": 2}, "^nodes: more nodes than tasks"),
        ({"time_limit": "2", "checkpoint_lead": 120}, "^checkpoint_lead: .*allowed: 1 to 119 s"),
        ({"checkpoint_lead": 0}, "^checkpoint_lead"),
        ({"array": "1-3", "seed": 4}, "^seed: the array's numbers are the seeds"),
        ({"mpi": "pmi2; rm"}, "^mpi: not a name"),
        ({"sbatch": (("signal", "B:USR2@3"),)}, "has an option of its own, --checkpoint-lead"),
        ({"sbatch": (("no-requeue", ""),)}, "is needed as it is"),
        ({"out": 'a"b.zarr'}, "^out: cannot be the name"),
        ({"out": "/"}, "^out: cannot be the name"),
        ({"time_limit": "2h"}, "^time_limit: not a time limit"),
    ],
)
def test_job_that_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        a_job(**options)


def check(script: str) -> str:
    program = shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not installed (apt-get install shellcheck)")
    words = [program, "--shell=bash", "--enable=quote-safe-variables", "-"]
    return subprocess.run(words, input=script, capture_output=True, text=True).stdout


ODD = {"out": "it's; a/a run.zarr", "model": "my model.py", "prologue": ()}


@pytest.mark.parametrize("options", [{}, FULL, FULL | ODD, {"array": "1-3"}, ODD | {"array": "1"}])
def test_scripts_are_clean_to_shellcheck(options: dict[str, Any]) -> None:
    assert check(job_script(a_job(**options))) == ""
    for analysis in ("report", "my analysis.py"):
        assert check(analysis_script(a_job(**options), analysis, "1")) == ""


@pytest.mark.parametrize("name", names())
def test_templates_are_clean(name: str) -> None:
    text = template(name)
    if text.startswith("#!/usr/bin/env bash"):
        assert check(text) == ""
    else:
        compile(text, name, "exec")
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                "check",
                "--isolated",
                "--line-length=100",
                "--select=E,F,W,I,D1",
                "-",
            ],
            input=text,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_unknown_template_is_refused() -> None:
    with pytest.raises(DescriptionError, match="did you mean 'scaling'"):
        template("scalling")
