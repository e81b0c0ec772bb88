"""Rosenbrock's method for equations: a linear system, solved by lines of code."""

from collections.abc import Collection

import sympy

from distsnn.codegen.derivatives import derivative
from distsnn.codegen.expressions import STEP, Writer
from distsnn.network.equations.analysis import Analysis, function, linear

_HALF = sympy.Rational(1, 2)
_where, _more = function("where"), function(">")


def rosenbrock(
    analysis: Analysis, write: Writer, held: Collection[sympy.Symbol]
) -> dict[sympy.Symbol, str]:
    """Return the states after a part of a step, by the method of one stage and order 2.

    It is also called the linearly implicit midpoint rule. With the part's length h, the slopes f
    and their Jacobian J::

        (1 - h/2 J) change = h f

    What is not linear in itself may explode, as e^v does within 1/J. So where h times its own entry
    of J exceeds 1 that is limited to 1, and if it grows there, it becomes infinite, with the others
    seeing it rest.

    Parameters
    ----------
    analysis : Analysis
        The equations.
    write : Writer
        Has the means over the part of exactly integrated states, and all others at its start.
    held : collection of Symbol
        States that rest where the local variable ``held`` is true.

    Notes
    -----
    Source: Rosenbrock (1963), Comput J 5:329; Hairer & Wanner (1996), Solving Ordinary Differential
    Equations II, IV.7.
    """
    slopes = {name: analysis.derivatives[name] for name in analysis.others}
    explosive = {name for name in slopes if linear(slopes[name], [name]) is None}
    # those last: the pivots of the others are mostly constant
    order = sorted(slopes, key=explosive.__contains__)
    matrix: dict[sympy.Symbol, dict[sympy.Symbol, sympy.Expr]] = {}
    change: dict[sympy.Symbol, sympy.Expr] = {}
    explodes: dict[sympy.Symbol, sympy.Expr] = {}
    for name in order:
        growth = {other: write.reduced(STEP * derivative(slopes[name], other)) for other in order}
        rise = write.reduced(STEP * slopes[name])
        rests = [write.named("held")] if name in held else []
        if name in explosive:
            grows = function("and")(_more(growth[name], 1), _more(rise, 0))
            explodes[name] = write.reduced(grows)
            growth[name] = write.reduced(function("min")(growth[name], 1))
            rests.append(explodes[name])
        row = {other: -_HALF * value for other, value in growth.items()}
        change[name] = rise
        if rests:
            still = write.reduced(function("or")(*rests))
            change[name] = write.reduced(_where(still, 0, rise))
            row = {
                other: value if value == 0 or other == name else _where(still, 0, value)
                for other, value in row.items()
            }
        row[name] = 1 + row[name]
        matrix[name] = {other: write.reduced(value) for other, value in row.items()}
    _solve(matrix, change, write)
    found = {}
    for name in order:
        found[name] = write(name + change[name])
        if name in explodes:
            infinite = write.constants.add("np.inf")
            found[name] = f"({infinite} if {write(explodes[name])} else {found[name]})"
    return found


def _solve(
    matrix: dict[sympy.Symbol, dict[sympy.Symbol, sympy.Expr]],
    change: dict[sympy.Symbol, sympy.Expr],
    write: Writer,
) -> None:
    """Put the solution in the place of the right-hand side, by elimination in the given order."""
    order = list(matrix)
    for at, pivot in enumerate(order):
        for name in order[at + 1 :]:
            row = matrix[name]
            factor = write.reduced(row[pivot] / matrix[pivot][pivot])
            for other in order[at + 1 :]:
                row[other] = write.reduced(row[other] - factor * matrix[pivot][other])
            change[name] = write.reduced(change[name] - factor * change[pivot])
    for at in reversed(range(len(order))):
        name = order[at]
        known = sympy.Add(*(matrix[name][other] * change[other] for other in order[at + 1 :]))
        change[name] = write.reduced((change[name] - known) / matrix[name][name])
