"""Whole runs with many parts of a step, and with as many as models choose."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from own_models import COBA

from distsnn.cli.tables import info_lines
from distsnn.io.summary import read_run_info
from distsnn.network import (
    STDP,
    AeifCondExp,
    AllToAll,
    IafCondExp,
    Network,
    Neuron,
    NeuronModel,
    PoissonInput,
    Population,
    Projection,
    Uniform,
)
from distsnn.simulation import Simulation

SLOW = {"tau_syn_ex": 5.0, "tau_syn_in": 5.0}


def spikes(
    model: Neuron | NeuronModel, weight: float, precision: str = "float64", time: float = 300.0
) -> set[tuple[int, int]]:
    """Return (gid, step) of the spikes of 64 neurons with Poisson input within a time, ms."""
    population = Population("P", 64, model, {"V_m": Uniform(-70.0, -60.0)}, precision)
    network = Network([population], [], [PoissonInput(population, 2000.0, weight)])
    with Simulation(network, seed=7) as simulation:
        simulation.run(time)
        step, gid = simulation[population].spikes()
    return set(zip(gid.tolist(), step.tolist(), strict=True))


@pytest.mark.parametrize(
    ("model", "weight"),
    [
        (IafCondExp(**SLOW, substeps=100), 0.6),
        (IafCondExp(**SLOW, substeps=1000), 0.6),
        (replace(COBA, method="exponential_euler", substeps=100), 0.4),
    ],
    ids=["100", "1000", "equations"],
)
def test_many_parts_are_as_accurate_in_float32(model: Neuron | NeuronModel, weight: float) -> None:
    time = 30.0 if "1000" in repr(model) else 100.0
    exact = spikes(model, weight, time=time)
    assert len(exact) > 50
    assert spikes(model, weight, "float32", time) == exact


def test_few_parts_in_float32_move_few_spikes() -> None:
    for substeps in (1, 4):
        model = IafCondExp(**SLOW, substeps=substeps)
        exact, near = spikes(model, 0.6), spikes(model, 0.6, "float32")
        assert len(exact - near) <= 0.02 * len(exact)


@pytest.mark.parametrize(
    ("parameters", "weight"),
    # drawn by synapses that are fast, as by default, and by slow ones
    [({}, 40.0), ({"tau_syn_ex": 0.5}, 16.0), ({**SLOW, "C_m": 200.0, "g_L": 10.0}, 0.7)],
)
def test_rates_are_within_half_a_percent(parameters: dict[str, float], weight: float) -> None:
    exact = spikes(AeifCondExp(**parameters, substeps=40), weight, time=500.0)
    chosen = spikes(AeifCondExp(**parameters), weight, time=500.0)
    assert len(exact) > 400
    assert len(chosen) == pytest.approx(len(exact), rel=0.005)


def test_run_metadata_contain_the_chosen_settings(tmp_path: Path) -> None:
    populations = [
        Population("A", 3, AeifCondExp()),
        Population("B", 3, IafCondExp(**SLOW)),
        Population("C", 3, AeifCondExp(substeps=20)),
    ]
    rules = {"slow": STDP(learning_rate=1e-9), "fast": STDP()}
    projections = [
        Projection("A", "B", AllToAll(), 1.0, 1.0, synapse=rule, name=name)
        for name, rule in rules.items()
    ]
    with Simulation(Network(populations, projections), out=tmp_path / "run.zarr") as simulation:
        simulation.run(1.0)
    numbers = read_run_info(tmp_path / "run.zarr")
    assert numbers.substeps == {"A": 2, "B": 1, "C": 20}
    states, weights = numbers.precision["states"], numbers.precision["plastic_weights"]
    assert states == {"A": "float32", "B": "float32", "C": "float64"}
    assert weights == {"slow": "float64", "fast": "float32"}
    lines = info_lines(numbers)
    assert any(line.split() == ["substeps", "A", "2,", "B", "1,", "C", "20"] for line in lines)
    text = "\n".join(lines)
    assert re.search(r"state precision +A float32, B float32, C float64\n", text)
    assert re.search(r"weight precision +slow float64, fast float32\n", text)


def test_a_step_too_long_is_warned_of() -> None:
    network = Network([Population("A", 3, IafCondExp())], dt=0.5)
    with (
        pytest.warns(UserWarning, match="population 'A': iaf_cond_exp finds spikes .* <= 0.2 ms"),
        Simulation(network),
    ):
        pass
