"""States of synapse models: what a projection's sources have come to by their spikes.

They are kept twice. Every row whose weights are scaled has the *current* state of its source, which
delivery advances: a rank needs the spikes that arrive and nothing else, and all ranks come to the
same bits. The owner of a source also keeps its *settled* state: that of the spikes which have no
events ahead of them. It is what a checkpoint holds. Spikes in flight are delivered once more when a
run goes on, and so make of the settled state the current one, and each one's factor on the way.
"""

import importlib
from collections.abc import Iterable
from types import ModuleType

import numpy as np
import numpy.typing as npt

from distsnn.counter_rng import SYNAPSE
from distsnn.engine.layout import Layout
from distsnn.engine.populations import per_neuron
from distsnn.engine.row_sets import RowSet
from distsnn.engine.state_fields import NeuronHolder, StateField, Values, projection_fields
from distsnn.errors import DescriptionError
from distsnn.kernels.source_spikes import advance
from distsnn.network import Network, Projection

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class SourceStates(NeuronHolder):
    """The states of some sources of a projection.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    index : int
        The projection, which has a synapse model.
    neurons : ndarray of int64, shape (n,)
        Neurons of the population that the sources are of. Those that are no sources (and -1, for
        padding) have a record too, which never changes.
    seed : int
        The run's seed.

    Attributes
    ----------
    kernel : module
        The synapse model's kernel module.
    records : ndarray of float64, shape (n, size)
        See `distsnn.kernels.synapses`.
    """

    fields: tuple[StateField, ...] = ()

    def __init__(self, layout: Layout, index: int, neurons: Ints, seed: int) -> None:
        network = layout.network
        one = network.projections[index]
        model = one.scaling_model
        if model is None or not model.kernel:
            raise DescriptionError(
                "no kernel computes this synapse model",
                where=f"projection {one.name!r}, field synapse",
                value=type(model).__name__,
                allowed="a model with a class attribute `kernel`, or a class derived from it",
            )
        self.projection, self.neurons, self.fields = one, neurons, state_fields(one)
        self.kernel: ModuleType = importlib.import_module(model.kernel)
        sources = np.clip(neurons - one.pre.start, 0, one.pre.size - 1)
        given = {
            name: per_neuron(model.value(name), sources, SYNAPSE, index, field, seed)
            for field, name in enumerate(model.parameters())
        }
        constants = self.kernel.constants(given, network.dt)
        self._states: tuple[str, ...] = self.kernel.STATES  # the first columns of the records
        columns = [model.states[name].default for name in self._states]
        columns += [constants[name] for name in self.kernel.CONSTANTS]
        # the last word is the factor of the latest spike
        self.records = np.zeros((neurons.size, len(columns) + 1))
        for column, values in enumerate(columns):
            self.records[:, column] = values

    def arrays(self) -> Iterable[Values]:
        """Return the columns of the states."""
        model = self.projection.scaling_model
        assert model is not None
        return [self.records[:, self._states.index(name)] for name in model.states]


class SettledStates(SourceStates):
    """The settled states of a rank's own neurons, by which a projection's sources are saved.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    index : int
        The projection, which has a synapse model.
    seed : int
        The run's seed.
    """

    def __init__(self, layout: Layout, index: int, seed: int) -> None:
        self.layout = layout
        name = layout.network.projections[index].pre.population
        self.population = layout.population_index(name)
        super().__init__(layout, index, layout.in_population(self.population), seed)

    def settle(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Take this rank's spikes that follow those taken before, in the order of their steps."""
        spikes = of_sources(self.layout, self.projection, step, gid)
        advance(self.kernel.spike.address, self.records, *spikes)

    def latest(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> dict[str, Floats]:
        """Return states that know of these spikes too; they do not become settled by that."""
        settled = self.records.copy()
        self.settle(step, gid)
        latest, self.records = self.records, settled
        return {name: latest[:, column] for column, name in enumerate(self._states)}


def of_sources(
    layout: Layout, one: Projection, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]
) -> tuple[Ints, npt.NDArray[np.int32]]:
    """Return which of a rank's spikes are of a projection's sources: the neuron, and the step.

    Neurons count from the rank's first of their population.
    """
    view, population = one.pre, layout.population_index(one.pre.population)
    neuron = gid.astype(np.int64) - layout.network.first_gid[view.population]
    mine = (neuron >= view.start) & (neuron < view.stop)
    return layout.local(population, neuron[mine]) - layout.first[population], step[mine]


def of_rows(layout: Layout, row_set: RowSet, seed: int) -> SourceStates | None:
    """Return the states of a row set's sources, row by row; None where weights are not scaled."""
    index = row_set.plan.scaled_by
    if index is None:
        return None
    name = layout.network.projections[index].pre.population
    neurons = row_set.sources - layout.network.first_gid[name]
    return SourceStates(layout, index, neurons, seed)


def settled(layout: Layout, seed: int) -> list[SettledStates]:
    """Return the settled states of all projections with a synapse model."""
    return [SettledStates(layout, index, seed) for index, _ in _scaled(layout.network)]


def state_fields(projection: Projection) -> tuple[StateField, ...]:
    """Declare the states of a projection's synapse model, if it has one that scales weights."""
    states = projection.scaling_model.states if projection.scaling_model else {}
    variables = {name: ("float64", state.unit) for name, state in states.items()}
    return projection_fields(projection, "source", variables)


def _scaled(network: Network) -> list[tuple[int, Projection]]:
    numbered = enumerate(network.projections)
    return [(index, one) for index, one in numbered if one.scaling_model is not None]
