"""The calls of stimuli: spike trains of given rates, given spikes, currents."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.engine.courses import in_view
from distsnn.engine.currents import CurrentCalls, NoiseCalls, SineCalls, clearing
from distsnn.engine.kernel_calls import KernelCall, call_row, call_table
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import InputRing, LocalNeurons
from distsnn.engine.spike_trains import (
    GammaCalls,
    PoissonCalls,
    most_counts,
    receptor_weight,
    receptor_weights,
)
from distsnn.kernels import stimuli as kernels
from distsnn.network import (
    ConstantCurrent,
    GammaInput,
    NoiseCurrent,
    PoissonInput,
    RateInput,
    SineCurrent,
    SpikeInput,
    StepCurrent,
    Stimulus,
)
from distsnn.network.checks import steps_array
from distsnn.network.quanta import WeightQuanta

Floats = npt.NDArray[np.float64]


def max_stimulus_input(
    layout: LocalLayout, quanta: WeightQuanta, stimulus: Stimulus
) -> dict[int, int]:
    """Return a bound of what a stimulus adds to a receptor plane in one step, quanta, by plane.

    A plane that it does not reach may be left out.
    """
    if isinstance(stimulus, RateInput):
        plane, weight = receptor_weight(layout, quanta, stimulus)
        return {plane: most_counts(stimulus.max_rate() * layout.network.dt * 1e-3) * abs(weight)}
    if isinstance(stimulus, SpikeInput):
        step = steps_array(stimulus.times, layout.network.dt, where="times")
        weights = np.broadcast_to(stimulus.weight, step.shape)
        return max_spike_input(layout, quanta, stimulus, step, stimulus.neurons, weights)
    return {}


def max_spike_input(
    layout: LocalLayout,
    quanta: WeightQuanta,
    stimulus: SpikeInput,
    step: npt.NDArray[np.integer],
    neurons: npt.NDArray[np.integer],
    weight: Floats,
) -> dict[int, int]:
    """Return the most that spikes of a `SpikeInput` add to a receptor plane in one step, quanta.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    stimulus : SpikeInput
        The stimulus.
    step, neurons : ndarray of int, shape (n,)
        Step and target neuron of each spike.
    weight : ndarray of float64, shape (n,)
        Its weight.

    Returns
    -------
    dict of int to int
        By plane; without planes that the spikes do not reach.
    """
    bound: dict[int, int] = {}
    slot = step.astype(np.int64) * stimulus.target.size + neurons
    for chosen in (weight > 0.0, weight < 0.0):
        if chosen.any():
            plane, weights = receptor_weights(layout, quanta, stimulus, weight[chosen])
            _, inverse = np.unique(slot[chosen], return_inverse=True)
            sums = np.zeros(int(inverse.max()) + 1, np.int64)
            np.add.at(sums, inverse, np.abs(weights))
            bound[plane] = bound.get(plane, 0) + int(sums.max())
    return bound


class Stimuli:
    """All stimuli that reach this rank, of which named ones may be set between two runs.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    ring : InputRing
        Input.
    neurons : mapping of str to LocalNeurons
        Populations by name.
    seed : int
        The run's seed.

    Attributes
    ----------
    calls : list of KernelCall
        In the order of the description, in which currents are added.
    gammas : list of GammaCalls
        The stimuli that have states.
    """

    def __init__(
        self,
        layout: LocalLayout,
        quanta: WeightQuanta,
        ring: InputRing,
        neurons: Mapping[str, LocalNeurons],
        seed: int,
    ) -> None:
        self._numbers = {
            stimulus.name: number
            for number, stimulus in enumerate(layout.network.stimuli)
            if stimulus.name is not None
        }
        self._clearing = list(clearing(neurons))
        self._calls: list[StimulusCalls] = [
            _make_calls(layout, quanta, ring, neurons, stimulus, number, seed)
            for number, stimulus in enumerate(layout.network.stimuli)
        ]
        self.gammas = [calls for calls in self._calls if isinstance(calls, GammaCalls)]
        self._make_table()

    @property
    def calls(self) -> list[KernelCall]:  # noqa: D102 (attribute)
        return [*self._clearing, *(call for calls in self._calls for call in calls.calls)]

    def _make_table(self) -> None:
        self._table = call_table(self.calls)
        self._n_rows = [len(calls.calls) for calls in self._calls]

    def acting(self, first: int, stop: int) -> npt.NDArray[np.void]:
        """Return the table of the calls that act in an iteration of first .. stop - 1.

        A stimulus with thousands of pieces has thousands of calls, which the epoch loop would
        otherwise look at in every iteration.

        Returns
        -------
        ndarray of kernels.loop.CALL, shape (n_acting,)
        """
        table = self._table
        return table[(table["start"] < stop) & (table["stop"] > first)]

    def use(self, stimulus: Stimulus) -> None:
        """Let a named stimulus be as described from now on, with the same target."""
        assert stimulus.name is not None
        number = self._numbers[stimulus.name]
        calls: Any = self._calls[number]  # of the same kind as the stimulus
        calls.use(stimulus)
        rows = [call_row(call) for call in calls.calls]
        if len(rows) == self._n_rows[number]:
            first = len(self._clearing) + sum(self._n_rows[:number])
            self._table[first : first + len(rows)] = rows
        else:
            self._make_table()

    def add_spikes(
        self,
        name: str,
        step: npt.NDArray[np.int64],
        neurons: npt.NDArray[np.int64],
        weights: Floats,
    ) -> None:
        """Add spikes, later than now and sorted by step, to a `SpikeInput`."""
        calls = self._calls[self._numbers[name]]
        assert isinstance(calls, SpikeCalls)
        calls.emit(step, neurons, weights)

    def state_of(self, name: str) -> GammaCalls | None:
        """Return the holder of a named stimulus's state; None if it has no state."""
        calls = self._calls[self._numbers[name]]
        return calls if isinstance(calls, GammaCalls) else None


