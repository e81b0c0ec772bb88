"""A run that goes on is partitioned as it was, as far as its ranks allow."""

from pathlib import Path

import numpy as np
import pytest

from distsnn.errors import DescriptionError, StoreError
from distsnn.io.reader import StoreReader
from distsnn.io.zarr_nodes import open_group, open_root, write_attributes
from distsnn.network import Network
from distsnn.partition.assignment import Assignment
from distsnn.partition.graph import Graph
from distsnn.simulation import Simulation
from distsnn.simulation.job import partition_for_resume

RATES = {"E": np.linspace(1.0, 3.0, 150), "I": 7.0, "S": 1.0}


def recorded(network: Network, path: Path, partition: str | Assignment | Graph) -> StoreReader:
    with Simulation(network, out=path, partition=partition) as simulation:
        simulation.run(0.5)
        simulation.save()
    return StoreReader(path)


def test_settings_of_graph_are_stored(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "run.zarr"
    recorded(network, path, Graph(RATES, imbalance=0.1))
    with Simulation.restore(path, out=path) as simulation:
        simulation.run(0.5)
        simulation.save()
    reader = StoreReader(path)
    assert len(reader.attempts) == 2
    same = partition_for_resume(reader, 1)
    assert isinstance(same, Assignment)
    assert (same.ranks, same.strategy) == (1, "graph")
    other = partition_for_resume(reader, 3)
    assert isinstance(other, Graph)
    assert other.rates == {"E": pytest.approx(2.0), "I": 7.0, "S": 1.0}  # means of neurons
    assert (other.imbalance, other.quality, other.rank_speeds) == (0.1, "fast", None)
    with Simulation.restore(path, out=path, partition="contiguous"):
        pass
    assert partition_for_resume(StoreReader(path), 3) == "contiguous"


def test_shares_are_for_as_many_ranks(network: Network, tmp_path: Path) -> None:
    reader = recorded(network, tmp_path / "run.zarr", Graph(rank_speeds=[2.0]))
    made = partition_for_resume(reader, 1)
    assert isinstance(made, Assignment)
    assert made.settings["rank_speeds"] == [2.0]
    with pytest.raises(DescriptionError, match=r"rank speeds were given for 1 rank.*2 ranks"):
        partition_for_resume(reader, 2)


def test_other_strategies_are_kept(network: Network, tmp_path: Path) -> None:
    reader = recorded(network, tmp_path / "named.zarr", "population")
    assert partition_for_resume(reader, 5) == "population"
    given = Assignment(1, np.zeros(5, np.int32))
    reader = recorded(network, tmp_path / "given.zarr", given)
    with pytest.raises(DescriptionError, match="the assignment was given for 1 rank"):
        partition_for_resume(reader, 2)


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"owner": "x"},
            {"owner": [5]},
            {"owner": ["x"]},
            {"settings": {"rank_speeds": [1.0, 1.0]}},
        ),
        *({"groups": [2]}, {"groups": "x"}, {"groups": [1.0]}, {"groups": [True]}),
    ],
)
def test_damage_is_reported(network: Network, tmp_path: Path, change: dict) -> None:
    reader = recorded(network, tmp_path / "run.zarr", "graph")
    group = open_group(open_root(reader.path, writable=True), "attempt000")
    assert group is not None
    write_attributes(group, {"assignment": reader.attempts[0].assignment | change})
    with pytest.raises(StoreError, match="corrupt: assignment"):
        partition_for_resume(StoreReader(reader.path), 2)


def test_runs_from_before_there_were_groups_go_on(network: Network, tmp_path: Path) -> None:
    reader = recorded(network, tmp_path / "run.zarr", "contiguous")
    about = dict(reader.attempts[0].assignment)
    assert about.pop("groups") == []
    group = open_group(open_root(reader.path, writable=True), "attempt000")
    assert group is not None
    write_attributes(group, {"assignment": about})
    made = partition_for_resume(StoreReader(reader.path), 1)
    assert isinstance(made, Assignment)
    assert made.groups == ()
