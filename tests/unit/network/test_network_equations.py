"""Models written as equations: what texts mean, what is refused and where, storing, reuse."""

import dataclasses
import json
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from own_models import ADEX, ADEX_ROSENBROCK, COBA, IZHIKEVICH, LIF
from own_rules import REWARDED

from distsnn.codegen.equations import kernel_text
from distsnn.codegen.generated import generated_kernel_module
from distsnn.codegen.modules import load
from distsnn.errors import DescriptionError
from distsnn.network import ConstantCurrent, Network, NeuronModel, Normal, Population, Projection
from distsnn.network.equations.dimensions import MS, UNITS, unit_named
from distsnn.network.equations.source import EquationError
from distsnn.network.rules import AllToAll

MODELS = [LIF, ADEX, IZHIKEVICH, COBA]
NAMES = [model.name for model in MODELS]


def small(equations: str = "dv/dt = (E - v)/tau : mV", **given: Any) -> NeuronModel:
    """Return a model of one equation with a few parameters."""
    parameters = {
        "tau": (10.0, "ms"),
        "E": (1.0, "mV"),
        "C": (200.0, "pF"),
        "g": (5.0, "nS"),
        "R": (100.0, "MOhm"),
        "t_ref": (2.0, "ms"),
    }
    return NeuronModel(equations, **({"parameters": parameters} | given))


@pytest.mark.parametrize(
    ("model", "scheme"),
    [
        (LIF, "exact: V_m, I_syn_ex, I_syn_in"),
        (replace(LIF, method="euler"), "euler: V_m, I_syn_ex, I_syn_in"),
        (ADEX, "rk4: V_m, w, g_ex, g_in"),
        (replace(ADEX, method="auto"), "exact: g_ex, g_in; rk4: V_m, w"),
        (COBA, "exact: g_ex, g_in; exponential_euler: V_m"),
        (IZHIKEVICH, "euler: V_m, U_m"),
        (small("dv/dt = (E - v)/tau + k : mV\nk = 0*g*v/C : mV/ms"), "exact: v"),
        # linear, but driven by what is not
        (small("dv/dt = -v**2/(tau*mV) : mV\ndw/dt = (v - w)/tau : mV"), "rk4: v, w"),
        (small("dv/dt = -v*w/(tau*mV) : mV\ndw/dt = (v - w)/tau : mV"), "exponential_euler: v, w"),
    ],
)
def test_the_scheme_follows_from_the_equations(model: NeuronModel, scheme: str) -> None:
    assert model.scheme == scheme


def test_user_defined_model_is_accepted_like_a_built_in_model() -> None:
    shared = Population("E", 3, LIF)
    own = Population("I", 3, LIF(tau_m=[9.0, 10.0, 11.0], E_L=Normal(-70.0, 1.0)))
    assert shared.model == LIF() == replace(LIF)()
    assert shared.model != own.model
    assert own.model.receptors == ("ex", "in")
    assert own.model.weight_unit == "pA"
    assert own.model.states["V_m"].unit == "mV"
    assert "I_syn_ex" in own.model.states["V_m"].doc
    assert own.model.states["V_m"].relative_to == "E_L"
    assert own.model.states["refractory"].integer
    assert ADEX().weight_unit == "nS"
    # other values of parameters are no other kernel
    assert generated_kernel_module(own.model.model) == generated_kernel_module(LIF)
    assert dataclasses.replace(LIF(), tau_m=20.0) == LIF(tau_m=20.0)


def test_parameters_are_checked_as_those_of_built_in_models() -> None:
    with pytest.raises(DescriptionError, match="did you mean 'tau_m'"):
        LIF(tau_M=3.0)
    for values, what in (
        ({"tau_m": -1.0}, "field tau_m: out of range.*> 0"),
        ({"C_m": [1.0, 2.0]}, "wrong shape"),
        ({"t_ref": -1.0}, "out of range"),
        ({"I_e": np.nan}, "finite"),
    ):
        with pytest.raises(DescriptionError, match=what):
            Population("E", 3, LIF(**values))
    with pytest.raises(DescriptionError, match="grid"):
        Network([Population("E", 3, LIF(t_ref=0.15))])


