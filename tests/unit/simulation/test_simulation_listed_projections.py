"""Runs with projections between neurons that are not consecutive, on any ranks and as lists."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import thread_ranks
from recorded import assert_same, recorded, state_digest

from distsnn.analysis import open_run
from distsnn.comm import Communicator
from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    STDP,
    AllToAll,
    ConnectionFile,
    ConnectionList,
    DopamineSTDP,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscExp,
    Network,
    NormaliseWeights,
    OneToOne,
    PairwiseBernoulli,
    PoissonInput,
    Population,
    PopulationView,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
    SynapticScaling,
    Tsodyks2,
    Uniform,
)
from distsnn.simulation import RunPolicy, Simulation, connection_access

SEED = 3
E, INH = Population("E", 200, IafPscExp()), Population("I", 130, IafPscExp())
MASK = np.isin(np.arange(200), [0, 63, 64, *range(70, 110, 3), *range(130, 199)])
RARE = INH[[1, 5, 64, 99, 128, 129]]
N_MASK = int(MASK.sum())


def projections(folder: Path) -> list[Projection]:
    """Return static, scaled and plastic projections with weights that any quantum represents."""
    path, draw = folder / "edges.npz", np.random.default_rng(5)
    if not path.exists():
        edges = {"sources": draw.integers(0, 100, 300), "targets": draw.integers(0, N_MASK, 300)}
        np.savez(path, **edges, delays=np.full(300, 0.7))
    later = Uniform(0.5, 4.0)
    depressing = Tsodyks2(U=draw.uniform(0.2, 0.9, 44), tau_rec=50.0, tau_fac=20.0)
    rewarded = DopamineSTDP(w_max=80.0, tau_c=50.0, modulator="I")
    return [
        Projection(E[::2], INH[1::2], FixedIndegree(20), 40.0, later, name="static"),
        Projection(
            *(E[MASK], E[MASK], FixedTotalNumber(900, autapses=False), 24.0, 1.5), name="recurrent"
        ),
        Projection(RARE, E, PairwiseBernoulli(0.5), -64.0, later, name="rare"),
        Projection(E[::2], E[MASK], ConnectionFile(path, delays="delays"), 16.0, name="file"),
        Projection(
            *(INH[::3], E[1::2], FixedOutdegree(15), -128.0, later),
            synapse=depressing,
            name="scaled",
        ),
        Projection(
            *(E[MASK], INH[20:90], FixedIndegree(9), 32.0, later),
            synapse=STDP(learning_rate=0.1, w_max=96.0),
            name="plastic",
        ),
        Projection(
            *(E[1::3], E[MASK], FixedIndegree(6), 32.0, later), synapse=rewarded, name="rewarded"
        ),
    ]


def network(parts: list[Projection], **more: Any) -> Network:
    return Network(
        [E, INH],
        parts,
        [PoissonInput(E, 9000.0, 45.0), PoissonInput(INH, 9000.0, 40.0)],
        [
            *(RecordSpikes(E), RecordSpikes(INH), RecordState(E, ["V_m", "I_syn_ex", "I_syn_in"])),
            *(RecordState(INH, ["V_m", "I_syn_ex"]), *more.pop("recordings", [])),
        ],
        **more,
    )


def scripted(folder: Path) -> Network:
    """Return the network that a script changes, with homeostasis and recordings of weights."""
    draw = np.random.default_rng(6)
    return network(
        projections(folder),
        recordings=[
            RecordWeights("plastic", 7.1, sources=E[::3], targets=INH[25:80:5], name="some"),
            RecordWeights("plastic", 9.3, sources=E[::3], synapses=slice(3, None, 4), name="slice"),
            RecordWeights("rewarded", 9.3, ("c", "weight"), targets=E[MASK][1::2], name="targets"),
        ],
        homeostasis=[
            NormaliseWeights("plastic", 9.7, draw.uniform(200.0, 400.0, 70)),
            SynapticScaling("rewarded", 4.1, draw.uniform(5.0, 60.0, N_MASK), beta=0.3, tau=25.0),
        ],
    )


def change(simulation: Simulation) -> dict[str, Any]:
    """Run, read and set everything that a projection has."""
    simulation.run(20.0)
    static, scaled, rewarded = (simulation[name] for name in ("static", "scaled", "rewarded"))
    found: dict[str, Any] = {"before": static.weights}
    for name in ("static", "recurrent", "scaled"):
        handle = simulation[name]
        handle.weights = handle.weights + 8.0 * (np.arange(handle.weights.size) % 5)
    scaled.parameters["U"] = np.linspace(0.2, 0.8, 44)
    scaled.state["x"] = np.linspace(0.5, 1.0, 44)
    rewarded.normalise(np.linspace(100.0, 200.0, N_MASK))
    rewarded.weights = np.minimum(rewarded.weights, 60.0)
    simulation.run(15.3)
    for name in ("static", "recurrent", "rare", "file", "scaled", "plastic", "rewarded"):
        found[name] = simulation[name].connections()
        found[f"{name} tables"] = np.concatenate(
            [*simulation[name].iterate_connections(table_size=50)]
        )
    found["some"] = simulation["plastic"].connections(E[::5], INH[21::2])
    found["x"] = scaled.state["x"]
    found |= {f"state {name}": rewarded.state[name] for name in rewarded.state}
    return found


def test_everything_is_equal_on_any_number_of_ranks(tmp_path: Path) -> None:
    described = scripted(tmp_path)

    def on(ranks: int) -> tuple[Path, list[dict[str, Any]]]:
        path = tmp_path / f"ranks{ranks}"

        def work(communicator: Communicator) -> dict[str, Any]:
            settings: dict[str, Any] = {
                "communicator": communicator,
                "policy": RunPolicy(heartbeat_timeout=np.inf),
            }
            with Simulation(described, seed=SEED, out=path, **settings) as simulation:
                found = change(simulation)
                simulation.save()
                simulation.run(10.0)
                simulation.save()
            return found

        return path, thread_ranks.run(ranks, work)[0]

    alone, (expected,) = on(1)
    assert recorded(alone)["spikes gid"].size > 500
    for name in ("static", "recurrent", "rare", "file", "scaled", "plastic", "rewarded"):
        table = expected[name]
        assert table.size > 100
        np.testing.assert_array_equal(expected[f"{name} tables"], table)
    assert (expected["static"]["weight"] - expected["before"] != 0.0).any()
    for ranks in (2, 3):
        path, results = on(ranks)
        assert_same(recorded(alone), recorded(path))
        assert state_digest(alone) == state_digest(path)
        for found in results:
            assert found.keys() == expected.keys()
            for name, values in expected.items():
                np.testing.assert_array_equal(found[name], values, err_msg=name)


def as_lists(described: Network, tables: dict[str, np.ndarray]) -> Network:
    """Return a network with the same synapses as lists of pairs between whole populations."""
    parts = []
    for projection in described.projections:
        table = tables[str(projection.name)]
        pre, post = (
            {"E": E, "I": INH}[view.population] for view in (projection.pre, projection.post)
        )
        first = {"E": 0, "I": E.size}
        edges = ConnectionList(
            table["source"] - first[pre.name], table["target"] - first[post.name]
        )
        synapse = projection.synapse
        if isinstance(synapse, Tsodyks2):
            utilisation = np.full(pre.size, 0.5)
            utilisation[projection.pre.index] = synapse.U
            synapse = replace(synapse, U=utilisation)
        parts.append(
            replace(
                projection,
                pre=PopulationView(pre.name),
                post=PopulationView(post.name),
                rule=edges,
                delay=np.round(table["delay"], 1),
                synapse=synapse,
            )
        )
    return network(parts)


@pytest.mark.parametrize("storage", ["auto", "packed", "explicit", "procedural"])
@pytest.mark.parametrize("delivery", ["pull", "push"])
def test_a_run_equals_the_run_with_lists_of_pairs(
    tmp_path: Path, storage: str, delivery: str
) -> None:
    described = network(projections(tmp_path))
    with Simulation(
        described, seed=SEED, out=tmp_path / "views", storage=storage, delivery=delivery
    ) as simulation:
        tables = {
            str(projection.name): simulation[str(projection.name)].connections()
            for projection in described.projections
        }
        simulation.run(40.0)
        learnt = simulation["plastic"].connections(), simulation["rewarded"].connections()
        sources = simulation["scaled"].state["x"]
    lists = as_lists(described, tables)
    with Simulation(lists, seed=SEED, out=tmp_path / "lists") as simulation:
        simulation.run(40.0)
        for name, table in zip(("plastic", "rewarded"), learnt, strict=True):
            np.testing.assert_array_equal(simulation[name].connections(), table)
        np.testing.assert_array_equal(simulation["scaled"].state["x"][::3], sources)
    assert not np.array_equal(learnt[0]["weight"], np.full(learnt[0].size, 32.0))
    assert_same(recorded(tmp_path / "views"), recorded(tmp_path / "lists"))


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path, ranks: int) -> None:
    described = scripted(tmp_path)
    for name in ("whole", "parts"):
        with Simulation(described, seed=SEED, out=tmp_path / name) as simulation:
            change(simulation)
            if name == "parts":
                simulation.save()
                continue
            simulation.run(12.1)
            simulation.save()

    def resume(communicator: Communicator) -> None:
        policy = RunPolicy(heartbeat_timeout=np.inf)
        with Simulation.restore(
            tmp_path / "parts", out=tmp_path / "parts", communicator=communicator, policy=policy
        ) as simulation:
            simulation.run(12.1)
            simulation.save()

    assert thread_ranks.run(ranks, resume)[0] == [None] * ranks
    assert_same(recorded(tmp_path / "whole"), recorded(tmp_path / "parts"))
    assert state_digest(tmp_path / "whole") == state_digest(tmp_path / "parts")
    stored = Network.from_dict(*StoreReader(tmp_path / "whole").network())
    assert stored == described


LIMITS = {
    "strides": (E[::4], INH[::3]),
    "lists": (E[[0, 2, 70, 130]], RARE),
    "ranges": (E[50:150], INH[10:]),
    "one": (E[[130]], INH),
}


@pytest.mark.parametrize("most_between", [1 << 20, 200])
@pytest.mark.parametrize("limits", list(LIMITS))
def test_connections_of_any_neurons_are_those_of_the_whole_table(
    tmp_path: Path, limits: str, most_between: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_access, "_MOST_BETWEEN", most_between)
    source, target = LIMITS[limits]
    later = Uniform(0.5, 4.0)
    parts = [
        Projection(E, INH, FixedIndegree(30), 40.0, later, name="whole"),
        Projection(E[::2], INH, FixedIndegree(30), 40.0, later, name="listed"),
        Projection(E, INH, AllToAll(), 32.0, 1.0, synapse=STDP(), name="plastic"),
    ]
    described = network(parts)
    members = {view: np.zeros(330, bool) for view in ("source", "target")}
    for name, view, first in (("source", source, 0), ("target", target, 200)):
        where = slice(None) if isinstance(view, Population) else view.index
        members[name][first : first + {"E": 200, "I": 130}["I" if first else "E"]][where] = True
    with Simulation(described, seed=SEED, out=tmp_path / "run") as simulation:
        simulation.run(10.0)
        for name in ("whole", "listed", "plastic"):
            handle = simulation[name]
            table = handle.connections()
            expected = table[
                members["source"][table["source"]] & members["target"][table["target"]]
            ]
            assert expected.size
            np.testing.assert_array_equal(handle.connections(source, target), expected)
            tables = [*handle.iterate_connections(source, target, table_size=20)]
            np.testing.assert_array_equal(np.concatenate(tables), expected)
        simulation.save()
        found = {
            name: simulation[name].connections(source, target) for name in ("listed", "plastic")
        }
    run = open_run(tmp_path / "run")
    for name, table in found.items():
        np.testing.assert_array_equal(run.connections(name, source, target), table)


def test_connections_between_listed_sources_are_dropped_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, static = [], connection_access.static_connections

    def reading(*arguments: Any) -> np.ndarray:
        read.append(static(*arguments))
        return read[-1]

    monkeypatch.setattr(connection_access, "static_connections", reading)
    monkeypatch.setattr(connection_access, "_MOST_BETWEEN", 1000)
    parts = [Projection(E, INH, FixedOutdegree(100), 40.0, 1.0, name="p")]
    with Simulation(network(parts)) as simulation:
        table = simulation["p"].connections(E[[0, 1, 3, 199]])
    assert table.size == 400
    assert [part.size for part in read] == [400, 100]


def test_connections_of_a_store_are_those_that_were_recorded(tmp_path: Path) -> None:
    parts = [projection for projection in projections(tmp_path) if projection.name == "plastic"]
    record = RecordWeights("plastic", 10.0, sources=E[::2], name="even")
    with Simulation(network(parts, recordings=[record]), out=tmp_path / "run") as simulation:
        simulation.run(20.0)
        expected = simulation["plastic"].connections(E[::4], INH[21:80:2])
    run = open_run(tmp_path / "run")
    found = run.connections("plastic", E[::4], INH[21:80:2])
    for name in ("source", "target", "weight", "delay"):
        np.testing.assert_array_equal(found[name], expected[name])
    with pytest.raises(DescriptionError, match="no weights of all these synapses"):
        run.connections("plastic", E[::3])


@pytest.mark.parametrize("ranks", [1, 3])
def test_recorded_weights_are_those_of_the_named_neurons(tmp_path: Path, ranks: int) -> None:
    described, path = scripted(tmp_path), tmp_path / "run"

    def work(communicator: Communicator) -> np.ndarray:
        policy = RunPolicy(heartbeat_timeout=np.inf)
        with Simulation(
            described, seed=SEED, out=path, communicator=communicator, policy=policy
        ) as simulation:
            table = simulation["plastic"].connections()
            simulation.run(10.0)
        return table

    table = thread_ranks.run(ranks, work)[0][0]
    is_source = table["source"] % 3 == 0
    is_target = np.isin(table["target"] - E.size, np.arange(25, 80, 5))
    reader = StoreReader(path)
    for name, expected in (
        ("some", table[is_source & is_target]),
        ("slice", table[is_source][3::4]),
    ):
        weights = reader.weights(name)
        np.testing.assert_array_equal(weights.sources, expected["source"])
        np.testing.assert_array_equal(weights.targets, expected["target"])


def test_projections_have_names_and_handles(tmp_path: Path) -> None:
    rare = Projection(RARE, E[1::2], OneToOne(), 1.0, 1.0)
    with pytest.raises(
        DescriptionError, match=r"projection 'I\[1, 5, 64, 99, 128, 129\]->E\[1:200:2"
    ):
        Network([E, INH], [rare])
    rare = Projection(RARE, E[[1, 4, 9, 16, 25, 199]], OneToOne(), 1.0, 1.0)
    described = Network([E, INH], [rare])
    (name,) = (projection.name for projection in described.projections)
    assert name == "I[1, 5, 64, 99, 128, 129]->E[1, 4, 9, 16, 25, 199]"
    # a name has fewer than 170 bytes, so that a file system takes what is called after it
    large = Population("a population", 2**23, IafPscExp())
    sparse = large[[5_000_000, 5_000_001, 5_000_003, *range(6_000_000, 8_000_000, 3)]]
    many = Network([large], [Projection(sparse, sparse, OneToOne(), 1.0, 1.0)]).projections[0]
    assert str(many.name).startswith(
        "a population[5000000, 5000001, 5000003, ... 666,670 neurons, #"
    )
    with Simulation(described) as simulation:
        assert simulation[rare] is simulation[name]
        table = simulation[rare].connections()
    assert table["source"].tolist() == [201, 205, 264, 299, 328, 329]
    assert table["target"].tolist() == [1, 4, 9, 16, 25, 199]


def test_weights_between_lists_are_stored_by_the_name_of_their_projection(tmp_path: Path) -> None:
    parts = [Projection(E[MASK], RARE, FixedIndegree(3), 32.0, 1.0, synapse=STDP())]
    (name,) = (str(projection.name) for projection in network(parts).projections)
    with Simulation(
        network(parts, recordings=[RecordWeights(name, 1.0)]), out=tmp_path / "run"
    ) as simulation:
        simulation.run(5.0)
        weights = simulation[name].weights
    np.testing.assert_array_equal(open_run(tmp_path / "run").weights(name).weight[-1], weights)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Projection(E[[]], E, OneToOne(), 1.0, 1.0),
            r"population .E.: holds no neuron; given \[\]",
        ),
        (lambda: Projection(E[np.zeros(200, bool)], E, OneToOne(), 1.0, 1.0), "holds no neuron"),
        (lambda: Projection(E[[3, 3]], E, OneToOne(), 1.0, 1.0), "ascending order, each once"),
        (
            lambda: network(
                [Projection(PopulationView("E", neurons=[1, 500]), E, AllToAll(), 1.0, 1.0)]
            ),
            r"population 'E' has 200 neurons; given '1, 500'; allowed: 0:200",
        ),
        (
            lambda: network([Projection(E[::2], INH[::2], OneToOne(), 1.0, 1.0)]),
            "100.*65",
        ),
        (
            lambda: network([Projection(E[::2], E[[0, 1]], AllToAll(autapses=False), 1.0, 1.0)]),
            "same neurons or disjoint.*0:199:2 to 0:2",
        ),
        (
            lambda: network(
                [Projection(RARE, E[::2], ConnectionList([6], [0]), 1.0, 1.0, name="list")]
            ),
            r"sources.*given 6; allowed: 0 to 5",
        ),
        (
            lambda: network(
                [Projection(E[::2], E, AllToAll(), 1.0, 1.0, synapse=STDP(), name="p")],
                recordings=[RecordWeights("p", 1.0, sources=E[1::2])],
            ),
            r"has no such sources; given 'E\[1:200:2\]'; allowed: some of E\[0:199:2\]",
        ),
    ],
)
def test_views_that_do_not_fit_are_refused(make: Any, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        make()


def test_connections_of_other_neurons_are_refused() -> None:
    described = network([Projection(E[::2], INH, FixedIndegree(3), 1.0, 1.0, name="p")])
    with (
        Simulation(described) as simulation,
        pytest.raises(
            DescriptionError, match=r"does not reach .*given 'E\[1:200:2\]'.*E\[0:199:2\]"
        ),
    ):
        simulation["p"].connections(E[1::2])
