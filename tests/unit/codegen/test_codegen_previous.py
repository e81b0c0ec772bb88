"""Values of state variables at the start of a step in a user's equations."""

import numpy as np
import pytest
from kernel_calls import NeuronCall

from distsnn.codegen.generated import generated_kernel_module
from distsnn.errors import DescriptionError
from distsnn.network import NeuronModel, PlasticityModel

DT, TAU = 0.5, 2.0
SERIES = {"euler": 1, "rk2": 2, "rk4": 4}


@pytest.mark.parametrize(
    "method", ["auto", "exponential_euler", "strang", "rosenbrock", "euler", "rk2", "rk4"]
)
def test_a_previous_value_is_constant_within_a_step(method: str) -> None:
    model = NeuronModel(
        "dx/dt = -previous(x)/tau : 1\ndy/dt = -previous(x)*y/tau : 1",
        parameters={"tau": (TAU, "ms")},
        method=method,
    )
    x, y = np.linspace(0.2, 1.5, 64), np.linspace(3.0, 2.0, 64)
    call = NeuronCall(generated_kernel_module(model), {"tau": TAU}, 64, dt=DT)
    call.states["x"][:], call.states["y"][:] = x, y
    for step in range(4):
        call.step(step)
        z = x * DT / TAU
        if method in SERIES:
            terms = np.ones((SERIES[method] + 1, 64))
            terms[1:] = np.cumprod(-z / np.arange(1, SERIES[method] + 1)[:, None], axis=0)
            y = y * terms.sum(axis=0)
        elif method == "rosenbrock":
            y = y * (1.0 - z / 2.0) / (1.0 + z / 2.0)
        else:
            y = y * np.exp(-z)
        x = x * (1.0 - DT / TAU)
        np.testing.assert_allclose(call.states["x"], x, rtol=1e-13)
        np.testing.assert_allclose(call.states["y"], y, rtol=1e-13)


def test_equations_with_previous_values_are_integrated_exactly() -> None:
    model = NeuronModel(
        """
        mean = exprel(-rate*dt)*previous(x) : 1
        dv/dt = (mean + I_stim/pA - v)/tau : 1
        dw/dt = previous(v)/ms - rate*w : 1
        dx/dt = -rate*x : 1
        """,
        parameters={"tau": (TAU, "ms"), "rate": (0.4, "1/ms")},
    )
    assert model.scheme == "exact: v, w, x"
    call = NeuronCall(
        generated_kernel_module(model), {"tau": TAU, "rate": 0.4}, 64, dt=DT, current=True
    )
    x = call.states["x"][:] = np.linspace(-1.0, 1.0, 64)
    v = call.states["v"][:] = np.linspace(2.0, 1.0, 64)
    current = call.current[:] = np.linspace(0.0, 3.0, 64)
    call.step(0)
    end = x * -np.expm1(-0.4 * DT) / (0.4 * DT) + current
    np.testing.assert_allclose(call.states["v"], end + (v - end) * np.exp(-DT / TAU), rtol=1e-13)
    np.testing.assert_allclose(call.states["w"], v * -np.expm1(-0.4 * DT) / 0.4, rtol=1e-13)
    np.testing.assert_allclose(call.states["x"], x * np.exp(-0.4 * DT), rtol=1e-13)


def test_sub_expressions_of_euler_may_stand_for_another_variable() -> None:
    model = NeuronModel(
        """
        before = previous(V_m) : mV
        now = V_m : mV
        noise = now*xi*sqrt(ms) : mV
        same = noise : mV
        dV_m/dt = (before - 3*now)/(5*ms) + same/(3*ms) + noise/(6*ms) : mV
        """,
    )
    n = 640
    calls = [NeuronCall(generated_kernel_module(model), {}, n, dt=DT, seed=4) for _ in range(2)]
    starts = 1.0, 7.0
    for call, start in zip(calls, starts, strict=True):
        call.states["V_m"][:] = start
        call.step(0)
    # V + dt (-2 V/5 + V xi/2); xi is normal/sqrt(dt), the same in both calls
    drawn = (calls[0].states["V_m"] - 1.0 + 0.4 * DT) / (0.5 * np.sqrt(DT))
    assert abs(drawn.mean()) < 4.0 / np.sqrt(n) and abs(drawn.std() - 1.0) < 4.0 / np.sqrt(2 * n)
    expected = 7.0 * (1.0 - 0.4 * DT + 0.5 * np.sqrt(DT) * drawn)
    np.testing.assert_allclose(calls[1].states["V_m"], expected, rtol=1e-12)


