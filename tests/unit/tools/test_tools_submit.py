"""Jobs from Python: the script of the command, networks that travel with the job, and errors."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from distsnn import (
    IafPscExp,
    Network,
    Normal,
    Population,
    simulate,
    submit_job,
)
from distsnn.cli import main
from distsnn.errors import InputError
from distsnn.io.network_files import load_network

NETWORK = Network([Population("E", 10, IafPscExp())])
OPTIONS: dict[str, Any] = {"out": "new/r.zarr", "time_limit": "10", "mpi": "pmi2"}
WORDS = ["submit", "--out", "new/r.zarr", "--time-limit", "10", "--mpi", "pmi2"]


@dataclass(frozen=True)
class Narrow(Normal):
    """A distribution of a script."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sbatch(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes a program ``sbatch`` of lines of shell."""
    programs = tmp_path_factory.mktemp("bin")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")

    def make(text: str) -> None:
        (programs / "sbatch").write_text(f"#!/bin/sh\n{text}\n")
        (programs / "sbatch").chmod(0o755)

    return make


def test_the_script_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--time", "5", "--ntasks", "2", "--nodes", "2", "--set", "excitatory=30"]
    words += ["--run-option", "delivery=push", "--run-option", "quiet", "--sbatch", "constraint=ib"]
    words += ["--array", "1-3", "--prologue", "module load x", "--mem", "2G", "--analyse", "report"]
    assert main([*WORDS, "tutorial", *words, "--dry-run"]) == 0
    submitted = submit_job(
        "tutorial",
        time=5.0,
        ntasks=2,
        nodes=2,
        settings={"excitatory": 30},
        run_option={"delivery": "push", "quiet": ""},
        sbatch={"constraint": "ib"},
        array="1-3",
        prologue=["module load x"],
        mem="2G",
        analyse="report",
        dry_run=True,
        **OPTIONS,
    )
    assert (submitted.number, submitted.analysis_number) == (None, None)
    assert submitted.analysis_script is not None
    head, _, tail = capsys.readouterr().out.partition(
        "\n# ---- then, with the number of the job above ----\n\n"
    )
    assert (submitted.script, submitted.analysis_script) == (head, tail)
    assert submitted.job.run_paths == tuple(f"new/r-seed{seed}.zarr" for seed in (1, 2, 3))
    assert not Path("new").exists()


def test_a_network_is_saved_for_its_job(sbatch: Callable[[str], None]) -> None:
    sbatch("cat > script; echo 42")
    assert submit_job(NETWORK, time=5.0, dry_run=True, **OPTIONS).number is None
    assert not Path("new").exists()
    submitted = submit_job(NETWORK, time=5.0, **OPTIONS)
    assert submitted.number == "42"
    assert Path("script").read_text() == submitted.script
    assert "distsnn run new/r-network\n" in submitted.script
    assert load_network("new/r-network") == NETWORK
    assert main(["run", submitted.job.model, "--time", "5", "--quiet"]) == 0


def test_a_run_is_repeated_in_its_own_time() -> None:
    simulate(NETWORK, 7.0, out="first.zarr", progress=False)
    submitted = submit_job(Path("first.zarr"), dry_run=True, **OPTIONS)
    assert submitted.job.time_ms == 7.0
    assert "  --time 7.0\n" in submitted.script


def test_the_number_of_a_job_without_its_analysis_is_named(sbatch: Callable[[str], None]) -> None:
    sbatch("cat > script; grep -q dependency script && exit 1; echo 42")
    message = r"^job 42 is submitted, but not its analysis: sbatch refused the job: no reason given"
    with pytest.raises(InputError, match=message):
        submit_job("tutorial", time=5.0, analyse="report", **OPTIONS)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"time": None}, r"^time: the biological time is missing"),
        ({"time": 5.05}, r"^time: time is not on the grid"),
        ({"time": -5.0}, r"^time: must not be negative"),
        ({"checkpoint_wall_time": "soon"}, r"^checkpoint_wall_time: .*'soon' is not a time"),
        ({"time_limit": "2h"}, r"^time_limit: not a time limit"),
        ({"ntasks": 0}, r"^ntasks: must be 1 or more"),
        ({"array": "3-1"}, r"^array: not an array of seeds"),
        ({"settings": ["exitatory=3"]}, r"^settings, example .*did you mean 'excitatory'"),
        ({"settings": {"exitatory": 3}}, r"^settings, example .*did you mean 'excitatory'"),
        ({"analyse": "no.py"}, r"^analyse: no such file; given 'no.py'"),
        ({"run_option": {"seed": 3}}, r"^run_option: is given as an option"),
        ({"run_option": {"delivry": "push"}}, r"^run_option: .*did you mean '--delivery'"),
        ({"sbatch": {"signal": "B:USR2@3"}}, r"^sbatch: has an option of its own"),
        ({"model": "tutorail"}, r"did you mean 'tutorial'"),
        ({"model": NETWORK, "settings": {"size": 5}}, r"^settings: a network has no parameters"),
        (
            {"model": Network([Population("E", 10, IafPscExp(), {"V_m": Narrow(-60.0, 5.0)})])},
            r"^model: a job cannot load the user-defined class Narrow .*hint: give the path",
        ),
    ],
)
def test_an_error_names_the_keyword_before_anything_is_queued(
    keywords: dict[str, Any], message: str, sbatch: Callable[[str], None], folder: Path
) -> None:
    sbatch(f"touch {folder}/called; echo 42")
    arguments = {"model": "tutorial", "time": 5.0, **OPTIONS, **keywords}
    with pytest.raises(InputError, match=message):
        submit_job(**arguments)
    assert [*folder.iterdir()] == []