def test_stimuli_need_the_name_of_their_current() -> None:
    e = Population("E", 3, small())
    assert not e.model.accepts_current
    with pytest.raises(DescriptionError, match="current"):
        Network([e], [], [ConstantCurrent(e, 1.0)])
    driven = Population("E", 3, small("dv/dt = (E - v)/tau + I_stim/C : mV"))
    Network([driven], [], [ConstantCurrent(driven, 1.0)])


def test_projections_find_receptors() -> None:
    e = Population("E", 3, LIF)
    Network([e], [Projection(e, e, AllToAll(), weight=Normal(1.0, 1.0), delay=1.0)])
    with pytest.raises(DescriptionError, match="did you mean 'ex'"):
        Network([e], [Projection(e, e, AllToAll(), weight=1.0, delay=1.0, receptor="exc")])


def test_the_documents_models_are_those_that_are_tested() -> None:
    page = Path(__file__).parents[3] / "docs" / "own-models.md"
    made: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, made)
    name = made["lif"].name
    assert made["lif"] == replace(LIF, name=name)
    assert made["adex"] == replace(ADEX_ROSENBROCK, name=name)
    assert made["izhikevich"] == replace(IZHIKEVICH, name=name)
    assert made["I"].model.tau_m == 20.0
    assert made["rewarded"] == replace(REWARDED, name=name)
    assert made["learning"].synapse == made["stdp"](tau_minus=30.0)
    assert f"`{made['lif'].scheme}`" in page.read_text(encoding="utf-8")
    assert f"`{made['adex'].scheme}`" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "model", [*MODELS, replace(LIF, hold=())], ids=[*NAMES, "own_lif, nothing held"]
)
def test_networks_are_stored_and_read_back(model: NeuronModel) -> None:
    values = {"I_e": Normal(0.0, 1.0), "V_th": np.array([1.0, 2.0])}
    network = Network([Population("E", 2, model), Population("I", 2, model(**values))])
    description, arrays = network.to_dict()
    again = Network.from_dict(json.loads(json.dumps(description)), arrays)
    assert again == network
    assert again.populations[1].model.model == model
    assert pickle.loads(pickle.dumps(network)) == network
    text = json.dumps(description)
    corrupt = json.loads(text.replace("dV_m/dt =", "dV_m/dt = import os"))
    with pytest.raises(DescriptionError, match="cannot be read"):
        Network.from_dict(corrupt, arrays)


