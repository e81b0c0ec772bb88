"""Rules of plasticity against closed forms, which know no traces: sums over pairs of spikes."""

from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from campaigns import sampled
from kernel_calls import compiled
from rule_events import followed, levels, weights
from scipy.integrate import quad

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
DT, UNBOUNDED = 0.1, {"w_max": np.inf}
START = 50.0


def rule(name: str) -> ModuleType:
    return import_module(f"distsnn.kernels.plasticity.{name}")


PAIRS = {"tau_plus": 17.0, "tau_minus": 34.0, "w_max": 100.0}
ADDITIVE = {"learning_rate": 0.01, "alpha": 0.6, "mu_plus": 0.0, "mu_minus": 0.0, **PAIRS}
GIVEN: dict[str, dict[str, float | str]] = {
    "stdp_synapse": ADDITIVE,
    "stdp_nn_symm_synapse": ADDITIVE,
    "stdp_nn_restr_synapse": ADDITIVE,
    "stdp_nn_pre_centered_synapse": ADDITIVE,
    "stdp_pl_synapse_hom": {**PAIRS, "learning_rate": 0.1, "alpha": 0.2, "mu": 0.4},
    "stdp_triplet_synapse": {
        **PAIRS,
        **{"tau_plus_triplet": 101.0, "tau_minus_triplet": 125.0, "Aplus": 0.03},
        **{"Aminus": 0.15, "Aplus_triplet": 0.06, "Aminus_triplet": 0.012},
    },
    "vogels_sprekeler_synapse": {"tau": 20.0, "alpha": 0.7, "eta": 0.3, "w_max": 100.0},
    "stdp_dopamine_synapse": {
        **PAIRS,
        **{
            "A_plus": 0.5,
            "A_minus": 0.7,
            "tau_c": 300.0,
            "tau_n": 80.0,
            "b": 0.002,
            "modulator": "dopamine",
        },
    },
    "jonke_synapse": {
        **{**PAIRS, "learning_rate": 0.4, "alpha": 0.7, "beta": 0.1},
        **{"mu_plus": -0.01, "mu_minus": 0.01},
    },
    "oja_synapse": {**PAIRS, "eta": 0.02, "alpha": 0.03},
    "bcm_synapse": {**PAIRS, "tau_theta": 900.0, "eta": 0.05, "rate_0": 20.0},
    "contrastive_synapse": {"tau": 20.0, "eta": 0.2, "w_max": 100.0},
    "diehl_cook_synapse": {
        **{"tau_plus": 17.0, "learning_rate": 0.02, "x_target": 0.3, "mu": 0.2, "w_max": 100.0}
    },
}


def changed(name: str, pre: Any, post: Any, *, delay: int = 0, **more: Any) -> float:
    """Return by how much the weight has changed after the last spike of the source."""
    options = {k: more.pop(k) for k in ("axonal", "modulators", "signal") if k in more}
    given = {**GIVEN[name], **more}
    found = weights(rule(name), given, pre, post, weight=START, dendritic=delay, **options)
    return float(found[-1] - START)


