"""Constants of kernels made from equations: what they mean, and that their names are free."""

import numpy as np
import pytest
from campaigns import sampled
from kernel_calls import NeuronCall

from distsnn.codegen.generated import generated_kernel_module
from distsnn.network import NeuronModel

DT = 0.1


@pytest.mark.parametrize(
    ("coefficient", "value"),
    sampled(
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
        3,
    ),
)
def test_functions_of_parameters_mean_the_same_in_what_is_exact(
    coefficient: str, value: float
) -> None:
    model = NeuronModel(
        f"dv/dt = (10*mV - v)/({coefficient}) : mV", parameters={"tau": (10.0, "ms")}
    )
    assert model.scheme == "exact: v"
    for tau in (np.asarray(10.0), np.full(64, 10.0)):
        one = NeuronCall(generated_kernel_module(model), {"tau": tau}, 64)
        for loop in range(50):
            one.step(loop)
        expected = -10.0 * np.expm1(-50 * DT / value)
        np.testing.assert_allclose(one.states["v"], expected, rtol=1e-12)


@pytest.mark.parametrize(
    "name", sampled(["ref", "more", "c_ref", "c_more", "n_ref", "substeps", "k0"], 7)
)
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
        one = NeuronCall(generated_kernel_module(model), given, 64)
        found = []
        for loop in range(100):
            one.rows[receptor][0, :] = 1
            found.append(one.step(loop).tolist())
        return found

    expected = spikes("v", "in")
    assert sum(map(len, expected)) > 200
    assert spikes(name, name) == expected


def test_states_arrays_and_constants_never_share_a_name() -> None:
    # the loop over neurons calls the array of by_rest x_by_rest, as the step what drives x
    text = """
        dx/dt = (drive - x)/tau : 1
        dby_rest/dt = (x - by_rest)/tau : 1
        dq/dt = (drive - q)/tau : 1
    """
    parameters = {"tau": (2.0, "ms"), "drive": (3.0, "1")}
    model = NeuronModel(text, parameters=parameters, receptors={"by_rest": "q"})
    given = {"tau": np.asarray(2.0), "drive": np.full(64, 3.0)}
    one = NeuronCall(generated_kernel_module(model), given, 64, current=True)
    for k in range(20):
        one.step(k)
    t = 20 * DT / 2.0
    np.testing.assert_allclose(one.states["x"], -3.0 * np.expm1(-t), rtol=1e-12)
    np.testing.assert_allclose(one.states["q"], -3.0 * np.expm1(-t), rtol=1e-12)
    expected = 3.0 * (1.0 - (1.0 + t) * np.exp(-t))
    np.testing.assert_allclose(one.states["by_rest"], expected, rtol=1e-11)


@pytest.mark.parametrize("method", sampled(["rosenbrock", "auto"], 2))
def test_a_state_may_be_called_as_a_mean_is(method: str) -> None:
    def end(x: str, y: str) -> np.ndarray:
        text = f"""
            dv/dt = ({x} - {y} - v*v*v)/ms : 1
            d{x}/dt = -{x}/tau : 1
            d{y}/dt = ({x} - {y})/tau : 1
        """
        parameters = {"tau": (2.0, "ms")}
        start = {x: 1.0, y: 0.5}
        model = NeuronModel(text, parameters=parameters, initial=start, method=method)
        one = NeuronCall(generated_kernel_module(model), {"tau": np.asarray(2.0)}, 64)
        one.states[x][:], one.states[y][:] = 1.0, 0.5
        for k in range(20):
            one.step(k)
        return one.states["v"]

    np.testing.assert_array_equal(end("by_x", "x"), end("first", "second"))
