"""The order of a projection's synapses, in which all ranks read and set values of synapses."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.comm import allgather_checked, collective_phase
from distsnn.engine.connection_table import Table
from distsnn.errors import DescriptionError
from distsnn.network.checks import check_shape
from distsnn.network.values import Value, ValueLike, as_value, value_digest
from distsnn.simulation.access import Access, read_only
from distsnn.simulation.connection_access import check_total, local_connections

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class SynapseOrder:
    """The synapses of all ranks of a projection, in the order of (source, target).

    Several synapses of a pair are in the order in which they were drawn or given. Every method is
    collective: a rank gets or gives values of all synapses, wherever these are.

    Parameters
    ----------
    access : Access
        The simulation.
    name : str
        The projection's name.
    """

    def __init__(self, access: Access, name: str) -> None:
        self._access, self._name = access, name
        self._where = f"weights of projection {name!r}"
        self._gathered: _Order | None = None

    @property
    def _order(self) -> "_Order":
        """The order, which is gathered when it is first read."""
        self._access.check_open()
        if self._gathered is None:
            self._gathered = self._gather()
        return self._gathered

    def _gather(self) -> "_Order":
        engine, communicator = self._access.engine, self._access.communicator
        allgather_checked(communicator, lambda: (self._where, None), where=self._where)
        plastic, described = engine.plastic_by_name(), None
        if self._name in plastic:
            with collective_phase(communicator, "looking for synapses"):
                rows = plastic[self._name].rows
                delays = rows.delays().astype(np.float64) * engine.layout.network.dt
                targets = engine.layout.to_gids(rows.targets())
                local_columns = rows.row_set.source_of_synapse, targets, delays
        else:
            described = local_connections(engine, communicator, self._name, as_described=True)
            targets = described["target"]
            local_columns = described["source"], targets, described["delay"]
        check_total(communicator, targets.size, 24, where=self._where)
        parts = communicator.allgather(local_columns)
        sources, targets, delays = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.lexsort((targets, sources))
        sizes = [part[0].size for part in parts]
        first = sum(sizes[: communicator.rank])
        places = np.empty(order.size, np.int64)
        places[order] = np.arange(order.size)
        local_order = places[first : first + sizes[communicator.rank]]
        columns = read_only(sources[order]), read_only(targets[order]), read_only(delays[order])
        return _Order(*columns, order, local_order, described)

    @property
    def sources(self) -> Ints:
        """Source of each synapse: gids."""
        return self._order.sources

    @property
    def targets(self) -> Ints:
        """Target of each synapse: gids."""
        return self._order.targets

    @property
    def delays(self) -> Floats:
        """Delay of each synapse, ms."""
        return self._order.delays

    @property
    def local_order(self) -> Ints:
        """Numbers of this rank's synapses in this order."""
        return self._order.local_order

    @property
    def described(self) -> Table:
        """This rank's synapses of a static projection with their described weights."""
        table = self._order.described
        assert table is not None
        return table

    def read(self, request: str, local_values: Callable[[], Floats]) -> Floats:
        """Return values of all synapses, in their order.

        Parameters
        ----------
        request : str
            The requested values, the same on all ranks.
        local_values : callable
            Returns the values of this rank's synapses.
        """
        order = self._order.order
        call = self._name, request
        parts = allgather_checked(
            self._access.communicator, lambda: (call, local_values()), where=self._where
        )
        return read_only(np.concatenate(parts)[order])

    def agree(self, request: str, value: Value) -> Value:
        """Return this rank's part of a value, which must be the same on all ranks.

        An array has a value for each synapse.

        Raises
        ------
        DescriptionError, UsageError
            If ranks give different values, or an array has another shape.
        """
        call = self._name, request, value_digest(value)
        allgather_checked(self._access.communicator, lambda: (call, None), where=self._where)
        if not isinstance(value, np.ndarray):
            return value
        shape = self.sources.shape
        check_shape(
            value, shape, where=f"{self._where}, {request}", meaning="one value per synapse"
        )
        return value[self._order.local_order]

    def refuse(self, number: int, value: float, problem: str, allowed: str) -> DescriptionError:
        """Return the error of the value of a synapse, given by its number in this order."""
        return DescriptionError(
            problem,
            where=f"{self._where}, synapse {number} from gid {self.sources[number]} to gid "
            f"{self.targets[number]}",
            value=value,
            allowed=allowed,
        )


@dataclass(frozen=True, eq=False)
class _Order:
    """The order of the synapses of all ranks.

    Attributes
    ----------
    sources, targets : ndarray of int64, shape (n_synapses,)
        Gids, in this order.
    delays : ndarray of float64, shape (n_synapses,)
        Delays, ms, in this order.
    order : ndarray of int64, shape (n_synapses,)
        Places of these among the synapses of all ranks, rank by rank.
    local_order : ndarray of int64, shape (n_own_synapses,)
        Numbers of this rank's synapses in this order.
    described : structured ndarray of shape (n_own_synapses,), or None
        This rank's synapses with described weights, kept so that they are drawn only once; None
        for a plastic projection.
    """

    sources: Ints
    targets: Ints
    delays: Floats
    order: Ints
    local_order: Ints
    described: Table | None


def as_numbers(
    described: ValueLike, shape: tuple[int, ...], *, where: str, meaning: str
) -> float | Floats:
    """Return a number, or an array of a shape.

    Raises
    ------
    DescriptionError
        For anything else.
    """
    value = as_value(described, where=where)
    if not isinstance(value, float | np.ndarray):
        raise DescriptionError("must be a number or an array", where=where, value=value)
    if isinstance(value, np.ndarray):
        check_shape(value, shape, where=where, meaning=meaning)
    return value
