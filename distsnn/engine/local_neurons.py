"""A rank's neurons: parameters, states and the update call of every population."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.codegen import update as codegen
from distsnn.codegen.generated import generated_kernel_module
from distsnn.counter_rng import PARAMETER
from distsnn.engine.kernel_calls import KernelCall
from distsnn.engine.layout import LocalLayout
from distsnn.engine.spike_sources import source_call
from distsnn.engine.state_fields import Ints, NeuronHolder, StateField, Values, saved_names
from distsnn.errors import DescriptionError
from distsnn.kernels import emission, neuron_draws
from distsnn.kernels.rows import MASK, RING, STRIDE
from distsnn.kernels.values import draw_values
from distsnn.network import (
    EquationNeuron,
    Neuron,
    Population,
    SpikeSource,
    SubsteppedNeuron,
    Value,
    distribution_code,
)
from distsnn.network.distributions import Distribution
from distsnn.network.model import Model, kernel_module_of
from distsnn.network.populations import Precision
from distsnn.network.quanta import WeightQuanta

Floats = npt.NDArray[np.float64]
Slots = slice | npt.NDArray[np.intp]

_ALL = slice(None)


@dataclass(eq=False)
class InputRing:
    """The rows of future input: one plane for each receptor position.

    Attributes
    ----------
    rows : ndarray of int32 or int64, shape (n_planes, n_rows, 2^target_bits)
        n_rows is a power of two.
    """

    rows: npt.NDArray[np.signedinteger]

    @property
    def bits(self) -> int:
        """Width of a slot."""
        return 8 * self.rows.itemsize

    def bind_plane(self, call: KernelCall, plane: int, *, ring: int = RING) -> None:
        """Point a call's table at a plane."""
        call.bind(ring, self.rows[plane])

    def bind_shape(self, call: KernelCall, mask: int = MASK, stride: int = STRIDE) -> None:
        """Set the ring's MASK and STRIDE in a call's table."""
        call.table[mask], call.table[stride] = self.rows.shape[1] - 1, self.rows.shape[2]


@dataclass(eq=False)
class LocalNeurons(NeuronHolder):
    """One population's neurons on this rank. Parameters that were set are part of their state.

    Attributes
    ----------
    population : Population
        The population.
    index, first, last : int
        Its position, and its range of local slots.
    neurons : ndarray of int64, shape (last - first,)
        Each slot's neuron within the population, -1 for padding.
    real : {"float32", "float64"}
        Type of real states and of the current.
    states : dict of str to ndarray, shape (last - first,)
        State variables, less what they are kept relative to.
    parameters : dict of str to ndarray of float64, shape () or (last - first,)
        Parameters.
    current : ndarray or None
        Current of stimuli, pA.
    dt : float
        Time step, ms.
    changed : set of str
        Parameters that have been set since the network was built.
    set_parameters : callable
        Sets the parameters, takes all of them and the names of new ones; once connected.
    """

    population: Population
    index: int
    first: int
    last: int
    neurons: Ints
    real: Precision
    states: dict[str, npt.NDArray[Any]]
    parameters: dict[str, Floats]
    current: npt.NDArray[Any] | None
    dt: float
    changed: set[str] = field(default_factory=set)
    set_parameters: Callable[[dict[str, Floats], set[str]], None] | None = None

    @property
    def fields(self) -> tuple[StateField, ...]:
        """The parameters that were set, then the state variables."""
        name, declared = self.population.name, self.population.model.parameters()
        parameters = (
            StateField(
                *(name, "neuron_parameters", parameter, "neuron", "float64"),
                unit=declared[parameter].unit if parameter in declared else "1",
            )
            for parameter in sorted(self.changed)
        )
        return *parameters, *state_fields(self.population, self.dt)

    def declare(self, saved: Iterable[StateField]) -> None:
        """Declare the parameters that were set before a checkpoint."""
        self.changed |= saved_names(saved, self.population.name, "neuron_parameters")

    def arrays(self) -> Iterable[Values]:
        """Return copies of the parameters, then the arrays of the state variables."""
        for name in sorted(self.changed):
            yield np.broadcast_to(self.parameters[name], self.neurons.shape).copy()
        yield from self.states.values()

    def put(self, values: Sequence[Values], step: int) -> None:
        """Set the parameters, then the state variables, some of which are kept relative to them."""
        is_neuron, parameters = self.neurons >= 0, dict(self.parameters)
        for name, saved_values in zip(sorted(self.changed), values, strict=False):
            bits = saved_values.view(np.int64)  # 0.0 equals -0.0
            if (bits == bits[0]).all():
                parameters[name] = np.asarray(saved_values[0])
                continue
            # padding takes the first value: it must be valid, and is never seen
            parameters[name] = np.full(is_neuron.size, saved_values[0])
            parameters[name][is_neuron] = saved_values
        if self.changed:
            assert self.set_parameters is not None
            self.set_parameters(parameters, self.changed)
        super().put(values, step)

    def offset(self, variable: str, slots: Slots = _ALL) -> Floats:
        """Return the offset of a stored state: shape () or one value per slot."""
        relative_to = self.population.model.states[variable].relative_to
        offset = np.zeros(()) if relative_to is None else self.parameters[relative_to]
        return offset[slots] if offset.ndim else offset

    def to_stored(
        self, variable: str, value: Floats | float, slots: Slots = _ALL
    ) -> npt.NDArray[Any]:
        """Return a state's value as it is kept: less its offset, and in its type."""
        integer = self.population.model.states[variable].integer
        stored = np.asarray(value - self.offset(variable, slots))
        return stored.astype(np.int32 if integer else self.real)

    def draws(
        self, name: str, value: Distribution, slots: Slots, *, step: int, seed: int
    ) -> Floats:
        """Return draws of a parameter or state for some neurons, keyed by the step.

        At step 0 they equal the described values.
        """
        owner = self.population.model, PARAMETER, self.index
        return per_neuron(name, value, self.neurons[slots], *owner, step, seed)


