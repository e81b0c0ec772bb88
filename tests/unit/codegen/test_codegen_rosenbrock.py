"""Rosenbrock's method: its order, what explodes, and a model with three receptors."""

import numpy as np
import numpy.typing as npt
import pytest
from campaigns import sampled
from kernel_calls import NeuronCall
from own_models import THREE_RECEPTORS, given_values
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from distsnn.codegen.generated import generated_kernel_module
from distsnn.network import NeuronModel

Floats = npt.NDArray[np.float64]


def test_rosenbrocks_method_is_of_order_2_with_any_function() -> None:
    # a slope of J that was wrong would leave order 1
    model = NeuronModel(
        """
        a = clip(x, -9, 9) - abs(y) + min(x, 4*y, 9) + max(y, -x) : 1
        b = where(x > y, log(x + 3)*(y + 2)**1.5, y) + x**y + exprel(-x) : 1
        dx/dt = (b - x**3 + s + I_stim/pA)/ms : 1
        dy/dt = (sqrt(x + 1) - a*y/5 - x**0.5/(1 + y**2) + exp(-x))/ms : 1
        dz/dt = (x*y - 30*z)/ms : 1
        ds/dt = -s/tau : 1
        """,
        parameters={"tau": (1.0, "ms")},
        initial={"x": 1.2, "y": 0.3, "z": 0.5, "s": 0.7},
        method="rosenbrock",
    )
    assert model.scheme == "exact: s; rosenbrock: x, y, z"

    def slopes(_: float, values: Floats) -> list[float]:
        x, y, z, s = values
        a = x - y + min(x, 4 * y) + max(y, -x)
        b = (np.log(x + 3) * (y + 2) ** 1.5 if x > y else y) + x**y
        b += -np.expm1(-x) / x
        dx = b - x**3 + s + 0.5
        dy = np.sqrt(x + 1) - a * y / 5 - np.sqrt(x) / (1 + y * y) + np.exp(-x)
        return [dx, dy, x * y - 30 * z, -s]

    start = [model.initial[name] for name in "xyzs"]
    exact = solve_ivp(slopes, (0.0, 2.0), start, rtol=1e-11, atol=1e-11, max_step=0.01).y[:, -1]
    errors = []
    for steps in (40, 80, 160, 320):
        one = NeuronCall(
            generated_kernel_module(model), {"tau": np.ones(())}, 64, dt=2.0 / steps, current=True
        )
        one.current[:] = 0.5
        for name, value in zip("xyzs", start, strict=True):
            one.states[name][:] = value
        for k in range(steps):
            one.step(k)
        errors.append(np.array([one.states[name][0] for name in "xyzs"]) - exact)
    assert np.abs(errors[-1]).max() < 1e-3
    np.testing.assert_allclose(errors[-1][3], 0.0, atol=1e-11)
    ratios = np.abs(np.divide(errors[:-1], errors[1:]))[1:, :3]
    assert np.all((ratios > 3.5) & (ratios < 4.5)), ratios


def test_what_explodes_within_a_part_is_infinite_and_others_see_it_rest() -> None:
    model = NeuronModel(
        "dx/dt = x**2/ms : 1\ndy/dt = (x - y)/ms : 1",
        threshold="x > 1e9",
        reset="x = 0",
        method="rosenbrock",
    )
    one = NeuronCall(generated_kernel_module(model), {}, 64)
    # 2 h x is 0.9, 1.1 and, where x falls, limited
    one.states["x"][:3] = 4.5, 5.5, -9.0
    one.states["y"][:3] = 1.0
    assert one.step(0).tolist() == [1]
    assert one.states["x"][:2].tolist() == [pytest.approx(4.5 + 2.025 / 0.55), 0.0]
    assert one.states["x"][2] == pytest.approx(-9.0 + 8.1 / 1.9)
    assert one.states["y"][1] == pytest.approx(1.0 + 0.1 * 4.5 / 1.05)


