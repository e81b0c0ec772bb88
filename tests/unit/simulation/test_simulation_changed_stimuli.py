"""Stimuli changed between run calls: from then on, as if described so.

The expected spikes are those of an engine that is built from the changed description and that
continues from the state at the time of the change.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import thread_ranks
from recorded import assert_same as assert_same_recorded
from recorded import newest_checkpoint, recorded
from test_simulation_inputs import (
    CURRENTS,
    END,
    RATES,
    N,
    Spikes,
    assert_same,
    cells,
    everyone,
    in_one_run,
    network,
)

from distsnn.comm import Communicator
from distsnn.engine import snapshot
from distsnn.errors import DescriptionError, StoreError
from distsnn.network import (
    ConstantCurrent,
    GammaInput,
    IafCondExp,
    Network,
    NoiseCurrent,
    Piecewise,
    PoissonInput,
    Population,
    Sine,
    SineCurrent,
    SpikeInput,
    StepCurrent,
    Stimulus,
)
from distsnn.network.quanta import choose_quanta
from distsnn.simulation import Simulation
from distsnn.simulation.stimulus_changes import decode_fields, encode_fields

CHANGE, SAVE = 13.0, 21.0
VIEW = cells()[30:120]
DRAW = np.random.default_rng(8)
TIMES, NEURONS = DRAW.integers(140, 390, 200) * 0.1, DRAW.integers(0, 90, 200)


def poisson(rate: Any = 6000.0, **fields: Any) -> PoissonInput:
    return PoissonInput(VIEW, rate, 25.0, name="changed", **fields)


def gamma(**fields: Any) -> GammaInput:
    return GammaInput(VIEW, 3000.0, 25.0, 2.5, 3, name="changed", **fields)


def spikes(weight: Any = 500.0) -> SpikeInput:
    return SpikeInput(VIEW, [2.0, 15.0, 30.0], [3, 4, 3], weight, name="changed")


COURSE = Piecewise([0.0, 20.0, 30.0], [2000.0, 9000.0, 500.0])
COURSES = Piecewise([5.0, 20.0], [RATES, RATES[::-1]])
# By name, a stimulus and what is changed of it.
CHANGES: dict[str, tuple[Stimulus, dict[str, Any]]] = {
    "Poisson, weight": (poisson(), {"weight": 30.0}),
    "Poisson, sign of the weight": (poisson(), {"weight": -25.0}),
    "Poisson, receptor": (poisson(receptor="ex"), {"receptor": None, "weight": -30.0}),
    "Poisson, course for a rate": (poisson(), {"rate": COURSE}),
    "Poisson, rate for a course": (poisson(COURSES), {"rate": 9000.0}),
    "Poisson, course for a course": (poisson(COURSE), {"rate": COURSES}),
    "Poisson, sine for a rate": (poisson(), {"rate": Sine(5000.0, 60.0, 0.0, 5000.0)}),
    "Poisson, rates for a sine": (poisson(Sine(5000.0, 60.0)), {"rate": RATES}),
    "Poisson, start": (poisson(start=30.0), {"start": CHANGE}),
    "Poisson, later start": (poisson(), {"start": 20.0, "stop": 30.0}),
    "Poisson, stop": (poisson(), {"stop": CHANGE}),
    "Poisson, again": (poisson(stop=8.0), {"stop": 30.0}),
    "Poisson, correlation": (poisson(), {"correlation": 0.25}),
    "Poisson, no correlation": (poisson(correlation=0.25), {"correlation": 0.0, "rate": RATES}),
    "gamma, order": (gamma(), {"order": 40.0}),
    "gamma, weight and course": (gamma(), {"weight": 29.0, "rate": COURSES}),
    "gamma, window": (gamma(start=2.0), {"start": 20.0, "stop": 35.0, "order": 1.0}),
    "spikes": (spikes(), {"times": TIMES, "neurons": NEURONS}),
    "spikes, weights": (spikes(), {"weight": [500.0, 1000.0, -250.0]}),
    "spikes with weights": (
        spikes(),
        {"times": TIMES, "neurons": NEURONS, "weight": 250.0 * DRAW.integers(-3, 4, 200)},
    ),
    "spikes, receptor": (spikes(), {"receptor": "in", "weight": -250.0}),
    "no spikes": (spikes(), {"times": [], "neurons": []}),
    "constant current": (
        ConstantCurrent(VIEW, 100.0, name="changed"),
        {"amplitude": CURRENTS, "start": 15.0, "stop": 33.3},
    ),
    "steps": (
        StepCurrent(VIEW, [5.0], [400.0], name="changed"),
        {"times": [0.0, 17.0, 29.9], "amplitudes": [CURRENTS, -CURRENTS, 2.0 * CURRENTS]},
    ),
    "sine current": (
        SineCurrent(VIEW, 300.0, 40.0, name="changed"),
        {"frequency": np.linspace(0.0, 400.0, 90), "phase": 45.0, "stop": 35.0},
    ),
    "noise, interval": (
        NoiseCurrent(VIEW, 100.0, 500.0, 2.0, name="changed"),
        {"interval": 0.7, "mean": CURRENTS},
    ),
    "noise, start": (
        NoiseCurrent(VIEW, 100.0, 500.0, 2.0, start=1.0, name="changed"),
        {"interval": None, "start": 14.5, "sd": np.abs(CURRENTS)},
    ),
}
ALL_CHANGES = pytest.mark.parametrize("change", CHANGES)


def described(change: str) -> tuple[Network, Network]:
    """Return networks with the stimulus before and after the change, of the same quanta."""
    stimulus, values = CHANGES[change]
    before, after = network(stimulus), network(replace(stimulus, **values))
    assert choose_quanta(before).exponent == choose_quanta(after).exponent
    return before, after


def continued(made: Network, state: snapshot.Snapshot) -> tuple[Spikes, dict[str, np.ndarray]]:
    """Return the spikes of a network from a state up to the end, and its state there."""
    with Simulation(made, seed=9) as simulation:
        snapshot.restore_snapshot(simulation._engine, state.states, state.step, state.spikes)
        simulation.run(END - simulation.time_ms)
        return everyone(simulation), dict(simulation["E"].state)


@ALL_CHANGES
def test_a_changed_stimulus_is_as_described_from_then_on(change: str, tmp_path: Path) -> None:
    before, after = described(change)
    with Simulation(before, seed=9) as simulation:
        simulation.run(CHANGE)
        state = snapshot.take_snapshot(simulation._engine)
        simulation["changed"].set(**CHANGES[change][1])
        simulation.run(SAVE - CHANGE)
        found = everyone(simulation)
        simulation.save(tmp_path / "saved.zarr")
        simulation.run(END - SAVE)
        rest, states = everyone(simulation), dict(simulation["E"].state)
    expected, expected_states = continued(after, state)
    found = tuple(map(np.concatenate, zip(found, rest, strict=True)))  # type: ignore[assignment]
    order = np.lexsort((found[1], found[0]))
    expected_order = np.lexsort((expected[1], expected[0]))
    assert_same(
        (found[0][order], found[1][order]),
        (expected[0][expected_order], expected[1][expected_order]),
    )
    _, unchanged_states = continued(before, state)
    assert not np.array_equal(states["V_m"], unchanged_states["V_m"])
    with Simulation.restore(tmp_path / "saved.zarr") as simulation:
        parameters = simulation["changed"].parameters
        for name, value in CHANGES[change][1].items():
            if isinstance(value, Piecewise | Sine) or value is None:
                assert parameters[name] == value
            elif name != "neurons" and name != "times" and np.size(value) != 200:
                np.testing.assert_array_equal(parameters[name], value)
        simulation.run(END - SAVE)
        resumed = everyone(simulation), dict(simulation["E"].state)
    assert_same(resumed[0], rest)
    for name, values in expected_states.items():
        np.testing.assert_array_equal(states[name], values, name)
        np.testing.assert_array_equal(resumed[1][name], values, name)


@ALL_CHANGES
def test_a_changed_stimulus_stays_after_a_reset(change: str) -> None:
    before, after = described(change)
    with Simulation(before, seed=9) as simulation:
        simulation.run(CHANGE)
        simulation["changed"].set(**CHANGES[change][1])
        simulation.run(1.0)
        simulation.reset()
        simulation.run(END)
        found = everyone(simulation)
    assert_same(found, in_one_run(after))


@pytest.mark.parametrize(
    ("before", "changed"),
    [
        (ConstantCurrent(VIEW, 300.0), {"amplitude": CURRENTS}),
        (SineCurrent(VIEW, 300.0, 40.0, offset=200.0), {"frequency": 90.0, "phase": CURRENTS}),
        (SineCurrent(VIEW, 300.0, 40.0), {"stop": 30.0}),
    ],
)
def test_a_change_is_an_end_and_a_start(before: Any, changed: dict[str, Any]) -> None:
    later = replace(before, **{"start": CHANGE} | changed)
    both = network(replace(before, stop=CHANGE), later)
    with Simulation(network(replace(before, name="changed")), seed=9) as simulation:
        simulation.run(CHANGE)
        first = everyone(simulation)
        simulation["changed"].set(**changed)
        simulation.run(END - CHANGE)
        found = [np.concatenate(pair) for pair in zip(first, everyone(simulation), strict=True)]
    order = np.lexsort((found[1], found[0], found[1] >= N))
    assert_same((found[0][order], found[1][order]), in_one_run(both))


# By name, a stimulus and what a script sets one after the other: calls that exist are used again.
SEQUENCES: dict[str, tuple[Stimulus, list[dict[str, Any]]]] = {
    "Poisson": (
        poisson(),
        [
            {"rate": 0.0},
            {"rate": 9000.0},
            {"rate": RATES},
            {"rate": 300.0},  # of another kernel
            {"correlation": 0.25},
            {"rate": 5000.0},
            {"correlation": 0.0},
            {"rate": Piecewise([5.0, 15.0], [500.0, 9000.0])},
            {"rate": Sine(5000.0, 60.0, 0.0, 5000.0)},
            {"rate": Piecewise([5.0, 16.0], [RATES, 8000.0 + 0.0 * RATES])},
            {"rate": Piecewise([5.0, 40.0], [9000.0, 0.0])},
            {"rate": 0.0, "stop": 90.0},
            {"rate": RATES[::-1]},
            {"weight": -25.0},
            {"rate": 7000.0},
        ],
    ),
    "gamma": (
        gamma(),
        [{"rate": 1000.0}, {"rate": RATES}, {"rate": Sine(900.0, 60.0)}, {"rate": 3000.0}],
    ),
    "constant current": (
        ConstantCurrent(VIEW, 100.0, name="changed"),
        [{"amplitude": 400.0}, {"stop": 8.8}, {"stop": 90.0}, {"amplitude": CURRENTS}],
    ),
    "steps": (
        StepCurrent(VIEW, [5.0, 14.0], [400.0, 100.0], name="changed"),
        [
            {"times": [5.0, 6.2], "amplitudes": [300.0, 500.0]},
            {"amplitudes": [CURRENTS, -CURRENTS]},
            {"times": [7.0], "amplitudes": [350.0]},
        ],
    ),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_each_of_several_changes_is_as_described_from_then_on(name: str) -> None:
    stimulus, changes = SEQUENCES[name]
    made = network(stimulus)
    with Simulation(made, seed=9) as simulation:
        simulation.run(5.0)
        for values in changes:
            stimulus = replace(stimulus, **values)
            described_so = network(stimulus)
            assert choose_quanta(described_so).exponent == choose_quanta(made).exponent
            state = snapshot.take_snapshot(simulation._engine)
            simulation["changed"].set(**values)
            simulation.run(2.5)
            found, states = everyone(simulation), dict(simulation["E"].state)
            with Simulation(described_so, seed=9) as expected:
                snapshot.restore_snapshot(expected._engine, state.states, state.step, state.spikes)
                expected.run(2.5)
                for given, wanted in zip(found, everyone(expected), strict=True):
                    np.testing.assert_array_equal(given, wanted, f"{values}")
                for variable, array in dict(expected["E"].state).items():
                    np.testing.assert_array_equal(states[variable], array, f"{values}")


def together() -> Network:
    """Return a network with all stimuli that change."""
    stimuli = [stimulus for stimulus, _ in CHANGES.values()]
    return network(*(replace(stimulus, name=f"s{i}") for i, stimulus in enumerate(stimuli)))


def record(out: Path, communicator: Communicator | None = None, *, stop: bool = False) -> None:
    """Record a run in which rank 0 changes all stimuli."""
    simulation = Simulation(together(), seed=9, out=out, communicator=communicator)
    simulation.run(CHANGE)
    simulation["s18"].emit([5, 6, 5], [14.0, 25.0, 25.1], [300.0, -100.0, 200.0])
    for i, (_, values) in enumerate(CHANGES.values()):
        ours = communicator is None or communicator.rank == 0
        simulation[f"s{i}"].set(**(values if ours else dict.fromkeys(values)))
    simulation.run(SAVE - CHANGE)
    simulation.save()
    if stop:
        simulation.run(1.0)
        simulation._stop(RuntimeError("given up"))
        return
    simulation.run(END - SAVE)
    simulation.save()
    simulation.close()


def resume(out: Path, communicator: Communicator) -> None:
    with Simulation.restore(out, out=out, communicator=communicator) as simulation:
        simulation.run(END - SAVE)
        simulation.save()


def test_changed_stimuli_are_the_same_on_any_ranks_also_resumed(tmp_path: Path) -> None:
    record(tmp_path / "alone.zarr")
    alone = recorded(tmp_path / "alone.zarr")
    assert alone["spikes step"].size > 300
    for ranks in (2, 3):
        out = tmp_path / f"{ranks}.zarr"
        results, aborted = thread_ranks.run(ranks, lambda rank, out=out: record(out, rank))
        assert (results, aborted) == ([None] * ranks, None)
        assert_same_recorded(alone, recorded(out))
    out = tmp_path / "resumed.zarr"
    thread_ranks.run(3, lambda rank: record(out, rank, stop=True))
    results, aborted = thread_ranks.run(2, lambda rank: resume(out, rank))
    assert (results, aborted) == ([None, None], None)
    assert_same_recorded(alone, recorded(out))
    digests = {
        newest_checkpoint(tmp_path / f"{name}.zarr").attributes["digest"]
        for name in ("alone", "2", "3", "resumed")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("wait", [{"start": 20.0}, {"rate": Piecewise([20.0], [3000.0])}])
def test_gamma_processes_that_have_not_started_have_the_new_order(wait: dict[str, Any]) -> None:
    before = gamma()
    late = network(replace(before, **wait))
    expected = network(replace(before, **wait, order=1.5))
    with Simulation(late, seed=9) as simulation:
        simulation.run(CHANGE)
        simulation["changed"].set(order=9.0)
        simulation["changed"].set(order=1.5)
        simulation.run(0.0)
        state = simulation["changed"].state["next_spikes"]
        simulation.run(END - CHANGE)
        found = everyone(simulation)
    with Simulation(expected, seed=9) as simulation:
        np.testing.assert_array_equal(simulation["changed"].state["next_spikes"], state)
        simulation.run(CHANGE)
        simulation.run(END - CHANGE)
        assert_same(found, everyone(simulation))


def test_intervals_in_course_keep_their_order_and_later_ones_have_the_new_one() -> None:
    made = network(GammaInput(cells(), 2000.0, 0.0, order=1.0, n=10, name="changed"))
    with Simulation(made, seed=9) as simulation:
        state = simulation["changed"].state
        simulation.run(5.0)
        before = state["next_spikes"]
        simulation["changed"].set(order=25.0)
        np.testing.assert_array_equal(state["next_spikes"], before)
        intervals = []
        for _ in range(30):
            clock, before = state["clock"], state["next_spikes"]
            simulation.run(0.1)
            due = before <= state["clock"][:, None]
            # processes that spike in this step, and once only
            for early, late, is_due in zip(before, state["next_spikes"], due, strict=True):
                new = np.setdiff1d(late, early)
                if is_due.sum() == 1 and new.size == 1:
                    intervals.append(new[0] - early[is_due][0])
            assert (clock < state["clock"]).all()
    found = np.array(intervals)
    assert found.size > 1000
    # a gamma distribution of the order 25: mean 1, standard deviation 1/5
    assert found.mean() == pytest.approx(1.0, abs=5 * 0.2 / np.sqrt(found.size))
    assert found.std() == pytest.approx(0.2, rel=0.1)


def test_emitted_spikes_stay_with_their_weights() -> None:
    with Simulation(network(spikes()), seed=9) as simulation:
        simulation.run(CHANGE)
        simulation["changed"].emit([7, 8, 9], [14.0, 20.0, 31.0])
        simulation.run(3.0)
        simulation["changed"].set(times=[18.0, 20.0], neurons=[1, 8], weight=250.0)
        simulation["changed"].emit([2], 31.0)
        rows = dict(simulation["changed"].parameters)
        simulation.run(END - CHANGE - 3.0)
        found = everyone(simulation)
        state = dict(simulation["E"].state)
    assert (rows["times"].tolist(), rows["neurons"].tolist()) == ([18.0, 20.0], [1, 8])
    columns = [(2.0, 3, 500.0), (15.0, 4, 500.0), (14.0, 7, 500.0), (20.0, 8, 500.0)]
    columns += [(31.0, 9, 500.0), (18.0, 1, 250.0), (20.0, 8, 250.0), (31.0, 2, 250.0)]
    times, neurons, weights = zip(*columns, strict=True)
    expected = network(SpikeInput(VIEW, times, neurons, weights))
    assert choose_quanta(expected).exponent == choose_quanta(network(spikes())).exponent
    with Simulation(expected, seed=9) as simulation:
        simulation.run(CHANGE + 3.0)
        simulation.run(END - CHANGE - 3.0)
        assert_same(found, everyone(simulation))
        for name, values in dict(simulation["E"].state).items():
            np.testing.assert_array_equal(state[name], values)


def test_a_receptor_that_does_not_accept_emitted_spikes_is_refused() -> None:
    neurons = Population("C", 9, IafCondExp())
    made = Network([neurons], [], [SpikeInput(neurons, [1.0], [3], 20.0, name="changed")])
    with Simulation(made) as simulation:
        given = simulation["changed"]
        given.emit([5], 7.0, 30.0)
        with pytest.raises(DescriptionError, match=r"emitted spikes of 'changed', weights.*30.0"):
            given.set(receptor="in", weight=-10.0)
        given.set(receptor="ex")
        simulation.run(7.0)
        given.set(receptor="in", weight=-10.0)
        given.emit([5], 9.0)
        simulation.run(2.0)
        assert simulation["C"].state["g_in"][5] == 10.0


REFUSED: list[tuple[Stimulus, Mapping[str, Any], str]] = [
    (poisson(), {"target": VIEW}, "'changed', field target: cannot be changed during a run: the"),
    (poisson(), {"name": "other"}, "field name: cannot be changed during a run: scripts and"),
    (gamma(), {"n": 4}, "field n: cannot be changed during a run: each process has a state"),
    (poisson(), {"n": 4}, "unknown field 'n'; allowed: correlation, rate"),
    (poisson(), {"order": 2.0}, "'changed': unknown field 'order'; allowed: correlation, rate"),
    (gamma(), {"order": 0.5}, "'changed', field order: out of range; given 0.5; allowed: >= 1"),
    (poisson(start=20.0), {"start": 12.9}, r"cannot start before now; given 12.9; .*13 ms or l"),
    (
        poisson(),
        {"stop": 12.9},
        "field stop: the stimulus cannot stop before now; given 12.9; .*stop, inf$",
    ),
    (poisson(), {"start": 20.0, "stop": 20.0}, "field stop: out of range; given 20.0"),
    (poisson(), {"stop": 20.05}, "not on the grid; given 20.05"),
    (poisson(), {"stop": "never"}, "'changed': PoissonInput onto 'E', field stop: must be a num"),
    (poisson(), {"rate": Piecewise([0.0, 0.0], [1.0, 2.0])}, "rate.times.* increase"),
    (poisson(), {"rate": COURSES, "correlation": 0.5}, "an array, but the neurons are correl"),
    (poisson(), {"receptor": "inh"}, "unknown receptor 'inh'"),
    (
        poisson(),
        {"weight": 1e-4},
        r"the input cannot store the weight to 1/1024 of its value; given 0.0001; allowed: 0, magn",
    ),
    (poisson(), {"weight": 1e15}, r"to 1/1024 of its value; given 1000000000000000.0"),
    (poisson(), {"weight": 2e4}, r"could overflow; given 'up to 6000 spikes/s with a weight of 2"),
    (spikes(), {"times": [20.0, 13.0], "neurons": [1, 1]}, "given 13.0; allowed: later than 13"),
    (spikes(), {"times": [20.0]}, r"times: array of the wrong shape; given \(1,\)"),
    (spikes(), {"neurons": [1, 2, 90]}, r"neurons\[2\]: index out of range; given 90"),
    (spikes(), {"weight": [1.0, 2.0]}, r"weight: array of the wrong shape"),
    (spikes(), {"weight": [500.0, 500.0, 1e-4]}, "field weight.*given 0.0001"),
    (spikes(), {"weight": 9e5}, "'changed': the summed input of one step could overflow; hint: d"),
    (CHANGES["steps"][0], {"amplitude": 1.0}, "unknown field 'amplitude'.*mean 'amplitudes'"),
    (CHANGES["steps"][0], {"times": [1.0, 2.0]}, "amplitudes.values: array of the wrong shape"),
    (CHANGES["noise, start"][0], {"interval": 0.05}, "not on the grid; given 0.05"),
]


@pytest.mark.parametrize(("stimulus", "values", "message"), REFUSED)
def test_a_change_that_cannot_be_described_is_refused_and_nothing_changes(
    stimulus: Stimulus, values: Mapping[str, Any], message: str
) -> None:
    made = network(stimulus)
    with Simulation(made, seed=9) as simulation:
        simulation.run(CHANGE)
        before = dict(simulation["changed"].parameters)
        headroom = [*simulation._inputs._input_headroom]
        with pytest.raises(DescriptionError, match=message):
            simulation["changed"].set(**values)
        assert simulation._inputs._input_headroom == headroom
        assert simulation._inputs.set_values == {}
        assert simulation._scripted.names == []
        assert all(
            np.array_equal(value, before[name]) if isinstance(value, np.ndarray) else True
            for name, value in simulation["changed"].parameters.items()
        )


def test_input_of_changed_weights_is_reserved_and_given_back() -> None:
    second = replace(spikes(), name="second")
    with Simulation(network(poisson(), second), seed=9) as simulation:
        inputs = simulation._inputs
        first = [*inputs._input_headroom]
        quantum = simulation._engine.quanta.quantum("E", "ex")
        weight = np.floor(0.8 * first[0] / 60.0) * quantum
        simulation["changed"].set(weight=weight)  # of up to some 50 spikes in a step
        assert inputs._input_headroom[0] < 0.5 * first[0]
        with pytest.raises(DescriptionError, match="could overflow"):
            simulation["second"].set(weight=0.6 * first[0] * quantum)
        # of another sign it adds to the other receptor
        simulation["changed"].set(weight=-weight)
        assert inputs._input_headroom[1] < 0.5 * first[1]
        simulation["second"].set(weight=0.6 * first[0] * quantum)
        # emitted spikes may arrive in the same step
        simulation["second"].set(weight=500.0)
        simulation["second"].emit([1], 5.0, 0.5 * first[0] * quantum)
        with pytest.raises(DescriptionError, match="could overflow"):
            simulation["second"].set(weight=0.6 * first[0] * quantum)
        simulation["second"].set(weight=0.4 * first[0] * quantum)
        simulation.run(5.0)
        assert (simulation["E"].state["I_syn_ex"] >= 0.0).all()
        assert (simulation["E"].state["I_syn_in"][30:120] < 0.0).any()
        simulation["changed"].set(weight=25.0)
        simulation["second"].set(weight=500.0)
        simulation.run(1.0)
        simulation["second"].emit([1], weights=500.0)
        simulation["second"].set(times=[8.0, 9.0, 9.5])
        assert inputs.set_values.keys() == {"second"}
        simulation.run(1.0)
        simulation["second"].set(weight=500.0)
        assert inputs._input_headroom == first


def test_fields_are_stored_as_described() -> None:
    fields = {
        "rate": Piecewise([0.0, 5.0], [[1.0, 2.0], [3.0, 4.0]]),
        "times": np.empty(0),
        "neurons": np.empty(0, np.int32),
        "stop": np.inf,
        "receptor": None,
        "weight": 0.1,
    }
    stored = encode_fields(fields)
    assert all(values.ndim == 1 and values.size for values in stored.values())
    found = decode_fields(stored, where="x")
    assert found["rate"] == fields["rate"]
    assert (found["stop"], found["receptor"], found["weight"]) == (np.inf, None, 0.1)
    assert (found["times"].shape, found["neurons"].dtype) == ((0,), np.int32)
    for broken in ({}, stored | {"values": stored["values"][1:]}, {"values": stored["values"]}):
        with pytest.raises(ValueError):
            decode_fields(broken, where="x")


def test_a_corrupt_change_in_a_checkpoint_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Simulation(network(poisson()), seed=9) as simulation:
        simulation["changed"].set(rate=COURSES)
        with monkeypatch.context() as patch:
            patch.setattr(
                "distsnn.simulation.stimulus_control.encode_fields",
                lambda fields: {name: v + 1 for name, v in encode_fields(fields).items()},
            )
            simulation.save(tmp_path / "saved.zarr")
    with pytest.raises(StoreError, match="corrupt"):
        Simulation.restore(tmp_path / "saved.zarr")
