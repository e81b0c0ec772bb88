"""Linear models against the matrix exponential of their equations, and closed forms."""

import numpy as np
import numpy.typing as npt
import pytest
from kernel_calls import NeuronCall
from scipy.linalg import expm

from distsnn.network import get_neuron_model

Floats = npt.NDArray[np.float64]
DT = 0.1
QUANTUM = 0.25

COMMON = {"tau_syn_ex": 0.5, "tau_syn_in": 3.0, "E_L": -65.0}
ALPHA = COMMON | {"C_m": 250.0, "tau_m": 10.0, "V_reset": -67.0, "V_th": -50.0, "I_e": 900.0}
MAT2 = COMMON | {"C_m": 100.0, "tau_m": 5.0, "omega": -53.0, "alpha_1": 9.0, "I_e": 350.0}
GIVEN = {"iaf_psc_alpha": ALPHA | {"t_ref": 2.0}, "mat2_psc_exp": MAT2 | {"t_ref": 2.0}}


def parameters(model: str, **given: float | Floats) -> dict[str, float | Floats]:
    """Return a model's parameters, those that are not given with their defaults."""
    one = get_neuron_model(model)(**given)
    return {name: one.value(name) for name in one.parameters()}


def spread(model: str, n: int) -> dict[str, float | Floats]:
    """Return parameters of n neurons around given ones."""
    rng = np.random.default_rng(6)
    out = {k: v * rng.uniform(0.9, 1.1, n) for k, v in parameters(model, **GIVEN[model]).items()}
    out["t_ref"] = np.rint(out["t_ref"] / DT) * DT
    return out


class Exponential:
    """n neurons as a linear system, advanced by the exponential of its matrix."""

    def __init__(self, model: str, p: dict[str, Floats], v: Floats) -> None:
        # rows: the kept states, and last the current that flows during the step
        names = {
            "iaf_psc_alpha": ["V_m", "I_syn_ex", "dI_syn_ex", "I_syn_in", "dI_syn_in"],
            "mat2_psc_exp": ["V_m", "I_syn_ex", "I_syn_in", "V_th_alpha_1", "V_th_alpha_2"],
        }[model]
        self.model, self.p, self.names = model, p, names
        at = {name: i for i, name in enumerate(names)}
        self.at = at
        matrix = np.zeros((v.size, len(names) + 1, len(names) + 1))
        matrix[:, 0, -1] = 1.0 / p["C_m"]
        matrix[:, 0, 0] = -1.0 / p["tau_m"]
        for side in ("ex", "in"):
            current, rise = at[f"I_syn_{side}"], at.get(f"dI_syn_{side}")
            matrix[:, 0, current] = 1.0 / p["C_m"]
            matrix[:, current, current] = -1.0 / p[f"tau_syn_{side}"]
            if rise is not None:
                matrix[:, rise, rise] = -1.0 / p[f"tau_syn_{side}"]
                matrix[:, current, rise] = 1.0
        for j in (1, 2) if model == "mat2_psc_exp" else ():
            part = at[f"V_th_alpha_{j}"]
            matrix[:, part, part] = -1.0 / p[f"tau_{j}"]
        self.advance = expm(matrix * DT)
        self.state = np.zeros((v.size, len(names) + 1))
        self.state[:, 0] = v
        self.refractory = np.zeros(v.size)

    def step(self, inputs: list[Floats], extern: Floats | float) -> npt.NDArray[np.bool_]:
        """Advance by dt and return who spiked."""
        p, at, before = self.p, self.at, self.state
        before[:, -1] = p["I_e"] + extern
        self.state = np.einsum("nij,nj->ni", self.advance, before)
        for side, arriving in zip(("ex", "in"), inputs, strict=True):
            if self.model == "iaf_psc_alpha":
                self.state[:, at[f"dI_syn_{side}"]] += arriving * np.e / p[f"tau_syn_{side}"]
            else:
                self.state[:, at[f"I_syn_{side}"]] += arriving
        held, self.refractory = self.refractory > 0, np.maximum(self.refractory - 1, 0)
        if self.model == "iaf_psc_alpha":
            self.state[held, 0] = before[held, 0]
            spiked = self.state[:, 0] >= p["V_th"] - p["E_L"]
            self.state[spiked, 0] = (p["V_reset"] - p["E_L"])[spiked]
        else:
            raised = self.state[:, at["V_th_alpha_1"]] + self.state[:, at["V_th_alpha_2"]]
            spiked = ~held & (self.state[:, 0] >= p["omega"] - p["E_L"] + raised)
            for j in (1, 2):
                self.state[spiked, at[f"V_th_alpha_{j}"]] += p[f"alpha_{j}"][spiked]
        self.refractory[spiked] = np.rint(p["t_ref"] / DT)[spiked]
        return spiked


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("model", list(GIVEN))
def test_updates_follow_the_matrix_exponential(model: str, own: bool) -> None:
    n, steps = 40, 1200
    rng = np.random.default_rng(5)
    given = spread(model, n) if own else parameters(model, **GIVEN[model])
    quanta = dict.fromkeys(("ex", "in"), QUANTUM)
    one = NeuronCall(model, given, n, current=own, quanta=quanta)
    one.states["V_m"][:n] = v = rng.uniform(-5.0, 11.0, n)
    exact = Exponential(model, {k: np.broadcast_to(x, n) for k, x in given.items()}, v)
    total = 0
    for k in range(steps):
        for row, sign in zip(one.rows.values(), (1, -1), strict=True):
            row[0, :n] = sign * rng.integers(0, 2500, n) * (rng.random(n) < 0.05)
        inputs = [QUANTUM * row[0, :n] for row in one.rows.values()]
        if own:
            one.current[:n] = rng.normal(0.0, 50.0, n)
        spiked = exact.step(inputs, one.current[:n].copy() if own else 0.0)
        np.testing.assert_array_equal(one.step(k), np.flatnonzero(spiked))
        total += np.count_nonzero(spiked)
        for name, i in exact.at.items():
            found = one.states[name][:n]
            np.testing.assert_allclose(found, exact.state[:, i], rtol=1e-12, atol=1e-12)
            # what is left of rounding must not grow into a spike's step
            exact.state[:, i] = found
        np.testing.assert_array_equal(one.states["refractory"][:n], exact.refractory)
        assert not any(row.any() for row in one.rows.values())
    assert total > n


