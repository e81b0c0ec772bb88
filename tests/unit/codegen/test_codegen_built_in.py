"""Kernels of built-in models: the package holds what the generator writes; runs need no sympy."""

import ast
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from distsnn import PoissonInput, Simulation
from distsnn.codegen.built_in import (
    built_in_kernels,
    built_in_neurons,
    built_in_rules,
    built_in_transmissions,
    built_in_variants,
    unused_variants,
)
from distsnn.errors import DescriptionError
from distsnn.kernels import neurons, synapses
from distsnn.network import (
    EquationNeuron,
    EquationSynapse,
    Network,
    NeuronEquations,
    NeuronModel,
    PlasticSynapse,
    Population,
    RuleEquations,
    SubsteppedNeuron,
    TransmissionModel,
    Value,
    get_neuron_model,
    neuron_model,
    parameter,
)
from distsnn.network.registry import (
    check_model,
    get_synapse_model,
    model_names,
    synapse_model,
    synapse_models,
)

KERNELS = built_in_kernels()
# Kernels that are written by hand, with the reason why equations do not describe the model.
BY_HAND = {
    "parrot_neuron": "it relays spikes and has no dynamics",
    "poisson_neuron": "it has no dynamics",
    "spike_source": "its spikes are given",
}


def test_every_model_has_equations_or_a_reason() -> None:
    written = {model.name for model in built_in_neurons()}
    assert written | BY_HAND.keys() == {
        name for name in model_names() if get_neuron_model(name).__module__.startswith("distsnn.")
    }
    assert not written & BY_HAND.keys()
    assert len(written) >= 20


@pytest.mark.parametrize("name", BY_HAND)
def test_handwritten_kernels_give_their_reason(name: str) -> None:
    model = get_neuron_model(name)
    kernel = Path(next(iter(neurons.__path__))) / f"{name}.py"
    # a spike source has no kernel of its own
    texts = [sys.modules[model.__module__].__doc__ or ""]
    texts += [kernel.read_text(encoding="utf-8")] if kernel.exists() else []
    assert all(text.count("\nWritten by hand: ") == 1 for text in texts)


@pytest.mark.parametrize("file", KERNELS, ids=lambda file: file.stem)
def test_package_contains_the_generated_kernels(file: Path) -> None:
    # formatting is ruff's, whose versions differ
    kept = ast.parse(file.read_text(encoding="utf-8"))
    assert ast.dump(kept) == ast.dump(ast.parse(KERNELS[file]()))


@pytest.mark.parametrize("name", model_names())
def test_built_in_neurons_name_what_they_have(name: str) -> None:
    check_model(get_neuron_model(name), name)


def test_built_in_synapses_name_what_they_have() -> None:
    for model in synapse_models():
        check_model(model, model.name)


def test_importing_the_package_reads_no_text() -> None:
    program = """
import distsnn.network.equations.dynamics as dynamics, distsnn.network.equations.plasticity as rules
def fail(*_, **given):
    raise AssertionError(given)
dynamics.read_equations = rules.read_equations = fail
import distsnn.network
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_rule_has_equations() -> None:
    written = {rule.name for rule in built_in_rules()}
    plastic = {
        model.name
        for model in synapse_models()
        if issubclass(model, PlasticSynapse) and model.__module__.startswith("distsnn.")
    }
    assert not plastic - written
    assert len(written) >= 13


def test_every_synapse_model_with_states_of_sources_has_equations() -> None:
    written = {model.name for model in built_in_transmissions()}
    assert written == {
        model.name
        for model in synapse_models()
        if not issubclass(model, PlasticSynapse) and model.__module__.startswith("distsnn.")
    }
    assert {"tsodyks2_synapse", "nmda_synapse"} <= written
    generated = {file.stem for file in KERNELS if file.parent.name == "synapses"}
    files = {file.stem for file in Path(next(iter(synapses.__path__))).glob("*.py")}
    # the factors of spikes in flight are given
    assert files - {"__init__"} == generated | {"given_factor"}


@pytest.mark.parametrize("model", built_in_transmissions(), ids=lambda model: model.name)
def test_the_texts_of_built_in_synapse_models_are_valid(model: TransmissionModel) -> None:
    given = {name: getattr(model, name) for name in ("traces", "on_pre", "transmit")}
    given |= {"initial": model.initial, "ranges": model.ranges, "parameters": model.parameters}
    states = TransmissionModel(**given, max_factor=model.max_factor).synapse.states
    assert states == model.states()
    declared = get_synapse_model(model.name).parameters()
    for tau, least in model.transmission.least_time_constants().items():
        assert not declared[tau].allowed.starts_below(least)


def test_the_package_has_no_kernels_of_former_models() -> None:
    assert not unused_variants(KERNELS)
    variants = [file for file in KERNELS if unused_variants(set(KERNELS) - {file})]
    assert len(variants) == len(built_in_variants()) >= 20


def test_starts_with_any_built_in_model_do_not_import_sympy() -> None:
    # models, kernels and generated entries, without compiling all of them
    program = """
