"""Constants of kernels made from equations: what they mean, and that their names are free."""

import numpy as np
import pytest
from kernel_calls import NeuronCall

from distsnn.codegen.equations import kernel_of
from distsnn.network import NeuronModel

DT = 0.1


@pytest.mark.parametrize(
    ("coefficient", "value"),
    [
        ("max(tau, 1*ms)", 10.0),
        ("min(tau, 1*ms)", 1.0),
        ("clip(tau, 1*ms, 3*ms)", 3.0),
        ("abs(-tau)", 10.0),
        ("sqrt(tau*tau)", 10.0),
        ("tau*log(exp(1))", 10.0),
        ("tau*exp(-1)", 10.0 * np.exp(-1.0)),
        ("ms*(tau/ms)**0.5", np.sqrt(10.0)),
        ("where(tau > 5*ms and not tau >= 20*ms, 2*tau, tau)", 20.0),
        ("where(tau > 20*ms or tau < 1*ms, 2*tau, tau)", 10.0),
    ],
)
def test_functions_of_parameters_mean_the_same_in_what_is_exact(
    coefficient: str, value: float
) -> None:
    model = NeuronModel(
        f"dv/dt = (10*mV - v)/({coefficient}) : mV", parameters={"tau": (10.0, "ms")}
    )
    assert model.scheme == "exact: v"
    for tau in (np.asarray(10.0), np.full(64, 10.0)):
        one = NeuronCall(kernel_of(model), {"tau": tau}, 64)
        for loop in range(50):
            one.step(loop)
        expected = -10.0 * np.expm1(-50 * DT / value)
        np.testing.assert_allclose(one.states["v"], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["ref", "more", "c_ref", "c_more", "n_ref", "substeps", "k0"])
def test_names_of_constants_are_free_for_states_and_receptors(name: str) -> None:
    def spikes(state: str, receptor: str) -> list[list[int]]:
        model = NeuronModel(
            f"d{state}/dt = ({state} + 1)*({state} + 1)*rate : 1\ndq/dt = -q*rate : 1",
            threshold=f"{state} > 10",
            reset=f"{state} = 0",
            refractory="rest",
            receptors={receptor: "q"},
            parameters={"rate": (1.0, "1/ms"), "rest": (0.5, "ms")},
            method="rk4",
            substeps=2,
        )
        given = {"rate": np.linspace(0.5, 1.5, 64), "rest": np.asarray(0.5)}
        one = NeuronCall(kernel_of(model), given, 64)
        found = []
        for loop in range(100):
            one.rows[receptor][0, :] = 1
            found.append(one.step(loop).tolist())
        return found

    expected = spikes("v", "in")
    assert sum(map(len, expected)) > 200
    assert spikes(name, name) == expected