@pytest.mark.parametrize(
    ("text", "line", "column", "what", "marked"),
    [
        ("dv/dt = (E - v)/tou : mV", 1, 17, "unknown name 'tou'.*did you mean 'tau'", "tou"),
        ("\n  # v\n dv/dt = (-v/tau # (\n  + g) : mV", 4, 5, "nS cannot be added to mV/ms", "g"),
        ("dv/dt = E - v : mV", 1, 9, "derivative of v is in mV; allowed: mV/ms", "E - v"),
        ("dv/dt = -v/tau : mv", 1, 18, "unknown unit 'mv'.*did you mean 'mV'", "mv"),
        ("dv/dt = -v/tau", 1, 15, "unit is missing", ""),
        ("dv/dt = -v/tau : 2", 1, 18, "not a unit", "2"),
        ("dv/dt = -v/tau : mV\nv = 3 : 1", 2, 1, "'v' is taken", "v"),
        ("dE/dt = -E/tau : mV", 1, 2, "'E' is taken", "E"),
        ("dv/dt = -v/tau : mV\nx = y : 1\ny = x : 1", 2, 1, "defined by itself", "x"),
        ("dv/dt = (E - v)/tau) : mV", 1, 20, "never opened", ")"),
        ("dv/dt = ((E - v)/tau : mV", 1, 9, "never closed", "("),
        ("dv/dt = (E - v)/tau & 3 : mV", 1, 9, "cannot be used", "(E - v)/tau & 3"),
        ("dv/dt = E v*tau : mV", 1, 9, "cannot be read", "E"),
        ("dv/dt = E^2 : mV", 1, 9, r"\^ \(write \*\*", "E^2"),
        ("dv/dt = where(v, E, 0)/tau : mV", 1, 15, "must be a condition", "v"),
        ("dv/dt = (0*mV if v else E)/tau : mV", 1, 18, "must be a condition", "v"),
        ("dv/dt = (E if v > E else g)/tau : mV", 1, 26, "mV", "g"),
        ("dv/dt = v*(v > E)/tau : mV", 1, 12, "is a condition", "v > E"),
        ("dv/dt = (0 < v < E)*v/tau : mV", 1, 10, "a < b and b < c", "0 < v < E"),
        ("dv/dt = exp(v)*E/tau : mV", 1, 13, "argument of exp is in mV; allowed: 1", "v"),
        (
            "dv/dt = exp(1, 2)*E/tau : mV",
            1,
            9,
            "exp takes this number of arguments: 1",
            "exp(1, 2)",
        ),
        ("dv/dt = expo(1)*E/tau : mV", 1, 9, "unknown function 'expo'.*mean 'exp'", "expo"),
        ("dv/dt = v**(g/g)/tau : mV", 1, 13, "must be a number", "g/g"),
        ("dv/dt = 1/0*v/tau : mV", 1, 9, "not a number", "1/0"),
        ("dv/dt = v/(E - E)/tau*mV : mV", 1, 9, "divides by zero", "v/(E - E)"),
        ("dv/dt = 1e999*v/tau : mV", 1, 9, "too large", "1e999"),
        ("dv/dt = (-2)**0.5*v/tau : mV", 1, 9, "fractional power", "(-2)**0.5"),
        ("dv/dt = sqrt(-1)*v/tau : mV", 1, 9, r"sqrt\(-1\) is not a finite real", "sqrt(-1)"),
        ("dv/dt = v*log(1 - 2)/tau : mV", 1, 11, r"log\(-1\) is not a", "log(1 - 2)"),
        ("dv/dt = v*log10(0)/tau : mV", 1, 11, r"log10\(0\) is not a finite", "log10(0)"),
        ("dv/dt = v*arcsin(2)/tau : mV", 1, 11, r"arcsin\(2\) is not a", "arcsin(2)"),
        ("dv/dt = v*exp(1000)/tau : mV", 1, 11, r"exp\(1000\) is not a", "exp(1000)"),
        ("dv/dt = τ*v : mV", 1, 9, "not allowed; allowed: ASCII", "τ"),
        ("dv/dt += v/tau : mV", 1, 1, r"\+= has no place", "dv/dt += v/tau : mV"),
        ("v/tau : mV", 1, 1, "not an equation", "v/tau : mV"),
        ("dv/dt = : mV", 1, 9, "an expression is missing", ""),
        ("d1/dt = 1 : mV", 1, 2, "not the name of a variable", "1"),
        ("dlambda/dt = 1 : mV", 1, 2, "not the name of a variable", "lambda"),
        ("dx/dt = -x/tau : A**2", 1, 2, r"too large a unit for x.*pA\*\*2", "x"),
    ],
)
def test_errors_point_at_the_place(
    text: str, line: int, column: int, what: str, marked: str
) -> None:
    with pytest.raises(EquationError, match=what) as caught:
        small(text)
    error = caught.value
    assert error.where == f"equations, line {error.line}, column {error.column}"
    shown, carets = str(error).split("\n")[-2:]
    assert shown.strip() == text.split("\n")[error.line - 1].strip()
    assert (error.line, error.column) == (line, column)
    start, stop = carets.index("^"), carets.rindex("^") + 1
    assert shown[start:stop] == (marked or shown[start:stop])
    assert marked or stop == start + 1


