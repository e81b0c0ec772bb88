"""Finds the linear equations, and so the scheme that integrates them, with sympy.

Expressions become sympy's: sums and products in its canonical order, numbers as fractions. All
functions, comparisons and powers other than small whole ones stand for themselves, so that nothing
is rewritten that depends on what they mean. Values are in ms, mV, pA and what these make; a state
variable that starts at a parameter's value is the difference from it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy
from sympy.solvers.solveset import NonlinearError

from distsnn.errors import unknown_name_error
from distsnn.network.equations.dimensions import UNITS, Unit
from distsnn.network.equations.dynamics import STIMULI, TIME, Dynamics
from distsnn.network.equations.receptors import WEIGHT, ReceptorInput
from distsnn.network.equations.source import EquationError, Span
from distsnn.network.equations.syntax import (
    PREVIOUS,
    RANDOM,
    NameNode,
    Node,
    NumberNode,
    Operation,
    input_name,
    names_in,
)

METHODS = ("auto", "exact", "rosenbrock", "strang", "exponential_euler", "euler", "rk2", "rk4")
# These do not leave linear equations to be integrated exactly.
_FOR_ALL = METHODS[4:]

# Products of the whole powers along any path of an expression: sympy multiplies them out.
_HIGHEST_POWER = 64
# Higher ones are taken by exp and log.
_LARGEST_POWER = 16
# Of exact steps: 40 equations, each of which depends on all. Compiling 900 coefficients takes 20 s
# and 0.5 GB; 22,500 take more than 6 GB.
_MOST_COEFFICIENTS = 1600


def symbol(name: str) -> sympy.Symbol:
    """Return the symbol of a variable."""
    return sympy.Symbol(name, real=True)


def function(name: str) -> Any:
    """Return the function that stands for one of `syntax`, of which sympy knows nothing."""
    return sympy.Function(name)


@dataclass(frozen=True)
class Linear:
    """A right-hand side as ``sum of factors[x] x + rest``."""

    factors: Mapping[sympy.Symbol, sympy.Expr]
    remainder: sympy.Expr


def linear(expression: sympy.Expr, symbols: Iterable[sympy.Symbol]) -> Linear | None:
    """Return an expression's linear form in some symbols, or None where it has none."""
    names = list(symbols)
    try:
        matrix, negative = sympy.linear_eq_to_matrix([expression], names)
    except NonlinearError:
        return None
    factors = {name: factor for name, factor in zip(names, matrix, strict=True) if factor != 0}
    return Linear(factors, -negative[0])


Assignments = tuple[tuple[sympy.Symbol, sympy.Expr], ...]


