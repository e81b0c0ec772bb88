"""Neurons with random parameters and input, as distsnn and as NEST take them, compared.

Ten sets of parameters, each for a neuron that spikes and for one that does not, get given trains
over all receptors, and a current that changes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    ConnectionList,
    Network,
    Neuron,
    NmdaSynapse,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeSource,
    StepCurrent,
)
from distsnn.network.populations import Precision
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
        Draws a set of parameters; with an edge, time constants are equal and t_ref is least.
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
    lagging : tuple of str
        Synaptic currents that NEST records as of the start of a step, and not while a neuron is
        refractory.
    late_reset : bool
        Whether NEST resets in the step after a spike, whose own states are then not compared.
    signed : bool
        Whether NEST's receptor is always 0, and weights have signs.
    exact : bool
        Whether both integrate exactly, so that all spikes and all states are equal; in float32
        nearly all spikes.
    smooth : float
        Where spikes reset nothing: largest difference of potentials of neurons that spike, mV.
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
    lagging: tuple[str, ...] = ()
    late_reset: bool = False
    signed: bool = False
    exact: bool = False
    smooth: float = 0.0


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

    def ours(
        self, path: Path, expected: dict[str, np.ndarray], precision: Precision = "float64"
    ) -> StoreReader:
        """Return distsnn's run, in which the gates spike as in NEST's."""
        case, dt = self.case, self.dt
        values = {name: np.array([one[name] for one in self.sets]) for name in self.sets[0]}
        neurons = Population("neurons", N, case.make(values), precision=precision)
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
                RecordState(neurons, [*case.lagging, "refractory"], name="starts"),
            ][: 3 if case.lagging else 2],
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
                    "variables": [*case.states.values(), *case.currents, *case.lagging],
                    "every": round(max(self.dt, 0.2) / self.dt),
                },
                "synapses": {
                    prefix: {"receptor_type": 0 if case.signed else f"{prefix}_receptor"}
                    for prefix in ("input", "edge")
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


def compare(case: Case, dt: float, edge: bool, run_nest: RunNest, path: Path) -> str:
    """Compare spikes and states with NEST's; return how far apart they are."""
    driven = Driven(case, dt, edge)
    expected = driven.nest(run_nest)
    reader = driven.ours(path, expected)
    step, gid = reader.spikes(0, driven.steps)
    lates = []
    for neuron in range(0, N, 2):
        theirs = expected["spike_step"][expected["spike_neuron"] == neuron]
        ours = step[gid == neuron].astype(np.int64)
        if not case.exact:
            theirs, ours = theirs[:SPIKES], ours[:SPIKES]
        assert theirs.size == ours.size, (neuron, theirs, ours)
        lates.append(np.abs(ours - theirs))
    late = np.concatenate(lates)
    if case.smooth:
        # at dt = 1 ms, few action potentials are above 0 mV at the end of a step in which they fall
        ours, theirs = reader.state("neurons").variables["V_m"][:, ::2], expected["V_m"][:, ::2]
        assert np.ptp(theirs, axis=0).min() > 50.0
        whole = np.abs(ours - theirs).max()
        assert whole < case.smooth, whole
    else:
        assert late.size >= SETS * SPIKES // 2
    quiet = expected["spike_neuron"] % 2 * (expected["spike_neuron"] < N)
    assert not np.any(quiet) and not np.any(gid % 2)
    compared = slice(None) if case.exact else slice(1, None, 2)
    traces = reader.state("neurons").variables
    same = np.ones((driven.steps + 1, N + len(driven.gates)), bool)
    same[expected["spike_step"], expected["spike_neuron"]] = not case.late_reset
    same = same[expected["state_step"], :N]
    apart = {
        ours: np.abs((traces[ours][:, :] - expected[theirs]) * same)[:, compared].max()
        for ours, theirs in case.states.items()
    }
    spread = {
        ours: np.ptp(expected[theirs][:, 1 - case.exact :: 2], axis=0).min()
        for ours, theirs in case.states.items()
    }
    has_input = driven.has_input(expected)[:, compared]
    assert 0.02 < has_input.mean() < 0.8
    for one in case.currents:
        difference = np.abs(traces[one][:, compared] + expected[one][:, compared])
        apart[one] = difference[~has_input].max()
        spread[one] = np.ptp(expected[one][:, compared], axis=0).min()
        assert difference[has_input].max() > 0.5
    if case.lagging:
        before = expected["state_step"][1:] - 2
        start = {k: array[:, :][before] for k, array in reader.state("starts").variables.items()}
        is_free = start["refractory"] == 0
        assert is_free.mean() > 0.5
        for one in case.lagging:
            apart[one] = np.abs(start[one] - expected[one][1:])[is_free].max()
            spread[one] = np.ptp(expected[one], axis=0).min()
    if case.exact:
        found = driven.ours(path.with_suffix(".single"), expected, "float32").spikes(
            0, driven.steps
        )
        single, theirs = (
            step.astype(np.int64) * N + neuron
            for step, neuron in (found, (expected["spike_step"], expected["spike_neuron"]))
        )
        assert np.intersect1d(single, theirs).size > 0.9 * max(single.size, theirs.size)
    assert late.max() <= (0 if case.exact else 1)
    for one, difference in apart.items():
        assert difference < (1e-9 if case.exact else 0.001), (one, difference)
        # states move, or they would prove nothing
        assert spread[one] > 0.3, one
    counts = np.bincount(expected["spike_neuron"], minlength=N)
    return " ".join(
        (
            f"{case.model}, dt {dt}, edge {edge}: {np.count_nonzero(late)} of {late.size} spikes",
            f"differ by up to {late.max()} steps (of {counts[:N:2]});",
            f"V_m in action potentials {whole:.1e};" if case.smooth else "",
            *(f"{name} {difference:.1e}" for name, difference in apart.items()),
        )
    )
