"""Lines of a text: equations, sub-expressions and assignments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from distsnn.network.equations.dimensions import Unit, parse_unit
from distsnn.network.equations.source import EquationError, Source, Span, unknown_at
from distsnn.network.equations.syntax import Apply, Name, Node, check_text, is_name, parse

_DERIVATIVE = re.compile(r"d\s*(\w+)\s*/\s*d\s*t")
# not what a unit such as 1/(ms) ends with
_FLAG = re.compile(r"(?<=[\w)])\s*\(\s*(\w+)\s*\)\s*$")
_SIGN = re.compile(r"(?<![<>=!+\-*/])([-+*/]?)=(?!=)")


@dataclass(frozen=True)
class Definition:
    """One line of equations: ``dNAME/dt = ... : UNIT`` or ``NAME = ... : UNIT``.

    Attributes
    ----------
    name : Name
        What is defined.
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

    name: Name
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
        return f"{left} = {' '.join(self.value.at.text.split())}"


def read_equations(source: Source, flags: tuple[str, ...] = ()) -> list[Definition]:
    """Return the definitions of a text of equations.

    Parameters
    ----------
    source : Source
        The text.
    flags : tuple of str
        Words of which every derivative has one, in parentheses after its unit; sub-expressions may.

    Raises
    ------
    EquationError
        If a line cannot be read.
    """
    return [_definition(one, flags) for one in _statements(source)]


def read_assignments(source: Source) -> list[tuple[Name, Node]]:
    """Return the assignments of a text: ``NAME = ...``, or with ``+=``, ``-=``, ``*=``, ``/=``.

    Raises
    ------
    EquationError
        If one cannot be read.
    """
    found = []
    for one in _statements(source):
        left, sign, right = _sides(one)
        name = _name(left)
        value = parse(right)
        found.append((name, Apply(sign, (name, value), value.at) if sign else value))
    return found


def _statements(source: Source) -> Iterator[Span]:
    """Yield the pieces of a text that line ends and semicolons outside of parentheses part."""
    check_text(source)
    depth, start = 0, 0
    for position, one in enumerate(source.code + "\n"):
        depth += (one == "(") - (one == ")")
        if one in "\n;" and depth == 0:
            piece = source.code[start:position]
            if piece.strip():
                blank = len(piece) - len(piece.lstrip())
                yield Span(source, start + blank, start + len(piece.rstrip()))
            start = position + 1


def _part(at: Span, start: int, stop: int) -> Span:
    return Span(at.source, at.start + start, at.start + stop)


def _sides(at: Span) -> tuple[Span, str, Span]:
    """Return what is left of the sign, the operator before the sign, and what is right of it."""
    found = _SIGN.search(at.text)
    if found is None:
        raise EquationError("not an equation", at, allowed="NAME = EXPRESSION")
    return (
        _part(at, 0, found.start()),
        found[1],
        _part(at, found.end(), len(at.text)),
    )


def _name(at: Span) -> Name:
    at = Span(at.source, at.start, at.start + len(at.text.rstrip()))
    if not is_name(at.text):
        raise EquationError("not the name of a variable", at)
    return Name(at.text, at)


def _definition(at: Span, flags: tuple[str, ...]) -> Definition:
    left, sign, right = _sides(at)
    if sign:
        raise EquationError(f"{sign}= has no place in equations", at, allowed="=")
    colon = right.text.rfind(":")
    if colon < 0:
        end = _part(at, len(at.text), len(at.text))
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
        end = _part(at, len(at.text), len(at.text))
        allowed = ", ".join(f"({one})" for one in flags)
        raise EquationError("the flag is missing that says whose it is", end, allowed=allowed)
    return Definition(
        _name(left),
        derivative is not None,
        parse(_part(right, 0, colon)),
        parse_unit(unit_at),
        "".join(unit_at.text.split()),
        "" if flag is None else flag[1],
        at.comment,
    )
