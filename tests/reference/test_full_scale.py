"""Slow validation: the microcircuit at full density on two ranks, beside NEST's rates.

Each seed wires another network, and L23E's rate varies by 2 % between them: four are averaged.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from distsnn.analysis import open_run
from distsnn.examples.microcircuit import POPULATIONS, build
from distsnn.simulation import simulate

STATISTICS = Path(__file__).parent / "data" / "pd14_nest_stats.json"
NEST = json.loads(STATISTICS.read_text())["scale_1.0"]
WARMUP_MS, TIME_MS, SEEDS = 500.0, 3500.0, (1, 2, 3, 4)


@pytest.mark.validation
@pytest.mark.timeout(1800)  # CI gives it one core, which it shares
def test_full_density_rates_within_5_percent(tmp_path: Path) -> None:
    rates = []
    for seed in SEEDS:
        path = tmp_path / f"{seed}.zarr"
        summary = simulate(build(), TIME_MS, seed=seed, ranks=2, out=path, progress=False)
        assert (summary.neurons, summary.synapses) == (77_169, 298_880_968)
        run, window = open_run(path), {"start": WARMUP_MS, "stop": TIME_MS}
        rates.append([float(run.rates(name, **window).mean()) for name in POPULATIONS])
    for name, rate in zip(POPULATIONS, np.mean(rates, axis=0), strict=True):
        assert rate == pytest.approx(NEST["populations"][name]["rate"], rel=0.05), name
