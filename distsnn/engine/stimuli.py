"""The calls of stimuli: Poisson input, given spikes, currents."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.engine.courses import in_view, pieces, seed_words, sine_call, spread, window
from distsnn.engine.currents import CurrentCalls, NoiseCalls, SineCalls, clearing
from distsnn.engine.layout import Layout
from distsnn.engine.populations import InputRing, Neurons
from distsnn.engine.tables import Call, call_table
from distsnn.kernels import poisson
from distsnn.kernels import stimuli as kernels
from distsnn.network import (
    ConstantCurrent,
    NoiseCurrent,
    PoissonInput,
    Sine,
    SineCurrent,
    SpikeInput,
    StepCurrent,
)
from distsnn.network.checks import steps_array
from distsnn.network.quanta import Quanta, to_integers

Floats = npt.NDArray[np.float64]


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
            plane, weights = receptor_weights(layout, quanta, one, np.asarray(one.weight))
            most = most_counts(one.max_rate() * network.dt * 1e-3)
            bound[plane] += most * int(np.abs(weights).max())
        elif isinstance(one, SpikeInput) and one.times.size:
            weight = np.broadcast_to(one.weight, one.times.shape)
            slot = steps_array(one.times, network.dt, where="times") * one.target.size
            for chosen in (weight > 0, weight < 0):
                if chosen.any():
                    _, inverse = np.unique((slot + one.neurons)[chosen], return_inverse=True)
                    plane, weights = receptor_weights(layout, quanta, one, weight[chosen])
                    sums = np.zeros(int(inverse.max()) + 1, np.int64)
                    np.add.at(sums, inverse, np.abs(weights))
                    bound[plane] += int(sums.max())
    return bound


def most_counts(mean: float) -> int:
    """Return a bound that no count of a mean reaches."""
    # the tables end before, and rejection's tail is thinner than 2^-64
    return math.ceil(mean + 12.0 * math.sqrt(mean) + 40.0)


def receptor_weights(
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


class Stimuli:
    """All stimuli that reach this rank, of which named ones may be set between two runs.

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

    Attributes
    ----------
    calls : list of Call
        In the order of the description, which is that in which currents are added.
    table : ndarray of int64, shape (n_calls, kernels.loop.CALL_SIZE)
        The same as the loop takes them.
    """

    def __init__(
        self,
        layout: Layout,
        quanta: Quanta,
        ring: InputRing,
        neurons: Mapping[str, Neurons],
        seed: int,
    ) -> None:
        self.calls = list(clearing(neurons))
        self._named: dict[str, tuple[int, SettableCalls]] = {}
        self._given: dict[str, SpikeCalls] = {}
        for number, one in enumerate(layout.network.stimuli):
            target = neurons[one.target.population]
            calls: SettableCalls
            if isinstance(one, SpikeInput):
                given = SpikeCalls(layout, quanta, ring, target, one)
                if one.name is not None:
                    self._given[one.name] = given
                self.calls += given.calls
                continue
            if isinstance(one, PoissonInput):
                calls = PoissonCalls(layout, quanta, ring, target, one, number, seed)
            elif isinstance(one, NoiseCurrent):
                calls = NoiseCalls(layout, target, one, number, seed)
            elif isinstance(one, SineCurrent):
                calls = SineCalls(layout, target, one)
            else:
                assert isinstance(one, ConstantCurrent | StepCurrent)
                calls = CurrentCalls(layout, target, one)
            if one.name is not None:
                self._named[one.name] = len(self.calls), calls
            self.calls += calls.calls
        self.table = call_table(self.calls)

    def set(self, name: str, values: Mapping[str, float | Floats]) -> None:
        """Set fields of a named stimulus, of all its neurons or of each, from now on."""
        first, one = self._named[name]
        one.set(**values)
        self.table[first : first + len(one.calls)] = call_table(one.calls)

    def emit(
        self,
        name: str,
        step: npt.NDArray[np.int64],
        neurons: npt.NDArray[np.int64],
        weights: Floats,
    ) -> None:
        """Add spikes, stamped later than now and sorted by step, to those of a `SpikeInput`."""
        self._given[name].emit(step, neurons, weights)


class PoissonCalls:
    """The calls of a Poisson stimulus on this rank, whose rate may be set between two runs.

    Attributes
    ----------
    calls : list of Call
        One at least, for each piece of the rate; of a rate that is set, the first alone is left.
        Of a sine, one that computes means and one that draws. None where no target neuron is on
        this rank.
    """

    def __init__(
        self,
        layout: Layout,
        quanta: Quanta,
        ring: InputRing,
        neurons: Neurons,
        one: PoissonInput,
        number: int,
        seed: int,
    ) -> None:
        self._dt, self._bits = layout.network.dt, ring.bits
        self._neurons, self._index = neurons, in_view(neurons, one.target)
        everywhere = bool((self._index[neurons.neurons >= 0] >= 0).all())
        plane, weight = receptor_weights(layout, quanta, one, np.asarray(one.weight))
        kind = ring.rows.dtype
        each = np.where(self._index >= 0, weight, 0).astype(kind)
        # every neuron's weight; for a common rate of all neurons, one is enough
        self._own_weights = each
        self._common_weights = np.array([weight], kind) if everywhere else each
        self._everywhere = everywhere
        self._window = window(one.start, one.stop, self._dt)
        self._sine = one.rate if isinstance(one.rate, Sine) else None
        self._correlation = one.correlation
        self.calls: list[Call] = []
        if not (self._index >= 0).any():
            return
        course = 0.0 if isinstance(one.rate, Sine) else one.rate
        for start, stop, rate in pieces(course, *self._window, self._dt):
            table = np.zeros(poisson.TABLE_SIZE, np.int64)
            entry = poisson.own_rates(self._bits)
            call = Call(entry, table, neurons.first, neurons.last, start=start, stop=stop)
            ring.point(call, plane)
            ring.describe(call)
            call.point(poisson.COUNTERS, layout.counters)
            call.table[poisson.STIMULUS_ID] = number
            seed_words(call.table, poisson.SEED_LOW, poisson.SEED_HIGH, seed)
            if self._sine is None:
                self._fill(call, rate, start, stop)
            else:
                self.calls.append(self._vary(call, self._sine))
            self.calls.append(call)

    def set(self, **values: float | Floats) -> None:
        """Let the rate (spikes/s), or a sine of rates, be another whenever the stimulus acts."""
        if self._sine is not None:
            self._sine = replace(self._sine, **values)
            if self.calls:
                self.calls[0] = self._vary(self.calls[1], self._sine)
            return
        for call in self.calls[:1]:
            self._fill(call, values["rate"], *self._window)
        for call in self.calls[1:]:
            call.stop = call.start

    def _fill(self, call: Call, rate: float | Floats, start: int, stop: int) -> None:
        call.start, call.stop = start, stop
        mean = rate * self._dt * 1e-3
        if self._correlation:
            self._use_copies(call)
            call.point(poisson.MEANS, np.full(1, mean / self._correlation))
        elif isinstance(mean, float) and mean <= poisson.LARGEST_COMMON_MEAN:
            if mean == 0.0:
                call.stop = start
                return
            self._use_common_rate(call, poisson.searches(mean))
            exact, guide = call.keep[poisson.THRESHOLDS], call.keep[poisson.GUIDE]
            call.table[poisson.N_THRESHOLDS] = poisson.tabulate(mean, exact, guide)
        else:
            self._use_own_rates(call)
            means = spread(self._index, mean, 0.0)
            call.point(poisson.MEANS, means, self._neurons.first)
            call.point(poisson.CONSTANTS, poisson.own_constants(means), self._neurons.first)

    def _vary(self, call: Call, sine: Sine) -> Call:
        """Let a call take the means of a sine of rates, and return the call that computes them."""
        scale = self._dt * 1e-3
        common = all(isinstance(value, float) for value in sine.values().values())
        if self._correlation:
            self._use_copies(call)
            scale /= self._correlation
            first, index = 0, np.zeros(1, np.int64)
        elif common and sine.largest() * scale <= poisson.LARGEST_COMMON_MEAN:
            self._use_common_rate(call, search=True, varies=True)
            first, index = 0, np.zeros(1, np.int64)
        else:
            self._use_own_rates(call, varies=True)
            first, index = self._neurons.first, self._index
        means = np.zeros(index.size)
        call.point(poisson.MEANS, means, first)
        return sine_call(sine, index, means, first, call, self._dt, scale)

    def _use_common_rate(self, call: Call, search: bool, varies: bool = False) -> None:
        call.entry = poisson.common_rate(self._bits, search, self._everywhere, varies)
        if poisson.THRESHOLDS not in call.keep:
            call.point(poisson.THRESHOLDS, np.empty(poisson.MOST_THRESHOLDS, np.uint64))
            call.point(poisson.GUIDE, np.empty(poisson.GUIDE_SIZE, np.int64))
            call.point(poisson.SCRATCH, np.zeros(poisson.SCRATCH_BYTES, np.uint8))
        offset = 0 if self._everywhere else self._neurons.first
        self._point_weights(call, self._common_weights, offset)

    def _use_copies(self, call: Call) -> None:
        call.entry = poisson.copied_rate(self._bits)
        call.table[poisson.COPIED] = round(self._correlation * 2**32)
        self._point_weights(call, self._own_weights, self._neurons.first)

    def _use_own_rates(self, call: Call, varies: bool = False) -> None:
        call.entry = poisson.own_rates(self._bits, varies)
        self._point_weights(call, self._own_weights, self._neurons.first)

    def _point_weights(self, call: Call, weights: npt.NDArray[Any], offset: int) -> None:
        if call.keep.get(poisson.WEIGHTS) is not weights:
            call.point(poisson.WEIGHTS, weights, offset)


class SpikeCalls:
    """The calls of given spikes on this rank, to which others may be added between two runs.

    Attributes
    ----------
    calls : list of Call
        One for weights >= 0, one for those below, where there are such or the stimulus has a name.
    """

    def __init__(
        self,
        layout: Layout,
        quanta: Quanta,
        ring: InputRing,
        neurons: Neurons,
        one: SpikeInput,
    ) -> None:
        self._layout, self._quanta, self._one = layout, quanta, one
        index = in_view(neurons, one.target)
        self._local = np.full(one.target.size, -1, np.int64)
        self._local[index[index >= 0]] = np.flatnonzero(index >= 0)
        step = steps_array(one.times, layout.network.dt, where="times").astype(np.int64)
        weight = np.broadcast_to(np.asarray(one.weight, np.float64), step.shape)
        added = one.name is not None and bool((index >= 0).any())
        self._by_sign: dict[bool, Call] = {}
        for positive in (True, False):
            mine = ((weight >= 0) == positive) & (self._local[one.neurons] >= 0)
            if not (added or mine.any()):
                continue
            call = Call(
                kernels.given_spikes(ring.bits),
                np.zeros(kernels.SPIKES_TABLE_SIZE, np.int64),
                neurons.first,
                neurons.last,
            )
            sign = np.array([1.0 if positive else -1.0])
            ring.point(call, receptor_weights(layout, quanta, one, sign)[0])
            ring.describe(call)
            for at in (kernels.EVENT_STEPS, kernels.EVENT_TARGETS, kernels.EVENT_WEIGHTS):
                call.point(at, np.empty(0, np.int64))
            self._by_sign[positive] = call
        self.emit(step, one.neurons.astype(np.int64), weight)

    @property
    def calls(self) -> list[Call]:  # noqa: D102 (attribute)
        return [*self._by_sign.values()]

    def emit(
        self, step: npt.NDArray[np.int64], neurons: npt.NDArray[np.int64], weights: Floats
    ) -> None:
        """Add spikes, sorted by step, behind those of the same step that are there."""
        for positive, call in self._by_sign.items():
            chosen = ((weights >= 0) == positive) & (self._local[neurons] >= 0)
            if not chosen.any():
                continue
            _, integers = receptor_weights(self._layout, self._quanta, self._one, weights[chosen])
            first = int(call.table[kernels.POSITION])
            new = {
                kernels.EVENT_STEPS: step[chosen] - 1,
                kernels.EVENT_TARGETS: self._local[neurons[chosen]],
                kernels.EVENT_WEIGHTS: integers,
            }
            columns = {at: np.concatenate([call.keep[at][first:], new[at]]) for at in new}
            order = np.argsort(columns[kernels.EVENT_STEPS], kind="stable")
            for at, column in columns.items():
                call.point(at, column[order])
            call.table[kernels.N_EVENTS], call.table[kernels.POSITION] = order.size, 0


SettableCalls = PoissonCalls | CurrentCalls | SineCalls | NoiseCalls
