"""Models written as equations beside the built-in ones that they are."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from kernel_calls import NeuronCall
from own_models import ADEX, ADEX_ROSENBROCK, IZHIKEVICH, LIF, given_values

from distsnn.codegen.generated import generated_kernel_module
from distsnn.network import NeuronModel

Floats = npt.NDArray[np.float64]


@pytest.mark.parametrize(
    ("precision", "per_neuron"),
    [("float32", False), pytest.param("float64", True, marks=pytest.mark.ci)],
)
def test_an_own_lif_is_the_built_in_one(precision: str, per_neuron: bool) -> None:
    n, rng = 200, np.random.default_rng(5)
    p = given_values(LIF, n if per_neuron else None, 6)
    built_in = NeuronCall("iaf_psc_exp", p, n, precision=precision, current=True)
    own = NeuronCall(generated_kernel_module(LIF), p, n, precision=precision, current=True)
    total = 0
    for k in range(1500):
        for a, b in zip(built_in.rows.values(), own.rows.values(), strict=True):
            a[0, :n] = b[0, :n] = rng.integers(-300, 500, n) * (rng.random(n) < 0.1)
        built_in.current[:n] = own.current[:n] = rng.normal(0.0, 50.0, n)
        gids = built_in.step(k)
        np.testing.assert_array_equal(own.step(k), gids)
        total += gids.size
    assert total > 5 * n
    atol = 1e-3 if precision == "float32" else 1e-9
    for name, values in built_in.states.items():
        np.testing.assert_allclose(own.states[name], values, rtol=0, atol=atol)


def _spike_steps(one: NeuronCall, current: Floats, loops: int) -> dict[int, list[int]]:
    """Return the steps of each neuron's spikes under a constant current."""
    one.current[: current.size] = current
    found: dict[int, list[int]] = {k: [] for k in range(current.size)}
    for loop in range(loops):
        for gid in one.step(loop):
            found[int(gid)].append(loop)
    return found


def test_an_own_izhikevich_is_the_built_in_one() -> None:
    n, rng = 200, np.random.default_rng(7)
    p = given_values(IZHIKEVICH, n, 8)
    rest = {"V_min": np.asarray(-1e30), "consistent_integration": np.ones(())}
    quanta = {"delta": 0.25}
    built_in = NeuronCall("izhikevich", p | rest, n, current=True, quanta=quanta)
    own = NeuronCall(generated_kernel_module(IZHIKEVICH), p, n, current=True, quanta=quanta)
    for one in (built_in, own):
        one.states["V_m"][:], one.states["U_m"][:] = -65.0, -13.0
    total = 0
    for k in range(2000):
        weights = rng.integers(-8, 12, n) * (rng.random(n) < 0.1)
        for one in (built_in, own):
            one.rows["delta"][0, :n] = weights
        gids = built_in.step(k)
        np.testing.assert_array_equal(own.step(k), gids)
        total += gids.size
        # what is left of rounding must not grow into a spike's step
        for name, values in own.states.items():
            np.testing.assert_allclose(values, built_in.states[name], rtol=1e-10, atol=1e-10)
            values[:] = built_in.states[name]
    assert total > 3 * n


@pytest.mark.ci
def test_an_own_adaptive_neuron_spikes_as_the_built_in_one() -> None:
    # Runge-Kutta of order 4 and the built-in's implicit rule: the same where both have converged
    current = np.linspace(600.0, 2500.0, 30)
    shared = {name: np.asarray(float(spec[0])) for name, spec in ADEX.parameters.items()}
    built_in = NeuronCall(
        "aeif_cond_exp", shared | {"substeps": np.asarray(50.0)}, 64, current=True
    )
    model = replace(ADEX, method="auto", substeps=50)
    own = NeuronCall(generated_kernel_module(model), shared, 64, current=True)
    expected, found = (_spike_steps(one, current, 2000) for one in (built_in, own))
    assert sum(map(len, expected.values())) > 200
    for neuron, steps in expected.items():
        assert len(found[neuron]) == len(steps)
        np.testing.assert_allclose(found[neuron], steps, rtol=0, atol=1)


def _with_currents(model: NeuronModel) -> NeuronModel:
    """Return the adaptive neuron with synaptic currents in place of conductances."""
    equations = model.equations.replace("g_ex*(E_ex - V_m) + g_in*(E_in - V_m)", "g_ex - g_in")
    equations = equations.replace("nS", "pA").replace("g_ex", "I_syn_ex")
    receptors = {"ex": "I_syn_ex", "in": "-I_syn_in"}
    equations = equations.replace("g_in", "I_syn_in")
    return replace(model, equations=equations, receptors=receptors)


@pytest.mark.ci
@pytest.mark.parametrize(
    ("built_in", "substeps"),
    [
        ("aeif_cond_exp", 3),
        *(
            pytest.param(*one, marks=pytest.mark.ci)
            for one in (("aeif_cond_exp", 1), ("aeif_psc_exp", 1), ("aeif_psc_exp", 3))
        ),
    ],
)
def test_an_own_adaptive_neuron_has_the_built_in_ones_spikes(built_in: str, substeps: int) -> None:
    model = replace(ADEX_ROSENBROCK, substeps=substeps)
    model = _with_currents(model) if built_in == "aeif_psc_exp" else model
    n, rng = 100, np.random.default_rng(9)
    p = given_values(model, n, 10) | {
        "t_ref": np.full(n, 1.0),
        "I_e": np.linspace(700.0, 2000.0, n),
    }
    quanta = {"ex": 0.25, "in": 0.25}
    given = {"current": True, "quanta": quanta}
    theirs = NeuronCall(built_in, p | {"substeps": np.asarray(float(substeps))}, n, **given)
    ours = NeuronCall(generated_kernel_module(model), p, n, **given)
    total = 0
    for k in range(4000):
        weights = {name: rng.integers(0, 60, n) * (rng.random(n) < 0.1) for name in quanta}
        current = rng.normal(0.0, 200.0, n)
        for one in (theirs, ours):
            one.rows["ex"][0, :n], one.rows["in"][0, :n] = weights["ex"], -weights["in"]
            one.current[:n] = current
        gids = theirs.step(k)
        np.testing.assert_array_equal(ours.step(k), gids)
        total += gids.size
    assert total > 500
    for name, values in theirs.states.items():
        np.testing.assert_allclose(ours.states[name], values, rtol=1e-7, atol=1e-7, err_msg=name)
