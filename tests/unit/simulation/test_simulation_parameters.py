"""Parameters of neurons change between runs: from then on as if described so.

Ranks are threads here, which exchange no spikes; `tests/invariance` has networks on ranks of MPI.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaigns import sampled
from thread_ranks import run

from distsnn.comm import Communicator, SingleProcess
from distsnn.errors import DescriptionError, RankError, UsageError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    AeifCondExp,
    AeifPscDeltaClopath,
    ClopathSTDP,
    FixedIndegree,
    GifPscExp,
    IafCondExp,
    IafPscExp,
    Izhikevich,
    Network,
    Neuron,
    NeuronModel,
    Normal,
    PoissonInput,
    PoissonNeuron,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    Uniform,
)
from distsnn.simulation import Simulation

N, SEED = 200, 7
OWN = NeuronModel(
    "dv/dt = (E - v)/tau + I/C : mV\ndI/dt = -I/(3*ms) : pA",
    threshold="v > theta",
    reset="v = E",
    refractory="t_ref",
    receptors={"ex": "I"},
    parameters={
        "E": (-65.0, "mV"),
        "tau": (10.0, "ms", "> 0"),
        "C": (250.0, "pF", "> 0"),
        "theta": (-55.0, "mV"),
        "t_ref": (2.0, "ms"),
    },
    name="own",
)


def network(model: Neuron, weight: float) -> Network:
    e = Population("E", N, model)
    return Network([e], [], [PoissonInput(e, 9000.0, weight)], [RecordSpikes(e)])


def spikes(
    model: Neuron,
    weight: float,
    change: Callable[[Simulation], None] = lambda one: None,
    ranks: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the spikes of 60 ms, with a change before the first step."""

    def main(communicator: Communicator) -> tuple[np.ndarray, np.ndarray]:
        with Simulation(network(model, weight), seed=SEED, communicator=communicator) as one:
            change(one)
            one.run(60.0)
            found: tuple[np.ndarray, np.ndarray] = one["E"].spikes()
        return found

    if ranks == 1:
        return main(SingleProcess())
    results, aborted = run(ranks, main)
    assert aborted is None
    for one in results[1:]:
        np.testing.assert_array_equal(one, results[0])
    found: tuple[np.ndarray, np.ndarray] = results[0]
    return found


THRESHOLDS = np.random.default_rng(4).uniform(-58.0, -52.0, N)
CI = pytest.mark.ci
CASES = [
    (IafPscExp, {"tau_m": 14.0, "V_th": THRESHOLDS}, 45.0),
    pytest.param(IafPscExp, {"C_m": Normal(230.0, 5.0), "t_ref": 0.0}, 45.0, marks=CI),
    pytest.param(IafCondExp, {"tau_syn_ex": 0.3, "g_L": Uniform(14.0, 18.0)}, 2.5, marks=CI),
    pytest.param(*(AeifCondExp, {"a": 6.0, "tau_w": np.linspace(80.0, 150.0, N)}, 9.0), marks=CI),
    pytest.param(GifPscExp, {"lambda_0": 30.0, "Delta_V": 2.0}, 45.0, marks=CI),
    pytest.param(Izhikevich, {"a": Uniform(0.02, 0.1), "d": 4.0}, 3.0, marks=CI),
    (OWN, {"tau": Uniform(9.0, 12.0), "C": 180.0}, 45.0),
]


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize(("model", "values", "weight"), CASES)
def test_changed_before_the_first_step_they_are_those_of_the_description(
    model: Callable[..., Neuron], values: dict[str, Any], weight: float, ranks: int
) -> None:
    def change(one: Simulation) -> None:
        for name, value in values.items():
            one["E"].parameters[name] = value

    expected = spikes(model(**values), weight)
    assert expected[0].size > N
    assert not np.array_equal(spikes(model(), weight)[1], expected[1])
    np.testing.assert_array_equal(spikes(model(), weight, change, ranks=ranks), expected)


def test_rates_of_poisson_neurons_change_up_to_one_spike_a_step() -> None:
    with Simulation(Network([Population("P", 500, PoissonNeuron(rate=0.0))]), seed=SEED) as one:
        one.run(10.0)
        assert one["P"].spikes()[0].size == 0
        one["P"].parameters["rate"] = 100.0
        with pytest.raises(DescriptionError, match="rate"):
            one["P"].parameters["rate"] = 20_000.0
        one.run(100.0)
        n = one["P"].spikes()[0].size
    assert abs(n - 5000) < 4.0 * 5000**0.5


