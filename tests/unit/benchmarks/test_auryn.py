"""The network of Auryn's benchmark is active here."""

from pathlib import Path

import pytest

from distsnn import Simulation
from distsnn.cli.models import load_model


def test_the_network_keeps_active_by_its_current_alone(benchmarks: Path) -> None:
    network = load_model(str(benchmarks / "networks" / "vogels_abbott.py"), []).network
    with Simulation(network, seed=1) as simulation:
        simulation.run(200.0)
        before = simulation.counted()
        simulation.run(800.0)
        after = simulation.counted()
    # Auryn's program: 17.1 and 17.3 spikes/s, where wirings alone make 14 to 19 of it
    for population in network.populations:
        spikes = after.spikes[population.name] - before.spikes[population.name]
        assert spikes / population.size / 0.8 == pytest.approx(17.2, abs=2.0)
