"""States of neurons, in the user's units, equal on all ranks."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from distsnn.comm import allgather_checked, collective_phase
from distsnn.engine import neuron_values
from distsnn.engine.local_neurons import LocalNeurons, Slots
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network import Target, Value
from distsnn.network.populations import state_value
from distsnn.network.values import ValueLike, value_digest
from distsnn.simulation.access import Access, read_only

Ints = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64 | np.int64]


class NeuronValues(ABC):
    """Values of some neurons by name, in the model's units; they are set between two `run` calls.

    Reading and setting is collective: every rank uses the same name, and gets or gives the values
    of all the neurons, wherever these are.

    Parameters
    ----------
    access : Access
        The simulation.
    target : Population, PopulationView or str
        The neurons.

    Raises
    ------
    DescriptionError, UsageError
        If there are no such neurons, or ranks name different ones.
    """

    _noun: ClassVar[str]
    _kind: ClassVar[str]

    def __init__(self, access: Access, target: Target) -> None:
        self._access, self._communicator = access, access.communicator
        with collective_phase(self._communicator, "looking for neurons"):
            network = access.engine.layout.network
            view = network.resolve_view(target, where=self._kind)
            self._where, self._size = f"{self._kind} of {network.view_label(view)!r}", view.size
            self._population = view.population
            positions = view.positions(self._neurons.neurons)
            slots = np.flatnonzero(positions >= 0)
            local_positions = positions[slots]
            self._slots, self._positions = _compact(slots), _compact(local_positions)
        self._all_positions = _compact(
            np.concatenate(
                allgather_checked(
                    self._communicator, lambda: (self._where, local_positions), where=self._where
                )
            )
        )

    @property
    def _engine(self) -> RankEngine:
        return self._access.engine

    @property
    def _neurons(self) -> LocalNeurons:
        """The neurons' population, whose arrays a reset replaces."""
        return self._engine.neurons[self._population]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    @abstractmethod
    def keys(self) -> tuple[str, ...]:
        """Return the names."""

    @abstractmethod
    def _read(self, name: str) -> Values:
        """Return the values of this rank's neurons."""

    @abstractmethod
    def _set(self, name: str, described: ValueLike) -> None:
        """Set values; collective."""

    def __getitem__(self, name: str) -> Values:
        """Return the values of one name.

        Returns
        -------
        ndarray of float64 (int64 of states that are counts), shape (n_neurons,)
            In the order of gids, on every rank.

        Raises
        ------
        DescriptionError, UsageError
            If the name is unknown, or ranks use different names.
        """

        def own() -> tuple[object, Values]:
            self._check_readable(name)
            return (self._where, name), self._read(name)

        joined = np.concatenate(allgather_checked(self._communicator, own, where=self._where))
        values = np.empty_like(joined)
        values[self._all_positions] = joined
        return read_only(values)

    def __setitem__(self, name: str, values: ValueLike) -> None:
        """Set values; they take effect at the next step.

        Parameters
        ----------
        name : str
            The name.
        values : float, array_like (n_neurons,) or Distribution
            In the unit of the name. Draws belong to seed, neuron and time: at time 0 they are those
            of the description.

        Raises
        ------
        DescriptionError, UsageError
            If the name is unknown, a value is not allowed, or ranks give different values.
        """
        self._set(name, values)
        self._access.scripted.add(self._neurons.population.name)

    def _check_name(self, name: str) -> None:
        if not isinstance(name, str) or name not in self.keys():
            raise unknown_name_error(self._noun, str(name), self.keys(), where=self._where)

    def _check_readable(self, name: str) -> None:
        """Check that values of a name can be read; by default those that can be set."""
        self._check_name(name)

    def _agreed(self, name: str, value: Value) -> Value:
        """Return this rank's part of a value, which must be the same on all ranks. Collective."""
        if self._communicator.size > 1:
            request = (self._where, name, value_digest(value))
            allgather_checked(self._communicator, lambda: (request, None), where=self._where)
        return value[self._positions] if isinstance(value, np.ndarray) else value


