"""Fixtures for tests of the analysis: small synthetic runs, written through io."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "io"))

from synthetic_run import Written, write_run

from distsnn.analysis import Run, open_run


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A complete run of three ranks, 100 neurons and about 5000 spikes; tests only read it."""
    return write_run(tmp_path_factory.mktemp("runs") / "run.zarr", ranks=3)


@pytest.fixture
def run(written: Written) -> Run:
    """The run, opened so that it is read in about ten windows."""
    return open_run(written.path, window=500)
