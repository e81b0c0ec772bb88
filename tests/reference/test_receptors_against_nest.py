"""Neurons with several compartments or receptors beside NEST's: spikes, and states between them.

Ten random sets of parameters, each for a neuron that spikes and for one that does not, get given
trains over all receptors, and a current that changes. What is left of differences is NEST's
tolerance, and where its adaptive steps end.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    ConnectionList,
    IafBw2001,
    IafCondAlphaMc,
    Network,
    Neuron,
    NmdaSynapse,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeSource,
    StepCurrent,
    aeif_cond_alpha_multisynapse,
    aeif_cond_beta_multisynapse,
)
from distsnn.simulation import Simulation

RunNest = Callable[..., dict[str, np.ndarray]]
Values = dict[str, npt.NDArray[np.float64]]
SETS, N_SOURCES, N_GATES, TIME = 10, 40, 8, 400.0  # ms
N = 2 * SETS
SPIKES = 10  # of a neuron that are compared


@dataclass(frozen=True)
class Case:
    """A model, how its parameters are drawn, and how it is driven.

    Parameters
    ----------
    model : str
        NEST's model.
    draw : callable
        Draws a set of parameters; with an edge, time constants are equal.
    make, of_nest : callable
        Make the neurons, and one neuron's parameters as NEST takes them.
    weights : mapping of str to float
        Mean weight of each receptor, in the order of NEST's numbers.
    states : mapping of str to str
        NEST's name of each state variable that is compared.
    loud, quiet : (float, float)
        Range of the current of neurons that spike and of those that do not, pA.
    few : float
        Weights of the quiet neurons' input, by those of the others.
    current : int
        NEST's receptor of currents.
    gates : callable
        Draws parameters of NEST's neurons that are the sources of the last receptor's spikes.
    currents : tuple of str
        Synaptic currents that both record. NEST's are outward, and lack the input of the step.
    """

    model: str
    draw: Callable[[np.random.Generator, bool], dict[str, float]]
    make: Callable[[Values], Neuron]
    of_nest: Callable[[dict[str, float]], dict[str, Any]]
    weights: Mapping[str, float]
    states: Mapping[str, str]
    loud: tuple[float, float]
    quiet: tuple[float, float]
    few: float = 0.15
    current: int = 0
    gates: Callable[[np.random.Generator], dict[str, float]] | None = None
    currents: tuple[str, ...] = ()


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


class Driven:
    """A case's neurons and input, as distsnn and as NEST take them."""

    def __init__(self, case: Case, dt: float, edge: bool) -> None:
        random = np.random.default_rng(3)
        self.case, self.dt, self.steps = case, dt, round(TIME / dt)
        sets = [case.draw(random, edge) for _ in range(SETS)]
        # the first of each two neurons spikes
        self.sets = [one for one in sets for _ in range(2)]
        self.gates = [case.gates(random) for _ in range(N_GATES)] if case.gates else []
        quiet = np.arange(N) % 2 == 1
        step, source = np.nonzero(random.random((round(TIME), N_SOURCES)) < 0.02)
        self.source, self.step = source, np.rint((step + 2) / dt).astype(np.int64)
        target, receptor, _ = np.indices((N, len(case.weights), 6)).reshape(3, -1)
        edges = target.size
        weight = np.array([*case.weights.values()])[receptor] * random.uniform(0.5, 1.5, edges)
        weight *= np.where(quiet[target], case.few, 1.0)
        self.edges = {
            "source": random.integers(0, N_SOURCES, edges),
            "target": target,
            "receptor": receptor + 1,
            "delay": np.rint(random.integers(1, 5, edges) / dt).astype(np.int64),
            # multiples of a power of two, so that both simulators add the same numbers
            "weight": np.rint(weight * 1024.0) / 1024.0,
        }
        self.changes = np.rint(np.arange(2, TIME, 20.0) / dt).astype(np.int64)
        shape = (self.changes.size, N + len(self.gates))
        self.current = random.uniform(*case.loud, shape)
        self.current[:, 1:N:2] = random.uniform(*case.quiet, (self.changes.size, SETS))
        is_gated = (receptor + 1 == len(case.weights)) & bool(self.gates)
        self.gated = {key: column[is_gated] for key, column in self.edges.items()}
        self.edges = {key: column[~is_gated] for key, column in self.edges.items()}
        self.gated["source"] %= N_GATES

    def ours(self, path: Path, expected: dict[str, np.ndarray]) -> StoreReader:
        """Return distsnn's run, in which the gates spike as in NEST's."""
        case, dt = self.case, self.dt
        values = {name: np.array([one[name] for one in self.sets]) for name in self.sets[0]}
        neurons = Population("neurons", N, case.make(values), precision="float64")
        trains = Population("trains", N_SOURCES, SpikeSource(self.step * dt, self.source))
        sources = [(trains, self.edges, None)]
        if self.gates:
            is_gate = expected["spike_neuron"] >= N
            spikes = SpikeSource(
                expected["spike_step"][is_gate] * dt, expected["spike_neuron"][is_gate] - N
            )
            gating = {
                name.removesuffix("_NMDA"): np.array([one[name] for one in self.gates])
                for name in self.gates[0]
            }
            gates = Population("gates", N_GATES, spikes)
            sources.append((gates, self.gated, NmdaSynapse(**gating)))
        projections = []
        for number, receptor in enumerate(case.weights, 1):
            for pre, edges, synapse in sources:
                its = {key: column[edges["receptor"] == number] for key, column in edges.items()}
                pairs = ConnectionList(its["source"], its["target"])
                how = {"weight": its["weight"], "delay": its["delay"] * dt, "weight_bits": 30}
                if its["source"].size:
                    projections.append(
                        Projection(pre, neurons, pairs, receptor=receptor, synapse=synapse, **how)
                    )
        network = Network(
            [neurons, *(pre for pre, _, _ in sources)],
            projections,
            [StepCurrent(neurons, self.changes * dt, self.current[:, :N])],
            recordings=[
                RecordSpikes(neurons),
                RecordState(neurons, [*case.states, *case.currents], interval=max(dt, 0.2)),
            ],
            dt=dt,
        )
        with Simulation(network, out=path, communicator=SingleProcess()) as simulation:
            simulation.run(TIME)
        return StoreReader(path)

    def nest(self, run_nest: RunNest) -> dict[str, np.ndarray]:
        """Return NEST's result."""
        case = self.case
        parameters = [*(case.of_nest(one) for one in self.sets), *self.gates]
        populations = [{"model": case.model, "size": 1, "parameters": one} for one in parameters]
        edges = {
            f"{prefix}_{key}": column + N if (prefix, key) == ("edge", "source") else column
            for prefix, columns in (("input", self.edges), ("edge", self.gated))
            for key, column in columns.items()
        }
        return run_nest(
            {
                "resolution": self.dt,
                "steps": self.steps,
                "populations": populations,
                "state": {
                    "variables": [*case.states.values(), *case.currents],
                    "every": round(max(self.dt, 0.2) / self.dt),
                },
                "synapses": {
                    prefix: {"receptor_type": f"{prefix}_receptor"} for prefix in ("input", "edge")
                },
                "current_receptor": case.current,
            },
            train_source=self.source,
            train_step=self.step,
            state_neurons=np.arange(N),
            stimulus_step=self.changes,
            stimulus_current=self.current,
            **edges,
        )

    def has_input(self, expected: dict[str, np.ndarray]) -> npt.NDArray[np.bool_]:
        """Return whether spikes arrive at a neuron in a recorded step, (n_records, N)."""
        found = np.zeros((self.steps + 1, N), bool)
        is_gate = expected["spike_neuron"] >= N
        gate, fired = expected["spike_neuron"][is_gate] - N, expected["spike_step"][is_gate]
        for edges, source, step in (
            (self.edges, self.source, self.step),
            (self.gated, gate, fired),
        ):
            for pre, target, delay in zip(
                edges["source"], edges["target"], edges["delay"], strict=True
            ):
                arrival = step[source == pre] + delay
                found[arrival[arrival <= self.steps], target] = True
        return found[expected["state_step"]]


