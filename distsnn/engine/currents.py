"""The calls of stimuli that are currents."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from distsnn.engine.courses import Floats, in_view, pieces, seed_words, sine_call, spread, window
from distsnn.engine.kernel_calls import FOREVER, KernelCall
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import LocalNeurons
from distsnn.jit import KernelEntry
from distsnn.kernels import stimuli as kernels
from distsnn.network import ConstantCurrent, NoiseCurrent, Piecewise, SineCurrent, StepCurrent

CURRENTS = (ConstantCurrent, StepCurrent, SineCurrent, NoiseCurrent)


def clearing(neurons: Mapping[str, LocalNeurons]) -> Iterator[KernelCall]:
    """Yield the calls that set currents to 0 before stimuli add theirs."""
    for population_neurons in neurons.values():
        if (
            population_neurons.current is not None
            and population_neurons.first < population_neurons.last
        ):
            table = np.zeros(kernels.CURRENT_TABLE_SIZE, np.int64)
            call = KernelCall(
                kernels.clear_current(population_neurons.real),
                table,
                population_neurons.first,
                population_neurons.last,
            )
            call.bind(kernels.CURRENT, population_neurons.current, population_neurons.first)
            yield call


class CurrentCalls:
    """The calls of a given current on this rank, whose amplitude may be set between two runs.

    Attributes
    ----------
    calls : list of KernelCall
        One for each piece of its course; of an amplitude that is set, the first alone is left. None
        where no target neuron is on this rank.
    """

    def __init__(
        self, layout: LocalLayout, neurons: LocalNeurons, stimulus: ConstantCurrent | StepCurrent
    ) -> None:
        self._index, dt = in_view(neurons, stimulus.target), layout.network.dt
        course: float | Floats | Piecewise
        if isinstance(stimulus, ConstantCurrent):
            course, self._window = stimulus.amplitude, window(stimulus.start, stimulus.stop, dt)
        else:
            course, self._window = Piecewise(stimulus.times, stimulus.amplitudes), (0, FOREVER)
        self.calls: list[KernelCall] = []
        if (self._index >= 0).any():
            entry = kernels.add_current(neurons.real)
            for start, stop, amplitude in pieces(course, *self._window, dt):
                each = spread(self._index, amplitude, 0.0)
                self.calls.append(_current_call(neurons, entry, each, start, stop))

    def set(self, amplitude: float | Floats) -> None:
        """Let all neurons get an amplitude, or each its own, pA, whenever the stimulus acts."""
        for call in self.calls[:1]:
            call.referenced_arrays[kernels.AMPLITUDES][:] = spread(self._index, amplitude, 0.0)
            call.start, call.stop = self._window
        for call in self.calls[1:]:
            call.stop = call.start


class SineCalls:
    """The calls of a sine current on this rank, whose parameters may be set between two run calls.

    Attributes
    ----------
    calls : list of KernelCall
        One that computes each neuron's current and one that adds it, or none where no target
        neuron is on this rank.
    """

    def __init__(self, layout: LocalLayout, neurons: LocalNeurons, stimulus: SineCurrent) -> None:
        self._index, self._dt = in_view(neurons, stimulus.target), layout.network.dt
        self._sine = stimulus.course()
        self.calls: list[KernelCall] = []
        if not (self._index >= 0).any():
            return
        start, stop = window(stimulus.start, stimulus.stop, self._dt)
        amplitudes = np.zeros(neurons.last - neurons.first)
        entry = kernels.add_current(neurons.real)
        add = _current_call(neurons, entry, amplitudes, start, stop)
        self.calls = [self._compute(add), add]

    def _compute(self, add: KernelCall) -> KernelCall:
        values = add.referenced_arrays[kernels.AMPLITUDES]
        return sine_call(self._sine, self._index, values, add.first, add, self._dt)

    def set(self, **values: float | Floats) -> None:
        """Let the sine have other parameters whenever it acts."""
        self._sine = replace(self._sine, **values)
        if self.calls:
            self.calls[0] = self._compute(self.calls[1])


class NoiseCalls:
    """The call of a noise on this rank, whose mean and deviation may be set between two runs.

    Attributes
    ----------
    calls : list of KernelCall
        One, or none where no target neuron is on this rank.
    """

    def __init__(
        self,
        layout: LocalLayout,
        neurons: LocalNeurons,
        stimulus: NoiseCurrent,
        number: int,
        seed: int,
    ) -> None:
        self._index, dt = in_view(neurons, stimulus.target), layout.network.dt
        self.calls: list[KernelCall] = []
        if not (self._index >= 0).any():
            return
        entry = kernels.add_noise(neurons.real)
        start, stop = window(stimulus.start, stimulus.stop, dt)
        means = spread(self._index, stimulus.mean, 0.0)
        call = _current_call(neurons, entry, means, start, stop)
        call.bind(kernels.DEVIATIONS, spread(self._index, stimulus.sd, -1.0), neurons.first)
        call.bind(kernels.COUNTERS, layout.counters)
        size = neurons.last - neurons.first
        call.bind(kernels.HELD, np.zeros(size), neurons.first)
        call.bind(kernels.DRAWN, np.full(size >> 6, -1), neurons.first >> 6)
        call.table[kernels.STIMULUS_ID] = number
        call.table[kernels.INTERVAL] = stimulus.interval_steps(dt)
        call.table[kernels.ORIGIN] = start
        seed_words(call.table, kernels.SEED_LOW, kernels.SEED_HIGH, seed)
        self.calls.append(call)

    def set(self, mean: float | Floats | None = None, sd: float | Floats | None = None) -> None:
        """Let the noise have another mean or standard deviation, pA, whenever it acts.

        Currents of the interval are computed again from the same draws, so it does not matter
        whether they were drawn before.
        """
        for call in self.calls:
            if mean is not None:
                call.referenced_arrays[kernels.AMPLITUDES][:] = spread(self._index, mean, 0.0)
            if sd is not None:
                call.referenced_arrays[kernels.DEVIATIONS][:] = spread(self._index, sd, -1.0)
            call.referenced_arrays[kernels.DRAWN][:] = -1


def _current_call(
    neurons: LocalNeurons, entry: KernelEntry, amplitudes: Floats, start: int, stop: int
) -> KernelCall:
    assert neurons.current is not None
    call = KernelCall(
        entry,
        np.zeros(kernels.CURRENT_TABLE_SIZE, np.int64),
        neurons.first,
        neurons.last,
        start=start,
        stop=stop,
    )
    call.bind(kernels.CURRENT, neurons.current, neurons.first)
    call.bind(kernels.AMPLITUDES, amplitudes, neurons.first)
    return call
