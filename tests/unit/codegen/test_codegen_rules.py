"""Kernels of rules of plasticity made from equations against the same arithmetic in numpy."""

import math
from typing import Any

import numpy as np
import pytest
from kernel_calls import compiled
from numba import types
from own_rules import PAIR, REWARDED, TAGGED, TRIPLET

from distsnn.codegen.generated import generated_rule_module
from distsnn.codegen.plasticity import rule_kernel
from distsnn.codegen.plasticity_rules import rule_module_text
from distsnn.network import PlasticityModel

DT = 0.1


class Rule:
    """A rule's kernel with the constants of given parameters."""

    def __init__(self, model: PlasticityModel, precision: str = "float64", **values: Any) -> None:
        self.kernel: Any = rule_kernel(generated_rule_module(model))
        synapse = model(**values)
        names = [*synapse.parameters(), "w_max", "w_min"]
        given: dict[str, Any] = {
            name: np.asarray(getattr(synapse, name), np.float64) for name in names
        }
        given["modulator"] = getattr(synapse, "modulator", "")
        self.real = np.dtype(precision).type
        self.constants = self.kernel.constants(given, DT)
        assert list(self.constants) == list(self.kernel.CONSTANTS)

    def __call__(self, function: str, *variables: float) -> tuple[float, ...]:
        """Return what a function makes of variables."""
        arguments = [self.real(one) for one in (*variables, *self.constants.values())]
        called = compiled(getattr(self.kernel, function))
        found: tuple[float, ...] = called(*arguments)
        kinds = {one.return_type.dtype for one in called.nopython_signatures}
        assert kinds <= {types.float32, types.float64}
        assert getattr(types, self.real.__name__) in kinds
        return found


def test_what_a_rule_declares() -> None:
    rule = Rule(TAGGED)
    assert (rule.kernel.SOURCE, rule.kernel.TARGET) == (("x",), ("y",))
    assert rule.kernel.STATES == ("tag", "pairs")
    # in steps, whatever the unit; what has no decay is not among them
    taus = {name: float(rule.constants[one]) for name, one in rule.kernel.DECAYS.items()}
    assert taus == pytest.approx({"x": 200.0, "y": 200.0, "tag": 1500.0})
    # time constants of traces belong to neurons
    assert TAGGED.rule.per_synapse == ("A", "B", "most", "rate", "tau_tag", "w_max", "w_min")
    optional = ("INITIAL", "TRANSMITS", "DRAWS", "ON_POST", "between")
    assert not any(hasattr(rule.kernel, name) for name in optional)


def test_the_text_depends_on_the_rule_alone() -> None:
    assert generated_rule_module(PAIR(tau_plus=3.0).model) == generated_rule_module(PAIR)
    assert rule_module_text(PAIR) != rule_module_text(TRIPLET)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_statements_are_done_in_their_order(precision: str) -> None:
    rule, tolerance = Rule(TAGGED, precision, w_max=2.0), 1e-6 if precision == "float32" else 1e-14
    # w, tag, pairs, x, y
    near = {"rel": tolerance}
    step = 0.9 * 0.4 / (1.0 + 25.0 / 30.0)
    expected = (1.0 + step, -0.05 * 2.0, 5.0)
    assert rule("on_pre", 1.0, 0.4, 5.0, 1.5, 2.0) == pytest.approx(expected, **near)
    # the trace of the source is what it was before its own spike, as the statement comes first
    expected = (2.0, 1.0, 5.0)
    assert rule("on_pre", 1.9, 2.0, 5.0, 2.0, 2.0) == pytest.approx(expected, **near)
    assert rule("on_pre", 1.0, 0.4, 30.0, 1.5, 2.0)[1] == pytest.approx(0.2, **near)
    expected = (1.0, 0.4 + 0.04 * math.sqrt(1.5), 6.0)
    assert rule("on_post", 1.0, 0.4, 5.0, 1.5, 2.0) == pytest.approx(expected, **near)
    assert rule("source_spike", 1.5) == (2.5,)
    assert rule("source_spike", 2.5) == (3.0,)
    assert rule("target_spike", 0.3) == (1.0,)


