"""What all parts of a description share: frozen, comparable with arrays, strict on keywords."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from distsnn.errors import unknown

V = TypeVar("V")

# In a field's metadata: it is newer than stores that must still be known as those of the same
# network, and so is not written while it has its default.
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


def readonly(array: npt.NDArray[Any], given: object) -> npt.NDArray[Any]:
    """Return an array that nobody can write to.

    Parameters
    ----------
    array : ndarray
        What was made of `given`.
    given : object
        What the user gave; where the array may share its memory, it is copied.
    """
    shared = array is given or array.base is not None
    if shared and (array.flags.writeable or array.base is not None):
        array = np.array(array)
    array.setflags(write=False)
    return array


def same(left: object, right: object) -> bool:
    """Compare two field values; arrays by shape and elements."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        both = isinstance(left, np.ndarray) and isinstance(right, np.ndarray)
        return both and np.array_equal(left, right)  # type: ignore[arg-type]
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, FrozenMapping) and isinstance(right, FrozenMapping):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
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


@dataclass(frozen=True, eq=False)
class Description:
    """Base class of all parts of a network's description.

    A subclass is a frozen dataclass with ``eq=False``: equality and hash come from here and work
    with arrays. An unknown keyword is a `DescriptionError` that names the nearest field.
    """

    def __new__(cls, *args: object, **keywords: object) -> Self:
        """Refuse unknown keywords before the constructor does, naming the nearest."""
        if keywords:
            known = [field.name for field in fields(cls)]
            for keyword in keywords:
                if keyword not in known:
                    raise unknown(cls.keyword_noun(), keyword, known, where=cls.__name__)
        return super().__new__(cls)

    @classmethod
    def keyword_noun(cls) -> str:
        """Return what an argument of the constructor is called in an error."""
        return "argument"

    def stored(self) -> Self:
        """Return what is written in this object's place when the description is stored."""
        return self

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
            same(getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
            if field.compare
        )

    def __hash__(self) -> int:
        values = (getattr(self, field.name) for field in fields(self) if field.compare)
        return hash((type(self).__name__, *map(_hashable, values)))
