"""Listed spikes and currents as stimuli, and probes that sample states.

Axes: i local neuron, e event.
"""

from functools import cache

import numpy as np
from numba import uint32, uint64

from distsnn.counter_rng import NOISE, philox
from distsnn.jit import KernelEntry, array, kernel_entry
from distsnn.kernels.rows import row_of
from distsnn.kernels.sampling import normal

# Listed spikes: the row (kernels.rows), then
EVENT_STEPS, EVENT_TARGETS, EVENT_WEIGHTS, N_EVENTS, POSITION = 3, 4, 5, 6, 7
SPIKES_TABLE_SIZE = 8

# Currents and noise.
CURRENT, AMPLITUDES, DEVIATIONS, COUNTERS = range(4)
STIMULUS_ID, SEED_LOW, SEED_HIGH, INTERVAL, ORIGIN = range(4, 9)
HELD, DRAWN = 9, 10  # each neuron's current of an interval; the interval of each group's
CURRENT_TABLE_SIZE = 11

# Probes.
SOURCE, NEURONS, N_NEURONS, SAMPLES, N_ROWS = range(5)
PROBE_TABLE_SIZE = 5


@cache
def listed_spikes(row_bits: int) -> KernelEntry:
    """Return the kernel entry that adds listed events, sorted by iteration, to their rows."""
    integer, width = (np.int32, 4) if row_bits == 32 else (np.int64, 8)

    def stimulate(table, scalars, first, last, step):
        steps = array(table[EVENT_STEPS], table[N_EVENTS], np.int64)
        targets = array(table[EVENT_TARGETS], table[N_EVENTS], np.int64)
        weights = array(table[EVENT_WEIGHTS], table[N_EVENTS], np.int64)
        row = row_of(table, first, last, step, integer, width)
        position = table[POSITION]
        while position < steps.size and steps[position] < step:
            position += 1
        while position < steps.size and steps[position] == step:
            row[targets[position]] += weights[position]
            position += 1
        table[POSITION] = position
        return 0

    return kernel_entry(stimulate)


def _real(precision: str) -> tuple[type, int]:
    return (np.float32, 4) if precision == "float32" else (np.float64, 8)


@cache
def clear_current(precision: str) -> KernelEntry:
    """Return the kernel entry that sets the currents of a population to 0 before stimuli act."""
    real, width = _real(precision)

    def stimulate(table, scalars, first, last, step):
        current = array(table[CURRENT] + width * first, last - first, real)
        for i in range(current.size):
            current[i] = 0
        return 0

    return kernel_entry(stimulate)


@cache
def add_current(precision: str) -> KernelEntry:
    """Return the kernel entry that adds one amplitude per neuron (float64, pA) to the currents."""
    real, width = _real(precision)

    def stimulate(table, scalars, first, last, step):
        current = array(table[CURRENT] + width * first, last - first, real)
        amplitudes = array(table[AMPLITUDES] + 8 * first, last - first, np.float64)
        for i in range(current.size):
            current[i] += real(amplitudes[i])
        return 0

    return kernel_entry(stimulate)


@cache
def add_noise(precision: str) -> KernelEntry:
    """Return the kernel entry that adds Gaussian noise, constant for INTERVAL iterations.

    The normal draw of a neuron and interval comes from the Philox block (neuron, interval,
    stimulus, NOISE); AMPLITUDES contain each neuron's mean, DEVIATIONS its standard deviation
    (below 0: the neuron is not a target). HELD (float64) contains the currents of the interval in
    DRAWN (int64, one for 64 neurons; initially -1).
    """
    real, width = _real(precision)

    def stimulate(table, scalars, first, last, step):
        n = last - first
        current = array(table[CURRENT] + width * first, n, real)
        means = array(table[AMPLITUDES] + 8 * first, n, np.float64)
        deviations = array(table[DEVIATIONS] + 8 * first, n, np.float64)
        counters = array(table[COUNTERS] + (first >> 3) * 4, n >> 3, np.uint32)
        held = array(table[HELD] + 8 * first, n, np.float64)
        words = array(table[HELD] + 8 * first, n, np.uint64)
        drawn = array(table[DRAWN] + (first >> 6) * 8, n >> 6, np.int64)
        low, high = uint32(table[SEED_LOW]), uint32(table[SEED_HIGH])
        interval = (step - table[ORIGIN]) // table[INTERVAL]
        number, purpose = uint32(table[STIMULUS_ID]), uint32(NOISE)
        for g in range(n >> 6):
            if drawn[g] == interval:
                continue
            drawn[g] = interval
            start, stop = uint64(64 * g), uint64(64 * g + 64)
            # all random bits, in a vectorised loop; then the currents
            for i in range(start, stop):
                counter = uint32(counters[i >> uint64(3)] * uint32(8) + uint32(i & uint64(7)))
                a, b, _, _ = philox(counter, uint32(interval), number, purpose, low, high)
                words[i] = (uint64(a) << uint64(32)) | uint64(b)
            for i in range(start, stop):
                z = normal(words[i])
                held[i] = means[i] + deviations[i] * z if deviations[i] >= 0.0 else 0.0
        for i in range(n):
            current[i] += real(held[i])
        return 0

    return kernel_entry(stimulate)


@cache
def probe(kind: str) -> KernelEntry:
    """Return the kernel entry that copies a state of selected neurons to the next row of SAMPLES.

    Parameters
    ----------
    kind : {"float32", "float64", "int32"}
        Type of the state and of the samples.
    """
    number, width = {
        "float32": (np.float32, 4),
        "float64": (np.float64, 8),
        "int32": (np.int32, 4),
    }[kind]

    def sample(table, scalars, first, last, step):
        n = table[N_NEURONS]
        states = array(table[SOURCE], last, number)
        neurons = array(table[NEURONS], n, np.int64)
        rows = array(table[N_ROWS], 1, np.int64)
        samples = array(table[SAMPLES] + rows[0] * n * width, n, number)
        for j in range(n):
            samples[j] = states[neurons[j]]
        rows[0] += 1
        return 0

    return kernel_entry(sample)
