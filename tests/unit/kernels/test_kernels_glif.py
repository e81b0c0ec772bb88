"""Generalised leaky integrate-and-fire neurons against their equations in numpy."""

import numpy as np
import numpy.typing as npt
import pytest
from campaigns import sampled
from kernel_calls import NeuronCall, defaults
from scipy.linalg import expm

Floats = npt.NDArray[np.float64]
N, QUANTUM = 40, 0.25
CURRENTS = {"glif_psc": ("syn",), "glif_psc_double_alpha": ("fast", "slow")}
KEPT = ("V_m", "threshold_spike", "threshold_voltage", "I_asc_1", "I_asc_2")
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)


def spread(model: str) -> dict[str, Floats]:
    """Return parameters of all neurons, all mechanisms at work, some at their edges."""
    rng = np.random.default_rng(4)
    p = {name: np.full(N, value) for name, value in defaults(model).items()}
    p |= {
        "voltage_reset_fraction": np.full(N, 0.2),
        "voltage_reset_add": np.full(N, 8.0),
        "th_spike_add": np.full(N, 1.5),
        "th_voltage_index": np.full(N, 0.01),
        "asc_amps_1": np.full(N, -15.0),
        "asc_amps_2": np.full(N, -90.0),
        "asc_r_1": np.full(N, 0.7),
        "asc_r_2": np.full(N, 0.4),
        "I_e": np.full(N, 150.0),
    }
    p = {name: value * rng.uniform(0.8, 1.2, N) for name, value in p.items()}
    for name, mean in (("E_L", -79.0), ("V_th", -52.0)):
        p[name] = mean + rng.uniform(-4.0, 4.0, N)
    p["t_ref"] = np.rint(p["t_ref"])
    # rates and time constants that meet, no refractory time, resets without memory
    p["th_voltage_decay"][0] = p["g"][0] / p["C_m"][0]
    for name in (name for name in p if name.startswith("tau_syn")):
        p[name][1] = p["C_m"][1] / p["g"][1]
    p["t_ref"][2] = p["voltage_reset_fraction"][3] = p["asc_r_1"][3] = 0.0
    return p


class Reference:
    """The neurons, one step after the other."""

    def __init__(self, model: str, p: dict[str, Floats], dt: float) -> None:
        self.p, self.dt, self.kinds = p, dt, CURRENTS[model]
        self.tau = p["C_m"] / p["g"]
        self.currents = [f"{kind}_{side}" for side in ("ex", "in") for kind in self.kinds]
        # the current, its rise, and what they make of the potential
        self.advance = {}
        for name in self.currents:
            matrix = np.zeros((N, 3, 3))
            matrix[:, 0, 0] = matrix[:, 1, 1] = -1.0 / p[self.constant("tau_syn", name)]
            matrix[:, 0, 1], matrix[:, 2, 0] = 1.0, 1.0 / p["C_m"]
            matrix[:, 2, 2] = -1.0 / self.tau
            self.advance[name] = expm(matrix * dt)

    @staticmethod
    def constant(name: str, current: str) -> str:
        return f"{name}_{current.removeprefix('syn_')}"

    def step(
        self, s: dict[str, Floats], inputs: dict[str, Floats], extern: Floats | float
    ) -> tuple[dict[str, Floats], npt.NDArray[np.bool_]]:
        """Return the states a step later, and who spiked."""
        p, dt, new = self.p, self.dt, {}
        steady = p["I_e"] + extern
        for j in (1, 2):
            k = p[f"asc_decay_{j}"]
            steady = steady + s[f"I_asc_{j}"] * -np.expm1(-k * dt) / (k * dt)
            new[f"I_asc_{j}"] = s[f"I_asc_{j}"] * np.exp(-k * dt)
        end = steady / p["g"]
        new["V_m"] = end + (s["V_m"] - end) * np.exp(-dt / self.tau)
        for name in self.currents:
            row = np.stack([s[f"I_{name}"], s[f"dI_{name}"], np.zeros(N)], axis=1)
            row = np.einsum("nij,nj->ni", self.advance[name], row)
            new["V_m"] = new["V_m"] + row[:, 2]
            amplitude = p[self.constant("amp", name)] if name.startswith("slow") else 1.0
            rise = inputs[name[-2:]] * amplitude * np.e / p[self.constant("tau_syn", name)]
            new[f"I_{name}"], new[f"dI_{name}"] = row[:, 0], row[:, 1] + rise
        # by quadrature: V_m as it would be without synaptic currents, as decay weighs it
        at = dt * (NODES[:, None] + 1.0) / 2.0
        b = p["th_voltage_decay"]
        driven = np.exp(-b * (dt - at)) * (end + (s["V_m"] - end) * np.exp(-at / self.tau))
        driven = dt / 2.0 * WEIGHTS @ driven
        new["threshold_voltage"] = np.exp(-b * dt) * s["threshold_voltage"]
        new["threshold_voltage"] += p["th_voltage_index"] * driven
        new["threshold_spike"] = s["threshold_spike"] * np.exp(-p["th_spike_decay"] * dt)
        held = s["refractory"] > 0
        for name in KEPT:
            new[name] = np.where(held, s[name], new[name])
        threshold = p["V_th"] - p["E_L"] + new["threshold_spike"] + new["threshold_voltage"]
        spiked = ~held & (new["V_m"] > threshold)
        after = {
            "V_m": p["voltage_reset_fraction"] * s["V_m"] + p["voltage_reset_add"],
            "threshold_spike": new["threshold_spike"] * np.exp(-p["th_spike_decay"] * p["t_ref"])
            + p["th_spike_add"],
        }
        for j in (1, 2):
            left = p[f"asc_r_{j}"] * np.exp(-p[f"asc_decay_{j}"] * p["t_ref"])
            after[f"I_asc_{j}"] = p[f"asc_amps_{j}"] + left * new[f"I_asc_{j}"]
        for name, value in after.items():
            new[name] = np.where(spiked, value, new[name])
        new["refractory"] = np.where(
            spiked, np.rint(p["t_ref"] / dt), np.maximum(s["refractory"] - 1, 0)
        )
        return new, spiked


