"""Recorded states of synapse models: those that a script reads, and the same on any ranks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_transmissions import FACILITATING
from recorded import assert_same, recorded
from thread_ranks import run as run_ranks

from distsnn import open_run
from distsnn.analysis import write_report
from distsnn.cli.main import main
from distsnn.comm import Communicator
from distsnn.engine import epoch_loop
from distsnn.errors import DescriptionError
from distsnn.io.fixed_sums import fixed_sums, from_fixed
from distsnn.io.reader import StoreReader
from distsnn.io.summary import read_run_info
from distsnn.network import (
    STDP,
    FixedIndegree,
    IafPscExp,
    Network,
    NmdaSynapse,
    OneToOne,
    ParrotNeuron,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeInput,
    SpikeSource,
    Tsodyks2,
    Uniform,
)
from distsnn.network.recordings import Recording
from distsnn.simulation import RunPolicy, Simulation

DT, SEED = 0.1, 4
START = {"V_m": Uniform(-65.0, -52.0)}
# the last block of E is not full, and the sources of the second projection begin inside a block
E = Population("E", 150, IafPscExp(V_th=-52.0), START)
INH = Population("I", 70, IafPscExp(V_th=-52.0), START)
X = {"U": Uniform(0.2, 0.9), "tau_rec": Uniform(20.0, 90.0), "tau_fac": Uniform(0.0, 40.0)}
RECORDINGS = [
    RecordSpikes(E),
    RecordState("E->I", ["x", "u"]),
    RecordState(E[5:140:3], ["u", "x"], 0.7, "some", projection="E->I"),
    RecordState("nmda", "s", interval=3.1),
    RecordState("facilitating", "u", interval=0.3, name="sum", reduce="sum"),
    RecordState(E[100:], "u", name="mean", reduce="mean", projection="facilitating"),
]
# Length of each run call in ms, with the parameter and the recordings that are set before it.
PLAN: list[tuple[float, float | None, dict[str, bool]]] = [
    (10.0, None, {}),
    (7.3, 0.9, {"E->I": False, "sum": False}),
    (12.2, None, {"E->I": True, "some": False}),
    (6.5, 0.3, {"some": True, "sum": True, "s": False}),
    (14.0, None, {"E->I": False}),
]


def network(recordings: list[Recording] = RECORDINGS) -> Network:
    return Network(
        [E, INH],
        [
            Projection(E, INH, FixedIndegree(12), 60.0, Uniform(0.8, 9.0), synapse=Tsodyks2(**X)),
            Projection(
                *(INH[30:], E, FixedIndegree(9), -60.0, 1.5),
                synapse=NmdaSynapse(alpha=2.0, tau_rise=Uniform(2.0, 9.0), tau_decay=20.0),
                name="nmda",
            ),
            Projection(
                *(E, E, FixedIndegree(9), 60.0, 1.1), synapse=FACILITATING(), name="facilitating"
            ),
        ],
        [PoissonInput(one, 9000.0, 40.0) for one in (E, INH)],
        recordings,
        dt=DT,
    )


def simulated(path: Path, lengths: tuple[float, ...] = (7.3, 42.7), **given: Any) -> Path:
    quiet = RunPolicy(heartbeat_timeout=np.inf)
    with Simulation(network(), seed=SEED, out=path, policy=quiet, **given) as simulation:
        for length in lengths:
            simulation.run(length)
    return path


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = simulated(tmp_path_factory.mktemp("sources") / "alone.zarr")
    found = recorded(path)
    assert found["spikes step"].size > 300
    assert found["E->I x"].shape == (500, 150)
    assert all(np.ptp(found[f"E->I {name}"], axis=0).min() > 0.0 for name in "xu")
    return path


def test_recorded_states_are_those_that_a_script_reads(alone: Path) -> None:
    found = recorded(alone)
    with Simulation(network([]), seed=SEED) as simulation:
        for step in range(1, 501):
            simulation.run(DT)
            for name in "xu":
                expected = simulation["E->I"].state[name]
                np.testing.assert_array_equal(found[f"E->I {name}"][step - 1], expected)
                if step % 7 == 0:
                    row = found[f"some {name}"][step // 7 - 1]
                    np.testing.assert_array_equal(row, expected[5:140:3])
            if step % 31 == 0:
                expected = simulation["nmda"].state["s"]
                np.testing.assert_array_equal(found["nmda s"][step // 31 - 1], expected)
            u = simulation["facilitating"].state["u"]
            if step % 3 == 0:
                assert found["sum u"][step // 3 - 1] == from_fixed(fixed_sums(u[None]))[0]
            np.testing.assert_allclose(found["mean u"][step - 1], u[100:].mean(), rtol=1e-12)
    assert found["some gids"].tolist() == [*range(5, 140, 3)]
    assert found["nmda gids"].tolist() == [*range(180, 220)]


def test_states_of_facilitation_follow_their_closed_form(tmp_path: Path) -> None:
    times, use, tau = np.array([2.0, 3.5, 3.6, 20.0]), 0.3, 15.0
    source = Population("S", 3, SpikeSource(times, np.ones(4, int)))
    target = Population("T", 3, IafPscExp())
    synapse = FACILITATING(U=use, tau_fac=tau)
    # spikes act on states when they are sent, before they arrive
    projection = Projection(source, target, OneToOne(), 1.0, 30.0, synapse=synapse, name="p")
    path, u, last = tmp_path / "run.zarr", use, 0.0
    with Simulation(
        Network([source, target], [projection], recordings=[RecordState("p", "u")]), out=path
    ) as simulation:
        simulation.run(25.0)
    found = StoreReader(path).state("p").variables["u"][:, :]
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found[:, [0, 2]], use)
    for step in range(1, 251):
        time = step * DT
        u, last = use + (u - use) * np.exp((last - time) / tau), time
        if np.isclose(times, time).any():
            u += use * (1.0 - u)
        assert found[step - 1, 1] == pytest.approx(u, rel=1e-12)


def test_several_spikes_of_a_source_in_a_step_all_count(tmp_path: Path) -> None:
    relay, path = Population("R", 2, ParrotNeuron()), tmp_path / "run.zarr"
    target = Population("T", 2, IafPscExp())
    # three spikes, then two, then one
    drive = SpikeInput(relay, [1.0, 1.0, 1.0, 3.0, 3.0, 7.0], [1, 1, 1, 1, 1, 1], 1.0)
    projection = Projection(relay, target, OneToOne(), 1.0, 2.0, synapse=FACILITATING(), name="p")
    recordings = [RecordSpikes(relay), RecordState("p", "u", interval=0.5)]
    with Simulation(Network([relay, target], [projection], [drive], recordings), out=path) as made:
        made.run(10.0)
    found, u, last = StoreReader(path).state("p").variables["u"][:, 1], 0.2, 0.0
    steps = StoreReader(path).spikes()[0]
    assert np.unique(steps, return_counts=True)[1].tolist() == [3, 2, 1]
    for row in range(20):
        time = (row + 1) * 0.5
        for spike in sorted(steps[(steps * DT > last + 1e-9) & (steps * DT < time + 1e-9)] * DT):
            u, last = 0.2 + (u - 0.2) * np.exp((last - spike) / 40.0), spike
            u += 0.2 * (1.0 - u)
        u, last = 0.2 + (u - 0.2) * np.exp((last - time) / 40.0), time
        assert found[row] == pytest.approx(u, rel=1e-12)


def test_recordings_without_a_name_have_that_of_their_target() -> None:
    given = [RecordState(E[10:], "x", projection="E->I"), RecordState(E, "x", projection="E->I")]
    names = [recording.name for recording in network(given).recordings]
    assert names == ["E_10_150 of E->I", "E of E->I"]


def test_a_full_buffer_is_that_of_a_named_recording() -> None:
    given = network([RecordState("E->I", "x"), RecordState(E, "V_m", name="potentials")])
    with Simulation(given) as simulation:
        probes = simulation._engine.probes_by_folder()["state"]
        messages = []
        for probe in probes:
            with pytest.raises(ValueError, match="no room for") as error:
                probe.check_room(0, 10**9)
            messages.append(str(error.value))
    assert [text.partition(":")[0] for text in messages] == [
        "recording 'potentials'",
        "recording 'E->I'",
    ]


def test_a_projection_is_no_population_with_sources() -> None:
    message = (
        r"field target: 'E->I' is a projection, not a population; allowed: its sources, population "
        r"'E'; hint: RecordState\('E->I', \.\.\.\) without `projection` records all of them"
    )
    with pytest.raises(DescriptionError, match=message):
        network([RecordState("E->I", "x", projection="E->I")])


@pytest.mark.parametrize(
    ("ranks", "partition"), [(2, "contiguous"), (2, "population"), (3, "round_robin")]
)
def test_they_are_the_same_on_any_ranks(
    alone: Path, tmp_path: Path, ranks: int, partition: str
) -> None:
    path = tmp_path / "run.zarr"

    def work(communicator: Communicator) -> None:
        simulated(path, communicator=communicator, partition=partition)

    assert run_ranks(ranks, work) == ([None] * ranks, None)
    assert_same(recorded(alone), recorded(path))


def test_they_do_not_depend_on_run_calls_and_buffers(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_loop, "_MIN_BUFFER", 1)
    lengths = (0.1, 3.3, 0.6, 20.0, 26.0)
    assert_same(recorded(alone), recorded(simulated(tmp_path / "run.zarr", lengths)))


@pytest.mark.parametrize(("before", "after"), [(1, 1), (3, 1), (1, 2)])
def test_a_resumed_run_has_those_of_the_whole(
    alone: Path, tmp_path: Path, before: int, after: int
) -> None:
    path, quiet = tmp_path / "run.zarr", RunPolicy(heartbeat_timeout=np.inf)

    def begin(communicator: Communicator) -> None:
        given = {"communicator": communicator, "policy": quiet}
        with Simulation(network(), seed=SEED, out=path, **given) as simulation:
            simulation.run(7.3)
            simulation.save()
            simulation.run(4.0)

    def resume(communicator: Communicator) -> None:
        given = {"communicator": communicator, "policy": quiet}
        with Simulation.resume(path, network=network(), **given) as simulation:
            assert simulation.time_ms == pytest.approx(7.3)
            simulation.run(42.7)

    assert run_ranks(before, begin) == ([None] * before, None)
    assert run_ranks(after, resume) == ([None] * after, None)
    assert_same(recorded(alone), recorded(path))


def scripted(simulation: Simulation, switches: bool, begin: int = 0) -> None:
    for length, use, settings in PLAN[begin:]:
        if use is not None:
            simulation["E->I"].parameters["U"] = use
            simulation["E->I"].state["x"] = use / 2.0
            simulation["facilitating"].parameters["tau_fac"] = 50.0 * use
        for name, on in settings.items() if switches else ():
            part = {"s": "nmda", "sum": "facilitating"}.get(name, "E->I")
            simulation[part].record[{"s": "nmda"}.get(name, name)] = on
        simulation.run(length)
        if begin == 0 and length == 12.2:
            simulation.save()


def test_switched_recordings_are_the_part_of_the_intervals(tmp_path: Path) -> None:
    whole, other = tmp_path / "whole.zarr", tmp_path / "other.zarr"
    quiet = RunPolicy(heartbeat_timeout=np.inf)
    with Simulation(network(), seed=SEED, out=whole) as simulation:
        scripted(simulation, switches=False)

    def begin(communicator: Communicator) -> None:
        given = {"communicator": communicator, "policy": quiet}
        with Simulation(network(), seed=SEED, out=other, **given) as simulation:
            scripted(simulation, switches=True)

    assert run_ranks(3, begin) == ([None] * 3, None)
    with Simulation.resume(other, network=network()) as simulation:
        assert simulation["E->I"].record["some"] is False
        scripted(simulation, switches=True, begin=3)
    expected, found, reader = recorded(whole), recorded(other), StoreReader(other)
    assert reader.intervals("state/E->I").tolist() == [[0, 100], [173, 360]]
    assert reader.intervals("state/some").tolist() == [[0, 173], [295, 500]]
    for name in reader.state_names:
        steps, inside = expected[f"{name} steps"], np.zeros(expected[f"{name} steps"].size, bool)
        for after, until in reader.intervals(f"state/{name}").tolist():
            inside |= (after < steps) & (steps <= until)
        assert 0 < inside.sum() <= steps.size
        for key in [key for key in expected if key.startswith(f"{name} ") and "gids" not in key]:
            np.testing.assert_array_equal(found[key], expected[key][inside])


def test_an_opened_run_has_their_names_and_units(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = open_run(alone)
    assert run.state_names == ["E->I", "some", "nmda", "sum", "mean"]
    states = run.state("E->I")
    assert states.sizes == {"time": 500, "neuron": 150}
    assert states.attrs == {"population": "E", "projection": "E->I", "recording": "E->I"}
    assert (states.x.units, states.x.long_name) == ("1", "resources available")
    assert run.state("sum").attrs["projection"] == "facilitating"
    text = write_report(alone, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "150 sources of E-&gt;I" in text
    assert "mean over 50 sources of facilitating" in text
    assert read_run_info(alone).recorded_states["nmda"] == {
        "population": "I",
        "projection": "nmda",
        "variables": ["s"],
        "interval_ms": pytest.approx(3.1),
        "reduce": None,
    }
    assert main(["info", str(alone)]) == 0
    printed = capsys.readouterr().out
    assert "some: u, x of sources of E->I every 0.7 ms\n" in printed
    assert "mean: u of sources of facilitating every 0.1 ms, mean over sources\n" in printed
    description, arrays = network().to_dict()
    assert Network.from_dict(description, arrays) == network()


def test_a_reset_records_the_same_again(tmp_path: Path) -> None:
    first, again = tmp_path / "first.zarr", tmp_path / "again.zarr"
    with Simulation(network(), seed=SEED, out=first) as simulation:
        simulation.run(20.0)
        simulation.reset(weights="described", out=again)
        simulation.run(20.0)
    assert_same(recorded(first), recorded(again))


def test_what_cannot_be_recorded_is_refused() -> None:
    plastic = Projection(E, E, OneToOne(), 10.0, 1.0, synapse=STDP(w_max=20.0))
    static = Projection(E, INH, FixedIndegree(3), 10.0, 1.0)
    scaled = Projection(E[10:], E, FixedIndegree(3), 10.0, 1.0, synapse=Tsodyks2(), name="scaled")
    drive = PoissonInput(E, 9000.0, 40.0, name="drive")

    def refused(*given: Any, **more: Any) -> str:
        with pytest.raises(DescriptionError) as error:
            recording = RecordState(*given, **more)
            Network([E, INH], [plastic, static, scaled], [drive], [recording])
        return str(error.value)

    assert RecordState(scaled, "x").target.population == "scaled"
    text = refused("E->E", "x")
    assert "sources of projection 'E->E' have no states that can be recorded" in text
    assert "RecordWeights('E->E', ...)" in text and "simulation['E->E'].state" in text
    text = refused("E->I", "x")
    assert "sources of projection 'E->I' have no states" in text and "such as Tsodyks2" in text
    assert "RecordWeights" not in text
    assert "did you mean 'x'" in refused("scaled", "xx")
    assert "variable named twice" in refused("scaled", ["x", "x"])
    assert "field interval" in refused("scaled", "x", 0.05)
    text = refused(E, "x", projection="scaled")
    assert "'scaled' has no such sources" in text and "allowed: some of E[10:150]" in text
    assert "has no such sources" in refused(INH, "x", projection="scaled")
    assert "unknown projection 'scale'" in refused(E, "x", projection="scale")
    assert "must be a projection's name" in refused(E, "x", projection=3)
    assert "must be a projection's name" in refused(plastic, "x")
    assert "unknown population or projection 'scales'" in refused("scales", "x")
    text = refused("drive", "phase")
    assert "'drive' is a stimulus" in text and "simulation['drive'].state" in text
