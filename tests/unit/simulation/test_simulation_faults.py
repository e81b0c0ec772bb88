"""A neuron whose state is not a number, or that cannot relay what comes in, stops the run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from thread_ranks import run

from distsnn.comm import SingleProcess
from distsnn.engine.faults import Fault
from distsnn.errors import StateError
from distsnn.io.reader import StoreReader
from distsnn.network import IafPscDelta, Network, Population, RecordSpikes, SpikeInput
from distsnn.simulation import Simulation
from distsnn.simulation.segments import first_fault

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


def test_non_finite_state_is_reported_with_its_neuron(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("places", "first"),
    [
        ([(9, 1), (4, 8), (4, 7)], 2),
        ([None, (4, 8), (9, 1)], 1),
        ([(100, 0), None, (99, 1)], 2),
    ],
)
def test_every_rank_reports_the_first_fault_of_all_ranks(
    places: list[tuple[int, int] | None], first: int
) -> None:
    faults = [None if place is None else Fault(*place, f"{place}") for place in places]
    told, _ = run(3, lambda ranks: first_fault(ranks, faults[ranks.rank]))
    assert [type(one) for one in told] == [StateError] * 3
    assert {str(one) for one in told} == {f"{places[first]}"}


def test_no_fault_is_reported_without_a_fault() -> None:
    assert run(2, lambda ranks: first_fault(ranks, None))[0] == [None, None]


class _BesideAnother(SingleProcess):
    """Rank 0, to which rank 1 tells an earlier fault."""

    def allgather(self, value: Any) -> list[Any]:
        return [value, Fault(3, 7, "of rank 1")] if isinstance(value, Fault) else [value]


def test_earliest_fault_is_reported_whatever_its_rank() -> None:
    simulation = Simulation(falling()[0], communicator=_BesideAnother())
    with pytest.raises(StateError, match=r"^of rank 1$"):
        simulation.run(90.0)
