"""Generated modules: loading, and a digest of the sources on which their text depends."""

import ast
import hashlib
import importlib
import linecache
import re
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from types import ModuleType

from distsnn.network.equations.syntax import ELEMENTARY

_GENERATED = "distsnn_generated_"
# Packages of models whose sources are part of the names of generated modules.
_MODELS = ("distsnn.kernels.neurons.", "distsnn.kernels.plasticity.")

_ELEMENTARY = Path(__file__).parents[1] / "kernels" / "equations" / "elementary.py"
# Functions of numbers and of arrays in this file.
ELEMENTARY_NAMES = tuple(f"{name}{end}" for name in ELEMENTARY for end in ("", "_array"))


def load(text: str) -> ModuleType:
    """Execute a generated module's text, once, and return the module.

    The module has no file, so that no other process can change its text. `linecache` contains the
    text, for tracebacks and for the kernel cache.
    """
    name = f"{_GENERATED}{hashlib.sha256(text.encode()).hexdigest()[:20]}"
    if name in sys.modules:
        return sys.modules[name]
    file = _file(name)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(text, file, "exec"), module.__dict__)
    return module


def imports(
    code: Iterable[str],
    functions: Collection[str],
    of_rules: Iterable[str] = (),
    compilers: Iterable[str] = ("inline",),
) -> list[str]:
    """Return the import lines of some code.

    `functions` are in `kernels.functions`, `of_rules` in `kernels.rule_functions`, `compilers` in
    `distsnn.jit`.
    """
    words = set(re.findall(r"\w+", "\n".join(code)))
    lines = ["import numpy as np", ""] if "np" in words else []
    lines.append(f"from distsnn.jit import {', '.join(compilers)}")
    used = [name for name in functions if name in words]
    if used:
        lines.append(f"from distsnn.kernels.functions import {', '.join(used)}")
    used = [name for name in of_rules if name in words]
    if used:
        lines.append(f"from distsnn.kernels.rule_functions import {', '.join(used)}")
    # propagators also need expm1_array, of `kernels.functions`
    used = [name for name in ELEMENTARY_NAMES if name in words and name not in functions]
    if used:
        # the hash is part of the text, whose hash names the machine code
        digest = hashlib.sha256(_ELEMENTARY.read_bytes()).hexdigest()[:12]
        names = f"({', '.join(used)})"
        lines.append(f"from distsnn.kernels.equations.elementary import {names}  # {digest}")
    if "exponential" in words:
        lines.append("from distsnn.kernels.propagators import exponential")
    return lines


def _file(name: str) -> str:
    return f"<{name}>"


def sources_digest(name: str) -> str:
    """Return a hash of a kernel module and of its imports, without installed packages.

    The cache key covers all other files of distsnn, but numba checks the generated text only:
    without this hash, an edit of a neuron's file would go unnoticed.
    """
    importlib.import_module(name)
    digest, pending, visited = hashlib.sha256(), [name], {name}
    while pending:
        module = pending.pop(0)
        text = _source_of(module, installed=module == name)
        if text is None:
            continue
        digest.update(text)
        imported = {
            module_name for module_name in _imported(text) if module_name in sys.modules
        } - visited
        pending += sorted(imported)
        visited |= imported
    return digest.hexdigest()[:20]


def _source_of(name: str, *, installed: bool) -> bytes | None:
    top, built_in = name.partition(".")[0], name.startswith(_MODELS)
    if (top == "distsnn" and not built_in) or top in sys.stdlib_module_names:
        return None
    if name.startswith(_GENERATED):
        return "".join(linecache.getlines(_file(name))).encode()
    file = getattr(sys.modules[name], "__file__", None)
    if file is None or not file.endswith(".py"):
        return None
    if "site-packages" in Path(file).parts and not (installed or built_in):
        return None
    return Path(file).read_bytes()


def _imported(text: bytes) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names
