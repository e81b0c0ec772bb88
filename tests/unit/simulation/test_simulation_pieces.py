"""One run in any number of pieces records the same, byte for byte."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from recorded import assert_same, recorded

from distsnn.io.reader import StoreReader
from distsnn.network import (
    AllToAll,
    IafPscDelta,
    Network,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeSource,
)
from distsnn.simulation import Simulation, recorder

TOTAL = 80.0


def run(network: Network, path: Path, pieces: Iterable[float], **options: object) -> Path:
    with Simulation(network, seed=5, out=path, **options) as simulation:
        for piece in pieces:
            simulation.run(piece)
    return path


@pytest.fixture(scope="module")
def whole(network: Network, tmp_path_factory: pytest.TempPathFactory) -> dict:
    found = recorded(run(network, tmp_path_factory.mktemp("whole") / "run.zarr", [TOTAL]))
    assert found["spikes step"].size > 500
    assert found["E_3_9 steps"].tolist() == list(range(3, 801, 3))
    assert found["I steps"].tolist() == list(range(1, 801))
    return found


@pytest.mark.parametrize(
    "pieces",
    [
        [40.0, 40.0],
        # ends inside an epoch (25 steps), one step, nothing at all, one step short of an epoch
        [0.1, 0.0, 2.4, 7.3, 0.1, 0.2, 29.9, 2.5, 37.5],
        [0.1] * 30 + [77.0],
        [13.7] * 5 + [11.5],
    ],
    ids=["halves", "odd", "single steps", "sevens"],
)
@pytest.mark.parametrize("delivery", ["pull", "push"])
def test_several_run_calls_record_what_one_does(
    network: Network, whole: dict, tmp_path: Path, pieces: list[float], delivery: str
) -> None:
    assert sum(pieces) == pytest.approx(TOTAL)
    assert_same(whole, recorded(run(network, tmp_path / "run.zarr", pieces, delivery=delivery)))


@pytest.mark.parametrize("storage", ["packed", "explicit"])
@pytest.mark.parametrize("partition", ["round_robin", "contiguous"])
def test_storage_and_partition_do_not_show(
    network: Network, whole: dict, tmp_path: Path, storage: str, partition: str
) -> None:
    path = run(network, tmp_path / "run.zarr", [TOTAL], storage=storage, partition=partition)
    assert_same(whole, recorded(path))


def test_store_tells_time_and_hash_after_every_second(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.zarr"
    monkeypatch.setattr(recorder, "_TELLING_S", 1e9)
    with Simulation(network, seed=5, out=path) as simulation:
        simulation.run(12.3)
        assert simulation.time_ms == pytest.approx(12.3)
        assert StoreReader(path).metadata["target_steps"] == 123
        simulation.run(0.2)
        assert StoreReader(path).metadata["target_steps"] == 123
        simulation.save()
        assert StoreReader(path).metadata["target_steps"] == 125
        simulation._output.recorder._tell_from = 0.0  # the second has passed
        simulation.run(0.1)
        assert StoreReader(path).metadata["target_steps"] == 126
        simulation.run(0.1)
        assert StoreReader(path).metadata["target_steps"] == 126
        assert not StoreReader(path).complete
    reader = StoreReader(path)
    assert reader.complete
    assert reader.metadata["target_steps"] == reader.complete_step == 127
    assert (
        reader.spike_hash() == StoreReader(run(network, tmp_path / "b.zarr", [12.7])).spike_hash()
    )


def test_delay_longer_than_many_pieces(tmp_path: Path) -> None:
    # A spike that is under way for 300 ms, over pieces of the engine (10 ms) and the user (7 ms).
    source = Population("S", 2, SpikeSource([1.0, 1.3], [0, 1]))
    target = Population("T", 3, IafPscDelta(E_L=0.0, V_reset=0.0, V_th=10.0, tau_m=1e6))
    network = Network(
        [source, target],
        [Projection(source, target, AllToAll(), weight=6.0, delay=300.0)],
        recordings=[RecordSpikes(source), RecordSpikes(target), RecordState(target, "V_m")],
    )
    for pieces in ([320.0], [7.0] * 45 + [5.0]):
        path = run(network, tmp_path / f"{len(pieces)}.zarr", pieces)
        reader = StoreReader(path)
        v = reader.state("T").variables["V_m"].load(0, 3200)
        # stamped 10, under way for 3000 steps, felt at step 3010: row 3009
        assert (v[:3009] == 0.0).all()
        np.testing.assert_allclose(v[3009:3012], 6.0, rtol=1e-4)
        # the second one, 3 steps later, takes all three neurons over the threshold
        assert (v[3012:] == 0.0).all()
        step, gid = reader.spikes()
        assert list(zip(step.tolist(), gid.tolist(), strict=True)) == [
            (10, 0),
            (13, 1),
            (3013, 2),
            (3013, 3),
            (3013, 4),
        ]
