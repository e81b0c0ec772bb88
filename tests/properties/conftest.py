"""What the property tests share: how examples are made, and a run to damage."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from random_networks import small_network

from distsnn.io.network_files import save_network
from distsnn.simulation import RunPolicy, Simulation


def pytest_configure() -> None:
    # No example may depend on how fast this machine is, nor on what an earlier run has found.
    settings.register_profile(
        "fixed",
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
    )


@pytest.fixture(autouse=True)
def fixed_examples() -> None:
    settings.load_profile("fixed")


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a network's description ``net`` and a saved run ``run.zarr`` of it."""
    folder = tmp_path_factory.mktemp("originals")
    made = small_network()
    save_network(folder / "net", made)
    policy = RunPolicy(checkpoint_every=5.0)
    with Simulation(made, out=folder / "run.zarr", policy=policy) as simulation:
        simulation.run(20.0)
    return folder
