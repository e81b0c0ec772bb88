"""Module-level objects that functions change: few, each with a reason."""

import ast
from pathlib import Path

import distsnn

PACKAGE = Path(distsnn.__file__).parent
CHANGES = {
    *("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"),
    *("setdefault", "update"),
}
# Each is state of the process, not of a simulation; a comment beside it gives the reason.
ALLOWED = {
    ("comm/mpi.py", "_abandoned"),
    ("comm/supervision/heartbeat.py", "_running"),
    ("comm/supervision/liveness_socket.py", "_supervisor"),
    ("io/run_lock.py", "_held_locks"),
    ("network/registry.py", "_FUNCTIONS"),
    ("network/registry.py", "_MODELS"),
    ("network/registry.py", "_SYNAPSES"),
}


def module_names(tree: ast.Module) -> set[str]:
    """Return the names that a module assigns at its top level."""
    names = set()
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=targets):
                nodes = targets
            case ast.AnnAssign(target=target):
                nodes = [target]
            case _:
                continue
        names |= {node.id for top in nodes for node in ast.walk(top) if isinstance(node, ast.Name)}
    return names


def changed_names(text: str) -> set[str]:
    """Return the module-level names that functions of a module rebind, change or pass on whole.

    A container that is passed to another function of the module may be changed there.
    """
    tree = ast.parse(text)
    names, changed = module_names(tree), set()
    containers = {
        statement.target.id
        for statement in tree.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and isinstance(statement.value, ast.Dict | ast.List | ast.Set)
        and not ast.unparse(statement.value).strip("{}[]")
    }
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        nodes = [*ast.walk(function)]
        rebound = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
        stored = {
            node.id
            for node in nodes
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        arguments = {node.arg for node in nodes if isinstance(node, ast.arg)}
        visible = names - ((stored | arguments) - rebound)
        changed |= rebound | (
            containers & visible & {node.id for node in nodes if isinstance(node, ast.Name)}
        )
        for node in nodes:
            match node:
                case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                    changed |= {name} & visible
                case ast.Attribute(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                    changed |= {name} & visible
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute)):
                    changed |= {name} & visible if attribute in CHANGES else set()
    return changed


def test_changes_of_module_level_objects_are_found() -> None:
    text = (
        "A: dict = {}\nB = [1]\nC = D = E = None\nF: set = set()\n"
        "def f(E):\n    global C\n    B[0] = 1\n    E.append(1)\n    D = {}\n    D['x'] = 1\n"
        "    F.add(1)\n    g(A)\n"
    )
    assert changed_names(text) == {"A", "B", "C", "F"}


def test_few_module_level_objects_change() -> None:
    found = {
        (str(path.relative_to(PACKAGE)), name)
        for folder in (PACKAGE, *(PACKAGE / name for name in ("io", "partition", "slurm")))
        for path in folder.rglob("*.py")
        for name in changed_names(path.read_text(encoding="utf-8"))
    }
    assert found == ALLOWED
