"""e-prop's rules, step by step, beside their definition: nothing is compiled."""

import numpy as np
import pytest
from rule_events import Synapse, plain

from distsnn.errors import DescriptionError
from distsnn.kernels.plasticity import eprop_synapse, eprop_synapse_to_readout
from distsnn.network import Eprop, EpropIaf, EpropToReadout, eprop_iaf

N, START = 300, 3.0


def taken(rule, model, spikes, levels, axonal, dt):
    """Return the weight after each step at the synapse; dendritic delays are one step."""
    fields = [*model.parameters(), "w_max", "w_min"]
    parameters = {name: float(getattr(model, name)) for name in fields}
    constants = {name: float(x) for name, x in rule.constants(parameters, dt).items()}
    synapse, found = Synapse(rule, START, constants), []
    for now in range(1, N):
        synapse.advance(now)
        traces = [synapse.traces[name] for name in rule.SOURCE]
        acts = [values[now - 1] for values in levels]
        known = [synapse.weight, *synapse.states, *traces, *acts]
        synapse.become(*plain(rule.on_post)(*known, *synapse.values()))
        if now - axonal in spikes:
            synapse.count(rule.SOURCE, rule.source_spike)
        found.append(synapse.weight)
    return np.array(found)


def filtered(spikes, delay, tau, dt):
    """Return the spikes, each counted as 1 from the step in which it acts."""
    z = np.zeros(N)
    for step in range(1, N):
        z[step] = np.exp(-dt / tau) * z[step - 1] + float(step - delay in spikes)
    return z


def late(values, steps):
    """Return values as they were some steps before."""
    return np.concatenate([np.zeros(steps), values[: N - steps]])


# three successive spikes, pairs, and single ones
SPIKES = {3, 4, 5, 20, 21, 60, 62, 110, 150, 151, 152, 153 + 40, 230}


@pytest.mark.parametrize(("dt", "late_steps", "axonal"), [(1.0, 2, 0), (0.1, 4, 2), (0.5, 0, 1)])
def test_weights_follow_gradients(dt: float, late_steps: int, axonal: int) -> None:
    random = np.random.default_rng(1)
    psi, rate = random.uniform(0.0, 0.3, N), random.uniform(0.0, 60.0, N)
    signal = random.normal(0.0, 5.0, N)
    model = Eprop(
        **{"tau_m": 12.0, "tau_e": 9.0, "tau_reg": 14.0, "eta": 3e-3, "c_reg": 0.05},
        **{"f_target": 25.0, "signal_delay": late_steps * dt, "w_max": 3.3, "w_min": 2.8},
    )
    levels = [late(psi, late_steps), signal, late(0.05 * (rate - 25.0), late_steps)]
    found = taken(eprop_synapse, model, SPIKES, levels, axonal, dt)
    z = late(filtered(SPIKES, axonal + 1, 12.0, dt), late_steps)
    kappa, kappa_reg = np.exp(-dt / 9.0), np.exp(-dt / 14.0)
    w, e, r, expected = START, 0.0, 0.0, []
    for step in range(N - 1):
        e = kappa * e + levels[0][step] * z[step]
        r = kappa_reg * r + (1.0 - kappa_reg) * levels[0][step] * z[step]
        w = np.clip(w - 3e-3 * (signal[step] * e + levels[2][step] * r), 2.8, 3.3)
        expected.append(w)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert {2.8, 3.3} <= {*np.round(expected, 12)}
    assert plain(eprop_synapse.watch)(
        35.0, -3.0, 0.2, *[float(x) for x in _constants(model, dt).values()]
    ) == pytest.approx((0.2, -3.0, 0.05 * 10.0, 0.0))


def _constants(model, dt):
    fields = [*model.parameters(), "w_max", "w_min"]
    return eprop_synapse.constants({name: float(getattr(model, name)) for name in fields}, dt)


@pytest.mark.parametrize(("dt", "axonal"), [(1.0, 0), (0.1, 3)])
def test_weights_to_readouts_follow_errors(dt: float, axonal: int) -> None:
    error = np.random.default_rng(2).normal(0.0, 5.0, N)
    model = EpropToReadout(tau_m=15.0, eta=1e-3, w_max=3.02, w_min=2.99)
    found = taken(eprop_synapse_to_readout, model, SPIKES, [error], axonal, dt)
    z, w, expected = filtered(SPIKES, axonal + 1, 15.0, dt), START, []
    for step in range(N - 1):
        w = np.clip(w - 1e-3 * error[step] * z[step], 2.99, 3.02)
        expected.append(w)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert {2.99, 3.02} <= {*np.round(expected, 12)}


def test_surrogate_gradients_are_chosen_by_name() -> None:
    assert eprop_iaf(V_th=-50.0) == EpropIaf(V_th=-50.0)
    assert "exp(-distance)" in eprop_iaf("exponential").model.equations
    for name in ("fast_sigmoid_derivative", "arctan_derivative"):
        assert eprop_iaf(name, t_ref=1.0).t_ref == 1.0
    with pytest.raises(DescriptionError, match=r"unknown function 'exponentil'.*'exponential'"):
        eprop_iaf("exponentil")
    with pytest.raises(DescriptionError, match="V_thh"):
        eprop_iaf("exponential", V_thh=-50.0)
