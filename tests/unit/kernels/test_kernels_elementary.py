"""Elementary functions against extended precision, and the same bits however arrays are cut."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kernel_calls import NeuronCall

from distsnn.codegen.equations import kernel_text
from distsnn.codegen.generated import generated_kernel_module
from distsnn.codegen.modules import ELEMENTARY_NAMES
from distsnn.jit import kernel
from distsnn.kernels.equations import elementary
from distsnn.network import NeuronModel
from distsnn.network.equations.syntax import ELEMENTARY, ROUNDING

Floats = npt.NDArray[np.float64]

extended = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="no type of extended precision to compare with"
)
WAVES = ("sin", "cos", "tan")
# Ranges other than -50 to 50.
RANGES = {
    **dict.fromkeys(("arcsin", "arccos"), (-1.0, 1.0)),
    **{"expm1": (-40.0, 700.0), "log10": (1e-300, 1e5), "log1p": (-0.999, 30.0)},
}


def of_array(name: str) -> Callable[[Any], Floats]:
    function: Callable[[Any], Floats] = getattr(elementary, f"{name}_array")
    return function


def arguments(name: str, n: int = 100_000) -> Floats:
    """Return arguments of all magnitudes."""
    x = np.random.default_rng(2).uniform(*RANGES.get(name, (-50.0, 50.0)), n)
    return np.concatenate([x, 1e-3 * x, 1e-9 * x, *([2e4 * x] if name in WAVES else [])])


@extended
@pytest.mark.parametrize("name", ELEMENTARY)
def test_errors_are_below_4_ulp(name: str) -> None:
    x = arguments(name)
    exact = getattr(np, name)(x.astype(np.longdouble))
    ulp = np.spacing(np.abs(exact).astype(np.float64))
    assert np.max(np.abs(of_array(name)(x) - exact) / ulp) < 4.0


@extended
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_waves_of_large_angles_are_within_2e16(name: str) -> None:
    turns = np.random.default_rng(3).integers(-(10**8), 10**8, 10_000)
    x = np.concatenate([np.random.default_rng(4).uniform(-1e9, 1e9, 100_000), turns * np.pi / 2])
    exact = getattr(np, name)(x.astype(np.longdouble))
    assert np.max(np.abs(of_array(name)(x) - exact)) < 2e-16
    assert np.all(np.isnan(of_array(name)([1.0001e9, -1e300, np.inf, -np.inf])))


@pytest.mark.parametrize("name", ELEMENTARY)
def test_ends_and_what_is_not_a_number(name: str) -> None:
    function = of_array(name)
    assert np.isnan(function(np.nan))
    x = np.array([0.0, -1.0, 1.0, 2.0, -2.0, np.inf, -np.inf])
    x = x[:-2] if name in (*WAVES, "sinh", "cosh", "expm1") else x
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(function(x), getattr(np, name)(x), rtol=1e-15)
    limits = {"sinh": [-np.inf, np.inf], "cosh": [np.inf, -np.inf], "expm1": [np.inf, 800.0]}
    for limit in limits.get(name, []):
        assert 4e307 < abs(function(limit)) < np.inf
    powers = range(-300, 300)
    if name == "log10":
        assert [float(function(float(f"1e{n}"))) for n in powers] == [*map(float, powers)]


@pytest.mark.parametrize("name", ELEMENTARY)
def test_bits_do_not_depend_on_the_position_in_an_array(name: str) -> None:
    x, function = arguments(name, 1000), of_array(name)
    whole = function(x)
    for first in range(1, 9):
        np.testing.assert_array_equal(function(x[first:]).view("i8"), whole[first:].view("i8"))
    single = np.array([function(one) for one in x[::97]])
    np.testing.assert_array_equal(single.view("i8"), whole[::97].view("i8"))


@kernel
def tanh_of(x, out):
    for i in range(x.size):
        out[i] = elementary.tanh(x[i])


def test_float32_is_computed_in_float64_and_rounded_once() -> None:
    x = arguments("tanh", 1000).astype(np.float32)
    out = np.empty_like(x)
    tanh_of(x, out)
    expected = of_array("tanh")(x.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(out, expected)


# all of them, of a state, of parameters in an equation, and as constants of a linear equation
SAFE = {"arcsin": "0.5*sin({})", "arccos": "0.5*sin({})", "log10": "2 + {}", "log1p": "{}"}
OF_STATE, OF_PARAMETER = (
    " + ".join(f"{name}({SAFE.get(name, '{}').format(of)})" for name in (*ELEMENTARY, *ROUNDING))
    for of in ("p", "q")
)
MODEL = NeuronModel(
    f"dp/dt = 1/tau : 1\\ndx/dt = ({OF_STATE} + {OF_PARAMETER} - x)/tau : 1"
    f"\\ndy/dt = (({OF_PARAMETER})*p - y)/tau : 1".replace("\\n", "\n"),
    parameters={"tau": (7.0, "ms", "> 0"), "q": (0.3, "1")},
    method="euler",
    name="all_functions",
)


def numpy_sum(x: Floats) -> Floats:
    functions = {name: getattr(np, name) for name in (*ELEMENTARY, *ROUNDING)}
    sum_: Floats = eval(OF_STATE, functions | {"p": x})
    return sum_


@pytest.mark.parametrize(("precision", "rtol"), [("float64", 1e-13), ("float32", 1e-5)])
def test_a_model_with_all_functions_beside_numpy(precision: str, rtol: float) -> None:
    n, dt = 131, 0.1
    q = np.random.default_rng(5).uniform(0.1, 1.4, n)
    call = NeuronCall(
        generated_kernel_module(MODEL), {"tau": 7.0, "q": q}, n, dt=dt, precision=precision
    )
    # in float32 no angle crosses an integer, where floor is discontinuous
    p = np.linspace(0.1, 1.5 if precision == "float64" else 0.6, n)
    call.states["p"][:n] = p
    x = y = np.zeros(n)
    for step in range(20):
        call.step(step)
        x, y = (
            x + dt / 7.0 * (numpy_sum(p) + numpy_sum(q) - x),
            y + dt / 7.0 * (numpy_sum(q) * p - y),
        )
        p = p + dt / 7.0
    for name, expected in (("p", p), ("x", x), ("y", y)):
        np.testing.assert_allclose(call.states[name][:n], expected, rtol=rtol)


def test_only_texts_that_use_them_import_them() -> None:
    text = kernel_text(MODEL)
    (line,) = (line for line in text.splitlines() if "elementary" in line)
    assert {name for name in ELEMENTARY if f"{name}," in line} >= {"sin", "tanh", "log10"}
    plain = NeuronModel("dx/dt = -exp(x)/ms : 1", receptors={"sin": "x"})
    assert "elementary" not in kernel_text(plain)
    assert {"sin", "sin_array"} <= set(ELEMENTARY_NAMES)
