"""Slow validation: the memory of ranks, as expected from the description and as measured."""

import json
from pathlib import Path

import pytest

from distsnn.cli import main
from distsnn.examples import brunel, hpc_benchmark, microcircuit
from distsnn.network import Network
from distsnn.simulation import simulate


@pytest.mark.validation
@pytest.mark.parametrize(
    "network",
    [microcircuit.build(0.1), brunel.build(), hpc_benchmark.build()],
    ids=["microcircuit", "brunel", "plastic"],
)
def test_memory_within_10_percent(
    network: Network, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.zarr"
    for _ in range(2):  # compiling kernels, the first time, takes memory of its own
        simulate(network, 50.0, ranks=2, out=path, overwrite=True, progress=False)
    capfd.readouterr()
    assert main(["partition", str(path), "--strategy", "round_robin", "--json"]) == 0
    measured, expected, _ = json.loads(capfd.readouterr().out)
    assert (measured["kind"], expected["kind"]) == ("measured", "expected")
    assert expected["memory_bytes"] == pytest.approx(measured["memory_bytes"], rel=0.1)