@pytest.mark.parametrize(
    ("receptor", "reversal"), sampled([("gaba", -80.0), ("ampa", 0.0), ("nmda", 0.0)], 3)
)
def test_receptors_pull_towards_their_reversal_potentials(receptor: str, reversal: float) -> None:
    taus = {name: np.asarray(1e12) for name in ("tau_ampa", "tau_nmda", "tau_gaba")}
    p = (
        given_values(THREE_RECEPTORS, None, 0)
        | taus
        | {"I_e": np.zeros(()), "V_th": np.asarray(9.0)}
    )
    one = NeuronCall(generated_kernel_module(THREE_RECEPTORS), p, 64)
    one.rows[receptor][0, 0] = 6
    for k in range(3000):
        one.step(k)

    def balance(v: float) -> float:
        gate = 1.0 / (1.0 + np.exp(-0.062 * v) / 3.57) if receptor == "nmda" else 1.0
        return 10.0 * (-65.0 - v) + 6.0 * gate * (reversal - v)

    assert one.states[f"g_{receptor}"][0] == pytest.approx(6.0, rel=1e-6)
    assert one.states["V_m"][0] - 65.0 == pytest.approx(brentq(balance, -90.0, 9.0), rel=1e-6)
    assert not one.states["V_m"][1:].any()


def test_a_reset_may_depend_on_other_states_where_the_rest_of_a_part_follows() -> None:
    # v' = v^2 + 1 from u: its spikes come at pi/2 - atan(u)
    def made(method: str, substeps: int) -> NeuronModel:
        return NeuronModel(
            "dv/dt = (v*v + 1 + 0*u*v)/ms : 1\ndu/dt = 0*v*u/ms : 1",
            threshold="v >= top",
            reset="v = 2*u; u = -u",
            parameters={"top": (1e4, "1")},
            method=method,
            substeps=substeps,
        )

    rates = []
    for method, substeps in (("rosenbrock", 4), ("rk4", 400)):
        one = NeuronCall(
            generated_kernel_module(made(method, substeps)), {"top": np.asarray(1e4)}, 64, dt=0.1
        )
        one.states["u"][:] = np.linspace(0.1, 0.5, 64)
        rates.append(sum(one.step(k).size for k in range(2000)) / 64)
    assert rates[0] > 50
    assert rates[0] == pytest.approx(rates[1], rel=0.02)


@pytest.mark.parametrize("substeps", sampled([2, 1], 2))
def test_input_to_a_variable_that_rests_is_lost(substeps: int) -> None:
    model = NeuronModel(
        "dv/dt = v*v/(10*ms) : 1",
        threshold="v >= 10",
        reset="v = -10",
        refractory="t_ref",
        receptors={"in": "v"},
        parameters={"t_ref": (1.0, "ms")},
        method="rosenbrock",
        substeps=substeps,
    )
    one = NeuronCall(generated_kernel_module(model), {"t_ref": np.ones(())}, 64, dt=0.1)
    one.states["v"][:] = 20.0
    assert one.step(0).size == 64
    for k in range(5):
        one.rows["in"][0, :] = 2
        assert one.step(k).size == 0
        np.testing.assert_array_equal(one.states["v"], -10.0)


def test_an_event_may_take_a_resting_variable_above_the_threshold() -> None:
    model = NeuronModel(
        "dv/dt = 0*v/ms : 1\nda/dt = 1/ms : 1",
        threshold="v >= v_th",
        reset="v = v_reset",
        events={"again": ("a > 0.3", "v = 2*v_th")},
        refractory="t_ref",
        parameters={"v_th": (1.0, "1"), "v_reset": (0.0, "1"), "t_ref": (2.0, "ms")},
    )
    given = {"v_th": np.ones(()), "v_reset": np.zeros(()), "t_ref": np.full((), 2.0)}
    one = NeuronCall(
        generated_kernel_module(model, ordered=(("v_reset", "v_th"),)), given, 64, dt=0.1
    )
    one.states["v"][:] = 1.5
    assert [one.step(k).size for k in range(20)] == [64, *[0] * 19]
