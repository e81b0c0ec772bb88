"""Adaptive exponential, Izhikevich's and Traub's neurons against plain numpy and finer steps."""

import numpy as np
import numpy.typing as npt
import pytest
from campaigns import sampled
from kernel_calls import NeuronCall, defaults
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from distsnn.kernels import emission
from distsnn.network import HhCondExpTraub

DT, SIZE = 0.1, 100
SLOW = {"tau_syn_ex": 3.0, "tau_syn_in": 6.0}
CURRENT = {"aeif_cond_exp": 900.0, "aeif_psc_exp": 900.0, "hh_cond_exp_traub": 200.0}
# weights in units of the quantum
WEIGHTS = {"aeif_cond_exp": 2.0, "aeif_psc_exp": 60.0, "hh_cond_exp_traub": 2.0}
MODELS = list(CURRENT)
Floats = npt.NDArray[np.float64]


def _call(model: str, precision: str = "float64", size: int = SIZE, **given: float) -> NeuronCall:
    p = {**defaults(model, **SLOW), **given}
    one = NeuronCall(model, p, size, precision=precision, quanta={"ex": 2.0**-7, "in": 2.0**-7})
    if model == "hh_cond_exp_traub":
        for name in ("Act_m", "Inact_h", "Act_n"):
            one.states[name][:] = HhCondExpTraub.states[name].default
    return one


def _arrive(one: NeuronCall, model: str, rng: np.random.Generator) -> dict[str, Floats]:
    rows = {}
    for name, row in one.rows.items():
        sign, rate = (1, 0.03) if name == "ex" else (-1, 0.01)
        mean = WEIGHTS[model] * 128
        weights = rng.integers(int(0.5 * mean), int(1.5 * mean), one.size)
        row[0, : one.size] = sign * weights * (rng.random(one.size) < rate)
        rows[name] = np.abs(row[0, : one.size]) / 128
    return rows


def _mean_decay(x: float) -> float:
    """Return the mean of exp(-t) over t from 0 to x."""
    return -np.expm1(-x) / x


def _aeif(model: str, p: dict[str, float], s: dict[str, Floats], inputs: dict[str, Floats]):
    """Advance by a step as the description says, in plain numpy; V_m is absolute."""
    psc = model == "aeif_psc_exp"
    x, y = ("I_syn_ex", "I_syn_in") if psc else ("g_ex", "g_in")
    h = DT / p["substeps"]
    emitted = np.zeros(SIZE, bool)
    n_ref = round(p["t_ref"] / DT)
    for _ in range(int(p["substeps"])):
        mean = {name: s[name] * _mean_decay(h / p[f"tau_syn_{name[-2:]}"]) for name in (x, y)}
        v, w = s["V_m"], s["w"]
        slope = -p["g_L"] - (0.0 if psc else mean[x] + mean[y])
        if p["Delta_T"]:
            slope = slope + p["g_L"] * np.exp((v - p["V_th"]) / p["Delta_T"])

        def soma_at(v, mean=mean):
            total = p["g_L"] * (p["E_L"] - v) + p["I_e"]
            if p["Delta_T"]:
                total = total + p["g_L"] * p["Delta_T"] * np.exp((v - p["V_th"]) / p["Delta_T"])
            if psc:
                return total + mean[x] - mean[y]
            return total + mean[x] * (p["E_ex"] - v) + mean[y] * (p["E_in"] - v)

        growth = h / p["C_m"] * slope
        rise = h / p["C_m"] * (soma_at(v) - w)
        drift = h / p["tau_w"] * (p["a"] * (v - p["E_L"]) - w)
        matrix = np.empty((SIZE, 2, 2))
        matrix[:, 0, 0], matrix[:, 0, 1] = 1.0 - 0.5 * np.minimum(growth, 1.0), 0.5 * h / p["C_m"]
        matrix[:, 1, 0] = -0.5 * h * p["a"] / p["tau_w"]
        matrix[:, 1, 1] = 1.0 + 0.5 * h / p["tau_w"]
        dv, dw = np.linalg.solve(matrix, np.stack([rise, drift], axis=1)[:, :, None])[:, :, 0].T
        peak = p["V_peak"] if p["Delta_T"] else p["V_th"]
        free = s["refractory"] == 0
        explodes = (growth > 1.0) & (rise > 0.0)
        moves = free & ~explodes
        v, w = np.where(moves, v + dv, v), w + np.where(moves, dw, drift / matrix[0, 1, 1])
        spiked = free & (explodes | (v >= peak))
        s["w"] = w = np.where(spiked, w + p["b"], w)
        # the rest of the part after the spike
        left = np.where((growth > 1.0) & (n_ref == 0), 1.0 - 1.0 / growth, 0.0)
        restart = soma_at(p["V_reset"]) - w
        again = p["V_reset"] + left * h / p["C_m"] * restart
        s["V_m"] = np.where(spiked, again, v)
        s["refractory"] = np.where(spiked, n_ref + (n_ref > 0), s["refractory"])
        for name in (x, y):
            s[name] = s[name] * np.exp(-h / p[f"tau_syn_{name[-2:]}"])
        emitted |= spiked
    s["refractory"] = np.maximum(s["refractory"] - 1, 0)
    s[x], s[y] = s[x] + inputs["ex"], s[y] + inputs["in"]
    return emitted


