"""NEST's benchmark with plastic synapses: rates and weights within NEST's spread over seeds.

At half the size and half the indegrees, so that a seed takes seconds. Later the network becomes
synchronous and its weights grow, in NEST as here, and seeds differ by more than a test could use.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from distsnn.analysis import open_run
from distsnn.comm import SingleProcess
from distsnn.examples.hpc_benchmark import build
from distsnn.simulation import Simulation

NEST = json.loads((Path(__file__).parent / "data" / "hpc_nest_stats.json").read_text())
BEGIN, END = NEST["warmup_ms"], NEST["warmup_ms"] + NEST["time_ms"]
SEEDS = (1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def statistics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """Return rates of both populations, and moments and quantiles of what learns, by seed."""
    folder = tmp_path_factory.mktemp("hpc")
    network = build(scale=NEST["scale"], density=NEST["density"])
    found: dict[str, list[float]] = {name: [] for name in NEST["statistics"]}
    for seed in SEEDS:
        path = folder / f"{seed}.zarr"
        with Simulation(network, seed=seed, out=path, communicator=SingleProcess()) as simulation:
            simulation.run(END)
            weights = simulation["E->E"].weights
        found["weight mean"].append(float(weights.mean()))
        found["weight sd"].append(float(weights.std()))
        for percent in (5, 50, 95):
            found[f"weight {percent} %"].append(float(np.percentile(weights, percent)))
        run = open_run(path)
        for name in "EI":
            rates = run.rates(name, start=BEGIN, stop=END)
            found[f"rate {name}"].append(float(rates.mean()))
    return found


@pytest.mark.validation
@pytest.mark.timeout(1800)  # CI gives it one core, which it shares
@pytest.mark.parametrize("quantity", NEST["statistics"])
def test_mean_over_seeds_within_nests_spread(
    quantity: str, statistics: dict[str, list[float]]
) -> None:
    nest = NEST["statistics"][quantity]
    difference = float(np.mean(statistics[quantity])) - nest["mean"]
    # of two means over seeds
    sd = nest["sd"] * np.sqrt(1 / len(SEEDS) + 1 / NEST["seeds"])
    assert abs(difference) <= 3.0 * sd, (statistics[quantity], nest)
