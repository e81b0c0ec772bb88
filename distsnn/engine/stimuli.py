"""The calls of stimuli: spike trains of given rates, given spikes, currents."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.engine.courses import in_view
from distsnn.engine.currents import CurrentCalls, NoiseCalls, SineCalls, clearing
from distsnn.engine.kernel_calls import KernelCall, call_table
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import InputRing, LocalNeurons
from distsnn.engine.spike_trains import GammaCalls, PoissonCalls, most_counts, receptor_weights
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
)
from distsnn.network.checks import steps_array
from distsnn.network.quanta import WeightQuanta

Floats = npt.NDArray[np.float64]


def max_stimulus_input(layout: LocalLayout, quanta: WeightQuanta) -> npt.NDArray[np.int64]:
    """Return a bound of what stimuli add to each receptor plane in one step, quanta.

    Returns
    -------
    ndarray of int64, shape (n_planes,)
    """
    network = layout.network
    bound = np.zeros(layout.n_planes, np.int64)
    for stimulus in network.stimuli:
        if isinstance(stimulus, RateInput):
            plane, weights = receptor_weights(layout, quanta, stimulus, np.asarray(stimulus.weight))
            max_count = most_counts(stimulus.max_rate() * network.dt * 1e-3)
            bound[plane] += max_count * int(np.abs(weights).max())
        elif isinstance(stimulus, SpikeInput) and stimulus.times.size:
            weight = np.broadcast_to(stimulus.weight, stimulus.times.shape)
            slot = steps_array(stimulus.times, network.dt, where="times") * stimulus.target.size
            for chosen in (weight > 0, weight < 0):
                if chosen.any():
                    _, inverse = np.unique((slot + stimulus.neurons)[chosen], return_inverse=True)
                    plane, weights = receptor_weights(layout, quanta, stimulus, weight[chosen])
                    sums = np.zeros(int(inverse.max()) + 1, np.int64)
                    np.add.at(sums, inverse, np.abs(weights))
                    bound[plane] += int(sums.max())
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
        In the order of the description, which is that in which currents are added.
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
        self.calls = list(clearing(neurons))
        self._named: dict[str, tuple[int, SettableCalls]] = {}
        self._given: dict[str, SpikeCalls] = {}
        self.gammas: list[GammaCalls] = []
        for number, stimulus in enumerate(layout.network.stimuli):
            target = neurons[stimulus.target.population]
            calls: SettableCalls
            if isinstance(stimulus, SpikeInput):
                spike_calls = SpikeCalls(layout, quanta, ring, target, stimulus)
                if stimulus.name is not None:
                    self._given[stimulus.name] = spike_calls
                self.calls += spike_calls.calls
                continue
            if isinstance(stimulus, PoissonInput):
                calls = PoissonCalls(layout, quanta, ring, target, stimulus, number, seed)
            elif isinstance(stimulus, GammaInput):
                calls = GammaCalls(layout, quanta, ring, target, stimulus, number, seed)
                self.gammas.append(calls)
            elif isinstance(stimulus, NoiseCurrent):
                calls = NoiseCalls(layout, target, stimulus, number, seed)
            elif isinstance(stimulus, SineCurrent):
                calls = SineCalls(layout, target, stimulus)
            else:
                assert isinstance(stimulus, ConstantCurrent | StepCurrent)
                calls = CurrentCalls(layout, target, stimulus)
            if stimulus.name is not None:
                self._named[stimulus.name] = len(self.calls), calls
            self.calls += calls.calls
        self._table = call_table(self.calls)

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

    def set(self, name: str, values: Mapping[str, float | Floats]) -> None:
        """Set fields of a named stimulus, of all its neurons or of each, from now on."""
        first, stimulus = self._named[name]
        stimulus.set(**values)
        self._table[first : first + len(stimulus.calls)] = call_table(stimulus.calls)

    def state_of(self, name: str) -> GammaCalls | None:
        """Return the holder of a named stimulus's state; None if it has no state."""
        calls = self._named[name][1] if name in self._named else None
        return calls if isinstance(calls, GammaCalls) else None

    def add_spikes(
        self,
        name: str,
        step: npt.NDArray[np.int64],
        neurons: npt.NDArray[np.int64],
        weights: Floats,
    ) -> None:
        """Add spikes, later than now and sorted by step, to a `SpikeInput`."""
        self._given[name].emit(step, neurons, weights)


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
        self._layout, self._quanta, self._one = layout, quanta, stimulus
        index = in_view(neurons, stimulus.target)
        self._local = np.full(stimulus.target.size, -1, np.int64)
        self._local[index[index >= 0]] = np.flatnonzero(index >= 0)
        step = steps_array(stimulus.times, layout.network.dt, where="times").astype(np.int64)
        weight = np.broadcast_to(np.asarray(stimulus.weight, np.float64), step.shape)
        added = stimulus.name is not None and bool((index >= 0).any())
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
            ring.bind_plane(call, receptor_weights(layout, quanta, stimulus, sign)[0])
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
            _, integers = receptor_weights(self._layout, self._quanta, self._one, weights[chosen])
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


SettableCalls = PoissonCalls | GammaCalls | CurrentCalls | SineCalls | NoiseCalls
