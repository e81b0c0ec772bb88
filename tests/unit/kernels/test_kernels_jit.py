"""The kernel cache: keyed by all that decides machine code, used by the next process."""

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distsnn import jit, kernel_cache
from distsnn.codegen.modules import sources_digest
from distsnn.engine.kernel_calls import KernelCall, invoke

ROOT = Path(__file__).parents[3]


def _python(code: str, root: Path, cache: Path, **variables: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key[:6] != "NUMBA_"}
    environment |= {"DISTSNN_CACHE_DIR": str(cache), "PYTHONPATH": str(root), **variables}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


NAME = "from distsnn import kernel_cache; print(kernel_cache.fingerprint())"

# Run in a process that has the package from a copy, whose files it edits.
NAMES = """
import os
from pathlib import Path
from distsnn import kernel_cache

def name():
    kernel_cache.fingerprint.cache_clear()
    return kernel_cache.fingerprint()

package = Path(kernel_cache.__file__).parent
assert package == Path.cwd() / "distsnn", "only the copy is edited"
before = name()
for file in ("units.py", "codegen/update.py", "comm/mpi.py",
             "kernels/synapses/tsodyks2_synapse.py"):
    path = package / file
    path.write_text(path.read_text() + "# edited")
    assert name() == before, "no machine code comes from it, but for texts that are hashed"
neurons = package / "kernels" / "neurons"
neuron = neurons / "iaf_psc_exp.py"
neuron.write_text(neuron.read_text() + "# edited")
(neurons / "new.py").write_text("# new")
assert name() == before, "only the neuron's own machine code comes from it"
seen = [before]
for file in ("jit.py", "counter_rng.py", "kernels/source_spikes.py",
             "kernels/wiring_tables.py", "comm/group_entries.py", "comm/exchange_entries.py"):
    path = package / file
    path.write_text(path.read_text() + "# edited")
    seen.append(name())
new = package / "kernels" / "new.py"
new.write_text("# new")
seen.append(name())
new.rename(new.with_name("renamed.py"))
seen.append(name())
for variable in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_OPT"):
    os.environ[variable] = "3"
    seen.append(name())
os.environ["NUMBA_CACHE_DIR"] = "anywhere"
assert name() == seen[-1]
print(before, len(seen), len(set(seen)))
"""


def test_the_name_of_the_cache_is_that_of_all_sources_and_the_target(tmp_path: Path) -> None:
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "distsnn", tmp_path / "distsnn", symlinks=True, ignore=skip)
    # a copy elsewhere has the name of the original
    name = _python(NAME, ROOT, tmp_path)
    assert _python(NAMES, tmp_path, tmp_path) == f"{name} 12 12"


USE = """
from distsnn import kernel_cache
from distsnn.kernels import emission, functions
name = kernel_cache.fingerprint()
print(float(functions.exp_array(0.0)), emission.spike_source.address != 0, name)
"""


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    def files() -> dict[str, float]:
        return {
            str(path.relative_to(tmp_path)): path.stat().st_mtime
            for path in tmp_path.rglob("*")
            if path.is_file()
        }

    *said, name = _python(USE, ROOT, tmp_path).split()
    assert said == ["1.0", "True"]
    first = files()
    names = " ".join(first)
    for function in ("_exp_into", "spike_source"):
        assert f".{function}-" in names
    assert all(path.startswith(name) for path in first)
    assert _python(USE, ROOT, tmp_path).split() == [*said, name]
    assert files() == first


WITHOUT_SCIPY = """
import sys
import numba
import numpy as np
from distsnn.kernels import functions
functions.exp_array(0.0)
print("scipy.linalg" in sys.modules)
print(float(numba.njit(lambda a: np.dot(a, a))(np.full((1, 1), 3.0))[0, 0]))
print("scipy.linalg" in sys.modules)
"""


def test_kernels_do_not_import_scipy_but_other_functions_that_need_it_do(tmp_path: Path) -> None:
    pytest.importorskip("scipy", reason="scipy is not installed")
    assert _python(WITHOUT_SCIPY, ROOT, tmp_path).split() == ["False", "9.0", "True"]


