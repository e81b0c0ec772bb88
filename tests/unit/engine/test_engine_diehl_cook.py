"""Plasticity at spikes of the target alone against lists of events, one synapse after another."""

import numpy as np
import plasticity_reference as reference
import pytest
from test_engine_plastic import DT, STEPS, Run, learning

from distsnn.network import DiehlCookSTDP


def expected(model: DiehlCookSTDP, weight: float, events: list[tuple[int, int]]) -> float:
    x = reference.Trace(model.tau_plus / DT, nearest=True)
    for step, kind in events:
        if kind == reference.PRE:
            x.spike(step)
            continue
        share = weight / model.w_max
        more = model.learning_rate * (x.at(step, before=True) - model.x_target)
        share += more * reference.power(1.0 - share, model.mu)
        weight = min(max(share, 0.0), 1.0) * model.w_max
    return weight


@pytest.mark.parametrize(
    "model",
    [
        DiehlCookSTDP(precision="float64", learning_rate=0.02, x_target=0.6),
        DiehlCookSTDP(precision="float64", learning_rate=0.3, mu=0.0, axonal_delay=0.7),
        DiehlCookSTDP(precision="float64", learning_rate=0.1, mu=1.0, x_target=0.1, tau_plus=7.0),
    ],
    ids=["power", "additive, axonal", "multiplicative"],
)
def test_weights_are_those_of_lists_of_events(model: DiehlCookSTDP) -> None:
    run = Run(learning(model), 3000, 1, STEPS - 3001)
    axonal, want = model.axonal_steps(DT), []
    for source, target, delay, weight in run.synapses(0):
        events = reference.events(
            run.trains[source], run.trains[target], axonal, delay - axonal, STEPS
        )
        want.append(expected(model, weight, events))
    found = run.engine.plastic[0].rows.weights
    np.testing.assert_array_equal(found, want)
    assert (np.abs(found - run.start[0]) > 1.0).mean() > 0.5
    assert np.unique(found).size > 100


def test_between_its_spikes_nothing_happens_to_a_target() -> None:
    run = Run(learning(DiehlCookSTDP(learning_rate=0.3)), 30)
    silent = [len(run.trains[target]) == 0 for _, target, _, _ in run.synapses(0)]
    assert 0 < sum(silent) < len(silent)
    found = run.engine.plastic[0].rows.weights
    np.testing.assert_array_equal(found[silent], run.start[0][silent])
