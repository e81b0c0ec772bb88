"""Handles of a network's parts: which one a key gives, what it reads, and that it stays valid."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from distsnn.errors import DescriptionError, SimulationStateError, UsageError
from distsnn.network import (
    STDP,
    ConstantCurrent,
    FixedIndegree,
    GammaInput,
    IafPscExp,
    Network,
    NoiseCurrent,
    Piecewise,
    PoissonInput,
    Population,
    PopulationView,
    Projection,
    Sine,
    SpikeInput,
    SpikeSource,
    StepCurrent,
    Tsodyks2,
)
from distsnn.simulation import Simulation
from distsnn.simulation.handles import PopulationHandle, ProjectionHandle, StimulusHandle

E = Population("E", 100, IafPscExp())
INH = Population("I", 20, IafPscExp())
DRIVE = PoissonInput(E, 9000.0, 60.0, name="drive")
BACK = Projection(INH, E, FixedIndegree(5), -50.0, 1.5)
NETWORK = Network(
    [E, INH],
    [Projection(E, E, FixedIndegree(10), 20.0, 1.5, synapse=STDP(w_max=40.0)), BACK],
    [
        DRIVE,
        PoissonInput(INH, Sine(3000.0, 10.0, offset=8000.0), 60.0, name="wave"),
        PoissonInput(INH, Piecewise([0.0, 5.0], [0.0, 100.0]), 60.0, name="course"),
        ConstantCurrent(E, 10.0, name="push"),
        StepCurrent(INH, [0.0, 5.0], [0.0, 30.0], name="steps"),
        NoiseCurrent(INH, 1.0, 2.0, name="noise"),
        SpikeInput(INH, [1.0], [0], 5.0, name="given"),
    ],
)


def test_a_key_gives_the_handle_of_its_part_the_same_each_time() -> None:
    with Simulation(NETWORK) as simulation:
        for key, kind in (
            ("E", PopulationHandle),
            ("E->E", ProjectionHandle),
            ("drive", StimulusHandle),
        ):
            assert type(simulation[key]) is kind
            assert simulation[key] is simulation[key]
        assert simulation[E] is simulation["E"] is simulation[PopulationView("E", 0, 100)]
        assert simulation[E[:50]] is simulation[E[:50]] is not simulation["E"]
        assert simulation[DRIVE] is simulation["drive"]
        assert simulation[BACK] is simulation["I->E"]
        assert simulation[E[:50]].state["V_m"].shape == (50,)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (lambda: "drift", "unknown part of the network 'drift'.*mean 'drive'"),
        (lambda: Population("F", 3, IafPscExp()), "unknown population 'F'"),
        (lambda: PopulationView("E", 0, 101), "has 100 neurons"),
        (lambda: (E, INH), "must be one part of the network; allowed: a name, a.*hint: index"),
        (lambda: 3, "must be a part of the network.*given 3"),
        (lambda: ConstantCurrent(E, 1.0), "the stimulus has no name.*describe it with `name`"),
        (lambda: Projection(INH, INH, FixedIndegree(5), 1.0, 1.5), "0 projections connect.*I->I"),
    ],
)
def test_other_keys_are_refused(key: Callable[[], object], message: str) -> None:
    with Simulation(NETWORK) as simulation, pytest.raises(DescriptionError, match=message):
        simulation[key()]  # type: ignore[call-overload]


def test_a_name_of_two_parts_is_refused() -> None:
    message = "is the name of a population and of a stimulus; given 'E'"
    with pytest.raises(DescriptionError, match=message):
        Network([E], [], [ConstantCurrent(E, 1.0, name="E")])
    with pytest.raises(DescriptionError, match="is the name of a population and of a projection"):
        Network([E], [Projection(E, E, FixedIndegree(5), 1.0, 1.5, name="E")])


def test_values_of_a_stimulus_are_those_that_act() -> None:
    with Simulation(NETWORK) as simulation:
        drive, wave, push = (simulation[name].parameters for name in ("drive", "wave", "push"))
        assert dict(drive) == {
            "rate": 9000.0,
            "weight": 60.0,
            "receptor": None,
            "start": 0.0,
            "stop": np.inf,
            "correlation": 0.0,
        }
        values = {"amplitude": 3000.0, "frequency": 10.0, "phase": 0.0, "offset": 8000.0}
        assert {name: wave[name] for name in values} == values
        assert {*wave} == {*drive, *values}
        assert {*simulation["noise"].parameters} == {"mean", "sd", "interval", "start", "stop"}
        assert simulation["course"].parameters["rate"] == Piecewise([0.0, 5.0], [0.0, 100.0])
        steps = dict(simulation["steps"].parameters)
        assert {name: values.tolist() for name, values in steps.items()} == {
            "times": [0.0, 5.0],
            "amplitudes": [0.0, 30.0],
        }
        drive["rate"] = 1000.0
        simulation["wave"].set(amplitude=10.0, offset=20.0)
        push["amplitude"] = np.arange(100.0)
        assert (drive["rate"], wave["amplitude"], wave["offset"]) == (1000.0, 10.0, 20.0)
        np.testing.assert_array_equal(push["amplitude"], np.arange(100.0))
        with pytest.raises(DescriptionError, match=r"unknown field 'rat'.*mean 'rate'"):
            drive["rat"]
        assert {*simulation["given"].parameters} == {"times", "neurons", "weight", "receptor"}


def test_handles_stay_valid_when_the_simulation_is_reset() -> None:
    with Simulation(NETWORK) as simulation:
        population, synapses, drive = (simulation[key] for key in ("E", "E->E", "drive"))
        state, weights = population.state, synapses.weights
        simulation.run(30.0)
        counts = population.spike_counts()
        assert counts.sum() > 20
        drive.set(rate=0.0)
        synapses.learning = False
        simulation.reset(weights="described")
        assert (state["V_m"] == -70.0).all()
        np.testing.assert_array_equal(synapses.weights, weights)
        assert population.spike_counts().sum() == 0
        assert not synapses.learning
        assert drive.parameters["rate"] == 0.0
        drive.parameters["rate"] = 9000.0
        simulation.run(30.0)
        np.testing.assert_array_equal(population.spike_counts(), counts)


def test_spikes_are_emitted_by_whole_populations() -> None:
    source = Population("S", 10, SpikeSource([], []))
    with Simulation(Network([source, E], [Projection(source, E, FixedIndegree(5), 1.0, 1.5)])) as (
        simulation
    ):
        with pytest.raises(UsageError, match=r"whole population.*simulation\['S'\]\.emit"):
            simulation[source[5:]].emit([0])
        simulation["S"].emit([5])
        simulation.run(1.0)
        assert simulation[source[5:]].spike_counts().tolist() == [1, 0, 0, 0, 0]
        with pytest.raises(DescriptionError, match="unknown spike source or spike input 'E'"):
            simulation["E"].emit([5])


def test_only_a_projection_that_a_signal_modulates_has_one() -> None:
    message = r"no signal modulates it.*its .* normalise, par"
    with Simulation(NETWORK) as simulation, pytest.raises(DescriptionError, match=message):
        _ = simulation["E->E"].signal


@pytest.mark.parametrize("storage", ["packed", "procedural"])
def test_a_static_projection_is_read_as_a_plastic_one(storage: str) -> None:
    with Simulation(NETWORK, storage=storage) as simulation:
        for name in ("E->E", "I->E"):
            synapses, table = simulation[name], simulation[name].connections()
            np.testing.assert_array_equal(synapses.sources, table["source"])
            np.testing.assert_array_equal(synapses.targets, table["target"])
            np.testing.assert_array_equal(synapses.delays, table["delay"])
            np.testing.assert_array_equal(synapses.weights, table["weight"])
        assert simulation["I->E"].weights.size == 500


@pytest.mark.parametrize("member", ["learning", "signal", "state", "parameters"])
def test_a_missing_member_is_refused_with_those_that_there_are(member: str) -> None:
    message = (
        f"^{member} of projection 'I->E': the projection .*; "
        "allowed: its connections, delays, iterate_connections, record, sources, targets, weights$"
    )
    with Simulation(NETWORK) as simulation, pytest.raises(DescriptionError, match=message):
        getattr(simulation["I->E"], member)


@pytest.mark.parametrize(
    ("key", "name", "end"),
    [
        ("E", "V_m", r"\.\.\.$"),
        ("E", "recrod", "mean 'record'"),
        ("E->E", "weight", "mean 'weights'"),
        ("drive", "rate", ""),
    ],
)
def test_an_attribute_that_a_handle_does_not_have_is_refused(key: str, name: str, end: str) -> None:
    with Simulation(NETWORK) as simulation:
        message = rf"Handle has no attribute '{name}'; hint: .* state\['{name}'\] = .*{end}"
        with pytest.raises(AttributeError, match=message):
            setattr(simulation[key], name, -60.0)


def test_elements_of_what_was_read_cannot_be_set() -> None:
    with Simulation(NETWORK) as simulation:
        cells, synapses = simulation["E"], simulation["E->E"]
        values = [cells.state["V_m"], cells.parameters["V_th"], synapses.weights]
        for read in (*values, synapses.sources, synapses.targets, synapses.delays):
            with pytest.raises(ValueError, match="read-only"):
                read[0] = 0


def test_a_closed_simulation_refuses_the_use_of_handles() -> None:
    gamma = GammaInput(INH, 8000.0, 60.0, order=2, name="gamma")
    short_term = Projection(INH, E, FixedIndegree(5), -50.0, 1.5, synapse=Tsodyks2(), name="STP")
    network = Network([E, INH], [*NETWORK.projections, short_term], [*NETWORK.stimuli, gamma])
    with Simulation(network) as simulation:
        simulation.run(1.0)
        cells, learns, static, scaled, drive, ages = (
            simulation[name] for name in ("E", "E->E", "I->E", "STP", "drive", "gamma")
        )
        mappings = [
            (cells.state, "V_m", -60.0),
            (cells.parameters, "V_th", -50.0),
            (learns.state, "x", None),
            (learns.parameters, "tau_plus", 20.0),
            (scaled.state, "x", 1.0),
            (scaled.parameters, "U", 0.5),
            (drive.parameters, "rate", 100.0),
            (ages.state, "clock", None),
        ]
        for mapping, name, _ in mappings:
            assert np.size(mapping[name])
    uses: list[Callable[[], Any]] = [
        lambda: simulation["E"],
        cells.spikes,
        cells.spike_counts,
        lambda: cells.record["spikes"],
        lambda: setattr(cells, "record", False),
        learns.connections,
        lambda: list(learns.iterate_connections()),
        lambda: learns.normalise(100.0),
        lambda: learns.learning,
        lambda: setattr(learns, "learning", False),
        *(lambda handle=handle: handle.weights for handle in (learns, static, scaled)),
        *(lambda handle=handle: setattr(handle, "weights", 1.0) for handle in (learns, static)),
        lambda: static.sources,
        lambda: static.delays,
        lambda: drive.set(rate=100.0),
        lambda: simulation["given"].emit([0]),
        *(lambda values=values, name=name: values[name] for values, name, _ in mappings),
        *(
            lambda values=values, name=name, new=new: values.__setitem__(name, new)
            for values, name, new in mappings
            if new is not None
        ),
    ]
    for number, use in enumerate(uses):
        try:
            use()
        except SimulationStateError as error:
            assert "the simulation is closed" in str(error)
        else:
            pytest.fail(f"use {number} of a closed simulation is not refused")
