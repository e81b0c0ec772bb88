"""Derivatives of what equations may hold, against differences."""

import numpy as np
import pytest
import sympy

from distsnn.codegen.derivatives import derivative
from distsnn.codegen.expressions import Constants
from distsnn.kernels import functions
from distsnn.kernels.equations import elementary
from distsnn.network.equations.analysis import function, symbol
from distsnn.network.equations.syntax import ELEMENTARY, ROUNDING

X, Y = symbol("x"), symbol("y")
EXPRESSIONS = {
    "a sum": X - 2 * Y + 3,
    "a product": X * Y * (X + Y),
    "a quotient": (X + 1) / (Y**2 + X),
    "a whole power": (X + Y) ** 3,
    "a power": function("**")(X + 2, sympy.Rational(3, 2) * Y),
    **{name: function(name)(X + Y) for name in ("exp", "log", "sqrt", "exprel", "erf")},
    **{name: function(name)((X + Y) / 2) for name in (*ELEMENTARY, *ROUNDING)},
    "exprel near 0": function("exprel")(X / 100),
    "abs": function("abs")(X - Y) + function("abs")(Y - X),
    "min": function("min")(X, 5 * Y, 9) + function("min")(Y, X),
    "max": function("max")(Y, X * Y, -X) + function("max")(3 * X, Y),
    "clip": function("clip")(X, -9, 9) + function("clip")(X, 9 * Y, 9) + function("clip")(Y, 0, X),
    "where": function("where")(function("<")(X, Y), function("log")(X - 2), X * Y),
}


def _value(expression: sympy.Expr, x: float, y: float) -> float:
    names = {**vars(functions), **vars(elementary), "np": np, "p": {"x": x, "y": y}}
    return float(eval(Constants().text(sympy.sympify(expression)), names))


@pytest.mark.parametrize("name", EXPRESSIONS)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_derivatives_equal_difference_quotients(name: str) -> None:
    expression, h = EXPRESSIONS[name], 1e-5
    for x, y in ((1.3, 0.4), (0.9, 0.2)):
        by_x = (_value(expression, x + h, y) - _value(expression, x - h, y)) / (2 * h)
        by_y = (_value(expression, x, y + h) - _value(expression, x, y - h)) / (2 * h)
        found = [_value(derivative(expression, one), x, y) for one in (X, Y)]
        np.testing.assert_allclose(found, [by_x, by_y], rtol=1e-6, atol=1e-8)
