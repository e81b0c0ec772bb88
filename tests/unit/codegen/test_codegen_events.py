"""Events of a user's model beside its threshold."""

from dataclasses import replace

import numpy as np
import pytest
from kernel_calls import NeuronCall
from own_models import IZHIKEVICH, given_values

from distsnn.codegen.generated import generated_kernel_module
from distsnn.errors import DescriptionError
from distsnn.network import Network, NeuronModel, Population


def test_an_event_is_the_floor_of_the_built_in_izhikevich_neuron() -> None:
    model = replace(
        IZHIKEVICH,
        events={"floor": ("V_m < V_min", "V_m = V_min")},
        parameters={**IZHIKEVICH.parameters, "V_min": (-72.0, "mV")},
    )
    n, rng = 100, np.random.default_rng(3)
    p = given_values(model, n, 8) | {"V_min": np.linspace(-80.0, -66.0, n)}
    quanta, consistent = {"delta": 0.25}, {"consistent_integration": np.ones(())}
    built_in = NeuronCall("izhikevich", p | consistent, n, current=True, quanta=quanta)
    own = NeuronCall(generated_kernel_module(model), p, n, current=True, quanta=quanta)
    for one in (built_in, own):
        one.states["V_m"][:], one.states["U_m"][:] = -65.0, -13.0
    spikes = floors = 0
    for k in range(1500):
        weights = rng.integers(-40, 45, n) * (rng.random(n) < 0.1)
        for one in (built_in, own):
            one.rows["delta"][0, :n] = weights
        gids = built_in.step(k)
        np.testing.assert_array_equal(own.step(k), gids)
        spikes += gids.size
        floors += np.count_nonzero(own.states["V_m"][:n] == p["V_min"])
        for name, values in own.states.items():
            np.testing.assert_allclose(values, built_in.states[name], rtol=1e-10, atol=1e-10)
            values[:] = built_in.states[name]
    assert spikes > 2 * n and floors > 5 * n


COUNTING = NeuronModel(
    equations="""
        dx/dt = 1/ms : 1
        da/dt = 0/ms : 1
        db/dt = 0/ms : 1
        dc/dt = 0/ms : 1
    """,
    threshold="x >= 1",
    reset="x = 0; a += 1",
    events={
        "never": ("x >= 5", "c += 1"),
        "later": ("x >= 0.5 and a < 3", "c += 1; a += c"),
        "also": ("x >= 1", "b = a; x += 10"),
    },
    name="counting",
)


def test_conditions_see_states_before_and_statements_those_of_events_before() -> None:
    call = NeuronCall(generated_kernel_module(COUNTING), {}, 64, dt=0.5)
    # steps of 0.5: x = 0.5 -> later: c = 1, a = 1
    assert call.step(0).size == 0
    assert {name: values[0] for name, values in call.states.items()} == dict(x=0.5, a=1, b=0, c=1)
    # x = 1: the reset (x = 0, a = 2), also (b = 2, x = 10), later (c = 2, a = 4); x >= 5 is not yet
    assert call.step(1).size == 64
    assert {name: values[0] for name, values in call.states.items()} == dict(x=10, a=4, b=2, c=2)
    # x = 10.5: the reset (x = 0, a = 5), also (b = 5, x = 10), never (c = 3); a < 3 is over
    assert call.step(2).size == 64
    assert {name: values[0] for name, values in call.states.items()} == dict(x=10, a=5, b=5, c=3)


def test_events_need_no_threshold_and_are_stored() -> None:
    model = replace(COUNTING, threshold="", reset="")
    call = NeuronCall(generated_kernel_module(model), {}, 64, dt=0.5)
    assert call.step(0).size == call.step(1).size == 0
    assert call.states["x"][0] == 11.0
    assert not model.neuron.can_spike
    network = Network([Population("A", 3, COUNTING)])
    assert Network.from_dict(*network.to_dict()) == network
    assert replace(COUNTING, events={}) != COUNTING
    # whichever was written first, the names are the order
    assert replace(COUNTING, events=dict(reversed([*COUNTING.events.items()]))) == COUNTING


def test_events_are_tested_after_each_part_of_a_step() -> None:
    model = NeuronModel(
        "dx/dt = 1/ms + 0*x**2/ms : 1",
        events={"wraps": ("x >= 0.5", "x -= 0.5")},
        method="rk4",
        substeps=4,
    )
    call = NeuronCall(generated_kernel_module(model), {}, 64, dt=1.0)
    call.step(0)
    np.testing.assert_allclose(call.states["x"], 0.0, atol=1e-12)


@pytest.mark.parametrize(("substeps", "test_parts"), [(1, True), (3, True), (3, False)])
def test_an_event_without_a_condition_occurs_at_the_end_of_each_step(
    substeps: int, test_parts: bool
) -> None:
    model = NeuronModel(
        "dx/dt = 1/ms + 0*x**2/ms : 1\ndbefore/dt = 0/ms : 1\ndn/dt = 0/ms : 1",
        threshold="x - before >= 1.5",
        receptors={"in": "x"},
        events={"keep": ("", "before = x; n += 1")},
        method="rk4",
        substeps=substeps,
        test_parts=test_parts,
    )
    call = NeuronCall(generated_kernel_module(model), {}, 64, dt=1.0)
    assert call.step(0).size == 0
    call.rows["in"][0, :2] = 1
    assert list(call.step(1)) == [0, 1]
    np.testing.assert_allclose(call.states["x"][:3], [3.0, 3.0, 2.0], rtol=1e-12)
    np.testing.assert_array_equal(call.states["before"], call.states["x"])
    np.testing.assert_array_equal(call.states["n"], 2.0)


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ({"a": ("x", "x = 0")}, "condition of the event a, line 1, column 1: must be a condition"),
        ({"a": ("x > 1", "")}, "events, 'a': assignments are missing"),
        ({"a": ("x > 1", "y = 0")}, "event a, line 1, column 1: unknown variable 'y'"),
        ({"a": ("x > 1", "x = 1*mV")}, "event a, line 1, column 5: x is in mV"),
        ({"a": ("x > 1",)}, "events, 'a': must be a condition and statements"),
        ({"a": 3}, "events, 'a': must be a condition and statements; given 3"),
        ({"a": ("x > 1", 3)}, "events, 'a': must be a condition and statements"),
        ({"a": "x > 1"}, "events, 'a': must be a condition and statements"),
        ({"a b": ("x > 1", "x = 0")}, "events, 'a b': not a usable name"),
        ([("x > 1", "x = 0")], "events: must be a mapping"),
    ],
)
def test_bad_events_are_refused(events: object, problem: str) -> None:
    with pytest.raises(DescriptionError, match=problem):
        NeuronModel("dx/dt = 1/ms : 1", events=events)  # type: ignore[arg-type]
