"""In which type plastic weights are kept, chosen from the steps of learning."""

import numpy as np
import pytest
from own_rules import PAIR, REWARDED, TRIPLET

from distsnn.network import (
    BCM,
    STDP,
    AllToAll,
    ClopathSTDP,
    ContrastiveSTDP,
    DiehlCookSTDP,
    DopamineSTDP,
    JonkeSTDP,
    Lognormal,
    Normal,
    Oja,
    PlasticityModel,
    PlasticSynapse,
    Projection,
    STDPPowerLaw,
    TripletSTDP,
    Tsodyks,
    VogelsSTDP,
)
from distsnn.network.plastic_synapse import small

SMALL = {
    STDP: {"learning_rate": 1e-7},
    STDPPowerLaw: {"learning_rate": 1e-7},
    TripletSTDP: {"Aminus": 1e-6, "Aminus_triplet": 0.0},
    VogelsSTDP: {"eta": 1e-6},
    JonkeSTDP: {"learning_rate": 1e-6},
    DopamineSTDP: {"A_minus": 1e-3},
    Oja: {"eta": 1e-5},
    BCM: {"eta": 1e-5},
    ContrastiveSTDP: {"eta": -1e-5},
    DiehlCookSTDP: {"learning_rate": 1e-7},
    ClopathSTDP: {"w_max": 30.0, "A_LTP": 1e-6},
}


@pytest.mark.parametrize("rule", SMALL, ids=lambda one: one.__name__)
def test_small_steps_take_float64(rule: type[PlasticSynapse]) -> None:
    ordinary = {"w_max": 30.0} if rule is ClopathSTDP else {}
    assert rule(**ordinary).weight_type(45.0) == "float32"
    assert rule(**SMALL[rule]).weight_type(45.0) == "float64"
    assert rule(**SMALL[rule], precision="float32").weight_type(45.0) == "float32"
    assert rule(**ordinary, precision="float64").weight_type(45.0) == "float64"


def test_equations_have_the_steps_of_the_rules_that_they_write() -> None:
    # a trace has decayed by exp(-10/20) between two spikes, and has 1 to 3 of them
    step = 0.5 * 0.01 * 100.0
    for found in PAIR(w_max=100.0).steps(50.0):
        assert np.exp(-0.5) * step < found < 3.0 * step
    assert PAIR().weight_type(None) == "float32"
    assert PAIR(learning_rate=1e-8).weight_type(None) == "float64"
    assert TRIPLET().weight_type(None) == "float32"
    # the signal is 1; tags are left of two pairings, 10 ms and 30 ms before
    x = np.exp(-0.5)
    tag = (x * np.exp(-0.04) + (x + np.exp(-1.5))) * np.exp(-0.02)
    assert REWARDED().steps(50.0) == [pytest.approx(tag), 0.0]


def test_equations_that_change_nothing_take_float64() -> None:
    never = PlasticityModel(
        traces="dx/dt = -x/tau : 1 (pre)",
        on_pre="x += 1",
        on_post="w = where(x > 100, w + a*x, w)",
        parameters={"tau": (20.0, "ms"), "a": (1.0, "pA")},
    )
    assert never().weight_type(None) == "float64"
    undefined = PlasticityModel(
        on_pre="w = w + a*log(b)", parameters={"a": (1.0, "pA"), "b": (0.0, "1")}
    )
    assert undefined().weight_type(None) == "float64"


def test_weights_that_stay_need_no_steps_that_float32_resolves() -> None:
    assert Tsodyks().weight_type(None) == "float32"
    assert Tsodyks(precision="float64").weight_type(45.0) == "float64"
    # random numbers count by their means, and states begin where they relax to
    rule = PlasticityModel(
        "dx/dt = (1 - x)/tau : 1 (synapse)",
        on_pre="w += step*x*binomial(4, uniform()); x = 0",
        transmit="w*x",
        parameters={"step": (1.0, "pA"), "tau": (10.0, "ms", ">= 0")},
    )
    assert rule.synapse().weight_type(None) == "float32"
    assert list(rule(step=1e-7, tau=0.0).steps(50.0)) == pytest.approx([2e-7, 0.0])


def test_small_values_among_many_count() -> None:
    assert STDP(learning_rate=np.full(100, 1e-3)).weight_type(None) == "float32"
    rates = np.where(np.arange(100) < 10, 1e-9, 1e-3)
    assert STDP(learning_rate=rates).weight_type(None) == "float64"
    assert STDP(learning_rate=Lognormal(-5.0, 0.5)).weight_type(None) == "float32"
    assert STDP(learning_rate=Lognormal(-5.0, 5.0)).weight_type(None) == "float64"


def test_weights_without_a_bound_count_by_the_first() -> None:
    def kept(weight: float | None) -> str:
        rule = STDPPowerLaw(learning_rate=1e-3)
        return Projection("A", "B", AllToAll(), weight, 1.0, synapse=rule).weight_type

    assert [kept(45.0), kept(1e9)] == ["float32", "float64"]
    assert STDPPowerLaw().weight_type(None) == "float64"
    assert Projection("A", "B", AllToAll(), 1.0, 1.0).weight_type == ""


def test_the_type_is_chosen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    projection = Projection("A", "B", AllToAll(), 1.0, 1.0, synapse=PAIR())
    assert projection.weight_type == "float32"
    monkeypatch.setattr(PlasticSynapse, "weight_type", None)
    assert projection.weight_type == "float32"


def test_weights_that_begin_at_zero_without_a_bound_take_float64() -> None:
    # as of inhibition that is learnt: nothing says how far they grow
    for weight in (0.0, np.zeros(4)):
        assert VogelsSTDP(w_max=float("inf")).weight_type(weight) == "float64"


def test_a_distribution_of_both_signs_counts_by_its_small_magnitudes() -> None:
    magnitudes = np.abs(np.random.default_rng(1).normal(0.0, 1.0, 100_000))
    assert small(Normal(0.0, 1.0)) == pytest.approx(np.quantile(magnitudes, 0.05), rel=0.5)
    assert small(Normal(5.0, 1.0)) == pytest.approx(5.0 - 1.645, rel=0.01)


def test_weights_that_change_between_spikes_take_float64() -> None:
    model = PlasticityModel(
        "dw/dt = -r : pA (synapse)",
        on_pre="w = clip(w + A, w_min, w_max)",
        parameters={"r": (1e-7, "pA/ms"), "A": (0.1, "pA")},
    )
    assert model(w_max=200.0).weight_type(100.0) == "float64"
    assert model(w_max=200.0, precision="float32").weight_type(100.0) == "float32"
