"""Noise, courses of currents and given spikes, set between pieces: as if described."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from test_simulation_inputs import (
    CURRENTS,
    DT,
    END,
    RNG,
    TIMES,
    N,
    assert_same,
    cells,
    everyone,
    in_one_run,
    in_pieces,
    largest_rate,
    network,
    setting,
)

from distsnn.errors import DescriptionError
from distsnn.network import (
    GammaInput,
    Network,
    NoiseCurrent,
    Piecewise,
    PoissonInput,
    Sine,
    SineCurrent,
    SpikeInput,
    StepCurrent,
)
from distsnn.network.quanta import choose_quanta
from distsnn.simulation import Simulation


def test_course_of_a_step_current_ends_where_it_is_set() -> None:
    target = cells()[30:120]
    values = [np.zeros(90), CURRENTS, np.full(90, 412.5)]
    expected = in_one_run(network(StepCurrent(target, TIMES, values)))
    early = StepCurrent(target, [3.0, 20.0, 30.0], [0.0, 300.0, -100.0], name="step")
    late = StepCurrent(target, [26.0], [99.0], name="step")
    actions = [
        (13.1, setting("step", times=[0.0], amplitudes=[CURRENTS])),
        (25.0, setting("step", amplitudes=[412.5])),
    ]
    for one in (early, late):
        assert_same(in_pieces(network(one), *actions), expected, in_one_run(network(one)))


def sine(**values: Any) -> Network:
    described = {"amplitude": 0.0, "frequency": 0.0} | values
    return network(SineCurrent(cells()[30:120], **described, start=2.0, stop=37.5, name="sine"))


SINE = {"amplitude": 200.0, "frequency": 83.0, "phase": 250.0, "offset": CURRENTS}
WAVES = {
    "a common wave": SINE,
    "waves of their own": SINE | {"frequency": np.linspace(0.0, 5000.0, 90), "phase": CURRENTS},
}


@pytest.mark.parametrize("waves", WAVES)
def test_sine_that_is_set_is_as_if_described(waves: str) -> None:
    values = WAVES[waves]
    expected, zero = in_one_run(sine(**values)), sine()
    assert_same(in_pieces(zero, (0.0, setting("sine", **values))), expected, in_one_run(zero))
    # the phase is that of time 0, whenever the frequency is set
    wrong = sine(**values | {"amplitude": 1.0, "frequency": 3.0, "phase": 0.0})
    actions = [
        (1.3, setting("sine", amplitude=values["amplitude"], frequency=values["frequency"])),
        (2.0, setting("sine", phase=values["phase"])),
        (20.0, setting("sine", offset=values["offset"])),
    ]
    assert_same(in_pieces(wrong, *actions), expected, in_one_run(wrong))


def test_sine_is_the_course_of_its_values() -> None:
    steps = np.arange(20, 375)
    turns = 83.0 * steps * DT * 1e-3 + 250.0 / 360.0
    values = CURRENTS + 200.0 * np.sin(2.0 * np.pi * turns)[:, None]
    course = StepCurrent(
        cells()[30:120], np.append(steps, 375) * DT, np.append(values, np.zeros((1, 90)), axis=0)
    )
    assert_same(in_one_run(sine(**SINE)), in_one_run(network(course)), in_one_run(sine()))


def test_sine_current_that_was_set_resumes_from_a_checkpoint(tmp_path: Path) -> None:
    made = sine(**SINE)
    with Simulation(made, seed=9) as simulation:
        simulation.run(11.0)
        simulation["sine"].set(frequency=61.0, offset=300.0)
        simulation.run(2.0)
        simulation.save(tmp_path / "saved.zarr")
        simulation.run(END - 13.0)
        expected = everyone(simulation)
    with Simulation.restore(tmp_path / "saved.zarr") as simulation:
        simulation.run(END - 13.0)
        assert_same(everyone(simulation), expected, in_one_run(made))


def wavy(whole: bool = False, weight: float = 25.0, **values: Any) -> Network:
    rate = Sine(**{"amplitude": 0.0, "frequency": 0.0} | values)
    target = cells() if whole else cells()[30:120]
    return network(PoissonInput(target, rate, weight, start=2.0, stop=37.5, name="wavy"))


# All searched; by neuron; beyond the tables. The latter two reach below 0.
RATES: dict[str, tuple[float, dict[str, Any]]] = {
    "common": (2.0, {"amplitude": 2.4e5, "offset": 3e5}),
    "each": (25.0, {"amplitude": 20.0 * CURRENTS, "offset": 4000.0}),
    "rejected": (0.01, {"amplitude": 8e6, "offset": 5e6}),
}


@pytest.mark.parametrize("rates", RATES)
def test_sine_of_rates_is_the_course_of_its_values(rates: str) -> None:
    weight, values = RATES[rates]
    amplitude, offset = (np.asarray(values[name]) for name in ("amplitude", "offset"))
    steps = np.arange(20, 375)
    wave = np.sin(2.0 * np.pi * (83.0 * steps * DT * 1e-3 + 250.0 / 360.0))
    course = np.maximum(offset + np.multiply.outer(wave, amplitude), 0.0)
    if rates == "common":
        assert course.min() * DT * 1e-3 > 3.0  # others would be compared
    else:
        assert 0.1 < np.mean(course == 0.0) < 0.6
        course = np.broadcast_to(course.reshape(steps.size, -1), (steps.size, 90))
    described = PoissonInput(
        cells()[30:120], Piecewise(steps * DT, course), weight, start=2.0, stop=37.5
    )
    found = in_one_run(wavy(weight=weight, frequency=83.0, phase=250.0, **values))
    assert_same(found, in_one_run(network(described)), in_one_run(wavy(weight=weight)))


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "view"])
def test_sine_of_rates_that_is_set_is_as_if_described(rates: str, whole: bool) -> None:
    weight, values = RATES[rates]
    n = N if whole else 90
    values = values | {"frequency": 83.0, "phase": 250.0}
    values = {name: np.resize(one, n) if np.ndim(one) else one for name, one in values.items()}
    expected = in_one_run(wavy(whole, weight, **values))
    none = wavy(whole, weight)
    assert choose_quanta(none).exponent == choose_quanta(wavy(whole, weight, **values)).exponent
    # by neuron at first
    each = {"amplitude": np.zeros(n), "frequency": np.linspace(0.0, 9.0, n)}
    for made, sign in ((none, 1.0), (wavy(whole, weight, **values | each), -1.0)):
        actions = [
            (0.0, setting("wavy", offset=values["offset"], amplitude=sign * values["amplitude"])),
            (0.7, setting("wavy", frequency=values["frequency"], phase=values["phase"])),
            (2.0, setting("wavy", amplitude=values["amplitude"])),
        ]
        assert_same(in_pieces(made, *actions), expected, in_one_run(made))


def test_sine_rate_that_was_set_resumes_from_a_checkpoint(tmp_path: Path) -> None:
    made = wavy(amplitude=4000.0, frequency=83.0, offset=3000.0)
    with Simulation(made, seed=9) as simulation:
        simulation.run(11.0)
        simulation["wavy"].set(frequency=61.0)
        simulation.run(2.0)
        simulation.save(tmp_path / "saved.zarr")
        room = simulation._inputs._input_headroom
        simulation.run(END - 13.0)
        expected = everyone(simulation)
    with Simulation.restore(tmp_path / "saved.zarr") as simulation:
        assert simulation._inputs._input_headroom == room
        expected_rate = Sine(4000.0, 61.0, offset=3000.0)
        assert simulation._inputs.set_values == {"wavy": {"rate": expected_rate}}
        simulation.run(END - 13.0)
        assert_same(everyone(simulation), expected, in_one_run(made))


def test_sines_of_rates_may_rise_as_far_as_the_sums_of_input_have_room() -> None:
    with Simulation(wavy(amplitude=40.0, offset=100.0), seed=9) as simulation:
        inputs = simulation._inputs
        largest = largest_rate(simulation, "wavy")
        assert 1e4 < largest < 1e8
        for wrong, message in (
            ({"amplitude": largest}, r"'wavy': the summed input.*allowed: up to \d"),
            ({"amplitude": -largest}, "could overflow"),
            ({"offset": np.linspace(0.0, largest, 90)}, r"allowed: up to \d"),
            ({"offset": -1.0}, "'wavy', field rate.offset: out of range; given -1.0; allowed: >="),
            ({"frequency": 5000.1}, "field rate.frequency: out of range"),
            ({"rate": 1.0, "phase": 1.0}, "unknown field 'phase'; allowed: correlation, rate"),
        ):
            with pytest.raises(DescriptionError, match=message):
                simulation["wavy"].set(**wrong)
        assert inputs.set_values == {}
        simulation["wavy"].set(amplitude=-0.999 * largest + 100.0, phase=-90.0, offset=0.0)
        with pytest.raises(DescriptionError, match="could overflow"):
            simulation["wavy"].set(offset=0.01 * largest)
        # at the top of the sine, nothing runs over
        simulation["wavy"].set(offset=100.0)
        simulation.run(2.1)
        background = (55.0 * 8000.0) * DT * 1e-3
        expected = background + 25.0 * 0.999 * largest * DT * 1e-3
        assert simulation["E"].state["I_syn_ex"][30:120].mean() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("sine", [False, True], ids=["rate", "sine"])
def test_correlated_rates_that_are_set_are_as_if_described(sine: bool) -> None:
    def drive(rate: Any) -> Network:
        return network(PoissonInput(cells()[30:120], rate, 9.0, name="drive", correlation=0.3))

    if sine:
        values: dict[str, Any] = {"amplitude": 4000.0, "frequency": 83.0, "offset": 5000.0}
        described, other = drive(Sine(**values)), drive(Sine(1.0, 2.0))
    else:
        values = {"rate": 9000.0}
        described, other = drive(9000.0), drive(Piecewise([5.0], [100.0]))
    found = in_pieces(other, (0.0, setting("drive", **values)))
    assert_same(found, in_one_run(described), in_one_run(other))
    with Simulation(described) as simulation:
        for name in values:
            place = f"'drive', field {'rate.' * sine}{name}"
            with pytest.raises(DescriptionError, match=f"{place}: an array, but"):
                simulation["drive"].set(**{name: np.ones(90)})
        assert simulation._inputs.set_values == {}


def gamma(rate: Any, n: int = 3, **fields: Any) -> Network:
    fields = {"start": 2.0, "stop": 37.5} | fields
    return network(GammaInput(cells()[30:120], rate, 25.0, 2.5, n, name="gamma", **fields))


GAMMA_RATES = [4000.0, 150.0 * np.abs(CURRENTS), 0.0]


def test_rates_of_gamma_processes_that_are_set_are_those_of_a_described_course() -> None:
    values = np.stack([np.broadcast_to(one, 90) for one in GAMMA_RATES])
    described = gamma(Piecewise(TIMES, values))
    actions = [(at, setting("gamma", rate=one)) for at, one in zip(TIMES, GAMMA_RATES, strict=True)]
    expected = in_one_run(described)
    # the sums of input have the room that the description asks for
    other = gamma(Piecewise([39.0], [float(values.max())]))
    assert choose_quanta(described).exponent == choose_quanta(other).exponent
    assert_same(in_pieces(other, *actions), expected, in_one_run(other))


def test_a_sine_of_gamma_rates_that_is_set_is_as_if_described() -> None:
    wave = {"amplitude": 20.0 * CURRENTS, "frequency": 83.0, "offset": 4000.0}
    expected, other = in_one_run(gamma(Sine(**wave))), gamma(Sine(12000.0, 9.0, offset=3.0))
    actions = [
        (0.0, setting("gamma", frequency=83.0, amplitude=wave["amplitude"])),
        (0.5, setting("gamma", offset=4000.0)),
    ]
    assert_same(in_pieces(other, *actions), expected, in_one_run(other))


def test_gamma_processes_go_on_from_a_checkpoint_and_begin_again_at_a_reset(tmp_path: Path) -> None:
    made = gamma(Sine(4000.0, 83.0, offset=3000.0))
    with Simulation(made, seed=9) as simulation:
        simulation.run(11.0)
        simulation["gamma"].set(frequency=61.0)
        simulation.run(2.0)
        simulation.save(tmp_path / "saved.zarr")
        simulation.run(END - 13.0)
        expected = everyone(simulation)
        simulation["gamma"].set(frequency=83.0)
        simulation.reset()
        simulation.run(END)
        assert_same(everyone(simulation), in_one_run(made))
    with Simulation.restore(tmp_path / "saved.zarr") as simulation:
        room = simulation._inputs._input_headroom
        simulation.run(END - 13.0)
        assert_same(everyone(simulation), expected, in_one_run(made))
    with Simulation(made, seed=9) as simulation:
        assert simulation._inputs._input_headroom == room


def test_rates_of_gamma_processes_may_rise_as_far_as_the_sums_of_input_have_room() -> None:
    with Simulation(gamma(100.0, n=50), seed=9) as simulation:
        largest = largest_rate(simulation, "gamma")
        with Simulation(gamma(100.0, n=1), seed=9) as single:
            assert largest_rate(single, "gamma") == pytest.approx(50.0 * largest, rel=0.01)
        with pytest.raises(DescriptionError, match=r"'gamma': the summed input of one step could"):
            simulation["gamma"].set(rate=1.01 * largest)
        simulation["gamma"].set(rate=largest)


def noise(mean: Any, sd: Any, interval: float | None = None) -> Network:
    target = cells()[30:120]
    return network(NoiseCurrent(target, mean, sd, interval, start=2.0, name="noise"))


def test_noise_that_is_set_is_made_of_the_same_draws() -> None:
    sds = np.abs(CURRENTS)
    expected = in_one_run(noise(CURRENTS, sds, 0.7))
    zero = noise(0.0, 0.0, 0.7)
    both = [(0.0, setting("noise", mean=CURRENTS, sd=sds))]
    one_by_one = [(0.1, setting("noise", sd=sds)), (1.2, setting("noise", mean=CURRENTS))]
    for actions in (both, one_by_one):
        assert_same(in_pieces(zero, *actions), expected, in_one_run(zero))
    # without deviation it is a course of means
    course = in_one_run(
        network(StepCurrent(cells()[30:120], [2.0, 13.1, 25.0], [50.0, 400.0, 9.0]))
    )
    actions = [
        (13.1, setting("noise", mean=np.full(90, 400.0))),
        (25.0, setting("noise", mean=9.0)),
    ]
    assert_same(in_pieces(noise(50.0, 0.0), *actions), course)


def test_noise_set_during_a_constant_draw_resumes_from_a_checkpoint(tmp_path: Path) -> None:
    made, path = noise(100.0, 300.0, interval=6.0), tmp_path / "saved.zarr"
    with Simulation(made, seed=9) as simulation:
        simulation.run(11.0)
        simulation["noise"].set(mean=-100.0, sd=CURRENTS**2 / 300.0)
        simulation.run(2.0)
        simulation.save(path)
        simulation.run(END - 13.0)
        expected = everyone(simulation)
    with Simulation.restore(path) as simulation:
        simulation.run(END - 13.0)
        assert_same(everyone(simulation), expected, in_one_run(made))


GIVEN = {"times": [2.0, 11.1, 30.3], "neurons": [3, 4, 3], "weight": [900.0, -50.0, 700.0]}


def events(times: Any, neurons: Any, weight: Any) -> SpikeInput:
    return SpikeInput(cells()[30:120], times, neurons, weight, name="events")


@pytest.mark.parametrize("weight", [950.0, None], ids=["one weight", "several"])
def test_spikes_added_to_an_input_are_as_if_described(weight: float | None) -> None:
    times = RNG.integers(50, 390, 300) * DT
    neurons, weights = RNG.integers(0, 90, 300), RNG.uniform(-300.0, 900.0, 300)
    first = GIVEN["times"], GIVEN["neurons"], GIVEN["weight"] if weight is None else weight
    how = weights if weight is None else np.full(300, weight)
    before = np.broadcast_to(np.asarray(first[2]), 3)
    described = events(
        [*first[0], *times], [*first[1], *neurons], weight or np.concatenate([before, how])
    )
    early = times < 25.0

    def add(chosen: npt.NDArray[np.bool_]) -> Callable[[Simulation], None]:
        more = {} if weight is not None else {"weights": weights[chosen]}
        return lambda simulation: simulation["events"].emit(neurons[chosen], times[chosen], **more)

    made = network(events(*first))
    actions = [(4.0, add(early)), (20.0, add(~early))]
    assert choose_quanta(network(described)).exponent == choose_quanta(made).exponent
    assert_same(in_pieces(made, *actions), in_one_run(network(described)), in_one_run(made))


def test_spikes_added_to_an_input_are_saved_and_restored(tmp_path: Path) -> None:
    made = network(events(**GIVEN))
    with Simulation(made, seed=9) as simulation:
        simulation.run(10.0)
        simulation["events"].emit([1, 2, 1], [10.1, 20.0, 25.0], 800.0)
        simulation["events"].emit(range(90), weights=np.linspace(-50.0, 900.0, 90))
        simulation.run(8.0)
        simulation.save(tmp_path / "saved.zarr")
        simulation.run(END - 18.0)
        expected = everyone(simulation)
    with Simulation.restore(tmp_path / "saved.zarr") as simulation:
        columns = zip(simulation._inputs.fields, simulation._inputs.take(180), strict=True)
        saved = {field.name: values.tolist() for field, values in columns}
        expected_columns = {"step": [200, 250], "neuron": [2, 1], "weight": [800.0, 800.0]}
        assert saved == expected_columns
        assert {field.group for field in simulation._inputs.fields} == {"pending_spikes/events"}
        assert simulation._scripted.names == ["events"]
        simulation.run(END - 18.0)
        assert_same(everyone(simulation), expected, in_one_run(made))


def test_spikes_that_could_overflow_sums_are_refused_until_others_arrived() -> None:
    with Simulation(network(events([1.0], [3], 2.0))) as simulation:
        plane, room = 0, simulation._inputs._input_headroom[0]
        weight = 0.7 * room * simulation._engine.quanta.quantum("E", "ex")
        simulation["events"].emit([5], 3.0, weight)
        assert 0 < simulation._inputs._input_headroom[plane] < 0.31 * room
        with pytest.raises(DescriptionError, match="the summed input of one step could overflow"):
            simulation["events"].emit([5], 3.0, weight)
        simulation["events"].emit([6], 3.0, weight)  # sums are those of each neuron
        simulation.run(3.0)
        simulation["events"].emit([5], 5.0, 0.5 * weight)
        assert simulation._inputs._input_headroom[plane] > 0.6 * room


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        ((["x"],), "spikes of 'events', neurons"),
        (([90],), r"neurons\[0\]: index out of range; given 90; allowed: 0 to 89"),
        (([0], 0.0, 1.0), r"times\[0\]: out of range"),
        (([0], 1.0), "'events', weights: the described spikes have different weights"),
        (([0], 1.0, [1.0, 2.0]), "weights: array of the wrong shape"),
        (([0], 1.0, np.nan), "weights: must be finite"),
    ],
)
def test_spikes_that_an_input_cannot_have_are_refused(spikes: tuple, message: str) -> None:
    with (
        Simulation(network(events(**GIVEN))) as simulation,
        pytest.raises(DescriptionError, match=message),
    ):
        simulation["events"].emit(*spikes)


def test_state_of_gamma_processes_predicts_their_next_spikes(tmp_path: Path) -> None:
    rates = np.linspace(100.0, 4000.0, 90)
    with Simulation(gamma(rates, start=0.0, stop=np.inf), seed=9) as simulation:
        state = simulation["gamma"].state
        assert [*state] == ["clock", "next_spikes"]
        assert not state["clock"].any()
        simulation.run(20.0)
        clock, before = state["clock"], state["next_spikes"]
        np.testing.assert_allclose(clock, rates * 20.0e-3, rtol=1e-12)
        assert before.shape == (90, 3)
        assert (np.diff(before, axis=1) >= 0.0).all()
        assert (before > clock[:, None]).all()
        simulation.save(tmp_path / "saved.zarr")
        simulation.run(1.0)
        # processes whose next spike has come have drawn another; the others have not
        clock, after = state["clock"], state["next_spikes"]
        due = before <= clock[:, None]
        assert 0 < due.sum() < due.size
        for early, late, is_due in zip(before, after, due, strict=True):
            assert set(early[~is_due]) <= set(late)
            assert not set(early[is_due]) & set(late)
        with pytest.raises(DescriptionError, match=r"unknown state variable 'clok'.*'clock'"):
            _ = state["clok"]
        with pytest.raises(DescriptionError, match="'gamma', clock: the state of a stimulus cann"):
            state["clock"] = clock
        with pytest.raises(ValueError, match="read-only"):
            clock[0] = 1.0
    with Simulation.restore(tmp_path / "saved.zarr") as simulation:
        np.testing.assert_array_equal(simulation["gamma"].state["next_spikes"], before)
    with Simulation(wavy()) as simulation:
        assert len(simulation["wavy"].state) == 0
        with pytest.raises(DescriptionError, match="no state: it is a function of the step"):
            _ = simulation["wavy"].state["clock"]
