"""Inputs that a script sets, and spikes that it reads, between the pieces of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distsnn.cli import main
from distsnn.errors import DescriptionError, SimulationStateError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    ConstantCurrent,
    DopamineSTDP,
    FixedIndegree,
    IafPscExp,
    Network,
    NoiseCurrent,
    Normal,
    OneToOne,
    Piecewise,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    SineCurrent,
    SpikeInput,
    SpikeSource,
    StepCurrent,
    Stimulus,
    Target,
)
from distsnn.network.quanta import choose_quanta
from distsnn.network.stimuli import RateInput
from distsnn.simulation import Simulation, last_spikes

N, DT, END = 150, 0.1, 40.0
RNG = np.random.default_rng(3)
RATES = RNG.uniform(0.0, 20000.0, 90)
CURRENTS = RNG.normal(300.0, 200.0, 90)


def cells(precision: str = "float32") -> Population:
    return Population("E", N, IafPscExp(), {"V_m": Normal(-60.0, 4.0)}, precision)


def network(
    *stimuli: Stimulus, source: SpikeSource | None = None, precision: str = "float32"
) -> Network:
    """Return neurons that drive each other, and sources that drive some of them."""
    e = cells(precision)
    s = Population("S", 20, source or SpikeSource([], []))
    background = PoissonInput(e, 8000.0, 55.0)
    return Network(
        [e, s],
        [
            Projection(e, e, FixedIndegree(8), weight=Normal(30.0, 3.0), delay=1.5),
            Projection(s, e[:20], OneToOne(), weight=900.0, delay=1.0),
        ],
        [background, *stimuli],
        dt=DT,
    )


Spikes = tuple[np.ndarray, np.ndarray]


def in_one_run(made: Network) -> Spikes:
    with Simulation(made, seed=9) as simulation:
        simulation.run(END)
        return everyone(simulation)


def everyone(simulation: Simulation) -> Spikes:
    """Return the spikes of both populations in the last run, E's first."""
    parts = [simulation[name].spikes() for name in ("E", "S")]
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))  # type: ignore[return-value]


def in_pieces(made: Network, *actions: tuple[float, Callable[[Simulation], None]]) -> Spikes:
    """Return the spikes of a run in which something is done at some times."""
    found = []
    with Simulation(made, seed=9) as simulation:
        for at, act in (*actions, (END, None)):
            simulation.run(at - simulation.time_ms)
            found.append(everyone(simulation))
            if act is not None:
                act(simulation)
    step, gid = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    order = np.lexsort((gid, step, gid >= N))
    return step[order], gid[order]


def setting(name: str, **value: Any) -> Callable[[Simulation], None]:
    return lambda simulation: simulation[name].set(**value)


def assert_same(found: Spikes, expected: Spikes, *others: Spikes) -> None:
    assert expected[0].size > 100
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(left, right)
    for other in others:  # what is set makes a difference
        assert not np.array_equal(other[0], expected[0])


# Rates by compared and by searched thresholds, none, beyond the tables, and one for each neuron.
COURSES: dict[str, list[Any]] = {
    "compared": [9000.0, 4000.0, 12000.0],
    "searched": [60.0, 9000.0, 40000.0],
    "none": [0.0, 9000.0, 0.0],
    "rejected": [9000.0, 7e6, 0.0],
    "each": [RATES, RATES[::-1], 0.5 * RATES],
}
TIMES, WINDOW = [0.0, 13.1, 25.0], {"start": 2.0, "stop": 37.5}


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "view"])
def test_rates_that_are_set_are_those_of_a_described_course(course: str, whole: bool) -> None:
    target: Target = cells() if whole else cells()[30:120]
    values = COURSES[course]
    if whole and course == "each":
        values = [np.resize(one, N) for one in values]
    weight = 0.01 if course == "rejected" else 25.0

    def drive(rate: Any) -> Network:
        return network(PoissonInput(target, rate, weight, name="drive", **WINDOW))

    described, other = drive(Piecewise(TIMES, values)), drive(12.5)
    assert choose_quanta(described).exponent == choose_quanta(other).exponent
    actions = [(at, setting("drive", rate=one)) for at, one in zip(TIMES, values, strict=True)]
    expected = in_one_run(described)
    assert_same(in_pieces(other, *actions), expected, in_one_run(other))
    # a described course is left where it is set
    assert_same(
        in_pieces(described, (5.0, setting("drive", rate=values[0])), *actions[1:]), expected
    )


