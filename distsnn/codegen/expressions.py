"""Code from sympy expressions: float64 for constants, any precision for other expressions."""

from collections.abc import Iterable, Mapping
from functools import reduce
from types import MappingProxyType

import sympy
from sympy.core.function import AppliedUndef

from distsnn.errors import DescriptionError
from distsnn.network.equations.analysis import symbol
from distsnn.network.equations.dynamics import STEP_LENGTH
from distsnn.network.equations.syntax import COMPARISONS, ELEMENTARY, ROUNDING

# The length of a step or substep; names of users contain no blank.
STEP = sympy.Symbol("part of a step", real=True)

# Code of functions in kernels, and of functions of at least two arguments.
CALLS = {
    "abs": "abs({})",
    "sqrt": "np.sqrt({})",
    "exp": "exp({})",
    "exprel": "exprel({})",
    "log": "checked_log({})",
    "erf": "erf({})",
    **{name: f"{name}({{}})" for name in ELEMENTARY},
    **{name: f"np.{name}({{}})" for name in ROUNDING},
    # in the precision of their last arguments
    "binomial": "binomial_in({2}, {0}, {1}, {2})",
    "poisson": "poisson_in({1}, {0}, {1})",
    "**": "power({}, {})",
    "clip": "min(max({}, {}), {})",
    "not": "(not {})",
    "where": "({1} if {0} else {2})",
} | {sign: f"({{}} {sign} {{}})" for sign in COMPARISONS}
FOLDED = {
    "min": "min({}, {})",
    "max": "max({}, {})",
    "and": "({} & {})",
    "or": "({} | {})",
}
# The same for constants, which may be arrays.
ARRAY_CALLS = CALLS | {
    "abs": "np.abs({})",
    "exp": "exp_array({})",
    "exprel": "exprel_array({})",
    "log": "checked_log_array({})",
    "erf": "erf_array({})",
    **{name: f"{name}_array({{}})" for name in ELEMENTARY},
    "lower_gamma": "lower_gamma({}, {})",
    "**": "np.where({1} == 0.0, 1.0, exp_array({1} * checked_log_array({0})))",
    "clip": "np.minimum(np.maximum({}, {}), {})",
    "not": "np.logical_not({})",
    "where": "np.where({}, {}, {})",
}
# Functions of constants that become constants; the compiler handles all others.
_OF_CONSTANTS = ("exp", "abs", "min", "max", "where")
# Functions of constants whose code encloses each argument.
_ENCLOSING = (*_OF_CONSTANTS, "exprel", "erf", *ELEMENTARY, *ROUNDING)
# Functions of one argument, which is enclosed in parentheses.
_UNARY = ("exp", "exprel", "erf", "log", "sqrt", "abs", *ELEMENTARY, *ROUNDING)
ARRAY_FOLDED = FOLDED | {"min": "np.minimum({}, {})", "max": "np.maximum({}, {})"}


class Names:
    """Names of a module's constants, and of the local variables of its functions.

    Parameters
    ----------
    used : iterable of str
        Names in use.
    outer : Names, optional
        Names of the module, for the names of a function.
    """

    def __init__(self, used: Iterable[str], outer: "Names | None" = None) -> None:
        self._taken, self._outer = set(used), outer
        self._of_functions: set[str] = set()

    def of_function(self) -> "Names":
        """Return a name space for a function, disjoint from the module's constants."""
        return Names((), self)

    def new(self, name: str) -> str:
        """Return a name that is not used yet: the wanted one, or that with underscores."""
        outer = set() if self._outer is None else self._outer._taken
        while name in self._taken or name in self._of_functions or name in outer:
            name += "_"
        self._taken.add(name)
        if self._outer is not None:
            self._outer._of_functions.add(name)
        return name


