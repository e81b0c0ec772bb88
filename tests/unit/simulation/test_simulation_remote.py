"""User-defined classes of every kind reach the ranks that `simulate(..., ranks=N)` launches."""

import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from command_jobs import Job

from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    FixedIndegree,
    Network,
    OneToOne,
    Population,
    Projection,
    registry,
)
from distsnn.network.model import SynapseModel
from distsnn.network.neurons.iaf_psc_exp import IafPscExp
from distsnn.network.registry import neuron_model, synapse_model
from distsnn.network.stimuli import PoissonInput
from distsnn.partition.assignment import Assignment
from distsnn.partition.graph import Graph
from distsnn.simulation import Simulation, simulate
from distsnn.simulation.launched_simulation import pack_classes

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

NOTEBOOK = """
from typing import ClassVar

import numpy as np
from distsnn import *

LONGEST = 0.05

def make():
    @neuron_model
    class Quadratic(SubsteppedNeuron, EquationNeuron):
        name: ClassVar[str] = "quadratic"
        equations: ClassVar[NeuronEquations] = NeuronEquations(
            "dV_m/dt = a*V_m**2 + I_e : mV  # membrane potential",
            threshold="V_m >= V_th",
            reset="V_m = -30*mV",
            receptors={"delta": "V_m"},
            method="rk4",
        )
        a: Value = parameter(default=0.1, unit="1/(mV*ms)", doc="curvature")
        I_e: Value = parameter(default=0.0, unit="mV/ms", doc="constant drive")
        V_th: Value = parameter(default=30.0, unit="mV", doc="threshold")

        def longest_part(self):
            return LONGEST

    return Quadratic

@synapse_model
class Depressing(EquationTransmission):
    name: ClassVar[str] = "depressing"
    equations: ClassVar[TransmissionEquations] = TransmissionEquations(
        "dx/dt = (1 - x)/tau : 1 (pre)", "used = U*x; x -= used", "w*used"
    )
    U: Value = parameter(default=0.5, unit="1", doc="use", low=0.0, high=1.0)
    tau: Value = parameter(default=100.0, unit="ms", doc="recovery", above=0.0)

@synapse_model
class Rule(VogelsSTDP):
    name: ClassVar[str] = "rule"
    kernel: ClassVar[str] = "distsnn.kernels.plasticity.vogels_sprekeler_synapse"

class Background(PoissonInput):
    pass

class Spread(Normal):
    pass

class Convergent(FixedIndegree):
    pass

leaky = NeuronModel(
    "dV_m/dt = -V_m/tau : mV",
    threshold="V_m >= 10*mV",
    reset="V_m = 0",
    receptors={"delta": "V_m"},
    parameters={"tau": (10.0, "ms")},
)

def build():
    q = Population("Q", 200, make()(I_e=1.0), {"V_m": Spread(-10.0, 4.0)})
    l = Population("L", 100, leaky)
    projections = [
        Projection(q, l, Convergent(20), Spread(0.5, 0.1), 1.5, synapse=Depressing(U=0.4)),
        Projection(l, q, Convergent(20), -0.2, 1.5, synapse=Rule(w_max=-0.6, eta=0.005)),
    ]
    return Network([q, l], projections, [Background(l, 8000.0, 0.2)], [RecordSpikes("Q")])
"""


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


