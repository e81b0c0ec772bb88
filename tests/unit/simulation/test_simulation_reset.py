"""A reset takes a simulation back to t = 0: it then runs as one that was described so.

Ranks of MPI are reset in `tests/invariance/test_invariance_loops.py`.
"""

from pathlib import Path

import numpy as np
import pytest
from recorded import assert_same, recorded
from thread_ranks import run

from distsnn.comm import Communicator
from distsnn.errors import DescriptionError, SimulationStateError, StoreError, UsageError
from distsnn.io.reader import StoreReader
from distsnn.io.run_lock import RunLock
from distsnn.network import (
    STDP,
    ConnectionFile,
    ConstantCurrent,
    FixedIndegree,
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
    SpikeInput,
    SpikeSource,
    SynapticScaling,
    Tsodyks2,
    Uniform,
)
from distsnn.simulation import RunPolicy, Simulation

TIME = 60.0
SEED = 5


def learning(v_th: float = -50.0, rate: float = 8000.0) -> Network:
    """Return a network with delays, traces, states of synapses, stimuli and homeostasis."""
    times = np.arange(1, 120) * 0.7
    source = Population("S", 9, SpikeSource(times, np.arange(times.size) % 9))
    e = Population("E", 120, IafPscExp(V_th=v_th), {"V_m": Uniform(-65.0, -52.0)})
    rule = STDP(learning_rate=0.02, w_max=120.0)
    return Network(
        [source, e],
        [
            Projection(source, e, FixedIndegree(4), weight=90.0, delay=1.5, synapse=Tsodyks2()),
            Projection(
                *(e, e, FixedIndegree(12), Uniform(20.0, 90.0), Uniform(1.5, 6.0)), synapse=rule
            ),
        ],
        [
            PoissonInput(e, rate, 40.0, name="drive"),
            ConstantCurrent(e[:40], 30.0, name="push"),
            SpikeInput(e, [20.0, 30.0], [3, 4], 500.0, name="given"),
        ],
        [RecordSpikes(e), RecordState(e[3:9], ["V_m"], interval=0.3), RecordWeights("E->E", 20.0)],
        homeostasis=[SynapticScaling("E->E", interval=10.0, rate=20.0, beta=1e-3, tau=100.0)],
    )


def trial(network: Network, out: Path) -> Path:
    with Simulation(network, seed=SEED, out=out) as simulation:
        simulation.run(TIME)
    reader = StoreReader(out)
    assert reader.n_spikes > 300
    assert np.ptp(reader.weights("E->E").variables["weight"][:, :], axis=0).max() > 1.0
    return out


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return recorded(trial(learning(), tmp_path_factory.mktemp("reset") / "first.zarr"))


def test_with_the_described_weights_a_trial_is_the_first_again(first: dict, tmp_path: Path) -> None:
    one, other = tmp_path / "one.zarr", tmp_path / "other.zarr"
    with Simulation(learning(), seed=SEED, out=one) as simulation:
        simulation.run(33.3)
        simulation["given"].emit([7, 8], weights=800.0)
        simulation["E"].state["V_m"] = -60.0
        ended = simulation.reset(weights="described", out=other)
        assert (ended.time_ms, ended.path) == (pytest.approx(33.3), str(one))
        assert simulation.time_ms == 0.0
        assert simulation["E"].spikes()[0].size == 0
        simulation.run(TIME)
        summary = simulation.close()
    assert_same(first, recorded(other))
    assert StoreReader(one).complete and StoreReader(other).complete
    assert summary.spikes == first["spikes step"].size
    # what was set stays where it was recorded
    assert StoreReader(one).metadata["script_changes"] == ["given", "E"]
    assert "script_changes" not in StoreReader(other).metadata


def test_learnt_weights_stay(first: dict, tmp_path: Path) -> None:
    with Simulation(learning(), seed=SEED) as simulation:
        simulation.run(TIME)
        learnt = simulation["E->E"].weights
    with Simulation(learning(), seed=SEED) as simulation:
        simulation.run(TIME)
        simulation.reset(out=tmp_path / "again.zarr")
        np.testing.assert_array_equal(simulation["E->E"].weights, learnt)
        simulation.run(TIME)
    with Simulation(learning(), seed=SEED, out=tmp_path / "fresh.zarr") as simulation:
        simulation["E->E"].weights = learnt
        simulation.run(TIME)
    again, fresh = (recorded(tmp_path / f"{name}.zarr") for name in ("again", "fresh"))
    assert_same(fresh, again)
    assert again["spikes step"].tolist() != first["spikes step"].tolist()
    assert StoreReader(tmp_path / "again.zarr").metadata["script_changes"] == ["E->E"]


def test_reset_keeps_values_that_a_script_set(tmp_path: Path) -> None:
    described = recorded(trial(learning(v_th=-52.0, rate=9000.0), tmp_path / "described.zarr"))
    with Simulation(learning(), seed=SEED) as simulation:
        state, parameters = simulation["E"].state, simulation["E"].parameters
        synapses = simulation["E->E"]
        simulation.run(10.0)
        parameters["V_th"] = -52.0
        simulation["drive"].set(rate=9000.0)
        simulation.reset(weights="described", out=tmp_path / "set.zarr")
        np.testing.assert_array_equal(parameters["V_th"], -52.0)
        before = state["V_m"], synapses.weights
        assert before[0].min() < -64.0
        simulation.run(TIME)
        assert (state["V_m"] != before[0]).all()
        assert (synapses.weights != before[1]).any()
    assert_same(described, recorded(tmp_path / "set.zarr"))
    assert StoreReader(tmp_path / "set.zarr").metadata["script_changes"] == ["E", "drive"]


