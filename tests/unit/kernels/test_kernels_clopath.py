"""The neuron of voltage-based plasticity against plain numpy, finer steps and closed forms."""

import numpy as np
import numpy.typing as npt
import pytest
from campaigns import sampled
from kernel_calls import NeuronCall, defaults

from distsnn.kernels import emission

DT, SIZE, MODEL = 0.1, 100, "aeif_psc_delta_clopath"
QUANTUM = 2.0**-7
Floats = npt.NDArray[np.float64]
# what states are kept relative to
REST = {"V_m": "E_L", "V_th": "V_th_rest", **dict.fromkeys(("u_bar_plus", "u_bar_minus"), "E_L")}
REST["u_bar_bar"] = "E_L"


def _call(precision: str = "float64", size: int = SIZE, **given: float) -> NeuronCall:
    p = {**defaults(MODEL), **given}
    return NeuronCall(MODEL, p, size, precision=precision, quanta={"delta": QUANTUM})


def _arrive(one: NeuronCall, rng: np.random.Generator, mean: float = 2.0) -> Floats:
    """Let input arrive at some neurons and return it, mV; one in ten is inhibitory."""
    size = one.size
    weights = rng.integers(int(64 * mean), int(192 * mean), size) * (rng.random(size) < 0.03)
    one.rows["delta"][0, :size] = np.where(rng.random(size) < 0.1, -weights, weights)
    return one.rows["delta"][0, :size] * QUANTUM


def _reference(p: dict[str, float], s: dict[str, Floats], arriving: Floats) -> npt.NDArray[np.bool]:
    """Advance by a step as the description says, in plain numpy; potentials are absolute."""
    h = DT / p["substeps"]
    n_clamp, n_ref = round(p["t_clamp"] / DT), round(p["t_ref"] / DT)
    emitted = np.zeros(SIZE, bool)

    def spikes(now: npt.NDArray[np.bool]) -> None:
        after = {"V_m": p["V_clamp"], "z": p["I_sp"], "V_th": p["V_th_max"]}
        for name, value in after.items():
            s[name] = np.where(now, value, s[name])
        s["w"] = np.where(now, s["w"] + p["b"], s["w"])
        # the rest of this step, and those that are left
        s["refractory"] = np.where(now, n_clamp + n_ref + 1, s["refractory"])
        emitted[now] = True

    def peak() -> Floats | float:
        return p["V_peak"] if p["Delta_T"] else s["V_th"]

    for _ in range(int(p["substeps"])):
        v, w, minus = s["V_m"], s["w"], s["u_bar_minus"]
        free, clamped = s["refractory"] == 0, s["refractory"] > n_ref
        # means over the part of what decays exactly
        z = s["z"] * -np.expm1(-h / p["tau_z"]) * p["tau_z"] / h
        mean_th = -np.expm1(-h / p["tau_V_th"]) * p["tau_V_th"] / h
        th = p["V_th_rest"] + (s["V_th"] - p["V_th_rest"]) * mean_th
        steep = np.exp((v - th) / p["Delta_T"]) if p["Delta_T"] else 0.0 * v
        growth = h / p["C_m"] * p["g_L"] * (steep - 1.0)
        total = p["g_L"] * (p["E_L"] - v + p["Delta_T"] * steep) - w + z + p["I_e"]
        rise = h / p["C_m"] * total
        drift = h / p["tau_w"] * (p["a"] * (v - p["E_L"]) - w)
        matrix = np.empty((SIZE, 2, 2))
        matrix[:, 0, 0], matrix[:, 0, 1] = 1.0 - 0.5 * np.minimum(growth, 1.0), 0.5 * h / p["C_m"]
        matrix[:, 1, 0] = -0.5 * h * p["a"] / p["tau_w"]
        matrix[:, 1, 1] = 1.0 + 0.5 * h / p["tau_w"]
        dv, dw = np.linalg.solve(matrix, np.stack([rise, drift], axis=1)[:, :, None])[:, :, 0].T
        explodes = (growth > 1.0) & (rise > 0.0)
        moves = free & ~explodes
        dv = np.where(moves, dv, 0.0)
        dw = np.where(moves, dw, drift / matrix[0, 1, 1])
        s["V_m"], s["w"] = v + dv, np.where(clamped, w, w + dw)
        s["z"] = s["z"] * np.exp(-h / p["tau_z"])
        s["V_th"] = p["V_th_rest"] + (s["V_th"] - p["V_th_rest"]) * np.exp(-h / p["tau_V_th"])
        for name in ("plus", "minus"):
            name, tau = f"u_bar_{name}", p[f"tau_u_bar_{name}"]
            s[name] = s[name] + h / (tau + 0.5 * h) * (v + 0.5 * dv - s[name])
        drive = 0.5 * (minus + s["u_bar_minus"]) - s["u_bar_bar"]
        s["u_bar_bar"] = s["u_bar_bar"] + h / (p["tau_u_bar_bar"] + 0.5 * h) * drive
        spikes(free & (explodes | (s["V_m"] >= peak())))
    s["V_m"] = np.where(s["refractory"] == 0, s["V_m"] + arriving, s["V_m"])
    spikes((s["refractory"] == 0) & (s["V_m"] >= peak()))
    left = np.maximum(s["refractory"] - 1, 0)
    s["V_m"] = np.where((s["refractory"] == n_ref + 1) & (left == n_ref), p["V_reset"], s["V_m"])
    s["refractory"] = left
    return emitted


