"""Weights of plastic synapses in the user's unit, the same on all ranks; learning on and off."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, allgather_checked, broadcast_from_rank0, collective_phase
from distsnn.engine.modulation import Modulation
from distsnn.engine.plastic_delivery import PlasticDelivery
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import DescriptionError
from distsnn.network.checks import ANY, POSITIVE, Interval, as_number, check_range, check_shape
from distsnn.network.values import Value, ValueLike, as_value, value_digest
from distsnn.simulation.scripted import Scripted

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class PlasticSynapses:
    """The synapses of a plastic projection; their weights are read and set between runs.

    Reading and setting is collective: every rank gets or gives the values of all synapses,
    wherever these are. Synapses are in the order of (source, target); several of a pair are in
    the order in which they were drawn or given.

    Parameters
    ----------
    engine : RankEngine
        This rank's engine.
    communicator : Communicator
        The ranks.
    projection : str
        The projection's name.
    scripted : Scripted
        Notified when something is set.
    """

    def __init__(
        self,
        engine: RankEngine,
        communicator: Communicator,
        projection: str,
        scripted: Scripted,
    ) -> None:
        self.engine, self.communicator = engine, communicator
        self._name, self._scripted = projection, scripted
        self._where = f"weights of projection {projection!r}"
        self._known: _Order | None = None

    @property
    def delivery(self) -> PlasticDelivery:
        """The projection in action, which a reset replaces.

        Raises
        ------
        DescriptionError
            If the projection is not plastic.
        """
        return plastic_named(self.engine, self._name, where="weights")

    @property
    def _order(self) -> "_Order":
        """The order of the synapses of all ranks. Collective when it is first read."""
        if self._known is None:
            self._known = self._gathered()
        return self._known

    def _gathered(self) -> "_Order":
        with collective_phase(self.communicator, "looking for synapses"):
            rows = self.delivery.rows
            sources = rows.row_set.source_of_synapse
            targets = self.engine.layout.gids(rows.targets())
        local_columns = sources, targets, rows.delays()
        parts = allgather_checked(
            self.communicator, lambda: (self._where, local_columns), where=self._where
        )
        sources, targets, delays = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.lexsort((targets, sources))
        sizes = [part[0].size for part in parts]
        first = sum(sizes[: self.communicator.rank])
        places = np.empty(order.size, np.int64)
        places[order] = np.arange(order.size)
        local_order = places[first : first + sizes[self.communicator.rank]]
        delays = delays[order] * self.engine.layout.network.dt
        return _Order(sources[order], targets[order], delays, order, local_order)

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

    def read(self, request: str, local_values: Callable[[], Floats]) -> Floats:
        """Return values of all synapses, in their order. Collective.

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
            self.communicator, lambda: (call, local_values()), where=self._where
        )
        return np.asarray(np.concatenate(parts)[order])

    def agree(self, request: str, value: Value) -> Value:
        """Return this rank's part of a value, which must be the same on all ranks. Collective.

        An array has a value for each synapse.

        Raises
        ------
        DescriptionError
            If ranks give different values, or an array has another shape.
        """
        call = self._name, request, value_digest(value)
        allgather_checked(self.communicator, lambda: (call, None), where=self._where)
        if not isinstance(value, np.ndarray):
            return value
        shape = self.sources.shape
        check_shape(
            value, shape, where=f"{self._where}, {request}", meaning="one value per synapse"
        )
        return value[self._order.local_order]

    def note(self) -> None:
        """Note that something was set."""
        self._scripted.note(self._name)

    @property
    def values(self) -> Floats:
        """Weights, in the target model's unit (a copy)."""

        def local_values() -> Floats:
            weights = self.delivery.read_weights(self.engine.step)
            return self.delivery.sign * weights.astype(np.float64)

        return self.read("weights", local_values)

    @values.setter
    def values(self, described: ValueLike) -> None:
        shape = self.sources.shape
        with collective_phase(self.communicator, "setting weights"):
            value = _numbers(described, shape, where=self._where, meaning="one weight per synapse")
            self._check_bound(np.broadcast_to(value, shape))
        local_values = self.agree("weights", value)
        self.delivery.set_weights(np.abs(np.asarray(local_values)), self.engine.step)
        self.note()

    def _check_bound(self, values: Floats) -> None:
        delivery = self.delivery
        low, high = delivery.synapses.lower, delivery.synapses.upper
        synapses = np.arange(values.size)
        if not low.size == high.size == 1:
            synapses = (
                self._order.local_order
            )  # a bound of each, which only the rank knows that has it
        values, size = values[synapses], delivery.sign * values[synapses]
        kind = delivery.rows.weights.dtype
        # bounds as stored: read values may be set again
        bad = (size < low) & (size < low.astype(kind))
        bad |= ~((size <= high) | (size <= high.astype(kind)))
        if not bad.any():
            return
        first = int(np.argmax(bad))
        number = int(synapses[first])
        ends = [
            delivery.sign * float(bound[first if bound.size > 1 else 0]) + 0.0
            for bound in (low, high)
        ]
        raise DescriptionError(
            "out of range",
            where=f"{self._where}, synapse {number} from gid {self.sources[number]} to gid "
            f"{self.targets[number]}",
            value=float(values[first]),
            allowed=str(Interval(min(ends), max(ends))),
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
    """

    sources: Ints
    targets: Ints
    delays: Floats
    order: Ints
    local_order: Ints


def _numbers(
    described: ValueLike, shape: tuple[int, ...], *, where: str, meaning: str
) -> float | Floats:
    """Return a number, or an array of a shape; raise DescriptionError for anything else."""
    value = as_value(described, where=where)
    if not isinstance(value, float | np.ndarray):
        raise DescriptionError("must be a number or an array", where=where, value=value)
    if isinstance(value, np.ndarray):
        check_shape(value, shape, where=where, meaning=meaning)
    return value


def normalise(
    engine: RankEngine, communicator: Communicator, projection: str, total: ValueLike
) -> None:
    """Do what `ProjectionHandle.normalise` does. Collective."""
    where = f"weights of projection {projection!r}, total"
    delivery = plastic_named(engine, projection, where="weights")
    layout, post = engine.layout, delivery.projection.post
    with collective_phase(communicator, "normalising weights"):
        value = _numbers(total, (post.size,), where=where, meaning="one total per target neuron")
        allowed = POSITIVE if delivery.sign > 0 else Interval(high=0.0, open_high=True)
        check_range(value, allowed, where=where)
    if communicator.size > 1:
        request = where, value_digest(value)
        allgather_checked(communicator, lambda: (request, None), where=where)
    totals = np.zeros(layout.n_local)
    index = delivery.target_population
    neuron = layout.in_population(index) - post.start
    slots = np.flatnonzero((neuron >= 0) & (neuron < post.size))
    local_totals = value[neuron[slots]] if isinstance(value, np.ndarray) else value
    totals[int(layout.first[index]) + slots] = np.abs(local_totals)
    delivery.normalise(totals, engine.step)


def set_learning(engine: RankEngine, communicator: Communicator, projection: str, on: bool) -> None:
    """Switch a plastic projection's learning on or off, from now on. Collective.

    Raises
    ------
    DescriptionError
        If the projection does not exist or is not plastic, or ranks make different calls.
    """

    def asked() -> tuple[object, None]:
        plastic_named(engine, projection, where="learning")
        if not isinstance(on, bool):
            raise DescriptionError("must be True or False", where="learning", value=on)
        return (projection, on), None

    allgather_checked(communicator, asked, where="learning")
    plastic_named(engine, projection, where="learning").switch(on, engine.step)


def set_signal(
    engine: RankEngine, communicator: Communicator, projection: str, value: float
) -> str:
    """Do what setting `ProjectionHandle.signal` does, and return the name. Collective."""

    def given() -> tuple[str, float]:
        _modulated(engine, projection)
        number = as_number(value, where="signal")
        check_range(number, ANY, where="signal")
        return projection, number

    name, number = broadcast_from_rank0(communicator, given)
    plastic_named(engine, name, where="signal").modulate(number, engine.step)
    return name


def learns(engine: RankEngine, projection: str) -> bool:
    """Return whether a plastic projection learns.

    Raises
    ------
    DescriptionError
        If it is not plastic.
    """
    return plastic_named(engine, projection, where="learning").learns


def modulator_value(engine: RankEngine, projection: str) -> float:
    """Return the signal that modulates a plastic projection.

    Raises
    ------
    DescriptionError
        If it is not plastic, or no signal modulates it.
    """
    return _modulated(engine, projection).last()[1]


def _modulated(engine: RankEngine, projection: str) -> Modulation:
    """Return the modulation of a projection by a signal."""
    modulation = plastic_named(engine, projection, where="signal").modulation
    if modulation is None or modulation.collect is not None:
        raise DescriptionError(
            "no signal modulates it",
            where=f"signal, projection {projection!r}",
            allowed="a projection whose `synapse` has a modulator, and no population as such",
        )
    return modulation


def plastic_named(engine: RankEngine, projection: str, *, where: str) -> PlasticDelivery:
    """Return the plastic projection of a name.

    Raises
    ------
    DescriptionError
        If it does not exist.
    """
    engine.layout.network.projection(projection, where=where)
    for delivery in engine.plastic:
        if delivery.projection.name == projection:
            return delivery
    raise DescriptionError(
        "is not plastic",
        where=f"{where}, projection {projection!r}",
        allowed="a projection whose `synapse` is a model of plasticity, such as STDP",
    )
