"""Generalised leaky integrate-and-fire neurons beside NEST's: the same spikes, the same potentials.

Ten neurons with random parameters get given trains over both receptors, and a current that changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    ConnectionList,
    EquationNeuron,
    GlifPsc,
    GlifPscDoubleAlpha,
    Network,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeSource,
    StepCurrent,
)
from distsnn.simulation import Simulation

RunNest = Callable[..., dict[str, np.ndarray]]
Values = dict[str, npt.NDArray[np.float64]]
N, N_SOURCES, TIME = 10, 30, 2000.0
STATES = ("V_m", "threshold_spike", "threshold_voltage")
# spike_dependent_threshold, after_spike_currents, adapting_threshold
VARIANTS = {
    "LIF": (False, False, False),
    "LIF-R": (True, False, False),
    "LIF-ASC": (False, True, False),
    "LIF-R-ASC": (True, True, False),
    "LIF-R-ASC-A": (True, True, True),
}


@dataclass(frozen=True)
class Case:
    """Which neurons are compared.

    Parameters
    ----------
    variant : str
        One of `VARIANTS`.
    model : type
        The model.
    dt : float
        Length of a step, ms.
    edge : str
        What is not random: "t_ref" is 0, or "tau_syn" is C_m/g.
    seed : int
        Of all that is random.
    """

    variant: str
    model: type[EquationNeuron] = GlifPsc
    dt: float = 0.1
    edge: str = ""
    seed: int = 7


CASES = {
    **{
        f"{model.name}, {one}": Case(one, model)
        for model in (GlifPsc, GlifPscDoubleAlpha)
        for one in VARIANTS
    },
    "dt = 0.05": Case("LIF-R-ASC-A", dt=0.05),
    "dt = 1": Case("LIF-R-ASC-A", dt=1.0),
    "t_ref = 0": Case("LIF-R-ASC-A", edge="t_ref"),
    "tau_syn = C_m/g": Case("LIF-R-ASC-A", edge="tau_syn"),
}


def drawn(case: Case) -> Values:
    """Return random parameters, a value for each neuron; neutral ones where a variant has them."""
    random = np.random.default_rng(case.seed)
    resets, currents, adapts = VARIANTS[case.variant]

    def between(low: float, high: float, used: bool = True) -> npt.NDArray[np.float64]:
        values = random.uniform(low, high, N)
        return values if used else np.zeros(N)

    found = {
        "V_th": between(-55.0, -45.0),
        "g": between(4.0, 14.0),
        "E_L": between(-82.0, -68.0),
        "C_m": between(40.0, 150.0),
        "t_ref": np.rint(between(1.0, 5.0)) * (case.edge != "t_ref"),
        "voltage_reset_fraction": between(0.0, 0.5, resets),
        "voltage_reset_add": between(-2.0, 8.0),
        "th_spike_add": between(0.2, 3.0, resets),
        "th_spike_decay": between(0.003, 0.05),
        "th_voltage_index": between(-0.003, 0.012, adapts),
        "th_voltage_decay": between(0.02, 0.15),
    }
    for j in ("1", "2"):
        found |= {
            f"asc_amps_{j}": between(-150.0, 40.0, currents),
            f"asc_decay_{j}": between(0.003, 0.3),
            f"asc_r_{j}": between(0.0, 1.0),
        }
    for j in ("ex", "in"):
        membrane = found["C_m"] / found["g"]
        tau = membrane if case.edge == "tau_syn" else between(0.5, 6.0)
        if case.model is GlifPsc:
            found[f"tau_syn_{j}"] = tau
        else:
            slow = between(4.0, 20.0), between(0.1, 0.6)
            found |= {f"tau_syn_fast_{j}": tau, f"tau_syn_slow_{j}": slow[0]}
            found[f"amp_slow_{j}"] = slow[1]
    return found


def of_nest(case: Case, given: Values, initial: Values, neuron: int) -> dict[str, object]:
    """Return one neuron's parameters as NEST takes them."""
    one = {name: float(values[neuron]) for name, values in given.items()}
    flags = ("spike_dependent_threshold", "after_spike_currents", "adapting_threshold")
    found: dict[str, object] = dict(zip(flags, VARIANTS[case.variant], strict=True))
    # NEST refuses 0, and takes this for no step
    one["t_ref"] = one["t_ref"] or 1e-12
    for name in ("asc_amps", "asc_decay", "asc_r"):
        found[name] = [one.pop(f"{name}_{j}") for j in (1, 2)]
    found["asc_init"] = [0.0, 0.0]
    for name in ("tau_syn", "tau_syn_fast", "tau_syn_slow", "amp_slow"):
        if f"{name}_ex" in one:
            found[name] = [one.pop(f"{name}_{j}") for j in ("ex", "in")]
    if found["after_spike_currents"]:
        found["ASCurrents"] = [float(initial[f"I_asc_{j}"][neuron]) for j in (1, 2)]
    if not found["spike_dependent_threshold"]:
        one["V_reset"] = one["E_L"] + one["voltage_reset_add"]
    return found | one | {"V_m": float(initial["V_m"][neuron])}


