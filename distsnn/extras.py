"""Packages of the optional extras (``pip install 'distsnn[EXTRA]'``): import them late, name them.

A plain installation imports every module that the package root offers. What needs an extra that is
not installed raises `MissingExtraError` when it is used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from distsnn.errors import DescriptionError


class MissingExtraError(DescriptionError, ImportError):
    """A function was called that needs a package of an extra, which is not installed.

    Parameters
    ----------
    package : str
        The package that is missing.
    extra : str
        The extra that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(
            f"the package {package!r} of the extra {extra!r} is not installed",
            hint=f"pip install 'distsnn[{extra}]'",
        )


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import packages of an extra in this context.

    Parameters
    ----------
    name : str
        The extra.

    Raises
    ------
    MissingExtraError
        If one of the packages is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "distsnn"):
            raise  # a fault of distsnn or of the package
        raise MissingExtraError(package, name) from error


class LazyModule:
    """A module that is imported when one of its attributes is first used.

    Parameters
    ----------
    module : str
        Its full name.
    extra : str
        The extra whose packages it needs.
    """

    def __init__(self, module: str, extra: str) -> None:
        self._module, self._extra = module, extra

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # as inspection of this object asks for
            raise AttributeError(name)
        with extra(self._extra):
            return getattr(import_module(self._module), name)


def load(module: str, name: str, extra_name: str) -> Any:
    """Return an object of a module that needs an extra.

    Parameters
    ----------
    module, name : str
        The module and the name in it.
    extra_name : str
        The extra whose packages the module needs.

    Returns
    -------
    object
        The object. If a package is not installed, a function that raises `MissingExtraError`.
    """
    try:
        with extra(extra_name):
            return getattr(import_module(module), name)
    except MissingExtraError as error:
        package = error.package

    def missing(*arguments: object, **keywords: object) -> None:
        raise MissingExtraError(package, extra_name)

    missing.__name__ = missing.__qualname__ = name
    missing.__doc__ = f"Raise an error: {name} needs pip install 'distsnn[{extra_name}]'."
    return missing