def _rates(v: Floats) -> dict[str, tuple[Floats, Floats]]:
    """Return alpha and beta of m, h and n, as published; v is relative to V_T."""

    def ratio(z):
        return np.where(z == 0.0, 1.0, z / np.where(z == 0.0, 1.0, np.expm1(z)))

    return {
        "Act_m": (0.32 * 4.0 * ratio((13.0 - v) / 4.0), 0.28 * 5.0 * ratio((v - 40.0) / 5.0)),
        "Inact_h": (0.128 * np.exp((17.0 - v) / 18.0), 4.0 / (1.0 + np.exp((40.0 - v) / 5.0))),
        "Act_n": (0.032 * 5.0 * ratio((15.0 - v) / 5.0), 0.5 * np.exp((10.0 - v) / 40.0)),
    }


def _traub(model: str, p: dict[str, float], s: dict[str, Floats], inputs: dict[str, Floats]):
    """Advance by a step of Strang's splitting, in plain numpy; potentials are absolute."""
    h = DT / p["substeps"]

    def drawn(v, g_ex, g_in):
        """Return V_m after half a part with everything else held."""
        conductances = {
            "Na": p["g_Na"] * s["Act_m"] ** 3 * s["Inact_h"],
            "K": p["g_K"] * s["Act_n"] ** 4,
            "L": p["g_L"],
            "ex": g_ex,
            "in": g_in,
        }
        total = sum(conductances.values())
        end = (sum(g * p[f"E_{x}"] for x, g in conductances.items()) + p["I_e"]) / total
        return end + (v - end) * np.exp(-0.5 * h * total / p["C_m"])

    v = s["V_m"]
    for _ in range(int(p["substeps"])):
        means = [s[f"g_{x}"] * _mean_decay(h / p[f"tau_syn_{x}"]) for x in ("ex", "in")]
        v = drawn(v, *means)
        for name, (alpha, beta) in _rates(v - p["V_T"]).items():
            end = alpha / (alpha + beta)
            s[name] = end + (s[name] - end) * np.exp(-h * (alpha + beta))
        v = drawn(v, *means)
        for x in ("ex", "in"):
            s[f"g_{x}"] = s[f"g_{x}"] * np.exp(-h / p[f"tau_syn_{x}"])
    spiked = (s["refractory"] == 0) & (v >= p["V_T"] + 30.0) & (s["V_before"] > v)
    left = np.maximum(s["refractory"] - 1, 0)
    s["refractory"] = np.where(spiked, round(p["t_ref"] / DT), left)
    s["V_m"] = s["V_before"] = v
    s["g_ex"], s["g_in"] = s["g_ex"] + inputs["ex"], s["g_in"] + inputs["in"]
    return spiked


