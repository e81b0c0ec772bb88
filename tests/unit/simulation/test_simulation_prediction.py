"""Weights of dendritic prediction beside sums over recorded errors."""

from pathlib import Path

import numpy as np
import pytest

from distsnn.analysis import open_run
from distsnn.comm import SingleProcess
from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    ConnectionList,
    IafCondExp,
    Network,
    Population,
    PpCondExpMcUrbanczik,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
    SpikeSource,
    Uniform,
    UrbanczikSenn,
)
from distsnn.simulation import Simulation

DT, STEPS, N, N_SOURCES = 0.1, 3000, 6, 5
NEURON = PpCondExpMcUrbanczik(
    I_e_s=np.linspace(1500.0, 8000.0, N), E_L_s=-68.0, rate_slope=0.7, beta=0.3, t_ref=1.0
)
RULE = UrbanczikSenn(
    **{"tau_L": 9.0, "tau_s": 2.0, "tau_Delta": 40.0, "eta": Uniform(-0.3, 0.6)},
    w_max=60.0,
    w_min=20.0,
    axonal_delay=0.3,
)
TARGET, SOURCE = (index.ravel() for index in np.indices((N, N_SOURCES)))


def network(rule: UrbanczikSenn = RULE) -> Network:
    step, source = np.nonzero(np.random.default_rng(6).random((STEPS, N_SOURCES)) < 0.005)
    sources = Population("S", N_SOURCES, SpikeSource((step + 1) * DT, source))
    cells = Population("E", N, NEURON, precision="float64")
    learning = Projection(
        *(
            sources,
            cells,
            ConnectionList(SOURCE, TARGET),
            40.0,
            (4 + np.arange(TARGET.size) % 7) * DT,
        ),
        receptor="dendritic_ex",
        synapse=rule,
        name="learning",
    )
    return Network(
        [sources, cells],
        [learning],
        recordings=[
            RecordSpikes(sources),
            RecordSpikes(cells),
            RecordState(cells, ["V_m_p", "prediction_error"], interval=DT),
            RecordWeights("learning", DT),
        ],
    )


def test_weights_are_sums_over_the_errors_of_the_prediction(tmp_path: Path) -> None:
    path = tmp_path / "run.zarr"
    with Simulation(network(), out=path, communicator=SingleProcess()) as simulation:
        delays = np.rint(simulation["learning"].delays / DT).astype(int)
        eta = simulation["learning"].parameters["eta"]
        simulation.run(STEPS * DT)
    reader = StoreReader(path)
    step, gid = reader.spikes(0, STEPS)
    states = reader.state("E").variables
    errors, v = states["prediction_error"][:, :], states["V_m_p"][:, :]

    # the error is that of the recorded spikes and the recorded potential of the dendrite
    spiked = np.zeros((STEPS, N))
    spiked[step[gid >= N_SOURCES] - 1, gid[gid >= N_SOURCES] - N_SOURCES] = 1.0
    v_star = (NEURON.g_L_s * -68.0 + NEURON.g_sp * v) / (NEURON.g_L_s + NEURON.g_sp)
    active = 1.0 / (1.0 + 0.7 * np.exp(0.3 * (NEURON.theta - v_star)))
    expected = (spiked - NEURON.phi_max * active * DT) * 15.0 * 0.3 * (1.0 - active)
    np.testing.assert_allclose(errors, expected, rtol=1e-9, atol=1e-15)
    assert spiked.sum(axis=0).min() > 0 and (errors > 0.0).any() and (errors < 0.0).any()

    # at the source's spike at T, an error that reached the synapse at t has moved the goal by its
    # trace at t, of which the filter holds back exp(-(T - t)/tau_Delta)
    weights = open_run(path).weights("learning")["weight"].to_numpy()
    axonal, steps, bounded = 3, np.arange(1, STEPS + 1), 0
    # rows are ordered by source and target
    order = np.lexsort((TARGET, SOURCE))
    np.testing.assert_array_equal(delays, (4 + order % 7))
    for column, synapse in enumerate(order):
        target, source = TARGET[synapse], SOURCE[synapse]
        arrives = step[gid == source].astype(int) + axonal
        at = steps + delays[column] - axonal
        since = at[:, None] - arrives
        traces = [
            np.where(since > 0, np.exp(-since * DT / tau), 0.0).sum(axis=1) for tau in (9.0, 2.0)
        ]
        change = 15.0 * eta[column] * 18.0 / 7.0 * (traces[0] - traces[1]) * errors[:, target]
        for spike in arrives[arrives <= STEPS]:
            passed = -np.expm1(-np.maximum(spike - at, 0) * DT / 40.0)
            free = 40.0 + (change * passed).sum()
            bounded += not 20.0 < free < 60.0
            assert weights[spike - 1, column] == pytest.approx(np.clip(free, 20.0, 60.0), abs=1e-9)
    assert np.ptp(weights[-1]) > 10.0
    assert bounded > 5


def test_errors_name_the_requirements_of_the_rule() -> None:
    with pytest.raises(DescriptionError, match="field tau_s: must differ from tau_L; given 10"):
        UrbanczikSenn(tau_s=10.0)
    cells, ends = Population("E", 9, PpCondExpMcUrbanczik()), ConnectionList([0], [1])
    for tau in (np.array([10.0]), np.array([10.0, 9.0]), Uniform(9.0, 10.0)):
        each = UrbanczikSenn(tau_L=tau)
        drawn = Projection(cells, cells, ends, 1.0, 1.0, receptor="dendritic_ex", synapse=each)
        with pytest.raises(DescriptionError, match="field tau_L"):
            Network([cells], [drawn])
    neurons = Population("A", 9, IafCondExp())
    learning = Projection(
        neurons, neurons, ConnectionList([0], [1]), 1.0, 1.0, synapse=UrbanczikSenn()
    )
    with pytest.raises(DescriptionError, match="follows the state prediction_error of its target"):
        Network([neurons], [learning])
    with Simulation(network(), communicator=SingleProcess()) as simulation:
        parameters = simulation["learning"].parameters
        with pytest.raises(DescriptionError, match="must differ from tau_L"):
            parameters["tau_s"] = 9.0
        parameters["tau_s"] = 4.0
        simulation.run(1.0)


def test_edges_of_parameters_are_numbers() -> None:
    # no exponential overflows, and a rate that does not depend on potentials predicts itself
    steep = PpCondExpMcUrbanczik(beta=1e4, E_L_s=[-90.0, -30.0], E_L_p=[-90.0, -30.0], I_e_s=0.0)
    flat = PpCondExpMcUrbanczik(beta=1e4, rate_slope=0.0, E_L_s=-90.0, E_L_p=-90.0)
    populations = [Population("steep", 2, steep), Population("flat", 2, flat)]
    with Simulation(Network(populations), communicator=SingleProcess()) as simulation:
        simulation.run(200.0)
        assert simulation["steep"].spike_counts()[0] == 0 < simulation["steep"].spike_counts()[1]
        assert simulation["flat"].spike_counts().min() > 5
        np.testing.assert_array_equal(simulation["flat"].state["prediction_error"], 0.0)
