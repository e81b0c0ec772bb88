"""A closed loop spikes the same on any number of ranks, and after it was given up and resumed."""

import sys
from pathlib import Path

import numpy as np
import pytest
from command_jobs import run_program
from recorded import assert_same, newest_checkpoint, recorded

sys.path.insert(0, str(Path(__file__).parent / "programs"))

import closed_loop

from distsnn.io.reader import StoreReader
from distsnn.simulation import Simulation

# Its rules have kernels of their own, which take long to compile.
pytestmark = [pytest.mark.timeout(300), pytest.mark.ci]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loops") / "alone.zarr"
    with Simulation(closed_loop.network(), seed=3, out=path) as simulation:
        closed_loop.go_on(simulation, 0, closed_loop.PIECES)
        simulation.save()
    step, gid = StoreReader(path).spikes()
    assert np.count_nonzero(gid < closed_loop.N) > 300
    assert np.count_nonzero(gid >= closed_loop.N) > 50
    groups = {row["group"] for row in newest_checkpoint(path).attributes["fields"]}
    assert {f"pending_spikes/{name}" for name in ("S", "hits")} < groups
    assert {f"stimulus_changes/{name}" for name in ("drive", "gamma", "hits", "noise")} < groups
    for name in ("rewarded", "contrastive"):
        weights = StoreReader(path).weights(name).variables["weight"][:, :]
        assert (np.ptp(weights, axis=0) > 0.1).mean() > 0.3
    assert step.max() == StoreReader(path).complete_step
    return path


@pytest.mark.parametrize(
    "ways",
    [
        [(3, "begin"), (2, "resume")],
        [(4, "whole")],
    ],
)
def test_closed_loop_is_the_same_on_any_ranks(
    alone: Path, tmp_path: Path, ways: list[tuple[int, str]]
) -> None:
    other = tmp_path / "other.zarr"
    for ranks, part in ways:
        run_program(closed_loop.__file__, ranks, other, part)
    assert [len(one.ranks) for one in StoreReader(other).attempts] == [ranks for ranks, _ in ways]
    assert_same(recorded(alone), recorded(other))
    for name in ("digest", "fields", "script_changes"):
        assert (
            newest_checkpoint(alone).attributes[name] == newest_checkpoint(other).attributes[name]
        )
    scripted = ["drive", "push", "S", "rewarded", "contrastive", "noise"]
    scripted += ["wave", "wavy drive", "gamma", "hits"]
    assert StoreReader(other).metadata["script_changes"] == scripted


def test_trials_are_the_same_on_any_ranks_after_a_reset(alone: Path, tmp_path: Path) -> None:
    run_program(closed_loop.__file__, 3, tmp_path / "first.zarr", "again")
    again = tmp_path / "again.zarr"
    assert_same(recorded(alone), recorded(again))
    assert len(StoreReader(again).attempts[0].ranks) == 3
    assert (
        newest_checkpoint(alone).attributes["digest"]
        == newest_checkpoint(again).attributes["digest"]
    )
