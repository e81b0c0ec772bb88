"""Rules that say what a spike transmits: against their equations, and at random.

All tests share one rule, so that one set of kernels is compiled.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from distsnn.analysis import open_run
from distsnn.comm import SingleProcess
from distsnn.errors import DistsnnError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    ConnectionList,
    IafPscExp,
    Network,
    ParrotNeuron,
    PlasticityModel,
    Population,
    Projection,
    RecordState,
    RecordWeights,
    SpikeSource,
)
from distsnn.simulation import Simulation

DT, STEPS, TAU_SYN, W, N, REST = 0.1, 400, 0.5, 8.0, 60, 0.9
# all releases are alike
EVEN = {"rest": 1.0, "used": 0.0, "step": 0.0}
TRAIN = np.array([3, 4, 5, 40, 41, 140, 300])
DELAY = 12
RELEASING = PlasticityModel(
    traces="""
        dx/dt = (rest - x - y)/tau_x : 1 (synapse)
        dy/dt = -y/tau_y : 1 (synapse)
    """,
    on_pre="""
        sent = where(uniform() < p, gain*w*x, 0)
        y += used*x
        x -= used*x
        w = clip(w + step, 0, w_max)
    """,
    transmit="sent",
    parameters={
        "rest": (REST, "1"),
        "tau_x": (20.0, "ms"),
        "tau_y": (3.0, "ms"),
        "p": (1.0, "1", ">= 0 and <= 1"),
        "gain": (1.0, "1"),
        "used": (0.4, "1"),
        "step": (0.5, "pA"),
    },
    name="releasing",
)
Floats = npt.NDArray[np.float64]


def network(relayed: bool = False, n: int = N, **given: float) -> Network:
    """Return a source, n synapses onto each of N neurons, and records of what they receive."""
    targets = Population("T", N, IafPscExp(V_th=1e9, tau_syn_ex=TAU_SYN), precision="float64")
    lead = 10 * relayed
    source = Population("S", 1, SpikeSource((TRAIN - lead + 20) * DT, np.zeros_like(TRAIN)))
    relay = Population("R", 1, ParrotNeuron())
    edges = ConnectionList(np.zeros(n, int), np.arange(n) % N)
    synapse = RELEASING(**{"w_max": 20.0, "precision": "float64", **given})
    twice = Projection(source, relay, ConnectionList([0, 0], [0, 0]), 1.0, lead * DT or 1.0)
    learning = Projection(
        *(relay if relayed else source, targets, edges, W, DELAY * DT),
        **{"synapse": synapse, "weight_bits": 30, "name": "S->T"},
    )
    return Network(
        [source, relay, targets],
        [learning, twice],
        recordings=[RecordState(targets, "I_syn_ex"), RecordWeights("S->T", 1.0, ("weight", "x"))],
    )


def received(path: Path, *, last: int = STEPS) -> Floats:
    """Return what a spike of the source added to each neuron's current, (spike, neuron)."""
    current = np.asarray(StoreReader(path).state("T").variables["I_syn_ex"][:, :])
    current = np.concatenate([np.zeros((1, N)), current])
    at = (TRAIN + 20 + DELAY)[last >= TRAIN + 20 + DELAY]
    return current[at] - np.exp(-DT / TAU_SYN) * current[at - 1]


def simulated(path: Path, described: Network, **given: Any) -> Floats:
    with Simulation(described, out=path, communicator=SingleProcess(), **given) as simulation:
        simulation.run(STEPS * DT)
    return received(path)


def relaxed(x: float, y: float, h: float, tau_x: float, tau_y: float) -> tuple[float, float]:
    """Return x and y after h ms, in closed form; x relaxes to REST - y."""
    fade_x, fade_y = np.exp(-h / tau_x) if tau_x else float(h == 0.0), np.exp(-h / tau_y)
    if tau_x == tau_y:
        return REST + fade_x * (x - REST - y * h / tau_x), y * fade_y
    # what is left of x decays by itself
    share = y / (1.0 - tau_x / tau_y)
    return REST - share * fade_y + (x - REST + share) * fade_x, y * fade_y


