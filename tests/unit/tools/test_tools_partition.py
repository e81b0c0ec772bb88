"""Comparison of partitions from Python: values as of the command, errors with keywords."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distsnn import (
    Assignment,
    FixedIndegree,
    IafPscExp,
    InputError,
    Network,
    PoissonInput,
    Population,
    Profile,
    Projection,
    RecordSpikes,
    Simulation,
    StoreError,
    compare_partitions,
    simulate,
)
from distsnn.cli import main
from distsnn.io.network_files import save_network
from distsnn.io.reader import StoreReader

POPULATIONS = [Population(f"area {index}", 128, IafPscExp()) for index in range(3)]
NETWORK = Network(
    POPULATIONS,
    [
        Projection(pre, post, FixedIndegree(5), 1.0, 0.1 if pre is post else 2.0)
        for pre in POPULATIONS
        for post in POPULATIONS
    ],
    [PoissonInput(POPULATIONS[0], 12000.0, 60.0)],
    [RecordSpikes(population) for population in POPULATIONS],
)
RATES = {"area 0": 2.0, "area 1": 5.0, "area 2": 0.5}


def printed(capfd: pytest.CaptureFixture[str], *words: object) -> Any:
    """Return the JSON that a command prints."""
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def test_a_network_has_the_values_of_the_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_network(tmp_path / "network", NETWORK)
    profile, assignment = tmp_path / "profile.json", tmp_path / "assignment.json"
    profile.write_text(json.dumps({"rates": RATES, "cost": {"event": 3.0}}))
    assignment.write_text(json.dumps({"area 0": [0, 1], "area 1": 1, "area 2": 2}))
    words = ("partition", tmp_path / "network", "--rates", profile)
    options = {"ranks": 3, "rank_speeds": [1, 2, 1], "strategy": ["graph", "contiguous"]}
    expected = printed(
        *(capfd, *words, "--ranks", 3, "--rank-speeds", "1,2,1", "--assignment", assignment),
        *("--strategy", "graph", "--strategy", "contiguous"),
    )
    assert [metrics["strategy"] for metrics in expected] == ["given", "graph", "contiguous"]
    given = Assignment(3, np.array([0, 1, 1, 1, 2, 2], np.int32))
    for rates in (profile, Profile(RATES, {"event": 3.0})):
        for owners in (assignment, given):
            metrics = compare_partitions(NETWORK, rates=rates, assignment=owners, **options)
            assert [row.to_dict() for row in metrics] == expected
    (only,) = compare_partitions(NETWORK, strategy="graph")
    assert [only.to_dict()] == printed(capfd, *words[:2], "--strategy", "graph")
    assert only.ranks == 2


def test_a_run_has_the_values_of_the_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run.zarr"
    simulate(NETWORK, 50.0, out=run, partition="contiguous", progress=False)
    metrics = compare_partitions(run)
    assert [row.to_dict() for row in metrics] == printed(capfd, "partition", run)
    assert [(row.kind, row.strategy) for row in metrics[:2]] == [
        ("measured", "contiguous"),
        ("expected", "contiguous"),
    ]
    assert compare_partitions(NETWORK, rates=run)[0].spikes == pytest.approx(metrics[0].spikes)


def test_a_run_that_a_script_changed_is_compared(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.zarr"
    drive = PoissonInput(POPULATIONS[0], 12000.0, 60.0, name="drive")
    driven = Network(POPULATIONS, NETWORK.projections, [drive], NETWORK.recordings)
    with Simulation(driven, out=path) as simulation:
        simulation["drive"].set(rate=9000.0)
        simulation.run(20.0)
    assert StoreReader(path).metadata["script_changes"] == ["drive"]
    metrics = compare_partitions(path)
    assert metrics[0].kind == "measured"
    assert [row.to_dict() for row in metrics] == printed(capfd, "partition", path)


def test_a_run_that_recorded_some_populations_has_the_mean_rate_of_all(tmp_path: Path) -> None:
    whole, some = tmp_path / "whole.zarr", tmp_path / "some.zarr"
    recorded = [RecordSpikes(POPULATIONS[0])]
    few = Network(POPULATIONS, NETWORK.projections, NETWORK.stimuli, recorded)
    simulate(NETWORK, 50.0, out=whole, progress=False)
    simulate(few, 50.0, out=some, progress=False)
    spikes = compare_partitions(whole)[0].spikes
    assert spikes > 0.0
    assert compare_partitions(some)[1].spikes == pytest.approx(spikes)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"ranks": 0}, r"^ranks: out of range; given 0; allowed: an integer >= 1"),
        ({"ranks": 10**6}, r"^ranks: too many ranks .*; allowed: at most 65,536"),
        ({"strategy": "grap"}, r"^strategy: unknown strategy 'grap'.*did you mean 'graph'"),
        ({"rates": "no.json"}, r"^rates no.json: cannot be read"),
        ({"rates": {"area 0": 1.0}}, r"^rates, population 'area 1': the rate is missing"),
        ({"assignment": "no.json"}, r"^assignment no.json: cannot be read"),
        (
            {"assignment": Assignment(2, np.zeros(5, np.int32))},
            r"^assignment: .*; given '2 ranks, 5 blocks'; allowed: 2 ranks, 6 blocks",
        ),
        ({"rank_speeds": [1.0]}, r"field rank_speeds"),
        ({"plot": "no/plot.png"}, r"^plot: cannot be written: .*given 'no/plot.png'"),
    ],
)
def test_an_error_names_the_keyword(
    keywords: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        compare_partitions(NETWORK, **keywords)


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none.zarr: the path does not exist"):
        compare_partitions(tmp_path / "none.zarr")
