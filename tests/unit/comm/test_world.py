import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import distsnn.comm
from distsnn.comm import SingleProcess, run_program, world
from distsnn.comm.supervision.launcher import LAUNCHER_PREFIXES
from distsnn.errors import UsageError


@pytest.fixture(autouse=True)
def fresh_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import os

    for name in os.environ:
        if name.startswith((*LAUNCHER_PREFIXES, "SLURM_")):
            monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    world.cache_clear()
    yield
    world.cache_clear()


@pytest.fixture
def without_mpi4py(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "mpi4py" else find(name)
    )


def test_plain_process_is_alone_and_imports_no_mpi4py() -> None:
    code = """
import sys
from distsnn.comm import world
ranks = world()
assert ranks is world()
print(ranks.size, "mpi4py" in sys.modules)
"""
    root = str(Path(distsnn.comm.__file__).parents[2])
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PYTHONPATH": root},
    )
    assert result.stdout == "1 False\n"


@pytest.mark.usefixtures("without_mpi4py")
def test_several_processes_without_mpi4py_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(UsageError, match="mpiexec started 2 processes") as caught:
        world()
    assert "pip install 'distsnn[mpi]'" in str(caught.value)


@pytest.mark.usefixtures("without_mpi4py")
def test_one_process_of_a_launcher_needs_no_mpi4py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "1")
    assert isinstance(world(), SingleProcess)


@pytest.mark.ci
@pytest.mark.usefixtures("without_mpi4py")
@pytest.mark.parametrize(("rank", "lines"), [("0", 1), ("1", 0)])
def test_refusal_is_printed_by_the_first_process_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: str, lines: int
) -> None:
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", rank)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    assert run_program(lambda ranks: 0) == 2
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_start_hands_over_the_communicator() -> None:
    assert run_program(lambda ranks: 10 + ranks.size) == 11
