"""Synapse models with states of sources as texts: what is read, refused, stored and shown."""

import json
import pickle
from typing import Any, ClassVar

import numpy as np
import pytest
from own_transmissions import DEPRESSING, FACILITATING, TSODYKS

from distsnn.errors import DescriptionError
from distsnn.network import (
    AllToAll,
    EquationTransmission,
    IafPscExp,
    Network,
    NeuronModel,
    PlasticityModel,
    Population,
    Projection,
    TransmissionEquations,
    TransmissionModel,
    Uniform,
    Value,
    parameter,
    registry,
)
from distsnn.network.equations.source import EquationError
from distsnn.network.registry import synapse_model

E = Population("E", 20, IafPscExp())
TRACES = "du/dt = -u/tau : 1 (pre)"
PARAMETERS = {"tau": (10.0, "ms"), "U": (0.5, "1", ">= 0 and <= 1"), "A": (1.0, "pA")}


def small(**given: Any) -> TransmissionModel:
    texts = {"traces": TRACES, "on_pre": "u += U*(1 - u)", "transmit": "w*u"}
    return TransmissionModel(**{**texts, "parameters": PARAMETERS, **given})


def projection(synapse: Any) -> Projection:
    return Projection(E, E, AllToAll(), 1.0, 1.0, synapse=synapse)


@pytest.mark.parametrize(
    "synapse",
    [FACILITATING(), FACILITATING(U=Uniform(0.1, 0.9)), TSODYKS(U=np.linspace(0.1, 0.9, 20))],
)
def test_networks_are_stored_and_read_back(synapse: EquationTransmission) -> None:
    network = Network([E], [projection(synapse)])
    data, arrays = network.to_dict()
    again = Network.from_dict(json.loads(json.dumps(data)), arrays)
    assert again == network
    (one,) = again.projections
    assert one.synapse == synapse and one.scaling_model == synapse and one.plasticity_rule is None
    assert pickle.loads(pickle.dumps(synapse)) == synapse
    assert type(one.synapse) is type(synapse)


def test_user_defined_model_is_accepted_like_a_built_in_model() -> None:
    assert projection(FACILITATING).synapse == FACILITATING()
    assert FACILITATING() != FACILITATING(U=0.3)
    model = FACILITATING.synapse
    assert [*model.parameters()] == ["U", "tau_fac"] and model.name == "facilitating"
    state = model.states["u"]
    assert (state.unit, state.default, state.low, state.high) == ("1", "U", 0.0, 1.0)
    assert state.doc == "share of the resources that the next spike uses"
    # states begin where they relax to, with the other states at 0
    assert TSODYKS.synapse.states["x"].default == 1.0
    assert DEPRESSING.synapse.states["x"].default == 1.0
    assert (DEPRESSING().max_factor(), small(max_factor=2.5)().max_factor()) == (1.0, 2.5)
    begun = small(traces="du/dt = 0 : mV (pre)", on_pre="u += 1*mV", transmit="w*u/mV")
    assert begun.synapse.states["u"].default == 0.0


def test_help_shows_the_equations() -> None:
    text = small(initial={"u": "U"}).synapse.__doc__ or ""
    assert "traces:\n        du/dt = -u/tau : 1 (pre)\n" in text
    assert "    on pre:\n        u += U*(1 - u)\n    transmit:\n        w*u\n" in text
    assert "initially:\n        u = U\n" in text
    assert "u : 1, initially U\n" in text
    assert "U : float, array_like or Distribution, 1, >= 0 and <= 1, default 0.5\n" in text


