"""The state of a population: its neurons' state variables, and parameters that were set."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from distsnn.engine import neuron_parameters
from distsnn.engine.neuron_parameters import Parameters
from distsnn.engine.populations import Neurons, state_fields
from distsnn.engine.state_fields import Key, NeuronHolder, StateField, Values

# '/' cannot be in a name: no state of a neuron or projection is called so
_PARAMETER = "parameter / "


class PopulationState(NeuronHolder):
    """The state of a population on this rank.

    Parameters
    ----------
    neurons : Neurons
        The population's neurons.
    dt : float
        Time step, ms.
    set_parameters : callable
        Sets the population's parameters; takes all of them and the names of those that are new.
    """

    def __init__(
        self,
        neurons: Neurons,
        dt: float,
        set_parameters: Callable[[str, Parameters, set[str]], None],
    ) -> None:
        self._held, self._set_parameters = neurons, set_parameters
        self.neurons = neurons.neurons
        self._variables = state_fields(neurons.population, dt)

    @property
    def _parameters(self) -> list[str]:
        return sorted(self._held.changed)

    @property
    def fields(self) -> tuple[StateField, ...]:
        """The parameters that were set, then the state variables."""
        population = self._held.population
        known = population.model.parameters()
        units = {name: known[name].unit if name in known else "1" for name in self._parameters}
        parameters = (
            StateField(population.name, _PARAMETER + name, "neuron", "float64", unit)
            for name, unit in units.items()
        )
        return *parameters, *self._variables

    def declare(self, saved: Iterable[Key]) -> None:
        """Declare the parameters among the names of a checkpoint, which were set before it."""
        known = self._held.parameters
        self._held.changed |= {
            name.removeprefix(_PARAMETER)
            for population, name in saved
            if population == self._held.population.name
            and name.startswith(_PARAMETER)
            and name.removeprefix(_PARAMETER) in known
        }

    def arrays(self) -> Iterable[Values]:
        """Return copies of the parameters, then the arrays of the state variables."""
        of_each = slice(None)
        yield from (neuron_parameters.read(self._held, name, of_each) for name in self._parameters)
        yield from self._held.states.values()

    def put(self, values: Sequence[Values], step: int) -> None:
        """Set the parameters, then the state variables, some of which are kept relative to them."""
        names, own = self._parameters, self.neurons >= 0
        if names and own.any():
            found = dict(self._held.parameters)
            for name, given in zip(names, values, strict=False):
                bits = given.view(np.int64)  # 0.0 equals -0.0
                if (bits == bits[0]).all():
                    found[name] = np.asarray(given[0])
                    continue
                # padding takes the first value: it must be valid, and is never seen
                found[name] = np.full(own.size, given[0])
                found[name][own] = given
            self._set_parameters(self._held.population.name, found, set(names))
        super().put(values, step)
