"""Derivatives of right-hand sides by their variables."""

import math
from collections.abc import Callable
from typing import Any

import sympy
from sympy.core.function import AppliedUndef

from distsnn.network.equations.analysis import function

_where, _exp = function("where"), function("exp")

# What is made of pieces, as pieces; exprel with its series where e^x - 1 would cancel.
_PIECES: dict[str, Callable[..., Any]] = {
    "abs": lambda x: _where(function("<")(x, 0), -x, x),
    "min": lambda x, *rest: _where(function("<=")(x, _one("min", rest)), x, _one("min", rest)),
    "max": lambda x, *rest: _where(function(">=")(x, _one("max", rest)), x, _one("max", rest)),
    "clip": lambda x, low, high: function("min")(function("max")(x, low), high),
    "exprel": lambda x: _where(
        function("<")(function("abs")(x), sympy.Rational(1, 10)),
        1 + x / 2 + x**2 / 6 + x**3 / 24,
        (_exp(x) - 1) / x,
    ),
}
# Derivatives by each argument.
_SLOPES: dict[str, Callable[..., tuple[Any, ...]]] = {
    "exp": lambda x: (_exp(x),),
    "log": lambda x: (1 / x,),
    "erf": lambda x: (sympy.Rational(2.0 / math.sqrt(math.pi)) * _exp(-(x**2)),),
    "sqrt": lambda x: (sympy.Rational(1, 2) / function("sqrt")(x),),
    "**": lambda x, y: (y * function("**")(x, y - 1), function("log")(x) * function("**")(x, y)),
}


def _one(name: str, arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if len(arguments) == 1 else function(name)(*arguments)


def derivative(expression: sympy.Expr, by: sympy.Symbol) -> sympy.Expr:
    """Return an expression's derivative by a variable; at a kink that of one side."""
    if by not in expression.free_symbols:
        return sympy.Integer(0)
    if expression == by:
        return sympy.Integer(1)
    given = expression.args
    name = expression.func.__name__ if isinstance(expression, AppliedUndef) else ""
    if name in _PIECES:
        return derivative(_PIECES[name](*given), by)
    if name == "where":
        return _where(given[0], derivative(given[1], by), derivative(given[2], by))
    slopes = _SLOPES[name](*given) if name else _slopes(expression)
    # what does not depend on the variable has no slope, be that of the function what it may
    terms = [slope * derivative(one, by) for one, slope in zip(given, slopes, strict=True)]
    return sympy.Add(*terms)


def _slopes(expression: sympy.Expr) -> tuple[sympy.Expr, ...]:
    """Return the derivatives of a sum, a product or a whole power by its arguments."""
    given = expression.args
    if expression.is_Add:
        return (sympy.Integer(1),) * len(given)
    if expression.is_Pow:
        base, exponent = given
        return exponent * base ** (exponent - 1), sympy.Integer(0)
    return tuple(sympy.Mul(*given[:at], *given[at + 1 :]) for at in range(len(given)))
