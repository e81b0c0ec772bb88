"""Calls of the functions that do what commands do: options become keywords, errors name options."""

import inspect
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from distsnn.errors import DescriptionError

T = TypeVar("T")


def call_function(
    function: Callable[..., T], options: Namespace, *arguments: object, **others: object
) -> T:
    """Call a function with the options that have the names of its keywords.

    Parameters
    ----------
    function : callable
        The function.
    options : Namespace
        The command line.
    arguments, others : object
        Further arguments, and keywords in place of options.
    """
    names = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name in options
    ]
    keywords: dict[str, Any] = {name: getattr(options, name) for name in names}
    with option_errors(options, *names):
        return function(*arguments, **keywords | others)


@contextmanager
def option_errors(options: Namespace, *names: str) -> Iterator[None]:
    """Name the option where the error of a function names a keyword.

    Parameters
    ----------
    options : Namespace
        The command line.
    names : str
        Keywords of the function that are options of the command.
    """
    try:
        yield
    except DescriptionError as error:
        for name in names:
            # a keyword, or a keyword and its value: not "rates of population 'E'"
            if error.where == name or error.where.startswith(f"{name} {getattr(options, name)}"):
                where = f"--{name.replace('_', '-')}{error.where[len(name) :]}"
                # the same error: `comm` marks those that all ranks raise
                DescriptionError.__init__(
                    error,
                    error.problem,
                    where=where,
                    value=error.value,
                    allowed=error.allowed,
                    nearest=error.nearest,
                )
                break
        raise
