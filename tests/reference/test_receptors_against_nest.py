"""Neurons with several compartments or receptors beside NEST's: spikes, and states between them.

What is left of differences is NEST's tolerance, and where its adaptive steps end.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driven_sets import Case, RunNest, compare

from distsnn.network import (
    IafBw2001,
    IafCondAlphaMc,
    aeif_cond_alpha_multisynapse,
    aeif_cond_beta_multisynapse,
)


def compartments(random: np.random.Generator, edge: bool) -> dict[str, float]:
    """Return parameters of three compartments."""
    found = {
        "V_th": random.uniform(-58.0, -50.0),
        "V_reset": random.uniform(-72.0, -62.0),
        "t_ref": 0.0 if edge else float(random.integers(0, 4)),
        "g_sp": random.uniform(1.0, 12.0),
        "g_pd": random.uniform(0.5, 8.0),
    }
    equal = random.uniform(0.5, 5.0)
    for part in "spd":
        found |= {
            f"C_m_{part}": random.uniform(60.0, 250.0),
            f"g_L_{part}": random.uniform(4.0, 15.0),
            f"E_L_{part}": random.uniform(-74.0, -66.0),
            f"E_ex_{part}": random.uniform(-5.0, 5.0),
            f"E_in_{part}": random.uniform(-90.0, -80.0),
            f"tau_syn_ex_{part}": equal if edge else random.uniform(1.0, 6.0),
            f"tau_syn_in_{part}": equal if edge else random.uniform(1.0, 12.0),
            f"I_e_{part}": random.uniform(-20.0, 20.0),
        }
    return found


def nested(values: dict[str, float]) -> dict[str, Any]:
    """Return parameters of compartments as NEST takes them."""
    parts = {"s": "soma", "p": "proximal", "d": "distal"}
    found: dict[str, Any] = {name: {} for name in parts.values()}
    for name, value in values.items():
        of_part = name[-2:-1] == "_" and name[-1] in parts
        place = found[parts[name[-1]]] if of_part else found
        place[name[:-2] if of_part else name] = value
    for part in parts.values():
        # NEST's potentials start at the default E_L
        found[part]["V_m"] = found[part]["E_L"]
    return found


def brunel_wang(random: np.random.Generator, edge: bool) -> dict[str, float]:
    """Return parameters of a neuron with NMDA receptors."""
    equal = random.uniform(2.0, 6.0)
    return {
        "C_m": random.uniform(150.0, 600.0),
        "g_L": random.uniform(10.0, 30.0),
        "E_L": random.uniform(-74.0, -66.0),
        "E_ex": random.uniform(-5.0, 5.0),
        "E_in": random.uniform(-85.0, -75.0),
        "V_th": random.uniform(-57.0, -50.0),
        "V_reset": random.uniform(-65.0, -59.0),
        "t_ref": 0.0 if edge else float(random.integers(0, 4)),
        "tau_AMPA": equal if edge else random.uniform(1.5, 4.0),
        "tau_GABA": equal if edge else random.uniform(3.0, 12.0),
        "tau_decay_NMDA": equal if edge else random.uniform(40.0, 150.0),
        "conc_Mg2": random.uniform(0.3, 2.0),
    }


def gates(random: np.random.Generator) -> dict[str, float]:
    """Return parameters of NMDA receptors' gating, which NEST's source neurons have."""
    return {
        "alpha": random.uniform(0.1, 2.0),
        "tau_rise_NMDA": random.uniform(0.5, 6.0),
        "tau_decay_NMDA": random.uniform(20.0, 150.0),
    }


def adaptive(random: np.random.Generator, edge: bool) -> dict[str, float]:
    """Return parameters of an adaptive exponential neuron with four receptors."""
    found = {
        "C_m": random.uniform(150.0, 350.0),
        "g_L": random.uniform(8.0, 30.0),
        "E_L": random.uniform(-74.0, -66.0),
        "V_th": random.uniform(-53.0, -47.0),
        "Delta_T": random.uniform(1.0, 3.0),
        "V_peak": random.uniform(-10.0, 10.0),
        "V_reset": random.uniform(-65.0, -56.0),
        "a": random.uniform(0.0, 6.0),
        "b": random.uniform(10.0, 100.0),
        "tau_w": random.uniform(50.0, 200.0),
        "t_ref": 0.0 if edge else float(random.integers(0, 4)),
        "I_e": random.uniform(-20.0, 20.0),
    }
    equal = random.uniform(1.0, 5.0)
    for k, potential in enumerate((0.0, -5.0, -85.0, -78.0), 1):
        rise = equal if edge else random.uniform(0.5, 4.0)
        found |= {
            f"E_rev_{k}": potential + random.uniform(-3.0, 3.0),
            f"tau_rise_{k}": rise,
            f"tau_decay_{k}": rise if edge else rise * random.uniform(1.01, 4.0),
        }
    return found


def by_receptor(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters of which those of receptors are lists."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name[-1].isdigit():
            found.setdefault(name[:-2], []).append(value)
        else:
            found[name] = value
    return found


def alpha(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters of alpha functions with the time constants of rises."""
    found = by_receptor(values)
    del found["tau_decay"]
    found["tau_syn"] = found.pop("tau_rise")
    return found


