"""The microcircuit's activity beside NEST's: means over our seeds within its spread over seeds."""

import json
from pathlib import Path

import numpy as np
import pytest

from distsnn.analysis import open_run
from distsnn.comm import SingleProcess
from distsnn.examples.microcircuit import POPULATIONS, build
from distsnn.simulation import Simulation

STATISTICS = Path(__file__).parent / "data" / "pd14_nest_stats.json"
NEST = json.loads(STATISTICS.read_text())["scale_0.1"]
SEEDS = (1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def statistics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[float]]]:
    """Return rate, cv and cc of each population for each seed."""
    folder = tmp_path_factory.mktemp("microcircuit")
    found: dict[str, dict[str, list[float]]] = {
        name: {"rate": [], "cv": [], "cc": []} for name in POPULATIONS
    }
    network = build(scale=0.1)
    begin, end = NEST["warmup_ms"], NEST["warmup_ms"] + NEST["time_ms"]
    for seed in SEEDS:
        path = folder / f"seed{seed}.zarr"
        with Simulation(network, seed=seed, out=path, communicator=SingleProcess()) as simulation:
            simulation.run(end)
        run = open_run(path)
        for name in POPULATIONS:
            window = {"start": begin, "stop": end}
            found[name]["rate"].append(float(run.rates(name, **window).mean()))
            found[name]["cv"].append(float(run.cv(name, **window, min_isis=5).mean()))
            pairs = run.correlations(name, **window, bin_ms=2.0, neurons=250)
            matrix = np.asarray(pairs)
            upper = matrix[np.triu_indices(len(matrix), 1)]
            found[name]["cc"].append(float(np.nanmean(upper)))
    return found


@pytest.mark.parametrize("quantity", ["rate", "cv", "cc"])
@pytest.mark.parametrize("population", POPULATIONS)
def test_mean_over_seeds_within_nests_spread(
    population: str, quantity: str, statistics: dict[str, dict[str, list[float]]]
) -> None:
    nest = NEST["populations"][population][quantity]
    ours = float(np.mean(statistics[population][quantity]))
    assert abs(ours - nest["mean"]) <= 3.0 * nest["sd"], (ours, nest)
