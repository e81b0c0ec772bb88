"""Texts of equations of any length and from any system, and what errors show of them."""

import math
import re
import time
from dataclasses import replace
from typing import Any

import pytest
import sympy
from own_rules import REWARDED

from distsnn.codegen.equations import kernel_text
from distsnn.codegen.rules import rule_text
from distsnn.errors import DescriptionError
from distsnn.network import NeuronModel, Normal, PlasticityModel
from distsnn.network.equations.evaluation import evaluate
from distsnn.network.equations.source import EquationError, EquationText, Span
from distsnn.network.equations.syntax import Node, parse


def small(equations: str) -> NeuronModel:
    """Return a model of one equation with two parameters."""
    return NeuronModel(equations, parameters={"tau": (10.0, "ms"), "E": (1.0, "mV")})


def test_long_products_are_not_deep() -> None:
    factors = ["v", *(f"(E/(mV*{k}))" for k in range(1, 100))]
    long = small(f"dv/dt = -{'*'.join(factors)}/tau : mV")
    v, e, tau = (sympy.Symbol(name, real=True) for name in ("v", "E", "tau"))
    right = long.analysis.derivatives[v]
    assert sympy.expand(right + v * e**99 / math.factorial(99) / tau) == 0
    assert kernel_text(small("dv/dt = 2*v*3/4*5/tau/6 : mV")) == kernel_text(
        small("dv/dt = (((2*v)*3)/4)*5/tau/6 : mV")
    )
    assert small(f"dv/dt = v{'*ms' * 80}/tau{'/ms' * 40}/ms**16/ms**16/ms**8 : mV").scheme
    with pytest.raises(EquationError, match=r"column 9: the derivative of v is in ms\*mV"):
        small("dv/dt = v*ms*ms/ms*ms/ms : mV")


def test_what_is_deep_is_refused() -> None:
    for deep in ("(" * 70 + "v" + "*2 + 1*mV)" * 70, "v" + "/2" * 70, "-" * 70 + "v"):
        with pytest.raises(EquationError, match="nested too deeply"):
            small(f"dv/dt = {deep}/tau : mV")
    # chains within chains: as deep as all of them
    inner = "v"
    for _ in range(6):
        inner = f"({inner}{'/2' * 11})"
    with pytest.raises(EquationError, match="nested too deeply"):
        small(f"dv/dt = {inner}/tau : mV")


def coupled(n: int, **more: Any) -> NeuronModel:
    """Return a model of coupled linear equations."""
    lines = [f"dx{i}/dt = (x{(i + 1) % n} - x{i})/(10*ms) : 1" for i in range(n)]
    return NeuronModel("\n".join(lines), threshold="x0 > 1", **more)


def test_more_coupled_equations_than_can_be_compiled_are_refused() -> None:
    begin = time.process_time()
    what = "line 11, .*150 equations .* more than 1,600 coefficients; allowed: .* method 'rk4'"
    with pytest.raises(EquationError, match=what):
        coupled(150)
    assert coupled(40).scheme.startswith("exact: x0, x1")
    assert coupled(150, method="rk4").scheme.startswith("rk4: x0, x1")
    chain = [f"dx{i}/dt = -x{i}/(10*ms) : 1" for i in range(150)]
    assert NeuronModel("\n".join(chain)).scheme.startswith("exact: x0, x1")
    assert time.process_time() - begin < 10.0


class ReadOnce(dict[str, Node]):
    """A mapping whose values can be read once."""

    __getitem__ = dict.pop


def test_each_sub_expression_is_evaluated_once() -> None:
    def read(text: str) -> Node:
        return parse(Span(EquationText("text", text), 0, len(text)))

    # with repetition it would take 2^60 evaluations
    chain = ReadOnce({f"x{i + 1}": read(f"x{i} + x{i}") for i in range(60)})
    assert evaluate(read("x60"), {"x0": 1.0}, chain) == 2.0**60


