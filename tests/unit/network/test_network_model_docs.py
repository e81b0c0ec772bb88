"""Documentation of models, made from their texts: built-in and user-defined ones have all parts."""

import inspect
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from distsnn.errors import DescriptionError
from distsnn.network import (
    STDP,
    EquationNeuron,
    EquationSynapse,
    EquationTransmission,
    IafCondExp,
    IafPscExp,
    Neuron,
    NeuronEquations,
    NeuronModel,
    Oja,
    PlasticityModel,
    PlasticSynapse,
    RuleEquations,
    SubsteppedNeuron,
    SynapseModel,
    Value,
    neuron_model,
    parameter,
    registry,
    synapse_model,
)
from distsnn.network.model import Model
from distsnn.network.model_docs import class_docstring, documentation, own_peers, sections

BUILT_IN = [
    model
    for model in (*registry._MODELS.values(), *registry._SYNAPSES.values())
    if model.__module__.startswith("distsnn.network.")
]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the registry afterwards."""
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    monkeypatch.setattr(registry, "_SYNAPSES", dict(registry._SYNAPSES))
    return None


def parts(model: type[Model]) -> dict[str, Any]:
    return {each.title: each for each in sections(model, class_docstring(model), own_peers(model))}


def entries(model: type[Model], title: str) -> dict[str, tuple[str, str]]:
    """Return kind and meaning of each entry of a section."""
    items = parts(model)[title].entries if title in parts(model) else ()
    return {each.name: (each.kind, " ".join(each.lines)) for each in items}


@pytest.mark.parametrize("model", BUILT_IN, ids=lambda model: model.__name__)
def test_documentation_of_a_built_in_model_has_all_sections(model: type[Model]) -> None:
    wanted = {"", "Integration", "Other simulators"}
    has_equations = issubclass(model, EquationNeuron | EquationSynapse | EquationTransmission)
    wanted |= {"Equations", "References"} if has_equations else set()
    wanted |= {"References"} if issubclass(model, SynapseModel) else set()
    wanted |= {"Receptors"} if issubclass(model, Neuron) else set()
    wanted |= {"State variables"} if model.documented_states() else set()
    wanted |= {"Parameters"} if model.parameters() else set()
    assert wanted <= parts(model).keys()
    described = entries(model, "Parameters")
    for name, declared in model.parameters().items():
        kind, meaning = described[name]
        assert declared.unit in kind.split(", ") and meaning.startswith(declared.doc)
        assert kind.endswith(f"default {getattr(model, name)}")
    assert all(kind and meaning for kind, meaning in described.values()), described
    assert all(all(each) for each in entries(model, "State variables").values())
    if issubclass(model, Neuron):
        assert [*model.receptors] == [
            name for name in entries(model, "Receptors") if name != "current stimuli"
        ]
    assert [*entries(model, "Other simulators")] == ["NEST", "Brian2", "GeNN"]
    text = inspect.getdoc(model) or ""
    assert "Source:" not in text
    assert text.splitlines()[0] == class_docstring(model).splitlines()[0]
    for title in filter(None, parts(model)):
        assert f"\n\n{title}\n{'-' * len(title)}\n" in text


@pytest.mark.parametrize("model", BUILT_IN, ids=lambda model: model.__name__)
def test_every_built_in_model_declares_its_names_elsewhere(model: type[Model]) -> None:
    assert own_peers(model) is not None
    registry.check_model(model, model.__name__)


def test_all_parts_of_a_neuron_are_shown() -> None:
    text = IafCondExp.__doc__ or ""
    assert "ex : nS, weights >= 0\n    receptor of weights >= 0 where a projection names" in text
    assert "Integrated: g_ex, g_in exactly; V_m by exponential Euler.\n" in text
    assert "at most 0.09 ms long" in text and "With dt above 0.2 ms, rates may be off" in text
    assert "GeNN\n    `LIF` with `ExpCond`\n" in text and "Brian2\n    equations\n" in text
    assert "substeps : int, optional\n    Number of parts." in text
    assert "V_m : mV, initially E_L\n    membrane potential\n" in text
    assert "References\n----------\nMeffin, Burkitt & Grayden (2004)" in text


def test_all_parts_of_a_rule_are_shown() -> None:
    text = STDP.__doc__ or ""
    for name in ("stdp_synapse", "stdp_nn_symm_synapse", "stdp_nn_pre_centered_synapse"):
        assert f"    # {name}\n    traces:\n" in text
    parameters = entries(STDP, "Parameters")
    assert parameters["w_max"][0] == (
        "float, array_like or Distribution, unit of the weights, default 100.0"
    )
    assert entries(STDP, "State variables")["y"][0] == "1, of a target"
    assert parameters["pairing"][0].endswith("default 'all_to_all'")
    assert [*parameters][:1] == ["tau_plus"]
    assert entries(Oja, "Other simulators")["NEST"] == ("", "none")


def test_a_user_defined_class_has_the_same_documentation(models: None) -> None:
    @neuron_model
    class Documented(SubsteppedNeuron, EquationNeuron):
        """Quadratic neuron of a user. Source: Ermentrout & Kopell (1986).

        Parameters
        ----------
        a : float
            Larger than usual.

        Examples
        --------
        Documented(a=0.2)
        """

        name: ClassVar[str] = "documented"
        peers: ClassVar[Mapping[str, str]] = {"NEST": "izhikevich"}
        equations: ClassVar[NeuronEquations] = NeuronEquations(
            "dv/dt = a*v**2 + I_stim*b : mV  # membrane potential",
            threshold="v >= 30*mV",
            reset="v = -30*mV",
            receptors={"kick": "v"},
            method="rk4",
        )
        a: Value = parameter(default=0.1, unit="1/(mV*ms)", doc="curvature", above=0.0)
        b: Value = parameter(default=1.0, unit="mV/(ms*pA)", doc="gain")

        def longest_part(self) -> float:
            return 0.05

    parameters = entries(Documented, "Parameters")
    kind = "float, array_like or Distribution, 1/(mV*ms), > 0, default 0.1"
    assert parameters["a"] == (kind, "curvature Larger than usual.")
    assert [*parameters] == ["a", "b", "substeps"]
    assert entries(Documented, "Receptors") == {"kick": ("mV", ""), "current stimuli": ("pA", "")}
    text = Documented.__doc__ or ""
    assert text.startswith("Quadratic neuron of a user.\n\nEquations\n")
    assert "Integrated: v by the classical Runge-Kutta method.\nA step has `substeps`" in text
    assert "Examples\n--------\nDocumented(a=0.2)\n\nReferences\n----------\nErmentrout & " in text
    assert "NEST\n    izhikevich\n" in text


def test_a_subclass_does_not_have_the_names_of_its_base(models: None) -> None:
    @neuron_model
    class Derived(IafPscExp):
        """Neuron like another."""

        name: ClassVar[str] = "derived_of_a_test"

    assert own_peers(Derived) is None
    assert "Other simulators" not in documentation(Derived)
    assert "tau_m : float" in documentation(Derived)


def test_a_user_defined_rule_has_the_same_documentation(models: None) -> None:
    @synapse_model
    class Rule(EquationSynapse):
        """Hebb's rule of a user."""

        name: ClassVar[str] = "documented_rule"
        equations: ClassVar[RuleEquations] = RuleEquations(
            "dx/dt = -x/tau : 1 (pre)\ndc/dt = -c/tau : 1 (synapse)  # tag",
            on_pre="x += 1; c += 1",
            on_post="w = clip(w + eta*x*c, w_min, w_max)",
        )
        tau: Value = parameter(default=20.0, unit="ms", doc="decay", above=0.0)
        eta: Value = parameter(default=0.1, unit="weight", doc="step")

    assert {"Equations", "Parameters", "State variables", "Integration"} <= parts(Rule).keys()
    assert {"tau", "eta", "w_max", "w_min", "precision"} <= entries(Rule, "Parameters").keys()
    assert entries(Rule, "State variables") == {
        "x": ("1, of a source", "dx/dt = -x/tau"),
        "c": ("1, of a synapse", "tag"),
    }


