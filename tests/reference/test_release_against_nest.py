"""Synapses that release at random beside NEST's of the same name, and beside the exact chances.

Ten sets of parameters, each of many synapses that have a target of their own: how many of them
release how much at each spike is compared with the chain of chances that their equations are.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from distsnn.comm import SingleProcess
from distsnn.io.reader import StoreReader
from distsnn.network import (
    Bernoulli,
    ConnectionList,
    IafPscExp,
    Network,
    PlasticSynapse,
    Population,
    Projection,
    QuantalSTP,
    RecordState,
    SpikeSource,
)
from distsnn.simulation import Simulation

STEPS, TAU_SYN, WEIGHT, DELAY = 1500, 0.5, 16.0, 7
SETS, EACH = 10, 200
N = SETS * EACH
RunNest = Callable[..., dict[str, np.ndarray]]
Floats = npt.NDArray[np.float64]


def train() -> npt.NDArray[np.int64]:
    """Return the steps of a source: pauses of every length, and a burst without a pause."""
    draw = np.random.default_rng(5)
    steps = np.cumsum(np.concatenate([[20], draw.integers(1, 120, 14), np.ones(6, int)]))
    assert steps[-1] + DELAY < STEPS
    return steps


def sets(model: str) -> dict[str, Floats]:
    """Return ten sets of parameters; among them one that never and one that always releases."""
    draw = np.random.default_rng(6)
    if model == "bernoulli_synapse":
        return {"p_transmit": np.concatenate([[0.0, 1.0], draw.random(SETS - 2)])}
    return {
        "n": draw.integers(1, 9, SETS).astype(float),
        "U": np.concatenate([[0.0, 1.0], draw.uniform(0.1, 0.9, SETS - 2)]),
        "tau_rec": draw.uniform(5.0, 200.0, SETS),
        "tau_fac": np.where(draw.random(SETS) < 0.4, 0.0, draw.uniform(1.0, 90.0, SETS)),
    }


def chances(model: str, given: dict[str, float], steps: npt.NDArray[np.int64], dt: float) -> Floats:
    """Return the probability of each number of releases at each spike, (spike, number)."""
    if model == "bernoulli_synapse":
        p = given["p_transmit"]
        return np.tile([1.0 - p, p], (steps.size, 1))
    n, u = int(given["n"]), 0.0
    full = np.zeros(n + 1)
    full[n] = 1.0
    found = np.zeros((steps.size, n + 1))
    for spike, pause in enumerate(np.diff(steps, prepend=steps[0]) * dt):
        if spike:
            recovered = 1.0 - np.exp(-pause / given["tau_rec"])
            full = sum(full[a] * np.pad(binomial(n - a, recovered), (a, 0)) for a in range(n + 1))
        fading = np.exp(-pause / given["tau_fac"]) if given["tau_fac"] else 0.0
        u = given["U"] + u * (1.0 - given["U"]) * fading
        left = np.zeros(n + 1)
        for a in range(n + 1):
            released = full[a] * binomial(a, u)
            found[spike, : a + 1] += released
            left[: a + 1] += released[::-1]
        full = left
    return found


def binomial(n: int, p: float) -> Floats:
    """Return the probabilities of 0 to n successes."""
    found = np.ones(1)
    for _ in range(n):
        found = np.convolve(found, [1.0 - p, p])
    return found


def released(current: Floats, steps: npt.NDArray[np.int64], dt: float) -> Floats:
    """Return how many sites released, (spike, synapse), given the currents that they make."""
    before, after = (current[steps + DELAY - 1 - one] for one in (1, 0))
    found = (after - np.exp(-dt / TAU_SYN) * before) / WEIGHT
    np.testing.assert_allclose(found, np.rint(found), atol=1e-9)
    return np.rint(found)


def of_nest(model: str, given: dict[str, Floats], dt: float, run_nest: RunNest) -> Floats:
    parameters = {"V_th": 1e9, "tau_syn_ex": TAU_SYN, "E_L": -70.0}
    arrays = {name: np.repeat(values, EACH) for name, values in given.items()}
    if model == "quantal_stp_synapse":
        arrays |= {"n": arrays["n"].astype(int), "a": arrays["n"].astype(int), "u": arrays["U"]}
    steps = train()
    return run_nest(
        {
            "resolution": dt,
            "steps": STEPS,
            "populations": [{"model": "iaf_psc_exp", "size": N, "parameters": parameters}],
            "synapses": {"input": {"synapse_model": model} | {name: name for name in arrays}},
            "state": {"variables": ["I_syn_ex"], "every": 1},
        },
        train_source=np.zeros_like(steps),
        train_step=steps,
        input_source=np.zeros(N, int),
        input_target=np.arange(N),
        input_weight=np.full(N, WEIGHT),
        input_delay=np.full(N, DELAY),
        state_neurons=np.arange(N),
        **arrays,
    )["I_syn_ex"]


def of_the_engine(synapse: PlasticSynapse, dt: float, path: Path) -> Floats:
    neuron = IafPscExp(V_th=1e9, tau_syn_ex=TAU_SYN, E_L=-70.0)
    targets = Population("T", N, neuron, precision="float64")
    steps = train()
    source = Population("S", 1, SpikeSource(steps * dt, np.zeros_like(steps)))
    edges = ConnectionList(np.zeros(N, int), np.arange(N))
    network = Network(
        [source, targets],
        [Projection(source, targets, edges, WEIGHT, DELAY * dt, synapse=synapse)],
        recordings=[RecordState(targets, "I_syn_ex")],
        dt=dt,
    )
    with Simulation(network, out=path, communicator=SingleProcess(), seed=3) as simulation:
        simulation.run(STEPS * dt)
    return np.asarray(StoreReader(path).state("T").variables["I_syn_ex"][:, :])


@pytest.mark.parametrize(
    "dt", [0.1, *(pytest.param(dt, marks=pytest.mark.ci) for dt in (0.05, 1.0))]
)
@pytest.mark.parametrize("model", ["bernoulli_synapse", "quantal_stp_synapse"])
def test_release_has_the_chances_that_it_has_in_nest(
    model: str, dt: float, run_nest: RunNest, tmp_path: Path
) -> None:
    given, steps = sets(model), train()
    kind = Bernoulli if model == "bernoulli_synapse" else QuantalSTP
    synapse = kind(**{name: np.repeat(values, EACH) for name, values in given.items()})
    currents = {
        "ours": of_the_engine(synapse, dt, tmp_path / "run.zarr"),
        "NEST's": of_nest(model, given, dt, run_nest),
    }
    for whose, current in currents.items():
        number = released(current, steps, dt).reshape(steps.size, SETS, EACH)
        squares = []
        for one in range(SETS):
            exact = chances(model, {name: values[one] for name, values in given.items()}, steps, dt)
            counts = np.stack(
                [(number[:, one] == k).sum(axis=1) for k in range(exact.shape[1])], axis=1
            )
            assert (counts.sum(axis=1) == EACH).all(), whose
            assert (counts[exact < 1e-12] == 0).all(), whose
            seen = np.minimum(exact, 1.0 - exact) * EACH >= 4.0
            error = counts[seen] - EACH * exact[seen]
            squares.append(error**2 / (EACH * exact[seen] * (1.0 - exact[seen])))
        every = np.concatenate(squares)
        print(f"{model}, dt {dt}, {whose}: {every.size} chances, mean square {every.mean():.3f}")
        assert every.size > 100
        assert every.max() < 20.0, whose
        # the mean of each square is 1
        assert abs(every.mean() - 1.0) < 5.0 * np.sqrt(2.0 / every.size), whose