def test_view_takes_its_own_values_and_leaves_the_others() -> None:
    with Simulation(network(IafPscExp(E_L=Normal(-70.0, 1.0)), 45.0), seed=SEED) as one:
        e = one.network.populations[0]
        before = one["E"].parameters["E_L"]
        assert 0.8 < before.std() < 1.2
        one[e[20:150]].parameters["E_L"] = -68.0
        after = one[e].parameters["E_L"]
        np.testing.assert_array_equal(after[20:150], -68.0)
        np.testing.assert_array_equal(
            np.delete(after, slice(20, 150)), [*before[:20], *before[150:]]
        )
        assert dict(one[e[:3]].parameters).keys() == IafPscExp.parameters().keys()


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_states_stay_and_then_follow_the_new_parameters(precision: str) -> None:
    e = Population("E", N, IafPscExp(E_L=-65.0), {"V_m": np.linspace(-64.0, -60.0, N)}, precision)
    with Simulation(Network([e]), seed=SEED) as one:
        one.run(3.0)
        before = one["E"].state["V_m"]
        one[e[100:]].parameters["E_L"] = -69.0
        after = one["E"].state["V_m"]
        np.testing.assert_array_equal(after[:100], before[:100])
        np.testing.assert_allclose(after[100:], before[100:], atol=1e-6)
        one.run(7.0)
        rest = np.where(np.arange(N) < 100, -65.0, -69.0)
        expected = rest + (before - rest) * np.exp(-7.0 / e.model.value("tau_m"))
        np.testing.assert_allclose(one["E"].state["V_m"], expected, atol=3e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_recordings_show_the_states_after_their_offset_has_changed(
    tmp_path: Path, precision: str
) -> None:
    e = Population("E", N, IafPscExp(), {"V_m": np.linspace(-64.0, -60.0, N)}, precision)
    net = Network([e], [], [], [RecordState(e[50:], "V_m", interval=1.0, name="v")])
    seen = []
    with Simulation(net, seed=SEED, out=tmp_path / "r.zarr") as one:
        for value in (None, -60.0, np.linspace(-80.0, -50.0, N), -70.0):
            if value is not None:
                one["E"].parameters["E_L"] = value
            one.run(1.0)
            seen.append(one[e[50:]].state["V_m"])
    found = StoreReader(tmp_path / "r.zarr").state("v").variables["V_m"][:, :]
    np.testing.assert_allclose(found, seen, atol={"float32": 4e-6, "float64": 1e-12}[precision])


@pytest.mark.ci
def test_potentials_that_act_late_stay_when_their_offset_changes() -> None:
    e = Population("E", 70, AeifPscDeltaClopath(I_e=900.0), precision="float64")
    net = Network(
        [e], [Projection(e, e, FixedIndegree(5), 0.5, 1.0, name="p", synapse=ClopathSTDP())]
    )
    with Simulation(net, seed=SEED) as one:
        one.run(20.0)
        (watch,) = (plastic.targets for plastic in one._engine.plastic)
        at = [watch._offsets[name] for name in watch._late_names]

        def seen() -> np.ndarray:
            offsets = np.array([watch.after_update.referenced_arrays[place] for place in at])
            values: np.ndarray = watch._late + offsets
            return values

        before, states = seen(), dict(one["E"].state)
        assert np.ptp(before) > 1.0
        one[e[10:]].parameters["E_L"] = -65.0
        assert [one["E"].parameters["E_L"][k] for k in (9, 10)] == [-70.6, -65.0]
        np.testing.assert_allclose(seen(), before, rtol=1e-14)
        for name, values in states.items():
            np.testing.assert_allclose(one["E"].state[name], values, rtol=1e-14)


def changing(out: Path, communicator: Communicator, part: str) -> None:
    """Run 20 ms, change parameters, save; then 10 ms more, change others, run to the end."""
    model = IafCondExp(E_L=Normal(-70.0, 1.0))
    e = Population("E", 300, model, {"V_m": Normal(-62.0, 3.0)})
    i = Population("I", 130, IafPscExp(), precision="float64")
    few = Population("few", 30, IafPscExp())  # some ranks have none of them
    net = Network(
        [e, i, few],
        [],
        [PoissonInput(e, 9000.0, 2.5), PoissonInput(i, 9000.0, 45.0)],
        [RecordSpikes(e), RecordSpikes(i), RecordState(e, "V_m", interval=0.7, name="v")],
    )
    if part == "resume":
        one = Simulation.restore(out, out=out, communicator=communicator)
    else:
        one = Simulation(net, seed=SEED, out=out, communicator=communicator)
        one.run(20.0)
        one["E"].parameters["tau_syn_ex"] = 0.3
        one[e[70:200]].parameters["E_L"] = Normal(-67.0, 1.0)
        one["I"].parameters["V_th"] = np.linspace(-58.0, -54.0, 130)
        one["I"].parameters["V_th"] = -56.0
        # equal numbers of different bits
        one["few"].parameters["I_e"] = np.where(np.arange(30) < 20, 0.0, -0.0)
        one["few"].parameters["tau_m"] = Uniform(9.0, 11.0)
        one.save()
    if part == "begin":
        one.run(3.0)
        one._stop(RuntimeError("given up"))
        return
    one.run(10.0)
    one["E"].parameters["g_L"] = one["E"].parameters["g_L"] * 1.1
    one["few"].parameters["t_ref"] = Uniform(1.0, 3.0)
    one.run(20.0)
    one.save()
    one.close()


def recorded(out: Path) -> tuple[str, np.ndarray]:
    reader = StoreReader(out)
    assert reader.complete and reader.n_spikes > 300
    return reader.spike_hash(), reader.state("v").variables["V_m"][:, :]


@pytest.mark.parametrize("ways", sampled([[(2, "begin"), (3, "resume")], [(3, "whole")]], 2))
def test_changed_in_mid_run_on_any_ranks_and_after_resuming(
    tmp_path: Path, ways: list[tuple[int, str]]
) -> None:
    changing(tmp_path / "alone.zarr", SingleProcess(), "whole")
    for ranks, part in ways:
        _, aborted = run(ranks, lambda one, part=part: changing(tmp_path / "o.zarr", one, part))
        assert aborted is None
    expected, found = recorded(tmp_path / "alone.zarr"), recorded(tmp_path / "o.zarr")
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])
    assert StoreReader(tmp_path / "o.zarr").metadata["script_changes"] == ["E", "I", "few"]


