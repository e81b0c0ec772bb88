"""Slow validation: the microcircuit at full density on two ranks, beside NEST's rates."""

import json
from pathlib import Path

import pytest

from distsnn.analysis import open_run
from distsnn.examples.microcircuit import POPULATIONS, build
from distsnn.simulation import simulate

NEST = json.loads((Path(__file__).parent / "data" / "pd14_nest_stats.json").read_text())["scale_1.0"]
WARMUP_MS, TIME_MS = 500.0, 5500.0


@pytest.mark.validation
@pytest.mark.timeout(600)
def test_full_density_rates_within_5_percent(tmp_path: Path) -> None:
    summary = simulate(build(), TIME_MS, ranks=2, out=tmp_path / "run.zarr", progress=False)
    assert (summary.neurons, summary.synapses) == (77_169, 298_880_968)
    run = open_run(tmp_path / "run.zarr")
    for name in POPULATIONS:
        rate = float(run.rates(name, start=WARMUP_MS, stop=TIME_MS).mean())
        assert rate == pytest.approx(NEST["populations"][name]["rate"], rel=0.05), name
