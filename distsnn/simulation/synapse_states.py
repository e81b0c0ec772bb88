"""States of synapse models, by source, and of plasticity rules, by synapse, between two runs."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from distsnn.comm import allgather_checked, collective_phase
from distsnn.engine.source_states import SourceParameters
from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network.checks import Interval, check_range
from distsnn.network.model import State
from distsnn.network.values import ValueLike, value_digest
from distsnn.simulation.access import Access, plastic_delivery, read_only
from distsnn.simulation.end_states import end_of_states, read_end_states
from distsnn.simulation.synapse_order import SynapseOrder, as_numbers

Floats = npt.NDArray[np.float64]

_DOING = "setting a state"


class _States(Mapping[str, Floats]):
    """States of a projection's synapses by name."""

    _meaning: str

    def __init__(self, access: Access, name: str, states: Mapping[str, State]) -> None:
        self._access, self._name, self._states = access, name, states
        self._where = f"state of projection {name!r}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    def _check_name(self, name: str) -> State:
        if not isinstance(name, str) or name not in self._states:
            raise unknown_name_error("state", str(name), [*self], where=self._where)
        return self._states[name]

    def _checked(
        self, name: str, described: ValueLike, shape: tuple[int, ...], largest: float
    ) -> float | Floats:
        state, where = self._check_name(name), f"{self._where}, {name}"
        value = as_numbers(described, shape, where=where, meaning=self._meaning)
        check_range(
            value, Interval(max(state.low, -largest), min(state.high, largest)), where=where
        )
        return value


class SynapseModelStates(_States):
    """States of a projection's synapse model by name, to read and set.

    Current values, float64, shape (n_sources,), in the order of gids. A value that is set acts on
    the spikes that are sent later; spikes in flight keep their factors.

    Parameters
    ----------
    access : Access
        The simulation.
    parameters : SourceParameters
        The projection's parameters.
    """

    _meaning = "one value per source"

    def __init__(self, access: Access, parameters: SourceParameters) -> None:
        super().__init__(access, str(parameters.projection.name), parameters.model.states)
        self._parameters = parameters

    def __getitem__(self, name: str) -> Floats:
        """Return a state as it is now. Collective.

        Raises
        ------
        DescriptionError, UsageError
            If the state is unknown, or ranks use different names.
        """
        self._check_name(name)
        access = self._access
        states = read_end_states(access.engine, access.communicator, self._name, name)
        return read_only(states[name].values)

    def __setitem__(self, name: str, described: ValueLike) -> None:
        """Set a state from the next step on. Collective.

        Parameters
        ----------
        name : str
            The state.
        described : float or array_like (n_sources,)
            In the unit of the state.

        Raises
        ------
        DescriptionError
            If the state is unknown, or a value is not allowed.
        UsageError
            If ranks give different values.
        """
        access, parameters = self._access, self._parameters
        with collective_phase(access.communicator, _DOING):
            shape = (parameters.projection.pre.size,)
            value = self._checked(name, described, shape, np.inf)
        request = self._where, name, value_digest(value)
        allgather_checked(access.communicator, lambda: (request, None), where=self._where)
        for states in access.engine.states_now(parameters):
            states.set_state(name, np.asarray(value))
        access.scripted.add(self._name)


class RuleStates(_States):
    """States of a plasticity rule by name, to read and set, and its traces, to read.

    Current values (values after the last event, for rules whose synapses do not evolve between
    events), float64, shape (n_synapses,), in the order of (source, target), as weights are. Traces
    have one value per source, or one per target, in the order of gids. The trace of a source
    counts the spikes that have reached the synapses.

    Parameters
    ----------
    access : Access
        The simulation.
    order : SynapseOrder
        The order of the projection's synapses.
    name : str
        The projection's name.
    """

    _meaning = "one value per synapse"

    def __init__(self, access: Access, order: SynapseOrder, name: str) -> None:
        model = plastic_delivery(access.engine, name, member="state").projection.plasticity_rule
        assert model is not None
        super().__init__(access, name, model.synapse_states)
        self._order, self._traces = order, end_of_states(access.engine, name)

    def __iter__(self) -> Iterator[str]:
        return iter([*self._states, *self._traces])

    def __len__(self) -> int:
        return len(self._states) + len(self._traces)

    def _check_name(self, name: str) -> State:
        if isinstance(name, str) and name in self._traces:
            raise DescriptionError(
                "a trace follows spikes: it cannot be set",
                where=self._where,
                value=name,
                allowed=", ".join(self._states) or "nothing: the rule's synapses have no states",
            )
        return super()._check_name(name)

    def __getitem__(self, name: str) -> Floats:
        """Return a state or trace as it is now. Collective.

        Returns
        -------
        ndarray of float64, shape (n_synapses,), (n_sources,) or (n_targets,)

        Raises
        ------
        DescriptionError, UsageError
            If the state is unknown, or ranks use different names.
        """
        engine, communicator = self._access.engine, self._access.communicator
        if isinstance(name, str) and name in self._traces:
            return read_only(read_end_states(engine, communicator, self._name, name)[name].values)
        self._check_name(name)
        delivery = plastic_delivery(engine, self._name, member="state")

        def local_values() -> Floats:
            return delivery.read(engine.step, None, None)[name].astype(np.float64)

        return self._order.read(f"state {name}", local_values)

    def __setitem__(self, name: str, described: ValueLike) -> None:
        """Set a state from the next step on. Collective.

        Parameters
        ----------
        name : str
            The state.
        described : float or array_like (n_synapses,)
            In the unit of the state.

        Raises
        ------
        DescriptionError
            If the state is unknown, or a value is not allowed.
        UsageError
            If ranks give different values.
        """
        access, order = self._access, self._order
        delivery = plastic_delivery(access.engine, self._name, member="state")
        shape = order.sources.shape
        with collective_phase(access.communicator, _DOING):
            largest = float(np.finfo(delivery.rows.weights.dtype).max)
            value = self._checked(name, described, shape, largest)
        local_values = np.asarray(order.agree(f"state {name}", value))
        delivery.set_state(name, local_values, access.engine.step)
        access.scripted.add(self._name)
