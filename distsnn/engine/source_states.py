"""States of synapse models, which depend on the spikes of a projection's sources.

They are kept twice. Every row whose weights are scaled has a record of its source, which delivery
advances: a rank needs the spikes that arrive and nothing else, and all ranks compute the same bits.
The owner of a source also keeps a record, which is saved; it takes the source's spikes when it is
needed. A spike's factor is decided when the spike is sent. So the factors of spikes in flight are
saved as well: parameters may have changed since (see `engine.sent_factors`).

Delivery cannot stop the epoch loop: a factor that is not allowed becomes 0, and the first one of a
row set is noted in the header of its records. Python finds it after the segment.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType

import numpy as np
import numpy.typing as npt

from distsnn.codegen.generated import generated_transmission_module
from distsnn.counter_rng import SYNAPSE
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import per_neuron
from distsnn.engine.row_sets import RowSet
from distsnn.engine.sent_factors import SentFactors, is_source
from distsnn.engine.state_fields import (
    NeuronHolder,
    StateField,
    Values,
    projection_fields,
    saved_names,
)
from distsnn.errors import DescriptionError
from distsnn.kernels import synapses as kernels
from distsnn.kernels.source_spikes import advance
from distsnn.network import EquationTransmission, Projection, SynapseModel, Value

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class SourceParameters:
    """Parameters of a projection's synapse model, as described or as a script has set them.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    index : int
        The projection, which has a synapse model.
    seed : int
        The run's seed.

    Attributes
    ----------
    index : int
        Index of the projection.
    projection : Projection
        The projection.
    kernel : module
        The synapse model's kernel module.
    changed : dict of str to ndarray of float64, shape () or (n_sources,)
        Parameters that have been set since the network was built, the same on all ranks.
    first_gid : int
        Gid of the first neuron of the sources' population.
    """

    def __init__(self, layout: LocalLayout, index: int, seed: int) -> None:
        self.projection = layout.network.projections[index]
        self.model, self.kernel = synapse_kernel(self.projection)
        self.changed: dict[str, Floats] = {}
        self.first_gid = layout.network.first_gid[self.projection.pre.population]
        self.index, self._seed, self._dt = index, seed, layout.network.dt

    def values(self, name: str, sources: Ints) -> Floats:
        """Return a parameter of some sources: shape (), or one value for each.

        Sources are numbers within the projection's view.
        """
        if name in self.changed:
            value = self.changed[name]
            return value[sources] if value.ndim else value
        return self.draws(name, self.model.value(name), sources, step=0)

    def draws(self, name: str, value: Value, sources: Ints, *, step: int) -> Floats:
        """Return a value of a parameter or state for some sources; draws are keyed by the step.

        At step 0 they equal the described values.
        """
        owner = self.model, SYNAPSE, self.index
        return per_neuron(name, value, sources, *owner, step, self._seed)

    def constants(self, sources: Ints) -> dict[str, Floats]:
        """Return the constants of some sources by name.

        Raises
        ------
        DescriptionError
            If one is not a number.
        """
        parameters = {name: self.values(name, sources) for name in self.model.parameters()}
        with np.errstate(all="ignore"):  # the result is checked
            constants: dict[str, Floats] = self.kernel.constants(parameters, self._dt)
        if any(np.isnan(value).any() for value in constants.values()):
            raise DescriptionError(
                "a constant of its synapse model is not a number: the text divides by 0, takes the "
                "difference of infinite numbers, or a function beyond its range",
                where=f"projection {self.projection.name!r}, field synapse",
            )
        return constants


class SourceStates(NeuronHolder):
    """The states of some sources of a projection.

    Parameters
    ----------
    parameters : SourceParameters
        The projection's parameters.
    neurons : ndarray of int64, shape (n,)
        Neurons of the population that the sources are of. Those that are no sources (and -1, for
        padding) have a record too, which never changes.

    Attributes
    ----------
    kernel : module
        The synapse model's kernel module.
    header : ndarray of float64
        The words before the records.
    records : ndarray of float64, shape (n, size)
        See `distsnn.kernels.synapses`.
    """

    fields: tuple[StateField, ...] = ()

    def __init__(self, parameters: SourceParameters, neurons: Ints) -> None:
        self.parameters, self.kernel = parameters, parameters.kernel
        self.projection, self.neurons = parameters.projection, neurons
        self._make_fields()
        # states, constants, and the factor of the latest spike
        columns = (*self._states, *self.kernel.CONSTANTS)
        self.header, self.records = kernels.make_records(
            neurons.size, len(columns) + 1, parameters.model.max_factor()
        )
        self.use_parameters()
        for name, value in self.kernel.INITIAL.items():
            initial = self.records[:, columns.index(value)] if isinstance(value, str) else value
            self.records[:, columns.index(name)] = initial

    def _make_fields(self) -> None:
        self.fields = state_fields(self.projection)

    @property
    def _states(self) -> tuple[str, ...]:
        """Names of the first columns of the records."""
        names: tuple[str, ...] = self.kernel.STATES
        return names

    def use_parameters(self) -> None:
        """Use the parameters as they are now, for the spikes that follow."""
        # other neurons have the constants of the first source, which act on nothing
        constants = self.parameters.constants(self.projection.pre.positions(self.neurons).clip(0))
        for column, name in enumerate(self.kernel.CONSTANTS, len(self._states)):
            self.records[:, column] = constants[name]

    def bring_up(self, step: int) -> None:
        """Bring the states up to a step by which all spikes are taken."""
        self.kernel.bring_up(self.records, step)

    def now(self, step: int) -> dict[str, Floats]:
        """Return the model's states as they are at a step by which all spikes are taken."""
        records = self.records.copy()
        self.kernel.bring_up(records, step)
        return {name: records[:, self._states.index(name)] for name in self.parameters.model.states}

    def fault(self) -> tuple[int, int, str] | None:
        """Return step, gid of the source and a text of the first factor that is not allowed."""
        step = int(self.header[kernels.FAULT_STEP])
        if not step:
            return None
        record = int(self.header[kernels.FAULT_RECORD]) // self.records.shape[1]
        gid = int(self.neurons[record]) + self.parameters.first_gid
        problem = (
            f"projection {self.projection.name!r}, spike of gid {gid}: its synapse model "
            f"multiplies the weights by {self.header[kernels.FAULT_FACTOR]:g}, beyond 0 to "
            f"{self.parameters.model.max_factor():g}"
        )
        return step, gid, problem

    def set_state(self, name: str, values: Floats) -> None:
        """Set a state, which was brought up to now: of all sources, or one value for each."""
        positions = self.projection.pre.positions(self.neurons)
        is_source = positions >= 0
        source_values = values[positions[is_source]] if values.ndim else values
        self.records[is_source, self._states.index(name)] = source_values

    def copy_records(self, others: "Iterable[SourceStates]") -> None:
        """Copy the records of the same sources from other states of all projections."""
        for other in others:
            if other.parameters is self.parameters:
                rows = other.rows_of(self.neurons + self.parameters.first_gid)
                self.records[rows >= 0] = other.records[rows[rows >= 0]]

    def rows_of(self, gid: npt.NDArray[np.integer]) -> Ints:
        """Return the records of some neurons, -1 for those without; `neurons` are ascending."""
        first = self.parameters.first_gid
        rows = np.searchsorted(self.neurons, gid.astype(np.int64) - first)
        has_row = np.append(self.neurons, -1)[rows] == gid.astype(np.int64) - first
        return np.where(has_row, rows, -1)

    def arrays(self) -> Iterable[Values]:
        """Return the columns of the states."""
        return self.records.T[: len(self._states)]

    def put(self, values: Sequence[Values], step: int) -> None:
        """Set the states; parameters may have changed."""
        self.use_parameters()
        super().put(values, step)


