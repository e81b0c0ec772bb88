"""What docs/coming-from-nest.md says of distsnn; tests/reference compares it with NEST."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from documents import DOCS, marked

import distsnn
from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    STDP,
    ConstantCurrent,
    HhCondExpTraub,
    IafPscDelta,
    IafPscExp,
    Network,
    NoiseCurrent,
    OneToOne,
    ParrotNeuron,
    PoissonInput,
    Population,
    Projection,
    RecordState,
    SineCurrent,
    SpikeInput,
    SpikeSource,
    StepCurrent,
    Stimulus,
)
from distsnn.simulation import Simulation

CELL = Population("C", 1, IafPscDelta(), precision="float64")


def test_the_script_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(marked("coming-from-nest.md", "script: distsnn"), {"__name__": "__main__"})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 50
    assert {line.split()[1] for line in lines} == {str(gid) for gid in range(12)}


def test_names_of_the_tables_exist() -> None:
    table = (DOCS / "coming-from-nest.md").read_text(encoding="utf-8").partition("## Names")[2]
    cells = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")]
    words = {word for cell in cells for word in cell.replace("`", " ").replace("(", " ( ").split()}
    classes = {word for word in words if word[:1].isupper() and word.isalnum() and len(word) > 2}
    assert len(classes) > 25
    assert {one for one in classes if not hasattr(distsnn, one)} == {"Model", "True", "False"}


STIMULI: dict[str, Callable[[Population], Stimulus]] = {
    "ConstantCurrent": lambda p: ConstantCurrent(p, 100.0, start=1.0, stop=2.0),
    "StepCurrent": lambda p: StepCurrent(p, [1.0, 2.0], [100.0, 0.0]),
    "SineCurrent": lambda p: SineCurrent(p, 100.0, 1.0, 90.0, start=1.0, stop=2.0),
    "NoiseCurrent": lambda p: NoiseCurrent(p, 0.0, 100.0, interval=0.1, start=1.0, stop=2.0),
}


@pytest.mark.parametrize("name", STIMULI)
def test_currents_act_from_their_start(name: str, tmp_path: Path) -> None:
    # so slow a neuron changes while there is a current, and then no more
    cell = Population("C", 1, IafPscExp(tau_m=1e9), precision="float64")
    records = [RecordState(cell, "V_m", interval=0.1)]
    network = Network([cell], [], [STIMULI[name](cell)], records)
    with Simulation(network, out=tmp_path / "run.zarr") as simulation:
        simulation.run(3.0)
    state = StoreReader(tmp_path / "run.zarr").state("C")
    changes = state.steps[1:][np.abs(np.diff(state.variables["V_m"].load(0, 30)[:, 0])) > 1e-6]
    assert changes.tolist() == list(range(11, 21))


def test_poisson_spikes_arrive_after_start_and_up_to_stop() -> None:
    parrot = Population("P", 1, ParrotNeuron())
    stimulus = PoissonInput(parrot, 100_000.0, 1.0, start=1.0, stop=2.0)
    with Simulation(Network([parrot], [], [stimulus])) as simulation:
        simulation.run(3.0)
        assert np.unique(simulation[parrot].spikes()[0]).tolist() == list(range(11, 21))


def test_weights_that_are_read_include_spikes_of_the_target_after_the_last_of_the_source() -> None:
    source = Population("S", 1, SpikeSource([10.0], [0]))
    rule = STDP(w_max=1.0, learning_rate=0.1, precision="float64")
    learning = Projection(source, CELL, OneToOne(), 0.01, 1.0, synapse=rule, name="learning")
    network = Network([source, CELL], [learning], [SpikeInput(CELL, [20.0], [0], [50.0])])
    with Simulation(network) as simulation:
        simulation.run(30.0)
        assert simulation[CELL].spikes()[0].tolist() == [200]
        # at the synapse 1 ms later
        expected = 0.01 + 0.1 * 0.99 * np.exp(-11.0 / 20.0)
        np.testing.assert_allclose(simulation["learning"].weights, [expected], rtol=1e-6)


def test_a_parrots_weight_is_a_number_of_spikes() -> None:
    parrot = Population("P", 1, ParrotNeuron())
    network = Network([parrot], [], [SpikeInput(parrot, [1.0, 2.0], [0, 0], [1.0, 2.0])])
    with Simulation(network) as simulation:
        simulation.run(3.0)
        assert simulation[parrot].spikes()[0].tolist() == [10, 20, 20]
    with pytest.raises(DescriptionError, match="allowed: integers >= 0"):
        Network([parrot], [], [SpikeInput(parrot, [1.0], [0], [0.5])])


@pytest.mark.parametrize(
    ("delay", "what"),
    [(1.26, "not on the grid"), (6553.6, "<= 6553.5"), (0.0, ">= 0.1")],
)
def test_delays_are_multiples_of_dt_and_end_at_65535_steps(delay: float, what: str) -> None:
    Network([CELL], [Projection(CELL, CELL, OneToOne(), 1.0, 6553.5)])
    with pytest.raises(DescriptionError, match=what):
        Network([CELL], [Projection(CELL, CELL, OneToOne(), 1.0, delay)])


def test_refractory_times_are_multiples_of_dt() -> None:
    with pytest.raises(DescriptionError, match=r"t_ref.*not on the grid; given 2\.05"):
        Network([Population("E", 1, IafPscExp(t_ref=2.05))])


def test_gates_start_at_equilibrium() -> None:
    model = HhCondExpTraub()
    v = model.value("E_L") - model.value("V_T")
    rates = {
        "Act_m": (
            0.32 * (13 - v) / np.expm1((13 - v) / 4),
            0.28 * (v - 40) / np.expm1((v - 40) / 5),
        ),
        "Inact_h": (0.128 * np.exp((17 - v) / 18), 4 / (1 + np.exp((40 - v) / 5))),
        "Act_n": (0.032 * (15 - v) / np.expm1((15 - v) / 5), 0.5 * np.exp((10 - v) / 40)),
    }
    for gate, (alpha, beta) in rates.items():
        assert model.states[gate].default == pytest.approx(alpha / (alpha + beta), rel=1e-5)
