"""Launched ranks import what one rank imports: no module of the working folder by accident."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from campaigns import sampled

import distsnn

# A model that says which neighbour it has imported, and builds nothing.
MODEL = "import neighbour\ndef build():\n    raise ValueError(neighbour.NAME)\n"
KINDS = (
    "from typing import ClassVar\n"
    "from distsnn.network import IafPscExp, neuron_model\n"
    "from kinds import constants\n"
    "@neuron_model\n"
    "class Mine(IafPscExp):\n"
    "    name: ClassVar[str] = 'mine'\n"
    "    kernel: ClassVar[str] = 'distsnn.kernels.neurons.iaf_psc_exp'\n"
    "    C_m: float = constants.C_M\n"
)
# Its ranks get as far as the path of the run, for which they need the user's class.
PROGRAM = (
    "import sys\n"
    "from kinds.models import Mine\n"
    "from distsnn.network import Network, Population\n"
    "from distsnn.simulation import simulate\n"
    "simulate(Network([Population('E', 8, Mine())]), 1.0, ranks=2, out=sys.argv[1])\n"
)


@pytest.fixture
def shadows(tmp_path: Path) -> Path:
    """Return a folder with modules of the names of others, which must not be imported."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name in ("random", "numpy", "signal", "neighbour"):
        (folder / f"{name}.py").write_text("raise SystemExit(f'imported {__file__}')\n")
    return folder


def run(words: list[object], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        list(map(str, words)),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("ranks", sampled([2, 1], 2))
def test_neighbours_of_the_model_are_imported_and_not_those_of_the_working_folder(
    tmp_path: Path, shadows: Path, ranks: int
) -> None:
    command = Path(sys.executable).parent / "distsnn"
    if not command.exists():
        pytest.skip(f"{distsnn.__name__} is not installed as a command")
    model = tmp_path / "models" / "model.py"
    model.parent.mkdir()
    model.write_text(MODEL)
    (model.parent / "neighbour.py").write_text("NAME = 'the neighbour of the model'\n")
    done = run([command, "run", model, "--time", "1", "--ranks", ranks], shadows)
    assert done.returncode == 2, done.stderr
    assert "build raised ValueError: the neighbour of the model" in done.stderr
    assert "imported" not in done.stderr


@pytest.mark.ci
def test_ranks_import_a_users_package_as_the_program_does(tmp_path: Path, shadows: Path) -> None:
    package = tmp_path / "kinds"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "constants.py").write_text("C_M = 200.0\n")
    (package / "models.py").write_text(KINDS)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    taken = tmp_path / "taken"
    taken.mkdir()
    done = run([sys.executable, program, taken], shadows)
    assert done.returncode != 0
    assert "taken: exists already" in done.stderr, done.stderr
    assert "imported" not in done.stderr
