"""Lines of a text: equations, sub-expressions and assignments."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from distsnn.network.equations.dimensions import (
    ONE,
    TRUTH,
    UNITS,
    Unit,
    kind_of,
    parse_unit,
    require,
)
from distsnn.network.equations.source import EquationError, EquationText, Span, unknown_at
from distsnn.network.equations.syntax import (
    NameNode,
    Node,
    Operation,
    check_text,
    is_name,
    name_nodes,
    names_in,
    parse,
)

_DERIVATIVE = re.compile(r"d\s*(\w+)\s*/\s*d\s*t")
# not what a unit such as 1/(ms) ends with
_FLAG = re.compile(r"(?<=[\w)])\s*\(\s*(\w+)\s*\)\s*$")
_SIGN = re.compile(r"(?<![<>=!+\-*/])([-+*/]?)=(?!=)")


@dataclass(frozen=True)
class Definition:
    """One line of equations: ``dNAME/dt = ... : UNIT`` or ``NAME = ... : UNIT``.

    Attributes
    ----------
    name : NameNode
        The defined name.
    derivative : bool
        Whether its derivative by time is.
    value : Node
        The right-hand side.
    unit : Unit
        The unit of `name`.
    unit_text : str
        As it was written.
    flag : str
        The word in parentheses after the unit, where a text has such.
    comment : str
        The comment at the end of its last line.
    """

    name: NameNode
    derivative: bool
    value: Node
    unit: Unit
    unit_text: str
    flag: str = ""
    comment: str = ""

    @property
    def text(self) -> str:
        """The equation as it was written, in one line."""
        left = f"d{self.name.name}/dt" if self.derivative else self.name.name
        return f"{left} = {' '.join(self.value.span.text.split())}"


def read_equations(source: EquationText, flags: tuple[str, ...] = ()) -> list[Definition]:
    """Return the definitions of a text of equations.

    Parameters
    ----------
    source : EquationText
        The text.
    flags : tuple of str
        Words of which every derivative has one, in parentheses after its unit; sub-expressions may.

    Raises
    ------
    EquationError
        If a line cannot be read.
    """
    return [_definition(statement, flags) for statement in _statements(source)]


def read_assignments(source: EquationText) -> list[tuple[NameNode, Node]]:
    """Return the assignments of a text: ``NAME = ...``, or with ``+=``, ``-=``, ``*=``, ``/=``.

    Raises
    ------
    EquationError
        If one cannot be read.
    """
    assignments = []
    for statement in _statements(source):
        left, sign, right = _sides(statement)
        name = _name(left)
        value = parse(right)
        assignments.append((name, Operation(sign, (name, value), value.span) if sign else value))
    return assignments


@dataclass(frozen=True)
class LocalVariable:
    """A name that statements assign, and that is not a variable of the model.

    Attributes
    ----------
    unit : Unit
        Its unit, without a power of ten.
    span : Span
        The name in its first assignment.
    """

    unit: Unit
    span: Span


def read_statements(
    source: EquationText,
    variables: Collection[str],
    units: Mapping[str, Unit],
    owners: Mapping[str, str] = MappingProxyType({}),
    *,
    in_any_unit: bool = False,
) -> tuple[list[tuple[str, Node]], dict[str, LocalVariable]]:
    """Return the assignments of statements, which run in order, and their local variables.

    Parameters
    ----------
    source : EquationText
        The text.
    variables : collection of str
        Variables of the model that the statements may change.
    units : mapping of str to Unit
        Units of all names of the model.
    owners : mapping of str to str
        Variables of the model that other statements change, with the name of these statements.
    in_any_unit : bool
        Whether the caller checks the units of values that `variables` get.

    Raises
    ------
    EquationError
        If a statement cannot be read, units do not fit, a name cannot be assigned, or a local
        variable is used before it is assigned.
    """
    assignments: list[tuple[str, Node]] = []
    local: dict[str, LocalVariable] = {}
    valid_units = dict(units)
    statements = read_assignments(source)
    assigned = {name.name for name, _ in statements}
    for target, value in statements:
        name = target.name
        if name not in variables and (name in units or name in UNITS):
            if name in owners:
                raise EquationError(
                    f"{name} changes with other spikes", target.span, allowed=f"in {owners[name]}"
                )
            raise EquationError(
                f"{name!r} cannot be assigned here, and a local variable cannot have this name",
                target.span,
                allowed=", ".join([*sorted(variables), "names of local variables"]),
            )
        # with += and the like, the statement reads the name
        is_read = isinstance(value, Operation) and value.arguments[:1] == (target,)
        if is_read and name not in valid_units:
            raise unknown_at("variable", name, [*variables], target.span)
        for used in name_nodes(value):
            if used.name in assigned and used.name not in valid_units:
                raise EquationError(
                    f"the local variable {used.name} is used before it is assigned", used.span
                )
        assignments.append((name, value))
        if in_any_unit and name in variables:
            continue
        kind = kind_of(value, valid_units)
        if name not in valid_units:
            if kind is TRUTH:
                raise EquationError(f"{name} is a condition, not a number", value.span)
            valid_units[name] = Unit(kind.powers) if isinstance(kind, Unit) else ONE
            local[name] = LocalVariable(valid_units[name], target.span)
        require(kind, valid_units[name], value.span, name)
    return assignments, local


def check_locals_used(
    assignments: Iterable[tuple[str, Node]],
    local: Mapping[str, LocalVariable],
    variables: Collection[str],
    results: Iterable[Node] = (),
) -> None:
    """Check that all local variables are used: an unused one may be a misspelt variable.

    Parameters
    ----------
    assignments, local, variables
        As of `read_statements`.
    results : iterable of Node
        Expressions that use the local variables after the statements.

    Raises
    ------
    EquationError
        For the first unused local variable.
    """
    needed = {name for node in results for name in names_in(node)}
    for name, value in reversed([*assignments]):
        if name not in local or name in needed:
            needed |= {*names_in(value)}
    for name, variable in local.items():
        if name not in needed:
            raise unknown_at("variable", name, [*variables], variable.span)


def with_values(node: Node, values: Mapping[str, Node]) -> Node:
    """Return an expression with the values of some names in place of the names."""
    match node:
        case NameNode(name=name):
            return values.get(name, node)
        case Operation(arguments=arguments):
            return replace(node, arguments=tuple(with_values(part, values) for part in arguments))
    return node


def _statements(source: EquationText) -> Iterator[Span]:
    """Yield the pieces of a text that line ends and semicolons outside of parentheses part."""
    check_text(source)
    depth, start = 0, 0
    for position, character in enumerate(source.code + "\n"):
        depth += (character == "(") - (character == ")")
        if character in "\n;" and depth == 0:
            piece = source.code[start:position]
            if piece.strip():
                blank = len(piece) - len(piece.lstrip())
                yield Span(source, start + blank, start + len(piece.rstrip()))
            start = position + 1


def _part(span: Span, start: int, stop: int) -> Span:
    return Span(span.source, span.start + start, span.start + stop)


def _sides(span: Span) -> tuple[Span, str, Span]:
    """Return the left side of the sign, the operator before the sign, and the right side."""
    match = _SIGN.search(span.text)
    if match is None:
        raise EquationError("not an equation", span, allowed="NAME = EXPRESSION")
    return (
        _part(span, 0, match.start()),
        match[1],
        _part(span, match.end(), len(span.text)),
    )


def _name(span: Span) -> NameNode:
    span = Span(span.source, span.start, span.start + len(span.text.rstrip()))
    if not is_name(span.text):
        is_if = span.text.startswith("if ")
        allowed = "NAME = EXPRESSION if CONDITION else NAME" if is_if else ""
        raise EquationError("not the name of a variable", span, allowed=allowed)
    return NameNode(span.text, span)


def _definition(span: Span, flags: tuple[str, ...]) -> Definition:
    left, sign, right = _sides(span)
    if sign:
        raise EquationError(f"{sign}= has no place in equations", span, allowed="=")
    colon = right.text.rfind(":")
    if colon < 0:
        end = _part(span, len(span.text), len(span.text))
        raise EquationError("the unit is missing", end, allowed="EXPRESSION : UNIT, such as : mV")
    unit_at = _part(right, colon + 1, len(right.text))
    derivative = _DERIVATIVE.fullmatch(left.text.strip())
    if derivative:
        left = _part(left, derivative.start(1), derivative.end(1))
    flag = _FLAG.search(unit_at.text) if flags else None
    if flag is not None:
        if flag[1] not in flags:
            raise unknown_at("flag", flag[1], [*flags], _part(unit_at, flag.start(1), flag.end(1)))
        unit_at = _part(unit_at, 0, flag.start())
    elif derivative and flags:
        end = _part(span, len(span.text), len(span.text))
        allowed = ", ".join(f"({allowed_flag})" for allowed_flag in flags)
        raise EquationError("the flag with the owner is missing", end, allowed=allowed)
    return Definition(
        _name(left),
        derivative is not None,
        parse(_part(right, 0, colon)),
        parse_unit(unit_at),
        "".join(unit_at.text.split()),
        "" if flag is None else flag[1],
        span.comment,
    )
