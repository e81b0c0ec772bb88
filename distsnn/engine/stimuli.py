"""The calls of stimuli: Poisson input, given spikes, currents."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from distsnn.engine.layout import Layout
from distsnn.engine.populations import InputRing, Neurons
from distsnn.engine.tables import FOREVER, Call
from distsnn.jit import Entry
from distsnn.kernels import poisson
from distsnn.kernels import stimuli as kernels
from distsnn.network import (
    ConstantCurrent,
    NoiseCurrent,
    Piecewise,
    PoissonInput,
    SpikeInput,
    StepCurrent,
    Stimulus,
    View,
)
from distsnn.network.checks import steps_array
from distsnn.network.quanta import Quanta, to_integers
from distsnn.units import steps

Floats = npt.NDArray[np.float64]
CURRENTS = (ConstantCurrent, StepCurrent, NoiseCurrent)


def largest_input(layout: Layout, quanta: Quanta) -> npt.NDArray[np.int64]:
    """Return a bound of what stimuli add to each receptor plane in one step, quanta.

    Returns
    -------
    ndarray of int64, shape (n_planes,)
    """
    network = layout.network
    bound = np.zeros(max(1, *(len(one.model.receptors) for one in network.populations)), np.int64)
    for one in network.stimuli:
        if isinstance(one, PoissonInput):
            plane, weights = _weights(layout, quanta, one, np.asarray(one.weight))
            mean = one.max_rate() * network.dt * 1e-3
            # no count reaches it: the tables end, and rejection's tail is thinner than 2^-64
            most = math.ceil(mean + 12.0 * math.sqrt(mean) + 40.0)
            bound[plane] += most * int(np.abs(weights).max())
        elif isinstance(one, SpikeInput) and one.times.size:
            weight = np.broadcast_to(one.weight, one.times.shape)
            slot = steps_array(one.times, network.dt, where="times") * one.target.size
            for chosen in (weight > 0, weight < 0):
                if chosen.any():
                    _, inverse = np.unique((slot + one.neurons)[chosen], return_inverse=True)
                    plane, weights = _weights(layout, quanta, one, weight[chosen])
                    sums = np.zeros(int(inverse.max()) + 1, np.int64)
                    np.add.at(sums, inverse, np.abs(weights))
                    bound[plane] += int(sums.max())
    return bound


def _weights(
    layout: Layout, quanta: Quanta, one: PoissonInput | SpikeInput, weight: Floats
) -> tuple[int, npt.NDArray[np.int64]]:
    """Return the receptor plane of weights of one sign, and the weights in quanta."""
    name = one.target.population
    model = layout.network.population(name).model
    receptor = one.receptor
    if receptor is None:
        if model.signed_receptors is None:
            receptor = model.receptors[0]
        else:
            receptor = model.signed_receptors[0 if np.all(weight >= 0) else 1]
    integers = to_integers(weight, quanta.exponent[name, receptor])
    return model.receptors.index(receptor), integers


def stimulus_calls(
    layout: Layout,
    quanta: Quanta,
    ring: InputRing,
    neurons: Mapping[str, Neurons],
    seed: int,
) -> list[Call]:
    """Return the calls of all stimuli that reach this rank, in the order of the description.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    quanta : Quanta
        Fixed-point scales.
    ring : InputRing
        Input.
    neurons : mapping of str to Neurons
        Populations by name.
    seed : int
        The run's seed.
    """
    calls = []
    for one in neurons.values():
        if one.current is not None:
            entry = kernels.clear_current(one.population.precision)
            table = np.zeros(kernels.CURRENT_TABLE_SIZE, np.int64)
            calls.append(Call(entry, table, one.first, one.last))
            calls[-1].point(kernels.CURRENT, one.current, one.first)
    for number, stimulus in enumerate(layout.network.stimuli):
        target = neurons[stimulus.target.population]
        if isinstance(stimulus, PoissonInput):
            calls += _poisson(layout, quanta, ring, target, stimulus, number, seed)
        elif isinstance(stimulus, SpikeInput):
            calls += _given(layout, quanta, ring, target, stimulus)
        else:
            calls += _currents(layout, target, stimulus, number, seed)
    return [call for call in calls if call.first < call.last]


def _in_view(neurons: Neurons, view: View) -> npt.NDArray[np.int64]:
    """Return each local slot's index within a view, -1 outside and for padding."""
    inside = (neurons.neurons >= view.start) & (neurons.neurons < view.stop)
    return np.where(inside, neurons.neurons - view.start, -1)


def _window(start: float, stop: float, dt: float) -> tuple[int, int]:
    """Return the loops of a stimulus that acts in (start, stop] ms."""
    last = FOREVER if stop == math.inf else steps(stop, dt, where="stop")
    return steps(start, dt, where="start"), last


def _pieces(
    value: float | Floats | Piecewise, start: int, stop: int, dt: float
) -> Iterator[tuple[int, int, float | Floats]]:
    """Yield (first loop, last loop, value) of a piecewise constant quantity."""
    if not isinstance(value, Piecewise):
        yield start, stop, value
        return
    bounds = [*steps_array(value.times, dt, where="times").tolist(), FOREVER]
    for i in range(value.times.size):
        low, high = max(start, bounds[i]), min(stop, bounds[i + 1])
        if low < high:
            piece = value.values[i]
            yield low, high, piece if np.ndim(piece) else float(piece)


def _seed_words(table: npt.NDArray[np.int64], low: int, high: int, seed: int) -> None:
    table[low], table[high] = seed & 0xFFFFFFFF, seed >> 32


