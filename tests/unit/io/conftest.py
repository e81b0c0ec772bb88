"""Fixtures for tests of the store."""

from pathlib import Path

import pytest
from synthetic_run import Written, write_run


@pytest.fixture
def run(tmp_path: Path) -> Written:
    """A complete run of two ranks, 5000 spikes in chunks of 512."""
    return write_run(tmp_path / "run.zarr")