@pytest.mark.parametrize(
    ("field", "text", "line", "column", "what", "marked"),
    [
        ("traces", "du/dt = -u/tou : 1 (pre)", 1, 12, "unknown name 'tou'.*mean 'tau'", "tou"),
        ("traces", "du/dt = -u/tau : 1", 1, 19, r"owner is missing.*allowed: \(pre\)", ""),
        ("traces", "du/dt = -u/tau : 1 (post)", 1, 21, "unknown flag 'post'", "post"),
        ("traces", "du/dt = u/tau : 1 (pre)", 1, 9, "u may only decay.*EXPRESSION - u", "u/tau"),
        ("traces", "du/dt = (U*w - u)/tau : 1 (pre)", 1, 12, "u may relax to parameters and", "w"),
        ("traces", f"{TRACES}\nlast = U : 1", 2, 1, "'last' is taken", "last"),
        ("traces", f"{TRACES}\nv = u*w : 1", 2, 7, "cannot depend on w", "w"),
        ("traces", f"{TRACES}\nv = uniform() : 1", 2, 5, "would be the same for all", "uniform()"),
        ("on_pre", "u += z", 1, 6, "unknown name 'z'", "z"),
        ("on_pre", "u += U*w", 1, 8, "cannot depend on w", "w"),
        ("on_pre", "u += U*w_max", 1, 8, "cannot depend on w_max", "w_max"),
        ("on_pre", "u += A", 1, 6, "pA cannot be added to 1", "A"),
        ("on_pre", "d = U*u; u += U", 1, 1, "unknown variable 'd'; allowed: u", "d"),
        ("on_pre", "u += lower_gamma(u, 1)", 1, 6, "takes parameters alone", "lower_gamma(u, 1)"),
        ("on_pre", "d = U; u += lower_gamma(d, 1)", 1, 13, "parameters alone", "lower_gamma(d, 1)"),
        ("on_pre", "u += lower_gamma(tau, 1)", 1, 18, "argument of lower_gamma is in ms", "tau"),
        ("transmit", "u", 1, 1, "must be w times a factor; allowed: such as w", "u"),
        ("transmit", "w*w*u", 1, 1, "must be w times a factor", "w*w*u"),
        ("transmit", "w + u", 1, 1, "must be w times a factor", "w + u"),
        ("transmit", "w*u*A", 1, 1, "the transmitted value is in pA; allowed: 1", "w*u*A"),
        ("transmit", "w*u*w_min", 1, 5, "cannot depend on w_min", "w_min"),
        ("transmit", "w*normal()", 1, 3, "hint: use a PlasticityModel, which draws", "normal()"),
    ],
)
def test_errors_point_at_the_place(
    field: str, text: str, line: int, column: int, what: str, marked: str
) -> None:
    with pytest.raises(EquationError, match=what) as caught:
        small(**{field: text})
    error = caught.value
    assert error.where == f"{field}, line {line}, column {column}"
    shown, carets = str(error).split("\n")[-2:]
    start, stop = carets.index("^"), carets.rindex("^") + 1
    assert shown[start:stop] == (marked or shown[start:stop])


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"transmit": ""}, r'transmit: is missing.*such as "w\*u"'),
        ({"on_pre": "w += U; u += U"}, "on_pre: the text changes the weight.*PlasticityModel"),
        ({"traces": TRACES + "\ndw/dt = 0 : 1 (pre)"}, "traces: the text changes the weight"),
        ({"initial": {"v": 1.0}}, "initial: unknown state 'v'; allowed: u"),
        ({"initial": {"u": "V"}}, "initial, 'u': unknown parameter 'V'"),
        ({"initial": {"u": "tau"}}, "the parameter tau has another unit; given 'ms'; allowed: 1"),
        ({"initial": {"u": np.nan}}, "initial, 'u': must be finite"),
        ({"ranges": {"v": ">= 0"}}, "ranges: unknown state 'v'"),
        ({"ranges": {"u": "0 to 1"}}, "ranges, 'u': not a range"),
        ({"max_factor": 0.0}, "max_factor: out of range"),
        ({"traces": None}, "must be text"),
        ({"parameters": {**PARAMETERS, "max_factor": (1.0, "1")}}, "not a usable name"),
        ({"max_facter": 1.0}, "did you mean 'max_factor'"),
    ],
)
def test_error_without_a_position_names_its_field(given: dict[str, Any], what: str) -> None:
    with pytest.raises(DescriptionError, match=what):
        small(**given)


def test_other_texts_have_no_gamma_function() -> None:
    call = "lower_gamma(0.5, 1)"
    with pytest.raises(EquationError, match=r"neuron models have no lower_gamma\(\)"):
        NeuronModel(f"dv/dt = -v*{call}/ms : 1")
    with pytest.raises(EquationError, match=r"plasticity rules have no lower_gamma\(\)"):
        PlasticityModel(on_pre=f"w = w*{call}")


def test_time_constants_may_be_0_unless_a_state_relaxes_to_another() -> None:
    Network([E], [projection(small()(tau=0.0))])
    with pytest.raises(DescriptionError, match=r"tau: out of range; given -1.0; allowed: >= 0"):
        Network([E], [projection(small()(tau=-1.0))])
    later = small(traces=f"{TRACES}\ndv/dt = (u - v)/tau : 1 (pre)", transmit="w*v")
    with pytest.raises(DescriptionError, match=r"tau: out of range; given 0.0; allowed: > 0"):
        Network([E], [projection(later(tau=0.0))])


def test_a_class_may_have_such_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_SYNAPSES", dict(registry._SYNAPSES))

    def made(name: str, **allowed: float) -> type[EquationTransmission]:
        fields = {"tau": parameter(default=10.0, unit="ms", doc="decay", **allowed)}
        text = TransmissionEquations(TRACES, "u += 0.5*(1 - u)", "w*u")
        attributes = {"__annotations__": dict.fromkeys(fields, Value), "__module__": __name__}
        attributes |= {"name": name, "equations": text, **fields}
        return synapse_model(type("OfATest", (EquationTransmission,), attributes))

    model = made("transmission_of_a_test", low=0.0)
    assert model(tau=3.0).states["u"].unit == "1" and model.kernel == ""
    network = Network([E], [projection(model(tau=3.0))])
    assert Network.from_dict(*network.to_dict()) == network
    with pytest.raises(DescriptionError, match="field tau: a time constant must be 0 or more"):
        made("another_of_a_test")

    class Derived(model):  # type: ignore[valid-type, misc]
        name: ClassVar[str] = "derived_of_a_test"

    assert Derived.model is model.model
