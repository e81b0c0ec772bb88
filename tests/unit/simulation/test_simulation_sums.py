"""Recorded sums and means over neurons: the same on any ranks, and those of all recorded values."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import assert_same, recorded
from thread_ranks import run as run_ranks

from distsnn import open_run
from distsnn.analysis import write_report
from distsnn.cli.main import main
from distsnn.comm import Communicator
from distsnn.errors import DescriptionError, RankError, RecordingError, StoreError
from distsnn.io.fixed_sums import fixed_sums, from_fixed
from distsnn.io.reader import StoreReader
from distsnn.io.sum_reader import SumRecording
from distsnn.io.summary import read_run_info
from distsnn.io.zarr_nodes import open_root, write_attributes
from distsnn.network import (
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    RecordSpikes,
    RecordState,
    Uniform,
)
from distsnn.simulation import RunPolicy, Simulation

VARIABLES = ["V_m", "I_syn_ex", "refractory"]
TIME = 20.0


def network() -> Network:
    start = {"V_m": Uniform(-70.0, -52.0)}
    levels = np.linspace(-72.0, -63.0, 210)
    e = Population("E", 210, IafPscExp(E_L=levels, V_th=-52.0), start)
    i = Population("I", 90, IafPscExp(V_th=-52.0), start, precision="float64")
    chosen = e[::3]
    return Network(
        [e, i],
        [],
        [PoissonInput(one, 9000.0, 40.0) for one in (e, i)],
        [
            RecordSpikes(e),
            RecordState(e, VARIABLES, name="all"),
            RecordState(e, VARIABLES, name="sum", reduce="sum"),
            RecordState(chosen, "V_m", interval=0.7, name="mean", reduce="mean"),
            RecordState(i, "V_m", interval=0.3, name="fine"),
            RecordState(i, ["V_m"], interval=0.3, name="fine mean", reduce="mean"),
        ],
    )


def simulated(path: Path, **given: Any) -> Path:
    quiet = RunPolicy(heartbeat_timeout=np.inf)
    with Simulation(network(), seed=3, out=path, policy=quiet, **given) as simulation:
        for length in (7.3, TIME - 7.3):
            simulation.run(length)
    return path


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("sums") / "alone.zarr")


def test_sums_and_means_are_those_of_all_recorded_values(alone: Path) -> None:
    reader = StoreReader(alone)
    every = {name: reader.state(name) for name in reader.state_names}
    for variable in VARIABLES:
        values = np.asarray(every["all"].variables[variable][:, :])
        found = every["sum"].variables[variable]
        assert found.dtype == np.float64
        assert found.shape == (200,)
        assert found[:].tolist() == from_fixed(fixed_sums(values)).tolist()
        summed = values.astype(np.float64).sum(axis=1)
        np.testing.assert_allclose(found[:], summed, rtol=1e-14, atol=210 * 2.0**-44)
        assert np.ptp(summed) > 0
    mean, fine = every["mean"], every["fine mean"]
    assert mean.neurons.tolist() == [*range(0, 210, 3)]
    assert mean.steps.tolist() == [*range(7, 201, 7)]
    v = np.asarray(every["all"].variables["V_m"][:, :], np.float64)[mean.steps - 1][:, ::3]
    np.testing.assert_allclose(mean.variables["V_m"][:], v.mean(axis=1), rtol=1e-14)
    v = every["fine"].variables["V_m"][:, :]
    assert v.dtype == np.float64
    np.testing.assert_allclose(fine.variables["V_m"][:], v.mean(axis=1), rtol=4e-16, atol=2.0**-44)
    assert fine.variables["V_m"][3::5].tolist() == fine.variables["V_m"][:][3::5].tolist()
    assert fine.variables["V_m"][4] == fine.variables["V_m"][:][4]


@pytest.mark.parametrize(
    ("ranks", "partition"),
    [(2, "contiguous"), (2, "population"), (3, "round_robin"), (5, "graph")],
)
def test_sums_are_the_same_on_any_ranks(
    alone: Path, tmp_path: Path, ranks: int, partition: str
) -> None:
    path = tmp_path / "run.zarr"

    def work(communicator: Communicator) -> None:

        simulated(path, communicator=communicator, partition=partition)

    assert run_ranks(ranks, work) == ([None] * ranks, None)
    attempt = StoreReader(path).attempts[0]
    summed = [rank.states["sum"].n_summed for rank in attempt.ranks]
    assert sum(summed) == 210 and (max(summed) < 210 or partition == "population")
    assert_same(recorded(alone), recorded(path))


def test_resumed_run_has_the_sums_of_the_whole(alone: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.zarr"

    def begin(communicator: Communicator) -> None:
        quiet = RunPolicy(heartbeat_timeout=np.inf)
        given = {"communicator": communicator, "policy": quiet}
        with Simulation(network(), seed=3, out=path, **given) as simulation:
            simulation.run(7.3)
            simulation.save()
            simulation.run(4.0)

    assert run_ranks(3, begin) == ([None] * 3, None)
    with Simulation.resume(path, network=network()) as simulation:
        assert simulation.time_ms == pytest.approx(7.3)
        simulation.run(TIME - 7.3)
    assert len(StoreReader(path).attempts) == 2
    assert_same(recorded(alone), recorded(path))


def test_opened_run_has_the_dimension_time(alone: Path, tmp_path: Path) -> None:
    run = open_run(alone)
    found = run.state("mean")
    assert found.sizes == {"time": 28}
    assert found.attrs == {"population": "E", "recording": "mean", "reduce": "mean", "neurons": 70}
    assert found.V_m.units == "mV"
    assert found.V_m.long_name.startswith("mean of ")
    expected = StoreReader(alone).state("mean").variables["V_m"][:]
    assert found.V_m.values.tolist() == expected.tolist()
    assert found.V_m[3:9:2].values.tolist() == expected[3:9:2].tolist()
    text = write_report(alone, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "mean: mean over 70 neurons of E, 28 rows; shown: the last 28 rows." in text
    assert main(["info", str(alone)]) == 0
    assert read_run_info(alone).complete


def bad(value: float, others: float = -60.0) -> Network:
    first = np.full(200, others)
    first[150] = value
    cells = Population("E", 200, IafPscExp(), {"I_syn_ex": first})
    return Network([cells], [], [], [RecordState(cells, "I_syn_ex", 0.5, "LFP", reduce="sum")])


@pytest.mark.parametrize("ranks", [1, 3])
def test_value_that_cannot_be_summed_ends_the_run_on_all_ranks(tmp_path: Path, ranks: int) -> None:
    def work(communicator: Communicator) -> None:
        quiet = RunPolicy(heartbeat_timeout=np.inf)
        given = {"out": tmp_path / "run.zarr", "communicator": communicator, "policy": quiet}
        with Simulation(bad(1e15), **given) as simulation:
            simulation.run(20.0)

    errors, _ = run_ranks(ranks, work)
    assert len(errors) == ranks
    pattern = (
        r"'LFP': I_syn_ex of gid 150 is 778800849747968.0 at step 5 and cannot be summed; allowed: "
        r"finite values up to 5.6295e\+12"
    )
    for error in errors:
        with pytest.raises((RecordingError, RankError), match=pattern):
            raise error
    status = read_run_info(tmp_path / "run.zarr").status
    assert any("cannot be summed" in one for one in status)
    found = StoreReader(tmp_path / "run.zarr").state("LFP")
    assert found.steps.size == 0
    with Simulation(bad(1e12), out=tmp_path / "good.zarr") as simulation:
        simulation.run(1.0)
    values = StoreReader(tmp_path / "good.zarr").state("LFP").variables["I_syn_ex"][:]
    assert (values > 1e11).all()


def test_unknown_reductions_are_refused() -> None:
    with pytest.raises(DescriptionError, match=r"recording 'E', field reduce.*did you mean 'mean'"):
        RecordState("E", "V_m", reduce="means")  # type: ignore[arg-type]
    one = network()
    assert Network.from_dict(*one.to_dict()) == one
    described = json.dumps(one.to_dict()[0])
    assert [described.count(f'"reduce": "{one}"') for one in ("sum", "mean")] == [1, 2]
    assert described.count('"reduce"') == 3  # stores of other networks are as before


def test_corrupt_sums_are_refused(tmp_path: Path) -> None:
    path = simulated(tmp_path / "run.zarr")
    group = open_root(path, writable=True)["attempt000/rank0000/state/sum"]
    assert isinstance(StoreReader(path).state("sum"), SumRecording)
    write_attributes(group, {"neurons": 209})
    with pytest.raises(StoreError, match=r"the ranks sum 209 neurons .* must be 210"):
        StoreReader(path).state("sum")
    write_attributes(group, {"neurons": 210})
    group["quantum"][1] = 2.0**-42
    with pytest.raises(StoreError, match="quantum must be"):
        StoreReader(path).state("sum")


def test_sums_of_a_rank_that_is_lost_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "run.zarr"
    run_ranks(2, lambda communicator: simulated(path, communicator=communicator))
    shutil.rmtree(path / "attempt000/rank0001/state/sum")
    run = open_run(path, partial=True)
    assert run.missing
    lost, kept = run.state("sum"), run.state("mean")
    assert lost.sizes == {"time": 200}
    assert np.isnan(lost.V_m.values).all()
    assert np.isfinite(kept.V_m.values).all()
