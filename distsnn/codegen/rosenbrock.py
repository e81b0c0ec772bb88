"""Rosenbrock's method: code that solves its linear system."""

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
    """Return the states after a substep, by the method of one stage and order 2.

    For each state that may diverge, also return the local variable of its own growth in a substep,
    and its slope: if the growth exceeds 1, the state is infinite after 1/growth substeps.

    The method is also called the linearly implicit midpoint rule. With the length h of a substep,
    the slopes f and their Jacobian J::

        (1 - h/2 J) change = h f

    A state that is not linear in itself may diverge, as e^v does within 1/J. Its own entry of h J
    is limited to 1; if the entry exceeds 1 and the state grows, the state becomes infinite, and the
    other states use its old value.

    Parameters
    ----------
    analysis : Analysis
        The equations.
    write : Writer
        Contains the means of exactly integrated states over the substep, and others at its start.
    held : mapping of Symbol to str
        Clamped states, with the local variable of the condition.

    Notes
    -----
    Source: Rosenbrock (1963), Comput J 5:329; Hairer & Wanner (1996), Solving Ordinary Differential
    Equations II, IV.7.
    """
    slopes = {name: analysis.derivatives[name] for name in analysis.not_exact}
    # in the order of the text, on which the names of variables depend
    explosive = [name for name in slopes if linear(slopes[name], [name]) is None]
    slopes |= {name: _affine_first(slopes[name], name, slopes, write) for name in explosive}
    # diverging states last: the pivots of the others are mostly constant
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
            stills = rests  # the row of the last pivot changes no other row
        elif rests:
            still = write.reduced(function("or")(*rests))
            change[name] = write.reduced(_where(still, 0, rise))
            row = {
                other: value if value == 0 or other == name else _where(still, 0, value)
                for other, value in row.items()
            }
        row[name] = 1 + row[name]
        # the last row is changed as a whole, so that its constants are combined
        is_last = name == order[-1]
        matrix[name] = row if is_last else {other: write.reduced(row[other]) for other in order}
    _solve(matrix, change, write, stills)
    texts = {}
    for name in order:
        texts[name] = write(name + change[name])
        if name in explodes:
            infinite = write.constants.add("np.inf")
            texts[name] = f"{infinite} if {write(explodes[name])} else {texts[name]}"
    return texts, growths


def _affine_first(
    slope: sympy.Expr, name: sympy.Symbol, states: Collection[sympy.Symbol], write: Writer
) -> sympy.Expr:
    """Return a slope in which terms that are affine in its own state are computed once.

    In ``factor (a x + b + ...)``, a is also a part of the derivative, and a and b are valid for any
    x, for example after a reset.
    """
    factor, total = slope.as_independent(*filter(write.varies, slope.free_symbols), as_Add=False)
    affine: list[tuple[sympy.Expr, sympy.Expr]] = []
    others = []
    for term in sympy.Add.make_args(total):
        growth = derivative(term, name)
        if name in growth.free_symbols or term.free_symbols & ({*states} - {name}):
            others.append(term)
        else:
            affine.append((growth, term.xreplace({name: sympy.Integer(0)})))
    a, b = (write.reduced(sympy.Add(*terms)) for terms in zip((0, 0), *affine, strict=True))
    return factor * sympy.Add(a * name, b, *others)


def _solve(
    matrix: dict[sympy.Symbol, dict[sympy.Symbol, sympy.Expr]],
    change: dict[sympy.Symbol, sympy.Expr],
    write: Writer,
    stills: list[sympy.Expr],
) -> None:
    """Replace the right-hand side by the solution, by elimination in the given order.

    The last state does not change if one of `stills` is true.
    """
    order = list(matrix)
    for index, pivot in enumerate(order):
        for name in order[index + 1 :]:
            row = matrix[name]
            factor = write.reduced(row[pivot] / matrix[pivot][pivot])
            for other in order[index + 1 :]:
                row[other] = write.reduced(row[other] - factor * matrix[pivot][other])
            change[name] = write.reduced(change[name] - factor * change[pivot])
    for index in reversed(range(len(order))):
        name = order[index]
        solved = sympy.Add(*(matrix[name][other] * change[other] for other in order[index + 1 :]))
        change[name] = write.reduced((change[name] - solved) / matrix[name][name])
        if name == order[-1] and stills:
            still = function("or")(*stills) if len(stills) > 1 else stills[0]
            change[name] = write.reduced(_where(still, 0, change[name]))
