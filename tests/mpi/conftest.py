"""Fixtures of the tests that start ranks. MPI itself is never initialised in pytest."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from mpi_jobs import Starter


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Starter]:
    if importlib.util.find_spec("mpi4py") is None:
        pytest.skip("mpi4py is not installed")
    starter = Starter(tmp_path)
    yield starter
    for job in starter.jobs:
        job.kill()
