"""A board's figures, each with its source and how far it can be relied on.

A file gives a figure as ``{value: 1023, source: spinn_machine, confidence: high}``, where the
source is a key of the file's own table ``sources``, or as ``null``: unknown. What needs an unknown
figure is refused by `Figure.need`: nothing is guessed.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from distsnn.errors import DescriptionError, unknown

T = TypeVar("T")
S = TypeVar("S")

# high: the maker's documents or tools say so; medium: a published measurement or description;
# low: second hand, or worked out from other figures.
CONFIDENCES = ("high", "medium", "low")
# A whole number that float64 represents exactly.
_MAX_COUNT = 2**53


@dataclass(frozen=True)
class BoardParameter(Generic[T]):
    """One figure of a board.

    Parameters
    ----------
    value : T or None
        The value; None where it is not known.
    source : str
        Key of the board's table of sources; empty where nothing is known.
    confidence : str
        One of `CONFIDENCES`; empty where nothing is known.
    note : str
        What the figure means beyond its name.
    where : str
        Board and field, for errors.
    """

    value: T | None = None
    source: str = ""
    confidence: str = ""
    note: str = ""
    where: str = field(default="", compare=False)

    def require(self, purpose: str) -> T:
        """Return the value.

        Parameters
        ----------
        purpose : str
            What it is needed for, such as ``"the energy of hops"``.

        Raises
        ------
        DescriptionError
            If it is unknown.
        """
        if self.value is None:
            raise DescriptionError(
                f"unknown, but {purpose} cannot be told without it",
                where=self.where,
                allowed="a value with its source, in a description of your own",
            )
        return self.value


def count_field(*, low: int = 0) -> Any:
    """Declare a figure that is a whole number."""
    return field(metadata={"kind": "count", "low": low})


def number_field() -> Any:
    """Declare a figure that is a number, not negative."""
    return field(metadata={"kind": "amount"})


def bool_field() -> Any:
    """Declare a figure that is true or false."""
    return field(metadata={"kind": "flag"})


def name_list_field() -> Any:
    """Declare a figure that is a list of names."""
    return field(metadata={"kind": "names"})


def choice_field(*allowed: str) -> Any:
    """Declare a figure that is one of some words."""
    return field(metadata={"kind": "word", "allowed": allowed})


def read_section(cls: type[S], data: object, sources: Mapping[str, str], *, where: str) -> S:
    """Return a section of a description: a dataclass of figures.

    Parameters
    ----------
    cls : type
        The dataclass; each field is declared by one of this module's functions.
    data : object
        The file's mapping; every field must be there, if only as null.
    sources : mapping of str to str
        The file's table of sources.
    where : str
        File and section, for errors.

    Raises
    ------
    DescriptionError
        If a field is missing, unknown, or not what it must be; it names file and field.
    """
    specs = dataclasses.fields(cls)  # type: ignore[arg-type]
    values = read_mapping(data, [spec.name for spec in specs], where=where)
    return cls(
        **{
            spec.name: read_parameter(
                values[spec.name], spec.metadata, sources, where=f"{where}.{spec.name}"
            )
            for spec in specs
        }
    )


def read_mapping(
    data: object, required: list[str], *, where: str, optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return a mapping that has all required keys and no unknown one.

    Raises
    ------
    DescriptionError
        If not; it names the key, and the nearest valid one for a typo.
    """
    if not isinstance(data, Mapping):
        raise DescriptionError("must be a mapping", where=where, value=data)
    for key in data:
        if key not in required and key not in optional:
            raise unknown("field", key, [*required, *optional], where=where)
    for key in required:
        if key not in data:
            raise DescriptionError(
                f"field {key!r} is missing", where=where, allowed="a value, or null if unknown"
            )
    return dict(data)


def read_parameter(
    data: object, spec: Mapping[str, Any], sources: Mapping[str, str], *, where: str
) -> BoardParameter[Any]:
    """Return one figure of a description."""
    if data is None:
        return BoardParameter(where=where)
    parts = read_mapping(data, ["value", "source", "confidence"], where=where, optional=("note",))
    note = parts.get("note", "")
    if not isinstance(note, str):
        raise DescriptionError("must be a text", where=f"{where}.note", value=note)
    if parts["source"] not in [*sources]:  # it may be what cannot be a key
        raise unknown("source", parts["source"], sources, where=where)
    if parts["confidence"] not in CONFIDENCES:
        raise unknown("confidence", parts["confidence"], CONFIDENCES, where=where)
    value = None if parts["value"] is None else _checked_value(parts["value"], spec, where=where)
    return BoardParameter(value, parts["source"], parts["confidence"], note, where)


def _checked_value(value: Any, spec: Mapping[str, Any], *, where: str) -> Any:
    kind = spec["kind"]
    if kind == "word":
        if value not in spec["allowed"]:
            raise unknown("word", value, spec["allowed"], where=where)
        return value
    if kind == "names":
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise DescriptionError("must be a list of names", where=where, value=value)
        return tuple(value)
    if kind == "flag":
        if not isinstance(value, bool):
            raise DescriptionError("must be true or false", where=where, value=value)
        return value
    if kind == "count":
        return read_count(value, where=where, low=spec["low"])
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = " (YAML reads 1e-9 as a text: write 1.0e-9)" if isinstance(value, str) else ""
        raise DescriptionError(f"must be a number{hint}", where=where, value=value)
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits
        number = math.inf
    if not math.isfinite(number) or number < 0.0:
        raise DescriptionError("out of range", where=where, value=value, allowed="finite, >= 0")
    return number


def read_count(value: object, *, where: str, low: int = 0) -> int:
    """Return a whole number, at least `low`, that float64 can represent."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise DescriptionError("must be a whole number", where=where, value=value)
    if not low <= value <= _MAX_COUNT:
        allowed = f">= {low} and <= {_MAX_COUNT:,}"
        raise DescriptionError("out of range", where=where, value=value, allowed=allowed)
    return value
