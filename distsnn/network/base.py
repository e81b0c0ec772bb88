"""Base class of descriptions: frozen, comparable with arrays, strict on keywords."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt

from distsnn.errors import unknown_name_error
from distsnn.public_api import short_signature

V = TypeVar("V")

# In a field's metadata: the field is newer than some stores of the same network, so it is
# not written while it has its default.
ADDED = "added"


class FrozenMapping(Mapping[str, V]):
    """A mapping that cannot change and, unlike a mapping proxy, can be pickled.

    Parameters
    ----------
    items : Mapping
        What it holds; copied.
    """

    def __init__(self, items: Mapping[str, V]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: str) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)


def readonly(array: npt.NDArray[Any], value: object) -> npt.NDArray[Any]:
    """Return a read-only array.

    Parameters
    ----------
    array : ndarray
        The array converted from `value`.
    value : object
        What the user gave; where the array may share its memory, it is copied.
    """
    shared = array is value or array.base is not None
    if shared and (array.flags.writeable or array.base is not None):
        array = np.array(array)
    array.setflags(write=False)
    return array


def equal_values(left: object, right: object) -> bool:
    """Compare two field values; arrays by shape and elements."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        both = isinstance(left, np.ndarray) and isinstance(right, np.ndarray)
        return both and np.array_equal(left, right)  # type: ignore[arg-type]
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(equal_values, left, right))
    if isinstance(left, FrozenMapping) and isinstance(right, FrozenMapping):
        return left.keys() == right.keys() and all(
            equal_values(left[key], right[key]) for key in left
        )
    return bool(left == right)


def _hashable(value: object) -> object:
    # Arrays and mappings go in by their outline only: equal values still have equal hashes.
    if isinstance(value, np.ndarray):
        return value.shape
    if isinstance(value, tuple):
        return tuple(map(_hashable, value))
    if isinstance(value, FrozenMapping):
        return frozenset(value)
    return value


class _Derived:
    """Descriptor of a class attribute that is computed when it is first read."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make
        # by class: a subclass has values of its own
        self._values: dict[type, Any] = {}

    def __get__(self, instance: object, owner: type) -> Any:
        if owner not in self._values:
            self._values[owner] = self._make(owner)
        return self._values[owner]


def derived(make: Callable[[Any], Any]) -> Any:
    """Return a class attribute that a function of the class computes when it is first read.

    Importing the package then waits for no model that is not used.
    """
    return _Derived(make)


def class_that_sets(cls: type, name: str) -> Any:
    """Return a class, or its first base class, whose body sets an attribute.

    Raises
    ------
    AttributeError
        If none does, so that tools such as `help` pass over attributes of abstract classes.
    """
    for base_class in cls.__mro__:
        if name in vars(base_class):
            return base_class
    raise AttributeError(f"class {cls.__name__} has no attribute {name!r}")


def _short_signature(cls: type) -> inspect.Signature:
    """Return the signature of a class, in which annotations have the names that its module uses."""
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    names: dict[str, object] = {}
    for base in cls.__mro__:
        if base.__module__ in sys.modules:
            names = {**vars(sys.modules[base.__module__]), **names}
    factories = {
        field.name: field.default_factory
        for field in (fields(cls) if is_dataclass(cls) else ())
        if callable(field.default_factory)  # MISSING is another object in a class from a pickle
    }
    _, *parameters = signature.parameters.values()  # without self
    for index, parameter in enumerate(parameters):
        if parameter.name in factories and parameter.default is not parameter.empty:
            parameter = parameter.replace(default=factories[parameter.name]())
        parameters[index] = parameter
    signature = signature.replace(parameters=parameters, return_annotation=signature.empty)
    return short_signature(signature, names)


@dataclass(frozen=True, eq=False)
class Description:
    """Base class of all parts of a network's description.

    A subclass is a frozen dataclass with ``eq=False``: equality and hash come from here and work
    with arrays. An unknown keyword is a `DescriptionError` that names the nearest field.
    """

    __signature__: ClassVar[Any] = derived(_short_signature)

    def __new__(cls, *args: object, **keywords: object) -> Self:
        """Refuse unknown keywords before the constructor does, naming the nearest."""
        if keywords:
            field_names = [field.name for field in fields(cls)]
            for keyword in keywords:
                if keyword not in field_names:
                    raise unknown_name_error(
                        cls.keyword_noun(), keyword, field_names, where=cls.__name__
                    )
        return super().__new__(cls)

    @classmethod
    def keyword_noun(cls) -> str:
        """Return what an argument of the constructor is called in an error."""
        return "argument"

    def stored(self) -> Self:
        """Return the object that is stored for this object in a description."""
        return self

    def _place(self, field: str) -> str:
        """Return the place that errors about a field name."""
        return f"{type(self).__name__}, field {field}"

    def _fill(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setstate__(self, state: dict[str, object]) -> None:
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)  # pickle forgets it
        self.__dict__.update(state)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(
            equal_values(getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
            if field.compare
        )

    def __hash__(self) -> int:
        values = (getattr(self, field.name) for field in fields(self) if field.compare)
        return hash((type(self).__name__, *map(_hashable, values)))
