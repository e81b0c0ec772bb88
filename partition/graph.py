"""The strategy `graph`: blocks that talk much, or with short delays, go to one rank."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown
from distsnn.network import Network
from distsnn.network.blocks import BlockTable
from distsnn.network.checks import (
    POSITIVE,
    Range,
    as_floats,
    as_number,
    check_range,
    check_shape,
)
from distsnn.partition.assignment import Assignment
from distsnn.partition.delays import max_epoch_steps
from distsnn.partition.rank_groups import partition_into_groups
from distsnn.partition.traffic import EdgeReader, Rates, TrafficGraph, build_traffic_graph

_QUALITIES = ("fast", "best")
_FRACTION = Range(0.0, 1.0)


@dataclass(frozen=True)
class CostModel:
    """What simulating takes, in ns: a + b·events of a slice, for a second of biological time.

    Parameters
    ----------
    neuron : float
        Of a neuron and step.
    event : float
        Of a synaptic event that arrives.
    models : mapping of str to float, optional
        Of a neuron and step by the neuron's model, such as ``{"iaf_psc_exp": 0.8}``; `neuron` is
        that of all other models, and of neurons whose model is not known.

    Raises
    ------
    DescriptionError
        If one of them is not positive.
    """

    neuron: float = 1.0
    event: float = 1.7
    models: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.models, Mapping):
            raise DescriptionError(
                # a file may say null, and no value is shown for it
                f"must be a mapping of names of models to ns, not {self.models!r}",
                where="cost, field models",
            )
        model_costs = [(f"models[{name!r}]", value) for name, value in self.models.items()]
        for name, value in [("neuron", self.neuron), ("event", self.event), *model_costs]:
            where = f"cost, field {name}"
            check_range(as_number(value, where=where), POSITIVE, where=where)

    def total(
        self, neurons: npt.NDArray[np.int64], events: npt.NDArray[np.float64], dt: float
    ) -> npt.NDArray[np.float64]:
        """Return the cost of numbers of neurons, and of events per s, in steps of `dt` ms."""
        return neurons * (self.neuron * 1e3 / dt) + self.event * events

    def of_slices(self, graph: TrafficGraph, network: Network) -> npt.NDArray[np.float64]:
        """Return the cost of each slice of a network, by the model of its neurons.

        Raises
        ------
        DescriptionError
            If there is a cost of a model that the network has not.
        """
        models = [population.model.name for population in network.populations]
        for name in self.models:
            if name not in models:
                names = dict.fromkeys(models)  # each once
                raise unknown("neuron model", name, names, where="cost, field models")
        neuron_cost = np.array([self.models.get(name, self.neuron) for name in models])
        neurons = graph.neurons * neuron_cost[graph.population] * (1e3 / network.dt)
        return np.asarray(neurons + self.event * graph.event_rate)

    def to_dict(self) -> dict[str, Any]:
        """Return the costs as JSON-able data."""
        return asdict(self) if self.models else {"neuron": self.neuron, "event": self.event}


@dataclass(frozen=True, eq=False)
class Graph:
    """The strategy as a setting, such as ``Simulation(network, partition=Graph(rates={...}))``.

    Parameters
    ----------
    rates : mapping of str to array_like, or float
        Rates, spikes/s: of each population one number, or one for each neuron; a number is that
        of all neurons.
    rank_speeds : sequence of float, optional
        Speed of each rank, of which only ratios count; None: all are alike.
    imbalance : float
        How much more than its share a rank may get.
    quality : {"fast", "best"}
        "best" also tries mtkahypar, which must be installed.
    cost : CostModel
        What neurons, by their models, and events take; `distsnn profile` measures it.

    Raises
    ------
    DescriptionError
        If an argument is out of range.
    """

    rates: Rates = 1.0
    rank_speeds: Sequence[float] | None = None
    imbalance: float = 0.03
    quality: str = "fast"
    cost: CostModel = field(default_factory=CostModel)

    def __post_init__(self) -> None:
        check_range(
            as_number(self.imbalance, where=_field_context("imbalance")),
            _FRACTION,
            where=_field_context("imbalance"),
        )
        if self.rank_speeds is not None:
            check_range(
                as_floats(self.rank_speeds, where=_field_context("rank_speeds")),
                POSITIVE,
                where=_field_context("rank_speeds"),
            )
        if self.quality not in _QUALITIES:
            raise unknown("quality", self.quality, _QUALITIES, where=_field_context("quality"))

    def assign(
        self, network: Network, table: BlockTable, ranks: int, edges: EdgeReader | None = None
    ) -> Assignment:
        """Return who owns which block.

        Parameters
        ----------
        network : Network
            The network.
        table : BlockTable
            Its blocks.
        ranks : int
            Number of ranks.
        edges : callable, optional
            Reads the edges of a projection from its file; needed where there is one.

        Raises
        ------
        DescriptionError
            If rates or shares do not fit, or a library is missing.
        """
        return self.assign_graph(
            build_traffic_graph(network, table, self.rates, edges), network, ranks
        )

    def assign_graph(self, graph: TrafficGraph, network: Network, ranks: int) -> Assignment:
        """Return who owns which block of a network whose traffic, by these rates, is known.

        Parameters
        ----------
        graph : TrafficGraph
            The blocks.
        network : Network
            The network.
        ranks : int
            Number of ranks.

        Raises
        ------
        DescriptionError
            If shares or costs do not fit, or a library is missing.
        """
        owner, groups = partition_into_groups(
            graph,
            self.cost.of_slices(graph, network),
            self.relative_speeds(ranks),
            max_epoch=max_epoch_steps(network),
            imbalance=self.imbalance,
            quality=self.quality,
        )
        return Assignment(ranks, owner, "graph", self.to_dict(), groups)

    def relative_speeds(self, ranks: int) -> npt.NDArray[np.float64]:
        """Return the speed of each rank, of which only ratios count, shape (ranks,).

        Raises
        ------
        DescriptionError
            If shares were given for another number of ranks.
        """
        if self.rank_speeds is None:
            return np.ones(ranks)
        speeds = np.asarray(self.rank_speeds, np.float64)
        check_shape(speeds, (ranks,), where=_field_context("rank_speeds"), of="one for each rank")
        return speeds

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-able data: of each population the mean rate."""
        rates: Any = self.rates
        if isinstance(rates, Mapping):
            rates = {name: float(np.mean(one)) for name, one in rates.items()}
        speeds = None if self.rank_speeds is None else [float(one) for one in self.rank_speeds]
        return {
            "rates": rates,
            "rank_speeds": speeds,
            "imbalance": self.imbalance,
            "quality": self.quality,
            "cost": self.cost.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_dict` described.

        Raises
        ------
        DescriptionError
            If a value is out of range.
        TypeError
            If there are other fields.
        """
        return cls(**{**data, "cost": CostModel(**data.get("cost", {}))})


def _field_context(field: str) -> str:
    return f"partition graph, field {field}"