HOSTILE = [
    "__import__('os').system('true')",
    "().__class__.__bases__[0]",
    "v.__class__",
    "(lambda: 1)()",
    "[v for v in (1,)]",
    "{1: 2}",
    "v[0]",
    "f'{v}'",
    "'v'",
    "True",
    "None",
    "1j",
    "v if v else 1",
    "(v := 1)",
    "exp(*v)",
    "exp(x=v)",
    "await v",
    "v @ v",
    "v // 1",
    "v % 1",
    "~v",
    "v << 1",
    "v is v",
    "v in v",
    "...",
    "not v",
    "eval(1)",
    "print(1)",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_only_expressions_of_numbers_are_read(text: str) -> None:
    # without units: they must not be what is refused
    why = "cannot be used|unknown function|must be a condition|write a < b and b|cannot be read"
    for texts in (
        {"equations": f"dv/dt = ({text})/ms : 1"},
        {"threshold": text},
        {"threshold": f"v > {text}"},
        {"threshold": "v > 1", "reset": f"v = {text}"},
    ):
        with pytest.raises(EquationError, match=why):
            small(**{"equations": "dv/dt = -v/ms : 1"} | texts)


def test_long_sums_are_not_deep() -> None:
    terms = [f"E*{k} - v/{k}" for k in range(1, 200)]
    long = small(f"dv/dt = ({' + '.join(terms)})/tau : mV")
    harmonic = sum(sympy.Rational(1, k) for k in range(1, 200))
    v, e, tau = (sympy.Symbol(name, real=True) for name in ("v", "E", "tau"))
    right = long.analysis.derivatives[v]
    assert sympy.expand(right - (19_900 * e - harmonic * v) / tau) == 0
    assert kernel_text(small("dv/dt = (E - v - (E - 2*v) + 1*mV - E)/tau : mV")) == kernel_text(
        small("dv/dt = (v - E + 1*mV)/tau : mV")
    )
    with pytest.raises(EquationError, match="line 1, column 22: pA cannot be added to mV"):
        small("dv/dt = (E - v + v - 1*pA)/tau : mV")


def test_lines_may_end_as_on_windows() -> None:
    texts = {"equations": ADEX.equations, "reset": "V_m = V_reset\nw += b"}
    given = replace(ADEX, **{name: text.replace("\n", "\r\n") for name, text in texts.items()})
    assert given == replace(ADEX, **texts)
    assert given.scheme == ADEX.scheme
    with pytest.raises(EquationError, match="line 2, column 11: unknown name 'tua'"):
        small("dv/dt = x/tau : mV\r\nx = E - v*tua : mV")


def test_sub_expressions_cannot_grow_without_bound() -> None:
    lines = ["dv/dt = x30/ms : 1", "x0 = v : 1"]
    lines += [f"x{k} = x{k - 1}*x{k - 1} : 1" for k in range(1, 31)]
    with pytest.raises(EquationError, match="too large"):
        small("\n".join(lines))
    with pytest.raises(EquationError, match="too high"):
        small("dv/dt = ((((2*v)**16)**16)**16)/ms : 1")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"threshold": "v"}, "must be a condition"),
        ({"threshold": "v > 3"}, "threshold, line 1, column 5: mV and 1 do not fit"),
        ({"threshold": "v > 0", "reset": "E = v"}, "'E' cannot be assigned here"),
        ({"threshold": "v > 0", "reset": "v = g"}, "v is in nS; allowed: mV"),
        ({"threshold": "v > 0", "reset": "v *= E"}, "v is in"),
        ({"reset": "v = 0"}, "needs a threshold"),
        ({"refractory": "t_ref"}, "needs a threshold"),
        ({"threshold": "v > 0", "refractory": "t_reff"}, "did you mean 't_ref'"),
        ({"threshold": "v > 0", "refractory": "E"}, "must be a time in ms"),
        ({"threshold": "E > 0", "refractory": "t_ref"}, "names no state variable"),
        ({"threshold": "v > 0", "hold": "v"}, "needs a refractory time"),
        ({"threshold": "v > 0", "refractory": "t_ref", "hold": "w"}, "unknown state variable"),
        ({"receptors": {"ex": "w"}}, "unknown state variable 'w'"),
        ({"receptors": {"e x": "v"}}, "not a usable name"),
        ({"receptors": {"ex": "v"}, "signed_receptors": ("ex", "in")}, "unknown receptor 'in'"),
        ({"receptors": {"ex": "v"}, "signed_receptors": ("ex",)}, "two receptors"),
        ({"receptors": ["v"]}, "must be a mapping"),
        ({"initial": {"w": 0.0}}, "unknown state variable"),
        ({"initial": {"v": "e"}}, "did you mean 'E'"),
        ({"initial": {"v": "g"}}, "another unit"),
        ({"initial": {"v": None}}, "must be a number"),
        ({"method": "rk5"}, "unknown method 'rk5'"),
        ({"method": "exact", "equations": "dv/dt = v**2/ms : 1"}, "not linear with constant"),
        ({"method": "exponential_euler", "equations": "dv/dt = v**2/ms : 1"}, "not linear in v"),
        ({"substeps": 0}, "substeps: out of range"),
        ({"substeps": 2}, "parts of a step change nothing"),
        ({"name": "a b"}, "must be a name"),
        ({"threshold": None}, "must be text"),
        ({"equations": ""}, "no differential equation"),
        ({"parameters": {"check": (1.0, "ms")}}, "not a usable name"),
        ({"parameters": {"I_stim": (1.0, "pA")}}, "not a usable name"),
        ({"parameters": {"exp": (1.0, "pA")}}, "not a usable name"),
        ({"parameters": {"tau": 1.0}}, "value with its unit"),
        ({"parameters": {"tau": (1.0, "mz")}}, "unit of parameter tau.*unknown unit 'mz'"),
        ({"parameters": {"tau": (1.0, "ms", "positive")}}, "not a range"),
        ({"parameters": {"tau": (1.0, "ms", "> 0 and > 1")}}, "not a range"),
        ({"parameters": {"tau": (3.0, "ms", "> 5 and < 2")}}, "'tau': no value is in this range"),
        ({"parameters": {"tau": (2.0, "ms", "> 2 and <= 2")}}, "no value is in this range"),
        ({"parameters": {"tau": ([1.0, 2.0], "ms")}}, "one value for all"),
        ({"parameters": {"tau": ("x", "ms")}}, "must be a number"),
        ({"equationz": ""}, "did you mean 'equations'"),
    ],
)
def test_error_without_a_position_names_its_field(given: dict[str, Any], what: str) -> None:
    with pytest.raises(DescriptionError, match=what):
        small(**given)


