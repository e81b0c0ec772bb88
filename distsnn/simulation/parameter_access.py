"""Parameters of neurons, set between two `run` calls; collective, the same values on all ranks."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.comm import collective_phase, first_on_node
from distsnn.engine import neuron_values
from distsnn.engine.neuron_values import Parameters
from distsnn.errors import DescriptionError
from distsnn.network import Neuron, Value
from distsnn.network.checks import check_shape
from distsnn.network.populations import MOST_FLOAT32_PARTS
from distsnn.network.values import ValueLike, as_value, check_value
from distsnn.simulation.state_access import NeuronValues, Values

_DOING = "setting a parameter"


class NeuronParameters(NeuronValues):
    """Parameters of some neurons (see `NeuronValues`).

    From the next step on, the network runs as if it were described with the new values. States
    stay as they are: a potential does not move when ``E_L`` changes. Where the model chooses its
    substeps, they follow the new values; of a distribution they follow the draws.

    Examples
    --------
    >>> parameters = simulation["E"].parameters  # doctest: +SKIP
    >>> parameters["V_th"]  # float64, one value per neuron, in the order of gids
    >>> parameters["V_th"] = -52.0  # or an array, or a distribution
    >>> simulation[E[:50]].parameters["I_e"] = 300.0
    """

    _noun, _kind = "parameter", "parameters"

    def keys(self) -> tuple[str, ...]:
        """Return the names of the parameters."""
        return tuple(self._neurons.population.model.parameters())

    def _read(self, name: str) -> Values:
        return neuron_values.read_parameter(self._neurons, name, self._slots)

    def _set(self, name: str, described: ValueLike) -> None:
        neurons, engine, communicator = self._neurons, self._engine, self._communicator
        population = neurons.population
        with collective_phase(communicator, _DOING):
            value = self._checked(name, described)
        local_values = self._agreed(name, value)
        with collective_phase(communicator, _DOING):
            step, seed = engine.step, engine.seed
            is_whole = self._size == population.size
            new = neuron_values.with_value(
                neurons, name, self._slots, local_values, is_whole=is_whole, step=step, seed=seed
            )
        before, after = self._models(name, new)
        with collective_phase(communicator, _DOING), first_on_node(communicator):
            changed = {name} | self._check(before, after, new)
            update = engine.update_with(population.name, new)
        engine.set_parameters(population.name, new, changed, update)

    def _checked(self, name: str, described: ValueLike) -> Value:
        """Return a value if it can be one of the parameter's."""
        self._check_name(name)
        parameter = self._neurons.population.model.parameters()[name]
        where = f"{self._where}, {name}"
        value = as_value(described, where=where)
        if isinstance(value, np.ndarray):
            check_shape(value, (self._size,), where=where, meaning="one value per neuron")
        if parameter.integer:
            raise DescriptionError("cannot be changed during a run", where=where)
        check_value(value, parameter.allowed, where=where)
        dt = self._engine.layout.network.dt
        # draws are rounded to the grid
        replace(self._neurons.population.model, **{name: value}).check_grid(dt, where=self._where)
        return value

    def _models(self, name: str, new: Parameters) -> tuple[Neuron, Neuron]:
        """Return the population's model before and after, with all neurons' values. Collective."""
        neurons = self._neurons
        real = np.flatnonzero(neurons.neurons >= 0)
        own_parameters = {
            parameter: neuron_values.read_parameter(neurons, parameter, real)
            for parameter in neurons.changed
        }
        set_now = neuron_values.read_parameter(replace(neurons, parameters=new), name, real)
        parts = self._communicator.allgather((neurons.neurons[real], own_parameters, set_now))
        places = np.concatenate([part[0] for part in parts])

        def whole(values: list[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
            joined = np.empty(places.size)
            joined[places] = np.concatenate(values)
            return joined

        model = neurons.population.model
        changed: dict[str, Any] = {
            parameter: whole([part[1][parameter] for part in parts])
            for parameter in self
            if parameter in own_parameters
        }
        after = changed | {name: whole([part[2] for part in parts])}
        return replace(model, **changed), replace(model, **after)

    def _check(self, before: Neuron, after: Neuron, new: Parameters) -> set[str]:
        """Check a population's model, and set its substeps; return the names that it has set.

        Warn if dt has become too long for the model.
        """
        neurons, dt = self._neurons, self._engine.layout.network.dt
        after.check(neurons.population.size, where=self._where)
        parts = after.parts(dt)
        if parts > MOST_FLOAT32_PARTS and neurons.real == "float32":
            raise DescriptionError(
                f"a step needs {parts} substeps with these values; more than "
                f"{MOST_FLOAT32_PARTS} are integrated in float64",
                where=self._where,
                hint='describe the population with precision="float64"',
            )
        concern = after.concern(dt)
        if concern and concern != before.concern(dt) and self._communicator.rank == 0:
            warnings.warn(f"population {neurons.population.name!r}: {concern}", stacklevel=5)
        return neuron_values.set_substeps(new, parts)