class Constants:
    """Constants of a kernel, which are computed once, in float64.

    Parameters
    ----------
    names : Names, optional
        Names in use.
    kind : {"real", "double"}
        Type of the constants in kernels.

    Attributes
    ----------
    kinds : dict of str to str
        "real", "double" or "count" by name, in the order of kernel arguments.
    lines : list of str
        Code that computes them from the parameters ``p`` and the length ``h`` of a substep.
    """

    def __init__(self, names: Names | None = None, kind: str = "real") -> None:
        self.kinds: dict[str, str] = {}
        self.lines: list[str] = []
        self.names = Names(()) if names is None else names
        self._kind = kind
        self._named: dict[str, str] = {}

    def count(self, name: str, text: str) -> str:
        """Add an integer constant, and return its name."""
        self.kinds[name] = "count"
        self.lines.append(f"{name} = {text}")
        return name

    def add(self, text: str, name: str = "") -> str:
        """Return the name of the constant that a text computes, by default a numbered name."""
        if text not in self._named:
            name = self.names.new(name or f"k{len(self._named)}")
            self._named[text] = name
            self.kinds[name] = self._kind
            self.lines.append(f"{name} = {bare(text)}")
        return self._named[text]

    def of(self, expression: sympy.Expr) -> str:
        """Return the name of the constant for an expression of parameters."""
        # a parameter, or its difference from the reference value of a state
        terms = sympy.Add.make_args(expression)
        plain = [term.name for term in terms if term.is_Symbol]
        less = [term for term in terms if term.is_Mul and (-term).is_Symbol]
        is_named = len(plain) == 1 and len(plain) + len(less) == len(terms) <= 2
        is_named &= expression not in (STEP, symbol(STEP_LENGTH))
        return self.add(self.text(expression), f"c_{plain[0]}" if is_named else "")

    def matrix(self, text: str) -> str:
        """Return the local variable of the matrix that a text computes."""
        if text not in self._named:
            self._named[text] = self.names.new(f"m{len(self._named)}")
            self.lines.append(f"{self._named[text]} = {text}")
        return self._named[text]

    def text(self, expression: sympy.Expr) -> str:
        """Return the float64 code of an expression of parameters."""
        if expression == STEP:
            return "h"
        if expression == symbol(STEP_LENGTH):
            return "dt"
        if expression.is_Symbol:
            return f'p["{expression.name}"]'
        if expression.is_Rational:
            return _number(expression)
        if expression.is_Pow:
            base, exponent = self.text(expression.base), int(expression.exp)
            product = " * ".join([base] * abs(exponent))
            product = f"({product})" if abs(exponent) > 1 else product
            return product if exponent > 0 else f"(1.0 / {product})"
        if isinstance(expression, AppliedUndef):
            name = expression.func.__name__
            arguments = [self.text(argument) for argument in expression.args]
            arguments = [*map(bare, arguments)] if name in _ENCLOSING else arguments
            return called(name, arguments, ARRAY_CALLS, ARRAY_FOLDED)
        if expression.is_Add:
            terms = sorted(_ordered(expression), key=_is_negative)
            text = self.text(terms[0])
            for term in terms[1:]:
                negative = _is_negative(term)
                text += f" {'-' if negative else '+'} {self.text(-term if negative else term)}"
            return f"({text})"
        above, below = _fraction(_ordered(expression))
        sign = "-" if sympy.Integer(-1) in above else ""
        factors = [self.text(argument) for argument in above if argument != -1] or ["1.0"]
        divisors = "".join(f" / {self.text(argument)}" for argument in below)
        return f"({sign}{' * '.join(factors)}{divisors})"


def _is_negative(term: sympy.Expr) -> bool:
    return bool(term.as_coeff_Mul()[0] < 0)


def bare(text: str) -> str:
    """Return a text without its enclosing parentheses."""
    if not text.startswith("("):
        return text
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:-1] if index == len(text) - 1 else text
    return text


def called(
    name: str, arguments: list[str], calls: Mapping[str, str], folded: Mapping[str, str]
) -> str:
    """Return the code of a function or sign with its arguments."""
    if name in folded:
        return reduce(folded[name].format, arguments)
    if name in _UNARY:
        arguments = [bare(argument) for argument in arguments]
    return calls[name].format(*arguments)


def _number(value: sympy.Expr) -> str:
    try:
        return repr(int(value.p) / int(value.q))
    except OverflowError:
        raise DescriptionError("a number is too large", where="equations") from None


def _ordered(expression: sympy.Expr) -> list[sympy.Expr]:
    if isinstance(expression, AppliedUndef):
        return list(expression.args)
    return sorted(expression.args, key=sympy.default_sort_key)


def _fraction(factors: list[sympy.Expr]) -> tuple[list[sympy.Expr], list[sympy.Expr]]:
    """Return the factors of the numerator and the denominator of a product."""
    below = [factor**-1 for factor in factors if factor.is_Pow and factor.exp < 0]
    return [factor for factor in factors if not (factor.is_Pow and factor.exp < 0)], below


