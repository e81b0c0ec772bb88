"""States of neurons by variable, in the user's units, on all ranks alike."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, answers, together
from distsnn.engine import neuron_states, source_states
from distsnn.engine.populations import Slots
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import unknown
from distsnn.network import Target
from distsnn.network.populations import state_value
from distsnn.network.values import ValueLike, value_digest
from distsnn.simulation.scripted import Scripted

Values = npt.NDArray[np.float64 | np.int64]


class NeuronStates:
    """State variables of some neurons by name, in the model's units; they are set between runs.

    Reading and setting is collective: every rank names the same variable, and gets or gives the
    values of all the neurons, wherever these are.

    Parameters
    ----------
    engine : RankEngine
        This rank's engine.
    communicator : Communicator
        The ranks.
    target : Population, View or str
        The neurons.
    scripted : Scripted
        What is told that states were set.

    Raises
    ------
    DescriptionError
        If there are no such neurons, or ranks name different ones.

    Examples
    --------
    >>> state = simulation.state(E[:50])  # doctest: +SKIP
    >>> state["V_m"]  # float64, one value per neuron, in the order of gids
    >>> state["V_m"] = -60.0  # or an array, or a distribution
    >>> dict(state)  # all variables
    """

    def __init__(
        self, engine: RankEngine, communicator: Communicator, target: Target, scripted: Scripted
    ) -> None:
        self._engine, self._communicator, self._scripted = engine, communicator, scripted
        with together(communicator, "looking for neurons"):
            network = engine.layout.network
            view = network.resolve(target, where="state")
            self._where, self._size = f"state of {network.label(view)!r}", view.size
            self._neurons = engine.neurons[view.population]
            numbers = self._neurons.neurons
            slots = np.flatnonzero((numbers >= view.start) & (numbers < view.stop))
            own = numbers[slots] - view.start
            self._slots, self._own = _compact(slots), _compact(own)
        self._places = _compact(
            np.concatenate(answers(communicator, lambda: (self._where, own), where=self._where))
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> tuple[str, ...]:
        """Return the names of the state variables."""
        return tuple(self._neurons.population.model.states)

    def __getitem__(self, variable: str) -> Values:
        """Return a variable's values.

        Returns
        -------
        ndarray of float64 (int64 if it is a count), shape (n_neurons,)
            In the order of gids, on every rank.

        Raises
        ------
        DescriptionError
            If there is no such variable, or ranks name different ones.
        """

        def own() -> tuple[object, Values]:
            self._check(variable)
            part = neuron_states.read(self._neurons, variable, self._slots)
            return (self._where, variable), part

        joined = np.concatenate(answers(self._communicator, own, where=self._where))
        values = np.empty_like(joined)
        values[self._places] = joined
        return values

    def __setitem__(self, variable: str, values: ValueLike) -> None:
        """Set a variable; it takes effect at the next step.

        Parameters
        ----------
        variable : str
            The variable.
        values : float, array_like (n_neurons,) or Distribution
            In the variable's unit. Draws belong to seed, neuron and time: at time 0 they are those
            of initial values.

        Raises
        ------
        DescriptionError
            If there is no such variable, the values cannot be kept in its type, or ranks give
            different ones.
        """
        population = self._neurons.population
        with together(self._communicator, "setting a state"):
            self._check(variable)
            value = state_value(
                values,
                population.model.states[variable],
                self._size,
                self._neurons.real,
                where=f"{self._where}, {variable}",
            )
        if self._communicator.size > 1:
            given = (self._where, variable, value_digest(value))
            answers(self._communicator, lambda: (given, None), where=self._where)
        if isinstance(value, np.ndarray):
            value = value[self._own]
        step, seed = self._engine.step, self._engine.seed
        neuron_states.write(self._neurons, variable, self._slots, value, step=step, seed=seed)
        self._scripted.note(population.name)

    def _check(self, variable: str) -> None:
        known = self._neurons.population.model.states
        if not isinstance(variable, str) or variable not in known:
            raise unknown("state variable", str(variable), known, where=self._where)


def synapse_states(
    engine: RankEngine, communicator: Communicator, projection: str
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the state variables of a projection's synapse model, between two runs. Collective.

    Parameters
    ----------
    engine : RankEngine
        This rank's engine.
    communicator : Communicator
        The ranks.
    projection : str
        Its name, such as ``"E->I"``.

    Returns
    -------
    dict of str to ndarray of float64, shape (n_sources,)
        By variable, after each source's last spike; on every rank.

    Raises
    ------
    DescriptionError
        If there is no such projection, it has no synapse model, or ranks name different ones.
    """
    parts = answers(communicator, lambda: (projection, engine.latest(projection)), where="synapses")
    sources, records = map(np.concatenate, zip(*parts, strict=True))
    ordered = records[np.argsort(sources)]
    return {name: ordered[:, column].copy() for name, column in source_states.STATES.items()}


def _compact(index: npt.NDArray[np.integer]) -> Slots:
    """Return an index as a slice if it is of consecutive elements, which is quicker."""
    if index.size and (np.diff(index) == 1).all():
        return slice(int(index[0]), int(index[-1]) + 1)
    return index.astype(np.intp)
