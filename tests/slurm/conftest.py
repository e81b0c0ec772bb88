"""The cluster of the SLURM tests, started once; without SLURM they are skipped."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_cluster import Cluster, missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder: they take minutes, and run when asked for (`-m slurm`)."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slurm)
            # CI runs them beside other work
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    lacking = missing()
    if lacking:
        pytest.skip(
            f"SLURM is not installed: no {', '.join(lacking)} "
            "(apt-get install --no-install-recommends slurm-wlm munge)"
        )
    # munge's socket needs a short path, below folders that only their owner may write
    with tempfile.TemporaryDirectory(prefix="distsnn-slurm-") as folder:
        cluster = Cluster(Path(folder))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
