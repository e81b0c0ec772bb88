"""The calls of random spike trains of given rates: Poisson and gamma processes."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from distsnn.engine.courses import in_view, pieces, seed_words, sine_call, spread, window
from distsnn.engine.kernel_calls import KernelCall
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import InputRing, LocalNeurons
from distsnn.engine.state_fields import NeuronHolder, StateField, Values
from distsnn.jit import KernelEntry
from distsnn.kernels import gammas, poisson
from distsnn.network import GammaInput, PoissonInput, RateInput, Sine, SpikeInput
from distsnn.network.quanta import WeightQuanta, to_integers

Floats = npt.NDArray[np.float64]


def most_counts(mean: float) -> int:
    """Return a bound that no count of a mean reaches."""
    # the tables end before, and rejection's tail is thinner than 2^-64
    return math.ceil(mean + 12.0 * math.sqrt(mean) + 40.0)


def receptor_weights(
    layout: LocalLayout, quanta: WeightQuanta, stimulus: RateInput | SpikeInput, weight: Floats
) -> tuple[int, npt.NDArray[np.int64]]:
    """Return the receptor plane of weights of one sign, and the weights in quanta."""
    plane, exponent = _plane_and_exponent(layout, quanta, stimulus, bool((weight >= 0).all()))
    return plane, to_integers(weight, exponent)


def receptor_weight(
    layout: LocalLayout, quanta: WeightQuanta, stimulus: RateInput
) -> tuple[int, int]:
    """Return the receptor plane of a stimulus of one weight, and the weight in quanta."""
    weight = stimulus.weight
    plane, exponent = _plane_and_exponent(layout, quanta, stimulus, weight >= 0)
    return plane, round(math.ldexp(weight, -exponent))  # as `to_integers`, without arrays


def _plane_and_exponent(
    layout: LocalLayout, quanta: WeightQuanta, stimulus: RateInput | SpikeInput, positive: bool
) -> tuple[int, int]:
    name = stimulus.target.population
    model = layout.network.population(name).model
    receptor = stimulus.receptor
    if receptor is None:
        if model.signed_receptors is None:
            receptor = model.receptors[0]
        else:
            receptor = model.signed_receptors[0 if positive else 1]
    return model.receptors.index(receptor), quanta.exponent[name, receptor]


class RateCalls(ABC):
    """The calls of spike trains on this rank, which follow the stimulus as it is described.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    ring : InputRing
        Input.
    neurons : LocalNeurons
        The target's population.
    stimulus : RateInput
        The stimulus.
    number : int
        Its number in the network.
    seed : int
        The run's seed.

    Attributes
    ----------
    calls : list of KernelCall
        One for each piece of the rate that acts; of a sine, one that computes means and one that
        draws. None where no target neuron is on this rank.
    """

    def __init__(
        self,
        layout: LocalLayout,
        quanta: WeightQuanta,
        ring: InputRing,
        neurons: LocalNeurons,
        stimulus: RateInput,
        number: int,
        seed: int,
    ) -> None:
        self._layout, self._quanta, self._ring = layout, quanta, ring
        self._dt, self._bits = layout.network.dt, ring.bits
        self._neurons, self._index = neurons, in_view(neurons, stimulus.target)
        self._has_targets = bool((self._index >= 0).any())
        self._number, self._seed = number, seed
        self._described_weight: tuple[float, str | None] | None = None
        self._varies = False
        self.calls: list[KernelCall] = []
        self.use(stimulus)

    def use(self, stimulus: RateInput) -> None:
        """Make the calls of a description of the stimulus, with the same target."""
        if not self._has_targets:
            return
        if self._described_weight != (stimulus.weight, stimulus.receptor):
            self._described_weight = stimulus.weight, stimulus.receptor
            self._take_weight(stimulus)
            self.calls = []
        acts = window(stimulus.start, stimulus.stop, self._dt)
        if isinstance(stimulus.rate, Sine):
            call = self._call(*acts)
            self.calls, self._varies = [self._vary(call, stimulus.rate), call], True
            return
        rates = [*pieces(stimulus.rate, *acts, self._dt)]
        if self._varies or len(rates) != len(self.calls):
            self.calls = [self._call(start, stop) for start, stop, _ in rates]
            self._varies = False
        for call, (start, stop, rate) in zip(self.calls, rates, strict=True):
            call.start, call.stop = start, stop
            self._fill(call, rate)

    def _take_weight(self, stimulus: RateInput) -> None:
        self._plane, self._weight = receptor_weight(self._layout, self._quanta, stimulus)
        own = np.where(self._index >= 0, self._weight, 0)
        self._own_weights = own.astype(self._ring.rows.dtype)

    def _call(self, start: int, stop: int) -> KernelCall:
        """Return a call that has no rate yet."""
        neurons, table = self._neurons, np.zeros(poisson.TABLE_SIZE, np.int64)
        call = KernelCall(self._entry(), table, neurons.first, neurons.last, start=start, stop=stop)
        self._ring.bind_plane(call, self._plane)
        self._ring.bind_shape(call)
        call.bind(poisson.COUNTERS, self._layout.counters)
        table[poisson.STIMULUS_ID] = self._number
        seed_words(table, poisson.SEED_LOW, poisson.SEED_HIGH, self._seed)
        return call

    def _use_own_weights(self, call: KernelCall) -> None:
        call.bind(poisson.WEIGHTS, self._own_weights, self._neurons.first)

    @abstractmethod
    def _entry(self) -> KernelEntry:
        """Return the entry of a call that has no rate yet."""

    @abstractmethod
    def _fill(self, call: KernelCall, rate: float | Floats) -> None:
        """Let a call have a rate, spikes/s."""

    @abstractmethod
    def _vary(self, call: KernelCall, sine: Sine) -> KernelCall:
        """Let a call take the means of a sine of rates, and return the call that computes them."""


class PoissonCalls(RateCalls):
    """The calls of a Poisson stimulus on this rank; parameters as of `RateCalls`."""

    def __init__(
        self,
        layout: LocalLayout,
        quanta: WeightQuanta,
        ring: InputRing,
        neurons: LocalNeurons,
        stimulus: PoissonInput,
        number: int,
        seed: int,
    ) -> None:
        index = in_view(neurons, stimulus.target)
        # whether a common rate needs one weight only
        self._everywhere = bool((index[neurons.neurons >= 0] >= 0).all())
        super().__init__(layout, quanta, ring, neurons, stimulus, number, seed)

    def use(self, stimulus: RateInput) -> None:  # noqa: D102 (as in the base class)
        assert isinstance(stimulus, PoissonInput)
        self._correlation = stimulus.correlation
        super().use(stimulus)

    def _entry(self) -> KernelEntry:
        return poisson.neuron_rates_entry(self._bits)

    def _fill(self, call: KernelCall, rate: float | Floats) -> None:
        mean = rate * self._dt * 1e-3
        if self._correlation:
            self._use_copies(call)
            call.bind(poisson.MEANS, np.full(1, mean / self._correlation))
        elif isinstance(mean, float) and mean <= poisson.LARGEST_COMMON_MEAN:
            if mean == 0.0:
                call.stop = call.start
                return
            self._use_common_rate(call, poisson.uses_table_search(mean))
            exact, guide = (
                call.referenced_arrays[poisson.THRESHOLDS],
                call.referenced_arrays[poisson.GUIDE],
            )
            call.table[poisson.N_THRESHOLDS] = poisson.tabulate(mean, exact, guide)
        else:
            self._use_own_rates(call)
            means = spread(self._index, mean, 0.0)
            call.bind(poisson.MEANS, means, self._neurons.first)
            call.bind(poisson.CONSTANTS, poisson.neuron_rate_constants(means), self._neurons.first)

    def _vary(self, call: KernelCall, sine: Sine) -> KernelCall:
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
        call.bind(poisson.MEANS, means, first)
        return sine_call(sine, index, means, first, call, self._dt, scale)

    def _use_common_rate(self, call: KernelCall, search: bool, varies: bool = False) -> None:
        call.entry = poisson.shared_rate_entry(self._bits, search, self._everywhere, varies)
        if poisson.THRESHOLDS not in call.referenced_arrays:
            call.bind(poisson.THRESHOLDS, np.empty(poisson.MOST_THRESHOLDS, np.uint64))
            call.bind(poisson.GUIDE, np.empty(poisson.GUIDE_SIZE, np.int64))
            call.bind(poisson.SCRATCH, np.zeros(poisson.SCRATCH_BYTES, np.uint8))
        if self._everywhere:
            call.bind(poisson.WEIGHTS, self._own_weights.dtype.type(self._weight).reshape(1))
        else:
            self._use_own_weights(call)

    def _use_copies(self, call: KernelCall) -> None:
        call.entry = poisson.copied_rate_entry(self._bits)
        call.table[poisson.COPIED] = round(self._correlation * 2**32)
        self._use_own_weights(call)

    def _use_own_rates(self, call: KernelCall, varies: bool = False) -> None:
        call.entry = poisson.neuron_rates_entry(self._bits, varies)
        self._use_own_weights(call)


class GammaCalls(RateCalls, NeuronHolder):
    """The calls of gamma processes on this rank, with their state; parameters as of `RateCalls`."""

    fields: tuple[StateField, ...] = ()

    def __init__(
        self,
        layout: LocalLayout,
        quanta: WeightQuanta,
        ring: InputRing,
        neurons: LocalNeurons,
        stimulus: GammaInput,
        number: int,
        seed: int,
    ) -> None:
        self.neurons = neurons.neurons
        self.fields = state_fields(stimulus, number)
        self.target, self._order = stimulus.target, 0.0
        # of neurons outside the target too: a checkpoint holds values of each neuron
        self._times = self.fields[0].zeros(neurons.neurons.size)
        super().__init__(layout, quanta, ring, neurons, stimulus, number, seed)

    def use(self, stimulus: RateInput) -> None:
        """Make the calls of a description; intervals in course keep the order they began with."""
        assert isinstance(stimulus, GammaInput)
        if stimulus.order != self._order:
            self._order = stimulus.order
            self._start_processes()
        super().use(stimulus)

    def _start_processes(self) -> None:
        """Draw the processes in equilibrium that have not started: their neuron's clock is at 0."""
        neurons, seed = self._neurons, self._seed
        times = np.empty_like(self._times)
        gammas.fill_in_equilibrium(
            times,
            self._layout.counters[neurons.first >> 3 : neurons.last >> 3],
            self._order,
            self._number,
            seed & 0xFFFFFFFF,
            seed >> 32,
        )
        times[:, 1:].sort(axis=1)  # which makes heaps
        is_new = self._times[:, 0] == 0.0
        self._times[is_new] = times[is_new]

    def arrays(self) -> Iterable[Values]:
        """Return each neuron's clock and heap of next spikes."""
        return (self._times,)

    def target_states(self) -> tuple[npt.NDArray[np.int64], dict[str, Floats]]:
        """Return this rank's target neurons, and copies of their states by name.

        Returns
        -------
        ndarray of int64, shape (n,)
            Index of each neuron in the target.
        dict of str to ndarray of float64
            The clock (n,) and the next spikes (n, processes), ascending, in expected spikes.
        """
        is_target = self._index >= 0
        times = self._times[is_target]
        # the order of a heap says nothing
        states = times[:, 0].copy(), np.sort(times[:, 1:], axis=1)
        return self._index[is_target], dict(zip(GammaInput.states, states, strict=True))

    def _entry(self) -> KernelEntry:
        return gammas.gammas(self._bits)

    def _fill(self, call: KernelCall, rate: float | Floats) -> None:
        self._take(call, spread(self._index, rate * self._dt * 1e-3, 0.0))

    def _vary(self, call: KernelCall, sine: Sine) -> KernelCall:
        means, first = np.zeros(self._index.size), self._neurons.first
        self._take(call, means)
        return sine_call(sine, self._index, means, first, call, self._dt, self._dt * 1e-3)

    def _take(self, call: KernelCall, means: Floats) -> None:
        """Let a call take each neuron's expected spikes of a process in a step."""
        call.bind(poisson.MEANS, means, self._neurons.first)
        call.bind(gammas.TIMES, self._times, self._neurons.first * self._times.shape[1])
        call.table[gammas.N_TIMES] = self._times.shape[1]
        call.scalars[gammas.ORDER] = self._order
        self._use_own_weights(call)


def state_fields(stimulus: GammaInput, number: int) -> tuple[StateField, ...]:
    """Declare the state of the gamma processes of a stimulus, which has a number in the network."""
    return (
        StateField(
            *(stimulus.target.population, f"gamma_processes/{number}", "clock_and_next_spikes"),
            *("stimulus", "float64", "expected spikes"),
            size=1 + stimulus.n,
        ),
    )
