"""Strang's splitting: its order, what rests in it, and what it cannot split."""

import numpy as np
import pytest
from kernel_calls import NeuronCall
from scipy.integrate import solve_ivp

from distsnn.codegen.generated import generated_kernel_module
from distsnn.errors import DescriptionError
from distsnn.network import NeuronModel

# a potential and two gates, with a current that is integrated exactly
TEXT = """
    dv/dt = ((1 - v)*m*m + h*(2 - v) - v + s)/ms : 1
    dm/dt = ((1 - m)*exp(v) - m)/ms : 1
    dh/dt = ((1 - h)/(1 + exp(v)) - 2*h)/ms : 1
    ds/dt = -s/tau : 1
"""
START = {"v": 0.3, "m": 0.1, "h": 0.8, "s": 1.5}


def model(**given: object) -> NeuronModel:
    """Return the neurons, by Strang's splitting."""
    options = {"parameters": {"tau": (1.0, "ms")}, "method": "strang", **given}
    return NeuronModel(TEXT, **options)


def started(of: NeuronModel, parameters: dict[str, float], dt: float) -> NeuronCall:
    """Return a neuron's update with its initial values."""
    one = NeuronCall(
        generated_kernel_module(of), {k: np.asarray(x) for k, x in parameters.items()}, 64, dt=dt
    )
    for name, value in START.items():
        one.states[name][:] = value
    return one


def test_strangs_splitting_is_of_order_2() -> None:
    assert model().scheme == "exact: s; strang: v, m, h"

    def slopes(_: float, values: np.ndarray) -> list[float]:
        v, m, h, s = values
        dv = (1 - v) * m * m + h * (2 - v) - v + s
        return [dv, (1 - m) * np.exp(v) - m, (1 - h) / (1 + np.exp(v)) - 2 * h, -s]

    exact = solve_ivp(slopes, (0.0, 2.0), [*START.values()], rtol=1e-11, atol=1e-11).y[:, -1]
    errors = []
    for steps in (20, 40, 80, 160):
        one = started(model(), {"tau": 1.0}, 2.0 / steps)
        for k in range(steps):
            one.step(k)
        errors.append(np.array([one.states[name][0] for name in START]) - exact)
    assert np.abs(errors[-1]).max() < 1e-4
    ratios = np.abs(np.divide(errors[:-1], errors[1:]))[:, :3]
    assert np.all((ratios > 3.5) & (ratios < 4.5)), ratios


def test_gates_see_a_held_potential_rest() -> None:
    given = {"parameters": {"tau": (1.0, "ms"), "t_ref": (1.0, "ms")}, "refractory": "t_ref"}
    held = model(threshold="v > 0.2", reset="v = 0.5", **given)
    one = started(held, {"tau": 1.0, "t_ref": 1.0}, 0.1)
    assert one.step(0).size == 64
    before = {name: one.states[name][0] for name in START}
    one.step(1)
    assert one.states["v"][0] == before["v"] == 0.5
    # with the potential at rest a gate relaxes by the closed form
    rate = np.exp(0.5) + 1.0
    end = np.exp(0.5) / rate
    expected = end + (before["m"] - end) * np.exp(-0.1 * rate)
    assert one.states["m"][0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dv/dt = -v*v/ms : 1", "the equation of v is not linear in v"),
        (
            "dv/dt = -v*m/ms : 1\ndm/dt = (v - m*h)/ms : 1\ndh/dt = -h*v/ms : 1",
            "the equation of m is not a function of m, v and exact states alone",
        ),
    ],
)
def test_what_cannot_be_split_is_refused(text: str, why: str) -> None:
    with pytest.raises(DescriptionError, match=why):
        NeuronModel(text, method="strang")
