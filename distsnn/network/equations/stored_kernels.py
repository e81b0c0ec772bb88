"""Kernels that are generated from models: their names, and those that exist already.

The kernels of some models are part of the package. The kernels of all other models are kept as
Python text in the user's cache (`codegen.generated`), so that sympy is needed only once.
"""

import hashlib
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from distsnn.cache_folder import base_directory
from distsnn.network.model import kernel_module_of

# Number of hexadecimal digits.
HASH_LENGTH = 12
_PACKAGE = Path(__file__).parents[2]
# Files that decide what the kernel of a model is.
_GENERATOR = (
    *("codegen/*.py", "kernels/*.py", "kernels/equations/*.py"),
    "network/equations/*.py",
)
# The rest of a file's name is a hash; it has at most 255 bytes.
_LONGEST_NAME = 40


def kernel_name(model: Any) -> str:
    """Return the name of the kernel of a model written as equations: its name and a hash."""
    values = [getattr(model, field.name) for field in fields(model)]
    return f"{model.name[:_LONGEST_NAME]}_{_hash(repr(values))[:HASH_LENGTH]}"


def shipped_kernel(model: Any) -> str:
    """Return the import name of a neuron model's kernel in the package; empty: it has none.

    `codegen.built_in` writes these kernels, of the models that functions such as
    `iaf_psc_exp_multisynapse` make.
    """
    name = kernel_name(model)
    is_shipped = (_PACKAGE / "kernels" / "neurons" / f"{name}.py").exists()
    return kernel_module_of("neurons", name) if is_shipped else ""


@cache
def text_folder() -> str:
    """Return the name of the folder of texts: it has a hash of all that decides a text."""
    # a slow import, which other starts avoid
    from importlib.metadata import version

    files = [path for pattern in _GENERATOR for path in sorted(_PACKAGE.glob(pattern))]
    texts = [(path.relative_to(_PACKAGE).as_posix(), path.read_bytes()) for path in files]
    return f"texts-{_hash(repr((texts, sys.version_info[:2], version('sympy'))))[:24]}"


def text_file(model: Any, *, any_parts: bool = False, ordered: tuple[Any, ...] = ()) -> str:
    """Return the name of a kernel's text; the arguments are as of `codegen.equations`."""
    parts = "_parts" if any_parts else ""
    return f"{kernel_name(model)}{parts}{f'_{_hash(repr(ordered))[:8]}' if ordered else ''}.py"


def has_text(model: Any, *, any_parts: bool = False) -> bool:
    """Return whether the text of a model's kernel is kept: the model has been checked.

    Whoever could change this file cannot change more than the place of an error: the text is
    verified before it is executed.
    """
    folder = base_directory() / text_folder()
    return any(folder.glob(f"{kernel_name(model)}{'_parts' if any_parts else ''}*.py"))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
