"""Board parameters: values of a board file, each with source and confidence.

A file contains ``{value: 1023, source: spinn_machine, confidence: high}``, where the source is a
key of the file's table ``sources``, or ``null`` for an unknown value. `BoardParameter.require`
raises an error for an unknown value: no value is guessed.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from distsnn.errors import DescriptionError, unknown_name_error

T = TypeVar("T")
S = TypeVar("S")

# high: documents or tools of the maker; medium: a published measurement or description;
# low: second hand, or computed from other values.
CONFIDENCES = ("high", "medium", "low")
# The largest integer up to which float64 represents all integers.
_MAX_COUNT = 2**53


@dataclass(frozen=True)
class BoardParameter(Generic[T]):
    """A value of a board file with source and confidence.

    Parameters
    ----------
    value : T or None
        The value; None if it is unknown.
    source : str
        Key of the board's table of sources; empty without an entry in the file.
    confidence : str
        One of `CONFIDENCES`; empty without an entry in the file.
    note : str
        Explanation of the value.
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
            The quantity that needs it, such as ``"the energy of hops"``.

        Raises
        ------
        DescriptionError
            If it is unknown.
        """
        if self.value is None:
            raise DescriptionError(
                f"{purpose} cannot be computed: this board parameter is unknown",
                where=self.where,
                hint="set it, with its source, in a copy of the board file",
            )
        return self.value


def count_field(*, low: int = 0) -> Any:
    """Declare a board parameter that is an integer of at least `low`."""
    return field(metadata={"kind": "count", "low": low})


def number_field() -> Any:
    """Declare a board parameter that is a number of at least 0."""
    return field(metadata={"kind": "amount"})


def bool_field() -> Any:
    """Declare a board parameter that is true or false."""
    return field(metadata={"kind": "flag"})


def name_list_field() -> Any:
    """Declare a board parameter that is a list of names."""
    return field(metadata={"kind": "names"})


def choice_field(*allowed: str) -> Any:
    """Declare a board parameter that is one of the allowed words."""
    return field(metadata={"kind": "word", "allowed": allowed})


def read_section(cls: type[S], data: object, sources: Mapping[str, str], *, where: str) -> S:
    """Read a section of a board file: a dataclass of board parameters.

    Parameters
    ----------
    cls : type
        The dataclass, with fields declared by the functions of this module.
    data : object
        The mapping from the file; it must have every field, possibly as null.
    sources : mapping of str to str
        The file's table of sources.
    where : str
        File and section, for errors.

    Raises
    ------
    DescriptionError
        If a field is missing, unknown or invalid.
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
    """Check that data is a mapping with all required keys and no unknown key, and return it.

    Raises
    ------
    DescriptionError
        If it is not; the error names the key, and the closest valid key.
    """
    if not isinstance(data, Mapping):
        raise DescriptionError("must be a mapping", where=where, value=data)
    for key in data:
        if key not in required and key not in optional:
            raise unknown_name_error("field", key, [*required, *optional], where=where)
    for key in required:
        if key not in data:
            raise DescriptionError(
                f"field {key!r} is missing", where=where, allowed="a value, or null if unknown"
            )
    return dict(data)


def read_parameter(
    data: object, spec: Mapping[str, Any], sources: Mapping[str, str], *, where: str
) -> BoardParameter[Any]:
    """Read a board parameter of a board file."""
    if data is None:
        return BoardParameter(where=where)
    parts = read_mapping(data, ["value", "source", "confidence"], where=where, optional=("note",))
    note = parts.get("note", "")
    if not isinstance(note, str):
        raise DescriptionError("must be a text", where=f"{where}.note", value=note)
    if parts["source"] not in [*sources]:  # the value may be unhashable
        raise unknown_name_error("source", parts["source"], sources, where=where)
    if parts["confidence"] not in CONFIDENCES:
        raise unknown_name_error("confidence", parts["confidence"], CONFIDENCES, where=where)
    value = None if parts["value"] is None else _checked_value(parts["value"], spec, where=where)
    return BoardParameter(value, parts["source"], parts["confidence"], note, where)


def _checked_value(value: Any, spec: Mapping[str, Any], *, where: str) -> Any:
    kind = spec["kind"]
    if kind == "word":
        if value not in spec["allowed"]:
            raise unknown_name_error("word", value, spec["allowed"], where=where)
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
    """Check that a value is an integer of at least `low` that float64 represents exactly."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise DescriptionError("must be an integer", where=where, value=value)
    if not low <= value <= _MAX_COUNT:
        allowed = f">= {low} and <= {_MAX_COUNT:,}"
        raise DescriptionError("out of range", where=where, value=value, allowed=allowed)
    return value