def _poisson(
    layout: Layout,
    quanta: Quanta,
    ring: InputRing,
    neurons: Neurons,
    one: PoissonInput,
    number: int,
    seed: int,
) -> Iterator[Call]:
    index = _in_view(neurons, one.target)
    if not (index >= 0).any():
        return
    plane, weight = _weights(layout, quanta, one, np.asarray(one.weight))
    kind = ring.rows.dtype
    everywhere = bool((index[neurons.neurons >= 0] >= 0).all())
    each = np.where(index >= 0, weight, 0).astype(kind)
    dt = layout.network.dt
    for start, stop, rate in _pieces(one.rate, *_window(one.start, one.stop, dt), dt):
        mean = np.asarray(rate) * dt * 1e-3
        common = not mean.ndim and float(mean) <= poisson.LARGEST_COMMON_MEAN
        if common and float(mean) == 0.0:
            continue
        if common:
            entry = poisson.common_rate(ring.bits, poisson.searches(float(mean)), everywhere)
        else:
            entry = poisson.own_rates(ring.bits)
        call = Call(
            entry,
            np.zeros(poisson.TABLE_SIZE, np.int64),
            neurons.first,
            neurons.last,
            start=start,
            stop=stop,
        )
        ring.point(call, plane)
        ring.describe(call)
        call.point(poisson.COUNTERS, layout.counters)
        call.table[poisson.STIMULUS_ID] = number
        _seed_words(call.table, poisson.SEED_LOW, poisson.SEED_HIGH, seed)
        if common:
            exact = poisson.thresholds(float(mean))
            call.point(poisson.THRESHOLDS, exact)
            call.table[poisson.N_THRESHOLDS] = exact.size
            call.point(poisson.GUIDE, poisson.guide(exact))
            call.point(poisson.SCRATCH, np.zeros(poisson.SCRATCH_BYTES, np.uint8))
        else:
            means = np.where(index >= 0, np.broadcast_to(mean, one.target.size)[index], 0.0)
            call.point(poisson.MEANS, means, neurons.first)
            call.point(poisson.CONSTANTS, poisson.own_constants(means), neurons.first)
        if common and everywhere:
            call.point(poisson.WEIGHTS, np.array([weight], kind))
        else:
            call.point(poisson.WEIGHTS, each, neurons.first)
        yield call


def _given(
    layout: Layout, quanta: Quanta, ring: InputRing, neurons: Neurons, one: SpikeInput
) -> Iterator[Call]:
    index = _in_view(neurons, one.target)
    local = np.full(one.target.size, -1, np.int64)
    local[index[index >= 0]] = np.flatnonzero(index >= 0)
    loops = steps_array(one.times, layout.network.dt, where="times").astype(np.int64) - 1
    weight = np.broadcast_to(np.asarray(one.weight, np.float64), loops.shape)
    for chosen in (weight >= 0, weight < 0):
        mine = np.flatnonzero(chosen & (local[one.neurons] >= 0))
        if not mine.size:
            continue
        plane, integers = _weights(layout, quanta, one, weight[mine])
        call = Call(
            kernels.given_spikes(ring.bits),
            np.zeros(kernels.SPIKES_TABLE_SIZE, np.int64),
            neurons.first,
            neurons.last,
        )
        ring.point(call, plane)
        ring.describe(call)
        call.point(kernels.EVENT_STEPS, loops[mine])
        call.point(kernels.EVENT_TARGETS, local[one.neurons[mine]])
        call.point(kernels.EVENT_WEIGHTS, np.ascontiguousarray(integers))
        call.table[kernels.N_EVENTS] = mine.size
        yield call


def _currents(
    layout: Layout, neurons: Neurons, one: Stimulus, number: int, seed: int
) -> Iterator[Call]:
    assert isinstance(one, CURRENTS) and neurons.current is not None
    index, dt = _in_view(neurons, one.target), layout.network.dt
    if not (index >= 0).any():
        return

    def spread(value: float | Floats, outside: float) -> Floats:
        each = np.broadcast_to(np.asarray(value, np.float64), one.target.size)
        return np.where(index >= 0, each[index], outside)

    if isinstance(one, NoiseCurrent):
        entry = kernels.add_noise(neurons.population.precision)
        start, stop = _window(one.start, one.stop, dt)
        call = _current_call(neurons, entry, spread(one.mean, 0.0), start, stop)
        call.point(kernels.DEVIATIONS, spread(one.sd, -1.0), neurons.first)
        call.point(kernels.COUNTERS, layout.counters)
        size = neurons.last - neurons.first
        call.point(kernels.HELD, np.zeros(size), neurons.first)
        call.point(kernels.DRAWN, np.full(size >> 6, -1), neurons.first >> 6)
        call.table[kernels.STIMULUS_ID] = number
        call.table[kernels.INTERVAL] = one.interval_steps(dt)
        call.table[kernels.ORIGIN] = start
        _seed_words(call.table, kernels.SEED_LOW, kernels.SEED_HIGH, seed)
        yield call
        return
    entry = kernels.add_current(neurons.population.precision)
    if isinstance(one, ConstantCurrent):
        start, stop = _window(one.start, one.stop, dt)
        yield _current_call(neurons, entry, spread(one.amplitude, 0.0), start, stop)
        return
    course = Piecewise(one.times, one.amplitudes)
    for start, stop, amplitude in _pieces(course, 0, FOREVER, dt):
        yield _current_call(neurons, entry, spread(amplitude, 0.0), start, stop)


def _current_call(
    neurons: Neurons, entry: Entry, amplitudes: Floats, start: int, stop: int
) -> Call:
    assert neurons.current is not None
    call = Call(
        entry,
        np.zeros(kernels.CURRENT_TABLE_SIZE, np.int64),
        neurons.first,
        neurons.last,
        start=start,
        stop=stop,
    )
    call.point(kernels.CURRENT, neurons.current, neurons.first)
    call.point(kernels.AMPLITUDES, amplitudes, neurons.first)
    return call
