"""The oracle script itself: against closed forms and by hand, before anything is compared with it.

In CI it must be there: a comparison that is silently skipped proves nothing.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from in_ci import IN_CI

EXP = {"model": "iaf_psc_exp", "size": 1, "parameters": {"V_th": 1000.0}}


def trains(*steps: int) -> dict[str, np.ndarray]:
    """Return one source that emits at the steps."""
    return {"train_source": np.zeros(len(steps), np.int64), "train_step": np.array(steps)}


def edges(prefix: str, *rows: tuple[int, int, float, int]) -> dict[str, np.ndarray]:
    """Return synapses given as (source, target, weight, delay)."""
    names = ("source", "target", "weight", "delay")
    columns = zip(*rows, strict=True)
    return {
        f"{prefix}_{name}": np.array(column) for name, column in zip(names, columns, strict=True)
    }


@pytest.mark.skipif(not IN_CI, reason="outside CI the oracle is optional")
def test_the_oracle_is_there_in_ci() -> None:
    python = os.environ.get("DISTSNN_NEST_PYTHON")
    assert python, "CI must set DISTSNN_NEST_PYTHON, or the comparisons with NEST are skipped"
    assert Path(python).is_file()


def test_one_spike_gives_the_closed_form_potential(run_nest) -> None:
    """V(t) = w / C (exp(-t/tau_m) - exp(-t/tau_s)) / (1/tau_s - 1/tau_m) after the arrival."""
    result = run_nest(
        {"steps": 400, "populations": [EXP], "state": {"variables": ["V_m"], "every": 1}},
        **trains(50),
        **edges("input", (0, 0, 80.0, 15)),
        state_neurons=np.array([0]),
    )
    assert result["state_step"].tolist() == list(range(1, 401))
    t = np.maximum(0.0, (result["state_step"] - 65) * 0.1)
    rise = (np.exp(-t / 10.0) - np.exp(-t / 2.0)) / (1 / 2.0 - 1 / 10.0)
    np.testing.assert_allclose(result["V_m"][:, 0], -70.0 + 80.0 / 250.0 * rise, atol=1e-12)
    assert result["spike_step"].size == 0


def test_delta_input_jumps_at_arrival_and_spikes_travel_on(run_nest) -> None:
    """Source at 20, delay 7: neuron 0 fires at 27; delay 30: neuron 2 jumps at 57 by the weight."""
    delta = {
        "model": "iaf_psc_delta",
        "size": 3,
        "parameters": {"V_m": "start", "tau_m": 1e9, "E_L": -70.0},
    }
    result = run_nest(
        {"steps": 80, "populations": [delta], "state": {"variables": ["V_m"], "every": 1}},
        **trains(20),
        **edges("input", (0, 0, 16.0, 7)),
        **edges("edge", (0, 2, 2.0, 30), (0, 2, 0.5, 30)),
        start=np.array([-70.0, -69.0, -68.0]),
        state_neurons=np.array([1, 2]),
    )
    assert result["spike_step"].tolist() == [27]
    assert result["spike_neuron"].tolist() == [0]
    expected = np.where(np.arange(1, 81) < 57, -68.0, -65.5)
    np.testing.assert_allclose(result["V_m"][:, 1], expected, atol=1e-6)
    np.testing.assert_allclose(result["V_m"][:, 0], -69.0, atol=1e-6)


def test_a_stimulus_flows_from_its_step_on_and_shows_a_step_later(run_nest) -> None:
    given = {**EXP, "size": 2, "parameters": {"V_th": 1000.0, "tau_m": 1e9}}
    stimulus = {
        "stimulus_step": np.array([5, 9]),
        "stimulus_current": np.array([[100.0, -50.0], [0.0, 25.0]]),
    }
    description = {
        "steps": 12,
        "populations": [given],
        "state": {"variables": ["V_m"], "every": 1},
    }
    result = run_nest(description, **stimulus, state_neurons=np.arange(2))
    step = np.arange(1, 13)
    rise = 0.1 / 250.0 * np.clip(step - 5, 0, 4)
    later = 0.1 / 250.0 * np.clip(step - 9, 0, None)
    np.testing.assert_allclose(result["V_m"][:, 0], -70.0 + 100.0 * rise, atol=1e-6)
    np.testing.assert_allclose(result["V_m"][:, 1], -70.0 - 50.0 * rise + 25.0 * later, atol=1e-6)
    stimulus["stimulus_step"] = np.array([1, 9])
    with pytest.raises(RuntimeError, match="stimulus_step must be 2 or more"):
        run_nest(description, **stimulus)


def test_populations_are_numbered_through_and_state_comes_every_k_steps(run_nest) -> None:
    """Neurons that a current drives fire every t_ref + n steps; the second population lies last."""
    driven = {**EXP, "size": 2, "parameters": {"I_e": "current", "tau_syn_ex": 0.5}}
    result = run_nest(
        {
            "steps": 1000,
            "populations": [{**EXP, "size": 3}, driven],
            "state": {"variables": ["V_m", "I_syn_ex"], "every": 7},
            "threads": 2,
        },
        current=np.array([600.0, 0.0]),
        state_neurons=np.array([3, 4]),
    )
    assert set(result["spike_neuron"].tolist()) == {3}
    # From reset: V crosses after n steps with I tau / C (1 - exp(-n dt / tau)) >= 15 mV.
    n = int(np.ceil(10.0 * np.log(24.0 / 9.0) / 0.1))
    assert result["spike_step"].tolist() == list(range(n, 1001, n + 20))
    assert result["state_step"].tolist() == list(range(7, 1001, 7))
    assert result["V_m"].shape == result["I_syn_ex"].shape == (142, 2)
    np.testing.assert_array_equal(result["V_m"][:, 1], -70.0)


def test_two_spikes_in_one_step_and_two_synapses_of_a_pair_add_up(run_nest) -> None:
    result = run_nest(
        {"steps": 20, "populations": [EXP], "state": {"variables": ["I_syn_ex"], "every": 1}},
        **trains(5, 5),
        **edges("input", (0, 0, 3.0, 1), (0, 0, 4.0, 1)),
        state_neurons=np.array([0]),
    )
    assert result["I_syn_ex"][4, 0] == 0.0
    assert result["I_syn_ex"][5, 0] == 14.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_weight": np.array([np.nan])}, "weight not finite"),
        ({"input_delay": np.array([0])}, "at least 1"),
        ({"input_delay": np.array([1.5])}, "whole steps"),
        ({"input_target": np.array([1])}, "beyond"),
        ({"input_target": np.array([-1])}, "negative"),
        ({"input_target": np.array([0, 0])}, "different lengths"),
        ({"train_step": np.array([0])}, "at least 1"),
    ],
)
def test_bad_arrays_are_refused(run_nest, change: dict[str, np.ndarray], message: str) -> None:
    arrays = {**trains(5), **edges("input", (0, 0, 3.0, 1)), **change}
    with pytest.raises(RuntimeError, match=message):
        run_nest({"steps": 5, "populations": [EXP]}, **arrays)


def test_an_unknown_model_is_refused(run_nest) -> None:
    with pytest.raises(RuntimeError, match="iaf_psc_expp"):
        run_nest({"steps": 5, "populations": [{**EXP, "model": "iaf_psc_expp"}]})
