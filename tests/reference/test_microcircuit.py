"""The microcircuit's activity beside NEST's: means over seeds, by their standard error."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from distsnn.analysis import open_run
from distsnn.comm import SingleProcess
from distsnn.examples.microcircuit import POPULATIONS, build
from distsnn.simulation import Simulation

STATISTICS = Path(__file__).parent / "data" / "pd14_nest_stats.json"
NEST = json.loads(STATISTICS.read_text())["scale_0.1"]
SEEDS = (1, 2, 3, 4, 5)
QUANTITIES = ("rate", "cv", "cc")
# Both simulators have the same means: how probable it is that any comparison says otherwise.
CHANCE = 0.01

pytestmark = pytest.mark.validation


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


def difference(ours: list[float], mean: float, sd: float, n: int) -> float:
    """Return the difference of two means by its standard error: t of n + len(ours) - 2 degrees.

    The standard error is that of means over seeds, with the variance of both simulators pooled.
    """
    spread = (len(ours) - 1) * np.var(ours, ddof=1) + (n - 1) * sd**2
    variance = spread / (len(ours) + n - 2)
    return float((np.mean(ours) - mean) / np.sqrt(variance * (1.0 / len(ours) + 1.0 / n)))


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("population", POPULATIONS)
def test_mean_over_seeds_is_nests(
    population: str, quantity: str, statistics: dict[str, dict[str, list[float]]]
) -> None:
    nest, ours = NEST["populations"][population][quantity], statistics[population][quantity]
    found = difference(ours, nest["mean"], nest["sd"], NEST["seeds"])
    comparisons = len(POPULATIONS) * len(QUANTITIES)
    largest = t.ppf(1.0 - CHANCE / (2 * comparisons), len(ours) + NEST["seeds"] - 2)
    assert abs(found) <= largest, (ours, nest)


def test_a_difference_of_three_standard_errors_and_more_is_found() -> None:
    # the means of these differ by 5 standard errors, and by 2.7 deviations of single runs
    ours, deviation = [0.0, 1.0, 2.0, 3.0, 4.0], np.sqrt(2.5)
    mean = 2.0 - 5.0 * deviation * np.sqrt(1 / 5 + 1 / 10)
    assert difference(ours, mean, deviation, 10) == pytest.approx(5.0)
    assert t.ppf(1.0 - CHANCE / (2 * 24), 13) < 5.0
