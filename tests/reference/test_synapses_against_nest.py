"""Synapse models beside NEST's of the same name: what every spike adds, and all that follows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    ConnectionList,
    IafPscExp,
    Network,
    PlasticSynapse,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeSource,
    SynapseModel,
    Tsodyks,
    Tsodyks2,
    Tsodyks2BySynapse,
)
from distsnn.simulation import Simulation

STEPS, TAU_SYN = 20_000, 0.5
N_SOURCES, N, SYNAPSES = 12, 30, 80
RunNest = Callable[..., dict[str, np.ndarray]]
# what is added is rounded to a quantum, whatever the factor: the finest that there is
BITS = 30


def parameters_of(n: int) -> dict[str, np.ndarray]:
    """Return random parameters; some do not facilitate, some release all or nothing."""
    draw = np.random.default_rng(14)
    given = {
        "U": np.clip(draw.uniform(-0.1, 1.1, n), 0.0, 1.0),
        "tau_rec": draw.uniform(20.0, 800.0, n),
        "tau_fac": np.where(draw.random(n) < 0.3, 0.0, draw.uniform(1.0, 900.0, n)),
    }
    given["tau_rec"][:2] = 0.05, 1e5
    return given


TAU_PSC = np.random.default_rng(15).uniform(0.5, 60.0, SYNAPSES)
# NEST divides by the difference of these, and gets numbers that are none
TAU_PSC[5:15] = parameters_of(SYNAPSES)["tau_rec"][5:15]
MODELS = {
    "depressing": Tsodyks2(U=0.5, tau_rec=800.0, tau_fac=0.0),
    "facilitating": Tsodyks2(U=0.05, tau_rec=50.0, tau_fac=600.0),
    "each source its own": Tsodyks2(**parameters_of(N_SOURCES)),
    "each synapse its own": Tsodyks2BySynapse(**parameters_of(SYNAPSES), precision="float64"),
    "three states": Tsodyks(
        **parameters_of(SYNAPSES),
        tau_psc=TAU_PSC,
        precision="float64",
    ),
}


def trains(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return (source, step) of regular, irregular and bursting sources; the last is silent."""
    found = [(np.zeros(40, np.int64), np.arange(1, 41) * 500)]
    for source in range(1, N_SOURCES - 3):
        step = np.unique(random.integers(2, STEPS - 100, 60))
        found.append((np.full(step.size, source), step))
    bursts = np.concatenate([np.arange(first, first + 6) for first in (2, 4000, 4100, 19000)])
    found.append((np.full(bursts.size, N_SOURCES - 3), bursts))
    found.append((np.array([N_SOURCES - 2]), np.array([9000])))
    source, step = (np.concatenate(column) for column in zip(*found, strict=True))
    return source.astype(np.int64), step.astype(np.int64)


def synapses(
    random: np.random.Generator, n: int, sources: int, weight: float, longest: int
) -> tuple[np.ndarray, ...]:
    return (
        random.integers(0, sources, n),
        random.integers(0, N, n),
        weight * random.uniform(0.5, 1.5, n),
        random.integers(1, longest, n),
    )


def projection(
    pre: Population,
    post: Population,
    edges: tuple[np.ndarray, ...],
    synapse: SynapseModel | None,
    dt: float = 0.1,
) -> Projection:
    source, target, weight, delay = edges
    rule = ConnectionList(source, target)
    return Projection(
        pre, post, rule, weight, delay * dt, weight_bits=BITS, synapse=synapse, receptor="ex"
    )