UPDATES = {"aeif_cond_exp": _aeif, "aeif_psc_exp": _aeif, "hh_cond_exp_traub": _traub}
REST = {"aeif_cond_exp": "E_L", "aeif_psc_exp": "E_L", "hh_cond_exp_traub": "E_L"}


@pytest.mark.parametrize(
    ("model", "given"),
    sampled(
        [
            *((model, {}) for model in MODELS),
            *((model, {"substeps": 3.0, "t_ref": 1.0}) for model in MODELS),
            *((model, {"Delta_T": 0.0}) for model in ("aeif_cond_exp", "aeif_psc_exp")),
        ],
        2,
    ),
)
def test_updates_follow_the_equations(model: str, given: dict[str, float]) -> None:
    given = {"I_e": CURRENT[model], **given}
    p = {**defaults(model, **SLOW), **given}
    one = _call(model, **given)
    kept = {name: p[REST[model]] if name.startswith("V_") else 0.0 for name in one.states}
    state = {name: values[:SIZE] + kept[name] for name, values in one.states.items()}
    rng = np.random.default_rng(3)
    total = 0
    for k in range(600):
        spiked = UPDATES[model](model, p, state, _arrive(one, model, rng))
        np.testing.assert_array_equal(one.step(k), np.flatnonzero(spiked))
        total += np.count_nonzero(spiked)
        for name in state:
            ours = one.states[name][:SIZE] + kept[name]
            np.testing.assert_allclose(ours, state[name], rtol=1e-9, atol=1e-9)
            # what is left of rounding must not grow into a spike's step
            state[name] = ours
    assert total > SIZE


def _traces(model: str, precision: str, **given: float) -> Floats:
    """Potentials below threshold, under the same input."""
    one = _call(model, precision, E_L=-75.0, **given)
    rng = np.random.default_rng(4)
    trace = np.empty((300, SIZE))
    for k in range(len(trace)):
        _arrive(one, model, rng)
        for row in one.rows.values():
            row //= 4
        one.step(k)
        trace[k] = one.states["V_m"][:SIZE]
    return trace


@pytest.mark.parametrize("model", MODELS)
def test_error_falls_with_the_square_of_the_sub_steps(model: str) -> None:
    fine = _traces(model, "float64", substeps=256.0)
    errors = [np.abs(_traces(model, "float64", substeps=n) - fine).max() for n in (2.0, 4.0, 8.0)]
    ratios = np.array(errors[:-1]) / errors[1:]
    assert errors[0] < 0.05  # mV
    assert np.all((ratios > 3.5) & (ratios < 4.5)), (errors, ratios)


@pytest.mark.parametrize("model", MODELS)
def test_float32_is_near(model: str) -> None:
    exact, near = _traces(model, "float64"), _traces(model, "float32")
    assert 0.0 < np.abs(near - exact).max() < 2e-3


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", MODELS)
def test_spiking_neurons_stay_finite(model: str, precision: str) -> None:
    one = _call(model, precision, I_e=5.0 * CURRENT[model])
    rng = np.random.default_rng(5)
    spikes = 0
    for k in range(3000):
        _arrive(one, model, rng)
        spikes += one.step(k).size
        assert one.counts[emission.FAULT] == 0
    assert spikes > 5 * SIZE
    assert all(np.isfinite(values[:SIZE]).all() for values in one.states.values())