@pytest.mark.parametrize(
    "given",
    sampled(
        [
            {},
            {"substeps": 3.0, "t_ref": 1.0, "V_clamp": 10.0},
            {"Delta_T": 0.0, "t_ref": 0.5},
            {"t_clamp": 0.1, "I_sp": 0.0, "V_th_max": -50.4},
        ],
        3,
    ),
)
def test_update_follows_the_equations(given: dict[str, float]) -> None:
    given = {"I_e": 1000.0, **given}
    p = {**defaults(MODEL), **given}
    one = _call(**given)
    kept = {name: p[REST[name]] if name in REST else 0.0 for name in one.states}
    state = {name: values[:SIZE] + kept[name] for name, values in one.states.items()}
    rng = np.random.default_rng(3)
    total = by_input = 0
    for k in range(1500):
        strong = 120.0 if k % 400 == 399 else 2.0
        spiked = _reference(p, state, _arrive(one, rng, strong))
        np.testing.assert_array_equal(one.step(k), np.flatnonzero(spiked))
        total += np.count_nonzero(spiked)
        by_input += np.count_nonzero(spiked) if strong > 2.0 else 0
        for name in state:
            ours = one.states[name][:SIZE] + kept[name]
            np.testing.assert_allclose(ours, state[name], rtol=1e-9, atol=1e-9)
            # what is left of rounding must not grow into a spike's step
            state[name] = ours
    assert total > 2 * SIZE
    assert by_input > 0


def test_a_spike_lasts_and_then_rests() -> None:
    given = {"t_clamp": 0.5, "t_ref": 0.3, "V_clamp": 20.0, "V_reset": -58.0}
    one = _call(size=64, **given)
    one.states["w"][:] = 7.0
    one.rows["delta"][0, :] = int(110.0 / QUANTUM)
    assert one.step(0).size == 64
    course, adaptation = [one.states["V_m"][0]], [one.states["w"][0]]
    for k in range(1, 9):
        one.rows["delta"][0, :] = int(110.0 / QUANTUM) if k < 8 else 0
        assert one.step(k).size == 0
        course.append(one.states["V_m"][0])
        adaptation.append(one.states["w"][0])
    # input is lost all the while
    np.testing.assert_allclose(course[:8], [90.6] * 5 + [12.6] * 3)
    assert course[8] == pytest.approx(12.6)
    # in the step of the spike w decays before it, then it rests with V_m
    assert adaptation[:6] == pytest.approx([7.0 * np.exp(-DT / 144.0) + 80.5] * 6, rel=1e-6)
    assert adaptation[6] < adaptation[5]
    assert one.step(9).size == 0
    assert one.states["V_m"][0] != pytest.approx(12.6, abs=1e-3)


def test_averages_and_currents_decay_while_the_potential_rests() -> None:
    one = _call(size=64, t_clamp=100.0, tau_u_bar_bar=30.0, substeps=8.0)
    one.rows["delta"][0, :] = int(110.0 / QUANTUM)
    one.step(0)
    start = {name: values[0] for name, values in one.states.items()}
    for k in range(1, 501):
        one.step(k)
    found, t, v = {name: values[0] for name, values in one.states.items()}, 50.0, 33.0 + 70.6
    assert found["z"] == pytest.approx(400.0 * np.exp(-t / 40.0))
    assert found["V_th"] == pytest.approx(80.8 * np.exp(-t / 50.0))
    for name, tau in (("u_bar_plus", 7.0), ("u_bar_minus", 10.0)):
        assert found[name] == pytest.approx(v + (start[name] - v) * np.exp(-t / tau))
    # of two filters in a row, by variation of constants
    fast, slow = np.exp(-t / 10.0), np.exp(-t / 30.0)
    expected = v + (start["u_bar_bar"] - v) * slow
    expected += (start["u_bar_minus"] - v) / 30.0 * (fast - slow) / (1.0 / 30.0 - 1.0 / 10.0)
    assert found["u_bar_bar"] == pytest.approx(expected, rel=1e-6)


def _traces(precision: str, variable: str = "V_m", **given: float) -> Floats:
    """Return a state below threshold, under the same input."""
    one = _call(precision, I_e=200.0, **given)
    rng = np.random.default_rng(4)
    trace = np.empty((300, SIZE))
    for k in range(len(trace)):
        _arrive(one, rng, 0.5)
        assert one.step(k).size == 0
        trace[k] = one.states[variable][:SIZE]
    return trace


@pytest.mark.parametrize("variable", ["V_m", "w", "u_bar_plus", "u_bar_minus", "u_bar_bar"])
def test_error_falls_with_the_square_of_the_sub_steps(variable: str) -> None:
    fine = _traces("float64", variable, substeps=256.0)
    errors = [
        np.abs(_traces("float64", variable, substeps=n) - fine).max() for n in (1.0, 2.0, 4.0)
    ]
    ratios = np.array(errors[:-1]) / errors[1:]
    assert np.all((ratios > 3.5) & (ratios < 4.5)), (errors, ratios)


@pytest.mark.parametrize("variable", ["V_m", "u_bar_plus", "u_bar_minus"])
def test_float32_is_near(variable: str) -> None:
    exact, near = _traces("float64", variable), _traces("float32", variable)
    assert 0.0 < np.abs(near - exact).max() < 2e-3


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_spiking_neurons_stay_finite(precision: str) -> None:
    one = _call(precision, I_e=5000.0)
    rng = np.random.default_rng(5)
    spikes = 0
    for k in range(3000):
        _arrive(one, rng)
        spikes += one.step(k).size
        assert one.counts[emission.FAULT] == 0
    assert spikes > 5 * SIZE
    assert all(np.isfinite(values[:SIZE]).all() for values in one.states.values())
