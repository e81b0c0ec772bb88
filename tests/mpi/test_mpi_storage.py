"""Ranks that choose their storage differently build and run one network."""

from pathlib import Path

import pytest
from mpi_jobs import Starter


@pytest.mark.ci
def test_one_rank_of_little_memory_draws_its_synapses(starter: Starter, tmp_path: Path) -> None:
    ended = starter.mpiexec(2, "mixed_storage.py", str(tmp_path)).end(timeout=200.0)
    assert (ended.code, ended.out) == (0, "the same spikes\n"), ended.err