def test_classes_of_a_notebook_and_of_functions_arrive_in_another_process(tmp_path: Path) -> None:
    """Nothing of the program is a file: its standard input is what cells of a notebook are."""
    packing = f"""{NOTEBOOK}
from distsnn.simulation.launched_simulation import pack_classes, write_request
network = build()
write_request({str(tmp_path)!r}, network, {{"classes": pack_classes(network)}})
"""
    reading = f"""
import pickle
from pathlib import Path
from distsnn.io.network_files import load_network
from distsnn.simulation.launched_simulation import unpack_classes
request = pickle.loads((Path({str(tmp_path)!r}) / "request.pickle").read_bytes())
classes = unpack_classes(request["classes"], [])
network = load_network({str(tmp_path)!r})
print([kind.__name__ for kind in classes], network.populations[0].model.longest_part())
"""
    for program in (packing, reading):
        done = subprocess.run(
            [sys.executable, "-"], input=program, capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
    kinds = ["Quadratic", "Spread", "Convergent", "Depressing", "Rule", "Background"]
    assert done.stdout == f"{kinds} 0.05\n"


@pytest.mark.ci
def test_launched_ranks_simulate_classes_of_a_notebook(tmp_path: Path) -> None:
    running = f"""{NOTEBOOK}
rates = {{"Q": np.linspace(1.0, 30.0, 200), "L": 5.0}}
two = simulate(build(), 100.0, ranks=2, out="2.zarr", partition=Graph(rates=rates), progress=False)
one = simulate(build(), 100.0, out="1.zarr", progress=False)
print(one.ranks, two.ranks, one.spikes == two.spikes > 100)
owner = np.array([0, 1, 1, 1, 0, 0], np.int32)
given = simulate(build(), 1.0, ranks=2, partition=Assignment(2, owner), progress=False)
print(given.ranks)
"""
    done = subprocess.run(
        [sys.executable, "-"], input=running, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1 2 True\n2\n"
    hashes = [StoreReader(tmp_path / f"{ranks}.zarr").spike_hash() for ranks in (1, 2)]
    assert hashes[0] == hashes[1]


def test_modules_that_ranks_can_import_are_sent_by_name(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for table in ("_MODELS", "_SYNAPSES"):
        monkeypatch.setattr(registry, table, dict(getattr(registry, table)))
    monkeypatch.syspath_prepend(program.parent)
    names = ("program", "lab", "lab.rules", "lab.depressing")
    try:
        network = __import__("program").build()
        packed = pack_classes(network)
        assert all(len(one) < 100 for one in packed)
        assert {type(one) for one in network.stimuli} < set(map(pickle.loads, packed))
        again = Network.from_dict(*network.to_dict())
    finally:
        for name in names:
            sys.modules.pop(name, None)
    assert again == network
    assert [type(one).__name__ for one in again.stimuli] == ["Background", "Background", "Holding"]


def test_networks_of_distsnns_classes_send_no_classes() -> None:
    cells = Population("E", 5, IafPscExp())
    assert pack_classes(Network([cells], [], [PoissonInput(cells, 1.0, 1.0)])) == []


def test_classes_that_cannot_be_sent_are_refused_before_ranks_start() -> None:
    lock = threading.Lock()

    class Locked(PoissonInput):
        def held(self) -> bool:
            return lock.locked()

    cells = Population("E", 5, IafPscExp())
    with pytest.raises(DescriptionError, match=r"Locked.* cannot be sent to .*lock") as error:
        simulate(Network([cells], [], [Locked(cells, 1.0, 1.0)]), 1.0, ranks=2, progress=False)
    assert "module" in error.value.hint


def test_a_kernel_that_ranks_cannot_import_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))

    @neuron_model
    class Scripted(IafPscExp):
        name: ClassVar[str] = "scripted"
        kernel: ClassVar[str] = "__main__"

    cells = Population("E", 5, Scripted())
    with pytest.raises(DescriptionError, match=r"Scripted has its kernel in __main__"):
        simulate(Network([cells]), 1.0, ranks=2, progress=False)


def test_partitions_for_other_ranks_are_refused_before_ranks_start() -> None:
    network = Network([Population("E", 5, IafPscExp())])
    for partition in (Assignment(3, np.zeros(1, np.int32)), Graph(rank_speeds=[1.0, 2.0, 3.0])):
        with pytest.raises(DescriptionError, match=r"assignment|rank_speeds"):
            simulate(network, 1.0, ranks=2, partition=partition, progress=False)


def test_class_that_its_stored_name_does_not_find_is_refused() -> None:
    # it would be read as the class whose name it has
    made = type("PoissonInput", (PoissonInput,), {"__module__": "elsewhere"})
    cells = Population("E", 5, IafPscExp())
    with pytest.raises(DescriptionError, match=r"elsewhere\..* is stored by its name"):
        Network([cells], [], [made(cells, 1.0, 1.0)]).to_dict()


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
