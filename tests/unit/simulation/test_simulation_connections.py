"""Tables of connections beside the synapses that ranks hold."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import decoded
import numpy as np
import pytest
import thread_ranks
from decoded import DELAY, PLANE, SOURCE, TARGET, WEIGHT
from own_rules import TAGGED

from distsnn.engine import connection_table
from distsnn.engine.plasticity.delivery import PlasticDelivery
from distsnn.engine.row_builder import make_row_builder
from distsnn.errors import DescriptionError, SimulationStateError, UsageError
from distsnn.network import (
    STDP,
    AllToAll,
    ConnectionFile,
    ConnectionList,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscDelta,
    IafPscExp,
    Network,
    Normal,
    OneToOne,
    PairwiseBernoulli,
    PoissonInput,
    Population,
    Projection,
    Tsodyks2,
    Uniform,
)
from distsnn.simulation import Simulation, connection_access

SEED = 4
E, INH = Population("E", 300, IafPscExp()), Population("I", 70, IafPscExp())


def network(folder: Path) -> Network:
    """Return a network with every rule, weights of both signs, and a file of edges."""
    draw = np.random.default_rng(2)
    edges = {"sources": draw.integers(0, 300, 500), "targets": draw.integers(0, 70, 500)}
    path = folder / "edges.npz"
    np.savez(path, **edges, weights=draw.normal(0.0, 3.0, 500), delays=np.full(500, 0.7))
    matrix = draw.normal(1.0, 2.0, (50, 70))
    explicit = ConnectionList(draw.integers(0, 300, 200), draw.integers(0, 70, 200))
    drawn = Uniform(0.3, 2.0)
    return Network(
        [E, INH],
        [
            Projection(E, E, FixedIndegree(5), Normal(0.5, 1.0), drawn, name="indegree"),
            Projection(E[40:], INH, FixedTotalNumber(500), 2.0, drawn, name="total"),
            Projection(INH, E, FixedOutdegree(9), Normal(-2.0, 0.5), 1.5, name="outdegree"),
            Projection(E, INH[5:], PairwiseBernoulli(0.05), 1.0, drawn, name="bernoulli"),
            Projection(E[:50], INH, AllToAll(), matrix, drawn, name="matrix"),
            Projection(E[7:77], INH, OneToOne(), 3.0, 0.2, name="one to one"),
            Projection(E, INH, explicit, Normal(0.0, 1.0), drawn, name="edges"),
            Projection(
                E, INH, ConnectionFile(path, weights="weights", delays="delays"), name="file"
            ),
            Projection(E, E, FixedIndegree(3), 4.0, 1.0, synapse=Tsodyks2(), name="scaled"),
        ],
    )


@pytest.mark.parametrize("storage", ["auto", "procedural"])
def test_tables_are_what_ranks_hold(tmp_path: Path, storage: str) -> None:
    made = network(tmp_path)
    names = [one.name for one in made.projections]
    quanta = decoded.scales(made)
    every = decoded.synapses(made, seed=SEED)
    with Simulation(made, seed=SEED, storage=storage, progress=False) as simulation:
        tables = {name: simulation[name].connections() for name in names}
    for name, table in tables.items():
        order = np.lexsort((table["target"], table["source"]))
        np.testing.assert_array_equal(order, np.arange(table.size), err_msg=name)
    described = ["source", "target", "weight", "delay"]
    joined = np.concatenate([table[described] for table in tables.values()])
    found = np.empty((joined.size, 5), np.int64)
    found[:, SOURCE], found[:, TARGET] = joined["source"], joined["target"]
    found[:, DELAY] = np.rint(joined["delay"] / made.dt)
    found[:, PLANE] = joined["weight"] < 0
    units = [[quanta.quantum(post, sign) for sign in ("ex", "in")] for post in ("E", "I")]
    post = (joined["target"] >= E.size).astype(int)
    found[:, WEIGHT] = joined["weight"] / np.array(units)[post, found[:, PLANE]]
    np.testing.assert_array_equal(decoded.canonical([found]), every)
    sizes = [tables[name].size for name in ("indegree", "total", "outdegree", "file")]
    assert sizes == [1500, 500, 630, 500]
    np.testing.assert_allclose(tables["one to one"]["weight"], 3.0, rtol=2**-10)
    np.testing.assert_array_equal(tables["one to one"]["source"], np.arange(7, 77))


def test_every_rank_gets_the_same_table(tmp_path: Path) -> None:
    made = network(tmp_path)
    names = [one.name for one in made.projections]

    def work(communicator: Any) -> list[np.ndarray]:
        with Simulation(made, seed=SEED, communicator=communicator, progress=False) as simulation:
            part = simulation["total"].connections(E[50:60], "I")
            return [*(simulation[name].connections() for name in names), part]

    (alone,), _ = thread_ranks.run(1, work)
    ranks, _ = thread_ranks.run(3, work)
    for tables in ranks:
        for table, known in zip(tables, alone, strict=True):
            np.testing.assert_array_equal(table, known)
    *_, part = alone
    whole = alone[names.index("total")]
    inside = (whole["source"] >= 50) & (whole["source"] < 60)
    np.testing.assert_array_equal(part, whole[inside])
    assert 0 < part.size < whole.size


def test_tables_one_after_another_are_the_same_on_any_number_of_ranks(tmp_path: Path) -> None:
    made = network(tmp_path)
    names = [one.name for one in made.projections]
    size = 60

    def work(communicator: Any) -> list[list[np.ndarray]]:
        with Simulation(made, seed=SEED, communicator=communicator, progress=False) as simulation:
            simulation.run(5.0)
            parts = [[*simulation[name].iterate_connections(table_size=size)] for name in names]
            parts.append([*simulation["edges"].iterate_connections(E[20:200], table_size=5)])
            return [*parts, [simulation[name].connections() for name in names]]

    (alone,), _ = thread_ranks.run(1, work)
    *parts, wholes = alone
    for name, tables, whole in zip(names, parts, wholes, strict=False):
        np.testing.assert_array_equal(np.concatenate(tables), whole, err_msg=name)
        assert len(tables) > 1
        for table in tables:
            assert table.size
            assert table.size <= 2 * size or np.unique(table["source"]).size == 1
        sources = [set(table["source"].tolist()) for table in tables]
        assert sum(map(len, sources)) == len(set.union(*sources))
    for ranks in (2, 3):
        others, _ = thread_ranks.run(ranks, work)
        for other in others:
            for tables, known in zip(other, alone, strict=True):
                assert len(tables) == len(known)
                for table, same in zip(tables, known, strict=True):
                    np.testing.assert_array_equal(table, same)


def test_an_iteration_over_tables_refuses_a_run_in_between(tmp_path: Path) -> None:
    with Simulation(network(tmp_path), progress=False) as simulation:
        tables = simulation["total"].iterate_connections(table_size=50)
        assert next(tables).size
        simulation.run(0.1)
        with pytest.raises(SimulationStateError, match="has run since the iteration"):
            next(tables)
        for size in (0, 2.5):
            with pytest.raises(DescriptionError, match="'total', table_size"):
                simulation["total"].iterate_connections(table_size=size)


def test_a_table_too_large_is_refused_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_access, "_MOST_BYTES", 32 * 499)
    monkeypatch.setattr(connection_access, "local_connections", None)
    with Simulation(network(tmp_path), progress=False) as simulation:
        with pytest.raises(UsageError, match=r"iterate_connections\(\)") as caught:
            simulation["indegree"].connections()
        assert "given '1,500 connections'" in str(caught.value)


def test_a_table_has_the_states_of_sources_and_targets() -> None:
    cells = Population("E", 300, IafPscDelta())
    learns = Projection(cells, cells[100:], FixedIndegree(5), 0.5, 1.5, synapse=STDP(), name="L")
    model = Tsodyks2(U=0.3, tau_fac=50.0)
    scaled = Projection(cells[20:], cells, FixedIndegree(3), 0.4, 1.0, synapse=model, name="S")
    made = Network([cells], [learns, scaled], [PoissonInput(cells, 2000.0, 1.5)])

    def work(communicator: Any) -> tuple[Any, ...]:
        with Simulation(made, seed=SEED, communicator=communicator, progress=False) as simulation:
            simulation.run(60.0)
            states = [{**simulation[name].state} for name in "LS"]
            tables = [simulation[name].connections() for name in "LS"]
            return states, tables

    (alone,), _ = thread_ranks.run(1, work)
    (of_rule, of_model), (plastic, static) = alone
    assert plastic.dtype.names[4:] == ("x", "y")
    assert static.dtype.names[4:] == ("x", "u")
    assert of_rule["x"].shape == (300,)
    assert of_rule["y"].shape == (200,)
    np.testing.assert_array_equal(plastic["x"], of_rule["x"][plastic["source"]])
    np.testing.assert_array_equal(plastic["y"], of_rule["y"][plastic["target"] - 100])
    for name in ("x", "u"):
        np.testing.assert_array_equal(static[name], of_model[name][static["source"] - 20])
        assert np.unique(static[name]).size > 10
    for ranks in (2, 3):
        for states, tables in thread_ranks.run(ranks, work)[0]:
            for found, known in zip(states, alone[0], strict=True):
                for name, values in known.items():
                    np.testing.assert_array_equal(found[name], values)
            for table, known in zip(tables, alone[1], strict=True):
                np.testing.assert_array_equal(table, known)


def test_only_rows_of_the_sources_asked_for_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, builders = network(tmp_path), []

    def make(*arguments: Any) -> Any:
        builders.append(make_row_builder(*arguments))
        return builders[-1]

    with Simulation(made, seed=SEED, progress=False) as simulation:
        tables = {one.name: simulation[one.name].connections() for one in made.projections}
        monkeypatch.setattr(connection_table, "make_row_builder", make)
        for one in made.projections:
            # in two groups of sources, and a single one
            for low, high in ((48, 67), (49, 50)):
                population = E if one.pre.population == "E" else INH
                found = simulation[one.name].connections(population[low:high])
                table, first = tables[one.name], made.first_gid[one.pre.population]
                inside = (table["source"] >= first + low) & (table["source"] < first + high)
                np.testing.assert_array_equal(found, table[inside])
                assert builders[-1].synapses == found.size, one.name
    assert len(builders) == 18


def test_plastic_rows_of_other_sources_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = Population("E", 300, IafPscDelta())
    ends = cells[10:], cells
    learns = Projection(*ends, FixedIndegree(5), 0.5, 1.5, synapse=TAGGED(w_max=1.0), name="L")
    made = Network([cells], [learns], [PoissonInput(cells, 2000.0, 1.5)])
    read, sizes = PlasticDelivery.read, []

    def counted(delivery: Any, now: int, rows: Any, synapses: Any) -> Any:
        values = read(delivery, now, rows, synapses)
        sizes.append(values["weight"].size)
        return values

    monkeypatch.setattr(PlasticDelivery, "read", counted)
    with Simulation(made, seed=SEED, progress=False) as simulation:
        simulation.run(60.0)
        parts = [simulation["L"].connections(cells[at : at + 5]) for at in (295, 100, 6)]
        whole = simulation["L"].connections()
    for part, at in zip(parts, (295, 100, 6), strict=True):
        inside = (whole["source"] >= at) & (whole["source"] < at + 5)
        np.testing.assert_array_equal(part, whole[inside])
        assert part.size > 0
    assert sizes == [*(part.size for part in parts), whole.size]


def test_a_table_that_no_message_could_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_access, "_MOST_BYTES", 32 * 499)
    with Simulation(network(tmp_path), progress=False) as simulation:
        with pytest.raises(UsageError, match="given '500 connections'; allowed: at most 499"):
            simulation["total"].connections()
        assert simulation["total"].connections(E[50:60]).size < 499
        tables = [*simulation["total"].iterate_connections(table_size=100)]
        assert sum(table.size for table in tables) == 500


def test_plastic_projection_returns_current_weights_and_states() -> None:
    cells = Population("E", 300, IafPscDelta())
    rule = TAGGED(w_max=1.0)
    learns = Projection(cells, cells, FixedIndegree(5), 0.5, 1.5, synapse=rule, name="L")
    made = Network([cells], [learns], [PoissonInput(cells, 2000.0, 1.5)])
    with Simulation(made, seed=SEED, progress=False) as simulation:
        before = simulation["L"].connections()
        simulation.run(60.0)
        table, synapses = simulation["L"].connections(), simulation["L"]
        again = simulation["L"].connections(target=cells[:10])
        simulation.run(1.0)
        np.testing.assert_array_equal(table["source"], synapses.sources)
        np.testing.assert_array_equal(table["target"], synapses.targets)
        np.testing.assert_array_equal(table["delay"], synapses.delays)
    assert not np.array_equal(table["weight"], before["weight"])
    assert table.dtype.names == ("source", "target", "weight", "delay", "tag", "pairs", "x", "y")
    assert table["tag"].any()
    np.testing.assert_array_equal(again, table[table["target"] < 10])
    still = replace(learns, synapse=None)
    with Simulation(Network([cells], [still]), seed=SEED, progress=False) as simulation:
        static = simulation["L"].connections()
    for field in ("source", "target", "delay"):
        np.testing.assert_array_equal(static[field], before[field])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("I",), "'total', source: the projection does not reach these neurons; given 'I'"),
        ((E[:40],), "source: the projection does not reach these neurons"),
        ((None, "X"), "target: unknown population 'X'"),
    ],
)
def test_what_is_not_connected_is_refused(
    tmp_path: Path, arguments: tuple[Any, ...], problem: str
) -> None:
    with Simulation(network(tmp_path), progress=False) as simulation:
        with pytest.raises(DescriptionError, match=problem):
            simulation["total"].connections(*arguments)
        simulation.run(0.1)


def test_different_connection_requests_of_ranks_are_refused(tmp_path: Path) -> None:
    made = network(tmp_path)

    def work(communicator: Any) -> None:
        with Simulation(made, communicator=communicator, progress=False) as simulation:
            simulation["total" if communicator.rank else "indegree"].connections()

    errors, _ = thread_ranks.run(2, work)
    assert all("was given other" in str(error) for error in errors)