class Driven:
    """A case's neurons and input, as distsnn and as NEST take them."""

    def __init__(self, case: Case) -> None:
        random = np.random.default_rng(case.seed + 1)
        self.case, self.parameters = case, drawn(case)
        self.steps = round(TIME / case.dt)
        has_currents = VARIANTS[case.variant][1]
        self.initial = {
            "V_m": self.parameters["E_L"] + random.uniform(-5.0, 10.0, N),
            **{f"I_asc_{j}": random.uniform(-50.0, 50.0, N) * has_currents for j in (1, 2)},
        }
        step, self.source = np.nonzero(random.random((self.steps, N_SOURCES)) < 0.02 * case.dt)
        self.step = step + 2
        edges = 8 * N
        self.edges = {
            "source": random.integers(0, N_SOURCES, edges),
            "target": random.integers(0, N, edges),
            "receptor": random.integers(1, 3, edges),
            "delay": random.integers(1, 30, edges),
        }
        weight = random.uniform(20.0, 120.0, edges) * np.where(
            self.edges["receptor"] == 1, 1.0, -1.0
        )
        # multiples of a power of two, so that both simulators add the same numbers
        self.edges["weight"] = np.rint(weight * 256.0) / 256.0
        self.changes = np.arange(2, self.steps, round(20.0 / case.dt))
        self.current = random.uniform(-50.0, 700.0, (self.changes.size, N))

    def network(self, precision: str) -> Network:
        """Return it for distsnn."""
        dt = self.case.dt
        model = self.case.model(**self.parameters)
        cells = Population("cells", N, model, self.initial, precision=precision)
        trains = Population("trains", N_SOURCES, SpikeSource(self.step * dt, self.source))
        projections = []
        for number, receptor in enumerate(("ex", "in"), 1):
            chosen = self.edges["receptor"] == number
            its = {key: column[chosen] for key, column in self.edges.items()}
            pairs, values = ConnectionList(its["source"], its["target"]), its["weight"]
            delay = its["delay"] * dt
            projections.append(
                Projection(trains, cells, pairs, values, delay, receptor=receptor, weight_bits=30)
            )
        return Network(
            [cells, trains],
            projections,
            [StepCurrent(cells, self.changes * dt, self.current)],
            recordings=[
                RecordSpikes(cells),
                RecordState(cells, STATES, interval=5 * dt),
                RecordState(cells, ["I_syn", "refractory"], name="currents"),
            ],
            dt=dt,
        )

    def nest(self, run_nest: RunNest) -> dict[str, np.ndarray]:
        """Return NEST's result."""
        name, case = self.case.model.name, self.case
        populations = [
            {
                "model": name,
                "size": 1,
                "parameters": of_nest(case, self.parameters, self.initial, k),
            }
            for k in range(N)
        ]
        return run_nest(
            {
                "resolution": case.dt,
                "steps": self.steps,
                "populations": populations,
                "state": {"variables": [*STATES, "I_syn"], "every": 5},
                "synapses": {"input": {"receptor_type": "input_receptor"}},
            },
            train_source=self.source,
            train_step=self.step,
            state_neurons=np.arange(N),
            stimulus_step=self.changes,
            stimulus_current=self.current,
            **{f"input_{key}": column for key, column in self.edges.items()},
        )


def spikes_of(network: Network, path: Path, steps: int) -> tuple[np.ndarray, StoreReader]:
    """Return the spikes of a run, one number for each, and the run."""
    with Simulation(network, out=path, communicator=SingleProcess()) as simulation:
        simulation.run(steps * network.dt)
    reader = StoreReader(path)
    step, gid = reader.spikes(0, steps)
    return np.sort(step.astype(np.int64) * N + gid.astype(np.int64)), reader


@pytest.mark.parametrize("name", CASES)
def test_spikes_and_states_are_nests(name: str, run_nest: RunNest, tmp_path: Path) -> None:
    driven = Driven(CASES[name])
    expected = driven.nest(run_nest)
    theirs = np.sort(expected["spike_step"] * N + expected["spike_neuron"])
    ours, reader = spikes_of(driven.network("float64"), tmp_path / "64.zarr", driven.steps)
    counts = np.bincount(expected["spike_neuron"], minlength=N)
    missing = [np.setxor1d(ours[ours % N == k], theirs[theirs % N == k]).size for k in range(N)]
    traces = reader.state("cells").variables
    apart = {one: np.abs(traces[one][:, :] - expected[one]).max() for one in STATES}
    # NEST's current is that at the start of the step, and stays while the neuron is refractory
    starts = expected["state_step"] - 2
    start = {k: array[:, :][starts] for k, array in reader.state("currents").variables.items()}
    is_free = start["refractory"] == 0
    assert is_free.mean() > 0.5
    apart["I_syn"] = np.abs(start["I_syn"] - expected["I_syn"])[is_free].max()
    single, _ = spikes_of(driven.network("float32"), tmp_path / "32.zarr", driven.steps)
    common = np.intersect1d(single, theirs).size / max(single.size, theirs.size)
    print(f"{name}: spikes {counts}, mismatches {missing}, {apart}, float32 {common:.4f}")
    assert counts.min() >= 10
    assert np.ptp(expected["V_m"], axis=0).min() > 10.0
    assert np.ptp(expected["I_syn"], axis=0).min() > 50.0
    np.testing.assert_array_equal(ours, theirs)
    assert max(apart.values()) < 1e-9
    assert common > 0.9