@pytest.mark.parametrize("rate", [9000.0, np.full(N, 9000.0)], ids=["all", "each"])
def test_rate_that_is_set_acts_where_the_described_one_never_does(rate: Any) -> None:
    def drive(course: Piecewise) -> Network:
        return network(PoissonInput(cells(), course, 25.0, stop=30.0, name="drive"))

    values = [9000.0] if isinstance(rate, float) else rate[None, :]
    never, described = drive(Piecewise([100.0], values)), drive(Piecewise([12.0], values))
    found = in_pieces(never, (12.0, setting("drive", rate=rate)))
    assert_same(found, in_one_run(described), in_one_run(never))


def test_rate_of_each_and_then_of_all_is_that_of_all() -> None:
    made = network(PoissonInput(cells()[30:120], 9000.0, 25.0, name="drive"))

    def to_and_fro(simulation: Simulation) -> None:
        simulation["drive"].set(rate=RATES)
        simulation["drive"].set(rate=0.0)
        simulation["drive"].set(rate=9000.0)

    assert_same(in_pieces(made, (12.0, to_and_fro)), in_one_run(made))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_currents_that_are_set_are_those_of_a_described_course(precision: str) -> None:
    target = cells()[30:120]
    values = [np.zeros(90), CURRENTS, np.full(90, 412.5)]
    # between two others: the sum of floats has an order
    before, after = ConstantCurrent(cells(), 10.1), ConstantCurrent(cells(), 0.3)

    def push(one: Stimulus) -> Network:
        return network(before, one, after, precision=precision)

    made = push(ConstantCurrent(target, 0.0, name="push"))
    actions = [
        (13.1, setting("push", amplitude=CURRENTS)),
        (25.0, setting("push", amplitude=412.5)),
    ]
    expected = in_one_run(push(StepCurrent(target, TIMES, values)))
    assert_same(in_pieces(made, *actions), expected, in_one_run(made))


def test_spikes_that_are_emitted_are_as_if_described() -> None:
    described = {2.0: [3, 4], 11.1: [3], 11.2: [5], 20.0: [0, 3, 19], 30.3: [7], 39.9: [4]}
    times = np.repeat([*described], [len(one) for one in described.values()])
    made = network(source=SpikeSource([2.0, 30.3, 20.0], [4, 7, 3]))

    def now(simulation: Simulation) -> None:
        simulation["S"].emit(3)  # at 11.1 ms
        simulation["S"].emit([5, 4], [11.2, 39.9])
        simulation["S"].emit([], [])

    actions = [
        (0.0, lambda simulation: simulation["S"].emit([3], 2.0)),
        (11.0, now),
        (19.9, lambda simulation: simulation["S"].emit([19, 0])),
    ]
    expected = in_one_run(network(source=SpikeSource(times, np.concatenate([*described.values()]))))
    assert_same(in_pieces(made, *actions), expected, in_one_run(made))


