"""Settings ``NAME=VALUE``: from text to the arguments of a model's `build`."""

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distsnn.errors import DescriptionError, unknown_name_error

_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
_BY_NAME = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD


def setting_texts(settings: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Return settings, ``{"scale": 0.1}`` or ``["scale=0.1"]``, as texts ``NAME=VALUE``."""
    if isinstance(settings, Mapping):
        return [f"{name}={value}" for name, value in settings.items()]
    return list(settings)


def arguments(build: Callable[..., Any], settings: Sequence[str], *, where: str) -> dict[str, Any]:
    """Return the arguments that settings ask for.

    A text takes the type of the parameter's default; without a default, or where that is None, it
    is read as a Python literal and stays a text where it is none.

    Parameters
    ----------
    build : callable
        A model's function.
    settings : sequence of str
        Such as ``"scale=0.1"``.
    where : str
        The place named in an error.

    Raises
    ------
    DescriptionError
        If a setting is malformed or given twice, its name is unknown, its value has another type,
        or a parameter without a default is not set.
    """
    signature = inspect.signature(build)
    named = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind in _BY_NAME
    }
    takes_any = any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values()
    )
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not equals or not name:
            raise DescriptionError(
                "not a setting", where="settings", value=setting, allowed="NAME=VALUE"
            )
        if name in values:
            raise DescriptionError("set twice", where="settings", value=name)
        if name not in named and not takes_any:
            raise unknown_name_error("parameter", name, named, where=f"settings, {where}")
        default = named[name].default if name in named else inspect.Parameter.empty
        values[name] = _value(text.strip(), default, where=f"settings, {where}, parameter {name}")
    missing = [
        name
        for name, parameter in named.items()
        if parameter.default is inspect.Parameter.empty and name not in values
    ]
    if missing:
        raise DescriptionError(
            f"parameter {missing[0]!r} has no default",
            where=f"settings, {where}",
            hint=f"set {missing[0]}=VALUE",
        )
    return values


def defaults(build: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's parameters that have a default, with it."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(build).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }


def _value(text: str, default: Any, *, where: str) -> Any:
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise DescriptionError("must be true or false", where=where, value=text)
    if isinstance(default, int | float):
        kind = type(default)
        try:
            number = float(text)
            value = kind(text) if kind is float else _whole(text, number)
        except ValueError:
            expected = "a number" if kind is float else "an integer"
            raise DescriptionError(f"must be {expected}", where=where, value=text) from None
        return value
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _whole(text: str, number: float) -> int:
    # also 1e3
    try:
        return int(text)
    except ValueError:
        if not number.is_integer():
            raise
        return int(number)
