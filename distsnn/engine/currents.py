"""The calls of stimuli that are currents."""

from collections.abc import Iterator, Mapping

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
    """The calls of a given current on this rank, which follow the stimulus as it is described.

    Attributes
    ----------
    calls : list of KernelCall
        One for each piece of its course that acts. None where no target neuron is on this rank.
    """

    def __init__(
        self, layout: LocalLayout, neurons: LocalNeurons, stimulus: ConstantCurrent | StepCurrent
    ) -> None:
        self._neurons, self._dt = neurons, layout.network.dt
        self._index = in_view(neurons, stimulus.target)
        self._has_targets = bool((self._index >= 0).any())
        self.calls: list[KernelCall] = []
        self.use(stimulus)

    def use(self, stimulus: ConstantCurrent | StepCurrent) -> None:
        """Make the calls of a description of the stimulus, with the same target."""
        neurons, dt = self._neurons, self._dt
        course: float | Floats | Piecewise
        if isinstance(stimulus, ConstantCurrent):
            course, acts = stimulus.amplitude, window(stimulus.start, stimulus.stop, dt)
        else:
            course, acts = Piecewise(stimulus.times, stimulus.amplitudes), (0, FOREVER)
        if not self._has_targets:
            return
        values = [*pieces(course, *acts, dt)]
        if len(values) != len(self.calls):
            entry, size = kernels.add_current(neurons.real), self._index.size
            self.calls = [
                _current_call(neurons, entry, np.zeros(size), start, stop)
                for start, stop, _ in values
            ]
        for call, (start, stop, amplitude) in zip(self.calls, values, strict=True):
            call.start, call.stop = start, stop
            call.referenced_arrays[kernels.AMPLITUDES][:] = spread(self._index, amplitude, 0.0)


class SineCalls:
    """The calls of a sine current on this rank, which follow the stimulus as it is described.

    Attributes
    ----------
    calls : list of KernelCall
        One that computes each neuron's current and one that adds it, or none where no target
        neuron is on this rank.
    """

    def __init__(self, layout: LocalLayout, neurons: LocalNeurons, stimulus: SineCurrent) -> None:
        self._neurons, self._dt = neurons, layout.network.dt
        self._index = in_view(neurons, stimulus.target)
        self.use(stimulus)

    def use(self, stimulus: SineCurrent) -> None:
        """Make the calls of a description of the stimulus, with the same target."""
        neurons, dt = self._neurons, self._dt
        self.calls: list[KernelCall] = []
        if not (self._index >= 0).any():
            return
        start, stop = window(stimulus.start, stimulus.stop, dt)
        amplitudes = np.zeros(neurons.last - neurons.first)
        entry = kernels.add_current(neurons.real)
        add = _current_call(neurons, entry, amplitudes, start, stop)
        sine = sine_call(stimulus.course(), self._index, amplitudes, add.first, add, dt)
        self.calls = [sine, add]


class NoiseCalls:
    """The call of a noise on this rank, which follows the stimulus as it is described.

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
        self._layout, self._neurons, self._number, self._seed = layout, neurons, number, seed
        self._index = in_view(neurons, stimulus.target)
        self.use(stimulus)

    def use(self, stimulus: NoiseCurrent) -> None:
        """Make the call of a description of the stimulus, with the same target.

        The current of an interval in course is computed again, from the same draws.
        """
        layout, neurons, dt = self._layout, self._neurons, self._layout.network.dt
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
        call.table[kernels.STIMULUS_ID] = self._number
        call.table[kernels.INTERVAL] = stimulus.interval_steps(dt)
        call.table[kernels.ORIGIN] = start
        seed_words(call.table, kernels.SEED_LOW, kernels.SEED_HIGH, self._seed)
        self.calls.append(call)


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
