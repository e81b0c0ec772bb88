"""Example models that ``distsnn run NAME`` finds; each module defines ``build() -> Network``."""

import importlib
import pkgutil
from types import ModuleType

from distsnn.errors import unknown_name_error


def names() -> list[str]:
    """Return the names of all examples, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def example(name: str) -> ModuleType:
    """Return an example's module.

    Raises
    ------
    DescriptionError
        If no example has this name; the message contains the closest name.
    """
    if name not in names():
        raise unknown_name_error("example", name, names())
    return importlib.import_module(f"{__name__}.{name}")
