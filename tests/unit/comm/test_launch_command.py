import importlib.util
import sys
from pathlib import Path

import pytest

from distsnn.comm import launch, mpiexec_path
from distsnn.errors import DescriptionError

# A stand-in for mpiexec that shows what it was asked, and ends with a code.
FAKE = """#!/bin/sh
printf '%s\\n' "$@"
printf 'OMP %s, BLAS %s, TOLD %s, PMI "%s"\\n' \
    "$OMP_NUM_THREADS" "$OPENBLAS_NUM_THREADS" "$TOLD" "$PMI_RANK"
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
    with pytest.raises(DescriptionError, match=r"no mpiexec.*pip install 'distsnn\[mpi\]'"):
        mpiexec_path()


@pytest.mark.usefixtures("fake_mpiexec")
def test_command_environment_and_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PMI_RANK", "0")  # of a launcher that started this one process
    monkeypatch.setenv("PMI_SIZE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert launch(3, ["run", "brunel"], {"TOLD": "yes"}) == 5
    *command, environment = capsys.readouterr().out.splitlines()
    assert command == ["-n", "3", sys.executable, "-m", "distsnn", "run", "brunel"]
    assert environment == 'OMP 1, BLAS 1, TOLD yes, PMI ""'


@pytest.mark.usefixtures("fake_mpiexec")
@pytest.mark.parametrize("ranks", [0, -2])
def test_number_of_ranks_must_be_positive(ranks: int) -> None:
    with pytest.raises(DescriptionError, match="must be positive"):
        launch(ranks, [])


def test_missing_mpi4py_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DescriptionError, match=r"mpi4py.*pip install 'distsnn\[mpi\]'"):
        launch(2, [])


@pytest.mark.usefixtures("fake_mpiexec")
def test_a_rank_launches_no_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(DescriptionError, match="one of those that mpiexec started"):
        launch(2, [])


def test_script_ended_by_a_signal_gives_the_shell_s_code(
    fake_mpiexec: Path,
) -> None:
    fake_mpiexec.write_text("#!/bin/sh\nkill -9 $$\n")
    assert launch(2, []) == 128 + 9
