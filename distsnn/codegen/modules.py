"""Modules that are written: their files in the kernel cache, and what their text depends on."""

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from distsnn.jit import cache_directory

# Where the models are whose sources the names of generated modules tell of.
_MODELS = ("distsnn.kernels.neurons.", "distsnn.kernels.plasticity.")


def load(text: str) -> ModuleType:
    """Write a module's text into the kernel cache, unless it is there, and import it."""
    name = f"distsnn_generated_{hashlib.sha256(text.encode()).hexdigest()[:20]}"
    if name in sys.modules:
        return sys.modules[name]
    path = cache_directory() / f"{name}.py"
    if not path.exists():
        # ranks may write at once: each its own file, and the rename is atomic
        handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".partial")
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(partial).replace(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def sources_digest(name: str) -> str:
    """Return a hash of a kernel module and of all it imports that nobody installed.

    The cache's name stands for all other files of distsnn, and numba looks at the generated file
    alone: an edit of a neuron's file would go unnoticed.
    """
    importlib.import_module(name)
    digest, left, seen = hashlib.sha256(), [name], {name}
    while left:
        module = left.pop(0)
        text = _own_source(module, installed=module == name)
        if text is None:
            continue
        digest.update(text)
        found = {one for one in _imported(text) if one in sys.modules} - seen
        left += sorted(found)
        seen |= found
    return digest.hexdigest()[:20]


def _own_source(name: str, *, installed: bool) -> bytes | None:
    top, built_in = name.partition(".")[0], name.startswith(_MODELS)
    if (top == "distsnn" and not built_in) or top in sys.stdlib_module_names:
        return None
    file = getattr(sys.modules[name], "__file__", None)
    if file is None or not file.endswith(".py"):
        return None
    if "site-packages" in Path(file).parts and not (installed or built_in):
        return None
    return Path(file).read_bytes()


def _imported(text: bytes) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found
