"""Parameters of plasticity rules change between runs: from then on as if described so."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_rules import RELEASING
from recorded import assert_same, recorded, state_digest
from thread_ranks import run

from distsnn.comm import Communicator, SingleProcess
from distsnn.errors import DescriptionError, StateError, UsageError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    BCM,
    STDP,
    DopamineSTDP,
    FixedIndegree,
    IafPscExp,
    Network,
    PlasticityModel,
    PlasticSynapse,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordWeights,
    SpikeInput,
    SpikeSource,
    TripletSTDP,
    Tsodyks2BySynapse,
    Uniform,
)
from distsnn.simulation import Simulation

SEED, N = 5, 130
KEYS = np.unique(np.random.default_rng(2).integers(0, 40 * 1000, 2000))
SOURCES = Population("S", 40, SpikeSource((KEYS // 40 + 1) * 0.1, KEYS % 40))
TARGETS = Population("E", N, IafPscExp())
WEIGHTS, DELAYS = Uniform(20.0, 60.0), Uniform(1.0, 4.0)
Change = Callable[[Simulation], None]


def network(rule: PlasticSynapse) -> Network:
    learning = Projection(
        *(SOURCES, TARGETS, FixedIndegree(10), WEIGHTS, DELAYS), name="p", synapse=rule
    )
    return Network(
        [SOURCES, TARGETS],
        [learning],
        [PoissonInput(TARGETS, 9000.0, 50.0)],
        [RecordSpikes(TARGETS), RecordWeights("p", interval=0.7)],
    )


def outcome(
    rule: PlasticSynapse, *changes: Change, times: tuple[float, ...] = (100.0,)
) -> tuple[np.ndarray, ...]:
    """Return the weights and the last run's spikes, with a change before each run."""
    with Simulation(network(rule), seed=SEED) as one:
        for index, time in enumerate(times):
            if index < len(changes):
                changes[index](one)
            one.run(time)
        return (one["p"].weights, *one["E"].spikes())


def setting(**values: Any) -> Change:
    def change(one: Simulation) -> None:
        for name, value in values.items():
            one["p"].parameters[name] = value

    return change


CI = pytest.mark.ci
CASES = [
    (
        STDP(precision="float64"),
        {"tau_plus": 9.0, "tau_minus": 31.0, "learning_rate": 0.1, "w_max": 90.0, "w_min": 10.0},
    ),
    pytest.param(
        TripletSTDP(), {"tau_plus_triplet": 50.0, "tau_minus": 20.0, "Aplus": 0.1}, marks=CI
    ),
    pytest.param(BCM(eta=0.05), {"tau_theta": 60.0, "rate_0": 50.0, "tau_plus": 8.0}, marks=CI),
    pytest.param(
        DopamineSTDP(modulator="S", b=3.0, A_plus=0.1, A_minus=0.1),
        {"tau_c": 90.0, "tau_n": 50.0, "b": 2.0, "tau_minus": 9.0},
        marks=CI,
    ),
    pytest.param(Tsodyks2BySynapse(), {"U": 0.2, "tau_rec": 100.0, "tau_fac": 50.0}, marks=CI),
    pytest.param(RELEASING(A=0.2, B=0.5), {"tau_x": 20.0, "U": 0.3}, marks=CI),
]


@pytest.mark.parametrize(("rule", "values"), CASES)
def test_set_before_the_first_step_they_are_those_of_the_description(
    rule: PlasticSynapse, values: dict[str, Any]
) -> None:
    expected = outcome(dataclasses.replace(rule, **values))
    found = outcome(rule, setting(**values))
    assert any(not np.array_equal(*pair) for pair in zip(expected, outcome(rule), strict=True))
    for pair in zip(found, expected, strict=True):
        np.testing.assert_array_equal(*pair)


# Spikes of source and target (ms), one of them on either side of a change.
EARLIER, CHANGED, LATER, DELAY = 10.0, 22.0, 37.0, 1.5