@pytest.mark.parametrize(
    ("variables", "base"),
    [
        ({"DISTSNN_CACHE_DIR": "{}/given", "XDG_CACHE_HOME": "{}/xdg"}, "given"),
        ({"DISTSNN_CACHE_DIR": "", "XDG_CACHE_HOME": "{}/xdg"}, "xdg/distsnn"),
        ({"DISTSNN_CACHE_DIR": "", "XDG_CACHE_HOME": ""}, ".cache/distsnn"),
        ({"DISTSNN_CACHE_DIR": "~/mine"}, "mine"),
    ],
)
def test_cache_folder_follows_the_environment_variable(
    variables: dict[str, str], base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    found = kernel_cache.cache_directory.__wrapped__()
    assert found == tmp_path / base / kernel_cache.fingerprint()
    assert found.is_dir()


def test_another_librarys_cache_stays_where_it_is(tmp_path: Path) -> None:
    code = (
        "from numba.core import config; import distsnn.kernels.functions; print(config.CACHE_DIR)"
    )
    theirs = str(tmp_path / "theirs")
    assert _python(code, ROOT, tmp_path, NUMBA_CACHE_DIR=theirs) == theirs


HELPER = """
from distsnn.jit import inline
@inline
def jump_of(jump):
    return {JUMP} * jump
"""

KERNEL = """
import numpy as np
from distsnn.jit import inline
from my_helper import jump_of
STATES, RECEPTORS, CONSTANTS = ("V_m",), ("only",), {"jump": "real"}
def propagators(parameters, dt):
    return {"jump": np.asarray(1.0)}
@inline
def step(v, in_only, current, jump):
    return v + jump_of(jump), False
"""

RUN_KERNEL = """
import sys
import numpy as np
sys.path.insert(0, {folder!r})
from distsnn.codegen import update
from distsnn.engine.kernel_calls import KernelCall, invoke
variant = update.UpdateVariant("my_neuron", "float64", 32, (), (), False)
where = update.update_table_layout(variant)
call = KernelCall(update.update_entry(variant), np.zeros(where.size, np.int64), 0, 64,
            np.ones(where.n_scalars))
v = np.zeros(64)
for at, array in ((0, np.zeros(64, np.uint32)), (1, np.zeros(5, np.int64)),
                  (2, np.zeros(1, np.uint32)), (3, np.full(1, 64, np.int32)),
                  (where.spiked, np.zeros(64, np.uint8)), (where.states["V_m"], v),
                  (where.rings["only"], np.zeros(64, np.int32))):
    call.bind(at, array)
call.table[where.stride] = 64
invoke(call, 0)
print(v[63])
"""


@pytest.mark.ci
def test_edited_user_kernel_is_recompiled(tmp_path: Path) -> None:
    code = RUN_KERNEL.format(folder=str(tmp_path))
    (tmp_path / "my_neuron.py").write_text(KERNEL)
    # it is the module that the kernel imports that changes
    for jump in ("2.0", "5.0"):
        (tmp_path / "my_helper.py").write_text(HELPER.replace("{JUMP}", jump))
        assert _python(code, ROOT, tmp_path / "cache") == jump


def test_kernels_are_known_by_all_that_was_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "site-packages").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    own, helper, installed, library = (
        tmp_path / "known_kernel.py",
        tmp_path / "known_helper.py",
        tmp_path / "site-packages" / "known_installed.py",
        tmp_path / "site-packages" / "known_library.py",
    )
    own.write_text("from known_helper import a\nimport known_library\nimport numpy\n")
    helper.write_text("a = 1\n")
    library.write_text("b = 1\n")
    installed.write_text("c = 1\n")
    seen = [sources_digest("known_kernel"), sources_digest("known_installed")]
    helper.write_text("a = 2\n")
    seen.append(sources_digest("known_kernel"))
    library.write_text("b = 2\n")
    assert sources_digest("known_kernel") == seen[-1]
    own.write_text("from known_helper import a\n")
    seen.append(sources_digest("known_kernel"))
    installed.write_text("c = 2\n")
    seen.append(sources_digest("known_installed"))
    assert len(set(seen)) == len(seen) == 5


EDITED = """
from pathlib import Path
from distsnn.codegen.update import UpdateVariant, module_text
from distsnn.kernels import neurons

folder = Path(neurons.__file__).parent
assert Path.cwd() in folder.parents, "only the copy is edited"
other = folder / "importing.py"
other.write_text("from distsnn.kernels.neurons.iaf_psc_exp import *")
seen = {name: [] for name in ("iaf_psc_exp", "importing", "iaf_psc_delta")}
for edit in ("", "# edited"):
    file = folder / "iaf_psc_exp.py"
    file.write_text(file.read_text() + edit)
    for name, texts in seen.items():
        kernel = f"distsnn.kernels.neurons.{name}"
        texts.append(module_text(UpdateVariant(kernel, "float32", 32, (), ("refractory",), False)))
print(*(texts[0] == texts[1] for texts in seen.values()))
"""


def test_edit_of_a_neuron_recompiles_this_neuron_only(tmp_path: Path) -> None:
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "distsnn", tmp_path / "distsnn", symlinks=False, ignore=skip)
    assert _python(EDITED, tmp_path, tmp_path) == "False False True"


@jit.kernel_entry
def _sum(table, scalars, first, last, step):
    """Add a range of an array to a scalar's place."""
    values = jit.array(table[0], last, np.float64)
    out = jit.array(table[1], 1, np.float64)
    for i in range(first, last):
        jit.prefetch(table[0] + 8 * i)
        out[0] += values[i] * scalars[0]
    return step + 1


@jit.kernel
def _call(address, table, scalars, first, last, step):
    return jit.call(address, table, scalars, first, last, step)


@jit.kernel
def _ticks():
    return jit.ticks()


def test_entries_take_addresses_and_are_called_by_address() -> None:
    assert _sum.__doc__ is not None
    one = KernelCall(_sum, np.zeros(2, np.int64), 2, 5, np.array([0.5]))
    values, out = np.arange(10.0), np.zeros(1)
    one.bind(0, values)
    one.bind(1, out)
    assert invoke(one, 41) == 42
    assert out[0] == 0.5 * (2 + 3 + 4)
    address = (_sum.address, one.table.ctypes.data, one.scalars.ctypes.data)
    assert _call(*address, 0, 10, -1) == 0
    assert out[0] == 0.5 * (9 + 45)


@jit.inline
def _twice(x):
    return x + x


@jit.subroutine
def _plus_one(x):
    return x + 1


@jit.kernel
def _both(x):
    return _plus_one(_twice(x))


def test_what_only_kernels_call_runs_uncompiled_from_python() -> None:
    """numba has no address for such a call, before and after a kernel has compiled it."""
    for _ in range(2):
        # any object: this is no machine code
        assert (_twice("ab"), _twice(x=3), _plus_one(0.5)) == ("abab", 6, 1.5)
        assert _both(20) == 41


def test_garbage_collection_is_paused_and_restored() -> None:
    assert gc.isenabled()
    with pytest.raises(ValueError, match="inside"), jit.collection_paused():
        assert not gc.isenabled()
        with jit.collection_paused():
            pass
        assert not gc.isenabled()
        raise ValueError("inside")
    assert gc.isenabled()


def test_ticks_go_on() -> None:
    first = _ticks()
    assert _ticks() > first