def arrays(**edges: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
    return {
        f"{prefix}_{name}": column
        for prefix, columns in edges.items()
        for name, column in zip(("source", "target", "weight", "delay"), columns, strict=True)
    }


def of_each_synapse(model: SynapseModel, source: np.ndarray) -> tuple[str, dict[str, np.ndarray]]:
    """Return NEST's model and its parameters of synapses; Tsodyks2's first spike uses u, not U."""
    given = {name: np.asarray(model.value(name)) for name in model.parameters()}
    if isinstance(model, Tsodyks):
        given["tau_psc"] = given["tau_psc"] * np.where(given["tau_rec"] == TAU_PSC, 1 + 1e-7, 1.0)
    name = "tsodyks_synapse" if isinstance(model, Tsodyks) else "tsodyks2_synapse"
    given |= {} if isinstance(model, Tsodyks) else {"u": np.asarray(model.value("U"))}
    return name, {
        name: np.broadcast_to(value[source] if value.size == N_SOURCES else value, source.size)
        for name, value in given.items()
    }


def simulated(network: Network, path: Path) -> StoreReader:
    with Simulation(network, out=path, communicator=SingleProcess()) as simulation:
        simulation.run(STEPS * network.dt)
    return StoreReader(path)


def neurons(threshold: float, **more: float) -> tuple[Population, dict[str, object]]:
    """Return float64 neurons, for distsnn and for NEST."""
    parameters = {"V_th": threshold, "tau_syn_ex": TAU_SYN, "E_L": -70.0, **more}
    ours = Population("neurons", N, IafPscExp(**parameters), precision="float64")
    return ours, {"model": "iaf_psc_exp", "size": N, "parameters": {"V_m": -70.0, **parameters}}


# other steps where all parameters differ
RUNS: list[Any] = [(name, 0.1) for name in MODELS]
RUNS += [
    pytest.param(name, dt, marks=pytest.mark.ci) for dt in (0.05, 1.0) for name in [*MODELS][2:]
]


@pytest.mark.parametrize(("name", "dt"), RUNS)
def test_every_spike_adds_what_it_adds_in_nest(
    name: str, dt: float, run_nest: RunNest, tmp_path: Path
) -> None:
    model, random = MODELS[name], np.random.default_rng(12)
    source, step = trains(random)
    edges = synapses(random, SYNAPSES, N_SOURCES, 100.0, 3000)
    ours, theirs = neurons(1e6)
    decay = np.exp(-dt / TAU_SYN)
    nest_model, own = of_each_synapse(model, edges[0])
    expected = run_nest(
        {
            "resolution": dt,
            "steps": STEPS,
            "populations": [theirs],
            "synapses": {"input": {"synapse_model": nest_model} | {n: n for n in own}},
            "state": {"variables": ["I_syn_ex"], "every": 1},
        },
        train_source=source,
        train_step=step,
        state_neurons=np.arange(N),
        **arrays(input=edges),
        **own,
    )["I_syn_ex"]
    sources = Population("sources", N_SOURCES, SpikeSource(step * dt, source))

    def currents(synapse: SynapseModel, path: Path) -> np.ndarray:
        network = Network(
            [ours, sources],
            [projection(sources, ours, edges, synapse, dt)],
            recordings=[RecordState(ours, "I_syn_ex")],
            dt=dt,
        )
        return np.asarray(simulated(network, path).state("neurons").variables["I_syn_ex"][:, :])

    found = currents(model, tmp_path / "run.zarr")
    added, theirs_added = (current[1:] - decay * current[:-1] for current in (found, expected))
    events = theirs_added > 1e-3
    assert events.sum() > 0.75 * sum(np.sum(source == one) for one in edges[0])
    quantum = 2.0**-BITS * edges[2].max()
    np.testing.assert_allclose(added[events], theirs_added[events], rtol=1e-6, atol=quantum)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=10 * quantum)
    apart = np.abs(added - theirs_added).max() / edges[2].max()
    print(f"{name}, dt {dt}: {events.sum()} events differ by {apart:.2g} of the largest weight")
    if isinstance(model, PlasticSynapse):
        single = currents(replace(model, precision="float32"), tmp_path / "32.zarr")
        apart = np.abs(single[1:] - decay * single[:-1] - theirs_added).max() / edges[2].max()
        print(f"float32: by {apart:.2g} of the largest weight")
        assert apart < 2e-7


def test_nest_has_no_clearance_as_slow_as_recovery(run_nest: RunNest) -> None:
    _, theirs = neurons(1e6)
    one = np.ones(1, int)
    synapse = {"synapse_model": "tsodyks_synapse", "tau_psc": 300.0, "tau_rec": 300.0}
    # of what is recorded, NaN is not allowed
    with pytest.raises(RuntimeError, match="did not record V_m"):
        run_nest(
            {
                "steps": 100,
                "populations": [theirs],
                "synapses": {"input": synapse},
                "state": {"variables": ["V_m"], "every": 1},
            },
            train_source=np.zeros(2, int),
            train_step=np.array([2, 30]),
            state_neurons=one,
            **arrays(input=(0 * one, one, 1.0 * one, one)),
        )


RECURRENT: dict[str, tuple[SynapseModel, dict[str, float | str]]] = {
    "by source": (
        Tsodyks2(U=0.3, tau_rec=300.0, tau_fac=200.0),
        {"synapse_model": "tsodyks2_synapse", "u": 0.3},
    ),
    "by synapse": (
        Tsodyks(U=0.3, tau_rec=300.0, tau_fac=200.0, tau_psc=7.0, precision="float64"),
        {"synapse_model": "tsodyks_synapse", "tau_psc": 7.0},
    ),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_spikes_of_a_recurrent_network_are_nests(
    name: str, run_nest: RunNest, tmp_path: Path
) -> None:
    # given spikes drive the neurons by static synapses, and their own come back by plastic ones
    random = np.random.default_rng(12)
    source, step = trains(random)
    drive = synapses(random, 200, N_SOURCES, 6000.0, 40)
    edges = synapses(random, 300, N, 3000.0, 90)
    model, theirs_model = RECURRENT[name]
    ours, theirs = neurons(-55.0, t_ref=2.0, V_reset=-70.0)
    expected = run_nest(
        {
            "steps": STEPS,
            "populations": [theirs],
            "synapses": {"edge": {"U": 0.3, "tau_rec": 300.0, "tau_fac": 200.0, **theirs_model}},
        },
        train_source=source,
        train_step=step,
        **arrays(input=drive, edge=edges),
    )
    sources = Population("sources", N_SOURCES, SpikeSource(step * 0.1, source))
    network = Network(
        [ours, sources],
        [projection(sources, ours, drive, None), projection(ours, ours, edges, model)],
        recordings=[RecordSpikes(ours)],
    )
    mine = simulated(network, tmp_path / "run.zarr").spikes(0, STEPS)
    assert expected["spike_step"].size > 1000
    np.testing.assert_array_equal(mine[0], expected["spike_step"])
    np.testing.assert_array_equal(mine[1], expected["spike_neuron"])
    static = Network(
        [ours, sources],
        [projection(sources, ours, drive, None)],
        recordings=[RecordSpikes(ours)],
    )
    assert simulated(static, tmp_path / "static.zarr").n_spikes < 0.95 * expected["spike_step"].size
