"""A user's Python file as a model. Errors in it are reported with file and line."""

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from distsnn.errors import DescriptionError, DistsnnError
from distsnn.network import Network


def load_file(path: Path) -> ModuleType:
    """Run a Python file as a module; as for a script, its folder comes first on the path.

    Raises
    ------
    DescriptionError
        If it cannot be read or raises anything.
    """
    path = path.resolve()
    name = f"distsnn_model_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise DescriptionError("cannot be loaded as a Python file", where=str(path))
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    with model_errors(path, "the file"):
        specification.loader.exec_module(module)
    return module


def build_function(module: ModuleType) -> Callable[..., Any]:
    """Return a model's `build`.

    Raises
    ------
    DescriptionError
        If it has none.
    """
    build = getattr(module, "build", None)
    if not callable(build):
        raise DescriptionError(
            "the file defines no function build",
            where=str(module.__file__),
            hint="define build() -> Network",
        )
    function: Callable[..., Any] = build
    return function


def call(build: Callable[..., Any], arguments: dict[str, Any], path: Path) -> Network:
    """Call a model's `build`.

    Raises
    ------
    DescriptionError
        If it raises anything or returns no network.
    """
    with model_errors(path, "build"):
        network = build(**arguments)
    if not isinstance(network, Network):
        raise DescriptionError(
            "build returns no Network",
            where=source_location(build, path),
            value=type(network).__name__,
        )
    return network


def source_location(build: Callable[..., Any], path: Path) -> str:
    """Return where a function is defined, ``file, line``."""
    code = getattr(build, "__code__", None)
    return f"{path}, line {code.co_firstlineno}" if code is not None else str(path)


@contextmanager
def model_errors(path: Path, part: str) -> Iterator[None]:
    """Convert exceptions of a user's code to a DescriptionError with file and line."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except DistsnnError as error:
        # errors of distsnn are complete; only the line is missing
        raise DescriptionError(str(error), where=_place(error, path)) from error
    except SyntaxError as error:
        place = f"{error.filename}, line {error.lineno}" if error.filename else str(path)
        raise DescriptionError(f"{type(error).__name__}: {error.msg}", where=place) from error
    except BaseException as error:
        # also SystemExit, which would end one rank and leave the others waiting
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise DescriptionError(f"{part} raised {text}", where=_place(error, path)) from error


def _place(error: BaseException, path: Path) -> str:
    # The innermost line of the user's file, not of a library that it called.
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
    return f"{path}, line {lines[-1]}" if lines else str(path)
