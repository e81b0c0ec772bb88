"""Random numbers, white noise and time in a user's equations."""

import numpy as np
import numpy.typing as npt
import pytest
from campaigns import sampled
from chance import LEAST_P, p_of_discrete
from kernel_calls import NeuronCall
from own_models import NOISY, given_values
from scipy import stats

from distsnn.codegen.equations import kernel_text
from distsnn.codegen.generated import generated_kernel_module
from distsnn.errors import DescriptionError
from distsnn.jit import kernel
from distsnn.kernels.neuron_draws import _unit
from distsnn.network import NeuronModel

N = 6400
TAU, SIGMA = 5.0, 2.0


def model(equations: str, **more: object) -> NeuronModel:
    parameters = {
        "tau": (TAU, "ms"),
        "sigma": (SIGMA, "mV"),
        "rate": (20.0, "Hz"),
        "at": (0.0, "ms"),
    }
    return NeuronModel(equations, parameters=parameters, **more)


def call(made: NeuronModel, n: int = N, **more: object) -> NeuronCall:
    values = {name: float(spec[0]) for name, spec in made.parameters.items()}
    return NeuronCall(generated_kernel_module(made), values | more.pop("values", {}), n, **more)


def correlation(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    return float(np.corrcoef(x, y)[0, 1])


@pytest.mark.parametrize("precision", sampled(["float32", "float64"], 2))
def test_a_poisson_neuron_of_a_text_is_the_built_in_one(precision: str) -> None:
    text = model("dx/dt = -x/tau : 1", threshold="uniform() <= rate*dt")
    given = {"precision": precision, "seed": 5}
    own = call(text, 640, **given)
    built_in = NeuronCall("poisson_neuron", {"rate": 20.0}, 640, **given)
    total = 0
    for k in range(300):
        gids = built_in.step(k)
        np.testing.assert_array_equal(own.step(k), gids)
        total += gids.size
    assert 300 < total < 480


@pytest.mark.parametrize("precision", sampled(["float32", "float64"], 2))
def test_noise_makes_an_ornstein_uhlenbeck_process(precision: str) -> None:
    # Euler-Maruyama: x <- x (1 - h/tau) + sigma sqrt(2 h/tau) z
    own = call(model("dx/dt = -x/tau + sigma*sqrt(2/tau)*xi : mV"), precision=precision)
    h, lag = 0.1 / TAU, 25
    decay = 1.0 - h
    variance = SIGMA**2 * 2.0 * h / (1.0 - decay**2)
    for k in range(500):
        own.step(k)
    x = own.states["x"].astype(np.float64)
    for k in range(500, 500 + lag):
        own.step(k)
    later = own.states["x"].astype(np.float64)
    assert abs(x.mean()) < 4.0 * np.sqrt(variance / N)
    assert abs(x.var() - variance) < 4.0 * variance * np.sqrt(2.0 / N)
    assert abs(correlation(x, later) - decay**lag) < 4.0 * (1.0 - decay ** (2 * lag)) / np.sqrt(N)
    kurtosis = ((x - x.mean()) ** 4).mean() / x.var() ** 2
    assert abs(kurtosis - 3.0) < 4.0 * np.sqrt(24.0 / N)


def test_a_name_is_one_noise_and_another_name_another() -> None:
    own = call(
        model(
            """
            da/dt = sigma*sqrt(1/tau)*xi : mV
            db/dt = sigma*sqrt(1/tau)*xi : mV
            dc/dt = sigma*sqrt(1/tau)*xi_c : mV
            """
        )
    )
    first = []
    for k in range(2):
        own.step(k)
        first.append(own.states["a"].copy())
        np.testing.assert_array_equal(own.states["a"], own.states["b"])
    bound = 4.0 / np.sqrt(N)
    assert abs(correlation(own.states["a"], own.states["c"])) < bound
    # another number in each step, another for each neuron
    assert abs(correlation(first[0], first[1] - first[0])) < bound
    assert abs(correlation(first[0][1:], first[0][:-1])) < bound
    assert np.unique(first[0]).size == N


def test_each_place_in_a_text_is_one_number() -> None:
    own = call(
        model(
            """
            dx/dt = 0/ms : 1
            dy/dt = 0/ms : 1
            dz/dt = 0/ms : 1
            shared = 3 + normal() : 1
            """,
            threshold="uniform() < 2",
            reset="x = shared; y = shared; z = normal()",
        )
    )
    assert own.step(0).size == N
    x, y, z = (own.states[name] for name in "xyz")
    np.testing.assert_array_equal(x, y)
    assert abs(x.mean() - 3.0) < 4.0 / np.sqrt(N) and abs(z.mean()) < 4.0 / np.sqrt(N)
    assert abs(x.std() - 1.0) < 4.0 / np.sqrt(2 * N) and abs(z.std() - 1.0) < 4.0 / np.sqrt(2 * N)
    assert abs(correlation(x, z)) < 4.0 / np.sqrt(N)


@pytest.mark.parametrize("precision", sampled(["float32", "float64"], 2))
@pytest.mark.parametrize("dt", sampled([0.1, 0.025, 0.2], 3))
def test_the_time_at_a_threshold_is_that_of_the_spike(precision: str, dt: float) -> None:
    at = np.array([round((k + 1) * dt, 6) for k in range(640)])
    made = model("dx/dt = 0/ms : 1", threshold="t >= at and t < at + dt/2")
    own = call(made, 640, values={"at": at}, precision=precision, dt=dt)
    for k in range(700):
        np.testing.assert_array_equal(own.step(k), [k] if k < 640 else [])


def test_time_in_equations_is_that_of_the_stage() -> None:
    own = call(model("dx/dt = 3*t**2/ms**3 : 1", method="rk4"), 64)
    for k in range(100):
        own.step(k)
    # Runge-Kutta of order 4 is exact for cubes
    np.testing.assert_allclose(own.states["x"][:64], 10.0**3, rtol=1e-12)
    euler = call(model("dx/dt = t/ms**2 : 1", method="euler"), 64)
    middle = call(model("dx/dt = t/ms**2 - x**2/ms : 1", method="rosenbrock"), 64)
    relaxes = call(model("dx/dt = (t/tau - x)/tau : 1"), 64)
    for k in range(20):
        for one in (euler, middle, relaxes):
            one.step(k)
    np.testing.assert_allclose(euler.states["x"], 0.1**2 * 190.0, rtol=1e-12)
    # x' = t - x^2 and x' = (t/tau - x)/tau from 0, at 2 ms
    np.testing.assert_allclose(middle.states["x"], 1.19358, rtol=1e-3)
    exact = 2.0 / TAU - 1.0 + np.exp(-2.0 / TAU)
    np.testing.assert_allclose(relaxes.states["x"], exact, rtol=2e-4)


COUNTING = """
    dmean/dt = 0/ms : 1
    dx/dt = 0/ms : 1
    dy/dt = 0/ms : 1
    dz/dt = 0/ms : 1
    shared = poisson(mean) : 1
"""


@pytest.mark.parametrize("precision", sampled(["float32", "float64"], 2))
def test_counts_of_means_that_states_give(precision: str) -> None:
    draws = "x = shared; y = poisson(mean); z = shared + binomial(8*min(mean, 1), 0.3)"
    own = call(model(COUNTING, events={"draw": ("", draws)}), precision=precision, seed=3)
    means = np.array([-1.0, 0.0, 0.5, 4.0, 30.0, 1e4, 2e9, np.nan])
    own.states["mean"][:] = np.repeat(means, N // 8)
    own.step(0)
    x, y, z = (own.states[name].reshape(8, -1).astype(np.float64) for name in "xyz")
    assert not x[:2].any() and np.isnan(x[6:]).all()
    for mean, a, b, c in zip(means[2:6], x[2:], y[2:], z[2:], strict=False):
        for counts in (a, b):
            assert p_of_discrete(counts.astype(int), stats.poisson(mean).pmf) > LEAST_P
        assert abs(correlation(a, b)) < 4.0 / np.sqrt(a.size)
        successes = (c - a).astype(int)
        if mean < 1e4 or precision == "float64":
            trials = 8 if mean > 1 else 4
            assert p_of_discrete(successes, stats.binom(trials, 0.3).pmf) > LEAST_P
            assert abs(correlation(a, successes)) < 4.0 / np.sqrt(a.size)
    # another number in each step
    before = x[4].copy()
    own.step(1)
    after = own.states["x"].reshape(8, -1)[4].astype(np.float64)
    assert abs(correlation(before, after)) < 4.0 / np.sqrt(before.size)


def test_noise_that_no_equation_uses_changes_nothing() -> None:
    text = "noise = xi*ms**0.5 : 1\ndx/dt = (1 - x**2)/tau : 1"
    unused = model(text, method="rk4", threshold="x > 2")
    assert unused.scheme == "rk4: x"
    assert "DRAWS" not in kernel_text(unused)


def test_a_uniform_number_is_below_1_in_float32() -> None:
    out = np.zeros(2, np.float32)

    @kernel
    def largest(out):
        out[0] = _unit(np.uint32(0xFFFFFFFF))
        out[1] = _unit(np.uint32(0))

    largest(out)
    assert 0.0 < out[1] < 1e-9
    assert out[0] == np.nextafter(np.float32(1.0), np.float32(0.0))


@pytest.mark.ci
def test_numbers_depend_on_the_neuron_and_not_on_how_a_range_is_cut() -> None:
    p = given_values(NOISY, 200, 3)
    whole, cut = (NeuronCall(generated_kernel_module(NOISY), p, 200, seed=7) for _ in range(2))
    other = NeuronCall(generated_kernel_module(NOISY), p, 200, seed=8)
    total, same = 0, True
    for k in range(400):
        gids = whole.step(k)
        np.testing.assert_array_equal(cut.step(k, 64, 128), gids)
        same &= np.array_equal(other.step(k), gids)
        total += gids.size
    assert total > 100 and not same
    for name, values in whole.states.items():
        np.testing.assert_array_equal(cut.states[name], values)


@pytest.mark.parametrize(
    ("text", "more", "problem"),
    [
        ("dx/dt = -x/tau + normal()/ms : 1", {}, r"line 1, column 18: normal\(\) may be drawn in"),
        ("y = uniform() : 1\ndx/dt = (y - x)/tau : 1", {}, r"line 1, column 5: uniform\(\) may"),
        ("dx/dt = xi**2 : 1", {}, "the equation of x is not linear in its noise"),
        ("dx/dt = xi/ms : 1", {}, r"is in ms\*\*"),
        ("dx/dt = -x/tau : 1", {"threshold": "x > xi*ms**0.5"}, "unknown name 'xi'"),
        (
            "dx/dt = -x/tau + xi*ms**-0.5 : 1",
            {"threshold": "x > xi*ms**0.5"},
            "the white noise xi is defined in differential equations only",
        ),
        ("dx/dt = xi*ms**-0.5 : 1", {"method": "rk4"}, "which the method 'rk4' cannot integrate"),
        ("dx/dt = xi*ms**-0.5 : 1", {"substeps": 2}, "cannot be divided into parts"),
        ("dx/dt = t/ms**2 : 1", {"method": "euler", "substeps": 2}, "cannot be divided into parts"),
        (
            "dx/dt = -x/tau : 1",
            {"threshold": "uniform(1) < 0.5"},
            "uniform takes this number of arguments: 0",
        ),
        (
            "dx/dt = poisson(3)/ms : 1",
            {},
            r"line 1, column 9: poisson\(\) may be drawn in thresholds, resets and events only",
        ),
        (
            "dx/dt = -x/tau : 1",
            {"threshold": "x > 1", "reset": "x = poisson(rate)"},
            "reset, line 1, column 13: an argument of poisson is in 1/ms; allowed: 1",
        ),
        (
            "dx/dt = -x/tau : 1",
            {"threshold": "x > 1", "reset": "x = 1\nx += poisson()"},
            "reset, line 2, column 6: poisson takes this number of arguments: 1",
        ),
        ("dx/dt = erf(tau)/ms : 1", {}, "line 1, column 13: the argument of erf is in ms"),
        ("dx/dt = sin(tau)/ms : 1", {}, "line 1, column 13: the argument of sin is in ms"),
        ("dx/dt = floor(tau)/ms : 1", {}, "line 1, column 15: the argument of floor is in ms"),
        ("dx/dt = tau*sign(tau)/ms : 1", {}, "line 1"),
        ("sin = x : 1\ndx/dt = sin/ms : 1", {}, "not the name of a variable"),
        ("dx/dt = arcsine(x)/ms : 1", {}, r"unknown function 'arcsine'.*did you mean 'arcsin'"),
        ("dx/dt = erv(x)/ms : 1", {}, r"column 9: unknown function 'erv'.*did you mean 'erf'"),
        ("dt/dt = 1 : ms", {}, "'t' is taken"),
        ("xi = 1/tau**0.5 : ms**-0.5\ndx/dt = xi*ms**-0.5 : 1", {}, "'xi' is taken"),
    ],
)
def test_what_cannot_be_drawn_is_refused(text: str, more: dict[str, object], problem: str) -> None:
    with pytest.raises(DescriptionError, match=problem):
        model(text, **more)