def inputs() -> list[Stimulus]:
    e = cells()
    return [
        PoissonInput(e, 500.0, 25.0, name="drive"),
        ConstantCurrent(e[:90], 10.0, name="push"),
        NoiseCurrent(e, 0.0, 1.0, name="noise"),
        SineCurrent(e, 1.0, 8.0, name="sine"),
        SpikeInput(e, [1.0], [3], 2.0, name="given"),
        PoissonInput(e, 500.0, 0.0, name="nothing"),
    ]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("Drive", {"rate": 1.0}, "unknown part of the network 'Drive'.*did you mean 'drive'"),
        (3, {"rate": 1.0}, "must be a part of the network; given 3"),
        (
            "given",
            {"times": [1.0]},
            "field times: a spike at a time up to now.*later than 12 ms",
        ),
        (
            "noise",
            {"amplitude": 1.0},
            "unknown field 'amplitude'; allowed: interval, mean, sd, start",
        ),
        ("noise", {"mean": 1.0, "sd": -1.0}, "'noise', field sd: out of range; given -1.0"),
        (
            "sine",
            {"sd": 1.0},
            "unknown field 'sd'; allowed: amplitude, frequency, offset, phase",
        ),
        ("sine", {"frequency": 5000.1}, "field frequency: out of range.*allowed: >= 0 and <= 5000"),
        ("sine", {"phase": np.ones(3)}, r"field phase: array of the wrong shape"),
        ("drive", {"rates": 1.0}, "'drive': unknown field 'rates'.*did you mean 'rate'"),
        ("drive", {"amplitude": 1.0}, "unknown field 'amplitude'; allowed: correlation, rate, rec"),
        ("drive", {}, "stimulus 'drive': no value to set; allowed: rate, weight, receptor"),
        ("drive", {"states": 1.0}, "'drive': unknown field 'states'; allowed: correlation, rate, "),
        ("drive", {"rate": -1.0}, "'drive', field rate: out of range; given -1.0; allowed: >= 0"),
        ("drive", {"rate": np.nan}, "field rate: must be finite"),
        ("drive", {"rate": np.inf}, "field rate: must be finite"),
        (
            "drive",
            {"rate": 1e12},
            r"the summed input.*given 'up to 1e\+12 spikes.*up to \d",
        ),
        ("drive", {"rate": None}, "field rate: must be a number"),
        ("drive", {"rate": Normal(1.0, 1.0)}, "must be a number or an array"),
        ("drive", {"rate": np.ones(90)}, r"wrong shape; given \(90,\); allowed: \(150,\)"),
        ("push", {"amplitude": [0.0] * 89 + [np.nan]}, r"amplitude\[89\]: must be finite"),
    ],
)
def test_invalid_values_are_refused_and_change_nothing(
    name: Any, value: dict[str, Any], message: str
) -> None:
    made = network(*inputs())

    def wrong(simulation: Simulation) -> None:
        with pytest.raises(DescriptionError, match=message):
            simulation[name].set(**value)
        assert simulation._scripted.names == []

    assert_same(in_pieces(made, (12.0, wrong)), in_one_run(made))


@pytest.mark.parametrize(
    ("source", "neurons", "times", "message"),
    [
        ("s", 1, None, "unknown part of the network 's'.*did you mean 'S'"),
        ("E", 1, None, "unknown spike source or spike input 'E'; allowed: S"),
        ("S", 20, None, r"spikes of 'S', neurons\[0\]: index out of range; given 20"),
        ("S", [1, -1], None, r"neurons\[1\]: index out of range; given -1"),
        ("S", 1.5, None, "neurons: must be an array of integers"),
        ("S", [1, 2], [13.0], r"times: array of the wrong shape; given \(1,\); allowed: \(2,\)"),
        (
            "S",
            [1, 2],
            [13.0, 12.0],
            r"times\[1\]: out of range; given 12.0; allowed: later than 12",
        ),
        ("S", 1, 13.05, r"not on the grid; given 13.05"),
        ("S", 1, 1e9, r"times\[0\]: out of range; given 1000000000.0"),
        ("S", [1, 2, 1], None, "neuron 1 would spike twice in one step; given 12.1"),
        ("S", [3], [20.0], "neuron 3 would spike twice in one step; given 20.0"),
        ("S", [4, 5], [21.0, 21.0], "neuron 5 would spike twice in one step; given 21.0"),
    ],
)
def test_invalid_emitted_spikes_are_refused_and_change_nothing(
    source: str, neurons: Any, times: Any, message: str
) -> None:
    made = network(source=SpikeSource([20.0], [3]))
    actions = [(11.0, lambda simulation: simulation["S"].emit([5], 21.0))]

    def wrong(simulation: Simulation) -> None:
        with pytest.raises(DescriptionError, match=message):
            simulation[source].emit(neurons, times)

    assert_same(in_pieces(made, *actions, (12.0, wrong)), in_pieces(made, *actions))


