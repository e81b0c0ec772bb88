"""Writes the kernel module of a rule of plasticity that is given as equations.

The module is like those in `distsnn.kernels.plasticity`, but for its variables' names: ``s_NAME``
is a variable, ``kN`` a constant, ``tN`` what lies between. What depends on parameters alone is
computed once, in float64; all else is computed as it is written, operation by operation.
"""

from functools import cache
from itertools import takewhile

from distsnn.codegen.expressions import ARRAY_CALLS, ARRAY_FOLDED, CALLS, FOLDED, Constants, called
from distsnn.codegen.modules import load
from distsnn.network.equations.dimensions import UNITS
from distsnn.network.equations.plasticity import (
    MODULATOR,
    POST,
    PRE,
    SYNAPSE,
    WEIGHT,
    Plasticity,
)
from distsnn.network.equations.plasticity_model import PlasticityModel
from distsnn.network.equations.syntax import COMPARISONS, LOGIC, Apply, Name, Node, Number

_SIGNS = {sign: f"({{}} {sign} {{}})" for sign in "-/"} | {"neg": "(-{})"}
_CHAINS = {"+": "({} + {})", "*": "({} * {})"}  # of two terms or factors or more
# Weights that rounding has moved beyond their bounds by a little, or exponents of 0, are no
# reason to fail.
_IN_KERNEL = CALLS | _SIGNS | {"**": "bounded_power({}, {})"}
_OF_ARRAYS = ARRAY_CALLS | _SIGNS


@cache
def rule_of(model: PlasticityModel) -> str:
    """Return the import name of a rule's kernel module, which is written if it is missing."""
    return load(rule_text(model)).__name__


def rule_text(model: PlasticityModel) -> str:
    """Return the text of a rule's kernel module."""
    rule, constants = model.rule, Constants()
    groups = {flag: rule.of(flag) for flag in (PRE, POST, SYNAPSE, MODULATOR)}
    decays = {
        "m" if name in groups[MODULATOR] else name: constants.add(f"{_given(rule, tau)} / dt")
        for name, tau in rule.decays.items()
    }
    synapse = (WEIGHT, *groups[SYNAPSE])
    everything = (*synapse, *groups[PRE], *groups[POST], *groups[MODULATOR])
    functions = {
        "source_spike": (PRE, groups[PRE], groups[PRE]),
        "target_spike": (POST, groups[POST], groups[POST]),
        "on_pre": (PRE, everything, synapse),
        "on_post": (POST, everything, synapse),
    }
    if rule.events[MODULATOR]:
        functions["modulator_spike"] = (MODULATOR, groups[MODULATOR], groups[MODULATOR])
    bodies = {
        name: _body(rule, constants, side, taken, results)
        for name, (side, taken, results) in functions.items()
    }
    lines = [
        '"""Generated from a rule\'s equations: do not edit."""',
        "import numpy as np",
        "from distsnn.jit import inline",
        "from distsnn.kernels.functions import (",
        "    bounded_power, checked_log, checked_log_array, exp, exp_array, exprel, exprel_array",
        ")",
        f"SOURCE, TARGET, STATES = {groups[PRE]!r}, {groups[POST]!r}, {groups[SYNAPSE]!r}",
        f"DECAYS, MODULATED = {decays!r}, {bool(groups[MODULATOR])}",
        f"CONSTANTS = {constants.kinds!r}",
        "def constants(parameters, dt):",
        "    p = parameters",
        *(f"    {line}" for line in constants.lines),
        f"    return {{{', '.join(f'{name!r}: {name}' for name in constants.kinds)}}}",
    ]
    for name, (_, taken, _) in functions.items():
        arguments = [*(f"s_{one}" for one in taken), *constants.kinds]
        lines += ["@inline", f"def {name}({', '.join(arguments)}):"]
        lines += [f"    {line}" for line in bodies[name]]
    return "\n".join([*lines, ""])


