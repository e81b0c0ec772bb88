"""Neurons with several receptors beside NEST's: the same spikes, and the same potentials."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    ConnectionList,
    EquationNeuron,
    Network,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeSource,
    iaf_psc_alpha_multisynapse,
    iaf_psc_exp_multisynapse,
)
from distsnn.simulation import Simulation

N, N_SOURCES, STEPS, DT = 40, 30, 10_000, 0.1
# NEST refuses that of the membrane
TAU_SYN = (0.5, 2.0, 9.0, 3.7)
CASES = {
    "exp": (iaf_psc_exp_multisynapse, TAU_SYN, (900.0, 300.0, -40.0, -100.0)),
    "alpha": (iaf_psc_alpha_multisynapse, TAU_SYN, (400.0, 110.0, -14.0, -35.0)),
    "one receptor": (iaf_psc_exp_multisynapse, (2.0,), (200.0,)),
}


@pytest.mark.parametrize("name", CASES)
def test_spikes_and_potentials_are_nests(
    name: str, run_nest: Callable[..., dict[str, np.ndarray]], tmp_path: Path
) -> None:
    make: Callable[..., EquationNeuron]
    make, tau_syn, mean = CASES[name]
    random = np.random.default_rng(4)
    step, source = np.nonzero(random.random((STEPS, N_SOURCES)) < 0.004)
    step += 2
    edges = 12 * N
    columns = {
        "source": random.integers(0, N_SOURCES, edges),
        "target": random.integers(0, N, edges),
        "receptor": random.integers(1, len(tau_syn) + 1, edges),
        "delay": random.integers(1, 40, edges),
    }
    weight = np.array(mean)[columns["receptor"] - 1] * random.uniform(0.5, 1.5, edges)
    # multiples of a power of two, so that both simulators add the same numbers
    columns["weight"] = np.rint(weight * 256.0) / 256.0
    given = {"C_m": 230.0, "V_th": -58.0, "V_reset": -66.0, "I_e": 250.0}
    expected = run_nest(
        {
            "steps": STEPS,
            "populations": [
                {
                    "model": make.__name__,
                    "size": N,
                    "parameters": {**given, "tau_syn": list(tau_syn)},
                }
            ],
            "state": {"variables": ["V_m", "I_syn"], "every": 10},
            "synapses": {"input": {"receptor_type": "input_receptor"}},
        },
        train_source=source,
        train_step=step,
        state_neurons=np.arange(10),
        **{f"input_{key}": column for key, column in columns.items()},
    )
    cells = Population("cells", N, make(tau_syn, **given), precision="float64")
    trains = Population("trains", N_SOURCES, SpikeSource(step * DT, source))
    projections = []
    for receptor in range(1, len(tau_syn) + 1):
        its = {key: column[columns["receptor"] == receptor] for key, column in columns.items()}
        pairs = ConnectionList(its["source"], its["target"])
        values = {"weight": its["weight"], "delay": its["delay"] * DT, "weight_bits": 30}
        projections.append(Projection(trains, cells, pairs, receptor=str(receptor), **values))
    recordings = [RecordSpikes(cells), RecordState(cells[:10], ["V_m", "I_syn"], interval=1.0)]
    network = Network([cells, trains], projections, recordings=recordings)
    path = tmp_path / "run.zarr"
    with Simulation(network, out=path, communicator=SingleProcess()) as simulation:
        simulation.run(STEPS * DT)
    reader = StoreReader(path)
    found_step, found_gid = reader.spikes(0, STEPS)
    assert expected["spike_step"].size > 500
    theirs = np.sort(expected["spike_step"] * N + expected["spike_neuron"])
    np.testing.assert_array_equal(np.sort(found_step.astype(np.int64) * N + found_gid), theirs)
    for name, trace in reader.state("cells_0_10").variables.items():
        np.testing.assert_allclose(trace[:, :], expected[name], atol=1e-9)
        assert np.ptp(expected[name], axis=0).min() > 5.0
