"""Homeostasis: scales the weights onto a rank's neurons between two epochs of a run.

All weights onto a neuron are on its rank, summed in the order of (projection, source, drawing), and
its spikes are known there: nothing is exchanged, and the result does not depend on the ranks.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from distsnn.engine.layout import LocalLayout
from distsnn.engine.plasticity.delivery import PlasticDelivery
from distsnn.engine.state_fields import NeuronHolder, StateField, Values
from distsnn.kernels import activity
from distsnn.kernels.functions import exp_array
from distsnn.network import Homeostasis, Network, NormaliseWeights, SynapticScaling

Floats = npt.NDArray[np.float64]

# Exponent of one scaling beyond which all weights are at their bounds or 0.
_MOST_EXPONENT = 50.0


class ScaledTargets:
    """The neurons of a rank whose weights are scaled.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    rule : Homeostasis
        The rule.

    Attributes
    ----------
    index, first : int
        Their population, and its first local slot.
    neurons : ndarray of int64, shape (n,)
        Neurons of the population's slots, -1 for padding.
    slots : ndarray of int64, shape (n_targets_here,)
        Which of these slots are targets.
    """

    def __init__(self, layout: LocalLayout, rule: Homeostasis) -> None:
        self._layout = layout
        self.post = layout.network.projection(rule.projections[0]).post
        self.index = layout.population_index(self.post.population)
        self.first = int(layout.first[self.index])
        self.neurons = layout.population_neurons(self.index)
        self._positions = self.post.positions(self.neurons)
        self.slots = np.flatnonzero(self._positions >= 0)

    def values(self, value: float | Floats) -> Floats:
        """Return the value for each of the population's slots, 0 for slots without target."""
        out = np.zeros(self.neurons.size)
        positions = self._positions[self.slots]
        out[self.slots] = value[positions] if isinstance(value, np.ndarray) else value
        return out

    def local(self, values: Floats, padding: float) -> Floats:
        """Return values of the population's slots for all local ones, with a rest for others."""
        out = np.full(self._layout.n_local, padding)
        out[self.first + self.slots] = values[self.slots]
        return out


class WeightScaler:
    """Weights onto neurons, scaled so that their sum or the neurons' activity reaches a goal.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    rule : Homeostasis
        The rule.
    deliveries : sequence of PlasticDelivery
        The projections, in the order in which weights are summed.

    Attributes
    ----------
    interval_steps : int
        Steps between two times; it acts at the multiples.
    activity : RateTraces or None
        Traces of the targets' spikes, where these matter.
    """

    def __init__(
        self, layout: LocalLayout, rule: Homeostasis, deliveries: Sequence[PlasticDelivery]
    ) -> None:
        self._layout, self._rule, self._deliveries = layout, rule, deliveries
        self.interval_steps = rule.interval_steps(layout.network.dt)
        self._targets = targets = ScaledTargets(layout, rule)
        self.activity: RateTraces | None = None
        if isinstance(rule, SynapticScaling):
            self._goal = targets.values(rule.rate)
            self.activity = RateTraces(layout, rule, targets)
        elif isinstance(rule, NormaliseWeights):
            self._goal = np.abs(targets.values(rule.total))

    def spikes(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Take this rank's spikes, in the order of their stamps."""
        if self.activity is not None:
            self.activity.follow(step, gid)

    def apply(self, step: int) -> None:
        """Scale the weights, at a step up to which all ranks' spikes were delivered."""
        factors = self._factors(step)
        for delivery in self._deliveries:
            if delivery.learns:
                delivery.scale(factors, step)

    def _factors(self, step: int) -> Floats:
        targets, rule = self._targets, self._rule
        if isinstance(rule, NormaliseWeights):
            sums = np.zeros(self._layout.n_local)
            for delivery in self._deliveries:
                delivery.add_weights(sums, step)
            goal = targets.local(self._goal, 0.0)
            factors = np.divide(goal, sums, out=np.ones_like(sums), where=sums > 0.0)
            return factors if rule.fraction == 1.0 else 1.0 + rule.fraction * (factors - 1.0)
        assert isinstance(rule, SynapticScaling)
        assert self.activity is not None
        exponent = 1e-3 * rule.interval * rule.beta * (self._goal - self.activity.at(step))
        grown = exp_array(np.clip(exponent, -_MOST_EXPONENT, _MOST_EXPONENT))
        return targets.local(grown, 1.0)


class RateTraces(NeuronHolder):
    """Traces of the spikes of a rank's neurons, spikes/s.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    rule : SynapticScaling
        The rule that uses them.
    targets : ScaledTargets
        The neurons.
    """

    fields: tuple[StateField, ...] = ()

    def __init__(self, layout: LocalLayout, rule: SynapticScaling, targets: ScaledTargets) -> None:
        self._layout, self._targets = layout, targets
        self.fields, self.neurons = state_fields(layout.network, rule), targets.neurons
        self._tau, self._jump = rule.tau / layout.network.dt, 1e3 / rule.tau
        self._traces = targets.values(rule.rate)
        self._last = np.zeros(self._traces.size, np.int32)

    def follow(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Let traces follow spikes."""
        post = self._targets.post
        neuron = gid.astype(np.int64) - self._layout.network.first_gid[post.population]
        is_target = post.positions(neuron) >= 0
        slots = self._layout.to_local(self._targets.index, neuron[is_target]) - self._targets.first
        activity.add_spikes_to_traces(
            step[is_target], slots, self._jump, self._tau, self._traces, self._last
        )

    def at(self, step: int) -> Floats:
        """Return the traces at a step, of the population's slots."""
        out = np.empty_like(self._traces)
        activity.traces_at(step, self._tau, self._traces, self._last, out)
        return out

    def arrays(self) -> Iterable[Values]:
        """Return the traces, and the steps of the spikes after which they had these values."""
        return self._traces, self._last


def state_fields(network: Network, rule: Homeostasis) -> tuple[StateField, ...]:
    """Declare the state of a network's homeostasis."""
    if not isinstance(rule, SynapticScaling):
        return ()
    population = network.projection(rule.projections[0]).post.population
    group = f"homeostasis/{rule.name}"
    return (
        StateField(population, group, "activity", "target", "float64", "spikes/s"),
        StateField(population, group, "last_spike", "target", "int32", "step"),
    )
