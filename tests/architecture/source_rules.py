"""The rules that the sources keep, each a pure function from parsed sources to what breaks it.

A violation is one line of text, ``module:line: what``. The tests apply every rule to the checkout
and, so that no rule can fall silent, to a snippet that breaks it.
"""

import ast
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "distsnn"
LINKED = ("partition", "io", "slurm")

# Who a module is: the longest dotted prefix (below ``distsnn``) that stands here.
CLASSES = {
    "errors": "leaves",
    "extras": "leaves",
    "public_api": "leaves",
    "units": "leaves",
    "jit": "leaves",
    "cache_folder": "leaves",
    "kernel_cache": "leaves",
    "counter_rng": "leaves",
    "deferred_signals": "leaves",
    "kernels": "kernels",
    "network": "network",
    "codegen": "codegen",
    "coding": "coding",
    "partition": "partition",
    "partition.assignment": "partition.assignment",
    "partition.boards": "partition.boards",
    "comm": "comm",
    "io": "io",
    "engine": "engine",
    "analysis": "analysis",
    "simulation": "simulation",
    # what analysis asks for synapses that no array of a store holds
    "simulation.stored_connections": "simulation.stored_connections",
    "slurm": "slurm",
    "tools": "tools",
    "examples": "examples",
    "cli": "cli",
    "cli.parser": "cli.parser",
    "cli.board_parsers": "cli.parser",
    "__main__": "cli",
    "": "distsnn",
}

_PARTITION = {"partition", "partition.assignment"}
_BOARDS = {*_PARTITION, "partition.boards"}
_ALL = set(CLASSES.values()) - {"cli", "cli.parser", "distsnn"}

# The allowed arrows between classes. A class always reaches itself; all else fails. The leaves
# reach only each other, without a cycle.
ALLOWED: dict[str, set[str]] = {
    "leaves": set(),
    "kernels": {"leaves"},
    "network": {"leaves"},
    "codegen": {"network", "kernels", "leaves"},
    "coding": {"network", "leaves"},
    "partition": {"partition.assignment", "network", "kernels", "leaves"},
    "partition.assignment": {"partition", "network", "leaves"},
    "partition.boards": {*_PARTITION, "network", "kernels", "leaves"},
    "comm": {"leaves"},
    "io": {"network", "leaves"},
    "engine": {"network", "kernels", "codegen", "partition.assignment", "leaves"},
    "analysis": {"io", "simulation.stored_connections", "leaves"},
    "simulation": {"network", *_PARTITION, "engine", "comm", "io", "leaves"},
    "simulation.stored_connections": {
        *("simulation", "network", *_PARTITION, "engine", "comm", "io", "leaves"),
    },
    "slurm": {"leaves"},
    "tools": {
        *("network", *_BOARDS, "engine", "comm", "io", "simulation", "analysis", "examples"),
        *("slurm", "cli.parser", "leaves"),
    },
    "examples": {*_ALL, "distsnn"} - {"tools"},
    "cli": {*_ALL, "cli.parser", "distsnn"},
    # the language of the command line, in which a batch script is written
    "cli.parser": {"comm", "leaves"},
    # The package's own __init__ may offer names of any layer, but only on demand
    # (see `eager_root_imports`): importing one layer must not import them all.
    "distsnn": _ALL,
}

# Beyond numpy and numba a kernel module may annotate, and keep the functions that it makes.
KERNEL_IMPORTS = {"numpy", "numba", "typing", "collections.abc", "functools"}

# Functions whose last bits depend on the C library, the CPU or SVML, in math and in numpy.
LIBM = re.compile(
    r"exp2?|expm1|log(2|10|1p)?|logaddexp2?|pow(er)?|float_power|(a|arc)?(sin|cos|tan)h?"
    r"|(arc|a)tan2|hypot|cbrt|erfc?|l?gamma|sinc|i0"
)
# What turns a function into machine code: ours, and numba's own.
OUR_COMPILERS = frozenset({"kernel", "subroutine", "inline", "entry"})
NUMBA_COMPILERS = frozenset({"njit", "jit", "cfunc", "vectorize", "guvectorize", "stencil"})

# A hint to cut a module in two, not to tear one thought apart.
MAX_LINES = 650


@dataclass(frozen=True)
class Module:
    """A source file: its dotted name (empty components never occur) and its text."""

    name: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.name)

    def at(self, node: ast.AST, what: str) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 1)}: {what}"


def folders(top: Path) -> Iterator[Path]:
    """Walk the folders of sources under `top`, through the package's links."""
    for folder, children, _ in os.walk(top, followlinks=True):
        children[:] = sorted(child for child in children if child != "__pycache__")
        yield Path(folder)