@pytest.mark.parametrize("t_ref", [0.0, 2.0])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", ["aeif_cond_exp", "aeif_psc_exp"])
def test_reset_far_above_a_sharp_threshold_is_a_number(
    model: str, precision: str, t_ref: float
) -> None:
    given = {"Delta_T": 0.04, "V_th": -50.4, "V_reset": -46.0, "I_e": 1500.0, "t_ref": t_ref}
    one = _call(model, precision, **given)
    spikes = []
    for k in range(300):
        spikes += [k] * (0 in one.step(k))
        assert one.counts[emission.FAULT] == 0
        assert one.states["V_m"][0] < 70.7  # V_peak, relative to E_L
    # the reset is in the middle of the next upstroke: V_m spikes as soon as it may
    assert len(spikes) > 5
    assert set(np.diff(spikes)) == {1 + round(t_ref / DT)}


def test_without_exponential_the_reset_may_be_above_threshold() -> None:
    one = _call("aeif_psc_exp", Delta_T=0.0, V_reset=-46.0, I_e=1500.0, t_ref=2.0)
    assert any(0 in one.step(k) for k in range(200))
    assert one.states["V_m"][0] == pytest.approx(-46.0 + 70.6)


def test_without_exponential_potential_and_adaptation_are_linear() -> None:
    given = {"Delta_T": 0.0, "V_th": 1e6, "V_peak": 1e6, "I_e": 300.0, "substeps": 64.0}
    one = _call("aeif_psc_exp", size=64, **given)
    p = {**defaults("aeif_psc_exp"), **given}
    for k in range(400):
        one.step(k)
    matrix = np.array(
        [
            [-p["g_L"] / p["C_m"], -1.0 / p["C_m"], p["I_e"] / p["C_m"]],
            [p["a"] / p["tau_w"], -1.0 / p["tau_w"], 0.0],
            [0.0, 0.0, 0.0],
        ]
    )
    v, w, _ = expm(matrix * 40.0) @ [0.0, 0.0, 1.0]
    assert one.states["V_m"][0] == pytest.approx(v, rel=1e-6)
    assert one.states["w"][0] == pytest.approx(w, rel=1e-6)