ADAPTIVE: dict[str, Any] = {
    "draw": adaptive,
    "weights": {"1": 2.0, "2": 2.0, "3": 3.0, "4": 3.0},
    "states": {name: name for name in ("V_m", "w", "g_1", "g_2", "g_3", "g_4")},
    "loud": (800.0, 1300.0),
    "quiet": (-150.0, 50.0),
}
COMPARTMENTS = {"_s": ".s", "_p": ".p", "_d": ".d"}
CASES = {
    "iaf_cond_alpha_mc": Case(
        "iaf_cond_alpha_mc",
        compartments,
        lambda values: IafCondAlphaMc(**values, substeps=40),
        nested,
        {
            f"{part}_{kind}": 3.0 if kind == "ex" else 4.0
            for part in ("soma", "proximal", "distal")
            for kind in ("ex", "in")
        },
        {
            f"{name}{ours}": f"{name}{theirs}"
            for ours, theirs in COMPARTMENTS.items()
            for name in ("V_m", "g_ex", "g_in")
        },
        (600.0, 1200.0),
        (-80.0, 0.0),
        current=7,
    ),
    "iaf_bw_2001": Case(
        "iaf_bw_2001",
        brunel_wang,
        lambda values: IafBw2001(**values, substeps=10),
        # NEST's potentials start at the default E_L
        lambda values: values | {"V_m": values["E_L"], "gsl_error_tol": 1e-9},
        {"AMPA": 2.0, "GABA": 3.0, "NMDA": 1.0},
        {name: name for name in ("V_m", "s_AMPA", "s_GABA", "s_NMDA")},
        (400.0, 800.0),
        (-60.0, 60.0),
        few=0.3,
        gates=gates,
        currents=("I_AMPA", "I_GABA", "I_NMDA"),
    ),
    "aeif_cond_beta_multisynapse": Case(
        "aeif_cond_beta_multisynapse",
        make=lambda values: aeif_cond_beta_multisynapse(**by_receptor(values), substeps=100),
        of_nest=lambda values: by_receptor(values) | {"V_m": values["E_L"]},
        **ADAPTIVE,
    ),
    "aeif_cond_alpha_multisynapse": Case(
        "aeif_cond_alpha_multisynapse",
        make=lambda values: aeif_cond_alpha_multisynapse(**alpha(values), substeps=100),
        of_nest=lambda values: alpha(values) | {"V_m": values["E_L"]},
        **ADAPTIVE,
    ),
}
# dt, ms, and whether time constants are equal and the refractory time is 0
RUNS = [
    (name, dt, edge) for name in CASES for dt, edge in ((0.1, False), (0.05, True), (1.0, False))
]
# CI alone runs three compartments, whose 50 constants compile slowly, and alpha functions, which
# are those of equal time constants.
DEFAULT = [("iaf_bw_2001", 0.1, False), ("aeif_cond_beta_multisynapse", 0.1, False)]
CHOSEN = [run if run in DEFAULT else pytest.param(*run, marks=pytest.mark.ci) for run in RUNS]


@pytest.mark.filterwarnings("ignore:.*finds spikes at the ends of steps only")
@pytest.mark.parametrize(("name", "dt", "edge"), CHOSEN)
def test_first_spikes_and_states_are_nests(
    name: str, dt: float, edge: bool, run_nest: RunNest, tmp_path: Path
) -> None:
    print(compare(CASES[name], dt, edge, run_nest, tmp_path / "run.zarr"))