def modules_in(top: Path, prefix: str) -> list[Module]:
    """Read all modules under a folder, named as Python would import them."""
    found = []
    for folder in folders(top):
        for path in sorted(folder.glob("*.py")):
            parts = [prefix, *path.relative_to(top).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            found.append(Module(".".join(parts), path.read_text(encoding="utf-8")))
    return found


def class_of(name: str) -> str | None:
    """Return the class of a dotted name of the package, or None if it has none."""
    parts = name.split(".")[1:]
    if not parts:
        return "distsnn"
    for length in range(len(parts), 0, -1):
        if (known := CLASSES.get(".".join(parts[:length]))) is not None:
            return known
    return None


def imports(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield each absolute import as (node, dotted name), wherever it stands.

    ``from a import b`` gives ``a.b``: b may be a module; but ``distsnn`` itself where b is one of
    the names that it offers. A literal name given to ``import_module`` or ``__import__`` counts.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                offered = node.module == "distsnn" and alias.name not in CLASSES
                yield node, "distsnn" if offered else f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Call) and _last_name(node.func) in {
            "import_module",
            "__import__",
        }:
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node, argument.value


def forbidden_arrows(module: Module) -> list[str]:
    """Rule: imports inside the package follow the allowed arrows; nobody imports tests."""
    own = class_of(module.name)
    if own is None:
        return [f"{module.name}:1: belongs to no class of the table of arrows"]
    found = []
    for node, target in imports(module):
        top = target.split(".")[0]
        if top in {"tests", "benchmarks"}:
            found.append(module.at(node, f"imports {top}"))
        elif top in {"partition", "slurm"}:
            found.append(module.at(node, f"imports {top} not as distsnn.{top}"))
        elif top == "distsnn":
            other = class_of(target)
            if other != own and other not in ALLOWED[own]:
                found.append(module.at(node, f"{own} -> {other or 'no class'} ({target})"))
    return found


def relative_imports(module: Module) -> list[str]:
    """Rule: imports are absolute."""
    return [
        module.at(node, "relative import")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]


def mpi_imports(module: Module) -> list[str]:
    """Rule: comm/mpi.py is the only module that imports mpi4py."""
    if module.name == "distsnn.comm.mpi":
        return []
    return [
        module.at(node, "imports mpi4py")
        for node, target in imports(module)
        if target.split(".")[0] == "mpi4py"
    ]


def eager_root_imports(module: Module) -> list[str]:
    """Rule: the package's __init__ runs imports of more than leaves only inside a function."""
    if module.name != "distsnn":
        return []
    later = {
        id(node)
        for block in ast.walk(module.tree)
        if isinstance(block, ast.FunctionDef)
        or (isinstance(block, ast.If) and _last_name(block.test) == "TYPE_CHECKING")
        for statement in block.body
        for node in ast.walk(statement)
    }
    return [
        module.at(node, f"imports {target} at once")
        for node, target in imports(module)
        if target.split(".")[0] == "distsnn" and class_of(target) != "leaves"
        if id(node) not in later
    ]


def import_cycles(modules: Iterable[Module]) -> list[str]:
    """Rule: no cycle of imports, not even one hidden in functions."""
    known = {module.name: module for module in modules}
    graph: dict[str, set[str]] = {name: set() for name in known}
    for name, module in known.items():
        for _, target in imports(module):
            if target in known:
                graph[name].add(target)
            elif (parent := target.rpartition(".")[0]) in known:
                graph[name].add(parent)
        graph[name].discard(name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"{error.args[1][0]}:1: cycle {' <- '.join(error.args[1])}"]
    return []


def kernel_imports(module: Module) -> list[str]:
    """Rule: kernels import only numpy, numba, the leaves and kernels."""
    if class_of(module.name) != "kernels":
        return []
    found = []
    for node, target in imports(module):
        if class_of(target) in {"leaves", "kernels"} and target.startswith("distsnn."):
            continue
        if not any(f"{target}.".startswith(f"{allowed}.") for allowed in KERNEL_IMPORTS):
            found.append(module.at(node, f"a kernel imports {target}"))
    return found


def foreign_compilers(module: Module) -> list[str]:
    """Rule: jit.py alone calls numba's compilers, so it alone sets flags and the cache."""
    if module.name == "distsnn.jit":
        return []
    found = [
        module.at(node, f"uses {target}")
        for node, target in imports(module)
        if target.startswith("numba.") and target.split(".")[-1] in NUMBA_COMPILERS
    ]
    found += [
        module.at(node, f"uses numba.{node.attr}")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in NUMBA_COMPILERS
        if isinstance(node.value, ast.Name) and node.value.id in {"numba", "nb"}
    ]
    return found


def _last_name(node: ast.AST) -> str:
    """Return ``c`` of ``c``, ``a.b.c`` or a call of either, else an empty string."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _compiled_functions(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes of the bodies of compiled functions."""
    compilers = OUR_COMPILERS | NUMBA_COMPILERS
    handed_over = {
        argument.id
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _last_name(call.func) in compilers
        for argument in call.args
        if isinstance(argument, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (
            node.name in handed_over
            or any(_last_name(decorator) in compilers for decorator in node.decorator_list)
        ):
            yield from (inner for statement in node.body for inner in ast.walk(statement))


def _compiled_code(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes that machine code comes from: compiled functions and module constants."""
    yield from _compiled_functions(tree)
    for statement in tree.body:
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield from ast.walk(statement)


def _is_literal(node: ast.AST) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_literal(node.operand)
    return isinstance(node, ast.Constant)


def _is_integer(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def unhashed_code(module: Module, hashed: set[str]) -> list[str]:
    """Rule: what compiled functions take from other files is hashed by the kernel cache.

    Parameters
    ----------
    module : Module
        A module of the package.
    hashed : set of str
        Names of modules of which an edit gives the cache, or the compiled text, another name.
    """
    sources = {
        alias.asname or alias.name: (
            f"distsnn.{alias.name}" if node.module == "distsnn" else f"{node.module}"
        )
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("distsnn.")
        for alias in node.names
    }
    return [
        module.at(node, f"compiles {node.id} of {sources[node.id]}, which is not hashed")
        for node in _compiled_functions(module.tree)
        if isinstance(node, ast.Name) and sources.get(node.id, "distsnn.jit") not in hashed
    ]


def libm_calls(module: Module) -> list[str]:
    """Rule: nothing in a kernel's machine code, nor a constant of it, comes from libm or SVML.

    Plain Python functions of a kernel module may use them. A power with a literal positive integer
    exponent is a product, and a power of two literals is a constant of the compiler.
    """
    if class_of(module.name) != "kernels" and module.name != "distsnn.counter_rng":
        return []
    libraries = {"math", "cmath", "numpy"}
    names, functions = {}, {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names.update({alias.asname or alias.name: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and node.module in libraries:
            functions.update({alias.asname or alias.name: alias.name for alias in node.names})
    found = set()
    for node in _compiled_code(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if names.get(node.value.id) in libraries and LIBM.fullmatch(node.attr):
                found.add(module.at(node, f"{node.value.id}.{node.attr} in machine code"))
        elif isinstance(node, ast.Name) and LIBM.fullmatch(functions.get(node.id, node.id)):
            if node.id in functions or node.id == "pow":
                found.add(module.at(node, f"{node.id} in machine code"))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            constant = _is_literal(node.left) and _is_literal(node.right)
            if not constant and not _is_integer(node.right):
                found.add(module.at(node, "a power in machine code"))
    return sorted(found)


def too_long(module: Module) -> list[str]:
    """Rule: a module has at most `MAX_LINES` lines."""
    lines = len(module.source.splitlines())
    return [f"{module.name}:{lines}: longer than {MAX_LINES} lines"] if lines > MAX_LINES else []


def docstrings_with_questions(module: Module) -> list[str]:
    """Rule: a docstring begins with a noun or a verb, not with What, Which, Who or How."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(module.tree) if isinstance(node, kinds)]
    texts = [ast.get_docstring(node) or "" for node in nodes]
    return [
        f"{module.name}: {text.splitlines()[0]}"
        for text in texts
        if text.startswith(("What ", "Which ", "Who ", "How "))
    ]


def layout(files: Mapping[str, str]) -> list[str]:
    """Rule: every folder says in its ``__init__`` what lives there; io has none; no stdlib names.

    A module with a standard-library name inside a package shadows the library for whoever runs a
    file of that folder, and an ``io/__init__.py`` shadows it for the interpreter itself.

    Parameters
    ----------
    files : mapping of str to str
        Text of each .py file by its path below the package, e.g. ``"network/rules.py"``.
    """
    found = []
    packages = {str(Path(path).parent) for path in files}
    for package in sorted(packages):
        path = f"{package}/__init__.py" if package != "." else "__init__.py"
        if package == "io":
            found += [f"{path}:1: io must have no __init__.py"] if path in files else []
        elif path not in files:
            found.append(f"{path}:1: missing")
        elif not (ast.get_docstring(ast.parse(files[path])) or "").partition("\n")[0].strip():
            found.append(f"{path}:1: no line that says what lives here")
    for path in sorted(files):
        parts = Path(path).with_suffix("").parts
        names = parts[1:] if parts[0] == "io" else parts
        regular = names if parts[0] != "io" or len(parts) > 2 else ()
        found += [
            f"{path}:1: {name!r} is a name of the standard library"
            for name in regular
            if name in sys.stdlib_module_names
        ]
    return found


def link_faults(root: Path) -> list[str]:
    """Rule: the package reaches partition, io and slurm through committed relative links."""
    found = []
    for name in LINKED:
        link = root / "distsnn" / name
        if not link.is_symlink():
            found.append(f"{name}: distsnn/{name} is not a link")
        elif link.readlink().as_posix() != f"../{name}":
            found.append(f"{name}: the link leads to {link.readlink()}, not ../{name}")
        elif not link.is_dir():
            found.append(f"{name}: the link leads nowhere")
    return found
