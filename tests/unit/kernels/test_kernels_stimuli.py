"""Given spikes, currents and probes, entry by entry."""

import numpy as np
import pytest
from kernel_calls import counters
from scipy import stats

from distsnn.engine.kernel_calls import KernelCall, invoke
from distsnn.kernels import emission, rows, stimuli

N = 192


@pytest.mark.parametrize("row_bits", [32, 64])
def test_given_spikes_arrive_in_their_loops(row_bits: int) -> None:
    steps = np.array([0, 2, 2, 2, 5, 9, 9], np.int64)
    targets = np.array([3, 0, 63, 63, 1, 2, 2], np.int64)
    weights = np.array([5, -7, 1, 10, 4, 100, -1], np.int64) * (1 if row_bits == 32 else 2**33)
    ring = np.zeros((4, N), np.int32 if row_bits == 32 else np.int64)
    call = KernelCall(
        stimuli.listed_spikes(row_bits), np.zeros(stimuli.SPIKES_TABLE_SIZE, np.int64), 64, 128
    )
    call.bind(rows.RING, ring)
    call.table[rows.MASK], call.table[rows.STRIDE] = 3, N
    call.bind(stimuli.EVENT_STEPS, steps)
    call.bind(stimuli.EVENT_TARGETS, targets)
    call.bind(stimuli.EVENT_WEIGHTS, weights)
    call.table[stimuli.N_EVENTS] = steps.size
    # loop 5 is passed over: its event is lost, and no later one
    for loop in (0, 1, 2, 3, 4, 6, 7, 8, 9, 10):
        ring[:] = 0
        assert invoke(call, loop) == 0
        expected = np.zeros(N, np.int64)
        due = steps == loop
        np.add.at(expected, 64 + targets[due], weights[due])
        np.testing.assert_array_equal(ring[loop & 3], expected)
        assert np.count_nonzero(ring) == np.count_nonzero(expected)


def _current(entry, n: int, real: str, **arrays) -> KernelCall:
    call = KernelCall(entry, np.zeros(stimuli.CURRENT_TABLE_SIZE, np.int64), 0, n)
    call.bind(stimuli.CURRENT, arrays.pop("current"))
    for name, values in arrays.items():
        call.bind(getattr(stimuli, name.upper()), values)
    return call


@pytest.mark.parametrize("real", ["float32", "float64"])
def test_currents_are_cleared_and_added_in_their_range(real: str) -> None:
    current = np.full(N, 7.0, real)
    amplitudes = np.linspace(-1.0, 1.0, N)
    invoke(_current(stimuli.clear_current(real), N, real, current=current), 0, 64, 128)
    call = _current(stimuli.add_current(real), N, real, current=current, amplitudes=amplitudes)
    assert invoke(call, 0, 64, 192) == 0
    expected = np.full(N, 7.0, real)
    expected[64:128] = 0.0
    expected[64:] += amplitudes[64:].astype(real)
    np.testing.assert_array_equal(current, expected)


@pytest.mark.parametrize("real", ["float32", "float64"])
def test_noise_is_normal_keyed_by_neuron_and_interval(real: str) -> None:
    n = 4096
    means, deviations = np.linspace(0.0, 5.0, n), np.where(np.arange(n) % 5 == 0, -1.0, 2.0)
    current = np.zeros(n, real)
    call = _current(
        stimuli.add_noise(real),
        n,
        real,
        current=current,
        amplitudes=means,
        deviations=deviations,
        counters=counters(n),
        held=np.zeros(n),
        drawn=np.full(n // 64, -1),
    )
    call.table[stimuli.INTERVAL], call.table[stimuli.ORIGIN] = 5, 13
    samples = []
    for loop in range(13, 63):
        current[:] = 0.0
        invoke(call, loop, 0, 1024)
        invoke(call, loop, 1024, n)
        samples.append(current.astype(np.float64))
    found = np.array(samples).reshape(10, 5, n)
    assert np.all(found == found[:, :1])
    assert not found[:, :, ::5].any()
    z = ((found[:, 0] - means) / 2.0)[:, np.arange(n) % 5 != 0]
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-5
    assert abs(np.corrcoef(z[:-1].ravel(), z[1:].ravel())[0, 1]) < 5.0 / np.sqrt(z.size)
    # the same in any order of loops, as after a resume
    current[:] = 0.0
    invoke(call, 20)
    np.testing.assert_array_equal(current, found[1, 0])
    call.table[stimuli.STIMULUS_ID] = 1
    current[:] = 0.0
    invoke(call, 13)
    assert np.mean(current == found[0, 0]) < 0.3


@pytest.mark.parametrize("kind", ["float32", "float64", "int32"])
def test_probes_fill_one_row_after_another(kind: str) -> None:
    states, samples = np.arange(N).astype(kind), np.full((4, 3), -1, kind)
    chosen, n_rows = np.array([5, 64, 191]), np.zeros(1, np.int64)
    call = KernelCall(stimuli.probe(kind), np.zeros(stimuli.PROBE_TABLE_SIZE, np.int64), 0, N)
    call.bind(stimuli.SOURCE, states)
    call.bind(stimuli.NEURONS, chosen)
    call.table[stimuli.N_NEURONS] = 3
    call.bind(stimuli.SAMPLES, samples)
    call.bind(stimuli.N_ROWS, n_rows)
    for loop in range(3):
        assert invoke(call, loop) == 0
        states += states.dtype.type(1)
    np.testing.assert_array_equal(samples, [[5, 64, 191], [6, 65, 192], [7, 66, 193], [-1] * 3])
    assert n_rows[0] == 3


def test_a_spike_source_emits_its_events_in_order() -> None:
    steps = np.array([0, 0, 3, 4, 4], np.int64)
    gids = np.array([7, 9, 8, 2**32 - 1, 5], np.uint32)
    emitted, count = np.zeros(8, np.uint32), np.array([1])
    call = KernelCall(emission.spike_source, np.zeros(emission.SOURCE_TABLE_SIZE, np.int64), 0, 64)
    call.bind(emission.EMITTED, emitted)
    call.bind(emission.N_EMITTED, count)
    call.bind(emission.EVENT_STEPS, steps)
    call.bind(emission.EVENT_GIDS, gids)
    call.table[emission.N_EVENTS] = 5
    for loop in range(6):
        assert invoke(call, loop) == 0
    # after what was emitted before
    np.testing.assert_array_equal(emitted, [0, *gids, 0, 0])
    assert count[0] == 6