def test_projections_learn_or_not_as_before(tmp_path: Path) -> None:
    with Simulation(learning(), seed=SEED) as simulation:
        simulation["E->E"].learning = False
        simulation.reset(weights="described", out=tmp_path / "run.zarr")
        before = simulation["E->E"].weights
        simulation.run(9.9)  # before they are scaled
        np.testing.assert_array_equal(simulation["E->E"].weights, before)
    assert StoreReader(tmp_path / "run.zarr").metadata["script_changes"] == ["E->E"]


def test_a_store_is_given_back(tmp_path: Path) -> None:
    one, other = tmp_path / "one.zarr", tmp_path / "other.zarr"
    with Simulation(learning(), seed=SEED, out=one) as simulation:
        simulation.run(1.0)
        simulation.reset(out=other)
        RunLock(one).release()
        with pytest.raises(StoreError, match="is being written"):
            RunLock(other)
        simulation.run(1.0)


ENDS = np.random.default_rng(1).integers(0, 19, (2, 90))


# the shifted ones have the same targets row by row, but other sources
@pytest.mark.parametrize(
    "replaced", [ENDS[::-1], np.add(ENDS, [[1], [0]])], ids=["swapped", "shifted"]
)
def test_edges_that_were_replaced_are_noticed(replaced: np.ndarray, tmp_path: Path) -> None:
    path, e = tmp_path / "edges.npz", Population("E", 20, IafPscExp())
    weights = np.random.default_rng(2).uniform(1.0, 9.0, 90)
    np.savez(path, sources=ENDS[0], targets=ENDS[1], weights=weights)
    rule = STDP(w_max=10.0)
    network = Network(
        [e], [Projection(e, e, ConnectionFile(path, weights="weights"), delay=1.5, synapse=rule)]
    )
    with Simulation(network, seed=SEED) as simulation:
        before = simulation["E->E"].weights
        simulation["E->E"].weights = 1.0
        simulation.reset(weights="described")
        np.testing.assert_array_equal(simulation["E->E"].weights, before)
        np.savez(path, sources=replaced[0], targets=replaced[1], weights=weights)
        with pytest.raises(DescriptionError, match="projection 'E->E': the edges in its file have"):
            simulation.reset(weights="described")


def test_ranks_must_give_reset_the_same_arguments(tmp_path: Path) -> None:
    def main(ranks: Communicator) -> list[str]:
        simulation, found = Simulation(learning(), communicator=ranks), []
        for asked in (
            {"weights": ["learnt", "described"][ranks.rank]},
            {"out": [None, tmp_path / "r.zarr"][ranks.rank]},
        ):
            with pytest.raises(UsageError) as caught:
                simulation.reset(**asked)
            found.append(str(caught.value))
        simulation.reset()
        simulation.close()
        with pytest.raises(UsageError, match="out: "):
            Simulation(learning(), communicator=ranks, out=[None, tmp_path / "r.zarr"][ranks.rank])
        return found

    results, aborted = run(2, main)
    assert aborted is None
    assert all(one[0].startswith("reset: ") and one[1].startswith("reset: ") for one in results)


def test_a_trial_is_saved_and_resumed(tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    with Simulation(learning(), seed=SEED) as simulation:
        simulation.run(20.0)
        simulation["E"].parameters["V_th"] = -51.0
        simulation.reset(out=tmp_path / "whole.zarr")
        simulation.run(TIME)
    simulation = Simulation(learning(), seed=SEED)
    simulation.run(20.0)
    simulation["E"].parameters["V_th"] = -51.0
    simulation.reset(out=out)
    simulation.run(23.7)
    simulation.save()
    simulation.run(5.0)
    simulation._stop(RuntimeError("given up"))
    with Simulation.restore(out, out=out) as simulation:
        simulation.run(TIME - 23.7)
    assert_same(recorded(tmp_path / "whole.zarr"), recorded(out))


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    taken = trial(learning(), tmp_path / "taken.zarr")
    simulation = Simulation(learning(), seed=SEED)
    with pytest.raises(DescriptionError, match=r"reset, weights: unknown choice 'learned'.*learnt"):
        simulation.reset(weights="learned")
    simulation.run(5.0)
    with pytest.raises(StoreError, match=r"taken\.zarr: "):
        simulation.reset(out=taken)
    simulation.run(5.0)  # it goes on
    simulation.close()
    with pytest.raises(SimulationStateError, match="reset: the simulation is closed"):
        simulation.reset()
    saving = Simulation(
        learning(), out=tmp_path / "r.zarr", policy=RunPolicy(checkpoint_every=10.0)
    )
    with pytest.raises(UsageError, match="checkpoint_every: checkpoints need a run store"):
        saving.reset()
    saving.reset(out=tmp_path / "s.zarr")
    saving.close()
    assert StoreReader(tmp_path / "s.zarr").complete
