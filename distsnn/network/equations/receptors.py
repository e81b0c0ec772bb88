"""Receptors of a model: the state variables that weights are added to."""

from collections.abc import Mapping
from dataclasses import dataclass

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network.equations.dimensions import ONE, Unit, kind_of
from distsnn.network.equations.source import EquationError, EquationText, Span
from distsnn.network.equations.statements import (
    Definition,
    check_locals_used,
    read_statements,
    with_values,
)
from distsnn.network.equations.syntax import NameNode, Node, Operation, is_label, parse

# The weight in the statements of a receptor.
WEIGHT = "weight"


@dataclass(frozen=True)
class ReceptorInput:
    """Effect of a receptor's input.

    Attributes
    ----------
    unit, unit_text : Unit, str
        Unit of its weights.
    additions : list of (str, Node)
        Terms added to state variables: expressions that are linear in `WEIGHT`.
    """

    unit: Unit
    unit_text: str
    additions: list[tuple[str, Node]]


def read_receptors(
    receptors: Mapping[str, str], units: Mapping[str, Unit], states: Mapping[str, Definition]
) -> dict[str, ReceptorInput]:
    """Read what the receptors of a model do.

    Parameters
    ----------
    receptors : mapping of str to str
        A state variable, perhaps after ``-``, or statements, by receptor.
    units : mapping of str to Unit
        Units of the model's variables and parameters.
    states : mapping of str to Definition
        State variables.

    Raises
    ------
    DescriptionError
        For the first receptor that is not valid.
    """
    inputs = {}
    for name, text in receptors.items():
        where = f"receptors, {name!r}"
        if not is_label(name):
            raise DescriptionError("not a usable name", where=where)
        if not isinstance(text, str):
            raise DescriptionError("must name a state variable", where=where, value=text)
        if "=" in text:
            source = EquationText(f"receptor {name}", text)
            inputs[name] = _receptor_of_statements(source, units, states)
            continue
        state = text.strip().removeprefix("-").strip()
        if state not in states:
            raise unknown_name_error("state variable", state, states, where=where)
        sign = "-" if text.strip().startswith("-") else ""
        source = EquationText(f"receptor {name}", f"{state} += {sign}{WEIGHT}")
        additions = [(state, parse(_right_side(source)))]
        inputs[name] = ReceptorInput(states[state].unit, states[state].unit_text, additions)
    return inputs


def _right_side(source: EquationText) -> Span:
    return Span(source, source.text.index("=") + 1, len(source.text))


def _receptor_of_statements(
    source: EquationText, units: Mapping[str, Unit], states: Mapping[str, Definition]
) -> ReceptorInput:
    """Return the receptor of statements such as ``dI += weight*exp(1)/tau``."""
    if WEIGHT in units:
        raise DescriptionError(
            f"a model whose receptors have statements cannot have a variable {WEIGHT!r}",
            where=source.name,
        )
    additions: list[tuple[str, Node]] = []
    unit: Unit | None = None
    valid_units = {**units, WEIGHT: ONE}
    statements, local = read_statements(source, states, valid_units, in_any_unit=True)
    check_locals_used(statements, local, states)
    # the factors of a weight are constant: each value is the same wherever it is used
    values: dict[str, Node] = {}
    for name, value in statements:
        if name in local:
            values[name] = with_values(value, values)
            continue
        match value:
            case Operation("+" | "-" as sign, (NameNode(name=changed, span=span), term)) if (
                changed == name and span.stop < value.span.start
            ):
                added = with_values(term, values)
            case _:
                raise EquationError(
                    "input is added", value.span, allowed="NAME += ... or NAME -= ..."
                )
        if sign == "-":
            added = Operation("neg", (added,), added.span)
        kind = kind_of(added, valid_units)
        if not isinstance(kind, Unit):
            raise EquationError("must be a number", added.span, allowed=f"such as {WEIGHT}/tau")
        this = units[name].times(kind, -1)
        if unit is not None and this != unit:
            raise EquationError("the weight has two units", added.span, allowed=str(unit))
        unit = this
        additions.append((name, added))
    if unit is None:
        raise DescriptionError("no statement", where=source.name, allowed=f"NAME += {WEIGHT}")
    if unit.tens:
        raise EquationError(
            f"the weight would have the unit {unit} times a power of ten",
            additions[0][1].span,
            allowed="units of ms, mV, pA, nS and pF",
        )
    return ReceptorInput(unit, str(unit), additions)