def test_error_in_a_long_line_shows_what_is_around_the_place() -> None:
    text = "dv/dt = (" + "E + " * 500 + "\tX + " + "E + " * 500 + "E)/tau : mV"
    with pytest.raises(EquationError, match="column 2011: unknown name 'X'") as caught:
        small(text)
    _, shown, carets = str(caught.value).splitlines()
    assert len(shown) < 140
    assert (shown[:8], shown[-4:]) == ("    ... ", " ...")
    assert shown[carets.index("^")] == "X"
    assert carets.count("^") == carets.count("\t") == 1
    # at the ends there is nothing to leave out
    for piece, sides in (("X" + " + E" * 500, (False, True)), ("E + " * 500 + "X", (True, False))):
        with pytest.raises(EquationError) as caught:
            small(f"dv/dt = ({piece})/tau : mV")
        _, shown, carets = str(caught.value).splitlines()
        assert (shown.startswith("    ... "), shown.endswith(" ...")) == sides


@pytest.mark.parametrize("digits", [310, 5000])
def test_number_of_many_digits_is_too_large(digits: int) -> None:
    with pytest.raises(EquationError, match="line 1, column 11: the number is too large") as caught:
        small(f"dv/dt = E*{'1' * digits}/tau : mV")
    assert "limit" not in str(caught.value)
    for fine in ("0." + "1" * 5000, "1" * 300, "1." + "0" * 5000, "v" + "1" * 400 + "*0"):
        name = fine.partition("*")[0] if fine[0] == "v" else "v"
        assert small(f"d{name}/dt = {fine}*E/tau : mV").scheme


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": (-1.0, "mV", "> 0")}, "'x', default: out of range; given -1.0; allowed: > 0"),
        ({"x": (Normal(1.0, 1.0), "mV", "> 0")}, "'x', default: draws would fall out of range"),
        ({"x": (6.0, "mV", "> 5 and < 2")}, "no value is in this range; given '> 5 and < 2'"),
        ({"x": (6.0, "mV", ">= 1e999")}, "no value is in this range; given '>= 1e999'"),
        ({"t_ref": (-1.0, "ms")}, "'t_ref', default: out of range; given -1.0; allowed: >= 0"),
    ],
)
def test_default_that_its_own_range_excludes_is_refused(
    given: dict[str, Any], message: str
) -> None:
    parameters = {"tau": (10.0, "ms"), "t_ref": (2.0, "ms")} | given
    with pytest.raises(DescriptionError, match=re.escape(message)):
        NeuronModel(
            "dv/dt = -v/tau : mV", threshold="v > 1*mV", refractory="t_ref", parameters=parameters
        )


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_lines_may_end_as_on_any_system(end: str) -> None:
    text = "dv/dt = x/tau : mV\nx = E - v : mV\n"
    assert small(text.replace("\n", end)) == small(text)


def test_long_products_of_rules_are_not_deep() -> None:
    def text(change: str) -> str:
        parameters = {"tau": (10.0, "ms"), "A": (1.0, "pA"), "k": (0.1, "1")}
        traces = "dy/dt = -y/tau : 1 (post)"
        return rule_text(PlasticityModel(traces, f"w += {change}", parameters=parameters))

    # constants at the head of a product are one, computed in float64
    assert text("A*k*k*y*k*y") == text("((((A*k)*k)*y)*k)*y")
    assert text("A*k*k*y").count("k2") == text("A*y").count("k2") == 0
    assert text("A" + "*y" * 80).count("* y") >= 80


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_lines_of_rules_may_end_as_on_any_system(end: str) -> None:
    names = ("traces", "on_pre", "on_post", "on_modulator")
    texts = {name: f"{getattr(REWARDED, name)}\n" for name in names}
    given = {name: text.replace("\n", end) for name, text in texts.items()}
    assert replace(REWARDED, **given) == replace(REWARDED, **texts)


def test_default_with_which_a_trace_cannot_decay_is_refused() -> None:
    parameters = {name: tuple(spec) for name, spec in REWARDED.parameters.items()}
    tau = next(iter(REWARDED.rule.decays.values()))
    with pytest.raises(DescriptionError, match=f"{tau!r}, default: out of range; given -1.0"):
        replace(REWARDED, parameters=parameters | {tau: (-1.0, "ms")})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-" * 5000 + "v", "nested too deeply"),
        ("(" * 900 + "v" + ")" * 900, "too many nested|nested too deeply"),
        # from Python 3.13 on its parser reads them
        ("v" + "+v" * 6000, "nested too deeply|too large once"),
        ("v" * 30_000, "longer than 20000"),
    ],
)
def test_endless_texts_are_refused(text: str, what: str) -> None:
    with pytest.raises(EquationError, match=what):
        NeuronModel(f"dv/dt = ({text})/ms : mV")