def _make_calls(
    layout: LocalLayout,
    quanta: WeightQuanta,
    ring: InputRing,
    neurons: Mapping[str, LocalNeurons],
    stimulus: Stimulus,
    number: int,
    seed: int,
) -> "StimulusCalls":
    target = neurons[stimulus.target.population]
    match stimulus:
        case SpikeInput():
            return SpikeCalls(layout, quanta, ring, target, stimulus)
        case PoissonInput():
            return PoissonCalls(layout, quanta, ring, target, stimulus, number, seed)
        case GammaInput():
            return GammaCalls(layout, quanta, ring, target, stimulus, number, seed)
        case NoiseCurrent():
            return NoiseCalls(layout, target, stimulus, number, seed)
        case SineCurrent():
            return SineCalls(layout, target, stimulus)
    assert isinstance(stimulus, ConstantCurrent | StepCurrent)
    return CurrentCalls(layout, target, stimulus)


class SpikeCalls:
    """The calls of given spikes on this rank, to which others may be added between two runs.

    Attributes
    ----------
    calls : list of KernelCall
        One for weights >= 0, one for those below, where there are such or the stimulus has a name.
    """

    def __init__(
        self,
        layout: LocalLayout,
        quanta: WeightQuanta,
        ring: InputRing,
        neurons: LocalNeurons,
        stimulus: SpikeInput,
    ) -> None:
        self._layout, self._quanta, self._ring, self._neurons = layout, quanta, ring, neurons
        self._index = in_view(neurons, stimulus.target)
        self._local = np.full(stimulus.target.size, -1, np.int64)
        self._local[self._index[self._index >= 0]] = np.flatnonzero(self._index >= 0)
        self.use(stimulus)

    def use(self, stimulus: SpikeInput) -> None:
        """Make the calls of a description with the same target; spikes that were added are gone."""
        layout, neurons, ring = self._layout, self._neurons, self._ring
        self._stimulus = stimulus
        step = steps_array(stimulus.times, layout.network.dt, where="times").astype(np.int64)
        weight = np.broadcast_to(np.asarray(stimulus.weight, np.float64), step.shape)
        added = stimulus.name is not None and bool((self._index >= 0).any())
        self._by_sign: dict[bool, KernelCall] = {}
        for positive in (True, False):
            is_local = ((weight >= 0) == positive) & (self._local[stimulus.neurons] >= 0)
            if not (added or is_local.any()):
                continue
            call = KernelCall(
                kernels.listed_spikes(ring.bits),
                np.zeros(kernels.SPIKES_TABLE_SIZE, np.int64),
                neurons.first,
                neurons.last,
            )
            sign = np.array([1.0 if positive else -1.0])
            ring.bind_plane(call, receptor_weights(layout, self._quanta, stimulus, sign)[0])
            ring.bind_shape(call)
            for position in (kernels.EVENT_STEPS, kernels.EVENT_TARGETS, kernels.EVENT_WEIGHTS):
                call.bind(position, np.empty(0, np.int64))
            self._by_sign[positive] = call
        self.emit(step, stimulus.neurons.astype(np.int64), weight)

    @property
    def calls(self) -> list[KernelCall]:  # noqa: D102 (attribute)
        return [*self._by_sign.values()]

    def emit(
        self, step: npt.NDArray[np.int64], neurons: npt.NDArray[np.int64], weights: Floats
    ) -> None:
        """Add spikes, sorted by step, after existing spikes of the same step."""
        for positive, call in self._by_sign.items():
            chosen = ((weights >= 0) == positive) & (self._local[neurons] >= 0)
            if not chosen.any():
                continue
            _, integers = receptor_weights(
                self._layout, self._quanta, self._stimulus, weights[chosen]
            )
            first = int(call.table[kernels.POSITION])
            new = {
                kernels.EVENT_STEPS: step[chosen] - 1,
                kernels.EVENT_TARGETS: self._local[neurons[chosen]],
                kernels.EVENT_WEIGHTS: integers,
            }
            columns = {
                position: np.concatenate([call.referenced_arrays[position][first:], new[position]])
                for position in new
            }
            order = np.argsort(columns[kernels.EVENT_STEPS], kind="stable")
            for position, column in columns.items():
                call.bind(position, column[order])
            call.table[kernels.N_EVENTS], call.table[kernels.POSITION] = order.size, 0


StimulusCalls = SpikeCalls | PoissonCalls | GammaCalls | CurrentCalls | SineCalls | NoiseCalls
