"""Neuron models: registry, metadata, parameters; a user's own model needs nothing else."""

from typing import ClassVar

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.network import (
    STDP,
    IafCondExp,
    IafPscDelta,
    IafPscExp,
    Neuron,
    Normal,
    OneToOne,
    Population,
    Projection,
    SpikeSource,
    State,
    TruncatedNormal,
    Uniform,
    Value,
    get_neuron_model,
    model_names,
    neuron_model,
    parameter,
    registry,
)
from distsnn.network.checks import Interval


@pytest.fixture
def models(monkeypatch):
    """The registry, restored afterwards."""
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    return registry._MODELS


def test_built_in_models_are_found_by_name():
    assert {"iaf_psc_exp", "iaf_psc_delta", "spike_source"} <= set(model_names())
    assert get_neuron_model("iaf_psc_exp") is IafPscExp
    with pytest.raises(DescriptionError, match="did you mean 'iaf_psc_exp'"):
        get_neuron_model("iaf_psc_expo")


@pytest.mark.parametrize("name", model_names())
def test_every_model_is_documented_completely(name):
    model = get_neuron_model(name)
    assert model.__doc__
    for one in (*model.parameters().values(), *model.states.values()):
        assert one.unit and one.doc
    assert bool(model.receptors) == bool(model.weight_unit)
    for state in model.states.values():
        assert state.relative_to is None or state.relative_to in model.parameters()


def test_defaults_are_nests():
    exp = dict(
        C_m=250.0, tau_m=10.0, tau_syn_ex=2.0, tau_syn_in=2.0, t_ref=2.0, E_L=-70.0,
        V_reset=-70.0, V_th=-55.0, I_e=0.0,
    )  # fmt: skip
    assert {name: IafPscExp().value(name) for name in IafPscExp.parameters()} == exp
    delta = {name: value for name, value in exp.items() if not name.startswith("tau_syn")}
    assert {name: IafPscDelta().value(name) for name in IafPscDelta.parameters()} == delta
    with pytest.raises(DescriptionError, match="did you mean 'tau_m'"):
        IafPscExp().value("tau_M")


def test_states_of_the_exponential_model():
    states = IafPscExp.states
    assert list(states) == ["V_m", "I_syn_ex", "I_syn_in", "refractory"]
    assert (states["V_m"].default, states["V_m"].relative_to) == ("E_L", "E_L")
    assert states["refractory"].integer


@pytest.mark.parametrize(
    ("model", "receptor", "low", "high", "reached"),
    [
        (IafPscExp, None, 1.0, 2.0, ("ex",)),
        (IafPscExp, None, 0.0, 0.0, ("ex",)),
        (IafPscExp, None, -2.0, -1.0, ("in",)),
        (IafPscExp, None, -2.0, 0.0, ("in",)),
        (IafPscExp, None, 0.0, 2.0, ("ex",)),
        (IafPscExp, None, -1.0, 2.0, ("ex", "in")),
        (IafPscExp, "in", 1.0, 2.0, ("in",)),
        (IafPscDelta, None, -1.0, 2.0, ("delta",)),
    ],
)
def test_receptors_by_sign(model, receptor, low, high, reached):
    assert model.target_receptors(receptor, low, high) == reached


@pytest.mark.parametrize(
    "parameters",
    [
        {"tau_m": np.linspace(5.0, 15.0, 4)},
        {"tau_m": [5, 6, 7, 8]},
        {"tau_m": Uniform(5.0, 15.0), "t_ref": TruncatedNormal(2.0, 0.5, low=0.0)},
        {"V_th": Normal(-50.0, 1.0), "V_reset": -65.0},
        {"V_th": np.full(4, -50.0), "V_reset": Uniform(-65.0, -51.0)},
        {"t_ref": 0.0},
        {"tau_m": 2.0},
    ],
)
def test_good_parameters_pass(parameters):
    IafPscExp(**parameters).check(4, where="here")


