"""Generalised leaky integrate-and-fire neurons beside NEST's: same spikes, same potentials."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from driven_sets import Case, RunNest, compare

from distsnn.network import EquationNeuron, GlifPsc, GlifPscDoubleAlpha

# spike_dependent_threshold, after_spike_currents, adapting_threshold
VARIANTS = {
    "LIF": (False, False, False),
    "LIF-R": (True, False, False),
    "LIF-ASC": (False, True, False),
    "LIF-R-ASC": (True, True, False),
    "LIF-R-ASC-A": (True, True, True),
}
Flags = tuple[bool, bool, bool]


def drawn(
    model: type[EquationNeuron], flags: Flags, random: np.random.Generator, edge: bool
) -> dict[str, float]:
    """Return random parameters; neutral ones where a variant has none."""
    resets, currents, adapts = flags
    found = {
        "V_th": random.uniform(-55.0, -45.0),
        "g": random.uniform(4.0, 14.0),
        "E_L": random.uniform(-82.0, -68.0),
        "C_m": random.uniform(40.0, 150.0),
        "t_ref": 0.0 if edge else float(random.integers(1, 5)),
        "voltage_reset_fraction": random.uniform(0.0, 0.5) * resets,
        "voltage_reset_add": random.uniform(-2.0, 8.0),
        "th_spike_add": random.uniform(0.4, 3.0) * resets,
        "th_spike_decay": random.uniform(0.003, 0.05),
        "th_voltage_index": random.choice([-0.3, 1.0]) * random.uniform(0.004, 0.012) * adapts,
        "th_voltage_decay": random.uniform(0.02, 0.15),
    }
    for j in ("1", "2"):
        found |= {
            f"asc_amps_{j}": random.uniform(-150.0, 40.0) * currents,
            f"asc_decay_{j}": random.uniform(0.003, 0.3),
            f"asc_r_{j}": random.uniform(0.0, 1.0),
        }
    membrane = found["C_m"] / found["g"]
    for j in ("ex", "in"):
        tau = membrane if edge else random.uniform(0.5, 6.0)
        if model is GlifPsc:
            found[f"tau_syn_{j}"] = tau
        else:
            found[f"tau_syn_fast_{j}"] = tau
            found[f"tau_syn_slow_{j}"] = tau if edge else random.uniform(4.0, 20.0)
            found[f"amp_slow_{j}"] = random.uniform(0.1, 0.6)
    return found


def of_nest(flags: Flags, given: dict[str, float]) -> dict[str, object]:
    """Return a neuron's parameters as NEST takes them."""
    one = dict(given)
    names = ("spike_dependent_threshold", "after_spike_currents", "adapting_threshold")
    found: dict[str, object] = dict(zip(names, flags, strict=True))
    # NEST refuses 0, and takes this for no step
    one["t_ref"] = one["t_ref"] or 1e-12
    for name in ("asc_amps", "asc_decay", "asc_r"):
        found[name] = [one.pop(f"{name}_{j}") for j in (1, 2)]
    found["asc_init"] = [0.0, 0.0]
    for name in ("tau_syn", "tau_syn_fast", "tau_syn_slow", "amp_slow"):
        if f"{name}_ex" in one:
            found[name] = [one.pop(f"{name}_{j}") for j in ("ex", "in")]
    if not found["spike_dependent_threshold"]:
        one["V_reset"] = one["E_L"] + one["voltage_reset_add"]
    return found | one | {"V_m": one["E_L"]}


def case(model: type[EquationNeuron], flags: Flags) -> Case:
    """Return a case of a variant, in which the states that it has are compared."""
    states = {"V_m": True, "threshold_spike": flags[0], "threshold_voltage": flags[2]}
    return Case(
        model.name,
        partial(drawn, model, flags),
        lambda values: model(**values),
        partial(of_nest, flags),
        {"ex": 80.0, "in": -80.0},
        {name: name for name, has in states.items() if has},
        (-50.0, 900.0),
        (-100.0, 0.0),
        lagging=("I_syn",),
        exact=True,
    )


RUNS = [
    # the fifth variant has the mechanisms of all others
    pytest.param(model, name, dt, edge, marks=[] if often else pytest.mark.ci)
    for model in (GlifPsc, GlifPscDoubleAlpha)
    for name in VARIANTS
    for dt, edge in ((0.1, False), (0.05, True), (1.0, False))
    for often in [dt == 0.1 or name == "LIF-R-ASC-A"]
]


@pytest.mark.parametrize(("model", "name", "dt", "edge"), RUNS)
def test_spikes_and_states_are_nests(
    model: type[EquationNeuron],
    name: str,
    dt: float,
    edge: bool,
    run_nest: RunNest,
    tmp_path: Path,
) -> None:
    print(f"{name}:", compare(case(model, VARIANTS[name]), dt, edge, run_nest, tmp_path / "run"))
