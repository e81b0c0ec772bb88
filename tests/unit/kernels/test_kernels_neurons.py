"""Neuron updates against plain numpy, closed forms, and themselves in other variants."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from kernel_calls import NeuronCall

from distsnn.codegen import update as codegen
from distsnn.kernels import neuron_draws

Floats = npt.NDArray[np.float64]

EXP = {
    "C_m": 250.0,
    "tau_m": 10.0,
    "tau_syn_ex": 0.5,
    "tau_syn_in": 3.0,
    "t_ref": 2.0,
    "E_L": -65.0,
    "V_reset": -67.0,
    "V_th": -50.0,
    "I_e": 500.0,
}
DELTA = {key: value for key, value in EXP.items() if not key.startswith("tau_syn")}
SHARED = {**DELTA, "tau_syn": 0.5}
MODELS = {"iaf_psc_exp": EXP, "iaf_psc_delta": DELTA, "iaf_psc_exp_shared": SHARED}
MAT2 = {
    **{key: value for key, value in EXP.items() if not key.startswith("V_")},
    "omega": -50.0,
    "alpha_1": 10.0,
    "alpha_2": 2.0,
    "tau_1": 10.0,
    "tau_2": 50.0,
}
# their equations are tested in test_kernels_linear
EVERY = {**MODELS, "iaf_psc_alpha": EXP, "mat2_psc_exp": MAT2}
DT = 0.1


def _reference(model: str, p: dict[str, Floats], v, currents, refractory, inputs, extern):
    """Advance by one step as Rotter & Diesmann (1999): (v, currents, refractory, spiked)."""
    decay = np.exp(-DT / p["tau_m"])
    drive = p["tau_m"] / p["C_m"] * -np.expm1(-DT / p["tau_m"]) * (p["I_e"] + extern)
    free = decay * v + drive
    new = []
    for tau, i, arriving in zip(_taus(model, p), currents, inputs, strict=False):
        a = 1.0 / tau - 1.0 / p["tau_m"]
        free += i * decay / p["C_m"] * -np.expm1(-a * DT) / a
        new.append(np.exp(-DT / tau) * i + arriving)
    if model == "iaf_psc_delta":
        free += inputs[0]
    v = np.where(refractory > 0, v, free)
    refractory = np.maximum(refractory - 1, 0)
    spiked = v >= p["V_th"] - p["E_L"]
    v = np.where(spiked, p["V_reset"] - p["E_L"], v)
    return v, new, np.where(spiked, np.rint(p["t_ref"] / DT), refractory), spiked


def _taus(model: str, p: dict[str, Floats]) -> list[Floats]:
    return {
        "iaf_psc_exp": lambda: [p["tau_syn_ex"], p["tau_syn_in"]],
        "iaf_psc_delta": lambda: [],
        "iaf_psc_exp_shared": lambda: [p["tau_syn"]],
    }[model]()


def _spread(parameters: dict[str, float], n: int, seed: int) -> dict[str, Floats]:
    """Return parameters of n neurons around given ones."""
    rng = np.random.default_rng(seed)
    out = {key: value * rng.uniform(0.9, 1.1, n) for key, value in parameters.items()}
    out["t_ref"] = np.rint(out["t_ref"] / DT) * DT
    return out


@pytest.mark.parametrize(("per_neuron", "current"), [(False, False), (True, True)])
@pytest.mark.parametrize("model", list(MODELS))
def test_updates_follow_the_equations(model: str, per_neuron: bool, current: bool) -> None:
    n, steps = 150, 1200
    rng = np.random.default_rng(5)
    given = _spread(MODELS[model], n, 6) if per_neuron else MODELS[model]
    one = NeuronCall(
        model, given, n, current=current, quanta=dict.fromkeys(("ex", "in", "syn", "delta"), 0.25)
    )
    p = {key: np.broadcast_to(value, n) for key, value in given.items()}
    one.states["V_m"][:n] = v = rng.uniform(-5.0, 12.0, n)
    names = [key for key in one.states if key.startswith("I_")]
    currents: list[Floats] = [np.zeros(n) for _ in names]
    refractory = np.zeros(n)
    total = 0
    large = 20 if model == "iaf_psc_delta" else 2000
    for k in range(steps):
        inputs = []
        for row in one.rows.values():
            row[0, :n] = rng.integers(-large, large + large // 8, n) * (rng.random(n) < 0.05)
            inputs.append(0.25 * row[0, :n])
        if current:
            one.current[:n] = rng.normal(0.0, 50.0, n)
        extern = one.current[:n].copy() if current else 0.0
        v, currents, refractory, spiked = _reference(
            model, p, v, currents, refractory, inputs, extern
        )
        np.testing.assert_array_equal(one.step(k), np.flatnonzero(spiked))
        np.testing.assert_allclose(one.states["V_m"][:n], v, rtol=0, atol=1e-12)
        total += np.count_nonzero(spiked)
        # what is left of rounding must not grow into a spike's step
        v = one.states["V_m"][:n].copy()
        for name, i in zip(names, currents, strict=True):
            np.testing.assert_allclose(one.states[name][:n], i, rtol=1e-13, atol=1e-12)
        currents = [one.states[name][:n].copy() for name in names]
        np.testing.assert_array_equal(one.states["refractory"][:n], refractory)
        assert not any(row.any() for row in one.rows.values())
    assert total > 2 * n


@pytest.mark.parametrize(
    ("model", "precision"), [("iaf_psc_exp", "float32"), *((model, "float64") for model in EVERY)]
)
def test_per_neuron_constants_give_the_bits_of_shared_ones(model: str, precision: str) -> None:
    n = 130
    shared = NeuronCall(model, EVERY[model], n, precision=precision)
    each = {key: np.full(n, value) for key, value in EVERY[model].items()}
    # a current of 0 is no current
    own = NeuronCall(model, each, n, precision=precision, current=True)
    assert set(own.variant.per_neuron) == set(codegen.neuron_kernel(own.variant.kernel).CONSTANTS)
    rng = np.random.default_rng(8)
    for k in range(300):
        for a, b in zip(shared.rows.values(), own.rows.values(), strict=True):
            a[0, :n] = b[0, :n] = rng.integers(0, 40, n)
        np.testing.assert_array_equal(shared.step(k), own.step(k))
    for name, values in shared.states.items():
        np.testing.assert_array_equal(values[:n], own.states[name][:n])


@pytest.mark.parametrize("model", list(EVERY))
def test_ranges_may_be_cut_and_rows_wrap(model: str) -> None:
    n = 300
    bits = 64 if model == "iaf_psc_exp" else 32
    whole = NeuronCall(model, EVERY[model], n, ring_rows=4, first_gid=1000, row_bits=bits)
    pieces = NeuronCall(model, EVERY[model], n, ring_rows=4, first_gid=1000, row_bits=bits)
    rng = np.random.default_rng(9)
    for name in whole.states:
        whole.states[name][:n] = pieces.states[name][:n] = rng.integers(0, 3, n)
    seen = 0
    for k in range(11, 900):
        for a, b in zip(whole.rows.values(), pieces.rows.values(), strict=True):
            later = (k + 2) & 3
            a[later, :n] = b[later, :n] = rng.integers(0, 3, n)
            assert a[k & 3].any() or k < 13
        gids = whole.step(k)
        np.testing.assert_array_equal(gids, pieces.step(k, 64, 256))
        assert np.all(np.diff(gids.astype(np.int64)) > 0)
        assert np.all((gids >= 1000) & (gids < 1000 + n))
        seen += gids.size
    assert seen > n
    for name, values in whole.states.items():
        np.testing.assert_array_equal(values[:n], pieces.states[name][:n])


@pytest.mark.parametrize("model", list(EVERY))
def test_padding_emits_no_spikes(model: str) -> None:
    one = NeuronCall(model, EVERY[model], 65)
    one.states["V_m"][:] = 1e3
    np.testing.assert_array_equal(one.step(0), np.arange(65))
    assert one.states["V_m"][127] == one.states["V_m"][0]


REST = {"V_th": 1e9, "I_e": 0.0, "V_reset": -70.0, "E_L": -70.0, "t_ref": 2.0}


def _psp(tau_syn: float, tau_m: float, t: Floats, weight: float, c_m: float) -> Floats:
    """Return the potential after an exponential current that starts with `weight` at t = 0."""
    s, m, x = np.longdouble(tau_syn), np.longdouble(tau_m), t.astype(np.longdouble)
    a = 1 / s - 1 / m
    shape = x if a == 0 else -np.expm1(-a * x) / a
    return np.asarray(weight / np.longdouble(c_m) * np.exp(-x / m) * shape, np.float64)


@pytest.mark.parametrize(
    "tau_syn",
    [0.5, 2.0, 9.99, 10.0 * (1 - 1e-9), 10.0 * (1 - 1e-13), 10.0, 10.0 * (1 + 1e-11), 11.0, 100.0],
)
@pytest.mark.parametrize("model", ["iaf_psc_exp", "iaf_psc_exp_shared"])
def test_a_psc_and_its_psp_have_their_closed_forms(model: str, tau_syn: float) -> None:
    names = ("tau_syn_ex", "tau_syn_in") if model == "iaf_psc_exp" else ("tau_syn",)
    taus = dict.fromkeys(names, tau_syn)
    one = NeuronCall(model, {"C_m": 250.0, "tau_m": 10.0, **taus, **REST}, 64)
    receptor, state = next(iter(one.rows)), next(k for k in one.states if k.startswith("I_"))
    one.rows[receptor][0, 0] = 100
    t = DT * np.arange(2000)
    v, i = np.zeros(t.size), np.zeros(t.size)
    for k in range(t.size):
        one.step(k)
        v[k], i[k] = one.states["V_m"][0], one.states[state][0]
    np.testing.assert_allclose(i, 100.0 * np.exp(-t / tau_syn), rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(v, _psp(tau_syn, 10.0, t, 100.0, 250.0), rtol=2e-12, atol=1e-16)


def test_a_delta_input_jumps_and_decays_and_a_current_charges() -> None:
    given = {"C_m": 250.0, "tau_m": 10.0, **REST}
    one = NeuronCall("iaf_psc_delta", given, 64)
    one.rows["delta"][0, 0] = 5
    v = []
    for k in range(500):
        one.step(k)
        v.append(one.states["V_m"][0])
    np.testing.assert_allclose(v, 5.0 * np.exp(-DT * np.arange(500) / 10.0), rtol=1e-12)
    charged = NeuronCall("iaf_psc_delta", {**given, "I_e": 75.0}, 64)
    for k in range(500):
        charged.step(k)
    expected = 75.0 * 10.0 / 250.0 * -math.expm1(-500 * DT / 10.0)
    assert charged.states["V_m"][0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("t_ref", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("model", list(MODELS))
def test_a_neuron_rests_for_its_refractory_time(model: str, t_ref: float) -> None:
    given = {**MODELS[model], "t_ref": t_ref, "I_e": 0.0, "V_reset": -65.0}
    one = NeuronCall(model, given, 64)
    receptor = next(iter(one.rows))
    one.states["V_m"][0] = 15.0 * 1.1  # above threshold after one decay
    assert one.step(0).tolist() == [0]
    held = round(t_ref / DT)
    for k in range(1, held + 1):
        one.rows[receptor][0, 0] = 7
        one.step(k)
        assert one.states["V_m"][0] == 0.0
        assert one.states["refractory"][0] == held - k
    one.rows[receptor][0, 0] = 7
    one.step(held + 1)
    moved = one.states["V_m"][0]
    if model == "iaf_psc_delta":
        # input that arrived while it rested is lost
        assert moved == pytest.approx(7.0, rel=1e-12)
    elif held:
        # currents go on while it rests
        tau = _taus(model, {key: np.asarray(value) for key, value in given.items()})[0]
        i = 7.0 * sum(math.exp(-j * DT / tau) for j in range(held))
        assert moved == pytest.approx(_psp(float(tau), 10.0, np.array(DT), i, 250.0), rel=1e-12)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", list(EVERY))
def test_silent_neurons_end_at_zero_not_on_denormals(model: str, precision: str) -> None:
    given = {**EVERY[model], "I_e": 0.0}
    one = NeuronCall(model, given, 64, precision=precision)
    one.states["V_m"][:] = 3.0
    for row in one.rows.values():
        row[:] = 1
    least = np.finfo(precision).tiny
    for k in range(20_000):
        one.step(k)
        if k % 100 == 0:
            for name in one.states:
                if name != "refractory":
                    values = np.abs(one.states[name])
                    assert np.all((values == 0.0) | (values >= least)), (name, k)
    assert not any(values.any() for values in one.states.values())


def test_variants_have_layouts_without_overlap() -> None:
    for model in EVERY:
        kernel = codegen.neuron_kernel(f"distsnn.kernels.neurons.{model}")
        for per_neuron in ((), tuple(kernel.CONSTANTS), tuple(kernel.CONSTANTS)[::2]):
            variant = codegen.UpdateVariant(kernel.__name__, "float32", 32, per_neuron, (), True)
            where = codegen.update_table_layout(variant)
            words = [
                *range(4),
                where.spiked,
                where.mask,
                where.stride,
                where.current,
                *where.draws,
                *range(where.streams, where.streams + neuron_draws.TABLE_SIZE),
                *where.rings.values(),
                *where.states.values(),
                *where.arrays.values(),
            ]
            assert len(set(words)) == len(words)
            assert max(words) + 1 == where.size
            scalars = [*where.quanta.values(), *where.scalars.values()]
            assert sorted([*scalars, where.dt]) == list(range(where.n_scalars))
            assert len(scalars) + len(per_neuron) == len(kernel.CONSTANTS) + len(kernel.RECEPTORS)
