"""Kernels made from equations against plain numpy, built-in models and themselves."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from campaigns import sampled
from kernel_calls import NeuronCall, compiled
from own_models import ADEX, COBA, DRIVE, DT, IZHIKEVICH, LIF, given_values
from scipy.linalg import expm

from distsnn.codegen.equations import kernel_text
from distsnn.codegen.generated import generated_kernel_module
from distsnn.codegen.update import neuron_kernel
from distsnn.errors import DescriptionError
from distsnn.network import NeuronModel

Floats = npt.NDArray[np.float64]
States = dict[str, Floats]
Slopes = Callable[[States, dict[str, Floats], Floats], States]

PIPED: dict[str, Any] = {"capture_output": True, "text": True, "check": True}


def _adex(s: States, p: dict[str, Floats], current: Floats) -> States:
    v = np.minimum(s["V_m"], p["V_peak"])
    spike = p["g_L"] * p["Delta_T"] * np.exp((v - p["V_th"]) / p["Delta_T"])
    synapses = s["g_ex"] * (p["E_ex"] - v) + s["g_in"] * (p["E_in"] - v)
    total = -p["g_L"] * (v - p["E_L"]) + spike + synapses - s["w"] + p["I_e"] + current
    return {
        "V_m": total / p["C_m"],
        "w": (p["a"] * (v - p["E_L"]) - s["w"]) / p["tau_w"],
        "g_ex": -s["g_ex"] / p["tau_syn_ex"],
        "g_in": -s["g_in"] / p["tau_syn_in"],
    }


def _izhikevich(s: States, p: dict[str, Floats], current: Floats) -> States:
    v, u = s["V_m"], s["U_m"]
    return {
        "V_m": 0.04 * v * v + 5.0 * v + 140.0 - u + p["I_e"] + current,
        "U_m": p["a"] * (p["b"] * v - u),
    }


def _coba(s: States, p: dict[str, Floats], current: Floats) -> States:
    v = s["V_m"]
    leak = p["g_L"] * (p["E_L"] - v) + p["I_e"] + current
    synapses = s["g_ex"] * (p["E_ex"] - v) + s["g_in"] * (p["E_in"] - v)
    return {
        "V_m": (leak + synapses) / p["C_m"],
        "g_ex": -s["g_ex"] / p["tau_syn_ex"],
        "g_in": -s["g_in"] / p["tau_syn_in"],
    }


SLOPES: dict[str, Slopes] = {
    "own_adex": _adex,
    "own_izhikevich": _izhikevich,
    "own_coba": _coba,
}


def _advanced(
    scheme: str, slopes: Callable[[States, float], States], s: States, h: float
) -> States:
    """Advance by one part with a textbook scheme; `slopes` takes the time within the part."""

    def moved(k: States, time: float) -> States:
        return {name: value + time * k[name] for name, value in s.items()}

    first = slopes(s, 0.0)
    if scheme == "euler":
        return moved(first, h)
    second = slopes(moved(first, h / 2), h / 2)
    if scheme == "rk2":
        return moved(second, h)
    third = slopes(moved(second, h / 2), h / 2)
    fourth = slopes(moved(third, h), h)
    mean = {n: (first[n] + 2 * second[n] + 2 * third[n] + fourth[n]) / 6 for n in s}
    return moved(mean, h)


class Reference:
    """Neurons of a model in numpy, float64."""

    def __init__(self, model: NeuronModel, p: dict[str, Floats], states: States) -> None:
        self.model, self.p, self.states = model, p, states
        self.slopes = SLOPES[model.name]
        self.refractory = np.zeros(next(iter(states.values())).size)
        self.decaying = ["g_ex", "g_in"] if "exact" in model.scheme else []

    def _part(self, current: Floats, h: float) -> None:
        held, s = self.refractory > 0, self.states
        decays = {n: np.exp(-h / self.p[f"tau_syn_{n[2:]}"]) for n in self.decaying}

        def slopes(given: States, exact: States) -> States:
            found = self.slopes(given | exact, self.p, current)
            if self.model.refractory:
                found["V_m"] = np.where(held, 0.0, found["V_m"])
            return found

        def slopes_at(given: States, time: float) -> States:
            return slopes(given, {n: s[n] * decays[n] ** (time / h) for n in self.decaying})

        means = {n: s[n] * (decays[n] - 1.0) / np.log(decays[n]) for n in self.decaying}
        if "exponential_euler" in self.model.scheme:
            # of the leaky neuron's own equation; conductances that decay exactly as their means
            first, g = slopes(s, means), s | means
            rate = -(self.p["g_L"] + g["g_ex"] + g["g_in"]) / self.p["C_m"]
            new = dict(s) | {"V_m": s["V_m"] + first["V_m"] * np.expm1(h * rate) / rate}
            if not self.decaying:
                for n in ("g_ex", "g_in"):
                    new[n] = s[n] * np.exp(-h / self.p[f"tau_syn_{n[2:]}"])
        else:
            new = _advanced(self.model.scheme.split(":")[-2].split()[-1], slopes_at, s, h)
        new |= {n: s[n] * decays[n] for n in self.decaying}
        self.states = new

    def _test(self, after: float) -> npt.NDArray[np.bool_]:
        s, p = self.states, self.p
        least = p["V_peak"] if "V_peak" in p else p["V_th"]
        spiked = (s["V_m"] >= least) & (self.refractory == 0)
        s["V_m"] = np.where(spiked, p["c"] if "c" in p else p["V_reset"], s["V_m"])
        if "w" in s:
            s["w"] = np.where(spiked, s["w"] + p["b"], s["w"])
        if "U_m" in s:
            s["U_m"] = np.where(spiked, s["U_m"] + p["d"], s["U_m"])
        if self.model.refractory:
            steps = np.rint(p["t_ref"] / DT)
            self.refractory = np.where(
                spiked, np.where(steps > 0, steps + after, 0), self.refractory
            )
        return spiked

    def step(self, inputs: States, current: Floats) -> npt.NDArray[np.int64]:
        parts = self.model.substeps
        spiked = np.zeros(self.refractory.size, bool)
        for _ in range(parts):
            self._part(current, DT / parts)
            if parts > 1:
                spiked |= self._test(1.0)
        held = self.refractory > 0
        for receptor, values in inputs.items():
            target = self.model.receptors[receptor]
            name, sign = target.removeprefix("-"), -1.0 if target.startswith("-") else 1.0
            rests = held & (name == "V_m")
            added = self.states[name] + sign * values
            self.states[name] = np.where(rests, self.states[name], added)
        # a neuron that was held in this step does not spike at its end
        before, self.refractory = self.refractory, np.maximum(self.refractory - 1, 0)
        counted, self.refractory = self.refractory, before
        # input is tested where it changes what the threshold sees
        is_tested = parts == 1 or "V_m" in self.model.receptors.values()
        last = self._test(0.0) if is_tested else np.zeros(spiked.size, bool)
        self.refractory = np.where(last, self.refractory, counted)
        return np.flatnonzero(spiked | last)


MODELS = {
    "adex": ADEX,
    "adex, exact and rk4": replace(ADEX, method="auto"),
    "adex, refractory": replace(
        ADEX, parameters={**ADEX.parameters, "t_ref": (0.5, "ms")}, substeps=3
    ),
    "izhikevich": IZHIKEVICH,
    "izhikevich, rk2": replace(IZHIKEVICH, method="rk2", substeps=2),
    "coba": COBA,
    "coba, exponential euler": replace(COBA, method="exponential_euler", substeps=2),
}
WEIGHTS = {"own_adex": 30, "own_izhikevich": 3, "own_coba": 6}


def _offset(model: NeuronModel, name: str, p: dict[str, Floats]) -> Floats:
    relative = model().states[name].relative_to
    return p[relative] if relative else np.zeros(())


@pytest.mark.parametrize(
    ("name", "per_neuron"),
    sampled(
        [*((name, False) for name in MODELS), ("adex, exact and rk4", True), ("coba", True)], 3
    ),
)
def test_kernels_follow_textbook_schemes(name: str, per_neuron: bool) -> None:
    model, n = MODELS[name], 70
    rng = np.random.default_rng(3)
    p = given_values(model, n if per_neuron else None, 4)
    one = NeuronCall(
        generated_kernel_module(model),
        p,
        n,
        current=True,
        quanta=dict.fromkeys(model.receptors, 0.25),
    )
    offset = {state: _offset(model, state, p) for state in model.dynamics.states}
    start = {"V_m": rng.uniform(-68.0, -58.0, n)}
    if "U_m" in offset:
        start["U_m"] = np.full(n, -13.0)
    zero = np.zeros(n)
    each = {key: np.broadcast_to(value, n) for key, value in p.items()}
    reference = Reference(model, each, {state: start.get(state, zero) for state in offset})
    total = 0
    for state, values in reference.states.items():
        one.states[state][:n] = values - offset[state]
    for k in range(700):
        inputs = {}
        for receptor, row in one.rows.items():
            sign = -1 if receptor == "in" else 1
            weights = rng.integers(0, WEIGHTS[model.name], n)
            row[0, :n] = sign * weights * (rng.random(n) < 0.1)
            inputs[receptor] = 0.25 * row[0, :n]
        current = rng.normal(0.0, 0.1 * DRIVE[model.name], n)
        one.current[:n] = current
        np.testing.assert_array_equal(one.step(k), spiked := reference.step(inputs, current))
        total += spiked.size
        for state, values in reference.states.items():
            found = one.states[state][:n] + offset[state]
            np.testing.assert_allclose(found, values, rtol=1e-11, atol=1e-10, err_msg=state)
            # what is left of rounding must not grow into a spike's step
            reference.states[state] = found
        if model.refractory:
            np.testing.assert_array_equal(one.states["refractory"][:n], reference.refractory)
    assert total > n


def test_what_depends_on_a_held_variable_sees_it_rest() -> None:
    model = NeuronModel(
        """
        dV_m/dt = (E - V_m)/tau - w : mV
        dw/dt = a*V_m/ms - w/tau_w : mV/ms
        """,
        threshold="V_m >= V_th",
        reset="V_m = V_reset",
        refractory="t_ref",
        parameters={
            "E": (20.0, "mV"),
            "tau": (10.0, "ms"),
            "a": (0.01, "1/ms"),
            "tau_w": (30.0, "ms"),
            "V_th": (5.0, "mV"),
            "V_reset": (2.0, "mV"),
            "t_ref": (3.0, "ms"),
        },
    )
    assert model.scheme == "exact: V_m, w"
    free = expm(DT * np.array([[-0.1, -1.0, 2.0], [0.01, -1 / 30, 0.0], [0.0, 0.0, 0.0]]))
    rests = expm(DT * np.array([[0.0, 0.0, 0.0], [0.01, -1 / 30, 0.0], [0.0, 0.0, 0.0]]))
    values = {name: np.asarray(spec[0]) for name, spec in model.parameters.items()}
    one = NeuronCall(generated_kernel_module(model), values, 64)
    x, left, spikes = np.array([0.0, 0.0, 1.0]), 0, 0
    for k in range(400):
        x = (rests if left else free) @ x
        spiked = x[0] >= 5.0 and not left
        left = 30 if spiked else max(0, left - 1)
        x[0] = 2.0 if spiked else x[0]
        spikes += spiked
        assert (one.step(k).size > 0) == spiked
        assert one.states["V_m"][0] == pytest.approx(x[0], rel=1e-12)
        assert one.states["w"][0] == pytest.approx(x[1], rel=1e-12)
    assert spikes >= 5


# Hodgkin & Huxley (1952), J Physiol 117:500, potentials as they are written today: nothing
# is reset, and a spike is over the threshold for about a millisecond.
HODGKIN_HUXLEY = NeuronModel(
    """
        I_Na = g_Na*m**3*h*(V_m - E_Na) : pA
        I_K = g_K*n**4*(V_m - E_K) : pA
        dV_m/dt = (-I_Na - I_K - g_L*(V_m - E_L) + I_e)/C_m : mV
        V = V_m/mV : 1
        dm/dt = ((1 - m)/exprel(-(V + 40)/10) - 4*exp(-(V + 65)/18)*m)/ms : 1
        dh/dt = (0.07*exp(-(V + 65)/20)*(1 - h) - h/(1 + exp(-(V + 35)/10)))/ms : 1
        dn/dt = (0.1*(1 - n)/exprel(-(V + 55)/10) - 0.125*exp(-(V + 65)/80)*n)/ms : 1
    """,
    threshold="V_m >= 0*mV",
    refractory="t_ref",
    hold=(),
    parameters={
        "C_m": (100.0, "pF"),
        "g_Na": (12000.0, "nS"),
        "g_K": (3600.0, "nS"),
        "g_L": (30.0, "nS"),
        "E_Na": (50.0, "mV"),
        "E_K": (-77.0, "mV"),
        "E_L": (-54.4, "mV"),
        "I_e": (2000.0, "pA"),
        "t_ref": (0.0, "ms"),
    },
    initial={"V_m": -65.0, "m": 0.05, "h": 0.6, "n": 0.32},
    substeps=4,
)


def test_a_refractory_time_that_holds_nothing_only_suppresses_spikes() -> None:
    assert HODGKIN_HUXLEY.dynamics.held == {}
    assert replace(HODGKIN_HUXLEY, hold=None).dynamics.held == {"V_m": "t_ref"}
    values = {name: np.asarray(spec[0]) for name, spec in HODGKIN_HUXLEY.parameters.items()}
    values["t_ref"] = np.array([0.0, 3.0])
    cells = NeuronCall(generated_kernel_module(HODGKIN_HUXLEY), values, 2)
    for name, value in HODGKIN_HUXLEY.initial.items():
        cells.states[name][:2] = value
    above, spikes = [], []
    for step in range(10_000):
        spiked = cells.step(step)
        above += [step] if 0 in spiked else []
        spikes += [step] if 1 in spiked else []
        assert cells.states["V_m"][0] == cells.states["V_m"][1]
    # without a dead time each step over the threshold is a spike
    expected: list[int] = []
    for step in above:
        if not expected or step - expected[-1] > 30:
            expected.append(step)
    assert spikes == expected
    assert len(above) > 5 * len(spikes) > 400


def test_states_may_have_names_that_kernels_use_themselves() -> None:
    names = [
        "n",
        "i",
        "u",
        "h",
        "p",
        "flag",
        "real",
        "size",
        "current",
        "spiked",
        "table",
        "step",
        "ref",
        "more",
    ]
    equations = "\n".join(f"d{name}/dt = -k*{name}/ms : 1" for name in names)
    parameters = {"k": (1.0, "1"), "t_ref": (1.0, "ms")}
    model = NeuronModel(
        equations, threshold="n > 2", refractory="t_ref", hold="step", parameters=parameters
    )
    one = NeuronCall(generated_kernel_module(model), {"k": np.ones(()), "t_ref": np.ones(())}, 64)
    for start, name in enumerate(names):
        one.states[name][:] = start
    one.states["n"][3] = 3.0
    assert one.step(0).tolist() == [3]
    assert one.states["refractory"][3] == 10
    for start, name in enumerate(names):
        assert one.states[name][0] == pytest.approx(start * np.exp(-DT), rel=1e-14)


def test_functions_equal_numpy() -> None:
    model = NeuronModel(
        """
        e = erf(x)*erf(k + 0.3) : 1
        y = exp(-x) + exprel(x) + log(x + 3) - sqrt(abs(x)) + e + min(x, 1, 2*x) * max(x, -1) : 1
        z = clip(x, -0.5, 0.5)**3 + (x + 4)**1.7 + (x + 4)**-2 + (x + 4)**0.5 : 1
        q = where(x > 0 and not x >= 1 or x < -1.5, y, z) : 1
        dx/dt = (k - x)/ms : 1
        df/dt = (q - f)/ms : 1
        """,
        parameters={"k": (0.0, "1")},
        method="euler",
    )
    n = 256
    x = np.linspace(-2.0, 2.0, n)
    x[0] = 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        exprel = np.where(x == 0.0, 1.0, np.expm1(x) / x)
    y = np.exp(-x) + exprel + np.log(x + 3) - np.sqrt(np.abs(x))
    y += np.vectorize(math.erf)(x) * math.erf(0.3)
    y += np.minimum(np.minimum(x, 1), 2 * x) * np.maximum(x, -1)
    z = np.clip(x, -0.5, 0.5) ** 3 + (x + 4) ** 1.7 + (x + 4.0) ** -2 + np.sqrt(x + 4)
    q = np.where(((x > 0) & ~(x >= 1)) | (x < -1.5), y, z)
    for precision, rtol in (("float64", 1e-13), ("float32", 3e-6)):
        one = NeuronCall(
            generated_kernel_module(model), {"k": np.zeros(())}, n, precision=precision
        )
        one.states["x"][:] = x
        one.step(0)
        np.testing.assert_allclose(one.states["f"], DT * q, rtol=rtol)
        np.testing.assert_allclose(one.states["x"], 0.9 * x, rtol=rtol)


@pytest.mark.parametrize("n", sampled([6, 15, 30], 3))
def test_cascades_may_be_long(n: int) -> None:
    rows = [f"dx{k}/dt = (x{(k + 1) % n} - x{k})/tau : 1" for k in range(n)]
    spike = {"threshold": "x0 > 100", "reset": "x0 = 0"}
    model = NeuronModel("\n".join(rows), parameters={"tau": (10.0, "ms")}, **spike)
    one = NeuronCall(
        generated_kernel_module(model), {"tau": np.asarray(10.0)}, 64, precision="float64"
    )
    start = np.arange(n) % 7.0
    for k in range(n):
        one.states[f"x{k}"][:] = start[k]
    one.step(0)
    slopes = np.roll(np.eye(n), 1, axis=1) - np.eye(n)
    expected = expm(DT / 10.0 * slopes) @ start
    found = [one.states[f"x{k}"][0] for k in range(n)]
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_powers_of_negative_numbers_need_written_whole_ones() -> None:
    model = NeuronModel(
        "da/dt = x**17/ms : 1\ndb/dt = x**18/ms : 1\ndc/dt = x**k/ms : 1\ndx/dt = 0/ms : 1",
        parameters={"k": (0.0, "1")},
        method="euler",
    )
    x = np.tile([-2.0, -0.3, 0.0, 1.5], 16)
    for k, power in ((0.0, np.ones(64)), (3.0, np.where(x < 0.0, np.nan, x**3))):
        one = NeuronCall(
            generated_kernel_module(model), {"k": np.asarray(k)}, 64, precision="float64"
        )
        one.states["x"][:] = x
        one.step(0)
        np.testing.assert_allclose(one.states["a"], DT * x**17, rtol=1e-13)
        np.testing.assert_allclose(one.states["b"], DT * x**18, rtol=1e-13)
        np.testing.assert_allclose(one.states["c"], DT * power, rtol=1e-13)


@pytest.mark.parametrize("model", [ADEX, COBA, LIF], ids=lambda model: model.name)
def test_float32_kernels_compute_in_float32(model: NeuronModel) -> None:
    kernel = neuron_kernel(generated_kernel_module(model))
    real, states = np.float32(0.5), model.dynamics.states
    constants = [np.int32(1) if kind == "count" else real for kind in kernel.CONSTANTS.values()]
    for name, inputs in {"integrate": 0, "step": len(model.receptors)}.items():
        if name == "integrate" and model.substeps == 1:
            continue
        function = compiled(getattr(kernel, name))
        function(*[real] * len(states), np.int32(0), *[real] * (inputs + 1), *constants)
        found = {
            tuple(str(kind).removeprefix("Literal[").partition("]")[0] for kind in one.return_type)
            for one in function.nopython_signatures
            if str(one.args[0]) == "float32"
        }
        assert found == {(*["float32"] * len(states), "int32", "bool")}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", [LIF, COBA], ids=["lif", "coba"])
def test_silent_neurons_end_at_zero_not_on_denormals(model: NeuronModel, precision: str) -> None:
    values = given_values(model, None, 0) | {"I_e": np.zeros(())}
    one = NeuronCall(generated_kernel_module(model), values, 64, precision=precision)
    one.states["V_m"][:] = 3.0
    for row in one.rows.values():
        row[:] = 1
    least = np.finfo(precision).tiny
    for k in range(20_000):
        one.step(k)
        if k % 100 == 0:
            for name in model.dynamics.states:
                values = np.abs(one.states[name])
                assert np.all((values == 0.0) | (values >= least)), (name, k)
    assert not any(one.states[name].any() for name in model.dynamics.states)


@pytest.mark.ci
def test_the_text_is_the_same_in_every_process() -> None:
    code = (
        "from own_models import *; from distsnn.codegen.equations import kernel_text; "
        "print(*map(kernel_text, (LIF, ADEX, IZHIKEVICH, COBA)), sep='', end='')"
    )
    own = "".join(map(kernel_text, (LIF, ADEX, IZHIKEVICH, COBA)))
    for seed in ("1", "2"):
        paths = {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        made = subprocess.run([sys.executable, "-c", code], env=os.environ | paths, **PIPED)
        assert made.stdout == own


def test_a_number_beyond_float64_is_an_error() -> None:
    model = NeuronModel("dx/dt = 1e300*x*y*1e300/ms : 1\ndy/dt = -y/ms : 1", method="euler")
    with pytest.raises(DescriptionError, match="too large"):
        kernel_text(model)
