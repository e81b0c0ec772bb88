"""Ranks that are threads: they exchange spikes as processes do."""

from pathlib import Path

import pytest
import thread_ranks
from recorded import assert_same, recorded

from distsnn.comm import Communicator
from distsnn.network import (
    FixedIndegree,
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    Uniform,
)
from distsnn.simulation import Simulation
from distsnn.simulation.run_summary import RunCounters

E = Population("E", 300, IafPscExp())
NETWORK = Network(
    [E],
    [Projection(E, E, FixedIndegree(40), 60.0, Uniform(0.5, 4.0))],
    [PoissonInput(E[:100], 9000.0, 60.0)],
    [RecordSpikes(E)],
)


def run(path: Path, communicator: Communicator | None = None) -> RunCounters:
    """Record 50 ms of the network, of which two thirds spike by others' spikes only."""
    with Simulation(NETWORK, seed=3, out=path, communicator=communicator) as simulation:
        simulation.run(20.3)
        simulation.run(29.7)
        return simulation.counters()


@pytest.mark.parametrize("ranks", [2, 3])
def test_threads_record_the_spikes_of_one_process(tmp_path: Path, ranks: int) -> None:
    alone, threads = tmp_path / "alone", tmp_path / "threads"
    expected = run(alone)
    results, aborted = thread_ranks.run(ranks, lambda rank: run(threads, rank))
    assert aborted is None
    assert_same(recorded(alone), recorded(threads))
    assert (recorded(alone)["spikes gid"] >= 100).sum() > 90
    for counters in results:
        assert counters.events == expected.events