@pytest.mark.parametrize("published", [False, True])
def test_izhikevichs_neuron_follows_the_equations(published: bool) -> None:
    rng = np.random.default_rng(6)
    h = 1.0 if published else DT
    a, b = rng.uniform(0.02, 0.1, SIZE), rng.uniform(0.2, 0.25, SIZE)
    c, d = rng.uniform(-65.0, -50.0, SIZE), rng.uniform(2.0, 8.0, SIZE)
    given = {**defaults("izhikevich"), "a": a, "b": b, "c": c, "d": d, "I_e": 4.0, "V_min": -80.0}
    given["consistent_integration"] = 0.0 if published else 1.0
    one = NeuronCall("izhikevich", given, SIZE, dt=h, quanta={"delta": 0.125}, current=True)
    one.states["V_m"][:] = v = np.full(one.n, -65.0)
    one.states["U_m"][:] = u = np.full(one.n, -13.0)
    v, u = v[:SIZE], u[:SIZE]
    total = 0
    for k in range(2000):
        arriving = rng.integers(-60, 61, SIZE) * (rng.random(SIZE) < 0.2)
        one.rows["delta"][0, :SIZE] = arriving
        current = one.current[:SIZE] = rng.normal(0.0, 3.0, SIZE)
        i = 4.0 + current
        if published:
            i = i + 0.125 * arriving
            for _ in range(2):
                v = v + 0.5 * h * (0.04 * v**2 + 5.0 * v + 140.0 - u + i)
            u = u + h * a * (b * v - u)
        else:
            u, v = (
                u + h * a * (b * v - u),
                v + h * (0.04 * v**2 + 5.0 * v + 140.0 - u + i) + 0.125 * arriving,
            )
        v = np.maximum(v, -80.0)
        spiked = v >= 30.0
        v, u = np.where(spiked, c, v), np.where(spiked, u + d, u)
        np.testing.assert_array_equal(one.step(k), np.flatnonzero(spiked))
        np.testing.assert_allclose(one.states["V_m"][:SIZE], v, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(one.states["U_m"][:SIZE], u, rtol=1e-9, atol=1e-9)
        v, u = one.states["V_m"][:SIZE].copy(), one.states["U_m"][:SIZE].copy()
        total += np.count_nonzero(spiked)
    assert total > SIZE


@pytest.mark.parametrize("published", [False, True])
def test_izhikevichs_error_falls_with_the_step(published: bool) -> None:
    def course(_, y):
        v, u = y
        return 0.04 * v * v + 5.0 * v + 140.0 - u + 10.0, 0.02 * (0.2 * v - u)

    exact = solve_ivp(course, (0.0, 2.0), (-65.0, -13.0), rtol=1e-10, atol=1e-10).y[:, -1]
    given = {**defaults("izhikevich"), "I_e": 10.0, "consistent_integration": 1.0 - published}
    errors = []
    for steps in (20, 40, 80, 160, 320):
        one = NeuronCall("izhikevich", given, 64, dt=2.0 / steps)
        one.states["V_m"][:], one.states["U_m"][:] = -65.0, -13.0
        assert not any(one.step(k).size for k in range(steps))
        found = [one.states[name][0] for name in ("V_m", "U_m")]
        errors.append(np.abs(found - exact))
    ratios = np.divide(errors[:-1], errors[1:])
    # of order 1, both
    np.testing.assert_allclose(ratios[-2:], 2.0, rtol=0.05)
    assert errors[0].max() < 1.0  # mV


def test_izhikevichs_neuron_rests_at_its_fixed_point() -> None:
    given = defaults("izhikevich")
    v = -70.0  # 0.04 v² + 5 v + 140 = b v = u
    one = NeuronCall("izhikevich", given, 64)
    one.states["V_m"][:], one.states["U_m"][:] = v + 2.0, 0.2 * v
    for k in range(20_000):
        assert one.step(k).size == 0
    assert one.states["V_m"][0] == pytest.approx(v, abs=1e-6)
    assert one.states["U_m"][0] == pytest.approx(0.2 * v, abs=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_rates_of_the_gates_are_the_published_ones(precision: str) -> None:
    # the potential stays, so that each gate relaxes by its rates alone
    v = np.concatenate([np.linspace(-60.0, 140.0, 4001), 13.0 + np.linspace(-0.05, 0.05, 11)])
    given = defaults("hh_cond_exp_traub", C_m=1e12) | {"substeps": 1.0}
    one = NeuronCall("hh_cond_exp_traub", given, v.size, precision=precision)
    one.states["V_m"][: v.size] = v + given["V_T"] - given["E_L"]
    v = one.states["V_m"][: v.size].astype(np.longdouble) - given["V_T"] + given["E_L"]
    one.step(0)
    bound = 3e-5 if precision == "float32" else 1e-10
    for name, (alpha, beta) in _rates(v).items():
        expected = alpha / (alpha + beta) * -np.expm1(-DT * (alpha + beta))
        found = one.states[name][: v.size]
        np.testing.assert_allclose(found, expected.astype(float), rtol=bound, err_msg=name)


def test_traubs_neuron_spikes_at_its_peak_once_in_a_refractory_time() -> None:
    one = _call("hh_cond_exp_traub", I_e=300.0, t_ref=2.0)
    v, spikes = [one.states["V_m"][0]], []
    for k in range(1500):
        spikes += [k] * (0 in one.step(k))
        v.append(one.states["V_m"][0])
    assert len(spikes) > 5
    for k in spikes:
        assert v[k + 1] >= 30.0
        assert v[k] > v[k + 1]
        assert v[k] > v[k - 1]
    assert min(np.diff(spikes)) > 20
    silent = _call("hh_cond_exp_traub", I_e=300.0, t_ref=1e3)
    assert sum(0 in silent.step(k) for k in range(1500)) == 1
