"""The calls of stimuli: spike trains of given rates, given spikes, currents."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.engine.courses import in_view
from distsnn.engine.currents import CurrentCalls, NoiseCalls, SineCalls, clearing
from distsnn.engine.layout import Layout
from distsnn.engine.populations import InputRing, Neurons
from distsnn.engine.spike_trains import GammaCalls, PoissonCalls, most_counts, receptor_weights
from distsnn.engine.tables import Call, call_table
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
from distsnn.network.quanta import Quanta

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
        if isinstance(one, RateInput):
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
    gammas : list of GammaCalls
        The stimuli that have states.
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
        self.gammas: list[GammaCalls] = []
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
            elif isinstance(one, GammaInput):
                calls = GammaCalls(layout, quanta, ring, target, one, number, seed)
                self.gammas.append(calls)
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
                kernels.listed_spikes(ring.bits),
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


SettableCalls = PoissonCalls | GammaCalls | CurrentCalls | SineCalls | NoiseCalls
