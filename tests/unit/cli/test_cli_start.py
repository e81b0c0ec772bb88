"""A signal that comes while the program still loads stops a run in good order."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import distsnn
from distsnn.comm import RESUMABLE

PROGRAM = """
import os, runpy, signal, sys


class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numba":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGTERM)


sys.meta_path.insert(0, Watch())
runpy.run_module("distsnn", run_name="__main__")
"""


@pytest.mark.parametrize("ranks", ["1", "2"])
def test_signal_while_compilers_load_is_noted(model: Path, tmp_path: Path, ranks: str) -> None:
    words = ["run", model, "--time", "10", "--ranks", ranks, "--out", tmp_path / "run.zarr"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env=os.environ | {"PYTHONPATH": str(Path(distsnn.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == RESUMABLE, done.stderr
    assert done.stderr.splitlines()[-1] == "distsnn: stopped by SIGTERM at 0 ms"
    assert not (tmp_path / "run.zarr").exists()


# An object that the interpreter deletes last, after it has given signals their default action back.
LATE = """
import os, runpy, signal, sys


class Late:
    def __del__(self, kill=os.kill, own=os.getpid(), numbers=(signal.SIGTERM, signal.SIGUSR1)):
        for number in (*numbers, signal.SIGINT):
            kill(own, number)


sys.late = Late()
runpy.run_module("distsnn", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--time", "10"), 0),
        (("--time", "10", "--set", "none=1"), 2),
        (("--time", "1e8", "--wall-limit", "1s"), RESUMABLE),
    ],
)
def test_signal_while_the_interpreter_ends_changes_nothing(
    model: Path, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATE, "run", model, *words, "--out", tmp_path / "run.zarr"],
        env=os.environ | {"PYTHONPATH": str(Path(distsnn.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stderr


SCRIPT = """
import os, signal, sys
from distsnn.errors import Stopped
from distsnn.network import IafPscExp, Network, Population
from distsnn.simulation import Simulation
{late}
def again():
    for number in (signal.SIGTERM, signal.SIGUSR1):
        os.kill(os.getpid(), number)

sys.late = Late()
simulation = Simulation(Network([Population("E", 10, IafPscExp())]), out=sys.argv[1])
try:
    with simulation:
        again()
        simulation.run(1e6)
except Stopped:
    again()
    sys.exit(85)
"""


def test_signal_to_a_script_that_has_stopped_changes_nothing(tmp_path: Path) -> None:
    late = LATE[LATE.index("class Late") : LATE.index("sys.late")]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{late}", late), tmp_path / "run.zarr"],
        env=os.environ | {"PYTHONPATH": str(Path(distsnn.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == RESUMABLE, done.stderr