@dataclass(frozen=True)
class Analysis:
    """A model's equations as sympy's expressions, and how they are integrated.

    Attributes
    ----------
    derivatives : dict of Symbol to sympy.Expr
        Right-hand sides, sub-expressions put in, per ms and in the state's own unit.
    exact : dict of Symbol to Linear
        Equations that are linear with constant coefficients among themselves, and are integrated
        exactly.
    method : str
        Scheme of the others.
    growth : dict of Symbol to Linear
        For exponential Euler: an equation's form in its own variable.
    relaxing : set of Symbol
        States of `growth` that always relax.
    early, late : tuple of Symbol
        States of `exact` that advance before all others, with input, and after all others.
    slow : set of Symbol
        States of `exact` that decay by less than 1/64 in 0.1 ms, with parameters' defaults.
    threshold : sympy.Expr or None
        Condition of a spike.
    spike_count : sympy.Expr or None
        Number of spikes where the condition holds; None: 1.
    reset : tuple of (Symbol, sympy.Expr)
        What becomes what at a spike, each with the states as those before it left them.
    events : tuple of (sympy.Expr or None, tuple of (Symbol, sympy.Expr))
        Conditions beside the threshold, None for always, with what becomes what, as of `reset`.
    after : dict of str to tuple of (Symbol, sympy.Expr)
        What becomes what at the ends of periods of the refractory time, as of `reset`.
    inputs : dict of str to tuple of (Symbol, sympy.Expr)
        State variables that each receptor's input changes, with the factor of its weight.
    noise : tuple of Symbol
        White noise in the equations.
    draws : dict of Symbol to str
        Random numbers in the threshold, resets and events, with what fills each in: "uniform",
        "normal", or "bits" for counts, which functions make of them.
    previous : dict of Symbol to Symbol
        Values of state variables at the start of the step, with the state variables.
    during : tuple of str
        Receptors whose input is used beside what it is added to.
    slopes, named : dict of Symbol to sympy.Expr
        For Euler's method: the derivatives of the equations that are not integrated exactly, in
        which sub-expressions that change keep their names, and these sub-expressions.
    """

    derivatives: dict[sympy.Symbol, sympy.Expr]
    exact: dict[sympy.Symbol, Linear]
    method: str
    growth: dict[sympy.Symbol, Linear]
    relaxing: set[sympy.Symbol]
    early: tuple[sympy.Symbol, ...]
    late: tuple[sympy.Symbol, ...]
    slow: set[sympy.Symbol]
    threshold: sympy.Expr | None
    spike_count: sympy.Expr | None
    reset: Assignments
    events: tuple[tuple[sympy.Expr | None, Assignments], ...]
    after: dict[str, Assignments]
    inputs: dict[str, Assignments]
    noise: tuple[sympy.Symbol, ...]
    draws: dict[sympy.Symbol, str]
    previous: dict[sympy.Symbol, sympy.Symbol]
    during: tuple[str, ...]
    slopes: dict[sympy.Symbol, sympy.Expr]
    named: dict[sympy.Symbol, sympy.Expr]

    @cached_property
    def not_exact(self) -> list[sympy.Symbol]:
        """State variables that are not integrated exactly."""
        return [name for name in self.derivatives if name not in self.exact]

    @property
    def scheme(self) -> str:
        """Integration methods, such as ``"exact: g_ex, g_in; exponential_euler: V_m"``."""
        parts = {"exact": list(self.exact), self.method: self.not_exact}
        return "; ".join(
            f"{method}: {', '.join(name.name for name in names)}"
            for method, names in parts.items()
            if names
        )


def analyse(
    dynamics: Dynamics,
    relative: Mapping[str, str],
    method: str,
    defaults: Mapping[str, float],
    relaxing: Collection[str],
    *,
    early: Collection[str] = (),
    late: Collection[str] = (),
) -> Analysis:
    """Return how a model's equations are integrated.

    Parameters
    ----------
    dynamics : Dynamics
        The equations.
    relative : mapping of str to str
        State variables that are kept as the difference from a parameter.
    method : str
        One of `METHODS`.
    defaults : mapping of str to float
        Defaults of parameters, in their units, but for those that are drawn.
    relaxing : collection of str
        State variables that always relax.
    early, late : collection of str
        State variables that advance first and last in a step.

    Raises
    ------
    DescriptionError
        If the method is unknown, or cannot integrate one of the equations, or a variable that
        advances first or last depends on others.
    """
    if method not in METHODS:
        raise unknown_name_error("method", method, METHODS, where="method")
    translate = _Translator(dynamics, relative)
    derivatives = {
        symbol(name): translate(state.value) / translate.scale(name)
        for name, state in dynamics.states.items()
    }
    noise = _noise(dynamics, derivatives, method)
    previous = {_previous(name): symbol(name) for name in dynamics.previous}
    constant = [symbol(STIMULI), *previous, *map(symbol, map(input_name, dynamics.during))]
    exact = {}
    if method not in _FOR_ALL:
        exact = _exact(derivatives, {*noise, symbol(TIME)}, constant)
    _check_coupling(exact, dynamics)
    others = [name for name in derivatives if name not in exact]
    if method == "exact" and others:
        raise _method_error(dynamics, others[0], "linear with constant coefficients")
    if noise:
        method = "euler"
    growth = {}
    if method in ("auto", "exponential_euler", "strang"):
        for name in others:
            form = linear(derivatives[name], [name])
            if form is not None:
                growth[name] = form
            elif method != "auto":
                raise _method_error(dynamics, name, f"linear in {name.name}")
    if method == "strang":
        for name in others[1:]:
            if derivatives[name].free_symbols & ({*others[1:]} - {name}):
                condition = f"a function of {name.name}, {others[0].name} and exact states alone"
                raise _method_error(dynamics, name, condition)
    if method == "auto":
        method = "exponential_euler" if len(growth) == len(others) else "rk4"
    reset = translate.assignments(dynamics.reset)
    threshold = None if dynamics.threshold is None else translate(dynamics.threshold)
    count = None if dynamics.spike_count is None else translate(dynamics.spike_count)
    events = tuple(
        (
            None if event.condition is None else translate(event.condition),
            translate.assignments(event.statements),
        )
        for event in dynamics.events
    )
    inputs = {
        name: tuple(
            (symbol(state), _weight_factor(translate, receptor, state, node))
            for state, node in receptor.additions
        )
        for name, receptor in dynamics.receptors.items()
    }
    for name in relaxing:
        if symbol(name) not in derivatives:
            raise unknown_name_error("state variable", name, dynamics.states, where="relaxing")
    _check_order(dynamics, exact, early, late)
    values = {symbol(name): value for name, value in defaults.items()}
    slow = {
        name
        for name, form in exact.items()
        if not _is_fast(form.factors.get(name, sympy.Integer(0)).subs(values))
    }
    return Analysis(
        derivatives,
        exact,
        method,
        growth,
        {state for state in map(symbol, relaxing) if state in growth and growth[state].factors},
        tuple(map(symbol, early)),
        tuple(map(symbol, late)),
        slow,
        threshold,
        count,
        reset,
        events,
        {name: translate.assignments(statements) for name, statements in dynamics.after.items()},
        inputs,
        noise,
        translate.draws,
        previous,
        dynamics.during,
        {state: translate.slope(state.name) for state in others} if method == "euler" else {},
        translate.named,
    )


