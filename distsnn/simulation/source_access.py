"""Parameters and states of synapse models, by source, between two `run` calls."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.comm import allgather_checked, collective_phase
from distsnn.engine.source_states import SourceParameters
from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network import Value
from distsnn.network.checks import check_shape
from distsnn.network.values import ValueLike, as_value, check_value, value_digest
from distsnn.simulation.access import Access, read_only

Floats = npt.NDArray[np.float64]


class SynapseModelParameters(Mapping[str, float | Floats]):
    """Parameters of a projection's synapse model by name, to read and set.

    From the next step on, the network runs as if it were described with the new values: each
    source's states have followed the old ones up to now, and spikes that are sent later act by the
    new ones. Spikes in flight keep the factors with which they were sent.

    Parameters
    ----------
    access : Access
        The simulation.
    parameters : SourceParameters
        The projection's parameters.
    """

    def __init__(self, access: Access, parameters: SourceParameters) -> None:
        self._access = access
        self._parameters, self._model = parameters, parameters.model
        self._size = parameters.projection.pre.size
        self._where = f"parameters of {parameters.projection.name!r}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._model.parameters())

    def __len__(self) -> int:
        return len(self._model.parameters())

    def __getitem__(self, name: str) -> float | Floats:
        """Return a number that all sources share, or one value for each.

        Returns
        -------
        float or ndarray of float64, shape (n_sources,)
            An array is in the order of gids.

        Raises
        ------
        DescriptionError
            If the parameter is unknown.
        """
        self._access.check_open()
        self._check_name(name)
        value = self._parameters.values(name, np.arange(self._size))
        return read_only(value.copy()) if value.ndim else float(value)

    def __setitem__(self, name: str, described: ValueLike) -> None:
        """Set a parameter from the next step on. Collective.

        Parameters
        ----------
        name : str
            The name.
        described : float, array_like (n_sources,) or Distribution
            In the unit of the name. Draws belong to seed, source and time: at time 0 they are those
            of the description.

        Raises
        ------
        DescriptionError
            If the parameter is unknown, or a value is not allowed.
        UsageError
            If ranks give different values.
        """
        engine, communicator = self._access.engine, self._access.communicator
        parameters = self._parameters
        with collective_phase(communicator, "setting a parameter"):
            value = self._checked(name, described)
            new = parameters.draws(name, value, np.arange(self._size), step=engine.step)
            self._check_model(name, new)
        request = self._where, name, value_digest(value)
        allgather_checked(communicator, lambda: (request, None), where=self._where)
        engine.set_source_parameters(parameters, {name: new})
        self._access.scripted.add(str(parameters.projection.name))

    def _check_name(self, name: str) -> None:
        if not isinstance(name, str) or name not in self:
            raise unknown_name_error("parameter", str(name), [*self], where=self._where)

    def __contains__(self, name: object) -> bool:
        return name in self._model.parameters()

    def _checked(self, name: str, described: ValueLike) -> Value:
        """Return a value if it can be one of the parameter's, alone."""
        self._check_name(name)
        where = f"{self._where}, {name}"
        value = as_value(described, where=where)
        if isinstance(value, np.ndarray):
            check_shape(value, (self._size,), where=where, meaning="one value per source")
        check_value(value, self._model.parameters()[name].allowed, where=where)
        return value

    def _check_model(self, name: str, new: Floats) -> None:
        """Check the model with a new value: also that input has room for what its spikes add."""
        values: dict[str, Any] = {**self, name: new if new.ndim else float(new)}
        after = replace(self._model, **values)
        after.check(self._size, where=self._where)
        described_factor = self._model.max_factor()
        if after.max_factor() > described_factor:
            raise DescriptionError(
                "a spike could add more than sums of input have room for",
                where=f"{self._where}, {name}",
                value=f"up to {after.max_factor():.6g} times the weight",
                allowed=f"up to {described_factor:.6g} times, as described",
                hint="describe the projection with the values that have the largest effect, then "
                "set others",
            )