@pytest.mark.parametrize("axonal", [0.0, 0.5])
@pytest.mark.parametrize("causal", [True, False])
def test_traces_decay_with_the_old_and_then_the_new_time_constant(
    causal: bool, axonal: float
) -> None:
    at = (EARLIER, LATER) if causal else (LATER, EARLIER)
    source, target = Population("S", 1, SpikeSource(at[:1], [0])), Population("E", 1, IafPscExp())
    additive = {"mu_plus": 0.0, "mu_minus": 0.0, "learning_rate": 0.1, "precision": "float64"}
    learning = Projection(
        *(source, target, FixedIndegree(1), 40.0, DELAY),
        synapse=STDP(axonal_delay=axonal, **additive),
        name="p",
    )
    net = Network([source, target], [learning], [SpikeInput(target, at[1:], [0], 9000.0)])
    spikes = []
    with Simulation(net, seed=SEED) as one:
        for _ in range(2):
            one.run(CHANGED)
            spikes += [0.1 * step for step in one["E"].spikes()[0]]
            setting(tau_plus=7.0, tau_minus=50.0)(one)
        (weight,) = one["p"].weights
    (spike,) = spikes
    dendritic = DELAY - axonal
    if causal:
        old, new = CHANGED - (EARLIER + axonal), spike + dendritic - CHANGED
        expected = 40.0 + 10.0 * np.exp(-old / 20.0 - new / 7.0)
    else:
        # of what is under way along dendrites, the trace is that of the new time constant
        old, new = CHANGED - DELAY - spike, LATER + axonal - dendritic - (CHANGED - DELAY)
        expected = 40.0 - 10.0 * np.exp(-old / 20.0 - new / 50.0)
    np.testing.assert_allclose(weight, expected, rtol=1e-9)


def changing(rule: PlasticSynapse, values: list[dict[str, Any]], out: Path, part: str) -> None:
    """Run, set parameters at two moments and save; then run and set some more, and save again."""
    if part == "resume":
        one = Simulation.restore(out, out=out)
    else:
        one = Simulation(network(rule), seed=SEED, out=out)
        one.run(38.7)
        setting(**values[0])(one)
        one.run(0.5)
        setting(**values[1])(one)
        one.save()
    if part == "begin":
        one.run(3.0)
        one._stop(RuntimeError("given up"))
        return
    one.run(1.1)
    setting(**values[2])(one)
    one.run(30.0)
    one.save()
    one.close()


MORE = [
    (
        CASES[0][0],
        [
            {"tau_minus": 11.0},
            {"tau_plus": 13.0, "tau_minus": 44.0, "learning_rate": Uniform(0.02, 0.1)},
            {"learning_rate": 0.05, "w_max": 60.0},
        ],
    ),
    pytest.param(
        BCM(eta=0.05, axonal_delay=0.3),
        [{"tau_theta": 60.0}, {"rate_0": 50.0}, {"tau_minus": 9.0}],
        marks=CI,
    ),
    pytest.param(
        DopamineSTDP(modulator="S", b=3.0, A_plus=0.1, A_minus=0.1),
        [{"tau_n": 20.0}, {"tau_c": 90.0, "tau_plus": 7.0}, {"A_plus": 0.2}],
        marks=CI,
    ),
    pytest.param(
        Tsodyks2BySynapse(),
        [{"U": 0.2, "tau_fac": 50.0}, {"tau_rec": 100.0}, {"U": 0.3}],
        marks=CI,
    ),
]


