"""Suggests the nearest of the public names and keywords, and shortens their signatures."""

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import reduce, wraps
from importlib.util import find_spec
from operator import or_
from pkgutil import iter_modules
from types import NoneType, UnionType
from typing import Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from distsnn.errors import UsageError, closest_name, unknown_name_error

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")


def is_submodule(package: str, name: str) -> bool:
    """Return whether a name, which the package does not have, is private or of a module in it.

    Python asks the package for such a name before it imports the module: the package must then
    raise AttributeError and load nothing.
    """
    return name.startswith("_") or find_spec(f"{package}.{name}") is not None


def no_such_name(package: str, name: str) -> AttributeError | ImportError:
    """Return the error that a package's `__getattr__` raises for a name that it does not have.

    Parameters
    ----------
    package : str
        The package.
    name : str
        The name. Suggested are public names of the package, its modules, and the same name in
        `distsnn`.
    """
    module, root = sys.modules[package], sys.modules["distsnn"]
    message = f"{package} has no name {name!r}"
    if is_submodule(package, name):
        return AttributeError(message, name=name, obj=module)
    names = getattr(module, "__all__", ()) or [each.name for each in iter_modules(module.__path__)]
    near = closest_name(name, names)
    if module is not root and name in dir(root):
        near = f"distsnn.{name}"
    message += f"; did you mean {near!r}?" if near else ""
    # `from PACKAGE import NAME` would replace an AttributeError by a message of its own
    if sys._getframe(2).f_globals.get("__name__") == "importlib._bootstrap":
        return ImportError(message, name=package, path=module.__file__)
    return AttributeError(message)


def public_function(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function suggest the nearest of its keywords for a misspelt one, with UsageError.

    Its signature, as `help` shows it, has no names of modules, and no keywords that begin with an
    underscore, which are for distsnn itself.
    """
    whole = inspect.signature(function)
    public = [value for name, value in whole.parameters.items() if not name.startswith("_")]
    keywords = [
        parameter.name
        for parameter in public
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and parameter.name != "self"
    ]
    label = function.__qualname__.removesuffix(".__init__")

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        for name in options:
            if name not in keywords and not (name.startswith("_") and name in whole.parameters):
                raise unknown_name_error("keyword", name, keywords, where=label, error=UsageError)
        return function(*arguments, **options)

    shown = short_signature(whole.replace(parameters=public), function.__globals__)
    call.__signature__ = shown  # type: ignore[attr-defined]
    return call


def public_class(cls: type[C]) -> type[C]:
    """Make the constructor of a class suggest keywords, as `public_function` does."""
    cls.__init__ = public_function(cls.__init__)  # type: ignore[method-assign]
    return cls


def short_signature(signature: inspect.Signature, names: Mapping[str, object]) -> inspect.Signature:
    """Return a signature in which annotations have the names that a module uses.

    Parameters
    ----------
    signature : Signature
        The signature.
    names : mapping of str to object
        Names of the module; its type aliases stand for what they are.
    """
    aliases = {name: value for name, value in names.items() if get_args(value)}

    def shortened(annotation: object) -> object:
        if annotation is inspect.Signature.empty:
            return annotation
        return _Text(_annotation(annotation, aliases))

    parameters = [
        parameter.replace(annotation=shortened(parameter.annotation))
        for parameter in signature.parameters.values()
    ]
    result = shortened(signature.return_annotation)
    return signature.replace(parameters=parameters, return_annotation=result)


class _Text(str):
    """A text that `inspect` shows without quotation marks."""

    def __repr__(self) -> str:
        return str(self)


def _annotation(annotation: object, aliases: Mapping[str, object]) -> str:
    """Return an annotation as a text, with names of type aliases and without module names."""
    for name, alias in aliases.items():
        if alias == annotation:
            return name
    if isinstance(annotation, str):
        return annotation
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(map(repr, arguments))
    if origin in (Union, UnionType):
        if NoneType in arguments:  # an alias may be a union, too
            others = reduce(or_, [member for member in arguments if member is not NoneType])
            return f"{_annotation(others, aliases)} | None"
        return " | ".join(_annotation(member, aliases) for member in arguments)
    name = getattr(origin or annotation, "__name__", str(annotation))
    if not arguments:
        return "..." if annotation is ... else name
    return f"{name}[{', '.join(_annotation(each, aliases) for each in arguments)}]"
