"""Derivatives of right-hand sides by their variables."""

import math
from collections.abc import Callable
from typing import Any

import sympy
from sympy.core.function import AppliedUndef

from distsnn.network.equations.analysis import function
from distsnn.network.equations.syntax import ROUNDING

_where, _exp = function("where"), function("exp")

# Piecewise functions, by branches; exprel as its series where e^x - 1 would cancel.
_BRANCHES: dict[str, Callable[..., Any]] = {
    "abs": lambda x: _where(function("<")(x, 0), -x, x),
    "min": lambda x, *others: _where(
        function("<=")(x, _one("min", others)), x, _one("min", others)
    ),
    "max": lambda x, *others: _where(
        function(">=")(x, _one("max", others)), x, _one("max", others)
    ),
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
    "sin": lambda x: (_of("cos", x),),
    "cos": lambda x: (-_of("sin", x),),
    "tan": lambda x: (1 + _of("tan", x) ** 2,),
    "arcsin": lambda x: (1 / _of("sqrt", 1 - x**2),),
    "arccos": lambda x: (-1 / _of("sqrt", 1 - x**2),),
    "arctan": lambda x: (1 / (1 + x**2),),
    "sinh": lambda x: (_of("cosh", x),),
    "cosh": lambda x: (_of("sinh", x),),
    "tanh": lambda x: (1 - _of("tanh", x) ** 2,),
    "expm1": lambda x: (_exp(x),),
    "log10": lambda x: (sympy.Rational(1.0 / math.log(10.0)) / x,),
    "log1p": lambda x: (1 / (1 + x),),
    # constant between their steps
    **dict.fromkeys(("sign", *ROUNDING), lambda _: (sympy.Integer(0),)),
    "erf": lambda x: (sympy.Rational(2.0 / math.sqrt(math.pi)) * _exp(-(x**2)),),
    "sqrt": lambda x: (sympy.Rational(1, 2) / function("sqrt")(x),),
    "**": lambda x, y: (y * function("**")(x, y - 1), function("log")(x) * function("**")(x, y)),
}


def _of(name: str, x: Any) -> Any:
    return function(name)(x)


def _one(name: str, arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if len(arguments) == 1 else function(name)(*arguments)


def derivative(expression: sympy.Expr, by: sympy.Symbol) -> sympy.Expr:
    """Return the derivative of an expression by a variable; at a kink, a one-sided derivative."""
    if by not in expression.free_symbols:
        return sympy.Integer(0)
    if expression == by:
        return sympy.Integer(1)
    arguments = expression.args
    name = expression.func.__name__ if isinstance(expression, AppliedUndef) else ""
    if name in _BRANCHES:
        return derivative(_BRANCHES[name](*arguments), by)
    if name == "where":
        return _where(arguments[0], derivative(arguments[1], by), derivative(arguments[2], by))
    slopes = _SLOPES[name](*arguments) if name else _slopes(expression)
    # an argument that does not depend on the variable contributes 0, for any slope
    terms = [
        slope * derivative(argument, by) for argument, slope in zip(arguments, slopes, strict=True)
    ]
    return sympy.Add(*terms)


def _slopes(expression: sympy.Expr) -> tuple[sympy.Expr, ...]:
    """Return the derivatives of a sum, a product or an integer power by its arguments."""
    arguments = expression.args
    if expression.is_Add:
        return (sympy.Integer(1),) * len(arguments)
    if expression.is_Pow:
        base, exponent = arguments
        return exponent * base ** (exponent - 1), sympy.Integer(0)
    return tuple(
        sympy.Mul(*arguments[:index], *arguments[index + 1 :]) for index in range(len(arguments))
    )
