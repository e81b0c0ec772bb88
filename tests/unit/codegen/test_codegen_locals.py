"""Local variables in resets, events and the ends of refractory periods of a user's model."""

import numpy as np
import pytest
from kernel_calls import NeuronCall

from distsnn.codegen.generated import generated_kernel_module
from distsnn.errors import DescriptionError
from distsnn.network import NeuronModel
from distsnn.network.equations.source import EquationError

N = 128
EQUATIONS = "dV/dt = 0*mV/ms : mV\ndu/dt = 0*uV/ms : uV\ndn/dt = 0/ms : 1"


def test_statements_with_local_variables_run_in_order() -> None:
    model = NeuronModel(
        EQUATIONS,
        threshold="V > 0*mV",
        reset="""
            a = V - E_L; b = a/(2*mV)   # V is changed below, a and b are not
            V = E_L + 0.25*a
            a *= b                      # assigned again
            u += a + V
            kick = normal()
            n = kick; n -= kick
        """,
        events={
            "low": ("V < -1*mV", "a = -V; scale = where(a > 5*mV, 3, 2); V = a*scale; n = scale"),
            "each": ("", "a = n + 1; n = a"),
        },
        parameters={"E_L": (-10.0, "mV")},
        initial={"V": "E_L"},
    )
    call = NeuronCall(generated_kernel_module(model), {"E_L": -10.0}, N)
    start = np.linspace(-9.0, 6.0, N)
    call.states["V"][:] = start + 10.0
    call.states["u"][:] = 100.0
    spikes = call.step(0)
    spiking, low = start > 0.0, start < -1.0
    np.testing.assert_array_equal(spikes, np.flatnonzero(spiking))
    v, u, n = start.copy(), np.full(N, 100.0), np.zeros(N)
    a = v + 10.0
    b = a / 2.0
    v = np.where(spiking, -10.0 + 0.25 * a, v)
    u = np.where(spiking, u + 1000.0 * (a * b + v), u)
    # events run in the order of their names, with the conditions of the threshold
    n += 1.0
    scale = np.where(-v > 5.0, 3.0, 2.0)
    v, n = np.where(low, -v * scale, v), np.where(low, scale, n)
    np.testing.assert_allclose(call.states["V"], v + 10.0, rtol=1e-12)
    np.testing.assert_allclose(call.states["u"], u, rtol=1e-12)
    np.testing.assert_allclose(call.states["n"], n, rtol=1e-12)


def test_a_random_number_in_a_local_variable_is_drawn_once() -> None:
    model = NeuronModel(
        "dx/dt = 0/ms : 1\ndy/dt = 0/ms : 1\ndz/dt = 0/ms : 1",
        events={"draw": ("", "a = normal(); x = a; y = 2*a; a = normal(); z = a")},
    )
    call = NeuronCall(generated_kernel_module(model), {}, 6400, seed=2)
    call.step(0)
    x, y, z = (call.states[name] for name in "xyz")
    np.testing.assert_array_equal(y, 2.0 * x)
    assert abs(x.std() - 1.0) < 0.04 and abs(np.corrcoef(x, z)[0, 1]) < 0.05


def test_the_end_of_a_period_may_have_local_variables() -> None:
    model = NeuronModel(
        "dx/dt = 1/ms : 1",
        threshold="x > 1",
        reset="a = x; x = 2*a",
        refractory=("first", "rest"),
        hold={"x": "rest"},
        after={"first": "a = x - 1; x = a/2"},
        parameters={"first": (0.2, "ms"), "rest": (0.2, "ms")},
    )
    call = NeuronCall(generated_kernel_module(model), {"first": 0.2, "rest": 0.2}, 64)
    call.states["x"][:] = 0.95
    found = [(call.step(k), call.states["x"][0])[1] for k in range(6)]
    end = (2 * 1.05 - 1.0) / 2.0
    np.testing.assert_allclose(found, [2.1, 2.1, end, end, end, end + 0.1], rtol=1e-12)


@pytest.mark.parametrize(
    ("reset", "line", "column", "problem"),
    [
        ("V = 0*mV\nV = a; a = V", 2, 5, "the local variable a is used before it is assigned"),
        ("a = a + V; V = a", 1, 5, "the local variable a is used before it is assigned"),
        ("a += V; V = a", 1, 1, "unknown variable 'a'; allowed: V, n, u"),
        ("V = 0*mV\n tau = V; V = tau", 2, 2, "'tau' cannot be assigned here, and a local variabl"),
        ("half = V; V = half", 1, 1, "'half' cannot be assigned here"),
        ("t = V; V = t", 1, 1, "'t' cannot be assigned here"),
        ("mV = V; V = mV", 1, 1, "'mV' cannot be assigned here"),
        ("Vm = 0*mV", 1, 1, "unknown variable 'Vm'; allowed: V, n, u; did you mean 'V'"),
        ("a = V; a = 2*a; n = 0", 1, 1, "unknown variable 'a'"),
        ("a = V\na = n; V = a", 2, 5, "a is in 1; allowed: mV"),
        ("a = V > 0*mV; n = where(a, 1, 2)", 1, 5, "a is a condition, not a number"),
        ("a = V; n = a", 1, 12, "n is in mV; allowed: 1"),
        ("exp = V; V = exp", 1, 1, "not the name of a variable"),
        ("if V > w: V = w", 1, 1, "allowed: NAME = EXPRESSION if CONDITION else NAME"),
        ("a = 2; " + "a = a*a + a; " * 40 + "n = a", 1, None, "too large once"),
    ],
)
def test_errors_name_line_and_column(
    reset: str, line: int, column: int | None, problem: str
) -> None:
    with pytest.raises(EquationError, match=problem) as error:
        NeuronModel(
            f"{EQUATIONS}\nhalf = V/2 : mV",
            threshold="V > 0*mV",
            reset=reset,
            parameters={"tau": (1.0, "ms")},
        )
    assert error.value.line == line
    assert column in (None, error.value.column)


def test_a_local_variable_of_one_text_is_unknown_in_another() -> None:
    with pytest.raises(DescriptionError, match="event e, line 1, column 5: unknown name 'a'"):
        NeuronModel(
            EQUATIONS,
            threshold="V > 0*mV",
            reset="a = V; V = -a",
            events={"e": ("", "V = a")},
        )
