"""Writes the update entry of a neuron model as a module of its own in the kernel cache.

A model's kernel module knows one neuron and one step. Which of its constants differ from neuron
to neuron, the width of its state and of its input rows, and whether current stimuli reach it,
are a population's; each combination that occurs becomes one module, named by the hash of its
text, so that numba caches its machine code like that of any other file.
"""

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from distsnn.jit import Entry, cache_directory
from distsnn.kernels.emission import GROUP_SIZE

Floats = npt.NDArray[np.float64]


class NeuronKernel(Protocol):
    """A neuron's kernel module (see `distsnn.kernels.neurons`)."""

    STATES: tuple[str, ...]
    RECEPTORS: tuple[str, ...]
    CONSTANTS: Mapping[str, str]

    def propagators(self, parameters: Mapping[str, Floats], dt: float) -> dict[str, Floats]:
        """Return the constants."""


@dataclass(frozen=True)
class Variant:
    """Which update a population needs.

    Parameters
    ----------
    kernel : str
        Import name of the neuron's kernel module.
    precision : {"float32", "float64"}
        Type of real states and constants.
    row_bits : {32, 64}
        Width of the input rows.
    per_neuron : tuple of str
        Constants that are arrays, one value per neuron.
    counts : tuple of str
        State variables that are integers.
    current : bool
        Whether current stimuli reach the population.
    """

    kernel: str
    precision: str
    row_bits: int
    per_neuron: tuple[str, ...]
    counts: tuple[str, ...]
    current: bool


@dataclass(frozen=True)
class TableLayout:
    """Where the update entry finds what: positions in its table and scalars.

    Attributes
    ----------
    spiked, mask, stride : int
        Positions of the flags' address and of the ring's MASK and STRIDE.
    rings, states, arrays : mapping of str to int
        Positions of the addresses of receptors' rings, states and per-neuron constants.
    current : int
        Position of the address of the current (real, one per neuron); unused without.
    scalars : mapping of str to int
        Positions of shared constants in the scalars; the receptors' quanta come first, under the
        receptors' names.
    size : int
        Length of the table.
    """

    spiked: int
    mask: int
    stride: int
    rings: Mapping[str, int]
    states: Mapping[str, int]
    arrays: Mapping[str, int]
    current: int
    scalars: Mapping[str, int]
    size: int


def neuron_kernel(name: str) -> NeuronKernel:
    """Return a neuron's kernel module by its import name."""
    return cast(NeuronKernel, importlib.import_module(name))


def layout(variant: Variant) -> TableLayout:
    """Return the table layout of a variant's update entry."""
    kernel = neuron_kernel(variant.kernel)
    at = GROUP_SIZE + 4  # after the emission's words: spiked, mask, stride
    rings = {name: at + i for i, name in enumerate(kernel.RECEPTORS)}
    at += len(rings)
    states = {name: at + i for i, name in enumerate(kernel.STATES)}
    at += len(states)
    arrays = {name: at + i for i, name in enumerate(variant.per_neuron)}
    at += len(arrays)
    shared = [name for name in kernel.CONSTANTS if name not in variant.per_neuron]
    scalars = {name: i for i, name in enumerate([*kernel.RECEPTORS, *shared])}
    first = GROUP_SIZE + 1
    return TableLayout(first, first + 1, first + 2, rings, states, arrays, at, scalars, at + 1)


def source(variant: Variant) -> str:
    """Return the text of a variant's module."""
    kernel, where = neuron_kernel(variant.kernel), layout(variant)
    states, receptors, constants = kernel.STATES, kernel.RECEPTORS, kernel.CONSTANTS

    def type_of(name: str) -> str:
        is_count = name in variant.counts or constants.get(name) == "count"
        return "np.int32" if is_count else "real"

    rows = [f"in_{name}" for name in receptors]
    quanta = [f"q_{name}" for name in receptors]
    extra = ["current"] if variant.current else []
    inputs = [f"q_{name} * real(in_{name}[i])" for name in receptors]
    inputs.append("current[i]" if variant.current else "real(0.0)")
    values = [f"{name}[i]" if name in variant.per_neuron else name for name in constants]
    results = ", ".join(f"{name}[i]" for name in states)
    lines = [
        f'"""Generated from {variant.kernel} {sources_digest(variant.kernel)}: do not edit."""',
        "import numpy as np",
        "from distsnn.jit import array, entry, kernel",
        "from distsnn.kernels.emission import emit",
        f"from {variant.kernel} import step",
        f"real = np.{variant.precision}",
        "@kernel",
        f"def advance({', '.join([*states, *rows, *extra, 'spiked', *quanta, *constants])}):",
        f"    for i in range({states[0]}.size):",
        f"        {results}, flag = step(",
        f"            {', '.join([f'{name}[i]' for name in states] + inputs + values)}",
        "        )",
        *[f"        {row}[i] = 0" for row in rows],
        "        spiked[i] = flag",
        "@entry",
        "def update(table, scalars, first, last, loop):",
        "    n = last - first",
        f"    slot = (loop & table[{where.mask}]) * table[{where.stride}] + first",
    ]
    bytes_of = {"np.int32": 4, "real": 4 if variant.precision == "float32" else 8}
    row_type, row_bytes = f"np.int{variant.row_bits}", variant.row_bits // 8
    for name, at in where.states.items():
        kind = type_of(name)
        lines.append(f"    {name} = array(table[{at}] + {bytes_of[kind]} * first, n, {kind})")
    for name, at in where.rings.items():
        lines.append(f"    in_{name} = array(table[{at}] + {row_bytes} * slot, n, {row_type})")
    if variant.current:
        address = f"table[{where.current}] + {bytes_of['real']} * first"
        lines.append(f"    current = array({address}, n, real)")
    for name in constants:
        kind = type_of(name)
        if name in where.arrays:
            address = f"table[{where.arrays[name]}] + {bytes_of[kind]} * first"
            lines.append(f"    {name} = array({address}, n, {kind})")
        else:
            lines.append(f"    {name} = {kind}(scalars[{where.scalars[name]}])")
    lines += [f"    q_{name} = real(scalars[{where.scalars[name]}])" for name in receptors]
    flags = f"table[{where.spiked}] + first"
    lines += [
        f"    spiked = array({flags}, n, np.uint8)",
        f"    advance({', '.join([*states, *rows, *extra, 'spiked', *quanta, *constants])})",
        f"    emit(table, {flags}, first, last)",
        "    return 0",
        "",
    ]
    return "\n".join(lines)


def sources_digest(name: str) -> str:
    """Return a hash of a user's kernel module and of all it imports that nobody installed.

    The cache's name stands for the files of distsnn itself, and numba looks at the generated file
    alone: an edit of a user's file would go unnoticed. It is empty for distsnn's own kernels.
    """
    importlib.import_module(name)
    if name.partition(".")[0] == "distsnn":
        return ""
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
    top = name.partition(".")[0]
    if top == "distsnn" or top in sys.stdlib_module_names:
        return None
    file = getattr(sys.modules[name], "__file__", None)
    if file is None or not file.endswith(".py"):
        return None
    if "site-packages" in Path(file).parts and not installed:
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


@cache
def update_entry(variant: Variant) -> Entry:
    """Return the compiled update of a variant (its address is the machine code)."""
    return cast(Entry, load(source(variant)).update)


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