def largest_rate(simulation: Simulation, name: str) -> float:
    """Return the largest rate for which sums of input have room."""
    stimulus = simulation._inputs._find(name)
    assert isinstance(stimulus, RateInput)
    return simulation._inputs._largest_rate(stimulus)


def test_rates_may_rise_as_far_as_the_sums_of_input_have_room() -> None:
    made = network(*inputs(), PoissonInput(cells(), 500.0, 25.0, name="second"))
    with Simulation(made, seed=9) as simulation:
        largest = largest_rate(simulation, "drive")
        assert 1e5 < largest < 1e6
        simulation["nothing"].set(rate=2.0 * largest)
        with pytest.raises(DescriptionError, match=f"allowed: up to {largest:.6g} spikes/s"):
            simulation["drive"].set(rate=1.001 * largest)
        simulation["drive"].set(rate=0.999 * largest)
        # what is left is not for others
        with pytest.raises(DescriptionError, match="could overflow"):
            simulation["second"].set(rate=0.01 * largest)
        simulation.run(0.1)
        # nothing ran over: all that is expected arrived
        expected = (25.0 * largest + 25.0 * 500.0 + 55.0 * 8000.0) * DT * 1e-3
        assert simulation["E"].state["I_syn_ex"].mean() == pytest.approx(expected, rel=0.1)
        simulation["drive"].set(rate=0.0)
        simulation["second"].set(rate=0.999 * largest)
        simulation["drive"].set(rate=501.0)
        held, fields = simulation._inputs, simulation._inputs.fields
        saved, names = held.take(1), {"drive", "nothing", "second"}
        assert {field.group for field in fields} == {f"stimulus_changes/{name}" for name in names}
        assert {field.name for field in fields} == {"values"}
        # one may rise, when it is restored, into room that a later one has given up
        simulation["second"].set(rate=0.0)
        simulation["drive"].set(rate=0.999 * largest)
        held.put(saved, 1)
        assert held.fields == fields
        for left, right in zip(held.take(1), saved, strict=True):
            np.testing.assert_array_equal(left, right)
        with pytest.raises(DescriptionError, match="could overflow"):
            simulation["drive"].set(rate=0.01 * largest)


def test_spikes_are_those_of_the_last_run_recorded_or_not(tmp_path: Path) -> None:
    e = cells()
    made = network(source=SpikeSource([5.0, 15.0], [2, 2]))
    few = Network(made.populations, made.projections, made.stimuli, [RecordSpikes(e[3:5])], DT)
    for one in (made, few):
        path = tmp_path / f"{len(one.recordings)}.zarr"
        with Simulation(one, seed=9, out=path) as simulation:
            assert simulation[e].spikes()[0].size == 0
            found = []
            for piece in (10.0, 0.0, 0.1, 29.9):
                simulation.run(piece)
                found.append(simulation["E"].spikes())
                assert found[-1][0].dtype == np.int32
                assert found[-1][1].dtype == np.uint32
                counts = simulation[e[30:60]].spike_counts()
                step, gid = simulation[e[30:60]].spikes()
                assert counts.tolist() == [np.count_nonzero(gid == one) for one in range(30, 60)]
                inside = (found[-1][1] >= 30) & (found[-1][1] < 60)
                np.testing.assert_array_equal(step, found[-1][0][inside])
            assert simulation["S"].spikes()[0].tolist() == [150]
            assert simulation["S"].spike_counts().tolist() == [0, 0, 1] + [0] * 17
        assert found[1][0].size == 0
        if one is made:
            step, gid = StoreReader(path).spikes()
            np.testing.assert_array_equal(np.concatenate([one[0] for one in found]), step[gid < N])
            np.testing.assert_array_equal(np.concatenate([one[1] for one in found]), gid[gid < N])
            assert step.size > 100