def test_an_own_trace_is_seen_as_statements_before_left_it() -> None:
    traces = "dx/dt = -x/tau : 1 (pre)\ndy/dt = -y/tau : 1 (post)"
    late, early = (
        PlasticityModel(traces, on_pre=text, parameters={"tau": (10.0, "ms")}, weight_unit="1")
        for text in ("w = w + x; x += 1", "x += 1; w = w + x")
    )
    assert Rule(late)("on_pre", 1.0, 0.5, 0.0) == (1.5,)
    assert Rule(early)("on_pre", 1.0, 0.5, 0.0) == (2.5,)
    assert Rule(early)("on_post", 1.0, 0.5, 0.0) == (1.0,)


def test_values_keep_their_units_and_are_converted_inside() -> None:
    model = PlasticityModel(
        traces="dc/dt = -c/tau : V (synapse)\nd = c*g : uA",
        on_pre="w -= d + 2*pA*k**2.5; c *= 2",
        on_post="c += u/k**-2; w = min(w, w_max/2)",
        parameters={"tau": (1.0, "s"), "g": (3.0, "uS"), "u": (5.0, "uV"), "k": (4.0, "1")},
        weight_unit="nA",
    )
    rule = Rule(model, w_max=6.0)
    assert rule("on_pre", 5.0, 0.001) == pytest.approx((5.0 - 3.0 - 0.064, 0.002), rel=1e-14)
    assert rule("on_post", 5.0, 0.001) == pytest.approx((3.0, 0.001 + 8e-5), rel=1e-14)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_all_functions(precision: str) -> None:
    model = PlasticityModel(
        traces="dc/dt = 0 : 1 (synapse)",
        on_pre="""
            e = exprel(c)*min(c, a, w) + erf(c)/erf(a)
            w = a*exp(c) + log(c)*sqrt(c) - abs(-c)/max(c, 2, 3) + e
        """,
        on_post="w = where(not (c >= a or c <= 1), clip(c, 1, 2)**a, -(c**3)) + 1/c**2 + log(a)",
        parameters={"a": (1.7, "1")},
        weight_unit="1",
    )
    rule, tolerance = Rule(model, precision), 2e-6 if precision == "float32" else 1e-13
    c, a = 1.5, 1.7
    pre = a * math.exp(c) + math.log(c) * math.sqrt(c) - c / 3.0 + math.expm1(c) / c * 0.5
    pre += math.erf(c) / math.erf(a)
    assert rule("on_pre", 0.5, c)[0] == pytest.approx(pre, rel=tolerance)
    post = c**a + 1.0 / c**2 + math.log(a)
    assert rule("on_post", 0.5, c)[0] == pytest.approx(post, rel=tolerance)
    post = -8.0 + 0.25 + math.log(a)
    assert rule("on_post", 0.5, 2.0)[0] == pytest.approx(post, rel=tolerance)
    # weights at or a rounding error beyond their bounds, and exponents of 0, are no failures
    power = PlasticityModel(on_pre="w = w**a", parameters={"a": (0.5, "1")}, weight_unit="1")
    assert Rule(power, precision)("on_pre", -1e-9) == (0.0,)
    assert Rule(power, precision, a=0.0)("on_pre", 0.0) == (1.0,)
    assert Rule(power, precision, a=1.0)("on_pre", 0.3) == (rule.real(0.3),)


RELEASING = PlasticityModel(
    traces="""
        dv/dt = (V + k*u - 2*u*k/3 - v)/tau_v : V (synapse)
        du/dt = -u/tau_u : mV (synapse)
    """,
    on_pre="""
        sites = binomial(7, uniform()/2) + normal() + poisson(u/mV)
        w += step
        u += step*R
    """,
    transmit="w*sites",
    parameters={
        **{"V": (30.0, "mV"), "k": (6.0, "1"), "R": (2.0, "GOhm"), "step": (0.5, "pA")},
        **{"tau_v": (20.0, "ms", ">= 0"), "tau_u": (4.0, "ms", "> 0")},
    },
    name="releasing",
)


