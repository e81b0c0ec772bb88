"""Kinds of entries in the schema of a store (`distsnn.io.schema`): groups, attributes, arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distsnn.errors import StoreError, closest_name

_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "dict": (dict,),
    "list": (list,),
}


@dataclass(frozen=True)
class Attribute:
    """One attribute of a group: its JSON kind, its meaning, and whether a reader requires it."""

    name: str
    kind: str
    doc: str
    required: bool = True

    def check(self, value: object, *, path: str) -> None:
        """Raise StoreError if `value` is not of this attribute's kind."""
        allowed = _KINDS[self.kind]
        # JSON's true is an instance of Python's int.
        is_bool = isinstance(value, bool)
        if not isinstance(value, allowed) or (is_bool and self.kind != "bool"):
            raise StoreError(
                f"attribute {self.name!r} is {type(value).__name__}, must be {self.kind}", path=path
            )


@dataclass(frozen=True)
class GroupSpec:
    """A kind of group: the pattern of its path, its meaning and its attributes."""

    pattern: str
    doc: str
    attributes: tuple[Attribute, ...] = ()

    def check(self, attributes: Mapping[str, Any], *, path: str, writing: bool) -> None:
        """Validate attributes: all required ones, of the right kind and, on writing, no others.

        A reader ignores unknown attributes, so that a later minor version may add attributes.

        Raises
        ------
        StoreError
            If they do not match.
        """
        valid_attributes = {attribute.name: attribute for attribute in self.attributes}
        for name in attributes:
            if writing and name not in valid_attributes:
                hint = closest_name(name, valid_attributes)
                suffix = f"; did you mean {hint!r}?" if hint else ""
                raise StoreError(f"no attribute {name!r} in the schema{suffix}", path=path)
        for attribute in self.attributes:
            if attribute.name in attributes:
                attribute.check(attributes[attribute.name], path=path)
            elif attribute.required:
                raise StoreError(f"attribute {attribute.name!r} is missing", path=path)


@dataclass(frozen=True)
class ArraySpec:
    """A kind of array: the pattern of its path, dtypes, dimensions, unit and meaning.

    ``dims`` is empty if any shape is allowed; ``unit`` is empty if the array's attribute ``units``
    contains the unit.
    """

    pattern: str
    dtypes: tuple[str, ...]
    dims: tuple[str, ...]
    unit: str
    doc: str
    # The value of elements that were not written, which cannot be data.
    fill: Mapping[str, float | int]

    def check(self, dtype: object, ndim: int, *, path: str) -> None:
        """Raise StoreError if an array of this dtype and rank does not belong at `path`."""
        if str(dtype) not in self.dtypes:
            raise StoreError(f"dtype {dtype}, must be {' or '.join(self.dtypes)}", path=path)
        if self.dims and ndim != len(self.dims):
            raise StoreError(f"{ndim} dimensions, must be {self.dims}", path=path)
