"""What a campaign of kills counts."""

import argparse
from pathlib import Path

import pytest

from distsnn.network import IafPscExp, Network, Normal, Population, RecordSpikes
from distsnn.simulation import RunPolicy, Simulation


def test_stores_with_other_states_or_recording_intervals_are_counted(tmp_path: Path) -> None:
    import kills

    def run(name: str, seed: int, spikes: bool = True) -> Path:
        # all potentials stay far below the threshold: no recording tells the states apart
        cells = Population("E", 70, IafPscExp(), {"V_m": Normal(-65.0, 0.5)})
        network, out = Network([cells], recordings=[RecordSpikes(cells)]), tmp_path / name
        policy = RunPolicy(checkpoint_every=1.0)
        with Simulation(network, seed=seed, out=out, policy=policy) as simulation:
            simulation.run(1.0)
            simulation["E"].record["spikes"] = spikes
            simulation.run(1.0)
        return out

    whole = run("whole.zarr", 1)
    others = [(run("same.zarr", 1), 0), (run("other.zarr", 2), 1), (run("off.zarr", 1, False), 1)]
    for other, different in others:
        result = kills.Result()
        kills.compare(other, whole, result)
        assert (result.lost, result.duplicated, result.different) == (0, 0, different)


def test_runs_of_an_earlier_campaign_are_not_compared_with(tmp_path: Path) -> None:
    import kills

    (tmp_path / "whole").mkdir()
    with pytest.raises(SystemExit, match="holds runs of an earlier campaign"):
        kills.campaign(tmp_path, argparse.Namespace())
