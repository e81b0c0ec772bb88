"""The gamma kernel beside a list of the next spikes, and whatever the cuts of its range."""

import numpy as np
from kernel_calls import GammaCall

from distsnn.kernels.gammas import _gamma

MEANS = np.linspace(0.0, 1.5, 128)
STEPS = 30


def test_spikes_of_a_step_are_those_due_before_its_end() -> None:
    order, processes = 3.5, 5
    call = GammaCall(MEANS, order, processes, seed=(7 << 32) | 9)
    chosen = (0, 1, 60, 127)
    clocks = np.zeros(MEANS.size)
    due = {neuron: sorted(call.times[neuron, 1:].tolist()) for neuron in chosen}
    spikes = 0
    for step in range(STEPS):
        counts = call.counts(step)
        clocks += MEANS
        for neuron, times in due.items():
            expected = draw = 0
            while times[0] <= clocks[neuron]:
                words = (np.uint32(neuron), np.uint32(step), np.uint32(0))
                with np.errstate(over="ignore"):  # uncompiled words wrap with a warning
                    interval, draw = _gamma(order, draw, *words, np.uint32(9), np.uint32(7))
                times.append(times.pop(0) + interval)
                times.sort()
                expected += 1
            assert counts[neuron] == expected
            assert sorted(call.times[neuron, 1:].tolist()) == times
            assert call.times[neuron, 0] == clocks[neuron]
            spikes += expected
    assert spikes > 200


def test_cuts_of_the_range_change_nothing() -> None:
    whole, parts = (GammaCall(MEANS, 1.5, 2) for _ in range(2))
    for step in range(STEPS):
        cuts = (64,) if step % 2 else ()
        np.testing.assert_array_equal(whole.counts(step), parts.counts(step, *cuts))
    np.testing.assert_array_equal(whole.times, parts.times)
    assert np.all(whole.times[0, 0] == 0.0) and whole.times[127, 0] > 40.0