@pytest.mark.filterwarnings("ignore:.*finds spikes at the ends of steps only")
@pytest.mark.parametrize(("name", "dt", "edge"), CHOSEN)
def test_first_spikes_and_states_are_nests(
    name: str, dt: float, edge: bool, run_nest: RunNest, tmp_path: Path
) -> None:
    case = CASES[name]
    driven = Driven(case, dt, edge)
    expected = driven.nest(run_nest)
    reader = driven.ours(tmp_path / "run.zarr", expected)
    step, gid = reader.spikes(0, driven.steps)
    worst = 0
    for neuron in range(0, N, 2):
        theirs = expected["spike_step"][expected["spike_neuron"] == neuron][:SPIKES]
        ours = step[gid == neuron][:SPIKES].astype(np.int64)
        assert theirs.size == ours.size == SPIKES, (neuron, theirs, ours)
        worst = max(worst, np.abs(ours - theirs).max())
    quiet = expected["spike_neuron"] % 2 * (expected["spike_neuron"] < N)
    assert not np.any(quiet) and not np.any(gid % 2)
    traces = reader.state("neurons").variables
    apart = {
        ours: np.abs(traces[ours][:, 1::2] - expected[theirs][:, 1::2]).max()
        for ours, theirs in case.states.items()
    }
    spread = {
        ours: np.ptp(expected[theirs][:, 1::2], axis=0).min()
        for ours, theirs in case.states.items()
    }
    has_input = driven.has_input(expected)[:, 1::2]
    assert 0.02 < has_input.mean() < 0.8
    for one in case.currents:
        difference = np.abs(traces[one][:, 1::2] + expected[one][:, 1::2])
        apart[one] = difference[~has_input].max()
        spread[one] = np.ptp(expected[one][:, 1::2], axis=0).min()
        assert difference[has_input].max() > 0.5
    counts = np.bincount(expected["spike_neuron"], minlength=N)
    print(
        f"{name}, dt {dt}: spikes {counts[:N:2]} {counts[N:]}, {worst} steps",
        *(f"{k} {v:.1e}" for k, v in apart.items()),
    )
    assert worst <= 1
    for one, difference in apart.items():
        assert difference < 0.001, one
        # states move, or they would prove nothing
        assert spread[one] > 0.3, one
