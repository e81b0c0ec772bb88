"""The parts of engines that the kernels' benchmarks time do what they are timed for."""

from types import ModuleType

import numpy as np
import pytest

from distsnn.network import IafPscDelta, Normal, Population


@pytest.fixture(scope="module")
def setup() -> ModuleType:
    import kernel_setup

    return kernel_setup


def test_push_and_pull_deliver_the_same_events_every_time(setup: ModuleType) -> None:
    size = {"targets": 300, "outdegree": 40, "sources": 100, "steps": 30, "per_step": 5}
    push, pull = setup.Spikes("push", **size), setup.Spikes("pull", **size)
    events = [one.deliver() for one in (push, push, pull, pull)]
    assert len(set(events)) == 1
    assert 0.99 * 30 * 5 * 40 < events[0] <= 30 * 5 * 40


def test_neurons_that_are_timed_do_fire(setup: ModuleType) -> None:
    neuron = IafPscDelta(tau_m=np.linspace(9.0, 11.0, 128), I_e=500.0)
    loops = setup.update_loops(Population("N", 128, neuron, {"V_m": Normal(-60.0, 3.0)}))
    spikes = 0
    for _ in range(300):
        loops.run(1)
        spikes += int(loops.count[0])
    assert loops.elements == 128
    assert spikes > 128


@pytest.mark.parametrize("mean", [1.6, np.full(128, 1.6)], ids=["common", "own"])
def test_poisson_input_that_is_timed_arrives(setup: ModuleType, mean: float | np.ndarray) -> None:
    loops = setup.poisson_loops(128, mean)
    (call,) = loops.calls
    loops.run(200)
    ring = next(one for one in call.referenced_arrays.values() if one.ndim == 2)
    weights = next(
        one for one in call.referenced_arrays.values() if one.ndim == 1 and one.dtype == np.int32
    )
    count = ring[0, :128].sum() / weights[0]
    assert count == pytest.approx(1.6 * 128 * 200, rel=0.05)