def test_transmitted_value_uses_new_weight_and_states() -> None:
    rule = Rule(RELEASING)
    assert (rule.kernel.DRAWS, rule.kernel.TRANSMITS, rule.kernel.ON_POST) == (4, True, False)
    assert set(RELEASING.rule.per_synapse) == {*RELEASING.parameters, "w_max", "w_min"}
    on_pre = compiled(rule.kernel.on_pre)
    bits = [np.uint64(one << 40) for one in (2**23, 2**22 + 17, 31, 99)]
    found = {
        learns: on_pre(1.0, 0.3, 2.0, learns, *bits, *rule.constants.values())
        for learns in (True, False)
    }
    assert found[True][:3] == (1.5, 0.3, 3.0)
    # without learning the weight stays, and is what acts
    assert found[False][:3] == (1.0, 0.3, 3.0)
    assert found[True][3] / 1.5 == pytest.approx(found[False][3], rel=1e-14)
    # the words are those of the places in the text, in their order of evaluation
    other = on_pre(
        1.0, 0.3, 2.0, True, *bits[:2], np.uint64(5 << 50), bits[3], *rule.constants.values()
    )
    assert other[3] != found[True][3]


@pytest.mark.parametrize(("tau_v", "tau_u"), [(20.0, 4.0), (4.0, 20.0), (9.0, 9.0), (0.0, 4.0)])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_states_relax_to_others_between_spikes(tau_v: float, tau_u: float, precision: str) -> None:
    rule = Rule(RELEASING, precision, tau_v=tau_v, tau_u=tau_u)
    assert float(rule.constants[rule.kernel.INITIAL["v"]]) == pytest.approx(0.03)
    v, u, n = 0.05, 2.0, 37
    # by many small steps: v in V, u in mV
    expected, fine = v, 20_000
    t = (np.arange(fine) + 0.5) * n * DT / fine
    to = 0.03 + 1e-3 * 2.0 * u * np.exp(-t / tau_u)
    end = n * DT
    if tau_v:
        weight = np.exp(-(end - t) / tau_v) / tau_v * end / fine
        expected = v * math.exp(-end / tau_v) + float(to @ weight)
    else:
        expected = 0.03 + 1e-3 * 2.0 * u * math.exp(-end / tau_u)
    found = rule("between", 1.0, v, u, n)
    tolerance = 2e-6 if precision == "float32" else 1e-8
    assert found == pytest.approx((1.0, expected, u * math.exp(-end / tau_u)), rel=tolerance)
    # no time, no change, and none from rest
    assert rule("between", 1.0, v, u, 0) == pytest.approx((1.0, v, u), rel=tolerance)
    assert rule("between", 1.0, 0.03, 0.0, 1000)[1] == pytest.approx(0.03, rel=1e-7)


def test_values_of_the_target_keep_their_units() -> None:
    model = PlasticityModel(
        """
        dx/dt = -x/tau : 1 (pre)
        far = (V_m_post - theta)*dt/tau : V (post)
        low = delayed(u_post, late)/2 : 1 (post)
        """,
        on_pre="w -= A*low; x += 1",
        on_step="w += A*x*far/mV",
        target={"u": "1", "V_m": "mV", "unused": "pA"},
        parameters={"tau": (10.0, "ms"), "theta": (-50.0, "mV"), "A": (1.0, "pA")}
        | {"late": (3.0, "ms")},
    )
    rule = Rule(model)
    assert (rule.kernel.WATCHED, rule.kernel.LATE, rule.kernel.TARGET) == (("V_m", "u"), ("u",), ())
    # V_m, u; w, x, and 40 mV
    assert rule("watch", -10.0, 3.0) == pytest.approx((0.0004, 1.5), rel=1e-14)
    assert rule("on_post", 1.0, 2.0, 0.04) == pytest.approx((81.0,), rel=1e-14)
    assert rule("on_pre", 1.0, 2.0, 1.5) == (-0.5,)


def test_a_modulator_comes_after_traces() -> None:
    signal, rule = Rule(REWARDED), Rule(REWARDED, w_max=9.0, modulator="E")
    assert np.isinf(signal.constants[rule.kernel.DECAYS["m"]])  # which stays as it is set
    assert rule.kernel.MODULATED
    assert not Rule(PAIR).kernel.MODULATED
    assert float(rule.constants[rule.kernel.DECAYS["m"]]) == 1000.0
    # w, tag, x, reward
    assert rule("on_pre", 1.0, 0.5, 2.0, 3.0) == (2.5, 0.5)
    assert rule("on_post", 1.0, 0.5, 2.0, 3.0) == (1.0, 2.5)
    assert rule("modulator_spike", 0.5) == (1.5,)
