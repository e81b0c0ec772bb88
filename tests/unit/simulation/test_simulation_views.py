"""Views of neurons that are not consecutive: strides, lists and masks.

A stimulus of a view is the same as one of the whole population whose values are 0 elsewhere, and a
recording or handle of a view shows these neurons of the whole.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from thread_ranks import run as run_ranks

from distsnn import open_run
from distsnn.comm import Communicator
from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.io.summary import read_run_info
from distsnn.network import (
    ConstantCurrent,
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    PopulationView,
    RecordSpikes,
    RecordState,
    SpikeInput,
)
from distsnn.simulation import RunPolicy, Simulation

N = 150
E = Population("E", N, IafPscExp())
MASK = np.arange(N) % 7 == 3
INDICES = [1, 5, 64, 149]
RATES = np.linspace(2000.0, 9000.0, N)


def network(views: bool) -> Network:
    """Return a network whose stimuli have views, or the same with values of the whole."""
    strided, listed = np.zeros(N), np.zeros(N)
    strided[::2], listed[INDICES] = RATES[::2], [300.0, 400.0, 500.0, 600.0]
    neurons = np.arange(MASK.sum()).repeat(3)
    times = np.tile([3.0, 5.0, 8.0], MASK.sum())
    if views:
        stimuli = [
            PoissonInput(E[::2], RATES[::2], 50.0, name="noise"),
            ConstantCurrent(E[INDICES], listed[INDICES], name="drive"),
            SpikeInput(E[MASK], times, neurons, 700.0),
        ]
    else:
        stimuli = [
            PoissonInput(E, strided, 50.0, name="noise"),
            ConstantCurrent(E, listed, name="drive"),
            SpikeInput(E, times, np.flatnonzero(MASK)[neurons], 700.0),
        ]
    recordings: list[Any] = [RecordSpikes(E), RecordState(E, "V_m", interval=1.0)]
    if views:
        recordings = [
            *(RecordSpikes(E[::3]), RecordSpikes(E[1::3]), RecordSpikes(E[[2, 5, 8]])),
            *(RecordState(E[MASK], "V_m", interval=1.0), RecordState(E[[0, 9]], "V_m", name="two")),
        ]
    return Network([E], [], stimuli, recordings)


RECORDED = np.flatnonzero((np.arange(N) % 3 < 2) | np.isin(np.arange(N), [2, 5, 8]))


def simulated(folder: Path, views: bool) -> Path:
    path = folder / f"{views}.zarr"
    with Simulation(network(views), out=path) as simulation:
        simulation.run(50.0)
    return path


def test_stimuli_and_recordings_of_views_are_those_of_the_whole(tmp_path: Path) -> None:
    whole, part = simulated(tmp_path, False), simulated(tmp_path, True)
    step, gid = StoreReader(whole).spikes()
    mine = np.isin(gid, RECORDED)
    assert 100 < mine.sum() < gid.size
    found = StoreReader(part).spikes()
    np.testing.assert_array_equal(found, (step[mine], gid[mine]))
    traces = open_run(part).state(f"E_3_144_{_checksum(MASK)}")
    all_traces = open_run(whole).state("E")
    assert traces.neuron.values.tolist() == np.flatnonzero(MASK).tolist()
    np.testing.assert_array_equal(
        traces.V_m.values, all_traces.V_m.sel(neuron=traces.neuron.values).values
    )
    assert open_run(part).state("two").gid.values.tolist() == [0, 9]
    rate = mine.sum() / RECORDED.size / 0.05
    assert read_run_info(part).rates["E"] == pytest.approx(rate)
    rates = open_run(part).rates("E")
    assert rates.size == RECORDED.size and float(rates.mean()) == pytest.approx(rate)
    assert Network.from_dict(*StoreReader(part).network()) == network(True)


def _checksum(mask: np.ndarray) -> str:
    return PopulationView("E", neurons=np.flatnonzero(mask)).path_name.rpartition("_")[2]


def _work(ranks: Communicator) -> list[Any]:
    with Simulation(
        network(True), communicator=ranks, policy=RunPolicy(heartbeat_timeout=np.inf)
    ) as simulation:
        part, whole = simulation[E[MASK]], simulation["E"]
        assert simulation[E[MASK]] is part and simulation[E[::2]] is not part
        part.state["V_m"] = np.linspace(-69.0, -56.0, MASK.sum())
        part.parameters["tau_m"] = 12.0
        simulation["noise"].parameters["rate"] = 2.0 * RATES[::2]
        before = whole.state["V_m"], whole.parameters["tau_m"]
        simulation.run(20.0)
        counts = whole.spike_counts()
        step, gid = part.spikes()
        all_step, all_gid = whole.spikes()
        mine = MASK[all_gid]
        np.testing.assert_array_equal(part.spike_counts(), counts[MASK])
        np.testing.assert_array_equal((step, gid), (all_step[mine], all_gid[mine]))
        np.testing.assert_array_equal(part.state["V_m"], whole.state["V_m"][MASK])
        return [*before, counts, step, gid]


def test_handles_of_views_are_the_same_on_all_ranks() -> None:
    (alone,), _ = run_ranks(1, _work)
    potential, tau_m, counts, *_ = alone
    np.testing.assert_allclose(potential[MASK], np.linspace(-69.0, -56.0, MASK.sum()), rtol=1e-6)
    assert (potential[~MASK] == -70.0).all()
    np.testing.assert_array_equal(tau_m, np.where(MASK, 12.0, 10.0))
    assert counts.sum() > 50
    for found in run_ranks(3, _work)[0]:
        for expected, values in zip(alone, found, strict=True):
            np.testing.assert_array_equal(values, expected)


def test_spikes_of_a_neuron_are_recorded_once() -> None:
    recordings = [RecordSpikes(E[::2]), RecordSpikes(E[1::2]), RecordSpikes(E[:146:4])]
    with pytest.raises(DescriptionError, match=r"recorded twice; .*E\[0:145:4\].*E\[0:149:2\]"):
        Network([E], recordings=recordings)


def test_handles_of_views_with_equal_checksums_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distsnn.network.populations.zlib.crc32", lambda data: 0)
    first, other = (E[[*range(0, 40, 4), 47, last]] for last in (90, 100))
    assert first.text == other.text
    with Simulation(network(views=True)) as simulation:
        simulation[first].state["V_m"] = -60.0
        simulation[other].state["V_m"] = -65.0
        assert simulation["E"].state["V_m"][[47, 90, 100]].tolist() == [-65.0, -60.0, -65.0]