@pytest.mark.parametrize(
    ("text", "same", "factor"),
    [
        ("nS*mV", "pA", 0),
        ("GOhm*pA", "mV", 0),
        ("MOhm*pA", "mV", -3),
        ("pF/ms", "nS", 0),
        ("spikes/s", "1/ms", -3),
        ("Hz", "1/ms", -3),
        ("V**2/Ohm", "V*A", 0),
        ("mV * ms ** -1", "mV/ms", 0),
        ("uS", "nS", 3),
        ("pC", "pA*ms", 3),
    ],
)
def test_units_are_powers_of_three(text: str, same: str, factor: int) -> None:
    found, other = unit_named(text, "x"), unit_named(same, "x")
    assert found.has_same_dimension(other)
    assert found.tens - other.tens == factor


@pytest.mark.parametrize("text", ["mV**(3/2)", "ms**(-1/2)*pA", "mV**-2", "mV**3", "ms*mV**(1/2)"])
def test_units_are_shown_as_they_may_be_written(text: str) -> None:
    unit = unit_named(text, "x")
    assert str(unit) == text
    assert unit_named(str(unit), "x") == unit


def test_our_units_make_each_other() -> None:
    assert UNITS["pF"].times(UNITS["nS"], -1) == MS
    assert all(unit_named(name, "x") == unit for name, unit in UNITS.items())


def test_values_keep_their_units_and_are_converted_inside() -> None:
    # the same neuron in other units
    model = NeuronModel(
        "dv/dt = -v/tau + I/C : V\ndI/dt = -I/(2*ms) : nA",
        parameters={"tau": (0.01, "s"), "C": (0.2, "nF")},
    )
    text = kernel_text(model)
    assert model().states["I"].unit == "nA"
    found = neuron_constants(text, {"tau": 0.01, "C": 0.2})
    plain = NeuronModel(
        "dv/dt = -v/tau + I/C : mV\ndI/dt = -I/(2*ms) : pA",
        parameters={"tau": (10.0, "ms"), "C": (200.0, "pF")},
    )
    other = neuron_constants(kernel_text(plain), {"tau": 10.0, "C": 200.0})
    # V per nA and mV per pA are the same
    np.testing.assert_allclose(list(found.values()), list(other.values()), rtol=1e-14)


def neuron_constants(text: str, values: dict[str, float]) -> dict[str, float]:
    made = load(text).propagators({name: np.asarray(one) for name, one in values.items()}, 0.1)
    return {name: float(one) for name, one in made.items()}


def test_a_conditional_expression_is_where() -> None:
    texts = "0*mV if v > E else w", "where(v > E, 0*mV, w)"
    models = [
        NeuronModel(
            f"dv/dt = (({text}) - v)/tau : mV\ndw/dt = -w/tau : mV",
            threshold="v > 10*mV",
            reset=f"w = {text}; v = E",
            parameters={"tau": (10.0, "ms"), "E": (-70.0, "mV")},
        )
        for text in texts
    ]
    with_if, with_where = map(kernel_text, models)
    assert with_if == with_where


