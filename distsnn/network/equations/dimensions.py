"""Units and their dimensions: a small table, since a neuron has but time, voltage and current.

Every electrical unit is a product of powers of s, V and A, and a power of ten. Inside, values are
in ms, mV and pA and what these make: pF, nS, GOhm, 1/ms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import reduce
from typing import TypeAlias

from distsnn.errors import DescriptionError
from distsnn.network.equations.source import EquationError, EquationText, Span, unknown_at
from distsnn.network.equations.syntax import (
    COMPARISONS,
    DELAYED,
    ELEMENTARY,
    LOGIC,
    LOWER_GAMMA,
    RANDOM,
    ROUNDING,
    NameNode,
    Node,
    NumberNode,
    Operation,
    parse,
)

# Functions whose arguments and values have no dimension.
_DIMENSIONLESS = ("exp", "exprel", "log", "erf", LOWER_GAMMA, *ELEMENTARY, *ROUNDING)
_PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
# Powers of s, V and A.
_BASE = {
    "s": (1, 0, 0),
    "V": (0, 1, 0),
    "A": (0, 0, 1),
    "S": (0, -1, 1),
    "Ohm": (0, 1, -1),
    "ohm": (0, 1, -1),
    "F": (1, -1, 1),
    "C": (1, 0, 1),
    "Hz": (-1, 0, 0),
}
# ms, mV and pA as powers of ten of s, V and A.
_OURS = (-3, -3, -12)


@dataclass(frozen=True)
class Unit:
    """A unit: powers of ms, mV and pA, times a power of ten.

    Parameters
    ----------
    powers : tuple of Fraction
        Powers of ms, mV and pA.
    tens : Fraction
        Exponent of ten.
    """

    powers: tuple[Fraction, ...] = (Fraction(0),) * 3
    tens: Fraction = Fraction(0)

    def times(self, other: "Unit", power: Fraction | int = 1) -> "Unit":
        """Return the product with a power of another unit."""
        powers = zip(self.powers, other.powers, strict=True)
        return Unit(tuple(a + power * b for a, b in powers), self.tens + power * other.tens)

    def has_same_dimension(self, other: "Unit") -> bool:
        """Return whether both are units of the same dimension."""
        return self.powers == other.powers

    @property
    def whole_tens(self) -> int:
        """The exponent of ten.

        Raises
        ------
        DescriptionError
            If it is not an integer.
        """
        if self.tens.denominator != 1:
            raise DescriptionError("has a fractional power of ten", where="equations, units")
        return int(self.tens)

    def __str__(self) -> str:
        # the products that occur have names of their own
        for name in ("1", "ms", "mV", "pA", "nS", "pF", "GOhm", "mV/ms", "pA/ms", "nS/ms", "1/ms"):
            if _NAMED[name].powers == self.powers:
                return name
        named = zip(("ms", "mV", "pA"), self.powers, strict=True)
        return "*".join(
            name if power == 1 else f"{name}**{power if power.denominator == 1 else f'({power})'}"
            for name, power in named
            if power
        )


ONE = Unit()


def _table() -> dict[str, Unit]:
    units = {"1": ONE, "spikes": ONE}
    for prefix, tens in _PREFIXES.items():
        for name, powers in _BASE.items():
            less = sum(power * own_power for power, own_power in zip(powers, _OURS, strict=True))
            units[prefix + name] = Unit(tuple(map(Fraction, powers)), Fraction(tens - less))
    return units


UNITS = _table()
MS = UNITS["ms"]
_NAMED = UNITS | {f"{top}/ms": UNITS[top].times(MS, -1) for top in ("mV", "pA", "nS", "1")}


def parse_unit(span: Span) -> Unit:
    """Read a unit, such as ``mV``, ``1/ms``, ``nS*mV`` or ``mV/ms**2``.

    Raises
    ------
    EquationError
        If it is none.
    """
    return _unit(parse(span))


def unit_named(text: object, name: str) -> Unit:
    """Return the unit that a text names; `name` is the quantity, for messages."""
    source = EquationText(f"unit of {name}", text if isinstance(text, str) else repr(text))
    return parse_unit(Span(source, 0, len(source.text)))


def _unit(node: Node) -> Unit:
    match node:
        case NumberNode(value=1.0):
            return ONE
        case NameNode(name=name):
            if name not in UNITS:
                raise unknown_at("unit", name, common_units(), node.span)
            return UNITS[name]
        case Operation(function="*", arguments=factors):
            return reduce(Unit.times, map(_unit, factors))
        case Operation(function="/", arguments=(left, right)):
            return _unit(left).times(_unit(right), -1)
        case Operation(function="**", arguments=(base, power)):
            return ONE.times(_unit(base), _literal(power))
    raise EquationError("not a unit", node.span, allowed="such as mV, 1/ms, nS*mV, spikes/s")


def common_units() -> list[str]:
    """Return the units that errors propose."""
    return [
        *("ms", "s", "mV", "V", "pA", "nA", "pF", "nF", "nS", "uS", "MOhm", "GOhm", "Hz"),
        *("spikes", "1"),
    ]


def _literal(node: Node) -> Fraction:
    """Return an exponent, which must be written out where the base has a unit."""
    if isinstance(node, NumberNode) and abs(node.value) <= 16:
        return Fraction(node.value).limit_denominator(16)
    raise EquationError(
        "the power of something with a unit must be a number", node.span, allowed="-16 to 16"
    )


class NonUnit(Enum):
    """Kind of an expression that has no unit."""

    ZERO = "a written 0, which fits any unit"
    TRUTH = "a condition"


ZERO, TRUTH = NonUnit.ZERO, NonUnit.TRUTH
Kind: TypeAlias = Unit | NonUnit


def kind_of(node: Node, units: Mapping[str, Kind]) -> Kind:
    """Return the unit of an expression, or that it is a condition.

    Parameters
    ----------
    node : Node
        The expression.
    units : mapping of str to Unit
        The units of all names.

    Raises
    ------
    EquationError
        If a name is unknown or units do not fit; at the place in the text.
    """
    match node:
        case NumberNode(value=value):
            return ONE if value else ZERO
        case NameNode(name=name):
            if name in units:
                return units[name]
            if name in UNITS:
                return UNITS[name]
            raise unknown_at("name", name, [*units], node.span)
    function, arguments = node.function, node.arguments
    kinds = [kind_of(argument, units) for argument in arguments]
    logic = function in LOGIC
    for index, (argument, kind) in enumerate(zip(arguments, kinds, strict=True)):
        must_be_condition = logic or (function == "where" and index == 0)
        if must_be_condition != (kind is TRUTH):
            problem = "must be a condition" if must_be_condition else "is a condition, not a number"
            raise EquationError(f"this {problem}", argument.span, allowed="such as V_m >= V_th")
    if logic:
        return TRUTH
    if function in RANDOM:
        for argument, kind in zip(arguments, kinds, strict=True):
            require(kind, ONE, argument.span, f"an argument of {function}")
        return ONE
    if function in ("*", "/"):
        factors = [argument for argument in kinds if isinstance(argument, Unit)]
        if len(factors) < len(kinds):
            return ZERO
        power = 1 if function == "*" else -1
        return reduce(lambda left, right: left.times(right, power), factors)
    if function == "**":
        return _power(node, kinds)
    if function == DELAYED:
        require(kinds[1], MS, arguments[1].span, "a delay")
        return kinds[0]
    if function == "sign":
        return ONE
    if function in _DIMENSIONLESS:
        for argument, kind in zip(arguments, kinds, strict=True):
            require(kind, ONE, argument.span, f"the argument of {function}")
        return ONE
    if function == "sqrt":
        return ONE.times(kinds[0], Fraction(1, 2)) if isinstance(kinds[0], Unit) else ZERO
    first = 1 if function == "where" else 0
    same = _common(node, kinds, first)
    return TRUTH if function in COMPARISONS else same


def _power(node: Operation, kinds: list[Kind]) -> Kind:
    base, exponent = kinds
    require(exponent, ONE, node.arguments[1].span, "an exponent")
    if not isinstance(base, Unit) or base.has_same_dimension(ONE):
        return ONE
    return ONE.times(base, _literal(node.arguments[1]))


def _common(node: Operation, kinds: list[Kind], first: int) -> Kind:
    """Return the unit that arguments share, from the one at `first` on."""
    common: Kind = ZERO
    for argument, kind in zip(node.arguments[first:], kinds[first:], strict=True):
        if kind is ZERO:
            continue
        if (
            isinstance(common, Unit)
            and isinstance(kind, Unit)
            and not common.has_same_dimension(kind)
        ):
            verb = {"+": "added to", "-": "subtracted from"}.get(node.function)
            verb = (
                f"{kind} cannot be {verb} {common}" if verb else f"{common} and {kind} do not fit"
            )
            raise EquationError(verb, argument.span, allowed=str(common))
        if common is ZERO:
            common = kind
    return common


def require(kind: Kind, unit: Unit, span: Span, name: str) -> None:
    """Check that an expression has a unit.

    Raises
    ------
    EquationError
        If it has another.
    """
    if kind is ZERO or (isinstance(kind, Unit) and kind.has_same_dimension(unit)):
        return
    actual = "a condition" if kind is TRUTH else f"in {kind}"
    raise EquationError(f"{name} is {actual}", span, allowed=str(unit))