def _previous(name: str) -> sympy.Symbol:
    """Return the symbol of a state variable's value at the start of the step."""
    return symbol(f"{PREVIOUS}({name})")  # no user's name has parentheses


def _is_fast(factor: sympy.Expr) -> bool:
    """Return whether what changes by a factor, per ms, decays by 1/64 or more in 0.1 ms."""
    return bool(factor.is_number and factor.is_real and factor < 0 and -factor * 0.1 >= 1 / 64)


def _weight_factor(
    translate: "_Translator", receptor: ReceptorInput, state: str, node: Node
) -> sympy.Expr:
    """Return the constant factor by which a weight is added to a state variable."""
    form = linear(translate.addition(receptor, state, node), [translate.weight])
    if form is None or form.remainder != 0 or not form.factors:
        raise EquationError(
            f"input is not proportional to {WEIGHT}", node.span, allowed=f"such as {WEIGHT}/tau"
        )
    factor = form.factors[translate.weight]
    changing = factor.free_symbols & translate.changing
    if changing:
        names = ", ".join(sorted(state_name.name for state_name in changing))
        raise EquationError(
            f"the factor of {WEIGHT} changes with {names}", node.span, allowed="parameters"
        )
    return factor


def _noise(
    dynamics: Dynamics, derivatives: Mapping[sympy.Symbol, sympy.Expr], method: str
) -> tuple[sympy.Symbol, ...]:
    """Return the white noise in the equations, which Euler's method alone integrates."""
    used = set().union(*(expression.free_symbols for expression in derivatives.values()))
    noise = tuple(name for name in map(symbol, dynamics.noise) if name in used)
    for name, expression in derivatives.items():
        if not expression.free_symbols & set(noise):
            continue
        if linear(expression, noise) is None:
            raise _method_error(dynamics, name, "linear in its noise")
        if method not in ("auto", "euler"):
            raise EquationError(
                f"{name.name} has white noise, which the method {method!r} cannot integrate",
                dynamics.states[name.name].value.span,
                allowed="'euler' (Euler-Maruyama) or 'auto'",
            )
    return noise


def _method_error(dynamics: Dynamics, name: sympy.Symbol, condition: str) -> EquationError:
    span = dynamics.states[name.name].value.span
    return EquationError(
        f"the equation of {name.name} is not {condition}",
        span,
        hint="set the method 'auto' or 'rk4'",
    )


