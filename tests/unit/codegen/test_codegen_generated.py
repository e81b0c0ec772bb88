"""Texts of user-defined models are generated once per user, and verified before they are run."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from own_models import LIF

from distsnn import cache_folder, kernel_cache
from distsnn.codegen import generated
from distsnn.codegen.equations import kernel_text
from distsnn.network import NeuronModel
from distsnn.network.equations.stored_kernels import has_text, text_file, text_folder

# All kinds of models of a user, and a class of a user whose kernel has substeps.
PROGRAM = """
import sys
from pathlib import Path
from typing import ClassVar
from distsnn import kernel_cache
machine_code = Path(sys.argv[1])  # of all tests
kernel_cache.cache_directory = lambda: machine_code
from distsnn import (
    AllToAll, EquationNeuron, Network, NeuronEquations, NeuronModel, PlasticityModel, Population,
    PoissonInput, Projection, Simulation, SubsteppedNeuron, TransmissionModel, Value,
    iaf_psc_exp_multisynapse, neuron_model, parameter
)
lif = NeuronModel(
    "dv/dt = (40*mV - v)/tau : mV", threshold="v > 10*mV", reset="v = 0*mV",
    receptors={"in": "v"}, parameters={"tau": (10.0, "ms", "> 0")}, name="own_lif",
)
rule = PlasticityModel(
    "dx/dt = -x/tau : mV (pre)", on_pre="w = clip(w + x, 0, w_max); x += 1*mV",
    parameters={"tau": (20.0, "ms")}, weight_unit="mV", name="own_rule",
)
scaling = TransmissionModel(
    "dx/dt = (1 - x)/tau : 1 (pre)", on_pre="used = 0.5*x; x -= used", transmit="w*used",
    parameters={"tau": (100.0, "ms", "> 0")}, name="own_scaling",
)

@neuron_model
class Quadratic(SubsteppedNeuron, EquationNeuron):
    "Quadratic integrate-and-fire neuron."
    name: ClassVar[str] = "own_quadratic"
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        "dv/dt = (v**2/mV + 4*mV)/tau : mV", threshold="v >= 30*mV", reset="v = v_reset"
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = ()
    tau: Value = parameter(default=5.0, unit="ms", doc="time constant", above=0.0)
    v_reset: Value = parameter(default=-10.0, unit="mV", doc="potential after a spike")
    def longest_part(self):
        return 0.05

models = lif(), Quadratic(), iaf_psc_exp_multisynapse((1.0, 2.0, 3.0, 4.0), I_e=500.0)
populations = [Population(f"P{i}", 5, model) for i, model in enumerate(models)]
projections = [
    Projection(populations[0], populations[0], AllToAll(), 0.1, 1.0, synapse=synapse, name=name)
    for name, synapse in (("learns", rule(w_max=1.0)), ("scaled", scaling()))
]
with Simulation(Network(populations, projections)) as simulation:
    simulation.run(100.0)
    print(*(simulation[f"P{i}"].spike_counts().sum() for i in range(3)))
print("sympy" in sys.modules)
"""


def run(cache: Path) -> tuple[list[int], bool, str]:
    """Return spike counts, whether a process imported sympy, and its messages."""
    env = {**os.environ, "DISTSNN_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", PROGRAM, str(kernel_cache.cache_directory())]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    counts, imported = done.stdout.splitlines()
    return [*map(int, counts.split())], imported == "True", done.stderr


def test_second_start_of_a_users_models_imports_no_sympy(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    counts, *first = run(cache)
    assert first == [True, ""] and min(counts) > 0
    (folder,) = cache.glob("texts-*")
    texts = sorted(folder.iterdir())
    stems = [re.sub(r"_[0-9a-f]{12}", "", file.stem) for file in texts]
    assert stems == [
        *("iaf_psc_exp_multisynapse", "own_lif", "own_quadratic_parts", "own_rule", "own_scaling"),
    ]
    assert run(cache) == (counts, False, "")
    # a changed text is not run
    text = texts[1].read_text(encoding="utf-8")
    texts[1].write_text(f"{text}\nraise SystemExit('changed')\n", encoding="utf-8")
    again, imported, message = run(cache)
    assert (again, imported) == (counts, True)
    assert message.startswith(f"distsnn: {texts[1]}: this file of a kernel's text is corrupt: ")
    assert message.endswith("; the text is generated again\n") and message.count("\n") == 1
    assert texts[1].read_text(encoding="utf-8") == text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of texts of this test."""
    monkeypatch.setenv("DISTSNN_CACHE_DIR", str(tmp_path / "base"))
    generated.generated_kernel_module.cache_clear()
    return tmp_path / "base" / text_folder()


def test_a_text_is_python_that_a_user_can_read(folder: Path) -> None:
    assert not has_text(LIF)
    generated.generated_kernel_module(LIF)
    head, _, text = (folder / text_file(LIF)).read_text(encoding="utf-8").partition("\n")
    assert head.startswith("# distsnn, SHA-256 of the following lines: ")
    assert text == kernel_text(LIF)
    assert has_text(LIF) and not has_text(LIF, any_parts=True)


def for_all(path: Path) -> None:
    path.chmod(0o666)


def of_another_user(path: Path) -> None:
    os.chown(path, 65534, 65534)


def a_link(path: Path) -> None:
    path.rename(path.with_suffix(".away"))
    path.symlink_to(path.with_suffix(".away"))


@pytest.mark.parametrize("change", [for_all, of_another_user, a_link])
def test_a_text_that_others_could_have_written_is_generated_again(
    folder: Path, change: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    if change is of_another_user and os.geteuid() != 0:
        pytest.skip("only root gives a file to another user")
    generated.generated_kernel_module(LIF)
    file = folder / text_file(LIF)
    foreign = b"raise SystemExit('foreign')\n"
    file.write_bytes(cache_folder.text_head(foreign) + foreign)
    change(file)
    generated.generated_kernel_module.cache_clear()
    generated.generated_kernel_module(LIF)
    assert capsys.readouterr().err.startswith(f"distsnn: {file}: this file of a kernel's text c")
    assert file.read_bytes().endswith(kernel_text(LIF).encode())
    status = file.lstat()
    assert (status.st_uid, status.st_mode & 0o777) == (os.geteuid(), 0o600)


def test_models_that_differ_have_texts_of_their_own() -> None:
    def model(**given: object) -> NeuronModel:
        specs = {"equations": "dv/dt = -v/tau : 1", "parameters": {"tau": (2.0, "ms", "> 0")}}
        return NeuronModel(**(specs | given))  # type: ignore[arg-type]

    files = {
        text_file(model()),
        text_file(model(), any_parts=True),
        text_file(model(), ordered=(("a", "b"),)),
        text_file(model(name="other")),
        text_file(model(parameters={"tau": (20.0, "ms", "> 0")})),
        text_file(model(initial={"v": 1.0})),
        text_file(model(method="rk4")),
    }
    assert len(files) == 7
    assert text_file(model()) == text_file(model())
    long = text_file(model(name="ä" * 300))
    assert len(os.fsencode(long)) < 150