def make_neurons(
    layout: LocalLayout,
    index: int,
    seed: int,
    current: bool,
    changed_parameters: Mapping[str, Floats] | None = None,
) -> LocalNeurons:
    """Draw the parameters and initial states of a population's local neurons.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    index : int
        The population.
    seed : int
        The run's seed.
    current : bool
        Whether current stimuli reach the population.
    changed_parameters : mapping of str to ndarray of float64, optional
        Values of parameters that a script has set; they replace the described values.
    """
    population = layout.network.populations[index]
    model, neurons = population.model, layout.population_neurons(index)

    def values(name: str, value: Value) -> Floats:
        return per_neuron(name, value, neurons, model, PARAMETER, index, 0, seed)

    parameters = {name: values(name, model.value(name)) for name in model.parameters()}
    first, last = int(layout.first[index]), int(layout.last[index])
    if isinstance(model, SubsteppedNeuron):
        parameters[codegen.SUB_STEPS] = np.asarray(float(model.parts(layout.network.dt)))
    parameters |= changed_parameters or {}
    real = population.state_type(layout.network.dt)
    stimulated = np.zeros(neurons.size, real) if current else None
    local_neurons = LocalNeurons(
        *(population, index, first, last, neurons, real, {}, parameters, stimulated),
        *(layout.network.dt, set(changed_parameters or {})),
    )
    for name, state in model.states.items():
        if name in population.initial:
            start = values(name, population.initial[name])
        elif isinstance(state.default, str):
            start = parameters[state.default]
        else:
            start = np.asarray(float(state.default))
        stored = local_neurons.to_stored(name, start)
        local_neurons.states[name] = np.broadcast_to(stored, neurons.shape).copy()
    return local_neurons


def state_fields(population: Population, dt: float) -> tuple[StateField, ...]:
    """Declare the state variables of a population's neurons, as they are kept."""
    real = population.state_type(dt)
    return tuple(
        StateField(
            *(population.name, "neurons", name, "neuron"),
            *("int32" if state.integer else real, state.unit),
        )
        for name, state in population.model.states.items()
    )


def per_neuron(
    name: str,
    value: Value,
    neurons: Ints,
    model: Model,
    purpose: int,
    owner: int,
    step: int,
    seed: int,
) -> Floats:
    """Return a parameter or state for each of some neurons, or the one value for all of them.

    Parameters
    ----------
    name : str
        The parameter or state.
    value : float, ndarray of float64 or Distribution
        The value; an array has one for every neuron of the owner.
    neurons : ndarray of int64, shape (n,)
        The neurons, -1 for padding.
    model : Model
        The model that has it.
    purpose, owner, step, seed : int
        What draws are keyed by, with name and neuron (see `draw_values`).

    Returns
    -------
    ndarray of float64, shape () or (n,)
    """
    if isinstance(value, np.ndarray):
        # padding takes the first neuron's value: it must be valid, and is never seen
        return np.asarray(value, np.float64)[np.maximum(neurons, 0)]
    if isinstance(value, Distribution):
        code, parameters = distribution_code(value)
        fields = [*model.parameters(), *model.states]
        # 32 bits: the same draws come again after hundreds of millions of steps
        field = (fields.index(name) + len(fields) * step) % 2**32
        drawn, indices = np.empty(neurons.size), np.maximum(neurons, 0)
        draw_values(code, *parameters, indices, purpose, owner, field, np.uint64(seed), drawn)
        return drawn
    return np.asarray(float(value))


def neuron_module_name(model: Neuron) -> str:
    """Return the import name of a model's kernel module."""
    if isinstance(model, EquationNeuron) and not model.kernel:
        any_parts = isinstance(model, SubsteppedNeuron)
        return generated_kernel_module(
            model.model, any_parts=any_parts, ordered=model.ordered_parameters
        )
    return model.kernel or kernel_module_of("neurons", model.name)


