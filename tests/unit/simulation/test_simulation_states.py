"""States are read and set in the user's units, on all ranks alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaigns import sampled
from decoded import layouts, scales
from thread_ranks import run

from distsnn.comm import Communicator, SingleProcess
from distsnn.engine import wiring
from distsnn.engine.local_neurons import make_neurons
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import DescriptionError, RankError, UsageError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    Exponential,
    IafPscExp,
    Network,
    Normal,
    PoissonInput,
    Population,
    RecordState,
    Target,
    get_neuron_model,
    model_names,
)
from distsnn.network.checks import ANY
from distsnn.simulation import Simulation
from distsnn.simulation.access import Access
from distsnn.simulation.script_changes import ScriptChanges
from distsnn.simulation.state_access import NeuronStates

N, SEED = 330, 5
MODELS = [name for name in model_names() if get_neuron_model(name).states]
V = np.random.default_rng(2).uniform(-80.0, -56.0, N)


def cells(
    initial: dict[str, Any] | None = None, precision: str = "float32", **parameters: Any
) -> Population:
    """Return neurons whose potentials are kept relative to a value of their own."""
    model = IafPscExp(**{"E_L": Normal(-65.0, 2.0)} | parameters)
    return Population("E", N, model, initial, precision)


def engines(population: Population, ranks: int) -> list[RankEngine]:
    """Return the engines of some ranks, that have not run."""
    network = Network([Population("first", 70, IafPscExp()), population])
    fine = scales(network)
    return [
        RankEngine(layout, fine, wiring.build_local_synapses(layout, fine, SEED), SEED)
        for layout in layouts(network, ranks)
    ]


def access_to(engine: RankEngine, communicator: Communicator) -> Access:
    """Return what states act on; they use neither stimuli, nor last spikes, nor recordings."""
    unused: Any = None
    return Access(engine, communicator, ScriptChanges(), unused, unused, unused)


def on_ranks(
    made: list[RankEngine], work: Callable[[NeuronStates, int], Any], target: Target = "E"
) -> list[Any]:
    """Return what some work with the states gave, or raised, on each rank."""

    def main(communicator: Communicator) -> Any:
        rank = communicator.rank
        return work(NeuronStates(access_to(made[rank], communicator), target), rank)

    results, aborted = run(len(made), main)
    assert aborted is None
    return results


def kept(made: list[RankEngine], variable: str = "V_m") -> np.ndarray:
    """Return a variable as the engines keep it, in the order of gids."""
    population = made[0].neurons["E"].population
    whole = np.zeros(population.size, made[0].neurons["E"].states[variable].dtype)
    for engine in made:
        neurons = engine.neurons["E"]
        real = neurons.neurons >= 0
        whole[neurons.neurons[real]] = neurons.states[variable][real]
    return whole


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_all_ranks_read_all_values_in_the_order_of_gids(ranks: int) -> None:
    counts = np.arange(N) % 7
    made = engines(cells({"V_m": V, "refractory": counts}, "float64"), ranks)
    for target, part in (("E", slice(None)), (cells()[70:200], slice(70, 200))):
        for found in on_ranks(made, lambda states, rank: dict(states), target):
            assert list(found) == ["V_m", "I_syn_ex", "I_syn_in", "refractory"]
            np.testing.assert_allclose(found["V_m"], V[part], rtol=1e-15)
            assert found["V_m"].dtype == np.float64
            np.testing.assert_array_equal(found["refractory"], counts[part])
            assert found["refractory"].dtype == np.int64


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("value", [-61.3, V, Normal(-60.0, 4.0)], ids=["number", "array", "draws"])
def test_set_before_the_first_step_is_the_initial_value(value: Any, precision: str) -> None:
    expected = kept(engines(cells({"V_m": value}, precision), 1))
    for ranks in (1, 3):
        made = engines(cells(precision=precision), ranks)

        def work(states: NeuronStates, rank: int) -> None:
            states["V_m"] = value

        assert on_ranks(made, work) == [None] * ranks
        assert kept(made).tobytes() == expected.tobytes()


@pytest.mark.parametrize("ranks", [1, 3])
def test_view_takes_its_own_values_and_leaves_the_others(ranks: int) -> None:
    made = engines(cells({"I_syn_ex": 3.0}), ranks)
    before = kept(made, "I_syn_ex")
    numbers, drawn = np.arange(130.0), Exponential(5.0)

    def work(states: NeuronStates, rank: int) -> None:
        states["I_syn_ex"] = numbers
        states["I_syn_in"] = drawn
        states["refractory"] = numbers.astype(int).tolist()

    assert on_ranks(made, work, cells()[70:200]) == [None] * ranks
    after = kept(made, "I_syn_ex")
    np.testing.assert_array_equal(after[70:200], numbers)
    np.testing.assert_array_equal(np.delete(after, slice(70, 200)), before[:200])
    np.testing.assert_array_equal(kept(made, "refractory")[70:200], numbers)
    # a neuron draws the same in a view and in the whole
    whole = kept(engines(cells({"I_syn_in": drawn}), 1), "I_syn_in")
    np.testing.assert_array_equal(kept(made, "I_syn_in")[70:200], whole[70:200])


def active(precision: str) -> Network:
    """Return a network in which some potentials and currents decay towards zero."""
    population = cells({"V_m": V}, precision, tau_m=1.0, tau_syn_ex=0.5)
    return Network([population], [], [PoissonInput(population[:200], 8000.0, 60.0)])


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_setting_what_was_read_changes_nothing(precision: str) -> None:
    with Simulation(active(precision), seed=SEED) as simulation:
        simulation.run(25.0)
        neurons = simulation._engine.neurons["E"]
        before = {name: values.copy() for name, values in neurons.states.items()}
        states = simulation["E"].state
        read = dict(states)
        for name, values in read.items():
            states[name] = values
        real = slice(N)
        for name, values in neurons.states.items():
            assert values[real].tobytes() == before[name][real].tobytes()
        # which a difference alone would not do
        naive = (read["V_m"] - neurons.offset("V_m")[real]).astype(precision)
        assert (naive != before["V_m"][real]).any()
        # what is set is read again, as far as the precision of what is kept
        states["V_m"] = V
        np.testing.assert_allclose(states["V_m"], V, rtol=3e-7 if precision == "float32" else 1e-15)
        again = states["V_m"]
        states["V_m"] = again
        np.testing.assert_array_equal(states["V_m"], again)
        simulation.run(25.0)


def test_draws_are_others_at_another_time() -> None:
    with Simulation(active("float32"), seed=SEED) as simulation:
        states, found = simulation["E"].state, []
        for _ in range(2):
            simulation.run(0.1)
            states["V_m"] = Normal(-60.0, 4.0)
            first = states["V_m"]
            states["V_m"] = Normal(-60.0, 4.0)
            np.testing.assert_array_equal(states["V_m"], first)
            found.append(first)
        assert np.mean(found[0] == found[1]) < 0.05
        assert abs(np.corrcoef(found)[0, 1]) < 0.2
        assert np.std(found) == pytest.approx(4.0, abs=0.5)


def test_what_is_set_acts_at_the_next_step(tmp_path: Path) -> None:
    population = cells(E_L=-70.0, t_ref=1.0)
    with Simulation(Network([population]), out=tmp_path / "run.zarr") as simulation:
        simulation.run(1.0)
        state = simulation[population[3:6]].state
        state["V_m"] = [-50.0, -69.0, -69.0]
        state["refractory"] = [0, 0, 4]
        assert simulation[population].state["refractory"].sum() == 4
        simulation.run(1.0)
        np.testing.assert_array_equal(state["refractory"], [1, 0, 0])
        # the third was held for four of the ten steps
        expected = -70.0 + np.exp(-np.array([1.0, 0.6]) / 10.0)
        np.testing.assert_allclose(state["V_m"], [-70.0, *expected], rtol=1e-7)
    step, gid = StoreReader(tmp_path / "run.zarr").spikes()
    assert (step.tolist(), gid.tolist()) == ([11], [3])


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("V", 1.0, r"state of 'E': unknown state variable 'V'.*did you mean 'V_m'"),
        (3, 1.0, "unknown state variable '3'"),
        (["V_m"], 1.0, "unknown state variable"),
        ("V_m", np.zeros(N - 1), r"state of 'E', V_m: array of the wrong shape; given \(329,\)"),
        ("V_m", np.zeros((N, 1)), "one value per neuron"),
        ("V_m", [0.0] * 7 + [np.nan] + [0.0] * (N - 8), r"V_m\[7\]: must be finite; given nan"),
        ("V_m", np.inf, "V_m: must be finite"),
        ("V_m", "high", "V_m: must be a number"),
        ("V_m", -1e39, r"V_m: out of range; given -1e\+39"),
        ("refractory", -1, "refractory: out of range; given -1"),
        ("refractory", 2**31, "refractory: out of range"),
        ("refractory", 1.5, "refractory: must be an integer number of steps"),
        ("refractory", Exponential(3.0), "refractory: must be an integer number of steps"),
    ],
)
def test_invalid_values_are_refused_and_change_nothing(
    variable: Any, value: Any, message: str
) -> None:
    made = engines(cells({"V_m": V}), 1)
    states, before = NeuronStates(access_to(made[0], SingleProcess()), "E"), kept(made)
    with pytest.raises(DescriptionError, match=message):
        states[variable] = value
    assert kept(made).tobytes() == before.tobytes()


def test_float64_takes_what_float32_does_not() -> None:
    made = engines(cells(precision="float64"), 1)
    states = NeuronStates(access_to(made[0], SingleProcess()), "E")
    states["I_syn_ex"] = -1e39
    assert set(states["I_syn_ex"]) == {-1e39}


def test_neurons_that_are_not_there_are_refused() -> None:
    with Simulation(Network([cells()])) as simulation:
        with pytest.raises(DescriptionError, match=r"unknown part of the network 'e'.*mean 'E'"):
            simulation["e"]
        with pytest.raises(DescriptionError, match="population 'E' has 330 neurons"):
            simulation[Population("E", 400, IafPscExp())]


def fault(states: NeuronStates, rank: int) -> None:
    states["V_m"] = np.full(N, -60.0 if rank != 1 else np.nan)


def typing_error(states: NeuronStates, rank: int) -> None:
    assert states["V_m" if rank != 1 else "V_n"].size == N


@pytest.mark.parametrize("work", [fault, typing_error])
def test_error_on_one_rank_is_one_on_all(work: Callable[[NeuronStates, int], None]) -> None:
    made = engines(cells({"V_m": V}), 3)
    before = kept(made)
    results = on_ranks(made, work)
    assert [type(one) for one in results] == [RankError, DescriptionError, RankError]
    assert results[0].rank == 1
    assert str(results[1]) in str(results[0])
    assert kept(made).tobytes() == before.tobytes()


def other_values(states: NeuronStates, rank: int) -> None:
    states["V_m"] = np.random.default_rng(rank).normal(-60.0, 4.0, N)


def other_draws(states: NeuronStates, rank: int) -> None:
    states["V_m"] = Normal(-60.0, 4.0 + rank)


def other_variables(states: NeuronStates, rank: int) -> None:
    assert states["V_m" if rank != 2 else "I_syn_ex"].size == N


@pytest.mark.parametrize("work", [other_values, other_draws, other_variables])
def test_different_calls_of_ranks_are_refused(work: Callable[[NeuronStates, int], None]) -> None:
    made = engines(cells({"V_m": V}), 3)
    before = kept(made)
    for error in on_ranks(made, work):
        assert isinstance(error, UsageError)
        assert "was given other neurons, variables or values than rank 0" in str(error)
    assert kept(made).tobytes() == before.tobytes()


def test_different_neurons_of_ranks_are_refused() -> None:
    made = engines(cells(), 2)

    def main(communicator: Communicator) -> None:
        access = access_to(made[communicator.rank], communicator)
        NeuronStates(access, ["E", "first"][communicator.rank])

    for error in run(2, main)[0]:
        assert isinstance(error, UsageError)


def test_initial_values_that_cannot_be_kept_are_refused() -> None:
    with pytest.raises(DescriptionError, match=r"initial V_m: out of range; given 1e\+39"):
        cells({"V_m": 1e39})
    with pytest.raises(DescriptionError, match=r"initial refractory\[2\]: out of range"):
        cells({"refractory": [0] * 2 + [2**31] + [0] * (N - 3)})
    (layout,) = layouts(Network([cells({"refractory": 2**31 - 1})]), 1)
    assert make_neurons(layout, 0, SEED, False).states["refractory"].max() == 2**31 - 1


@pytest.mark.parametrize("precision", ["float32", pytest.param("float64", marks=pytest.mark.ci)])
@pytest.mark.parametrize("name", sampled(MODELS, 3))
def test_every_variable_of_every_model_is_recorded_as_it_is_read(
    name: str, precision: str, tmp_path: Path
) -> None:
    model, n_steps = get_neuron_model(name), 36
    population = Population("E", 70, model(), precision=precision)
    recordings = [
        RecordState(population[3:], tuple(model.states), interval=0.1 * period, name=str(period))
        for period in (1, 3, 17)
    ]
    stimuli = []
    for one in model.receptors:
        weight = 1.0 if model.allowed_weights.get(one, ANY).high > 0.0 else -1.0
        stimuli.append(PoissonInput(population, 9000.0, weight, receptor=one))
    with Simulation(
        Network([population], [], stimuli, recordings), out=tmp_path / "run.zarr"
    ) as simulation:
        states, read = simulation[population[3:]].state, []
        for _ in range(n_steps):
            simulation.run(0.1)
            read.append(dict(states))
    for period in (1, 3, 17):
        found = StoreReader(tmp_path / "run.zarr").state(str(period))
        np.testing.assert_array_equal(found.steps, np.arange(period, n_steps + 1, period))
        for variable, known in model.states.items():
            stored = found.variables[variable].load(0, found.steps.size)
            assert stored.dtype == ("int32" if known.integer else precision)
            expected = np.array([read[step - 1][variable] for step in found.steps])
            np.testing.assert_array_equal(stored, expected.astype(stored.dtype))
