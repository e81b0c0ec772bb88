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