def integrated(tau_x: float, tau_y: float, learns: int = TRAIN.size) -> tuple[Floats, float]:
    """Return what spikes transmit, of which the first change the weight, and x at the end."""
    x, y, w, before, sent = REST, 0.0, W, TRAIN[0], []
    for spike, step in enumerate(TRAIN):
        x, y = relaxed(x, y, (step - before) * DT, tau_x, tau_y)
        sent.append(w * x)
        x, y, before = x - 0.4 * x, y + 0.4 * x, step
        w = min(w + 0.5, 20.0) if spike < learns else w
    return np.array(sent), relaxed(x, y, (STEPS - 20 - before) * DT, tau_x, tau_y)[0]


@pytest.mark.parametrize(
    ("tau_x", "tau_y"), [(20.0, 3.0), (3.0, 20.0), (7.0, 7.0), (7.0, 7.0 + 1e-9), (0.0, 5.0)]
)
def test_states_relax_as_their_equations_do(tmp_path: Path, tau_x: float, tau_y: float) -> None:
    path = tmp_path / "run.zarr"
    found = simulated(path, network(tau_x=tau_x, tau_y=tau_y))
    sent, left = integrated(tau_x, 7.0 if tau_x == 7.0 else tau_y)
    np.testing.assert_allclose(found, np.tile(sent[:, None], N), rtol=1e-6, atol=1e-7)
    recorded = np.asarray(open_run(path).weights("S->T")["x"])
    np.testing.assert_allclose(recorded[0], REST, rtol=1e-12)
    np.testing.assert_allclose(recorded[-1], left, rtol=1e-9)


def test_without_learning_states_follow_spikes_and_weights_stay(tmp_path: Path) -> None:
    path = tmp_path / "run.zarr"
    with Simulation(network(), out=path, communicator=SingleProcess()) as simulation:
        simulation.run(8.0)
        simulation["S->T"].learning = False
        simulation.run((STEPS - 80) * DT)
        np.testing.assert_allclose(simulation["S->T"].weights, W + 5 * 0.5)
    sent, _ = integrated(20.0, 3.0, learns=5)
    np.testing.assert_allclose(received(path), np.tile(sent[:, None], N), rtol=1e-6, atol=1e-7)


def test_each_synapse_of_a_pair_draws_for_itself(tmp_path: Path) -> None:
    # without use and learning a neuron receives W as often as its 4 synapses release
    described = network(n=4 * N, p=0.3, **EVEN)
    found = simulated(tmp_path / "a.zarr", described) / W
    np.testing.assert_allclose(found, np.rint(found), atol=1e-6)
    counts = np.bincount(np.rint(found).astype(int).ravel(), minlength=5)
    exact = found.size * np.array([0.2401, 0.4116, 0.2646, 0.0756, 0.0081])
    assert np.abs((counts - exact) / np.sqrt(exact)).max() < 4.0
    np.testing.assert_array_equal(simulated(tmp_path / "b.zarr", described) / W, found)
    assert (simulated(tmp_path / "c.zarr", described, seed=2) / W != found).any()


def test_each_spike_of_a_relay_in_one_step_is_drawn_for_itself(tmp_path: Path) -> None:
    found = simulated(tmp_path / "run.zarr", network(True, p=0.5, **EVEN)) / W
    counts = np.bincount(np.rint(found).astype(int).ravel(), minlength=3)
    exact = found.size * np.array([0.25, 0.5, 0.25])
    assert np.abs((counts - exact) / np.sqrt(exact)).max() < 4.0


@pytest.mark.parametrize("gain", [2.6, -0.1])
def test_a_run_stops_that_transmits_what_is_beyond_the_bounds(tmp_path: Path, gain: float) -> None:
    described = network(gain=gain, n=70, **EVEN)
    with pytest.raises(
        DistsnnError, match=r"S->T.*from gid 0 to gid 2: it transmits a weight, beyond 0 to 20"
    ):
        simulated(tmp_path / "run.zarr", described)


def test_what_rounding_takes_beyond_the_bound_is_the_bound(tmp_path: Path) -> None:
    found = simulated(tmp_path / "run.zarr", network(gain=2.5 * (1.0 + 1e-9), **EVEN))
    np.testing.assert_allclose(found, 20.0, rtol=1e-9)