def test_threshold_reset_and_events_see_the_value_before_the_step() -> None:
    model = NeuronModel(
        """
        dV/dt = 2*mV/ms : mV
        dkept/dt = 0*mV/ms : mV
        drise/dt = 0*mV/ms : mV
        """,
        threshold="V - previous(V) > 1.5*mV",
        reset="V = previous(V) - 0.25*mV; kept = V; V = previous(V)",
        events={"rises": ("V > previous(V)", "rise = previous(V) - E_L")},
        receptors={"in": "V"},
        parameters={"E_L": (-70.0, "mV")},
        initial={"V": "E_L"},
    )
    call = NeuronCall(generated_kernel_module(model), {"E_L": -70.0}, 64, dt=DT)
    # V is kept as the difference from E_L, and rises by 1 in a step
    call.states["V"][:] = start = np.linspace(-3.0, 3.0, 64)
    call.rows["in"][0, :5] = 1
    call.rows["in"][0, 5] = -2
    assert list(call.step(0)) == [0, 1, 2, 3, 4]
    expected = start + 1.0
    expected[:5], expected[5] = start[:5], start[5] - 1.0
    np.testing.assert_allclose(call.states["V"], expected, rtol=1e-13)
    np.testing.assert_allclose(call.states["kept"][:5], start[:5] - 70.25, rtol=1e-13)
    # conditions see what the threshold sees, before the reset
    rises = np.arange(64) != 5
    np.testing.assert_allclose(call.states["rise"], np.where(rises, start, 0.0), rtol=1e-13)
    # what is set between steps is the next one's previous value
    call.states["V"][:] = 7.0
    assert call.step(1).size == 0
    np.testing.assert_allclose(call.states["rise"], 7.0, rtol=1e-13)


def test_what_follows_a_held_variable_sees_it_rest() -> None:
    model = NeuronModel(
        "dx/dt = 1/ms : 1\ndy/dt = previous(x)/ms : 1",
        threshold="x >= 1",
        reset="x = 0.25",
        refractory="t_ref",
        parameters={"t_ref": (1.0, "ms")},
    )
    call = NeuronCall(generated_kernel_module(model), {"t_ref": 1.0}, 64, dt=DT)
    found = []
    for step in range(6):
        call.step(step)
        found.append((call.states["x"][0], call.states["y"][0]))
    x = [0.5, 0.25, 0.25, 0.25, 0.75, 0.25]
    y = np.cumsum([0.0, *x[:-1]]) * DT
    np.testing.assert_allclose(found, np.transpose([x, y]), rtol=1e-13)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"equations": "dx/dt = -previous(2*x)/tau : 1"}, r"line 1, column 19: previous\(\) takes"),
        ({"equations": "dx/dt = -x*previous(tau)/tau**2 : 1"}, "unknown state variable 'tau'"),
        ({"equations": "dx/dt = -previous(z)/tau : 1"}, "unknown name 'z'"),
        ({"equations": "dx/dt = -previous()/tau : 1"}, "previous takes this number of arguments"),
        ({"equations": "dx/dt = previous(x)*mV/ms : 1"}, "the derivative of x is in mV/ms"),
        ({"threshold": "x > previous(tau)/ms"}, "threshold, line 1, column 14: unknown state"),
        ({"receptors": {"in": "x += weight*previous(x)"}}, r"changes with previous\(x\)"),
        ({"receptors": {"in": "x += weight*previous(2*x)"}}, "takes the name of a state variable"),
        ({"method": "euler", "substeps": 2}, r"previous\(\) cannot be divided into parts"),
    ],
)
def test_what_has_no_previous_value_is_refused(given: dict[str, object], problem: str) -> None:
    texts = {"equations": "dx/dt = -previous(x)/tau : 1", "parameters": {"tau": (TAU, "ms")}}
    with pytest.raises(DescriptionError, match=problem):
        NeuronModel(**(texts | given))


def test_plasticity_rules_have_no_previous_values() -> None:
    with pytest.raises(DescriptionError, match=r"on_pre.*: plasticity rules have no previous\(\)"):
        PlasticityModel("dx/dt = 0 : 1 (pre)", on_pre="x += 1; w += previous(x)*pA")
