"""Tables of connections of a recorded run beside those of its simulation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import thread_ranks
from own_rules import TAGGED

from distsnn.analysis import open_run
from distsnn.errors import DescriptionError
from distsnn.network import (
    ConnectionFile,
    ConnectionList,
    DopamineSTDP,
    FixedIndegree,
    IafPscDelta,
    Network,
    Normal,
    PairwiseBernoulli,
    PoissonInput,
    Population,
    Projection,
    RecordWeights,
    Tsodyks2,
    Uniform,
)
from distsnn.simulation import Simulation

SEED = 4
E, INH = Population("E", 300, IafPscDelta()), Population("I", 70, IafPscDelta())
DRIVE = PoissonInput(E, 2000.0, 1.5)
STATIC = ["drawn", "bernoulli", "listed", "file"]


def network(folder: Path, *recordings: RecordWeights) -> Network:
    """Return a network with static, scaled and plastic projections."""
    draw = np.random.default_rng(2)
    path = folder / "edges.npz"
    if not path.exists():
        edges = {"sources": draw.integers(0, 300, 500), "targets": draw.integers(0, 70, 500)}
        np.savez(path, **edges, weights=draw.normal(0.0, 0.03, 500), delays=np.full(500, 0.7))
    listed = ConnectionList([5, 5, 5, 299, 0], [9, 9, 9, 69, 1])
    file = ConnectionFile(path, weights="weights", delays="delays")
    later = Uniform(0.3, 2.0)
    return Network(
        [E, INH],
        [
            Projection(E, E, FixedIndegree(5), Normal(0.05, 0.1), later, name="drawn"),
            Projection(E, INH[5:], PairwiseBernoulli(0.05), 0.1, later, name="bernoulli"),
            Projection(E, INH, listed, Normal(0.0, 0.1), later, name="listed"),
            Projection(E, INH, file, name="file"),
            Projection(E, E, FixedIndegree(3), 0.4, 1.0, synapse=Tsodyks2(tau_fac=50.0), name="S"),
            Projection(E, E, FixedIndegree(4), 0.5, 1.5, synapse=TAGGED(w_max=1.0), name="L"),
            Projection(
                *(E[10:], INH, FixedIndegree(4), 0.5, 1.5),
                synapse=DopamineSTDP(w_max=1.0, tau_c=50.0),
                name="D",
            ),
        ],
        [DRIVE],
        [*recordings],
    )


def made(folder: Path, ranks: int, script: Any, *recordings: RecordWeights) -> tuple[Path, Any]:
    """Return the store of a run on some ranks, and what a script returned on rank 0."""
    path, described = folder / f"run{ranks}", network(folder, *recordings)

    def work(communicator: Any) -> Any:
        settings: dict[str, Any] = {"seed": SEED, "communicator": communicator, "out": path}
        with Simulation(described, **settings) as simulation:
            return script(simulation)

    results, _ = thread_ranks.run(ranks, work)
    return path, results[0]


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_static_connections_are_drawn_again(tmp_path: Path, ranks: int) -> None:
    def script(simulation: Simulation) -> dict[str, np.ndarray]:
        simulation.run(1.0)
        tables = {name: simulation[name].connections() for name in STATIC}
        return tables | {"part": simulation["drawn"].connections(E[50:90], E[:100])}

    path, tables = made(tmp_path, ranks, script)
    run = open_run(path)
    for name in STATIC:
        np.testing.assert_array_equal(run.connections(name), tables[name])
    for described in network(tmp_path).projections[:4]:
        named = run.connections(described)
        np.testing.assert_array_equal(named, tables[str(described.name)])
    unnamed = run.connections(Projection(E, INH[5:], PairwiseBernoulli(0.05)))
    np.testing.assert_array_equal(unnamed, tables["bernoulli"])
    with pytest.raises(DescriptionError, match=r"connections, run .*: 2 projections connect these"):
        run.connections(Projection(E, INH, FixedIndegree(4)))
    part = run.connections("drawn", E[50:90], E[:100])
    np.testing.assert_array_equal(part, tables["part"])
    assert 0 < part.size < tables["drawn"].size
    scaled = run.connections("S")
    assert scaled.dtype.names == ("source", "target", "weight", "delay")
    assert scaled.size == 900


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_checkpoint_has_all_states(tmp_path: Path, ranks: int) -> None:
    names = ["S", "L", "D", "listed"]

    def script(simulation: Simulation) -> Any:
        simulation["listed"].weights = [0.5, 0.25, -0.125, 0.0, 0.5]
        simulation["D"].signal = 0.3
        simulation.run(60.0)
        simulation.save()
        tables = {name: simulation[name].connections() for name in names}
        simulation.run(5.0)
        return tables

    path, tables = made(tmp_path, ranks, script)
    run = open_run(path)
    for name in names:
        np.testing.assert_array_equal(run.connections(name, at=62.0), tables[name])
    inside = tables["L"]["target"] < 30
    np.testing.assert_array_equal(run.connections("L", target=E[:30]), tables["L"][inside])
    assert run.connections("S", at=59.0).dtype.names == ("source", "target", "weight", "delay")
    with pytest.raises(DescriptionError, match="no weights of all these synapses up to 59 ms"):
        run.connections("L", at=59.0)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_recorded_weights_are_those_of_a_sample(tmp_path: Path, ranks: int) -> None:
    def script(simulation: Simulation) -> Any:
        simulation.run(40.0)
        early = {name: simulation[name].connections() for name in "LD"}
        simulation.run(20.0)
        return early, {name: simulation[name].connections() for name in "LD"}

    recordings = (
        RecordWeights("L", 20.0, ["weight", "tag"]),
        RecordWeights("D", 20.0, targets=INH[:20]),
        RecordWeights("D", 20.0, synapses=50, name="first"),
    )
    path, (early, late) = made(tmp_path, ranks, script, *recordings)
    run = open_run(path)
    fields = ["source", "target", "weight", "delay", "tag"]
    for found, table in ((run.connections("L", at=55.0), early), (run.connections("L"), late)):
        assert found.dtype.names == tuple(fields)
        for name in fields:
            np.testing.assert_array_equal(found[name], table["L"][name])
    assert not np.array_equal(early["L"]["weight"], late["L"]["weight"])
    part, whole = run.connections("D", target=INH[2:20]), late["D"]
    inside = (whole["target"] >= 302) & (whole["target"] < 320)
    for name in fields[:4]:
        np.testing.assert_array_equal(part[name], whole[name][inside])
    with pytest.raises(DescriptionError, match=r"the projection is plastic; hint: record them"):
        run.connections("D")
    with pytest.raises(DescriptionError, match=r"up to 19\.9 ms"):
        run.connections("L", at=19.9)


def test_the_newest_values_count_also_after_a_resume(tmp_path: Path) -> None:
    def script(simulation: Simulation) -> None:
        simulation.run(30.0)
        simulation.save()

    path, _ = made(tmp_path, 2, script, RecordWeights("L", 20.0))
    with Simulation.resume(path) as simulation:
        saved = simulation["L"].connections()
        simulation.run(10.0)
        last = simulation["L"].connections()
    run = open_run(path)
    np.testing.assert_array_equal(run.connections("L", at=35.0), saved)
    newest = run.connections("L")
    np.testing.assert_array_equal(newest["weight"], last["weight"])
    assert newest.dtype.names == ("source", "target", "weight", "delay")


def test_what_the_store_does_not_have_is_refused(tmp_path: Path) -> None:
    def script(simulation: Simulation) -> None:
        simulation["listed"].weights = 0.5
        simulation.run(1.0)

    run = open_run(made(tmp_path, 1, script)[0])
    with pytest.raises(DescriptionError, match=r"script .*; hint: save a checkpoint"):
        run.connections("listed")
    with pytest.raises(DescriptionError, match=r"unknown projection 'drawm'.*'drawn'"):
        run.connections("drawm")
    with pytest.raises(DescriptionError, match="does not reach these neurons"):
        run.connections("drawn", INH)
    assert run.connections("drawn").size == 1500