def test_spikes_of_a_run_that_is_too_long_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_spikes, "MAX_SPIKES", 60)
    with Simulation(network(), seed=9) as simulation:
        simulation.run(END)
        with pytest.raises(SimulationStateError, match="more than 60 spikes on one rank"):
            simulation["E"].spikes()
        simulation.run(1.0)
        assert 0 < simulation["E"].spikes()[0].size <= 60
        with pytest.raises(DescriptionError, match="unknown part of the network 'e'"):
            simulation["e"].spikes()


def test_store_tells_of_states_weights_learning_and_signals(tmp_path: Path) -> None:
    e = Population("E", 70, IafPscExp())
    rewarded = DopamineSTDP(w_max=90.0)
    made = Network(
        [e],
        [
            Projection(e, e, FixedIndegree(3), 30.0, 1.5, name=name, synapse=rewarded)
            for name in ("a", "b", "c", "d")
        ],
    )
    path = tmp_path / "run.zarr"

    def told() -> list[str]:
        found: list[str] = StoreReader(path).metadata.get("script_changes", [])
        return found

    with Simulation(made, out=path) as simulation:
        synapses, state = simulation["d"], simulation[e[:10]].state
        assert synapses.weights.size == 210
        assert state["V_m"].size == 10
        assert told() == []
        simulation["b"].signal = 0.5
        simulation["a"].learning = False
        synapses.weights = 3.0
        simulation["c"].normalise(100.0)
        state["V_m"] = -60.0
        state["V_m"] = -61.0
        assert told() == ["b", "a", "d", "c", "E"]
        simulation.save()
        with pytest.raises(DescriptionError, match="nan"):
            simulation["b"].signal = np.nan
    with Simulation.restore(path, out=tmp_path / "other.zarr") as simulation:
        assert simulation._scripted.names == told()
    assert StoreReader(tmp_path / "other.zarr").metadata["script_changes"] == told()


def loop(simulation: Simulation, until: float) -> list[Spikes]:
    """Let inputs follow from spikes, 2 ms after 2 ms."""
    found = []
    while simulation.time_ms < until - 1e-9:
        simulation.run(2.0)
        counts = simulation["E"].spike_counts()
        simulation["drive"].set(rate=9000.0 / (1.0 + counts.sum()))
        simulation["push"].set(amplitude=30.0 * counts[:90])
        chosen = np.flatnonzero(counts[:20])
        simulation["S"].emit(chosen, np.full(chosen.size, simulation.time_ms + 2.5))
        found.append(everyone(simulation))
    return found


def test_what_was_set_is_saved_and_restored(tmp_path: Path) -> None:
    made, path = network(*inputs()), tmp_path / "saved.zarr"
    with Simulation(made, seed=9) as simulation:
        simulation.save(path)
        assert "script_changes" not in StoreReader(path).metadata
        loop(simulation, 20.0)
        simulation.save(path)
        expected = loop(simulation, END)
    assert sum(step.size for step, _ in expected) > 100
    with Simulation.restore(path, out=tmp_path / "run.zarr") as simulation:
        with pytest.raises(SimulationStateError, match="a checkpoint does not contain"):
            simulation["E"].spikes()
        found = loop(simulation, END)
        for left, right in zip(found, expected, strict=True):
            np.testing.assert_array_equal(left, right)
    assert StoreReader(path).metadata["script_changes"] == ["drive", "push", "S"]
    assert StoreReader(tmp_path / "run.zarr").metadata["script_changes"] == ["drive", "push", "S"]


def test_store_tells_what_a_script_sets_and_the_command_refuses_to_repeat_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.zarr"
    with Simulation(network(*inputs()), seed=9, out=path) as simulation:
        simulation.run(1.0)
        assert "script_changes" not in StoreReader(path).metadata
        simulation["drive"].set(rate=1.0)
        assert StoreReader(path).metadata["script_changes"] == ["drive"]
        simulation["S"].emit([1])
        assert StoreReader(path).metadata["script_changes"] == ["drive", "S"]
        simulation.run(1.0)
    for words in (("run", path, "--out", tmp_path / "b.zarr"), ("run", "--resume", path)):
        assert main([*map(str, words)]) == 2
        assert "a script changed the run (drive, S) and the store" in capfd.readouterr().err
