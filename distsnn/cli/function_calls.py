"""Calls of the functions that do what commands do: options become keywords, errors name options."""

import inspect
import re
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from distsnn.errors import InputError

T = TypeVar("T")

# Keywords that the options call by other names, and options without dashes.
_OPTIONS = {"settings": "set", "partition": "strategy"}
_POSITIONAL = ("model", "run", "folder", "command", "words")


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
    keywords: dict[str, Any] = {
        name: getattr(options, name)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name in options
    }
    with option_errors(options):
        return function(*arguments, **keywords | others)


@contextmanager
def option_errors(options: Namespace) -> Iterator[None]:
    """Name the option where the error of a function names a keyword.

    Parameters
    ----------
    options : Namespace
        The command line.
    """
    try:
        yield
    except InputError as error:
        match = re.match(r"(?:partition graph, field )?(\w+)(.*)", error.where, re.DOTALL)
        keyword, rest = ("", "") if match is None else match.groups()
        name = keyword if keyword in options else _OPTIONS.get(keyword, "")
        # a keyword, its value or its part: not "rates of population 'E'"
        names_keyword = (
            not rest or rest[0] in ":,[" or rest.startswith(f" {vars(options).get(name)}")
        )
        if name in options and name not in _POSITIONAL and names_keyword:
            # the same error: `comm` marks those that all ranks raise
            error.set_place(f"--{name.replace('_', '-')}{rest}")
        raise
