"""A neuron whose state is no number, or that cannot relay what comes in, stops the run."""

from pathlib import Path

import numpy as np
import pytest

from distsnn.errors import StateError
from distsnn.io.reader import StoreReader
from distsnn.network import IafPscDelta, Network, Population, RecordSpikes, SpikeInput
from distsnn.simulation import Simulation

DT = 0.1


def falling() -> tuple[Network, int]:
    """Return a network in which a potential falls below all numbers, and the step of it."""
    current = np.zeros(200)
    current[150] = -1e38
    down = Population("down", 200, IafPscDelta(C_m=1.0, I_e=current, V_th=-54.0))
    up = Population("up", 100, IafPscDelta())
    network = Network(
        [up, down],
        stimuli=[SpikeInput(up, np.arange(1, 1000) * DT, np.arange(1, 1000) % 100, 100.0)],
        recordings=[RecordSpikes(up)],
    )
    v, decay, step = np.float32(0.0), np.float32(np.exp(-0.01)), 0
    drive = np.float32(-1e38 * 10.0 * -np.expm1(-0.01))
    with np.errstate(over="ignore"):
        while np.isfinite(v):
            v, step = decay * v + drive, step + 1
    return network, step


def test_state_that_is_not_finite_is_told_with_its_place(tmp_path: Path) -> None:
    network, step = falling()
    assert 10 < step < 100
    simulation = Simulation(network, out=tmp_path / "run.zarr")
    expected = rf"^population 'down', gid 250, step {step}: V_m is not finite$"
    with pytest.raises(StateError, match=expected):
        simulation.run(90.0)
    reader = StoreReader(tmp_path / "run.zarr")
    assert reader.attempts[0].ranks[0].status.startswith("failed: population 'down', gid 250")
    steps, gids = reader.spikes(0, reader.complete_step)
    assert steps.size == reader.complete_step
    np.testing.assert_array_equal(gids, steps % 100)


def test_finite_states_are_no_fault() -> None:
    network, step = falling()
    with Simulation(network) as simulation:
        simulation.run((step - 1) * DT)
        with pytest.raises(StateError, match=f"step {step}:"):
            simulation.run(DT)
