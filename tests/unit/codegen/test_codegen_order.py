"""Order within a step: variables that advance first, with input, and those that advance last."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kernel_calls import NeuronCall

from distsnn.codegen.generated import generated_kernel_module
from distsnn.errors import DescriptionError
from distsnn.network import Network, NeuronModel, Population

ORDERED = NeuronModel(
    equations="""
        dV/dt = (I - w)/ms : 1
        dU/dt = (I - w)/ms : 1
        dI/dt = -I/tau : 1
        dw/dt = -w/tau_w : 1
    """,
    threshold="V > 2 + w",
    reset="V = w; w += 1",
    refractory="t_ref",
    hold=("V", "I"),
    receptors={"in": "I"},
    parameters={"tau": (2.0, "ms"), "tau_w": (5.0, "ms"), "t_ref": (1.5, "ms")},
    early=("I",),
    late=("w",),
)
TAU, TAU_W, DT = 2.0, 5.0, 0.1


@pytest.mark.parametrize("held", [("V", "I"), ("V",), ("V", "w"), ()])
def test_a_step_has_the_new_value_of_what_is_early_and_the_old_one_of_what_is_late(
    held: tuple[str, ...],
) -> None:
    n, dt, rng = 100, 0.5, np.random.default_rng(3)
    model = replace(ORDERED, hold=held)
    call = NeuronCall(
        generated_kernel_module(model), {"tau": TAU, "tau_w": TAU_W, "t_ref": 1.5}, n, dt=dt
    )
    v, u, i, w, left, spikes = *np.zeros((4, n)), np.zeros(n, int), 0
    for k in range(300):
        arriving = rng.integers(0, 4, n) * (rng.random(n) < 0.3)
        call.rows["in"][0, :n] = arriving
        rests = left > 0
        new_i = i * np.exp(-dt / TAU) + arriving
        new_w = w * np.exp(-dt / TAU_W)
        if "I" in held:
            new_i = np.where(rests, i, new_i)
        if "w" in held:
            new_w = np.where(rests, w, new_w)
        drive = TAU * -np.expm1(-dt / TAU) * new_i
        if "I" in held:
            drive = np.where(rests, dt * new_i, drive)
        new_v = v + drive - dt * w
        u = u + drive - dt * w
        if "V" in held:
            new_v = np.where(rests, v, new_v)
        spiked = (new_v > 2.0 + w) & ~rests
        v, i = np.where(spiked, new_w, new_v), new_i
        w = new_w + spiked
        left = np.where(spiked, 3, np.maximum(left - 1, 0))
        np.testing.assert_array_equal(call.step(k), np.flatnonzero(spiked))
        spikes += np.count_nonzero(spiked)
        for name, values in {"V": v, "U": u, "I": i, "w": w}.items():
            np.testing.assert_allclose(call.states[name][:n], values, rtol=1e-11, atol=1e-11)
    assert spikes > n


@pytest.mark.parametrize(
    ("slope", "error", "after"),
    [
        ("-g*V", 1e-12, lambda v, total: v * np.exp(-total)),  # exponential Euler
        ("-g*V**2", 1e-3, lambda v, total: v / (1.0 + v * total)),  # Runge-Kutta
    ],
)
@pytest.mark.parametrize("order", [{"early": ("g",)}, {"late": ("g",)}])
def test_nonlinear_equations_take_them_alike(
    slope: str, error: float, after: Any, order: dict[str, Any]
) -> None:
    model = NeuronModel(
        f"dV/dt = {slope}/ms : 1\ndg/dt = -g/tau : 1",
        receptors={"in": "g"},
        parameters={"tau": (2.0, "ms")},
        **order,
    )
    call = NeuronCall(generated_kernel_module(model), {"tau": TAU}, 64, dt=DT)
    v, g, decay = 1.0, 0.0, np.exp(-DT / TAU)
    call.states["V"][:] = v
    for k in range(20):
        call.rows["in"][0, :] = k % 3
        total = DT * g if "late" in order else (decay * g + k % 3) * TAU * (1.0 - decay)
        v, g = after(v, total), decay * g + k % 3
        call.step(k)
        np.testing.assert_allclose(call.states["V"], v, rtol=error)
        np.testing.assert_allclose(call.states["g"], g, rtol=1e-12)
        v = call.states["V"][0]
    assert v < 0.5


def test_what_is_late_advances_once_in_a_step_of_several_parts_which_draws_at_its_end() -> None:
    model = NeuronModel(
        "dV/dt = -g*V/ms : 1\ndg/dt = -g/tau : 1",
        threshold="uniform() < 0.2 and V > 0.1",
        reset="V = 1; g += 0.1",
        parameters={"tau": (2.0, "ms")},
        late=("g",),
        test_parts=False,
    )
    calls = [
        NeuronCall(
            generated_kernel_module(replace(model, substeps=parts)), {"tau": TAU}, 640, dt=0.5
        )
        for parts in (1, 5)
    ]
    total = 0
    for call in calls:
        call.states["V"][:], call.states["g"][:] = 0.5, 0.4
    for k in range(40):
        gids = calls[0].step(k)
        np.testing.assert_array_equal(calls[1].step(k), gids)
        total += gids.size
        for name in ("V", "g"):
            np.testing.assert_allclose(calls[1].states[name], calls[0].states[name], rtol=1e-12)
    assert abs(total / (640 * 40) - 0.2) < 0.02
    with pytest.raises(DescriptionError, match="unless they are drawn at its end"):
        replace(model, substeps=2, test_parts=True)
    with pytest.raises(DescriptionError, match="input comes first"):
        replace(model, substeps=2, early=("g",), late=())


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"early": ("x",)}, "early: unknown state variable 'x'"),
        ({"late": ("V",)}, "V is late, but depends on I, which is not"),
        ({"early": ("V", "I")}, "V is early, but depends on w, which is not"),
        ({"early": ("w",), "late": ("w",)}, "w is early and late"),
        ({"late": ("w",), "method": "euler"}, "w is late, but its equation is not integrated"),
    ],
)
def test_a_wrong_order_is_refused(order: dict[str, Any], why: str) -> None:
    with pytest.raises(DescriptionError, match=why):
        replace(ORDERED, **{"early": (), "late": (), **order})


def test_the_order_is_part_of_the_model_and_stored() -> None:
    network = Network([Population("A", 3, ORDERED)])
    assert Network.from_dict(*network.to_dict()) == network
    assert replace(ORDERED, late=()) != ORDERED
    assert replace(ORDERED, early="I") == ORDERED
