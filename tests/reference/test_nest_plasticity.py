"""The oracle script of plasticity itself, against a rule worked out by hand from its states.

NEST's clopath_synapse has no twin here; what the script records of it is enough to work it out.
"""

from collections.abc import Callable

import numpy as np
import pytest

DT, STEPS, DELAYS = 0.1, 20_000, np.array([3, 12])
TARGET = {"A_LTD": 1.4e-2, "A_LTP": 8e-3, "delay_u_bars": 5.0, "t_ref": 2.0}
THETA_PLUS, THETA_MINUS, TAU_X, W_MAX = -45.3, -70.6, 15.0, 100.0


def by_hand(states: dict[str, np.ndarray], pre: np.ndarray, delay: int) -> list[float]:
    """Clopath et al. (2010), eqs 1 and 2, with potentials and their averages as recorded."""
    late = round(TARGET["delay_u_bars"] / DT)
    v, plus, minus = (
        np.maximum(values - theta, 0.0)
        for values, theta in (
            (states["V_m"][:, 0], THETA_PLUS),
            (states["u_bar_plus"][:, 0], THETA_MINUS),
            (states["u_bar_minus"][:, 0], THETA_MINUS),
        )
    )
    potentiation = np.zeros(STEPS + 1)
    potentiation[late + 1 :] = TARGET["A_LTP"] * v[late:] * plus[:-late] * DT
    depression = np.zeros(STEPS + 1)
    depression[late + 1 :] = TARGET["A_LTD"] * minus[:-late]
    weight, trace, last, found = 50.0, 0.0, 0, []
    for step in pre:
        for at in range(max(last - delay, 0) + 1, step - delay + 1):
            decayed = trace * np.exp(-(at + delay - last) * DT / TAU_X)
            weight = min(weight + potentiation[at] * decayed, W_MAX)
        weight = max(weight - depression[step - delay], 0.0)
        found.append(weight)
        trace = trace * np.exp(-(step - last) * DT / TAU_X) + 1.0 / TAU_X
        last = step
    return found


def test_potentials_and_weights_of_a_voltage_based_rule_belong_together(
    run_nest: Callable[..., dict[str, np.ndarray]],
) -> None:
    random = np.random.default_rng(3)
    pre, post = (np.unique(random.integers(100, STEPS - 200, 90)) for _ in range(2))
    found = run_nest(
        {
            "steps": STEPS,
            "model": "clopath_synapse",
            "parameters": {"tau_x": TAU_X, "Wmax": W_MAX},
            "target": "aeif_psc_delta_clopath",
            "neuron": TARGET,
            "drive": [60.0, 5],
            "state": ["V_m", "u_bar_plus", "u_bar_minus", "u_bar_bar"],
        },
        program="nest_plasticity",
        pre_neuron=np.repeat([0, 1], pre.size),
        pre_step=np.tile(pre, 2),
        post_neuron=np.zeros_like(post),
        post_step=post,
        synapse_source=np.array([0, 1]),
        synapse_target=np.array([0, 0]),
        synapse_weight=np.full(2, 50.0),
        synapse_delay=DELAYS,
    )
    assert found["spike_step"].size > 20
    for index, delay in enumerate(DELAYS):
        mine = found["synapse"] == index
        np.testing.assert_array_equal(found["step"][mine], pre)
        expected = by_hand(found, pre, delay)
        assert np.ptp(expected) > 5.0
        assert np.diff(expected).max() > 0.1
        assert found["weight"][mine] == pytest.approx(expected, rel=1e-6)