@pytest.mark.parametrize(
    ("parameters", "place", "what"),
    [
        ({"C_m": 0.0}, "field C_m", "out of range"),
        ({"tau_m": -1.0}, "field tau_m", "out of range"),
        ({"tau_syn_ex": np.array([1.0, 1.0, 0.0, 1.0])}, "field tau_syn_ex[2]", "out of range"),
        ({"tau_syn_in": 0}, "field tau_syn_in", "out of range"),
        ({"t_ref": -0.1}, "field t_ref", "out of range"),
        ({"E_L": np.nan}, "field E_L", "finite"),
        ({"V_th": np.inf}, "field V_th", "finite"),
        ({"I_e": np.array([0.0, np.nan, 0.0, 0.0])}, "field I_e[1]", "finite"),
        ({"I_e": np.zeros(3)}, "field I_e", "wrong shape"),
        ({"I_e": np.zeros((4, 1))}, "field I_e", "wrong shape"),
        ({"tau_m": Normal(10.0, 2.0)}, "field tau_m", "draws would fall out of range"),
        ({"V_reset": -55.0}, "field V_reset", "below V_th"),
        ({"V_th": np.array([-50.0, -50.0, -71.0, -50.0])}, "field V_reset[2]", "below V_th"),
        ({"V_th": Normal(-60.0, 2.0)}, "field V_reset", "below V_th in every draw"),
    ],
)
def test_bad_parameters_are_refused(parameters, place, what):
    with pytest.raises(DescriptionError, match=what) as error:
        IafPscExp(**parameters).check(4, where="population 'E'")
    assert error.value.where == f"population 'E', {place}"


@pytest.mark.parametrize("bad", ["10", None, True, [[1.0], [1.0, 2.0]]])
def test_parameters_of_wrong_types_are_refused(bad):
    with pytest.raises(DescriptionError) as error:
        IafPscExp(tau_m=bad)
    assert error.value.where == "iaf_psc_exp, field tau_m"


def test_unknown_parameters_are_refused_with_the_nearest():
    with pytest.raises(DescriptionError) as error:
        IafPscExp(tau_syn_exc=2.0)
    assert error.value.nearest == "tau_syn_ex"
    assert "tau_syn_in" in error.value.allowed


def test_given_refractory_times_are_on_the_grid():
    IafPscDelta(t_ref=Uniform(0.0, 2.0)).check_grid(0.1, where="here")
    for bad in (0.25, np.array([0.2, 0.25])):
        with pytest.raises(DescriptionError, match="grid"):
            IafPscDelta(t_ref=bad).check_grid(0.1, where="here")


def test_spike_sources_are_sorted_and_readonly():
    source = SpikeSource([0.3, 0.1, 0.3], [0, 2, 1])
    np.testing.assert_array_equal(source.times, [0.1, 0.3, 0.3])
    np.testing.assert_array_equal(source.neurons, [2, 0, 1])
    assert not source.times.flags.writeable
    assert not source.neurons.flags.writeable
    assert source == SpikeSource([0.1, 0.3, 0.3], [2, 0, 1])


@pytest.mark.parametrize(
    ("times", "neurons", "what"),
    [
        ([0.0], [0], "out of range"),
        ([-0.1], [0], "out of range"),
        ([np.nan], [0], "finite"),
        ([0.1, 0.2], [0], "wrong shape"),
        ([0.1], [0.0], "integers"),
        (["a"], [0], "array of numbers"),
    ],
)
def test_bad_spike_sources(times, neurons, what):
    with pytest.raises(DescriptionError, match=what):
        SpikeSource(times, neurons)