# Random texts, valid now and then: pieces of the language with mistakes among them.
PIECES = st.sampled_from(
    [
        *("v", "w", "E", "tau", "g", "C", "I_stim", "mV", "ms", "pA", "nope", "x", "t_ref"),
        *("0", "1", "2", "0.5", "1e300", "-1", "16", "1e-300", "99999999999999999999"),
        *("+", "-", "*", "/", "**", "<", ">=", "(", ")", ",", " ", "\n", ";", ":", "=", "#"),
        *("exp(", "log(", "sqrt(", "min(", "where(", "clip(", "exprel(", "erf(", "poisson("),
        *(
            "and",
            "or",
            "not ",
            "lambda",
            ".",
            "[",
            "'",
            "\\",
            "\x00",
            "é",
            "\t",
            "==",
            "^",
            "0x",
            "1if",
        ),
    ]
)
FUNCTIONS_OF_ONE = ["exp", "log", "sqrt", "exprel", "erf", "abs"]
EXPRESSIONS = st.recursive(
    st.sampled_from(["v", "w", "E", "g/g", "v/mV", "1", "2.5", "0", "tau", "I_stim/pA", "x"]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("({})**{}".format, inner, st.sampled_from(["2", "-1", "0.5", "3", "1.7"])),
        st.builds("{}({})".format, st.sampled_from(FUNCTIONS_OF_ONE), inner),
        st.builds("where({} > {}, {}, {})".format, inner, inner, inner, inner),
        st.builds("({} if {} > {} else {})".format, inner, inner, inner, inner),
        st.builds("min({}, {})".format, inner, inner),
    ),
    max_leaves=12,
)
TEXTS = st.one_of(st.lists(PIECES, max_size=25).map("".join), EXPRESSIONS, st.text(max_size=30))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(TEXTS, TEXTS, TEXTS, st.sampled_from(["auto", "exponential_euler", "rk4"]))
def test_random_texts_make_models_or_errors(
    first: str, second: str, third: str, method: str
) -> None:
    try:
        model = small(
            f"dv/dt = ({first})*E/ms : mV\ndw/dt = v/ms - w*({first})/ms : mV\nx = {second} : 1",
            threshold=f"v > E*({third})",
            reset=f"w = {second}*mV\nv -= E*({third})",
            method=method,
        )
        compile(kernel_text(model), "kernel", "exec")
    except DescriptionError as error:
        assert str(error)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(TEXTS)
def test_random_equations_make_models_or_errors(text: str) -> None:
    try:
        kernel_text(small(text))
    except DescriptionError as error:
        assert str(error)


def test_equal_models_draw_the_same_however_they_are_written() -> None:
    first = small(parameters={"tau": (10.0, "ms"), "E": (1.0, "mV")})
    second = small(parameters={"E": (1.0, "mV"), "tau": (10.0, "ms")})
    assert first == second
    assert list(first.parameters) == list(second.parameters)
    assert list(first().parameters()) == list(second().parameters())
    one, other = (
        replace(COBA, receptors=dict(order))
        for order in (COBA.receptors.items(), [*COBA.receptors.items()][::-1])
    )
    assert one().receptors == other().receptors


@pytest.mark.parametrize("name", ["model", "name", "self", "__debug__", "__slots__", "states"])
def test_names_that_a_class_has_are_refused(name: str) -> None:
    with pytest.raises(DescriptionError, match=f"parameters: not a usable name .*; given '{name}'"):
        small("dv/dt = -v/ms : mV", parameters={name: (1.0, "mV")})


@pytest.mark.parametrize(
    "given",
    [
        {"hold": 5},
        {"hold": [[]]},
        {"signed_receptors": 5},
        {"signed_receptors": [[1], [2]]},
        {"parameters": {5: (1.0, "mV")}},
        {"receptors": {5: "v"}},
    ],
)
def test_what_is_no_name_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(DescriptionError, match="must be names"):
        small(**given)


@pytest.mark.parametrize("link", ["-{}", "abs({})"])
def test_long_chains_of_sub_expressions_are_refused(link: str) -> None:
    lines = [f"a{i + 1} = {link.format(f'a{i}')} : mV" for i in range(700)]
    text = "\n".join(["dv/dt = a700/ms : mV", "a0 = v : mV", *lines])
    with pytest.raises(DescriptionError, match="too large once its sub-expressions are put in"):
        small(text, parameters={})
