"""Neurons with conductances against plain numpy, closed forms, and finer steps."""

import numpy as np
import numpy.typing as npt
import pytest
from campaigns import sampled
from kernel_calls import NeuronCall, defaults

DT = 0.1
QUANTUM = 2.0**-6  # nS
SIZE = 200
SLOW = {"tau_syn_ex": 5.0, "tau_syn_in": 10.0, "E_L": -60.0, "V_th": -50.0}
MODELS = {
    "iaf_cond_exp": defaults("iaf_cond_exp", **SLOW),
    "iaf_cond_alpha": defaults("iaf_cond_alpha", **SLOW),
}
CONDUCTANCES = ("g_ex", "dg_ex", "g_in", "dg_in")
Floats = npt.NDArray[np.float64]


def _course(g: Floats, dg: Floats, tau: Floats, t: Floats) -> tuple[Floats, Floats]:
    """Return a conductance and its drive (0 for exponential ones) a time later."""
    decay = np.exp(-t / tau)
    return decay * (g + t * dg), decay * dg


def _mean(g: Floats, dg: Floats, tau: Floats, h: float) -> Floats:
    """Return a conductance's mean over a time h, by Gauss-Legendre quadrature."""
    at, weight = np.polynomial.legendre.leggauss(8)
    return sum(
        0.5 * w * _course(g, dg, tau, 0.5 * h * (x + 1.0))[0]
        for x, w in zip(at, weight, strict=True)
    )


class Reference:
    """The published equations of n neurons by exponential Euler, in plain numpy."""

    def __init__(self, model: str, parameters: dict[str, Floats], n: int) -> None:
        self.p = {name: np.broadcast_to(value, n) for name, value in parameters.items()}
        self.alpha = model == "iaf_cond_alpha"
        self.substeps = int(self.p["substeps"][0])
        self.v = self.p["E_L"].copy()
        self.g = {name: np.zeros(n) for name in CONDUCTANCES}
        self.refractory = np.zeros(n)

    def step(self, inputs: dict[str, Floats], current: float | Floats) -> Floats:
        """Advance by one step and return who spiked."""
        p, g, h = self.p, self.g, DT / self.substeps
        for _ in range(self.substeps):
            ex, in_ = (_mean(g[x], g[f"d{x}"], p[f"tau_syn_{x[2:]}"], h) for x in ("g_ex", "g_in"))
            total = p["g_L"] + ex + in_
            drawn = p["g_L"] * p["E_L"] + ex * p["E_ex"] + in_ * p["E_in"] + p["I_e"] + current
            end = drawn / total
            free = end + (self.v - end) * np.exp(-h * total / p["C_m"])
            self.v = np.where(self.refractory > 0, self.v, free)
            for x in ("g_ex", "g_in"):
                g[x], g[f"d{x}"] = _course(g[x], g[f"d{x}"], p[f"tau_syn_{x[2:]}"], h)
        for x in ("ex", "in"):
            where = f"dg_{x}" if self.alpha else f"g_{x}"
            unit = np.e / p[f"tau_syn_{x}"] if self.alpha else 1.0
            g[where] = g[where] + unit * np.abs(inputs[x])
        self.refractory = np.maximum(self.refractory - 1, 0)
        spiked = self.v >= p["V_th"]
        self.v = np.where(spiked, p["V_reset"], self.v)
        self.refractory = np.where(spiked, np.rint(p["t_ref"] / DT), self.refractory)
        return spiked


def _arriving(one: NeuronCall, rng: np.random.Generator) -> dict[str, Floats]:
    """Put input into a call's rows and return it in nS; inhibitory weights are negative."""
    rows = {}
    for name, row in one.rows.items():
        sign, rate = (1, 0.08) if name == "ex" else (-1, 0.02)
        n = one.size
        row[0, :n] = sign * rng.integers(50, 300, n) * (rng.random(n) < rate)
        rows[name] = QUANTUM * row[0, :n]
    return rows


def _call(model: str, parameters: dict[str, float], size: int = SIZE, **given) -> NeuronCall:
    return NeuronCall(model, parameters, size, quanta={"ex": QUANTUM, "in": QUANTUM}, **given)


@pytest.mark.parametrize(("substeps", "own"), sampled([(3, True), (1, False)], 2))
@pytest.mark.parametrize("model", list(MODELS))
def test_updates_follow_the_equations(model: str, substeps: int, own: bool) -> None:
    rng = np.random.default_rng(1)
    given: dict[str, Floats] = {**MODELS[model], "I_e": 150.0}
    if own:
        given = {name: value * rng.uniform(0.95, 1.05, SIZE) for name, value in given.items()}
        given["t_ref"] = np.rint(given["t_ref"] / DT) * DT
    given["substeps"] = float(substeps)
    one = _call(model, given, current=own)
    expected = Reference(model, given, SIZE)
    e_l = expected.p["E_L"]
    total = 0
    for k in range(600):
        current = one.current[:SIZE] = rng.normal(0.0, 20.0, SIZE) if own else 0.0
        inputs = _arriving(one, rng)
        spiked = expected.step(inputs, current)
        np.testing.assert_array_equal(one.step(k), np.flatnonzero(spiked))
        total += np.count_nonzero(spiked)
        np.testing.assert_allclose(one.states["V_m"][:SIZE] + e_l, expected.v, rtol=0, atol=1e-10)
        for name in set(CONDUCTANCES) & set(one.states):
            values = one.states[name][:SIZE]
            np.testing.assert_allclose(values, expected.g[name], rtol=1e-11, atol=1e-15)
            assert np.all(values >= 0.0)
            expected.g[name] = values.copy()
        np.testing.assert_array_equal(one.states["refractory"][:SIZE], expected.refractory)
        # what is left of rounding must not grow into a spike's step
        expected.v = one.states["V_m"][:SIZE] + e_l
    assert total > 1.5 * SIZE