@pytest.mark.parametrize(("rule", "values"), MORE)
def test_changed_in_mid_run_and_resumed(
    rule: PlasticSynapse, values: list[dict[str, Any]], tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole.zarr", tmp_path / "parts.zarr"
    changing(rule, values, whole, "whole")
    changing(rule, values, parts, "begin")
    changing(rule, values, parts, "resume")
    assert_same(recorded(whole), recorded(parts))
    assert state_digest(whole) == state_digest(parts)
    assert StoreReader(whole).n_spikes > 200


REFUSED = [
    ("tau_plu", 3.0, r"parameters of 'p': unknown parameter 'tau_plu'.*did you mean 'tau_plus'"),
    ("tau_plus", 0.0, r"parameters of 'p', tau_plus: out of range; given 0\.0; allowed: > 0"),
    ("tau_plus", Uniform(5.0, 9.0), r"tau_plus: must be one number for all synapses"),
    ("learning_rate", [0.1, 0.2], r"learning_rate: .*one value per synapse"),
    ("learning_rate", Uniform(-1.0, 0.2), r"learning_rate: draws would fall out of range"),
    ("learning_rate", "fast", r"parameters of 'p', learning_rate: must be a number"),
    ("w_max", 200.0, r"parameters of 'p', w_max: out of range; given 200\.0; allowed: .*<= 100"),
    ("w_max", -50.0, r"parameters of 'p', w_max: out of range"),
    ("w_min", 100.0, r"w_min: must be nearer to 0 than w_max"),
]


def test_invalid_values_are_refused_and_change_nothing() -> None:
    def change(one: Simulation) -> None:
        before = dict(one["p"].parameters)
        for name, value, message in REFUSED:
            with pytest.raises(DescriptionError, match=message):
                one["p"].parameters[name] = value
        assert dict(one["p"].parameters) == before

    rule = CASES[0][0]
    found = outcome(rule, lambda one: None, change, times=(30.0, 50.0))
    for pair in zip(found, outcome(rule, times=(30.0, 50.0)), strict=True):
        np.testing.assert_array_equal(*pair)


def test_steps_of_learning_too_small_for_float32_are_refused() -> None:
    with Simulation(network(STDP()), seed=SEED) as one:
        with pytest.raises(DescriptionError, match=r'too small.*precision="float64"'):
            one["p"].parameters["learning_rate"] = 1e-7
        one["p"].parameters["learning_rate"] = 0.0  # which learns nothing


def test_values_are_read_by_synapse_and_ranks_must_give_the_same() -> None:
    given = np.random.default_rng(3).uniform(0.01, 0.2, 10 * N)

    def main(communicator: Communicator) -> dict[str, np.ndarray]:
        with Simulation(network(CASES[0][0]), seed=SEED, communicator=communicator) as one:
            learning = one["p"]
            learning.parameters["learning_rate"] = given
            learning.parameters["alpha"] = Uniform(0.5, 1.5)
            for name in ("learning_rate", "tau_plus") if communicator.size > 1 else ():
                with pytest.raises(UsageError):
                    learning.parameters[name] = 0.3 + communicator.rank
            one.run(20.0)
            learning.parameters["alpha"] = Uniform(0.5, 1.5)
            return {name: np.asarray(value) for name, value in learning.parameters.items()}

    alone = main(SingleProcess())
    np.testing.assert_array_equal(alone["learning_rate"], given)
    assert alone["tau_plus"] == 20.0
    with Simulation(network(STDP(alpha=Uniform(0.5, 1.5))), seed=SEED) as one:
        at_first = one["p"].parameters["alpha"]
    assert np.ptp(at_first) > 0.9
    assert not np.isin(alone["alpha"], at_first).any()  # draws of another time
    results, aborted = run(2, main)
    assert aborted is None
    for found in results:
        assert found.keys() == alone.keys()
        for name, values in alone.items():
            np.testing.assert_array_equal(found[name], values)


def test_weights_beyond_new_bounds_become_these_bounds() -> None:
    with Simulation(network(CASES[0][0]), seed=SEED) as one:
        before = one["p"].weights
        one["p"].parameters["w_min"] = 30.0
        one["p"].parameters["w_max"] = 50.0
        np.testing.assert_array_equal(one["p"].weights, np.clip(before, 30.0, 50.0))
        with pytest.raises(DescriptionError, match="out of range"):
            one["p"].weights = 55.0


def test_parameters_stay_over_a_reset() -> None:
    rule, values = CASES[0]
    with Simulation(network(rule), seed=SEED) as one:
        one.run(30.0)
        setting(**values)(one)
        one.run(30.0)
        one.reset(weights="described")
        one.run(100.0)
        found = (one["p"].weights, *one["E"].spikes())
    for pair in zip(found, outcome(dataclasses.replace(rule, **values)), strict=True):
        np.testing.assert_array_equal(*pair)


# Steps of the weight without bounds of its own: each spike of the source adds to it.
GROWING = PlasticityModel(on_pre="w += step", parameters={"step": (0.5, "pA")}, name="growing")


def test_weights_beyond_bounds_of_single_synapses_are_saved_and_restored(tmp_path: Path) -> None:
    # the run stops at the largest bound only, which no weight reaches
    rule = GROWING(w_max=Uniform(60.0, 1000.0))
    path = tmp_path / "run.zarr"
    with Simulation(network(rule), seed=SEED, out=path) as one:
        one["p"].parameters["step"] = 0.6
        one.run(60.0)
        weights, bounds = one["p"].weights, one["p"].parameters["w_max"]
        assert (weights > bounds).any()
        one.save()
    with Simulation.resume(path, network=network(rule)) as one:
        np.testing.assert_array_equal(one["p"].weights, weights)


def test_a_run_stops_at_a_bound_that_was_set_as_at_a_described_one() -> None:
    for rule, changes in ((GROWING(w_max=65.0), ()), (GROWING(), (setting(w_max=65.0),))):
        with pytest.raises(StateError, match=r"its weight has become 65\.\d+, beyond 0 to 65$"):
            outcome(rule, *changes, times=(300.0,))