class OwnStates(SourceStates):
    """The states of a rank's own neurons, by which a projection's sources are saved.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    parameters : SourceParameters
        The projection's parameters. Those that were set are saved with the states.

    Attributes
    ----------
    sent : SentFactors
        Factors of this rank's spikes in flight.
    """

    def __init__(self, layout: LocalLayout, parameters: SourceParameters) -> None:
        self.layout = layout
        index = layout.population_index(parameters.projection.pre.population)
        super().__init__(parameters, layout.population_neurons(index))
        self.sent = SentFactors(layout, parameters.projection)
        self._until = 0  # the step up to which spikes are taken

    def _make_fields(self) -> None:
        parameters = self.parameters.model.parameters()
        changed = {
            name: ("float64", parameters[name].unit) for name in sorted(self.parameters.changed)
        }
        self.fields = (
            *projection_fields(self.projection, "source", "source_parameters", changed),
            *state_fields(self.projection),
        )

    def declare(self, saved: Iterable[StateField]) -> None:
        """Declare the parameters that were set before a checkpoint."""
        population = self.projection.pre.population
        for name in saved_names(saved, population, "source_parameters", self.projection):
            self.parameters.changed[name] = np.zeros(())
        self._make_fields()

    def arrays(self) -> Iterable[Values]:
        """Return copies of the parameters that were set, then the columns of the states."""
        sources = self.projection.pre.positions(self.neurons).clip(0)
        for _, value in sorted(self.parameters.changed.items()):
            yield value[sources] if value.ndim else np.full(sources.size, value)
        yield from super().arrays()

    def put(self, values: Sequence[Values], step: int) -> None:
        """Set the parameters, then the states, which know of all spikes up to the step."""
        pre, changed = self.projection.pre, self.parameters.changed
        for name, population_values in zip(sorted(changed), values, strict=False):
            source_values = population_values[pre.index]
            bits = source_values.view(np.int64)  # 0.0 equals -0.0
            is_common = (bits == bits[0]).all()
            changed[name] = source_values[0].reshape(()) if is_common else source_values
        super().put(values, step)
        self._until = step

    def use_parameters(self) -> None:
        """Use the parameters as they are now, for the spikes that follow."""
        super().use_parameters()
        self._make_fields()

    def advance(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Take this rank's spikes that have no events ahead of them, in the order of their steps.

        They may have been taken before.
        """
        new = step > self._until
        spikes = select_source_spikes(self.layout, self.projection, step[new], gid[new])
        advance(self.kernel.spike.address, self.records, *spikes)
        self._until = max(self._until, int(step[-1]))
        self.sent.drop(int(step[-1]))

    def follow(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Take this rank's spikes in flight, in the order of their steps, and keep their factors.

        Those that were taken before are not taken again.
        """
        new = step > self._until
        if not new.any():
            return
        self._until = int(step[-1])
        new &= is_source(self.layout, self.projection, gid)
        step, gid = step[new], gid[new]
        neurons, _ = select_source_spikes(self.layout, self.projection, step, gid)
        factors, nth = np.empty(step.size), occurrences(neurons)
        for n in range(int(nth.max(initial=-1)) + 1):
            is_nth = nth == n  # of each source one spike, whose factor its record has
            advance(self.kernel.spike.address, self.records, neurons[is_nth], step[is_nth])
            factors[is_nth] = self.records[neurons[is_nth], -1]
        self.sent.append(step, gid, factors)


def occurrences(values: npt.NDArray[np.integer]) -> Ints:
    """Return of each value how many equal ones precede it."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.searchsorted(ordered, ordered)
    result = np.empty(values.size, np.int64)
    result[order] = np.arange(values.size) - first
    return result


def select_source_spikes(
    layout: LocalLayout,
    projection: Projection,
    step: npt.NDArray[np.int32],
    gid: npt.NDArray[np.uint32],
) -> tuple[Ints, npt.NDArray[np.int32]]:
    """Return which of a rank's spikes are of a projection's sources: the neuron, and the step.

    Neurons count from the rank's first of their population.
    """
    name, selected = projection.pre.population, is_source(layout, projection, gid)
    population = layout.population_index(name)
    neuron = gid[selected].astype(np.int64) - layout.network.first_gid[name]
    return layout.to_local(population, neuron) - layout.first[population], step[selected]


def synapse_kernel(projection: Projection) -> tuple[SynapseModel, ModuleType]:
    """Return a projection's synapse model, and its kernel module.

    Raises
    ------
    DescriptionError
        If it has no equations.
    """
    model = projection.scaling_model
    if isinstance(model, EquationTransmission) and not model.kernel:
        return model, importlib.import_module(generated_transmission_module(model.model))
    if model is None or not model.kernel:
        raise DescriptionError(
            "no kernel computes this synapse model",
            where=f"projection {projection.name!r}, field synapse",
            value=type(model).__name__,
            allowed="a TransmissionModel, or a class that derives from EquationTransmission",
        )
    return model, importlib.import_module(model.kernel)


def source_parameters(layout: LocalLayout, seed: int) -> dict[int, SourceParameters]:
    """Return the parameters of all projections with a synapse model, by projection."""
    return {
        index: SourceParameters(layout, index, seed)
        for index, projection in enumerate(layout.network.projections)
        if projection.scaling_model is not None
    }


def row_source_states(
    layout: LocalLayout, row_set: RowSet, parameters: Mapping[int, SourceParameters]
) -> SourceStates | None:
    """Return the states of a row set's sources, row by row; None where weights are not scaled."""
    index = row_set.plan.scaled_by
    if index is None:
        return None
    name = layout.network.projections[index].pre.population
    neurons = row_set.sources - layout.network.first_gid[name]
    return SourceStates(parameters[index], neurons)


def state_fields(projection: Projection) -> tuple[StateField, ...]:
    """Declare the states of a projection's synapse model, if it has one that scales weights."""
    if projection.scaling_model is None:
        return ()
    model, kernel = synapse_kernel(projection)
    variables = {
        name: ("float64", model.states[name].unit if name in model.states else "steps")
        for name in kernel.STATES
    }
    return projection_fields(projection, "source", "sources", variables)
