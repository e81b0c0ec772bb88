"""Errors of functions that commands call, with the names of options."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from distsnn.errors import DescriptionError


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
