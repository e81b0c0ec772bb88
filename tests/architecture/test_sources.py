"""The checkout keeps every rule of `source_rules`, and every rule fires on what breaks it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from campaigns import sampled
from source_rules import (
    ALLOWED,
    CLASSES,
    LINKED,
    PACKAGE,
    ROOT,
    Module,
    class_of,
    docstrings_with_questions,
    eager_root_imports,
    folders,
    forbidden_arrows,
    foreign_compilers,
    import_cycles,
    kernel_imports,
    layout,
    libm_calls,
    link_faults,
    modules_in,
    mpi_imports,
    relative_imports,
    too_long,
    unhashed_code,
)

from distsnn.kernel_cache import hashed_files

OURS = modules_in(PACKAGE, "distsnn")
OTHERS = [
    module for name in ("tests", "benchmarks", "docs") for module in modules_in(ROOT / name, name)
]
RULES = [
    docstrings_with_questions,
    eager_root_imports,
    forbidden_arrows,
    foreign_compilers,
    kernel_imports,
    libm_calls,
    mpi_imports,
    relative_imports,
    too_long,
]


def test_the_walk_reaches_every_source_folder_through_its_link() -> None:
    names = {module.name for module in OURS}
    for path in (path for folder in LINKED for path in (ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        assert ".".join(("distsnn", *parts)) in names
    assert {"distsnn.errors", "distsnn.jit", "distsnn.io.schema"} <= names


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps(rule: Callable[[Module], list[str]]) -> None:
    assert [line for module in OURS for line in rule(module)] == []


def test_the_package_has_no_cycle_of_imports() -> None:
    assert import_cycles(OURS) == []


def test_the_kernel_cache_hashes_all_code_that_files_share() -> None:
    paths = (path.relative_to(PACKAGE).with_suffix("") for path in hashed_files())
    hashed = {".".join(("distsnn", *path.parts)) for path in paths}
    # texts that are generated from a model tell of its file
    models = ("distsnn.kernels.neurons.", "distsnn.kernels.plasticity.")
    hashed |= {module.name for module in OURS if module.name.startswith(models)}
    assert [line for module in OURS for line in unhashed_code(module, hashed)] == []
    shared = Module("distsnn.a", "from distsnn.b import f\n@kernel\ndef g(x):\n    return f(x)")
    assert unhashed_code(shared, hashed) == [
        "distsnn.a:4: compiles f of distsnn.b, which is not hashed"
    ]
    assert unhashed_code(shared, hashed | {"distsnn.b"}) == []
    whole = Module("distsnn.a", "from distsnn import b\n@kernel\ndef g(x):\n    return b.f(x)")
    assert len(unhashed_code(whole, hashed)) == 1


@pytest.mark.parametrize("rule", [relative_imports, too_long], ids=lambda rule: rule.__name__)
def test_tests_and_benchmarks_keep(rule: Callable[[Module], list[str]]) -> None:
    assert [line for module in OTHERS for line in rule(module)] == []


def test_the_shared_conftest_leaves_mpi_alone() -> None:
    # A test that spawns mpiexec must not have initialised MPI itself.
    text = (ROOT / "tests" / "conftest.py").read_text()
    assert mpi_imports(Module("tests.conftest", text)) == []


def test_layout_of_the_package() -> None:
    files = {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
        for folder in folders(PACKAGE)
        for path in folder.glob("*.py")
    }
    assert layout(files) == []


def test_links_are_relative_and_lead_to_the_real_folders() -> None:
    assert link_faults(ROOT) == []


def test_links_that_are_absolute_missing_or_dangling_are_found(tmp_path: Path) -> None:
    (tmp_path / "distsnn" / "partition").mkdir(parents=True)
    (tmp_path / "io").mkdir()
    (tmp_path / "distsnn" / "io").symlink_to(tmp_path / "io")
    (tmp_path / "distsnn" / "slurm").symlink_to("../slurm")
    faults = {line.split(":")[0]: line for line in link_faults(tmp_path)}
    assert "not a link" in faults["partition"]
    assert "not ../io" in faults["io"]
    assert "nowhere" in faults["slurm"]


def test_every_class_has_its_arrows() -> None:
    assert set(ALLOWED) == set(CLASSES.values())
    assert set().union(*ALLOWED.values()) <= set(ALLOWED)


BAD = [
    (docstrings_with_questions, "distsnn.a", 'class A:\n    """What it holds."""'),
    # (rule, module, source)
    (forbidden_arrows, "distsnn.units", "import distsnn.network"),
    (forbidden_arrows, "distsnn.kernels.loop", "from distsnn.network import Network"),
    (forbidden_arrows, "distsnn.kernels.neurons.lif", "from distsnn import engine"),
    (forbidden_arrows, "distsnn.network.rules", "from distsnn.kernels import wiring"),
    (forbidden_arrows, "distsnn.network.rules", "def f():\n    import distsnn.engine.build"),
    (forbidden_arrows, "distsnn.codegen.emit", "import distsnn.engine"),
    (forbidden_arrows, "distsnn.coding.rate", "import distsnn.kernels.loop"),
    (forbidden_arrows, "distsnn.partition.metis", "import distsnn.partition.boards.route"),
    (forbidden_arrows, "distsnn.partition.metis", "import distsnn.engine"),
    (forbidden_arrows, "distsnn.comm.mpi", "from distsnn.network import Network"),
    (forbidden_arrows, "distsnn.io.reader", "import distsnn.comm.protocol"),
    (forbidden_arrows, "distsnn.engine.build", "from distsnn.partition import metis"),
    (forbidden_arrows, "distsnn.engine.build", "from distsnn.comm import protocol"),
    (forbidden_arrows, "distsnn.analysis.rates", "from distsnn.network import Network"),
    (forbidden_arrows, "distsnn.analysis.rates", "from distsnn import simulation"),
    (forbidden_arrows, "distsnn.simulation", "import distsnn.analysis"),
    (forbidden_arrows, "distsnn.simulation", "import distsnn.cli"),
    (forbidden_arrows, "distsnn.simulation", "import distsnn.tools.profiles"),
    (forbidden_arrows, "distsnn.tools.profiles", "import distsnn.cli"),
    (forbidden_arrows, "distsnn.slurm.submit", "import distsnn.network"),
    (forbidden_arrows, "distsnn.examples.brunel", "import distsnn.cli"),
    (forbidden_arrows, "distsnn.network.rules", "from distsnn import simulate"),
    (forbidden_arrows, "distsnn.helpers", "import os"),
    (forbidden_arrows, "distsnn.cli", "import distsnn.helpers"),
    (forbidden_arrows, "distsnn.cli", "from tests.conftest import x"),
    (forbidden_arrows, "distsnn.cli", "import benchmarks.peers"),
    (forbidden_arrows, "distsnn.cli", "from partition.assignment import Assignment"),
    (forbidden_arrows, "distsnn.network.rules", "import_module('distsnn.engine')"),
    (forbidden_arrows, "distsnn.network.rules", "importlib.import_module('distsnn.engine')"),
    (relative_imports, "distsnn.network.rules", "from . import values"),
    (relative_imports, "distsnn.network.rules", "from ..errors import DescriptionError"),
    (mpi_imports, "distsnn.comm.exchange", "from mpi4py import MPI"),
    (mpi_imports, "distsnn.simulation", "def f():\n    import mpi4py.MPI"),
    (eager_root_imports, "distsnn", "from distsnn.simulation import simulate"),
    (eager_root_imports, "distsnn", "if TYPE_CHECKING:\n    1\nelse:\n    import distsnn.engine"),
    (kernel_imports, "distsnn.kernels.loop", "import os"),
    (kernel_imports, "distsnn.kernels.loop", "from collections import deque"),
    (kernel_imports, "distsnn.kernels.loop", "import distsnn"),
    (kernel_imports, "distsnn.kernels.loop", "import numba_mpi"),
    (foreign_compilers, "distsnn.kernels.loop", "from numba import njit"),
    (foreign_compilers, "distsnn.engine.build", "import numba\nf = numba.njit(g)"),
    (libm_calls, "distsnn.kernels.a", "import math\n@kernel\ndef f(x):\n    return math.exp(x)"),
    (libm_calls, "distsnn.kernels.a", "import numpy as np\n@entry\ndef f(x):\n    y = np.log(x)"),
    (libm_calls, "distsnn.kernels.a", "from math import sin\n@inline\ndef f(x):\n    sin(x)"),
    (libm_calls, "distsnn.kernels.a", "from numpy import exp as e\n@kernel\ndef f(x):\n    e(x)"),
    (libm_calls, "distsnn.kernels.a", "import numpy\ndef f(x):\n    numpy.tanh(x)\nkernel(f)"),
    (libm_calls, "distsnn.kernels.a", "import numpy as np\nLN2 = np.log(2.0)"),
    (libm_calls, "distsnn.kernels.a", "@jit.kernel\ndef f(x):\n    return x**0.5"),
    (libm_calls, "distsnn.kernels.a", "@kernel\ndef f(x, n):\n    return 2.0**n"),
    (libm_calls, "distsnn.kernels.a", "@kernel\ndef f(x, n):\n    return pow(x, n)"),
    (libm_calls, "distsnn.counter_rng", "import math\n@inline\ndef f(x):\n    return math.log(x)"),
    (too_long, "distsnn.cli", "\n" * 651),
]


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    BAD,
    ids=[f"{case[0].__name__}-{i}" for i, case in enumerate(BAD)],
)
def test_a_rule_fires(rule: Callable[[Module], list[str]], name: str, source: str) -> None:
    assert len(rule(Module(name, source))) == 1


GOOD = [
    (forbidden_arrows, "distsnn.jit", "import os\nimport numba"),
    (forbidden_arrows, "distsnn.engine.build", "from distsnn.partition.assignment import A"),
    (forbidden_arrows, "distsnn.engine.build", "from distsnn.partition import assignment"),
    (forbidden_arrows, "distsnn.partition.boards.route", "import distsnn.partition.graph"),
    (forbidden_arrows, "distsnn.io.reader", "import io\nfrom distsnn.network import Network"),
    (forbidden_arrows, "distsnn.__main__", "from distsnn.cli import main"),
    (forbidden_arrows, "distsnn.cli", "from distsnn import __version__"),
    (forbidden_arrows, "distsnn.examples.brunel", "from distsnn import Network, simulate"),
    (mpi_imports, "distsnn.comm.mpi", "from mpi4py import MPI"),
    (eager_root_imports, "distsnn", "if TYPE_CHECKING:\n    from distsnn.network import *"),
    (eager_root_imports, "distsnn", "def __getattr__(name):\n    import distsnn.simulation"),
    (kernel_imports, "distsnn.kernels.loop", "import numpy as np\nfrom distsnn.jit import kernel"),
    (libm_calls, "distsnn.kernels.a", "import math\n@kernel\ndef f(x):\n    return math.sqrt(x)"),
    (libm_calls, "distsnn.kernels.a", "import math\ndef table(x):\n    return math.exp(x)"),
    (
        libm_calls,
        "distsnn.kernels.a",
        "from distsnn.kernels.functions import exp\n@kernel\ndef f(x):\n    return exp(x) ** 2",
    ),
    (libm_calls, "distsnn.kernels.a", "UNIT = 2.0**-32"),
    (docstrings_with_questions, "distsnn.a", '"""Whatever."""\ndef f():\n    """Return a."""'),
]


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    GOOD,
    ids=[f"{case[0].__name__}-{i}" for i, case in enumerate(GOOD)],
)
def test_source_rule_accepts_valid_modules(
    rule: Callable[[Module], list[str]], name: str, source: str
) -> None:
    assert rule(Module(name, source)) == []


def test_a_cycle_is_found_even_inside_a_function() -> None:
    one = Module("distsnn.network.a", "import distsnn.network.b")
    two = Module("distsnn.network.b", "def f():\n    from distsnn.network.a import x")
    assert len(import_cycles([one, two])) == 1
    assert import_cycles([one, Module("distsnn.network.b", "import numpy")]) == []


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"network/rules.py": ""}, "network/__init__.py:1: missing"),
        ({"network/__init__.py": "x = 1"}, "no line that says"),
        ({"io/__init__.py": '"""Stores."""'}, "io must have no __init__.py"),
        ({"comm/__init__.py": '"""Comm."""', "comm/queue.py": ""}, "'queue' is a name"),
        ({"select/__init__.py": '"""Selecting."""'}, "'select' is a name"),
    ],
)
def test_layout_fires(files: dict[str, str], what: str) -> None:
    found = layout({"__init__.py": '"""All."""', **files})
    assert any(what in line for line in found)


def test_layout_lets_io_pass() -> None:
    assert layout({"__init__.py": '"""All."""', "io/reader.py": ""}) == []


def _reachable(start: str) -> set[str]:
    """Return the classes that importing one class may load."""
    reached, todo = set(), [start]
    while todo:
        if (one := todo.pop()) not in reached:
            reached.add(one)
            todo += ALLOWED[one]
    return reached


@pytest.mark.parametrize(
    "name", sampled(["analysis", "network", "kernels", "partition", "io", "engine"], 6)
)
def test_importing_a_layer_loads_only_what_it_may_reach(name: str) -> None:
    """What the sources promise holds in a real interpreter, package ``__init__``s included."""
    mine = [module.name for module in OURS if class_of(module.name) == name]
    assert mine, f"distsnn.{name} has no module"
    code = (
        f"import importlib, sys\nfor name in {mine!r}: importlib.import_module(name)\n"
        "print(*(name for name in sys.modules if name.split('.')[0] in ('distsnn', 'mpi4py')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert "mpi4py" not in loaded
    # analysis -> io -> network is an arrow each, but analysis reads plain tables from the store:
    # what it reaches through io it must not load either.
    allowed = ALLOWED[name] | {name} if name == "analysis" else _reachable(name)
    assert {class_of(module) for module in loaded} - allowed <= {"distsnn"}


@pytest.mark.parametrize(
    ("module", "library"),
    [
        ("distsnn.simulation", "sympy"),  # only models of equations need it
        ("distsnn.cli.run_command", "numba"),  # the process that starts ranks does not
        ("distsnn.cli.info_command", "numba"),
    ],
)
def test_no_start_waits_for_a_library_that_it_does_not_need(module: str, library: str) -> None:
    code = f"import sys, distsnn.comm, {module}; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
