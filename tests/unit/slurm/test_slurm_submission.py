"""Submitting, with programs that stand in for sbatch and srun."""

from collections.abc import Callable
from pathlib import Path

import pytest

from distsnn.cli import main
from distsnn.errors import DescriptionError, DistsnnError, UsageError
from distsnn.slurm import known_flags, mpi_flag, submit
from distsnn.slurm.submission import job_number

LIST = """\
MPI plugin types are...
\tnone
\tpmix
\tpmi2
specific pmix plugin versions available: pmix_v5
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def make(name: str, text: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)

    return make


def test_flags_that_srun_lists() -> None:
    assert known_flags(LIST) == {"none", "pmix", "pmi2", "pmix_v5"}


@pytest.mark.parametrize(
    ("library", "flag"),
    [
        ("MPICH Version: 4.3.2", "pmi2"),
        ("Open MPI v5.0.8", "pmix"),
        ("Intel(R) MPI Library 2021", "pmi2"),
    ],
)
def test_flag_follows_from_the_library(library: str, flag: str) -> None:
    assert mpi_flag(library, 4) == mpi_flag(library, 4, known_flags(LIST)) == flag


def test_flag_without_mpi_is_for_one_rank_only() -> None:
    assert mpi_flag(None, 1) == "none"
    with pytest.raises(DescriptionError, match="2 ranks need MPI"):
        mpi_flag(None, 2)


def test_flag_that_this_slurm_lacks_is_refused() -> None:
    with pytest.raises(DescriptionError, match=r"srun --mpi=pmix, which is not known.*none, pmi2"):
        mpi_flag("Open MPI v5.0.8", 2, {"none", "pmi2"})
    with pytest.raises(DescriptionError, match="unknown way"):
        mpi_flag("Some MPI", 2)


@pytest.mark.parametrize("printed", ["12", "12\n", "12;cluster\n", "Welcome!\n12\n"])
def test_number_of_a_job(printed: str) -> None:
    assert job_number(printed) == "12"


def test_no_number_is_an_error() -> None:
    with pytest.raises(DistsnnError, match="no job number but 'hello'"):
        job_number("hello\n")


def test_script_is_submitted(program: Callable[[str, str], None], tmp_path: Path) -> None:
    program("sbatch", f'echo "$@" > {tmp_path}/words; cat > {tmp_path}/script; echo 42')
    assert submit("the script") == "42"
    assert (tmp_path / "script").read_text() == "the script"
    assert (tmp_path / "words").read_text() == "--parsable\n"


def test_refusal_of_sbatch_is_reported(program: Callable[[str, str], None]) -> None:
    program("sbatch", "echo 'sbatch: error: Invalid partition name specified' >&2; exit 1")
    with pytest.raises(UsageError, match=r"^sbatch refused the job: Invalid partition name"):
        submit("x")


def test_missing_sbatch_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"sbatch is not installed.*--dry-run"):
        submit("x")


WORDS = ["submit", "tutorial", "--time-limit", "10", "--ntasks", "2", "--mpi", "pmi2"]


def test_command_submits_run_and_analysis(
    program: Callable[[str, str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    program("sbatch", f"cat >> {tmp_path}/scripts; echo 42")
    monkeypatch.chdir(tmp_path)
    words = [*WORDS, "--time", "5", "--out", "new/r.zarr", "--analyse", "report"]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == [
        "job 42 makes new/r.zarr; its log is new/r-42.log",
        "job 42 analyses it after that",
    ]
    assert (tmp_path / "new").is_dir()
    assert "--dependency=afterok:42" in (tmp_path / "scripts").read_text()


def test_dry_run_submits_nothing(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*WORDS, "--time", "5", "--out", "new/r.zarr", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("#!/usr/bin/env bash\n#SBATCH --job-name=r\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--out r.zarr", "--time: the biological time is missing"),
        ("--time 5", "--out is missing"),
        ("--time 5.05 --out r.zarr", "--time: "),
        ("--time 5 --out r.zarr --set exitatory=3", "did you mean 'excitatory'"),
        ("--time 5 --out r.zarr --analyse no.py", "--analyse: no such file; given 'no.py'"),
        (
            "--time 5 --out r.zarr --run-option seed=3",
            "--run-option: is given as an option",
        ),
        ("--time 5 --out r.zarr --run-option delivry=push", "did you mean '--delivery'"),
        ("--time 5 --out r.zarr --array 3-1", "--array: not an array of seeds"),
    ],
)
def test_mistakes_are_refused_before_a_job_is_queued(words: str, message: str, capsys) -> None:
    assert main([*WORDS, *words.split(), "--dry-run"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_unknown_mpi_flag_of_srun_is_refused(
    program: Callable[[str, str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program("srun", f"cat <<'END'\n{LIST}END")
    words = [*WORDS, "--time", "5", "--out", "r.zarr", "--dry-run"]
    assert main(words) == 0
    assert main([*words, "--mpi", "pmi3"]) == 2
    assert "--mpi: unknown name 'pmi3'; allowed: none, pmi2, pmix" in capsys.readouterr().err


def test_template_is_printed(capsys) -> None:
    assert main(["submit", "--template", "scaling"]) == 0
    assert capsys.readouterr().out.startswith("#!/usr/bin/env bash")
