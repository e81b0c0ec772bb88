import importlib.util
import sys
from pathlib import Path

import pytest

from distsnn.comm import JobResult, launch, mpiexec_path
from distsnn.errors import UsageError

# A stand-in for mpiexec that shows what it was asked, and ends with a code.
FAKE = """#!/bin/sh
printf '%s\\n' "$@"
printf 'OMP %s, BLAS %s, SETTING %s, PMI "%s"\\n' \
    "$OMP_NUM_THREADS" "$OPENBLAS_NUM_THREADS" "$SETTING" "$PMI_RANK"
exit 5
"""


@pytest.fixture
def fake_mpiexec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An mpiexec beside a pretended interpreter; mpi4py counts as installed."""
    path = tmp_path / "mpiexec"
    path.write_text(FAKE)
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    return path


def test_mpiexec_beside_the_interpreter_comes_first(
    fake_mpiexec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert mpiexec_path() == str(fake_mpiexec)


def test_mpiexec_on_path_comes_second(
    fake_mpiexec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(sys, "executable", str(elsewhere / "python"))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(elsewhere))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert mpiexec_path() == str(fake_mpiexec)
    monkeypatch.setenv("PATH", str(elsewhere))
    with pytest.raises(UsageError, match=r"mpiexec was not found.*pip install 'distsnn\[mpi\]'"):
        mpiexec_path()


@pytest.mark.usefixtures("fake_mpiexec")
def test_command_environment_and_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PMI_RANK", "0")  # of a launcher that started this one process
    monkeypatch.setenv("PMI_SIZE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    monkeypatch.setenv("SETTING", "yes")
    assert launch(3, ["run", "brunel"]) == 5
    *command, environment = capsys.readouterr().out.splitlines()
    assert command == ["-n", "3", sys.executable, "-P", "-m", "distsnn", "run", "brunel"]
    assert environment == 'OMP 1, BLAS 1, SETTING yes, PMI ""'


def test_ranks_start_on_this_node_inside_an_allocation_too(
    fake_mpiexec: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # MPICH's mpiexec would start them by srun there
    fake_mpiexec.write_text('#!/bin/sh\necho "$HYDRA_LAUNCHER $HYDRA_RMK"\n')
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[1-2]")
    launch(2, ["program"])
    assert capfd.readouterr().out == "fork user\n"


@pytest.mark.usefixtures("fake_mpiexec")
@pytest.mark.parametrize("ranks", [0, -2])
def test_number_of_ranks_must_be_positive(ranks: int) -> None:
    with pytest.raises(UsageError, match="must be positive"):
        launch(ranks, [])


def test_missing_mpi4py_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"mpi4py.*pip install 'distsnn\[mpi\]'"):
        launch(2, [])


@pytest.mark.usefixtures("fake_mpiexec")
def test_a_rank_launches_no_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(UsageError, match="already runs under mpiexec"):
        launch(2, [])


def test_script_ended_by_a_signal_gives_the_shell_s_code(
    fake_mpiexec: Path,
) -> None:
    fake_mpiexec.write_text("#!/bin/sh\nkill -9 $$\n")
    assert launch(2, []) == 128 + 9


@pytest.mark.usefixtures("fake_mpiexec")
def test_more_ranks_than_cores_are_warned_of_and_far_more_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1})
    launch(3, [])
    assert "share" not in capsys.readouterr().err
    launch(4, [])
    assert "distsnn: warning: 4 ranks share 2 cores" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"more than 16 ranks per core.*given 33.*1 to 32"):
        launch(33, [])
    assert launch(33, [], oversubscribe=True) == 5


def test_verdict_on_a_lost_job_is_completed_by_the_caller(
    fake_mpiexec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = launch(2, [], complete_result=lambda it: JobResult(0, f"{it.message}; all is there"))
    assert code == 0
    assert capsys.readouterr().err == "distsnn: mpiexec ended with exit code 5; all is there\n"