def psp(tau_syn: float, tau_m: float, t: Floats) -> Floats:
    """Return ∫ s exp(-s/tau_syn) exp(-(t - s)/tau_m) ds over [0, t], by quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    s = t[:, None] * (nodes + 1.0) / 2.0
    integrand = s * np.exp(-s / tau_syn - (t[:, None] - s) / tau_m)
    return t / 2.0 * (integrand @ weights)


@pytest.mark.parametrize(
    "tau_syn",
    [0.05, 0.5, 2.0, 9.9, 10 * (1 - 1e-5), 10 * (1 - 1e-9), 10.0, 10 * (1 + 1e-13), 11.0, 100.0],
)
def test_an_alpha_current_and_its_potential_have_their_closed_forms(tau_syn: float) -> None:
    taus = {"tau_syn_ex": 2.0, "tau_syn_in": tau_syn}
    one = NeuronCall("iaf_psc_alpha", parameters("iaf_psc_alpha", **taus, V_th=1e9), 64)
    one.rows["in"][0, 0] = -100
    t = DT * np.arange(600)
    v, i = np.zeros(t.size), np.zeros(t.size)
    for k in range(t.size):
        one.step(k)
        v[k], i[k] = one.states["V_m"][0], one.states["I_syn_in"][0]
    rise = -100.0 * np.e / tau_syn
    # each of 600 factors exp(-dt/tau) rounds once
    np.testing.assert_allclose(i, rise * t * np.exp(-t / tau_syn), rtol=1e-12, atol=1e-17)
    np.testing.assert_allclose(v, rise / 250.0 * psp(tau_syn, 10.0, t), rtol=1e-11, atol=1e-16)


def test_an_alpha_current_peaks_at_the_weight() -> None:
    one = NeuronCall("iaf_psc_alpha", parameters("iaf_psc_alpha", tau_syn_ex=3.0, V_th=1e9), 64)
    one.rows["ex"][0, 0] = 80
    currents = []
    for k in range(100):
        one.step(k)
        currents.append(one.states["I_syn_ex"][0])
    assert int(np.argmax(currents)) == 30
    assert max(currents) == pytest.approx(80.0, rel=1e-12)


def test_a_spike_of_mat2_raises_the_threshold_and_leaves_the_potential() -> None:
    given = parameters("mat2_psc_exp", alpha_1=4.0, tau_1=30.0, I_e=500.0, t_ref=3.0)
    one = NeuronCall("mat2_psc_exp", given, 64)
    spikes = []
    for k in range(900):
        spikes += [k + 1] * int(0 in one.step(k))
        t = (k + 1) * DT
        # 25 mV (1 - exp(-t/5)), whatever it spikes
        assert one.states["V_m"][0] == pytest.approx(-25.0 * np.expm1(-t / 5.0), rel=1e-12)
        for j, (alpha, tau) in enumerate(((4.0, 30.0), (2.0, 200.0)), 1):
            raised = sum(alpha * np.exp(-(k + 1 - s) * DT / tau) for s in spikes)
            assert one.states[f"V_th_alpha_{j}"][0] == pytest.approx(raised, rel=1e-12)
    assert len(spikes) > 3
    assert spikes[0] == int(np.ceil(-5.0 * np.log(1.0 - 19.0 / 25.0) / DT))
    assert min(np.diff(spikes)) > 30


def test_mat2_does_not_spike_within_its_refractory_time() -> None:
    given = parameters("mat2_psc_exp", alpha_1=0.0, alpha_2=0.0, I_e=1000.0, t_ref=1.5)
    one = NeuronCall("mat2_psc_exp", given, 64)
    spikes = [k for k in range(200) if 0 in one.step(k)]
    assert set(np.diff(spikes)) == {16}


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_leaky_integrator_is_a_neuron_without_threshold(precision: str) -> None:
    n = 70
    given = parameters("leaky_integrator", tau_syn=0.7, I_e=30.0)
    never = given | {"V_th": 1e9, "V_reset": 0.0, "t_ref": 0.0}
    one = NeuronCall("leaky_integrator", given, n, precision=precision, current=True)
    other = NeuronCall("iaf_psc_exp_shared", never, n, precision=precision, current=True)
    rng = np.random.default_rng(2)
    for k in range(500):
        one.rows["syn"][0, :n] = other.rows["syn"][0, :n] = rng.integers(-9000, 9000, n)
        one.current[:n] = other.current[:n] = rng.normal(0.0, 300.0, n)
        assert one.step(k).size == 0
        other.step(k)
    assert np.abs(one.states["V_m"]).max() > 30.0
    for name, values in one.states.items():
        np.testing.assert_array_equal(values[:n], other.states[name][:n])