def spikes(seed: int, n: int = 60, end: int = 4000) -> tuple[Integers, Integers]:
    """Return trains of source and target, a fifth of which coincide."""
    draw = np.random.default_rng(seed)
    pre, post = (np.unique(draw.integers(1, end, n)) for _ in range(2))
    # the source's last spike comes last, and takes all that came before it
    return np.append(pre, end + 1), np.union1d(post, draw.choice(pre, n // 4))


def earlier(of: Integers, at: int, tau: float) -> float:
    """Return the sum over spikes before a step of exp(-(time since) / tau), tau in ms."""
    return float(np.exp(-(at - of[of < at]) * DT / tau).sum())


# --- one pair ---------------------------------------------------------------------------------

LATE = 120  # steps between the spikes of a pair
OF_PLUS, OF_MINUS = np.exp(-LATE * DT / 17.0), np.exp(-LATE * DT / 34.0)
OF_20 = np.exp(-LATE * DT / 20.0)
# the change by a source's spike before a target's, and by one after it
ONE_PAIR = {
    "stdp_synapse": (1.0 * OF_PLUS, -0.6 * OF_MINUS),
    "stdp_nn_restr_synapse": (1.0 * OF_PLUS, -0.6 * OF_MINUS),
    "stdp_nn_pre_centered_synapse": (1.0 * OF_PLUS, -0.6 * OF_MINUS),
    "stdp_pl_synapse_hom": (0.1 * START**0.4 * OF_PLUS, -0.2 * 0.1 * START * OF_MINUS),
    "stdp_triplet_synapse": (0.03 * OF_PLUS, -0.15 * OF_MINUS),
    # every spike of the source takes eta alpha: two of them do in the first case
    "vogels_sprekeler_synapse": (0.3 * OF_20 - 2 * 0.21, 0.3 * OF_20 - 0.21),
    "oja_synapse": (0.02 * OF_PLUS, 0.0),
    "contrastive_synapse": (0.2 * OF_20, 0.2 * OF_20),
}


@pytest.mark.parametrize("delays", [(0, 0), (1, 0), (40, 0), (25, 90)])
@pytest.mark.parametrize("name", ONE_PAIR)
def test_one_pair(name: str, delays: tuple[int, int]) -> None:
    dendritic, axonal = delays
    far = 10**7  # a last spike of the source: nothing is left of the traces, the weight is seen
    shown = {"delay": dendritic, "axonal": axonal}
    if name == "contrastive_synapse":
        shown["signal"] = [(0, 1.0)]
    before, after = ONE_PAIR[name]
    first = 1000 + dendritic - axonal  # together with a target's spike at 1000
    found = changed(name, [first - LATE, far], [1000], **shown)
    assert found == pytest.approx(before, rel=1e-12)
    found = changed(name, [first + LATE], [1000], **shown)
    assert found == pytest.approx(after, rel=1e-12)
    # coincident spikes do not pair
    alone = -0.21 if name == "vogels_sprekeler_synapse" else 0.0
    assert changed(name, [first], [1000], **shown) == pytest.approx(alone, rel=1e-12)


# --- trains -----------------------------------------------------------------------------------


def triplets(pre: Integers, post: Integers) -> float:
    """Pfister & Gerstner (2006), eqs 3 and 4, each sum over all earlier spikes."""
    up = sum(earlier(pre, t, 17.0) * (0.03 + 0.06 * earlier(post, t, 125.0)) for t in post)
    down = sum(earlier(post, t, 34.0) * (0.15 + 0.012 * earlier(pre, t, 101.0)) for t in pre)
    return up - down


def pairs(pre: Integers, post: Integers) -> float:
    up, down = (sum(earlier(a, t, tau) for t in b) for a, b, tau in _both(pre, post))
    return up - 0.6 * down


def _both(pre: Integers, post: Integers) -> list[tuple[Integers, Integers, float]]:
    return [(pre, post, 17.0), (post, pre, 34.0)]


def nearest(pre: Integers, post: Integers) -> float:
    up, down = (sum(earlier(a[a < t][-1:], t, tau) for t in b) for a, b, tau in _both(pre, post))
    return up - 0.6 * down


def presynaptic(pre: Integers, post: Integers) -> float:
    """Every spike of the source pairs with the next of the target's, and with the one before it."""
    up = sum(earlier(np.array([t]), post[post > t][0], 17.0) for t in pre if np.any(post > t))
    return up - 0.6 * sum(earlier(post[post < t][-1:], t, 34.0) for t in pre)


def restricted(pre: Integers, post: Integers) -> float:
    """A spike pairs if none of its own side came since the other's; together is not before."""
    total = 0.0
    for a, b, tau, size in ((pre, post, 17.0, 1.0), (post, pre, 34.0, -0.6)):
        last = -1
        for t in b:
            since = a[(a >= last) & (a < t)] if size > 0 else a[(a > last) & (a <= t)]
            if since.size:
                total += size * earlier(a[a < t][-1:], t, tau)
            last = t
    return total


def inhibitory(pre: Integers, post: Integers) -> float:
    pairings = sum(earlier(pre, t, 20.0) for t in post) + sum(earlier(post, t, 20.0) for t in pre)
    return 0.3 * (pairings - 0.7 * pre.size)


TRAINS = {
    "all pairs": ("stdp_synapse", pairs, {}),
    "nearest": ("stdp_nn_symm_synapse", nearest, {}),
    "restricted": ("stdp_nn_restr_synapse", restricted, {}),
    "presynaptic": ("stdp_nn_pre_centered_synapse", presynaptic, {}),
    "triplets": ("stdp_triplet_synapse", triplets, {}),
    "inhibitory": ("vogels_sprekeler_synapse", inhibitory, {}),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", TRAINS)
def test_trains_change_the_weight_by_the_sum_over_their_pairs(name: str, seed: int) -> None:
    model, expected, more = TRAINS[name]
    pre, post = spikes(seed)
    # no bound; where steps are shares of it, one that no train reaches, of which they are 1
    free = {"w_max": 1e4, "learning_rate": 1e-4} if "learning_rate" in GIVEN[model] else UNBOUNDED
    assert changed(model, pre, post, **free, **more) == pytest.approx(
        expected(pre, post), rel=1e-10
    )


def test_the_signal_is_that_of_the_later_spike() -> None:
    pre, post = spikes(5)
    signal = [(0, 1.0), (1500, 0.0), (2000, -1.0)]

    def at(step: int) -> float:
        return 1.0 if step <= 1500 else (0.0 if step <= 2000 else -1.0)

    expected = 0.2 * (
        sum(at(t) * earlier(pre, t, 20.0) for t in post)
        + sum(at(t) * earlier(post, t, 20.0) for t in pre)
    )
    found = changed("contrastive_synapse", pre, post, signal=signal)
    assert found == pytest.approx(expected, rel=1e-10)


# --- a third factor ---------------------------------------------------------------------------


def _eligible(pre: Integers, post: Integers, t: float) -> float:
    """Return the eligibility at a time in ms: a sum over pairings, each of which has decayed."""
    found = 0.0
    for times, others, size, tau in ((post, pre, 0.5, 17.0), (pre, post, -0.7, 34.0)):
        for one in times[times * DT <= t]:
            found += size * earlier(others, one, tau) * np.exp(-(t - one * DT) / 300.0)
    return found


@pytest.mark.parametrize("how", ["spikes", "signal"])
def test_eligibility_is_turned_into_weight_by_the_modulator(how: str) -> None:
    pre, post = spikes(7, n=8, end=3000)
    dopamine = np.array([400, 900, 900, 2100])
    if how == "spikes":
        given = {"modulators": dopamine}
        levels = dopamine

        def m(t: float) -> float:
            return sum(np.exp(-(t - d * DT) / 80.0) / 80.0 for d in dopamine if d * DT <= t)
    else:
        given = {"signal": [(400, 0.02), (2100, -0.01)], "modulator": ""}
        levels = np.array([400, 2100])

        def m(t: float) -> float:
            return 0.0 if t < 40.0 else (0.02 if t < 210.0 else -0.01)

    # piece by piece between all events, where the integrand is smooth
    edges = np.unique([0, *pre, *post, *levels]) * DT
    expected = sum(
        quad(lambda t: _eligible(pre, post, t) * (m(t) - 0.002), a, b - 1e-9, epsabs=1e-11)[0]
        for a, b in pairwise(edges)
    )
    assert abs(expected) > 0.1
    assert changed("stdp_dopamine_synapse", pre, post, **given) == pytest.approx(expected, rel=1e-6)


# --- rates ------------------------------------------------------------------------------------


def poisson(rate: float, steps: int, seed: int) -> Integers:
    return np.flatnonzero(np.random.default_rng(seed).random(steps) < rate * DT * 1e-3)


@pytest.mark.parametrize("rates", [(30.0, 20.0), (20.0, 60.0)])
def test_oja_ends_where_rate_equation_does(rates: tuple[float, float]) -> None:
    """eta post (tau_plus pre - alpha tau_minus post w) = 0, a step apart from spikes of its own."""
    steps = 1_500_000
    pre, post = (poisson(rate, steps, seed) for rate, seed in zip(rates, (1, 2), strict=True))
    given = GIVEN["oja_synapse"] | UNBOUNDED | {"eta": 0.3}
    found = weights(rule("oja_synapse"), given, pre, post, weight=20.0, dendritic=1)
    expected = 17.0 * rates[0] / (0.03 * 34.0 * rates[1])
    assert found[found.size // 3 :].mean() == pytest.approx(expected, rel=0.05)


def test_bcm_changes_sign_at_its_rate() -> None:
    """dw/dt = eta tau_plus tau_minus pre post (post - post²/rate_0), rates per ms."""
    steps, drift = 1_500_000, {}
    for rate in (8.0, 20.0, 40.0):
        pre, post = poisson(30.0, steps, 4), poisson(rate, steps, 5)
        found = weights(
            rule("bcm_synapse"),
            GIVEN["bcm_synapse"] | UNBOUNDED | {"eta": 1e-3},
            *(pre, post),
            weight=1000.0,
            dendritic=1,
        )
        half = found.size // 10  # by then the threshold has settled
        seconds = (pre[-1] - pre[half]) * DT
        drift[rate] = (found[-1] - found[half]) / seconds
    expected = {
        rate: 1e-3 * 17.0 * 34.0 * 0.03 * rate * 1e-3 * (rate - rate**2 / 20.0) * 1e-3
        for rate in drift
    }
    for rate in (8.0, 40.0):
        assert drift[rate] == pytest.approx(expected[rate], rel=0.15)
    assert abs(drift[20.0]) < 0.1 * abs(expected[40.0])


# --- bounds and precision ---------------------------------------------------------------------


@pytest.mark.parametrize("lower", [0.0, 30.0])
@pytest.mark.parametrize("name", GIVEN)
def test_weights_stop_at_their_bounds(name: str, lower: float) -> None:
    pre, post = spikes(9, n=300)
    steps = ("eta", "learning_rate", "x_target")
    loud = {
        key: 1000.0 * value if key in steps or key.startswith("A") else value
        for key, value in GIVEN[name].items()
    }
    more = {"signal": [(0, 1.0), (2000, -1.0)]} if hasattr(rule(name), "MODULATED") else {}
    loud["w_min"] = lower
    found = weights(rule(name), loud, pre, post, weight=START, dendritic=3, **more)
    assert found.min() == lower
    assert found.max() <= 100.0


@pytest.mark.parametrize("name", [name for name in GIVEN if "stdp_pl" not in name])
def test_the_lower_bound_moves_rules_that_know_only_shares(name: str) -> None:
    """A range that is moved moves the weight with it, where no step depends on w itself."""
    pre, post = spikes(10)
    more = {"signal": [(0, 0.02)]} if hasattr(rule(name), "MODULATED") else {}
    given = {**GIVEN[name], "mu_plus": 0.3, "mu_minus": 0.2}
    if name == "oja_synapse":
        given["alpha"] = 0.0
    if name == "jonke_synapse":
        given |= {"mu_plus": 0.0, "mu_minus": 0.0}
    at_zero, moved = (
        weights(
            rule(name),
            {**given, "w_min": least, "w_max": least + 100.0},
            *(pre, post),
            weight=least + START,
            dendritic=3,
            **more,
        )
        for least in (0.0, 40.0)
    )
    assert np.ptp(at_zero) > 0.1
    np.testing.assert_allclose(moved - 40.0, at_zero, rtol=1e-10)


@pytest.mark.parametrize("name", sampled(GIVEN, 6))
def test_single_precision_stays_single(name: str) -> None:
    """A literal that makes float32 a float64 would round elsewhere than what is stored."""
    module = rule(name)
    real = np.float32(0.3)
    modulator = [real] * getattr(module, "MODULATED", False)
    constants = [real] * len(module.CONSTANTS)
    states, source, target = (
        [real] * len(names) for names in (module.STATES, module.SOURCE, module.TARGET)
    )
    calls = {
        "on_post": [real, *states, *source, *target, *modulator, *constants],
        "on_pre": [real, *states, *source, *target, *modulator, *constants],
    }
    for function, traces in (("source_spike", source), ("target_spike", target)):
        if traces:
            calls[function] = [*traces, *constants]
    if hasattr(module, "between"):
        calls["between"] = [real, *states, real, real, *constants]
        calls["modulator_spike"] = [real, *constants]
    for function, arguments in calls.items():
        called = compiled(getattr(module, function))
        called(*arguments)
        (signature,) = called.nopython_signatures
        assert {str(kind) for kind in signature.return_type} == {"float32"}, function


# --- the target's potential -------------------------------------------------------------------

VOLTAGE = {
    **{"tau_x": 15.0, "A_LTP": 8e-4, "A_LTD": 2e-3, "theta_plus": -45.3, "theta_minus": -70.6},
    **{"A_LTD_const": 1.0, "u_ref_squared": 60.0, "w_min": 0.0, "w_max": 1e6},
}
LATE_STEPS, N_STEPS = 50, 4000


def course(seed: int) -> dict[str, Floats]:
    """Return a potential, and averages, which are above their thresholds now and then."""
    draw = np.random.default_rng(seed)
    slow = np.repeat(draw.uniform(-90.0, -20.0, (4, N_STEPS // 25 + 1)), 25, axis=1)
    names = rule("clopath_synapse").WATCHED
    return dict(zip(names, slow[:, : N_STEPS + 1], strict=True))


def by_integral(pre: Integers, states: dict[str, Floats], dendritic: int, const: bool) -> float:
    """Return what Clopath et al. (2010), eqs 1 to 3, add up to, without bounds."""

    def above(name: str, step: int, theta: float) -> float:
        return max(float(states[name][max(step, 0)]) - theta, 0.0)

    total = 0.0
    for step in range(1, int(pre[-1]) - dendritic + 1):
        both = above("V_m", step, -45.3) * above("u_bar_plus", step - LATE_STEPS, -70.6)
        total += 8e-4 * DT / 15.0 * both * earlier(pre, step + dendritic, 15.0) if both else 0.0
    for step in pre - dendritic:
        if step > 0:
            of_bar = 1.0 if const else float(states["u_bar_bar"][step]) ** 2 / 60.0
            total -= 2e-3 * of_bar * above("u_bar_minus", step - LATE_STEPS, -70.6)
    return total


@pytest.mark.parametrize("dendritic", [1, 33])
@pytest.mark.parametrize("const", [True, False])
def test_potentials_change_the_weight_by_the_sum_over_steps(dendritic: int, const: bool) -> None:
    states, pre = course(7), spikes(8)[0][:-1]
    clopath, given = rule("clopath_synapse"), {**VOLTAGE, "A_LTD_const": float(const)}
    both = levels(clopath, given, states, LATE_STEPS)
    found = followed(clopath, given, pre, *both, weight=1000.0, dendritic=dendritic)
    expected = by_integral(pre, states, dendritic, const)
    assert abs(expected) > 1.0
    assert found[-1] - 1000.0 == pytest.approx(expected, rel=1e-10)
    ups, downs = (np.sum(np.sign(np.diff(found)) == sign) for sign in (1, -1))
    assert min(ups, downs) > 5


def test_potentials_move_the_weight_between_its_bounds() -> None:
    states, pre = course(9), spikes(10)[0][:-1]
    clopath, given = rule("clopath_synapse"), {**VOLTAGE, "w_min": 50.1, "w_max": 50.4}
    both = levels(clopath, given, states, LATE_STEPS)
    found = followed(clopath, given, pre, *both, weight=START, dendritic=5)
    # it begins below the lower one, as in NEST it may
    assert (found.min(), found.max()) == (50.1, 50.4)
    assert np.mean((found > 50.1) & (found < 50.4)) > 0.3
