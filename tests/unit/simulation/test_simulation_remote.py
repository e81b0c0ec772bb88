"""User-defined classes of every kind reach the ranks that `simulate(..., ranks=N)` launches."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest
from command_jobs import Job

from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    STDP,
    FixedIndegree,
    Network,
    OneToOne,
    Population,
    Projection,
    registry,
)
from distsnn.network.model import SynapseModel
from distsnn.network.neurons.iaf_psc_exp import IafPscExp
from distsnn.network.registry import synapse_model
from distsnn.network.stimuli import PoissonInput
from distsnn.simulation import Simulation, simulate
from distsnn.simulation.remote import user_modules

# A package whose modules import each other, as a laboratory has it; kernels are those of distsnn.
RULES = """
from typing import ClassVar

from distsnn.network import VogelsSTDP
from distsnn.network.registry import synapse_model
from .depressing import Depressing

@synapse_model
class LabRule(VogelsSTDP):
    name: ClassVar[str] = "lab_rule"
    kernel: ClassVar[str] = "distsnn.kernels.plasticity.vogels_sprekeler_synapse"
"""
DEPRESSING = """
from typing import ClassVar

from distsnn.network import Tsodyks2
from distsnn.network.registry import synapse_model

@synapse_model
class Depressing(Tsodyks2):
    name: ClassVar[str] = "lab_depressing"
"""
PROGRAM = '''
import sys
from typing import ClassVar

from distsnn.network import (
    ConstantCurrent, FixedIndegree, IafPscExp, Network, Normal, PoissonInput, Population, Projection
)
from distsnn.network.registry import neuron_model
from distsnn.simulation import simulate
from lab.rules import Depressing, LabRule

@neuron_model
class LabNeuron(IafPscExp):
    name: ClassVar[str] = "lab_neuron"
    kernel: ClassVar[str] = "distsnn.kernels.neurons.iaf_psc_exp"

class Background(PoissonInput):
    """A stimulus."""

class Holding(ConstantCurrent):
    """A current."""

class Spread(Normal):
    """A distribution."""

class Convergent(FixedIndegree):
    """A connection rule."""

def build():
    e = Population("E", 200, LabNeuron(), {"V_m": Spread(-60.0, 4.0)})
    i = Population("I", 100, IafPscExp())
    return Network(
        [e, i],
        [
            Projection(e, i, Convergent(20), Spread(60.0, 5.0), 1.5, synapse=Depressing(U=0.4)),
            Projection(i, e, Convergent(20), -20.0, 1.5, synapse=LabRule(w_max=-60.0, eta=0.5)),
        ],
        [Background(e, 8000.0, 40.0), Background(i, 8000.0, 40.0), Holding(e, 100.0)],
    )

if __name__ == "__main__":
    simulate(build(), 200.0, ranks=int(sys.argv[1]), out=sys.argv[2], progress=False)
'''


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return a script that uses classes of its own and of a package beside it."""
    package = tmp_path / "code" / "lab"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "rules.py").write_text(RULES)
    (package / "depressing.py").write_text(DEPRESSING)
    script = package.parent / "program.py"
    script.write_text(PROGRAM)
    return script


@pytest.mark.ci
def test_ranks_know_classes_of_every_kind(program: Path, tmp_path: Path) -> None:
    hashes = []
    for ranks in ("1", "2"):
        out = tmp_path / f"{ranks}.zarr"
        # elsewhere than the script
        ended = Job([sys.executable, str(program), ranks, str(out)], tmp_path).end()
        assert ended.code == 0, ended.err
        reader = StoreReader(out)
        assert len(reader.attempts[0].ranks) == int(ranks)
        assert reader.n_spikes > 1000
        hashes.append(reader.spike_hash())
    assert hashes[0] == hashes[1]
    text = json.dumps(reader.network()[0])
    names = ("lab_neuron", "lab_depressing", "lab_rule", "Background", "Holding", "Spread")
    assert all(f'"{name}"' in text for name in (*names, "Convergent"))


def test_modules_of_all_classes_are_found(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for table in ("_MODELS", "_SYNAPSES"):
        monkeypatch.setattr(registry, table, dict(getattr(registry, table)))
    monkeypatch.syspath_prepend(program.parent)
    names = ("program", "lab", "lab.rules", "lab.depressing")
    try:
        network = __import__("program").build()
        files = {"program": program, "lab.rules": program.parent / "lab" / "rules.py"}
        files["lab.depressing"] = program.parent / "lab" / "depressing.py"
        assert user_modules(network) == {name: str(file) for name, file in files.items()}
        again = Network.from_dict(*network.to_dict())
    finally:
        for name in names:
            sys.modules.pop(name, None)
    assert again == network
    assert [type(one).__name__ for one in again.stimuli] == ["Background", "Background", "Holding"]


def test_networks_of_distsnns_classes_need_no_module() -> None:
    cells = Population("E", 5, IafPscExp())
    assert user_modules(Network([cells], [], [PoissonInput(cells, 1.0, 1.0)])) == {}


def test_class_without_a_file_is_refused_before_ranks_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notebook = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    made = type("Background", (PoissonInput,), {"__module__": "__main__"})
    cells = Population("E", 5, IafPscExp())
    network = Network([cells], [], [made(cells, 1.0, 1.0)])
    with pytest.raises(DescriptionError, match=r"Background.*__main__.*no file") as error:
        simulate(network, 1.0, ranks=2, progress=False)
    assert "module" in error.value.allowed


@pytest.mark.parametrize("base", [IafPscExp, STDP, PoissonInput])
def test_class_that_its_stored_name_does_not_find_is_refused(base: type) -> None:
    # a subclass that is not registered would be read as the class whose name it has
    made = type(base.__name__, (base,), {"__module__": "elsewhere"})
    cells = Population("E", 5, made() if base is IafPscExp else IafPscExp())
    rule = made() if base is STDP else STDP()
    stimulus = made if base is PoissonInput else PoissonInput
    network = Network(
        [cells],
        [Projection(cells, cells, OneToOne(), 1.0, 1.0, synapse=rule)],
        [stimulus(cells, 1.0, 1.0)],
    )
    with pytest.raises(DescriptionError, match=r"elsewhere\..* is stored by its name"):
        network.to_dict()


def test_class_whose_constructor_does_not_take_its_fields_is_refused_when_read() -> None:
    def constructor(self: FixedIndegree) -> None:
        FixedIndegree.__init__(self, 3)

    made = type("Three", (FixedIndegree,), {"__init__": constructor, "__module__": "elsewhere"})
    cells = Population("E", 5, IafPscExp())
    stored = Network([cells], [Projection(cells, cells, made(), 1.0, 1.0)]).to_dict()
    with pytest.raises(DescriptionError, match="constructor of Three does not take the field"):
        Network.from_dict(*stored)


def test_synapse_model_without_a_kernel_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_SYNAPSES", dict(registry._SYNAPSES))

    @synapse_model
    class Halved(SynapseModel):
        name: ClassVar[str] = "halved"

    cells = Population("E", 5, IafPscExp())
    network = Network([cells], [Projection(cells, cells, OneToOne(), 1.0, 1.0, synapse=Halved())])
    with pytest.raises(DescriptionError, match="no kernel computes this synapse model"):
        Simulation(network)