def update_call(
    layout: LocalLayout,
    neurons: LocalNeurons,
    quanta: WeightQuanta,
    ring: InputRing,
    emitted: Mapping[int, npt.NDArray[Any]],
    spiked: npt.NDArray[np.uint8],
    seed: int,
) -> KernelCall:
    """Return the update call of a population.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    neurons : LocalNeurons
        The population's.
    quanta : WeightQuanta
        Fixed-point scales.
    ring : InputRing
        Input.
    emitted : mapping of int to ndarray
        Arrays for the emission words of the table.
    spiked : ndarray of uint8, shape (n_local,)
        Scratch.
    seed : int
        The run's seed.
    """
    if isinstance(neurons.population.model, SpikeSource):
        call = source_call(layout, neurons.population, neurons.index)
    else:
        call = _neuron_call(layout, neurons, quanta, ring, spiked, seed)
    for position, array in emitted.items():
        call.bind(position, array)
    return call


def _neuron_call(
    layout: LocalLayout,
    neurons: LocalNeurons,
    quanta: WeightQuanta,
    ring: InputRing,
    spiked: npt.NDArray[np.uint8],
    seed: int,
) -> KernelCall:
    population, model = neurons.population, neurons.population.model
    kernel = codegen.neuron_kernel(neuron_module_name(model))
    with np.errstate(all="ignore"):  # what comes of it is checked
        constants = kernel.propagators(neurons.parameters, layout.network.dt)
    _check_constants(neurons, constants)
    _check_parts(neurons, constants, layout.network.dt)
    variant = codegen.UpdateVariant.of(
        neuron_module_name(model),
        constants,
        precision=neurons.real,
        row_bits=ring.bits,
        counts=tuple(name for name, state in model.states.items() if state.integer),
        current=neurons.current is not None,
    )
    where = codegen.update_table_layout(variant)
    call = KernelCall(
        codegen.update_entry(variant),
        np.zeros(where.size, np.int64),
        neurons.first,
        neurons.last,
        np.zeros(where.n_scalars),
    )
    call.bind(where.spiked, spiked)
    ring.bind_shape(call, where.mask, where.stride)
    for name in kernel.RECEPTORS:
        ring.bind_plane(call, model.receptors.index(name), ring=where.rings[name])
        call.scalars[where.quanta[name]] = quanta.quantum(population.name, name)
    for name, position in where.states.items():
        call.bind(position, neurons.states[name], neurons.first)
    dtypes = {"count": np.int32, "real": neurons.real, "double": np.float64}
    for name, position in where.arrays.items():
        values = np.ascontiguousarray(constants[name], dtypes[kernel.CONSTANTS[name]])
        call.bind(position, values, neurons.first)
    for name in kernel.CONSTANTS:
        if name in where.scalars:
            call.scalars[where.scalars[name]] = float(constants[name])
    if neurons.current is not None:
        call.bind(where.current, neurons.current, neurons.first)
    call.scalars[where.dt] = layout.network.dt
    if where.draws:
        size = neurons.last - neurons.first
        for position, drawn in zip(where.draws, codegen.draw_kinds(kernel), strict=True):
            dtype = np.dtype(np.uint64 if drawn == "bits" else neurons.real)
            call.bind(position, np.zeros(size, dtype), neurons.first)
        first = where.streams
        call.bind(first + neuron_draws.COUNTERS, layout.counters)
        call.table[first + neuron_draws.POPULATION] = neurons.index
        call.table[first + neuron_draws.SEED_LOW] = seed & 0xFFFFFFFF
        call.table[first + neuron_draws.SEED_HIGH] = seed >> 32
    return call


def _check_constants(
    neurons: LocalNeurons, constants: Mapping[str, npt.NDArray[np.float64]]
) -> None:
    # Such as of a time constant of 0 in equations: in time it would make all states no numbers.
    population, real = neurons.population, neurons.neurons >= 0
    parameters = {
        name: value[real] if np.ndim(value) else value for name, value in neurons.parameters.items()
    }
    for values in constants.values():
        # infinite ones may be bounds that are never reached
        if np.isnan(values[real] if np.ndim(values) else values).any():
            zeros = [name for name, value in parameters.items() if np.any(value == 0.0)]
            raise DescriptionError(
                f"{population.model.name} cannot be integrated: something is divided by 0",
                where=f"population {population.name!r}, parameters",
                value=", ".join(f"{name}=0" for name in zeros) or None,
            )


def _check_parts(
    neurons: LocalNeurons, constants: Mapping[str, npt.NDArray[np.float64]], dt: float
) -> None:
    population, parts = neurons.population, constants.get(codegen.SUB_STEPS, np.ones(()))
    stated = neurons.parameters.get(codegen.SUB_STEPS)
    max_parts = population.model.parts(dt) if stated is None else int(stated)
    if np.any(parts > max_parts):
        raise DescriptionError(
            f"the kernel of {population.model.name} integrates a step in more parts than its "
            "description states",
            where=f"population {population.name!r}",
            value=int(np.max(parts)),
            allowed=f"parameters['{codegen.SUB_STEPS}'] of a SubsteppedNeuron, here {max_parts}",
        )


def spikes_per_step(population: Population) -> int:
    """Return the most spikes of one of its neurons in a step."""
    model = population.model
    if isinstance(model, SpikeSource):
        return 1
    relay = codegen.is_relay(codegen.neuron_kernel(neuron_module_name(model)))
    return emission.MAX_SPIKES if relay else 1
