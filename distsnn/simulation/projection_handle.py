"""The handle of a projection, by which a script reads and sets its synapses between two runs."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from distsnn.comm import allgather_checked, broadcast_from_rank0, collective_phase
from distsnn.engine.plasticity.delivery import PlasticDelivery
from distsnn.engine.plasticity.modulation import ModulatorHistory
from distsnn.engine.source_states import SourceParameters
from distsnn.errors import DescriptionError
from distsnn.network import Target
from distsnn.network.checks import ANY, POSITIVE, Interval, as_number, check_range
from distsnn.network.values import ValueLike, value_digest
from distsnn.simulation.access import Access, PartHandle, missing_member, plastic_delivery
from distsnn.simulation.connection_access import iterate_connections, read_connections
from distsnn.simulation.recording_access import PartRecordings
from distsnn.simulation.rule_parameters import RuleParameters
from distsnn.simulation.source_access import SynapseModelParameters
from distsnn.simulation.static_weights import set_static_weights
from distsnn.simulation.synapse_order import SynapseOrder, as_numbers
from distsnn.simulation.synapse_states import RuleStates, SynapseModelStates

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class ProjectionHandle(PartHandle):
    """The synapses of a projection, such as ``simulation["E->I"]``.

    It is the same class for static, procedural and plastic synapses. A member that the projection
    does not have raises an error that names those that it has.

    Parameters
    ----------
    access : Access
        Objects on which it acts.
    name : str
        The projection's name.

    Examples
    --------
    >>> synapses = simulation["E->E"]  # doctest: +SKIP
    >>> synapses.weights = 0.5 * synapses.weights
    >>> synapses.learning = False
    >>> table = synapses.connections(source=E[:100])
    """

    def __init__(self, access: Access, name: str) -> None:
        self._access, self._name = access, name
        self._order = SynapseOrder(access, name)
        self._where = f"weights of projection {name!r}"

    def connections(
        self, source: Target | None = None, target: Target | None = None
    ) -> npt.NDArray[np.void]:
        """Return the connections as a table, by (source, target). Collective.

        The storage format of the projection does not matter. Every rank receives the whole table.
        To make it, a rank draws the synapses of these sources onto its neurons, about 100 bytes
        each, whatever the target. Of fixed indegrees all are drawn, and those kept.

        Parameters
        ----------
        source, target : Population, PopulationView or str, optional
            Neurons to which the connections are limited.

        Returns
        -------
        structured ndarray, shape (n_connections,)
            ``source`` and ``target`` (gids), current ``weight`` in the target model's unit,
            ``delay`` in ms, and states by their names: of a plasticity rule, with the traces of
            source and target, or of a synapse model, whose weights are unscaled.

        Raises
        ------
        DescriptionError, UsageError
            If the projection does not connect these neurons, ranks name different ones, the table
            is too large to be sent at once (see `iterate_connections`), or its edge file has
            changed.

        Examples
        --------
        >>> table = simulation["E->I"].connections(source=E[:100])  # doctest: +SKIP
        >>> table["weight"].mean()
        >>> pandas.DataFrame(table)
        """
        access = self._access
        return read_connections(access.engine, access.communicator, self._name, source, target)

    def iterate_connections(
        self,
        source: Target | None = None,
        target: Target | None = None,
        *,
        table_size: int = 1_000_000,
    ) -> Iterator[npt.NDArray[np.void]]:
        """Iterate over tables that together are the table of `connections`. Collective.

        The tables follow each other in the order of sources, and have all connections of a source.
        They are the same on any number of ranks, and memory is needed for one of them. Each table
        draws its connections anew; if indegrees are fixed, it draws those of all sources, and an
        edge file is read once per table.

        Parameters
        ----------
        source, target : Population, PopulationView or str, optional
            As in `connections`.
        table_size : int
            About how many connections a table has. It is exceeded if a source has more.

        Returns
        -------
        iterator of structured ndarray
            All ranks must take the same number of tables. No table is empty.

        Raises
        ------
        DescriptionError
            As `connections`; also if `table_size` is not a positive integer.
        SimulationStateError
            During the iteration, if the simulation has run since the first table.

        Examples
        --------
        >>> tables = simulation["E->I"].iterate_connections()  # doctest: +SKIP
        >>> total = sum(table["weight"].sum() for table in tables)
        """
        access = self._access
        return iterate_connections(
            access.engine, access.communicator, self._name, source, target, table_size
        )

    @property
    def state(self) -> SynapseModelStates | RuleStates:
        """States by name, to read and set: of a synapse model by source, of a rule by synapse.

        Those of a rule include its traces, by source or target, which can only be read.

        Raises
        ------
        DescriptionError
            If the projection has neither.
        """
        parameters = self._source_parameters
        if parameters is not None:
            return SynapseModelStates(self._access, parameters)
        return RuleStates(self._access, self._order, self._name)

    @property
    def parameters(self) -> RuleParameters | SynapseModelParameters:
        """Parameters of the plasticity rule or synapse model by name, to read and set.

        From the next step on, the network runs as if it were described with the new values.

        Raises
        ------
        DescriptionError
            If the projection has neither.
        """
        access, parameters = self._access, self._source_parameters
        if parameters is not None:
            return SynapseModelParameters(access, parameters)
        return RuleParameters(access, self._order, self._plastic("parameters"))

    @property
    def _source_parameters(self) -> SourceParameters | None:
        """Parameters of the projection's synapse model, if it has one."""
        for parameters in self._access.engine.source_parameters.values():
            if parameters.projection.name == self._name:
                return parameters
        return None

    @property
    def weights(self) -> Floats:
        """Weights, in the target model's unit, shape (n_synapses,).

        Synapses are in the order of (source, target); several between the same neurons are in the
        order in which they were drawn or given. Reading gives a copy whose elements cannot be
        set; a number or an array may be assigned. Static weights that are set act on all events
        that arrive later, also of spikes in flight; if a synapse model scales the weights, spikes
        in flight keep their factors. A changed synapse needs 48 bytes (96 if it is scaled), and is
        delivered beside the described weights, however these are stored.

        Raises
        ------
        DescriptionError, UsageError
            If there are too many for all ranks; when they are set, if a weight is out of its
            bounds, static weights do not fit the projection's weight quantum, a step's input could
            overflow, or ranks give different weights.
        """
        access, name = self._access, self._name
        plastic = access.engine.plastic_by_name()
        if name in plastic:
            step, delivery = access.engine.step, plastic[name]
            return self._order.read(
                "weights", lambda: delivery.sign * delivery.read_weights(step).astype(np.float64)
            )
        changed, described = access.engine.changed_weights[name], self._order.described
        return self._order.read(
            "weights",
            lambda: changed.weights(*(described[key] for key in ("source", "target", "weight"))),
        )

    @weights.setter
    def weights(self, described: ValueLike) -> None:
        access, order = self._access, self._order
        if access.engine.layout.network.projection(self._name).plasticity_rule is None:
            set_static_weights(access, order, self._name, described)
            return
        delivery, shape = self._plastic("weights"), order.sources.shape
        with collective_phase(access.communicator, "setting weights"):
            value = as_numbers(
                described, shape, where=self._where, meaning="one weight per synapse"
            )
            self._check_bound(delivery, np.broadcast_to(value, shape))
        local_values = order.agree("weights", value)
        delivery.set_weights(np.abs(np.asarray(local_values)), access.engine.step)
        access.scripted.add(self._name)

    def _check_bound(self, delivery: PlasticDelivery, values: Floats) -> None:
        low, high = delivery.synapses.lower, delivery.synapses.upper
        synapses = np.arange(values.size)
        if not low.size == high.size == 1:
            # a bound of each, which only the rank knows that has it
            synapses = self._order.local_order
        values, size = values[synapses], delivery.sign * values[synapses]
        kind = delivery.rows.weights.dtype
        # bounds as stored: read values may be set again
        bad = (size < low) & (size < low.astype(kind))
        bad |= ~((size <= high) | (size <= high.astype(kind)))
        if not bad.any():
            return
        first = int(np.argmax(bad))
        ends = [
            delivery.sign * float(bound[first if bound.size > 1 else 0]) + 0.0
            for bound in (low, high)
        ]
        allowed = str(Interval(min(ends), max(ends)))
        number, value = int(synapses[first]), float(values[first])
        raise self._order.refuse(number, value, "out of range", allowed)

    @property
    def sources(self) -> Ints:
        """Source of each synapse: gids, in the order of `weights`."""
        return self._order.sources

    @property
    def targets(self) -> Ints:
        """Target of each synapse: gids, in the order of `weights`."""
        return self._order.targets

    @property
    def delays(self) -> Floats:
        """Delay of each synapse, ms, in the order of `weights`."""
        return self._order.delays

    def normalise(self, total: ValueLike) -> None:
        """Multiply the weights onto each neuron by a factor, so that their sum is `total`.

        No weight leaves its rank: between pieces of a run this is quick. Each neuron's weights are
        summed in the order of sources, so that the result is the same on any number of ranks. A
        weight beyond its bound is set to it; a neuron with no weights but 0 keeps these.

        Parameters
        ----------
        total : float or array_like (n_targets,)
            Sum, in the weights' unit; an array has one for each neuron of the projection's target.

        Raises
        ------
        DescriptionError, UsageError
            If the projection is not plastic, a total is 0 or does not have the weights' sign, or
            ranks give different totals.

        Notes
        -----
        Totals that follow the neurons' rates make homeostatic synaptic scaling (Turrigiano et al.
        1998, Nature 391:892), such as ``total *= 1 + 0.01 * (wanted - rates) / wanted``.
        """
        access, where = self._access, f"{self._where}, total"
        engine, communicator = access.engine, access.communicator
        delivery = self._plastic("normalise")
        layout, post = engine.layout, delivery.projection.post
        with collective_phase(communicator, "normalising weights"):
            value = as_numbers(
                total, (post.size,), where=where, meaning="one total per target neuron"
            )
            allowed = POSITIVE if delivery.sign > 0 else Interval(high=0.0, open_high=True)
            check_range(value, allowed, where=where)
        if communicator.size > 1:
            request = where, value_digest(value)
            allgather_checked(communicator, lambda: (request, None), where=where)
        totals = np.zeros(layout.n_local)
        targets = layout.locals_of(post)
        if isinstance(value, np.ndarray):
            value = value[layout.network.positions(post, layout.to_gids(targets))]
        totals[targets] = np.abs(value)
        delivery.normalise(totals, engine.step)
        access.scripted.add(self._name)

    @property
    def record(self) -> PartRecordings:
        """Whether recordings of weights or states are on, by name; may be set, also all at once.

        See `PopulationHandle.record`.
        """
        return PartRecordings(self._access.recordings, self._name, self._access.scripted)

    @record.setter
    def record(self, on: bool) -> None:
        self.record.switch_all(on)

    @property
    def learning(self) -> bool:
        """Whether a plastic projection learns; may be set.

        Without learning weights stay as they are; traces and the synapses' states follow spikes
        in any case.

        Raises
        ------
        DescriptionError, UsageError
            If the projection is not plastic, or ranks give different values.
        """
        return self._plastic("learning").learns

    @learning.setter
    def learning(self, on: bool) -> None:
        access = self._access

        def request() -> tuple[object, None]:
            self._plastic("learning")
            if not isinstance(on, bool):
                raise DescriptionError("must be True or False", where="learning", value=on)
            return (self._name, on), None

        allgather_checked(access.communicator, request, where="learning")
        self._plastic("learning").set_learning(on, access.engine.step)
        access.scripted.add(self._name)

    @property
    def signal(self) -> float:
        """The signal that modulates a plastic projection, such as a reward; 0 until it is set.

        When it is set, the value of rank 0 counts; values of other ranks are ignored.

        Raises
        ------
        DescriptionError
            If no signal modulates the projection; when it is set, on rank 0 alone, also if the
            value is not finite.
        RankError
            When it is set, on the other ranks.
        """
        return self._modulation.last()[1]

    @signal.setter
    def signal(self, value: float) -> None:
        access = self._access

        def described() -> tuple[str, float]:
            _ = self._modulation
            number = as_number(value, where="signal")
            check_range(number, ANY, where="signal")
            return self._name, number

        name, number = broadcast_from_rank0(access.communicator, described)
        delivery = plastic_delivery(access.engine, name, member="signal")
        delivery.modulate(number, access.engine.step)
        access.scripted.add(name)

    @property
    def _modulation(self) -> ModulatorHistory:
        """The signal that modulates the projection."""
        modulation = self._plastic("signal").modulation
        if modulation is None or modulation.collect is not None:
            problem = "no signal modulates it: its rule has no modulator, or a population is one"
            raise missing_member(self._access.engine, self._name, "signal", problem)
        return modulation

    def _plastic(self, member: str) -> PlasticDelivery:
        """Return the plastic projection in action, whose member is read or set."""
        return plastic_delivery(self._access.engine, self._name, member=member)
