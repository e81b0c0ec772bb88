"""A step's input in equations: it acts in the step in which it arrives, and is no state."""

import numpy as np
import pytest
from kernel_calls import NeuronCall

from distsnn.codegen.generated import generated_kernel_module
from distsnn.errors import DescriptionError
from distsnn.network import NeuronModel

DT, TAU = 0.5, 4.0
TEXTS = {
    "equations": "dx/dt = -x/tau + gain*input('in')/ms : 1\ndy/dt = -y*y/ms + input('in')/ms : 1",
    "receptors": {"in": "x += 0.25*weight", "other": "x"},
    "parameters": {"tau": (TAU, "ms"), "gain": (2.0, "1")},
}


@pytest.mark.parametrize("method", ["auto", "euler"])
def test_input_acts_in_its_step(method: str) -> None:
    model = NeuronModel(**TEXTS, method=method)
    call = NeuronCall(
        generated_kernel_module(model), {"tau": TAU, "gain": 2.0}, 64, dt=DT, quanta={"in": 0.5}
    )
    x, y = np.zeros(64), np.zeros(64)
    for step in range(5):
        weights = np.arange(64) * (step % 2)
        call.rows["in"][0, :64] = weights
        call.step(step)
        arriving = 0.5 * weights
        decay = np.exp(-DT / TAU) if method == "auto" else 1.0 - DT / TAU
        x = decay * x + (1.0 - decay) * TAU * 2.0 * arriving + 0.25 * arriving
        if method == "euler":
            y = y + DT * (arriving - y * y)
            np.testing.assert_allclose(call.states["y"][:64], y, rtol=1e-12)
        np.testing.assert_allclose(call.states["x"][:64], x, rtol=1e-12)
    assert x[1:].all()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"equations": "dx/dt = input(im)/ms : 1"}, r"unknown name 'input\(im\)'.*did you mean"),
        ({"equations": "dx/dt = input(2)/ms : 1"}, r"column 15: input\(\) takes the name of a rec"),
        ({"equations": "dx/dt = input()/ms : 1"}, "input takes this number of arguments: 1"),
        ({"equations": "dx/dt = input('in')*mV/ms : 1"}, "the derivative of x is in mV/ms"),
        ({"receptors": {"in": "x += weight*input('in')"}}, r"unknown name 'input\(in\)'"),
        ({"method": "euler", "substeps": 2}, r"input\(\) cannot be divided into parts"),
    ],
)
def test_what_has_no_input_is_refused(given: dict[str, object], problem: str) -> None:
    texts = TEXTS | {"equations": "dx/dt = -x/tau + gain*input('in')/ms : 1"}
    with pytest.raises(DescriptionError, match=problem):
        NeuronModel(**(texts | given))


def test_a_floor_below_the_threshold_is_the_event_that_it_is() -> None:
    texts = {
        "equations": "dx/dt = -3/ms : 1",
        "threshold": "x >= high",
        "reset": "x = -9",
        "events": {"floor": ("x < low", "x = low")},
        "receptors": {"in": "x"},
    }
    model = NeuronModel(**texts, parameters={"low": (-2.0, "1"), "high": (5.0, "1")})
    calls = [
        NeuronCall(
            generated_kernel_module(model, ordered=ordered), {"low": -2.0, "high": 5.0}, 64, dt=DT
        )
        for ordered in ((), (("low", "high"),))
    ]
    rng = np.random.default_rng(1)
    for step in range(20):
        weights = rng.integers(-9, 15, 64)
        for call in calls:
            call.rows["in"][0, :64] = weights
        spikes = [call.step(step) for call in calls]
        np.testing.assert_array_equal(*spikes)
        np.testing.assert_array_equal(*(call.states["x"] for call in calls))
        # a reset may end below the floor, which the next step applies
        assert spikes[0].size and set(calls[0].states["x"][spikes[0]]) == {-9.0}
        assert (calls[0].states["x"] == -2.0).any()