import importlib
import sys
from distsnn.codegen.plasticity import rule_kernel
from distsnn.codegen.update import UpdateVariant, module_text, neuron_kernel
from distsnn.engine.local_neurons import neuron_module_name
from distsnn.engine.plasticity.rule_constants import rule_module_name
from distsnn.network import PlasticSynapse, SubsteppedNeuron
from distsnn.network.registry import get_neuron_model, model_names, neuron_functions, synapse_models

neurons = [get_neuron_model(name)() for name in model_names() if name != "spike_source"]
neurons += [
    type(neuron)(substeps=n) for neuron in neurons if isinstance(neuron, SubsteppedNeuron)
    for n in (1, 5)
]
for made in neuron_functions().values():
    neurons += [made.function(**arguments) for arguments in (made.example, *made.shipped)]
for neuron in neurons:
    name = neuron_module_name(neuron)
    kernel = neuron_kernel(name)
    assert set(kernel.STATES) == set(neuron.states), neuron
    neuron.sub_expressions, neuron.receptor_units(), neuron.weight_unit
    counts = tuple(state for state in neuron.states if neuron.states[state].integer)
    assert module_text(UpdateVariant(name, "float32", 32, (), counts, neuron.accepts_current))
    assert "sympy" not in sys.modules, neuron
