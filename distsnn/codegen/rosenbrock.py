"""Rosenbrock's method for equations: a linear system, solved by lines of code."""

from collections.abc import Collection, Mapping

import sympy

from distsnn.codegen.derivatives import derivative
from distsnn.codegen.expressions import STEP, Writer
from distsnn.network.equations.analysis import Analysis, function, linear

_HALF = sympy.Rational(1, 2)
_where, _more = function("where"), function(">")


def rosenbrock(
    analysis: Analysis, write: Writer, held: Mapping[sympy.Symbol, str]
) -> tuple[dict[sympy.Symbol, str], dict[sympy.Symbol, tuple[str, sympy.Expr]]]:
    """Return the states after a part of a step, by the method of one stage and order 2.

    For each state that may explode, also return the local variable that holds its own growth in a
    part, and its slope: where the growth exceeds 1, the state is infinite after 1/growth parts.

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
    held : mapping of Symbol to str
        States that rest, with the local variable that says when.

    Notes
    -----
    Source: Rosenbrock (1963), Comput J 5:329; Hairer & Wanner (1996), Solving Ordinary Differential
    Equations II, IV.7.
    """
    slopes = {name: analysis.derivatives[name] for name in analysis.others}
    # in the order of the text, on which the names of what is computed depend
    explosive = [name for name in slopes if linear(slopes[name], [name]) is None]
    slopes |= {name: _affine_first(slopes[name], name, slopes, write) for name in explosive}
    # those last: the pivots of the others are mostly constant
    order = sorted(slopes, key=explosive.__contains__)
    matrix: dict[sympy.Symbol, dict[sympy.Symbol, sympy.Expr]] = {}
    change: dict[sympy.Symbol, sympy.Expr] = {}
    explodes: dict[sympy.Symbol, sympy.Expr] = {}
    growths: dict[sympy.Symbol, tuple[str, sympy.Expr]] = {}
    stills: list[sympy.Expr] = []
    for name in order:
        growth = {other: write.reduced(STEP * derivative(slopes[name], other)) for other in order}
        rise = write.reduced(STEP * slopes[name])
        rests = [write.named(held[name])] if name in held else []
        if name in explosive:
            grows = function("and")(_more(growth[name], 1), _more(rise, 0))
            if rests:
                grows = function("and")(grows, function("not")(*rests))
            explodes[name] = write.reduced(grows)
            growths[name] = write(growth[name]), slopes[name]
            growth[name] = write.reduced(function("min")(growth[name], 1))
            rests.append(explodes[name])
        row = {other: -_HALF * value for other, value in growth.items()}
        change[name] = rise
        if rests and name == order[-1]:
            stills = rests  # no other row is changed by that of the last pivot
        elif rests:
            still = write.reduced(function("or")(*rests))
            change[name] = write.reduced(_where(still, 0, rise))
            row = {
                other: value if value == 0 or other == name else _where(still, 0, value)
                for other, value in row.items()
            }
        row[name] = 1 + row[name]
        # that of the last row is changed at once: its constants become one
        is_last = name == order[-1]
        matrix[name] = row if is_last else {other: write.reduced(row[other]) for other in order}
    _solve(matrix, change, write, stills)
    found = {}
    for name in order:
        found[name] = write(name + change[name])
        if name in explodes:
            infinite = write.constants.add("np.inf")
            found[name] = f"{infinite} if {write(explodes[name])} else {found[name]}"
    return found, growths


def _affine_first(
    slope: sympy.Expr, name: sympy.Symbol, states: Collection[sympy.Symbol], write: Writer
) -> sympy.Expr:
    """Return a slope in which what is affine in its own state is computed once.

    Of ``factor (a x + b + ...)`` a is part of the slope's derivative too, and both a and b serve
    any x, such as that after a reset.
    """
    factor, total = slope.as_independent(*filter(write.varies, slope.free_symbols), as_Add=False)
    affine: list[tuple[sympy.Expr, sympy.Expr]] = []
    rest = []
    for term in sympy.Add.make_args(total):
        growth = derivative(term, name)
        if name in growth.free_symbols or term.free_symbols & ({*states} - {name}):
            rest.append(term)
        else:
            affine.append((growth, term.xreplace({name: sympy.Integer(0)})))
    a, b = (write.reduced(sympy.Add(*terms)) for terms in zip((0, 0), *affine, strict=True))
    return factor * sympy.Add(a * name, b, *rest)


def _solve(
    matrix: dict[sympy.Symbol, dict[sympy.Symbol, sympy.Expr]],
    change: dict[sympy.Symbol, sympy.Expr],
    write: Writer,
    stills: list[sympy.Expr],
) -> None:
    """Put the solution in the place of the right-hand side, by elimination in the given order.

    The last one does not change where one of `stills` is true.
    """
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
        if name == order[-1] and stills:
            still = function("or")(*stills) if len(stills) > 1 else stills[0]
            change[name] = write.reduced(_where(still, 0, change[name]))