def _body(
    rule: Plasticity,
    constants: Constants,
    side: str,
    taken: tuple[str, ...],
    results: tuple[str, ...],
) -> list[str]:
    """Return the lines that do what a spike does to the variables of a function."""
    lines: list[str] = []
    for name, value in rule.events[side]:
        if name in taken:
            lines.append(f"s_{name} = {_Statement(rule, constants, lines).assigned(name, value)}")
    return [*lines, f"return ({''.join(f's_{name}, ' for name in results)})"]


def _given(rule: Plasticity, parameter: str) -> str:
    """Return the float64 code of a parameter, or of a bound, in our units."""
    tens = rule.units[parameter].whole_tens
    return f'(1e{tens} * p["{parameter}"])' if tens else f'p["{parameter}"]'


class _Statement:
    """Writes the code of one assignment."""

    def __init__(self, rule: Plasticity, constants: Constants, lines: list[str]) -> None:
        self._rule, self._constants, self._lines = rule, constants, lines
        self._derived: dict[str, str] = {}

    def assigned(self, name: str, value: Node) -> str:
        """Return the code of what a variable becomes, in its own unit."""
        text, tens = self._code(value), self._rule.units[name].whole_tens
        return f"{text} / {self._number(10.0**tens)}" if tens else text

    def _number(self, value: float) -> str:
        return self._constants.add(repr(value))

    def _code(self, node: Node) -> str:
        """Return the code of an expression in the kernel."""
        # constants are numbers, which conditions are not
        if self._is_fixed(node) and not _is_condition(node):
            return self._constants.add(self._constant(node))
        if isinstance(node, Name):
            return self._variable(node.name)
        assert isinstance(node, Apply)
        if node.function == "**" and isinstance(node.arguments[1], Number):
            power = self._power(node.arguments[0], node.arguments[1].value)
            if power is not None:
                return power
        given = node.arguments
        if node.function == "*":
            # constants that a product begins with are one
            head = tuple(takewhile(self._is_fixed, given))
            given = (Apply("*", head, node.at), *given[len(head) :]) if head[1:] else given
        arguments = [self._code(one) for one in given]
        return called(node.function, arguments, _IN_KERNEL, FOLDED | _CHAINS)

    def _variable(self, name: str) -> str:
        if name not in self._rule.derived:
            tens = self._rule.units[name].whole_tens
            return f"({self._number(10.0**tens)} * s_{name})" if tens else f"s_{name}"
        if name not in self._derived:
            self._derived[name] = self._let(self._code(self._rule.derived[name].value))
        return self._derived[name]

    def _let(self, text: str) -> str:
        name = f"t{len(self._lines)}"
        self._lines.append(f"{name} = {text}")
        return name

    def _power(self, base: Node, exponent: float) -> str | None:
        """Return a small whole power or a square root; None for any other power."""
        if exponent == 0.5:
            return f"np.sqrt({self._code(base)})"
        if exponent % 1.0 or not 1.0 <= abs(exponent) <= 16.0:
            return None
        product = " * ".join([self._let(self._code(base))] * int(abs(exponent)))
        return f"({product})" if exponent > 0.0 else f"({self._number(1.0)} / ({product}))"

    def _is_fixed(self, node: Node) -> bool:
        """Return whether an expression depends on parameters alone."""
        match node:
            case Number():
                return True
            case Name(name=name):
                if name in self._rule.derived:
                    return self._is_fixed(self._rule.derived[name].value)
                return name != WEIGHT and name not in self._rule.variables
        return all(map(self._is_fixed, node.arguments))

    def _constant(self, node: Node) -> str:
        """Return the float64 code of an expression of parameters."""
        match node:
            case Number(value=value):
                return repr(value)
            case Name(name=name):
                if name in self._rule.derived:
                    return self._constant(self._rule.derived[name].value)
                if name in self._rule.units:
                    return _given(self._rule, name)
                return f"1e{UNITS[name].whole_tens}"
        arguments = [self._constant(one) for one in node.arguments]
        return called(node.function, arguments, _OF_ARRAYS, ARRAY_FOLDED | _CHAINS)


def _is_condition(node: Node) -> bool:
    return isinstance(node, Apply) and node.function in (*COMPARISONS, *LOGIC)