for model in synapse_models():
    if issubclass(model, PlasticSynapse):
        assert rule_kernel(rule_module_name(model())).CONSTANTS
    else:
        assert importlib.import_module(model.kernel).spike
    assert "sympy" not in sys.modules, model
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_runs_of_built_in_models_do_not_import_sympy() -> None:
    program = """
import sys
from distsnn import (
    AllToAll, ConstantCurrent, IafCondAlpha, IafPscAlpha, Network, Population, Projection,
    Simulation, Tsodyks2, iaf_psc_exp_multisynapse
)
models = IafCondAlpha(), IafPscAlpha(), iaf_psc_exp_multisynapse((0.5, 2.0, 10.0))
populations = [Population(f"P{i}", 10, model) for i, model in enumerate(models)]
currents = [ConstantCurrent(one, 500.0) for one in populations]
scaled = Projection(*populations[:2], AllToAll(), 1.0, 1.0, synapse=Tsodyks2(), name="scaled")
with Simulation(Network(populations, [scaled], currents)) as simulation:
    simulation.run(50.0)
    simulation["scaled"].state["x"] = 0.5
    assert all(simulation[name].spike_counts().sum() for name in ("P0", "P1", "P2"))
assert "sympy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_documentation_shows_equations_parameters_and_states() -> None:
    text = get_neuron_model("iaf_psc_alpha").__doc__ or ""
    assert "    ddI_syn_ex/dt = -dI_syn_ex/tau_syn_ex : pA/ms" in text
    assert "    receptor ex: dI_syn_ex += weight*exp(1)/tau_syn_ex" in text
    assert "    held: V_m\n" in text and "    initially: V_m = E_L\n" in text
    assert "C_m : float, array_like or Distribution, pF, > 0, default 250.0\n" in text
    assert "t_ref : float, array_like or Distribution, ms, >= 0, multiple of dt, default" in text
    assert "V_m : mV, initially E_L\n    membrane potential\n" in text


@neuron_model
class QuadraticOfATest(SubsteppedNeuron, EquationNeuron):
    """Quadratic integrate-and-fire neuron."""

    name: ClassVar[str] = "quadratic_of_a_test"
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        "dv/dt = a*v**2 + I : mV  # membrane potential\ndI/dt = -I/tau : mV/ms",
        threshold="v >= v_th",
        reset="v = v_reset",
        receptors={"ex": "I += weight/tau"},
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("v_reset", "v_th"),)

    a: Value = parameter(default=0.02, unit="1/(mV*ms)", doc="curvature", above=0.0)
    tau: Value = parameter(default=5.0, unit="ms", doc="decay of input", above=0.0)
    v_th: Value = parameter(default=30.0, unit="mV", doc="spike threshold")
    v_reset: Value = parameter(default=-10.0, unit="mV", doc="potential after a spike")

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        return 0.05


def test_a_class_of_a_user_with_equations_is_the_model_that_they_are() -> None:
    twin = NeuronModel(
        QuadraticOfATest.equations.equations,
        threshold="v >= v_th",
        reset="v = v_reset",
        receptors={"ex": "I += weight/tau"},
        parameters={
            "a": (0.02, "1/(mV*ms)", "> 0"),
            "tau": (5.0, "ms", "> 0"),
            "v_th": (30.0, "mV"),
            "v_reset": (-10.0, "mV"),
        },
        substeps=2,
    )
    own = QuadraticOfATest(a=0.03)
    assert (own.states["v"].doc, own.weight_unit, own.parts(0.1)) == ("membrane potential", "mV", 2)
    rates = []
    for neuron in (own, twin(a=0.03)):
        assert pickle.loads(pickle.dumps(neuron)) == neuron
        population = Population("P", 20, neuron, {"v": np.linspace(-5.0, 5.0, 20)})
        drive = PoissonInput(population, rate=800.0, weight=20.0)
        with Simulation(Network([population], [], [drive])) as simulation:
            simulation.run(200.0)
            rates.append(simulation["P"].spike_counts())
    np.testing.assert_array_equal(*rates)
    assert rates[0].sum() > 50


def made_neuron(bases: tuple[type, ...], *texts: str, **given: Any) -> type[EquationNeuron]:
    """Return a class of neurons with equations, which is not named twice."""
    fields = {"rest": parameter(default=1.0, unit="ms", doc="rest", **given.pop("rest", {}))}
    attributes = {
        "__annotations__": dict.fromkeys(fields, Value),
        "__module__": __name__,
        "name": f"made_of_a_test_{len(model_names())}",
        "equations": NeuronEquations(*texts, **given),
        "longest_part": lambda _: 0.05,
        **fields,
    }
    return neuron_model(type("MadeOfATest", bases, attributes))


LINEAR, SQUARE = "dv/dt = -v/ms : 1", "dv/dt = (1 + v**2)/ms : 1"
SPIKES = {"threshold": "v > 1", "reset": "v = 0"}


@pytest.mark.parametrize(
    ("bases", "text", "given", "why"),
    [
        ((EquationNeuron,), SQUARE, {"method": "exact"}, "not linear with constant coefficients"),
        ((SubsteppedNeuron, EquationNeuron), LINEAR, {}, "parts of a step change nothing"),
        ((EquationNeuron,), LINEAR, {**SPIKES, "refractory": "rest"}, "field rest: a refractory"),
        (
            (EquationNeuron,),
            LINEAR,
            {**SPIKES, "refractory": "rest", "rest": {"multiple_of_dt": True}},
            "field rest: a refractory time must be a multiple of dt, and not negative",
        ),
        ((EquationNeuron,), SQUARE, {"method": "rosenbrock", "test_parts": False}, "test after"),
        ((EquationNeuron,), LINEAR, {"relaxing": "w"}, "relaxing: unknown state variable 'w'"),
    ],
)
def test_a_class_of_a_user_with_wrong_equations_is_refused(
    bases: tuple[type, ...], text: str, given: dict[str, Any], why: str
) -> None:
    with pytest.raises(DescriptionError, match=why):
        made_neuron(bases, text, **given)


@pytest.mark.parametrize("bases", [(SubsteppedNeuron, EquationNeuron)] * 2)
def test_the_order_of_the_bases_does_not_matter(bases: tuple[type, ...]) -> None:
    model = made_neuron(bases[::-1], SQUARE, **SPIKES)
    assert model(substeps=7).parts(0.1) == 7
    assert model().parts(0.1) == 2


def test_a_rule_of_a_user_needs_time_constants_above_0_and_knows_whose_parameters_are() -> None:
    def rule(name: str, **allowed: float) -> type[EquationSynapse]:
        fields = {
            "tau": parameter(default=10.0, unit="ms", doc="decay", **allowed),
            "eta": parameter(default=0.1, unit="weight*ms", doc="step"),
        }
        text = RuleEquations(
            "dx/dt = -x/tau : 1/ms (pre)", "x += 1/ms", "w = clip(w + eta*x, w_min, w_max)"
        )
        attributes = {"__annotations__": dict.fromkeys(fields, Value), "__module__": __name__}
        attributes |= {"name": name, "equations": text, **fields}
        return synapse_model(type("RuleOfATest", (EquationSynapse,), attributes))

    assert rule("rule_of_a_test", above=0.0).per_synapse == ("eta", "w_max", "w_min")
    with pytest.raises(DescriptionError, match="field tau: a time constant must be above 0"):
        rule("other_rule_of_a_test")


@pytest.mark.ci
def test_texts_are_the_same_in_every_process() -> None:
    # whatever Python's hashes are: ranks share a kernel
    program = """
from distsnn.codegen.equations import kernel_text
from distsnn.network import NeuronModel
text = "\\n".join(f"d{x}/dt = (exp({x}) - {y}*{x})/ms : 1" for x, y in ("ab", "bc", "cd", "da"))
print(kernel_text(NeuronModel(text, threshold="a >= 9", reset="a = b", method="rosenbrock")))
"""
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(texts) == 1