def test_models_of_equations_have_it_too() -> None:
    model = NeuronModel(
        equations="dv/dt = -v/tau : mV  # potential",
        threshold="v > 1*mV",
        parameters={"tau": (10.0, "ms", "> 0")},
        name="simple",
    )
    text = inspect.getdoc(model.neuron) or ""
    assert text.startswith("Neurons of the model simple, which is written as equations.\n")
    assert "threshold: v > 1*mV" in text and "tau : float, array_like" in text
    assert "Integrated: v exactly." in text and "It takes no input." in text
    noisy = NeuronModel("dv/dt = -v/(5*ms) + xi*mV/ms**0.5 : mV", substeps=1)
    assert "Integrated: v by Euler-Maruyama." in (noisy.neuron.__doc__ or "")
    rule = PlasticityModel(
        traces="dx/dt = -x/tau : 1 (pre)",
        on_pre="w = clip(w - x*A, w_min, w_max); x += 1",
        parameters={"tau": (10.0, "ms", "> 0"), "A": (1.0, "pA")},
    )
    text = rule.synapse.__doc__ or ""
    assert "on pre:\n        w = clip(w - x*A, w_min, w_max); x += 1\n" in text
    assert issubclass(rule.synapse, PlasticSynapse) and "w_max : float" in text


@pytest.mark.parametrize(
    ("peers", "message"),
    [
        ({"Nest": "x"}, "peers: unknown simulator 'Nest'.*did you mean 'NEST'"),
        ({"NEST": " "}, r"peers, 'NEST': must be a name; given ' '"),
        ({"GeNN": ("LIF",)}, r"peers, 'GeNN': must be a name; given \('LIF',\)"),
    ],
)
def test_wrong_names_elsewhere_are_refused(
    models: None, peers: dict[str, Any], message: str
) -> None:
    namespace = {"__module__": __name__, "__annotations__": {}, "name": "wrong", "peers": peers}
    with pytest.raises(DescriptionError, match=message):
        neuron_model(type("Wrong", (Neuron,), namespace))
    with pytest.raises(DescriptionError, match=message):
        registry.neuron_function(peers)(lambda: None)


def test_sympy_is_imported_only_for_documentation() -> None:
    program = """
import sys
from distsnn import IafPscExp
IafPscExp(tau_m=5.0)
assert "sympy" not in sys.modules
assert "Integrated: V_m, I_syn_ex, I_syn_in exactly." in IafPscExp.__doc__
"""
    subprocess.run([sys.executable, "-c", program], check=True)
