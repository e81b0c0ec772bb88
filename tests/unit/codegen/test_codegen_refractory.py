"""Periods of the refractory time: what rests in each, and what happens at its end."""

import numpy as np
import pytest
from kernel_calls import NeuronCall

from distsnn.codegen.generated import generated_kernel_module
from distsnn.network import NeuronModel

DT, TAU = 0.1, 2.0
LINES = "dv/dt = -v/tau : 1\ndw/dt = (v - w)/tau : 1\ndu/dt = (w - u)/tau : 1"


def chain(lines: str = LINES, **given: object) -> NeuronModel:
    """Return a model in which v drives w, which drives u, with three periods after a spike."""
    return NeuronModel(
        lines,
        threshold="v >= 10",
        reset="v = 4",
        refractory=("first", "second", "third"),
        hold={"v": "second", "w": "first"},
        after={"first": "v = 2", "third": "w += 1"},
        receptors={"ex": "v"},
        parameters={name: (1.0, "ms") for name in ("first", "second", "third")}
        | {"tau": (TAU, "ms", "> 0")},
        **given,  # type: ignore[arg-type]
    )


def times(first: float, second: float, third: float) -> dict[str, np.ndarray]:
    """Return the parameters of `chain`."""
    given = {"first": first, "second": second, "third": third, "tau": TAU}
    return {name: np.asarray(value) for name, value in given.items()}


def relaxed(start: float, end: float, t: float) -> float:
    return float(end + (start - end) * np.exp(-t / TAU))


@pytest.mark.parametrize("second", [0.3, 0.0])
def test_states_rest_for_their_periods_and_change_at_their_ends(second: float) -> None:
    one = NeuronCall(generated_kernel_module(chain()), times(0.5, second, 0.4), 64)
    for name, value in {"v": 12.0, "w": 3.0, "u": 1.0}.items():
        one.states[name][:] = value
    assert one.step(0).size == 64
    found = {name: values[0] for name, values in one.states.items()}
    assert found["v"] == 4.0
    w, u = found["w"], found["u"]
    steps = [5, round(10 * second), 4]
    assert found["refractory"] == sum(steps)
    for k in range(1, sum(steps) + 1):
        one.rows["ex"][0, :] = 20 if k <= steps[0] + steps[1] else 0  # lost: v rests
        assert one.step(k).size == 0
        found = {name: values[0] for name, values in one.states.items()}
        assert found["refractory"] == sum(steps) - k
        if k < steps[0]:
            assert (found["v"], found["w"]) == (4.0, w)
        elif k <= steps[0] + steps[1]:
            t = (k - steps[0]) * DT
            assert found["v"] == 2.0
            assert found["w"] == pytest.approx(relaxed(w, 2.0, t), rel=1e-12)
        if k <= steps[0]:
            assert found["u"] == pytest.approx(relaxed(u, w, k * DT), rel=1e-12)
        elif k <= steps[0] + steps[1]:
            start = relaxed(u, w, steps[0] * DT)
            driven = (w - 2.0) * t / TAU * np.exp(-t / TAU)
            assert found["u"] == pytest.approx(relaxed(start, 2.0, t) + driven, rel=1e-12)
        if k == sum(steps) - 1:
            before = found
    t = DT
    assert found["v"] == pytest.approx(relaxed(before["v"], 0.0, t), rel=1e-12)
    driven = before["v"] * t / TAU * np.exp(-t / TAU)
    assert found["w"] == pytest.approx(relaxed(before["w"], 0.0, t) + driven + 1.0, rel=1e-12)
    one.rows["ex"][0, :] = 20
    assert one.step(k + 1).size == 64


@pytest.mark.parametrize("method", ["rosenbrock", "rk4"])
def test_other_schemes_know_periods(method: str) -> None:
    # linear for every v that occurs, which sympy does not see
    lines = LINES.replace("-v/tau", "-v*where(v > -100, 1, 2)/tau")
    one = NeuronCall(
        generated_kernel_module(chain(lines, method=method, substeps=2)), times(0.5, 0.3, 0.4), 64
    )
    exact = NeuronCall(generated_kernel_module(chain()), times(0.5, 0.3, 0.4), 64)
    for call in (one, exact):
        for name, value in {"v": 9.9, "w": 3.0, "u": 1.0}.items():
            call.states[name][:] = value
        call.rows["ex"][0, :] = 1
    for k in range(20):
        np.testing.assert_array_equal(one.step(k), exact.step(k))
        for name, values in exact.states.items():
            np.testing.assert_allclose(one.states[name][0], values[0], rtol=2e-4, err_msg=name)
        for call in (one, exact):
            call.rows["ex"][0, :] = 20 if k < 6 else 0