def _trace(model: str, substeps: int, precision: str = "float64") -> Floats:
    """Potentials of neurons that do not spike, under the same input."""
    given = {**MODELS[model], "V_th": 1e6, "substeps": float(substeps)}
    one = _call(model, given, precision=precision)
    rng = np.random.default_rng(4)
    trace = np.empty((600, SIZE))
    for k in range(len(trace)):
        _arriving(one, rng)
        one.step(k)
        trace[k] = one.states["V_m"][:SIZE]
    return trace


@pytest.mark.parametrize("model", sampled(MODELS, 2))
def test_error_falls_with_the_square_of_the_sub_steps(model: str) -> None:
    fine = _trace(model, 128)
    errors = [np.abs(_trace(model, n) - fine).max() for n in (1, 2, 4, 8)]
    assert 1e-6 < errors[0] < 0.05  # mV
    ratios = np.array(errors[:-1]) / errors[1:]
    assert np.all((ratios > 3.8) & (ratios < 4.2)), ratios


@pytest.mark.parametrize("substeps", [1, 5])
@pytest.mark.parametrize("model", list(MODELS))
def test_float32_is_near(model: str, substeps: int) -> None:
    near, exact = _trace(model, substeps, "float32"), _trace(model, substeps)
    assert 0.0 < np.abs(near - exact).max() < 2e-4


@pytest.mark.parametrize("substeps", [1, 2])
@pytest.mark.parametrize("model", list(MODELS))
def test_a_weight_makes_its_conductance(model: str, substeps: int) -> None:
    one = _call(model, {**MODELS[model], "substeps": float(substeps)}, 64)
    one.rows["ex"][0, 0], one.rows["in"][0, 0] = 64, -320
    t = DT * np.arange(1000)
    g = {name: np.empty(t.size) for name in ("g_ex", "g_in")}
    for k in range(t.size):
        one.step(k)
        for name, values in g.items():
            values[k] = one.states[name][0]
    for name, tau, weight in (("g_ex", 5.0, 1.0), ("g_in", 10.0, 5.0)):
        shape = np.e * t / tau if model == "iaf_cond_alpha" else 1.0
        np.testing.assert_allclose(g[name], weight * shape * np.exp(-t / tau), rtol=1e-11)
    if model == "iaf_cond_alpha":
        assert (t[g["g_ex"].argmax()], g["g_ex"].max()) == pytest.approx((5.0, 1.0))


@pytest.mark.parametrize("substeps", [1, 3])
@pytest.mark.parametrize("model", list(MODELS))
def test_a_constant_conductance_has_its_closed_form(model: str, substeps: int) -> None:
    given = {**MODELS[model], "V_th": 1e6, "I_e": 40.0, "substeps": float(substeps)}
    one = _call(model, {**given, "tau_syn_ex": 1e12, "tau_syn_in": 1e12}, 64)
    one.states["g_ex"][:], one.states["g_in"][:] = 3.0, 7.0
    total = given["g_L"] + 3.0 + 7.0
    end = (3.0 * 60.0 + 7.0 * -25.0 + 40.0) / total  # relative to E_L
    for k in range(300):
        one.step(k)
        expected = end * -np.expm1(-(k + 1) * DT * total / given["C_m"])
        assert one.states["V_m"][0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("t_ref", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("model", list(MODELS))
def test_a_neuron_rests_for_its_refractory_time(model: str, t_ref: float) -> None:
    given = {**MODELS[model], "t_ref": t_ref, "substeps": 2.0}
    one = _call(model, given, 64)
    one.states["V_m"][0] = 12.0
    assert one.step(0).tolist() == [0]
    held = round(t_ref / DT)
    reset = given["V_reset"] - given["E_L"]
    for k in range(1, held + 1):
        one.rows["ex"][0, 0] = 100
        assert one.step(k).size == 0
        assert one.states["V_m"][0] == reset
        assert one.states["refractory"][0] == held - k
    one.rows["ex"][0, 0] = 100
    for k in range(held + 1, held + 4):
        one.step(k)
    assert one.states["V_m"][0] > reset


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", list(MODELS))
def test_silent_neurons_end_at_rest_not_on_denormals(model: str, precision: str) -> None:
    one = _call(model, {**MODELS[model], "substeps": 2.0}, 64, precision=precision)
    one.states["V_m"][:] = 3.0
    one.rows["ex"][:], one.rows["in"][:] = 100, -100
    least = np.finfo(precision).tiny
    for k in range(10_000):
        one.step(k)
        if k % 100 == 0:
            for name in one.states:
                values = np.abs(one.states[name])
                assert np.all((values == 0.0) | (values >= least)), (name, k)
    assert not any(values.any() for values in one.states.values())