def test_spike_sources_in_a_population():
    with pytest.raises(DescriptionError) as error:
        Population("S", 2, SpikeSource([0.1, 0.2], [0, 2]))
    assert error.value.where == "population 'S', field neurons[1]"
    with pytest.raises(DescriptionError, match="grid"):
        SpikeSource([0.15], [0]).check_grid(0.1, where="here")
    with pytest.raises(DescriptionError, match="neuron 1 spikes twice") as error:
        SpikeSource([0.1, 0.3, 0.2, 0.1 + 0.2], [1, 1, 0, 1]).check_grid(0.1, where="here")
    assert error.value.value == pytest.approx(0.3)


def test_a_users_model_needs_only_its_class(models):
    @neuron_model
    class Mine(Neuron):
        name: ClassVar[str] = "mine"
        receptors: ClassVar[tuple[str, ...]] = ("a", "b")
        states: ClassVar[dict[str, State]] = {"x": State("mV", "x", default="g")}
        g: Value = parameter(default=1.0, unit="nS", doc="conductance", low=0.5, high=2.0)

    assert get_neuron_model("mine") is Mine
    assert Mine.parameters()["g"].unit == "nS"
    assert hash(Mine(g=[1.0, 1.0])) == hash(Mine(g=[1.0, 1.0]))
    assert Mine(g=[1.0, 1.0]) != Mine(g=[1.0, 1.5])
    with pytest.raises(DescriptionError, match="out of range"):
        Mine(g=2.5).check(1, where="here")
    with pytest.raises(DescriptionError, match="receptor is missing"):
        Mine.check_receptor(None, where="here")


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        ({}, "needs a class attribute"),
        ({"name": "iaf_psc_exp"}, "name is taken"),
        ({"name": "m", "states": {"x": State("mV", "x", default="C_M")}}, "unknown parameter"),
        ({"name": "m", "states": {"x": State("mV", "x", relative_to="E")}}, "unknown parameter"),
        ({"name": "m", "ordered_parameters": (("a", "b"),)}, "unknown parameter"),
        ({"name": "m", "signed_receptors": ("ex", "in")}, "unknown receptor"),
        ({"name": "m", "allowed_weights": {"ex": Interval(0.0)}}, "unknown receptor"),
    ],
)
def test_models_that_contradict_themselves_are_refused(models, attributes, what):
    with pytest.raises(DescriptionError, match=what):
        neuron_model(type("Bad", (Neuron,), {"__annotations__": {}, **attributes}))


@pytest.mark.parametrize("base", [Neuron, IafCondExp])
def test_the_number_of_parts_is_no_parameter_of_a_user_defined_model(models, base):
    with pytest.raises(DescriptionError, match=r"Mine: .* parameter substeps, .* Substepped"):

        @neuron_model
        class Mine(base):
            name: ClassVar[str] = "mine"
            substeps: Value = parameter(default=8.0, unit="", doc="parts of a step", low=1.0)

    assert "mine" not in models


def test_loading_a_users_file_again_replaces_its_model(models):
    def load():
        return neuron_model(type("Again", (Neuron,), {"name": "again", "__module__": "user"}))

    load()
    second = load()
    assert get_neuron_model("again") is second


@pytest.mark.parametrize("name", ["mine", None])
def test_a_class_without_its_decorator_is_refused_where_it_is_used(name: str | None) -> None:
    body = {} if name is None else {"name": name}
    found = "finds no class" if name else "finds the class IafPscExp"
    hint = "" if name else ", and give it a name of its own"
    neuron = type("Mine", (IafPscExp,), body)
    with pytest.raises(DescriptionError) as neuron_error:
        Population("E", 5, neuron())
    assert found in str(neuron_error.value)
    assert str(neuron_error.value).endswith(f"hint: put @neuron_model before the class{hint}")
    rule = type("MyRule", (STDP,), body)
    cells = Population("E", 5, IafPscExp())
    with pytest.raises(DescriptionError, match="the class MyRule is not registered") as rule_error:
        Projection(cells, cells, OneToOne(), 1.0, 1.0, synapse=rule())
    assert str(rule_error.value).endswith(f"hint: put @synapse_model before the class{hint}")