def _exact(
    derivatives: Mapping[sympy.Symbol, sympy.Expr],
    changing: set[sympy.Symbol],
    fixed: list[sympy.Symbol],
) -> dict[sympy.Symbol, Linear]:
    """Return the largest set of equations that are linear and need no others.

    Symbols in `fixed` are constant within a step; those in `changing` are neither that, nor states,
    nor parameters.
    """
    forms = {}
    for name, expression in derivatives.items():
        if expression.free_symbols & changing:
            continue
        form = linear(expression, [*derivatives, *fixed])
        if form is not None:
            forms[name] = form
    while True:
        closed = {
            name: form
            for name, form in forms.items()
            if all(other in forms or other in fixed for other in form.factors)
        }
        if len(closed) == len(forms):
            return forms
        forms = closed


def _check_coupling(exact: Mapping[sympy.Symbol, Linear], dynamics: Dynamics) -> None:
    """Check the number of coefficients of exact steps: one for each pair of dependent states."""
    total = 0
    for name in exact:
        coupled, pending = set(), [name]
        while pending:
            state = pending.pop()
            if state in exact and state not in coupled:
                coupled.add(state)
                pending += exact[state].factors
        total += len(coupled)
        if total > _MOST_COEFFICIENTS:
            raise EquationError(
                f"{len(exact)} equations that are integrated exactly depend on each other with "
                f"more than {_MOST_COEFFICIENTS:,} coefficients",
                dynamics.states[name.name].value.span,
                allowed=f"at most {_MOST_COEFFICIENTS:,} coefficients",
                hint="set the method 'rk4'",
            )


def _check_order(
    dynamics: Dynamics,
    exact: Mapping[sympy.Symbol, Linear],
    early: Collection[str],
    late: Collection[str],
) -> None:
    """Check that what advances first or last in a step can do so without the other variables."""
    for where, names in (("early", early), ("late", late)):
        for name in names:
            if name not in dynamics.states:
                raise unknown_name_error("state variable", name, dynamics.states, where=where)
            span = dynamics.states[name].value.span
            form = exact.get(symbol(name))
            if form is None:
                raise EquationError(
                    f"{name} is {where}, but its equation is not integrated exactly",
                    span,
                    allowed="linear equations with constant coefficients",
                )
            others = sorted(
                driver.name for driver in form.factors if driver.name in dynamics.states
            )
            for other in (driver for driver in others if driver not in names):
                raise EquationError(
                    f"{name} is {where}, but depends on {other}, which is not",
                    span,
                    allowed=f"equations of {', '.join(names)} alone",
                )
    for name in early:
        if name in late:
            raise EquationError(f"{name} is early and late", dynamics.states[name].name.span)