def test_substeps_follow_what_is_changed() -> None:
    def change(one: Simulation) -> None:
        one["E"].parameters["g_L"] = 150.0

    described = IafCondExp(g_L=150.0)
    assert (IafCondExp().parts(0.1), described.parts(0.1)) == (2, 3)
    expected = spikes(described, 80.0)
    assert expected[0].size > N
    np.testing.assert_array_equal(spikes(IafCondExp(), 80.0, change, ranks=2), expected)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("V_thr", -50.0, r"parameters of 'E': unknown parameter 'V_thr'.*did you mean 'V_th'"),
        ("C_m", 0.0, r"parameters of 'E', C_m: out of range; given 0\.0; allowed: > 0"),
        ("C_m", [1.0, 2.0], r"parameters of 'E', C_m: .*one value per neuron"),
        ("tau_m", Normal(10.0, 5.0), r"parameters of 'E', tau_m: draws would fall out of range"),
        ("t_ref", 0.25, r"parameters of 'E', field t_ref.*: time is not on the grid; given 0\.25"),
        ("V_reset", np.full(N, -40.0), r"field V_reset\[0\]: must be below V_th; given -40"),
        ("V_th", "high", r"parameters of 'E', V_th"),
    ],
)
def test_invalid_values_are_refused_and_change_nothing(name: str, value: Any, message: str) -> None:
    def change(one: Simulation) -> None:
        with pytest.raises(DescriptionError, match=message):
            one["E"].parameters[name] = value

    expected = spikes(IafPscExp(), 45.0)
    np.testing.assert_array_equal(spikes(IafPscExp(), 45.0, change), expected)


def test_parameters_that_need_float64_are_refused_in_float32() -> None:
    def change(one: Simulation) -> None:
        with pytest.raises(DescriptionError, match=r"needs \d+ substeps.*precision=\"float64\""):
            one["E"].parameters["g_L"] = 400.0

    expected = spikes(IafCondExp(), 2.5)
    np.testing.assert_array_equal(spikes(IafCondExp(), 2.5, change), expected)


def test_values_that_cannot_be_integrated_are_refused_and_nothing_changes() -> None:
    model = NeuronModel(
        "dv/dt = (g - v/tau)/r/ms : 1",
        threshold="v > 1",
        reset="v = 0",
        parameters={"g": (0.3, "1"), "tau": (10.0, "1"), "r": (1.0, "1")},
        name="divided",
    )
    e = Population("E", 5, model())
    found = []
    for refused in (True, False):
        with Simulation(Network([e], recordings=[RecordSpikes(e)]), seed=SEED) as one:
            if refused:
                with pytest.raises(DescriptionError, match="divided by 0"):
                    one["E"].parameters["r"] = 0.0
            one.run(50.0)
            found.append(one["E"].spikes())
    assert found[0][0].size > 20
    np.testing.assert_array_equal(*found)


def test_different_values_of_ranks_are_refused() -> None:
    def main(communicator: Communicator) -> str:
        with Simulation(network(IafPscExp(), 45.0), seed=SEED, communicator=communicator) as one:
            with pytest.raises(UsageError) as caught:
                one["E"].parameters["V_th"] = -50.0 - communicator.rank
            np.testing.assert_array_equal(one["E"].parameters["V_th"], -55.0)
            return str(caught.value)

    results, aborted = run(2, main)
    assert aborted is None
    assert all("rank 1 was given other" in one for one in results)


def test_a_step_that_becomes_too_long_is_warned_of_once() -> None:
    warned = pytest.warns(UserWarning, match=r"population 'E': iaf_cond_exp finds spikes at")
    with Simulation(network(IafCondExp(substeps=2), 2.5), seed=SEED) as one:
        with warned:
            one["E"].parameters["tau_syn_ex"] = 0.05
        one["E"].parameters["I_e"] = 10.0  # warnings are errors here


def test_a_warning_that_is_an_error_stops_all_ranks_and_changes_nothing() -> None:
    def main(communicator: Communicator) -> None:
        net = network(IafCondExp(substeps=2), 2.5)
        with Simulation(net, seed=SEED, communicator=communicator) as one:
            with pytest.raises((UserWarning, RankError)):
                one["E"].parameters["tau_syn_ex"] = 0.05
            np.testing.assert_array_equal(one["E"].parameters["tau_syn_ex"], 0.2)

    assert run(2, main) == ([None, None], None)