class NeuronStates(NeuronValues):
    """State variables of some neurons (see `NeuronValues`).

    Sub-expressions of the model's equations that depend on state variables and parameters only,
    such as synaptic currents, are read alike. They cannot be set, and are not among the keys.

    Examples
    --------
    >>> state = simulation[E[:50]].state  # doctest: +SKIP
    >>> state["V_m"]  # float64, one value per neuron, in the order of gids
    >>> state["V_m"] = -60.0  # or an array, or a distribution
    >>> dict(state)  # all variables
    >>> state["I_syn"]  # the synaptic current of these states
    """

    _noun, _kind = "state variable", "state"

    def keys(self) -> tuple[str, ...]:
        """Return the names of the state variables."""
        return tuple(self._neurons.population.model.states)

    def _check_name(self, name: str) -> None:
        if isinstance(name, str) and name in self._neurons.population.model.sub_expressions:
            raise DescriptionError(
                "a sub-expression follows from state variables and parameters: it cannot be set",
                where=self._where,
                value=name,
                allowed=", ".join(self.keys()),
            )
        super()._check_name(name)

    def _check_readable(self, name: str) -> None:
        self._neurons.population.model.check_readable(str(name), where=self._where)

    def _read(self, name: str) -> Values:
        return neuron_values.read_state(self._neurons, name, self._slots)

    def _set(self, name: str, described: ValueLike) -> None:
        with collective_phase(self._communicator, "setting a state"):
            self._check_name(name)
            state = self._neurons.population.model.states[name]
            where = f"{self._where}, {name}"
            value = state_value(described, state, self._size, self._neurons.real, where=where)
        value = self._agreed(name, value)
        step, seed = self._engine.step, self._engine.seed
        neuron_values.write_state(self._neurons, name, self._slots, value, step=step, seed=seed)


class StimulusStates(Mapping[str, npt.NDArray[np.float64]]):
    """State variables of a stimulus by name, to read (see `StimulusHandle.state`).

    Parameters
    ----------
    access : Access
        The simulation.
    name : str
        The stimulus's name.
    """

    def __init__(self, access: Access, name: str) -> None:
        self._access, self._name = access, name
        self._where = f"state of stimulus {name!r}"

    def _local(self) -> tuple[Ints, dict[str, npt.NDArray[np.float64]]]:
        holder = self._access.engine.stimuli.state_of(self._name)
        return (np.empty(0, np.int64), {}) if holder is None else holder.target_states()

    def __iter__(self) -> Iterator[str]:
        return iter(self._local()[1])

    def __len__(self) -> int:
        return len(self._local()[1])

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        """Return the values of one name. Collective.

        Returns
        -------
        ndarray of float64, shape (n_targets,) or (n_targets, processes)
            In the order of the target, on every rank.

        Raises
        ------
        DescriptionError, UsageError
            If the stimulus has no such state, or ranks use different names.
        """

        def own() -> tuple[object, tuple[Ints, npt.NDArray[np.float64]]]:
            positions, states = self._local()
            if not states:
                raise DescriptionError(
                    "the stimulus has no state: it is a function of the step",
                    where=self._where,
                    value=str(name),
                    allowed="the state of a GammaInput",
                )
            if name not in states:
                raise unknown_name_error("state variable", str(name), states, where=self._where)
            return (self._where, name), (positions, states[name])

        parts = allgather_checked(self._access.communicator, own, where=self._where)
        positions, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return read_only(values[np.argsort(positions)])

    def __setitem__(self, name: str, values: object) -> None:
        """Raise DescriptionError: no state of a stimulus can be set."""
        raise DescriptionError(
            "the state of a stimulus cannot be set",
            where=f"{self._where}, {name}",
            hint="set its values, as in simulation[...].set(...)",
        )


def _compact(index: npt.NDArray[np.integer]) -> Slots:
    """Return an index as a slice if it is of consecutive elements, which is quicker."""
    if index.size and (np.diff(index) == 1).all():
        return slice(int(index[0]), int(index[-1]) + 1)
    return index.astype(np.intp)
