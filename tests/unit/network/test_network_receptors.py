"""Receptors of models written as equations: what weights do, and what is refused."""

from typing import Any

import pytest
import sympy

from distsnn.errors import DescriptionError
from distsnn.network import (
    NeuronModel,
    aeif_cond_alpha_multisynapse,
    aeif_cond_beta_multisynapse,
    iaf_psc_alpha_multisynapse,
    iaf_psc_exp_multisynapse,
)


def small(equations: str = "dv/dt = (E - v)/tau : mV", **given: Any) -> NeuronModel:
    """Return a model of a few equations with a few parameters."""
    parameters = {"tau": (10.0, "ms"), "E": (1.0, "mV"), "C": (200.0, "pF")}
    return NeuronModel(equations, parameters=parameters, **given)


def test_receptors_may_be_written_with_blanks() -> None:
    model = small("dv/dt = (E - v)/tau : mV", receptors={"a": " - v", "b": " v "})
    v = sympy.Symbol("v", real=True)
    assert model.analysis.inputs == {"a": ((v, -1),), "b": ((v, 1),)}


def test_receptors_may_have_statements() -> None:
    v, w = (sympy.Symbol(name, real=True) for name in ("v", "w"))
    tau, e = sympy.Symbol("tau", real=True), sympy.Function("exp")(1)
    equations = "dv/dt = (w*ms - v)/tau : mV\ndw/dt = -w/tau : mV/ms"
    receptors = {
        "alpha": "w += weight*exp(1)/tau",
        "both": "v -= 2*weight; w += weight/ms",
        "plain": "v += weight",
    }
    model = small(equations, receptors=receptors)
    found = model.analysis.inputs
    assert found == {
        "alpha": ((w, e / tau),),
        "both": ((v, sympy.Integer(-2)), (w, sympy.Integer(1))),
        "plain": ((v, sympy.Integer(1)),),
    }
    assert model().weight_unit == "mV"
    model = small(
        equations,
        receptors={"ex": "a = 2*weight; b = a/tau; w += b; a *= tau/ms; v -= a; w += 3*b"},
    )
    added = ((w, 2 / tau), (v, -2 * tau), (w, 6 / tau))
    assert model.analysis.inputs == {"ex": added}
    assert model().weight_unit == "mV"
    charge = small("dv/dt = -v/tau : mV", receptors={"charge": "v += weight/C"})
    assert charge().weight_unit == "ms*pA"
    assert charge.analysis.inputs == {"charge": ((v, 1 / sympy.Symbol("C", real=True)),)}


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        ("w += weight", "unknown variable 'w'"),
        ("C += weight", "receptor ex, line 1, column 1: 'C' cannot be assigned here"),
        ("a = weight/tau; v += weight", "line 1, column 1: unknown variable 'a'; allowed: v"),
        ("v += a; a = weight", "line 1, column 6: the local variable a is used before it is"),
        ("a = weight*v/mV; v += a", "the factor of weight changes with v"),
        ("a = weight*weight; v += a", "input is not proportional to weight"),
        ("a = weight + 1*mV; v += a", "mV cannot be added to 1"),
        ("v = weight", "input is added; allowed: NAME \\+= "),
        ("v *= weight", "input is added; allowed: NAME \\+= "),
        ("v += 3*mV", "input is not proportional to weight"),
        ("v += weight*weight", "input is not proportional to weight"),
        ("v += weight; v += weight/tau", "the weight has two units; allowed: mV"),
        ("v += weight*v/mV", "the factor of weight changes with v"),
        ("v += weight*I_stim/pA", "unknown name 'I_stim'"),
        ("v += weight > 1", "must be a number"),
        ("v += weight*nA/pA; v += weight*mA/pA", "the weight has two units"),
        ("v += weight*nA/pA", "a power of ten; allowed: units of ms, mV"),
        ("v += weigth", "unknown name 'weigth'"),
    ],
)
def test_statements_of_receptors_that_are_refused(statements: str, why: str) -> None:
    with pytest.raises(DescriptionError, match=why):
        small(receptors={"ex": statements})


def test_a_variable_may_be_called_weight_where_receptors_have_no_statements() -> None:
    text = "dweight/dt = -weight/ms : mV"
    model = NeuronModel(text, receptors={"ex": "-weight"})
    assert model.analysis.inputs == {"ex": ((sympy.Symbol("weight", real=True), -1),)}
    with pytest.raises(DescriptionError, match="cannot have a variable 'weight'"):
        NeuronModel(text, receptors={"ex": "weight -= weight"})


def test_neurons_have_a_receptor_for_each_time_constant() -> None:
    neuron = iaf_psc_exp_multisynapse((0.5, 2.0, 9.0), V_th=-50.0)
    assert neuron.receptors == ("1", "2", "3")
    assert (neuron.value("tau_syn_3"), neuron.value("V_th"), neuron.weight_unit) == (9, -50, "pA")
    assert list(neuron.states) == ["V_m", "I_syn_1", "I_syn_2", "I_syn_3", "refractory"]
    # as many receptors make one class
    assert type(neuron) is type(iaf_psc_exp_multisynapse((1.0, 1.0, 1.0)))
    alpha = iaf_psc_alpha_multisynapse([2.0])
    assert (alpha.receptors, list(alpha.states)[:3]) == (("1",), ["V_m", "I_syn_1", "dI_syn_1"])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"tau_syn": ()}, "tau_syn: must be a sequence with a value for each receptor"),
        ({"tau_syn": 2.0}, "tau_syn: must be a sequence with a value for each receptor; given 2"),
        ({"tau_syn": (2.0,), "V_thr": -50.0}, "unknown parameter 'V_thr'.*'V_th'"),
    ],
)
def test_time_constants_that_are_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(DescriptionError, match=why):
        iaf_psc_exp_multisynapse(**given)


def test_adaptive_neurons_have_a_conductance_for_each_receptor() -> None:
    beta = aeif_cond_beta_multisynapse((0.0, -85.0), (0.5, 2.0), (3.0, 2.0), substeps=4, b=60.0)
    assert beta.receptors == ("1", "2") and beta.parts(0.1) == 4
    assert {"g_2", "dg_2", "w"} < beta.states.keys()
    assert (beta.E_rev_2, beta.tau_rise_1, beta.b) == (-85.0, 0.5, 60.0)
    assert beta.model.scheme.endswith("rosenbrock: V_m, w")
    alpha = aeif_cond_alpha_multisynapse((0.0,), (2.0,))
    assert (alpha.weight_unit, alpha.tau_syn_1) == ("nS", 2.0)
    with pytest.raises(
        DescriptionError,
        match="tau_rise: the number of values must equal the number of E_rev; given 1; allowed: 2",
    ):
        aeif_cond_beta_multisynapse((0.0, -85.0), (0.5,), (3.0, 2.0))