class ExpressionWriter:
    """Code of expressions of the states, with each sub-expression once.

    Parameters
    ----------
    names : mapping of Symbol to str
        Local variables of varying quantities.
    constants : Constants
        Extended by constants.
    lines : list of str
        Extended by the code.
    local : Names
        The names of the function's local variables.
    named : mapping of Symbol to sympy.Expr
        Varying expressions, each with a local variable of its symbol's name.
    """

    def __init__(
        self,
        names: Mapping[sympy.Symbol, str],
        constants: Constants,
        lines: list[str],
        local: Names,
        named: Mapping[sympy.Symbol, sympy.Expr] = MappingProxyType({}),
    ) -> None:
        self.constants, self.lines, self.local = constants, lines, local
        self._named = named
        self._varying = {*names, *named}
        self._known: dict[sympy.Expr, str] = dict(names)

    def assign_local(self, text: str, name: str = "") -> str:
        """Return the name of a new local variable with the value of a text."""
        name = self.local.new(name or f"t{len(self.lines)}")
        self.lines.append(f"{name} = {text}")
        return name

    def named(self, name: str) -> sympy.Symbol:
        """Return a symbol for a local variable, for use in expressions."""
        local = sympy.Symbol(f"local {name}", real=True)
        self._varying.add(local)
        self._known[local] = name
        return local

    def names_in(self, expression: sympy.Expr) -> dict[sympy.Symbol, str]:
        """Return the local variables of the symbols in an expression, without parameters."""
        return {name: self._known[name] for name in expression.free_symbols & self._varying}

    def varies(self, name: sympy.Symbol) -> bool:
        """Return whether a symbol is not a parameter."""
        return name in self._varying

    def with_values(
        self,
        names: Mapping[sympy.Symbol, str],
        named: Mapping[sympy.Symbol, sympy.Expr] = MappingProxyType({}),
    ) -> "ExpressionWriter":
        """Return a writer of the same function with other local variables."""
        return ExpressionWriter(names, self.constants, self.lines, self.local, named)

    def as_symbol(self, expression: sympy.Expr) -> sympy.Expr:
        """Return an expression if it is constant, else a symbol for its value."""
        return expression if self._is_constant(expression) else self.named(self(expression))

    def __call__(self, expression: sympy.Expr) -> str:
        """Return the local variable or constant with the value of an expression."""
        if expression in self._named and expression not in self._known:
            self._known[expression] = self.assign_local(
                self._text(self._named[expression]), expression.name
            )
        if expression not in self._known:
            constant = self._is_constant(expression)
            self._known[expression] = (
                self.constants.of(expression)
                if constant
                else self.assign_local(self._text(expression))
            )
        return self._known[expression]

    def _is_constant(self, expression: sympy.Expr) -> bool:
        if isinstance(expression, AppliedUndef):
            name = expression.func.__name__
            if name not in _OF_CONSTANTS:
                # stays in the kernel: the compiler moves it out of the loop
                return False
            if name == "where":
                tested = expression.args[0].free_symbols
                return not tested & self._varying and all(
                    map(self._is_constant, expression.args[1:])
                )
        if expression.is_Symbol:
            return expression not in self._varying
        return all(self._is_constant(argument) for argument in expression.args)

    def _text(self, expression: sympy.Expr) -> str:
        if isinstance(expression, AppliedUndef):
            name, arguments = expression.func.__name__, expression.args
            if name in COMPARISONS:
                arguments = self.sides(*arguments)
            return called(name, [self(argument) for argument in arguments], CALLS, FOLDED)
        if expression.is_Pow:
            exponent = int(expression.exp)
            if exponent < 0:
                return f"{self(sympy.Integer(1))} / {self(expression.base**-exponent)}"
            return " * ".join([self(expression.base)] * exponent)
        constant = [argument for argument in _ordered(expression) if self._is_constant(argument)]
        varying = [argument for argument in _ordered(expression) if not self._is_constant(argument)]
        fixed = expression.func(*constant)
        return self._sum(fixed, varying) if expression.is_Add else self._product(fixed, varying)

    def sides(self, left: sympy.Expr, right: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
        """Return the two sides of a comparison: varying terms left, constant terms right."""
        terms = sympy.Add.make_args(left - right)
        fixed = sympy.Add(*(term for term in terms if self._is_constant(term)))
        return (left, right) if fixed == left - right else (left - right - fixed, -fixed)

    def _sum(self, fixed: sympy.Expr, terms: list[sympy.Expr]) -> str:
        # positive terms come first, to save a change of sign
        positive = [term for term in terms if not _is_negative(term)]
        negative = [-term for term in terms if _is_negative(term)]
        added, subtracted = [self(term) for term in positive], [self(term) for term in negative]
        if fixed != 0 and not fixed.is_Add and _is_negative(fixed) and added:
            subtracted.append(self(-fixed))
        elif fixed != 0:
            added.append(self(fixed))
        text = " + ".join(added)
        if not text:
            return f"-{' - '.join(subtracted)}"
        return text + "".join(f" - {term}" for term in subtracted)

    def _product(self, fixed: sympy.Expr, factors: list[sympy.Expr]) -> str:
        factors, below = _fraction(factors)
        above = [self(factor) for factor in factors]
        sign = "-" if fixed == -1 else ""
        if fixed not in (1, -1) or not above:
            above = [self(-fixed if sign else fixed), *above]
        text = sign + " * ".join(above)
        return f"({text}) / {self(sympy.Mul(*below))}" if below else text