class _Translator:
    """Turns nodes into sympy's expressions."""

    def __init__(self, dynamics: Dynamics, relative: Mapping[str, str]) -> None:
        self._dynamics, self._relative = dynamics, relative
        self._drawn: dict[Span, sympy.Symbol] = {}
        self.draws: dict[sympy.Symbol, str] = {}
        self.named: dict[sympy.Symbol, sympy.Expr] = {}
        self._keeps_names = False
        self._local: set[str] = set()
        self.weight = symbol(f"a {WEIGHT}")  # no user's name has a blank
        self._receptor: ReceptorInput | None = None

    @property
    def changing(self) -> set[sympy.Symbol]:
        """Symbols that vary in time."""
        names = (*self._dynamics.states, *self._dynamics.noise, STIMULI, TIME)
        names += tuple(map(input_name, self._dynamics.during))
        return {*map(symbol, names), *map(_previous, self._dynamics.previous), *self.draws}

    def __call__(self, node: Node) -> sympy.Expr:
        return self._expression(node, _HIGHEST_POWER)

    def slope(self, name: str) -> sympy.Expr:
        """Return a state variable's derivative; sub-expressions that change keep their names."""
        self._keeps_names = True
        slope = self(self._dynamics.states[name].value) / self.scale(name)
        self._keeps_names = False
        return slope

    def addition(self, receptor: ReceptorInput, state: str, node: Node) -> sympy.Expr:
        """Return what input adds to a state variable, an expression of `weight`."""
        self._receptor = receptor
        added = self(node) / self.scale(state)
        self._receptor = None
        return added

    def assignments(self, statements: list[tuple[str, Node]]) -> Assignments:
        """Return what becomes what, each as those before it left the states.

        Local variables are replaced by their values.
        """
        changed: dict[sympy.Symbol, sympy.Expr] = {}
        assignments = []
        for name, value in statements:
            new = self(value).xreplace(changed)
            if name in self._dynamics.states:
                new = new / self.scale(name) - self.offset(name)
                assignments.append((symbol(name), new))
            else:
                self._local.add(name)
            changed[symbol(name)] = new
        self._local.clear()
        return tuple(assignments)

    def scale(self, name: str) -> sympy.Expr:
        """Return what one of a variable's unit is in ours."""
        return _one(self._dynamics.units[name])

    def offset(self, name: str) -> sympy.Expr:
        """Return the parameter that a state variable is kept relative to, or 0."""
        return symbol(self._relative[name]) if name in self._relative else sympy.Integer(0)

    def _expression(self, node: Node, power: int) -> sympy.Expr:
        match node:
            case NumberNode(value=value):
                return _rational(value)
            case NameNode(name=name):
                if name == WEIGHT and self._receptor is not None:
                    return _one(self._receptor.unit) * self.weight
                if name in self._local:
                    return symbol(name)
                if name in self._dynamics.derived:
                    result = self._expression(self._dynamics.derived[name].value, power)
                    changing = self.changing | self.named.keys()
                    # what stands for another variable needs no name of its own
                    keeps_name = self._keeps_names and not result.is_Symbol
                    if keeps_name and result.free_symbols & changing:
                        self.named[symbol(name)] = result
                        return symbol(name)
                    return result
                if name in self._dynamics.units:
                    return self.scale(name) * (symbol(name) + self.offset(name))
                return _one(UNITS[name])
        if node.function in RANDOM:
            values = (self._expression(argument, power) for argument in node.arguments)
            drawn = self._draw(node)
            return function(node.function)(drawn, *values) if node.arguments else drawn
        if node.function == PREVIOUS:
            (name,) = names_in(node)
            return self.scale(name) * (_previous(name) + self.offset(name))
        if node.function == "**" and isinstance(node.arguments[1], NumberNode):
            result = self._power(node, node.arguments[1].value, power)
            if result is not None:
                return result
        arguments = [self._expression(argument, power) for argument in node.arguments]
        match node.function:
            case "+":
                return sympy.Add(*arguments)
            case "-":
                return arguments[0] - arguments[1]
            case "*":
                return sympy.Mul(*arguments)
            case "/":
                self._check_divisor(arguments[1], node)
                return arguments[0] / arguments[1]
            case "neg":
                return -arguments[0]
        return function(node.function)(*arguments)

    def _draw(self, node: Operation) -> sympy.Symbol:
        """Return the symbol of a random number, or of the bits that make one with arguments.

        There is one for each place in the texts.
        """
        if node.span not in self._drawn:
            # no user's name has a blank
            drawn = symbol(f"draw {len(self._drawn)}")
            self._drawn[node.span] = drawn
            self.draws[drawn] = "bits" if node.arguments else node.function
        return self._drawn[node.span]

    def _power(self, node: Operation, exponent: float, power: int) -> sympy.Expr | None:
        """Return a small whole power or a square root; None for any other power."""
        if exponent == 0.5:
            return function("sqrt")(self._expression(node.arguments[0], power))
        if exponent % 1.0 or exponent < -_LARGEST_POWER:
            return None
        if exponent > _LARGEST_POWER:
            # by exp and log, which know no negative base
            base = self._expression(node.arguments[0], power)
            odd = exponent % 2.0
            size = function("**")(function("abs")(base), _rational(exponent - odd))
            return base * size if odd else size
        left = power // max(1, int(abs(exponent)))
        if not left:
            raise EquationError("powers of powers are too high", node.span)
        base = self._expression(node.arguments[0], left)
        if exponent < 0:
            self._check_divisor(base, node)
        return base ** int(exponent)

    def _check_divisor(self, divisor: sympy.Expr, node: Operation) -> None:
        if divisor == 0:
            raise EquationError("divides by zero", node.span)


def _rational(value: float) -> sympy.Expr:
    # as it is written: 0.04 is 1/25
    fraction = Fraction(repr(value))
    return sympy.Rational(fraction.numerator, fraction.denominator)


def _one(unit: Unit) -> sympy.Expr:
    """Return what one of a unit is in ours."""
    return sympy.Integer(10) ** unit.whole_tens
