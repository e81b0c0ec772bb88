"""The synfire chain is the published one, and passes on or loses what was published."""

from pathlib import Path

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.examples import synfire
from distsnn.io.reader import StoreReader
from distsnn.network import (
    AllToAll,
    IafPscAlpha,
    Network,
    PoissonInput,
    Population,
    RecordState,
    SpikeInput,
    SpikeSource,
)
from distsnn.simulation import Simulation


def packets(network: Network, folder: Path, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of spikes of every group's packet, and their standard deviations, ms."""
    chain = network.populations[1:]
    with Simulation(network, seed=seed, out=folder / "run.zarr") as simulation:
        simulation.run(synfire.PACKET_AT + 8.0 * len(chain) + 10.0)
    step, gid = StoreReader(folder / "run.zarr").spikes()
    at, sizes, spreads = synfire.PACKET_AT, [], []
    for group in chain:
        first = network.first_gid[group.name]
        own = np.sort(step[(gid >= first) & (gid < first + group.size)] * network.dt)
        # the densest 5 ms around when it is due, if there are spikes
        due = at + synfire.DELAY + 1.5
        near = own[np.abs(own - due) < 7.5]
        packets = [near[(near >= begin) & (near < begin + 5.0)] for begin in near]
        found = max(packets, key=len, default=np.empty(0))
        at = float(found.mean()) if found.size else due
        sizes.append(found.size)
        spreads.append(float(found.std()) if found.size else 0.0)
    return np.array(sizes), np.array(spreads)


def test_chain_is_the_published_one() -> None:
    network = synfire.build()
    packet, *chain = network.populations
    assert [one.name for one in chain] == [f"G{i}" for i in range(1, 11)]
    assert {one.size for one in chain} == {100}
    assert [(one.pre.population, one.post.population) for one in network.projections] == [
        ("P", "G1"),
        *((f"G{i}", f"G{i + 1}") for i in range(1, 10)),
    ]
    assert all(isinstance(one.rule, AllToAll) for one in network.projections)
    model = chain[0].model
    assert isinstance(model, IafPscAlpha)
    assert (model.tau_m, model.E_L, model.V_th, model.t_ref) == (10.0, -70.0, -55.0, 1.0)
    # 20,000 synapses, 88 % of them excitatory
    assert synfire.EXCITATORY_RATE / 2.0 + synfire.INHIBITORY_RATE / 12.5 == 20000
    assert synfire.EXCITATORY_RATE / 2.0 == 0.88 * 20000
    assert isinstance(packet.model, SpikeSource)
    assert np.unique(packet.model.neurons).size == packet.size == 80
    assert packet.model.times.mean() == pytest.approx(50.0, abs=0.02)
    assert packet.model.times.std() == pytest.approx(1.0, abs=0.03)


def test_potential_of_one_spike_has_the_published_shape(tmp_path: Path) -> None:
    cell = Population("n", 1, synfire.build().populations[1].model, precision="float64")
    once = SpikeInput(cell, [1.0], [0], synfire.WEIGHT)
    network = Network([cell], [], [once], [RecordState(cell, "V_m", interval=0.01)], dt=0.01)
    with Simulation(network, out=tmp_path / "run.zarr") as simulation:
        simulation.run(60.0)
    v = StoreReader(tmp_path / "run.zarr").state("n").variables["V_m"].load(100, 6000)[:, 0] + 70.0
    assert v.max() == pytest.approx(0.14, abs=0.001)
    assert 0.01 * v.argmax() == pytest.approx(1.7, abs=0.05)
    assert 0.01 * (v > 0.5 * v.max()).sum() == pytest.approx(8.5, abs=0.1)


def test_background_makes_the_stated_potentials() -> None:
    chain = synfire.build(groups=1, precision="float64")
    group = chain.populations[1]
    # a threshold that is never reached
    free = Population("G", 500, IafPscAlpha(**vars(group.model) | {"V_th": 0.0}), group.initial)
    stimuli = [PoissonInput(free, one.rate, one.weight) for one in chain.stimuli]
    with Simulation(Network([free], [], stimuli)) as simulation:
        state, found = simulation[free].state, []
        for _ in range(10):
            simulation.run(20.0)
            found.append(state["V_m"])
    assert np.mean(found) == pytest.approx(synfire.E_L + synfire.V_MEAN, abs=0.15)
    assert np.std(found) == pytest.approx(synfire.V_SD, abs=0.1)


@pytest.mark.parametrize(("a", "sigma"), [(80, 1.0), (60, 0.0), (100, 3.0)])
def test_strong_packet_becomes_a_full_and_sharp_one(a: int, sigma: float, tmp_path: Path) -> None:
    sizes, spreads = packets(synfire.build(a=a, sigma=sigma), tmp_path)
    assert sizes[0] < sizes[4:].min()
    assert (sizes[4:] >= 95).all()
    # within a millisecond, however it began
    assert (spreads[4:] < 0.8).all()


@pytest.mark.parametrize(("a", "sigma"), [(40, 0.0), (60, 4.0)])
def test_weak_packet_dies(a: int, sigma: float, tmp_path: Path) -> None:
    # 60 spikes are enough if they come together
    sizes, _ = packets(synfire.build(a=a, sigma=sigma), tmp_path)
    assert sizes[0] < a
    assert (sizes[-3:] < 15).all()


@pytest.mark.parametrize(("width", "survives"), [(75, False), (90, True)])
def test_groups_need_ninety_neurons(width: int, survives: bool, tmp_path: Path) -> None:
    sizes, _ = packets(synfire.build(groups=20, width=width, a=width, sigma=0.0), tmp_path)
    assert sizes[0] > 0.9 * width
    if survives:
        assert (sizes > 0.9 * width).all()
    else:
        assert (sizes[-3:] < 15).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 0}, "synfire, groups: too few; given 0"),
        ({"width": 0}, "synfire, width: too few"),
        ({"a": 0}, "synfire, a: too few"),
        ({"sigma": -1.0}, "synfire, sigma: out of range; given -1.0"),
        ({"sigma": 40.0}, "synfire, sigma: out of range"),
        ({"sigma": float("nan")}, "synfire, sigma: out of range"),
    ],
)
def test_chain_that_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        synfire.build(**options)