@pytest.mark.parametrize("dt", sampled([0.1, 0.05, 1.0], 3))
@pytest.mark.parametrize("model", list(CURRENTS))
def test_updates_follow_the_equations(model: str, dt: float) -> None:
    rng, p = np.random.default_rng(5), spread(model)
    quanta = dict.fromkeys(("ex", "in"), QUANTUM)
    call = NeuronCall(model, p, N, dt=dt, current=True, quanta=quanta)
    reference, counts = Reference(model, p, dt), np.zeros(N)
    call.states["I_asc_1"][:N] = rng.uniform(-20.0, 20.0, N)
    for k in range(round(200 / dt)):
        before = {name: values[:N].copy() for name, values in call.states.items()}
        for row, sign in zip(call.rows.values(), (1, -1), strict=True):
            row[0, :N] = sign * rng.integers(0, 600, N) * (rng.random(N) < 0.1 * dt)
        inputs = {name: QUANTUM * row[0, :N] for name, row in call.rows.items()}
        call.current[:N] = rng.normal(250.0, 150.0, N)
        expected, spiked = reference.step(before, inputs, call.current[:N].copy())
        np.testing.assert_array_equal(call.step(k), np.flatnonzero(spiked))
        counts += spiked
        for name, values in call.states.items():
            np.testing.assert_allclose(
                values[:N], expected[name], rtol=1e-11, atol=1e-11, err_msg=name
            )
    assert counts.min() >= 2


def test_defaults_are_a_leaky_integrate_and_fire_neuron() -> None:
    given = {"C_m": 60.0, "t_ref": 2.0, "I_e": 120.0, "tau_syn_ex": 3.0, "tau_syn_in": 1.0}
    glif = NeuronCall("glif_psc", defaults("glif_psc", **given, g=6.0, voltage_reset_add=4.0), N)
    potentials = {"E_L": -78.85, "V_th": -51.68, "V_reset": -74.85}
    lif = NeuronCall("iaf_psc_alpha", defaults("iaf_psc_alpha", **given, **potentials), N)
    rng, total = np.random.default_rng(6), 0
    for k in range(3000):
        weights = {side: rng.integers(0, 400, N) * (rng.random(N) < 0.02) for side in ("ex", "in")}
        for one in (glif, lif):
            one.rows["ex"][0, :N], one.rows["in"][0, :N] = weights["ex"], -weights["in"]
        gids = lif.step(k)
        np.testing.assert_array_equal(glif.step(k), gids)
        np.testing.assert_allclose(glif.states["V_m"], lif.states["V_m"], rtol=1e-9, atol=1e-9)
        total += gids.size
    assert total > 10 * N
    for name in ("threshold_spike", "threshold_voltage", "I_asc_1", "I_asc_2"):
        assert not glif.states[name].any()
