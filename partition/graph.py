"""The partition strategy `graph`: it keeps blocks with many spikes or short delays on one rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network import Network
from distsnn.network.blocks import BlockTable
from distsnn.network.checks import (
    POSITIVE,
    Interval,
    as_floats,
    as_number,
    check_range,
    check_shape,
)
from distsnn.partition.assignment import Assignment
from distsnn.partition.delays import max_epoch_steps
from distsnn.partition.rank_groups import partition_into_groups
from distsnn.partition.traffic import EdgeReader, Rates, TrafficGraph, build_traffic_graph
from distsnn.public_api import public_class

_QUALITIES = ("fast", "best")
_FRACTION = Interval(0.0, 1.0)


@public_class
@dataclass(frozen=True)
class CostModel:
    """Computational cost of neurons and synaptic events, ns.

    A slice costs, per second of biological time, the sum over its neurons and steps plus the sum
    over its incoming synaptic events.

    Parameters
    ----------
    neuron : float
        Cost of one neuron for one step, ns.
    event : float
        Cost of one incoming synaptic event, ns.
    models : mapping of str to float, optional
        Cost of one neuron for one step by neuron model, such as ``{"iaf_psc_exp": 0.8}``, ns.
        `neuron` applies to all other models.

    Raises
    ------
    DescriptionError
        If a cost is not positive.
    """

    neuron: float = 1.0
    event: float = 1.7
    models: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.models, Mapping):
            raise DescriptionError(
                # the value may be None, which errors do not show as a value
                f"the costs must be a mapping of model names to ns, not {self.models!r}",
                where="cost, field models",
            )
        object.__setattr__(self, "models", dict(self.models))  # launched ranks have no user's class
        model_costs = [(f"models[{name!r}]", value) for name, value in self.models.items()]
        for name, value in [("neuron", self.neuron), ("event", self.event), *model_costs]:
            where = f"cost, field {name}"
            check_range(as_number(value, where=where), POSITIVE, where=where)

    def total(
        self, neurons: npt.NDArray[np.int64], events: npt.NDArray[np.float64], dt: float
    ) -> npt.NDArray[np.float64]:
        """Return the cost of neurons and of events per second, at time step `dt` in ms, ns."""
        return neurons * (self.neuron * 1e3 / dt) + self.event * events

    def of_slices(self, graph: TrafficGraph, network: Network) -> npt.NDArray[np.float64]:
        """Return the cost of each slice of a network for 1 s of biological time, ns.

        Raises
        ------
        DescriptionError
            If `models` names a neuron model that the network does not use.
        """
        models = [population.model.name for population in network.populations]
        for name in self.models:
            if name not in models:
                names = dict.fromkeys(models)  # each once
                raise unknown_name_error("neuron model", name, names, where="cost, field models")
        neuron_cost = np.array([self.models.get(name, self.neuron) for name in models])
        neurons = graph.neurons * neuron_cost[graph.population] * (1e3 / network.dt)
        return np.asarray(neurons + self.event * graph.event_rate)

    def to_dict(self) -> dict[str, Any]:
        """Return the costs as JSON-able data."""
        return asdict(self) if self.models else {"neuron": self.neuron, "event": self.event}


@public_class
@dataclass(frozen=True, eq=False)
class Graph:
    """Settings of the strategy `graph`: ``Simulation(network, partition=Graph(rates={...}))``.

    Parameters
    ----------
    rates : mapping of str to array_like, or float
        Rates, spikes/s: for each population one number or an array with one per neuron. A single
        number applies to all neurons.
    rank_speeds : sequence of float, optional
        Relative speed of each rank; None: all ranks are equally fast.
    imbalance : float
        Fraction by which the load of a rank may exceed its balanced load, from 0 to 1.
    quality : {"fast", "best"}
        "best" also tries mtkahypar, which must be installed.
    cost : CostModel
        Cost of neurons and events; `distsnn profile` measures it.

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
        # copies in types of Python and numpy, as launched ranks do not have the user's classes
        if isinstance(self.rates, Mapping):
            rates = {
                str(name): as_floats(rate, where=f"rates, population {name!r}")
                for name, rate in self.rates.items()
            }
            object.__setattr__(
                self,
                "rates",
                {name: rate if rate.ndim else float(rate) for name, rate in rates.items()},
            )
        if self.rank_speeds is not None:
            speeds = as_floats(self.rank_speeds, where=_field_context("rank_speeds"))
            check_range(speeds, POSITIVE, where=_field_context("rank_speeds"))
            object.__setattr__(self, "rank_speeds", tuple(np.atleast_1d(speeds).tolist()))
        if self.quality not in _QUALITIES:
            raise unknown_name_error(
                "quality", self.quality, _QUALITIES, where=_field_context("quality")
            )

    def assign(
        self, network: Network, table: BlockTable, ranks: int, edges: EdgeReader | None = None
    ) -> Assignment:
        """Compute the assignment of a network's blocks.

        Parameters
        ----------
        network : Network
            The network.
        table : BlockTable
            Its blocks.
        ranks : int
            Number of ranks.
        edges : callable, optional
            Reads the edges of a projection from its file; required if the network has edge files.

        Raises
        ------
        DescriptionError
            If rates or rank speeds have the wrong shape, or a library is missing.
        """
        return self.assign_graph(
            build_traffic_graph(network, table, self.rates, edges), network, ranks
        )

    def assign_graph(self, graph: TrafficGraph, network: Network, ranks: int) -> Assignment:
        """Compute the assignment of a network's blocks from their traffic graph.

        Parameters
        ----------
        graph : TrafficGraph
            The blocks, with traffic by the rates of this strategy.
        network : Network
            The network.
        ranks : int
            Number of ranks.

        Raises
        ------
        DescriptionError
            If rank speeds or costs do not match the network, or a library is missing.
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
        """Return the relative speed of each rank, shape (ranks,).

        Raises
        ------
        DescriptionError
            If `rank_speeds` has another length than the number of ranks.
        """
        if self.rank_speeds is None:
            return np.ones(ranks)
        speeds = np.asarray(self.rank_speeds, np.float64)
        check_shape(
            speeds, (ranks,), where=_field_context("rank_speeds"), meaning="one for each rank"
        )
        return speeds

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-able data, with the mean rate of each population."""
        rates: Any = self.rates
        if isinstance(rates, Mapping):
            rates = {name: float(np.mean(rate)) for name, rate in rates.items()}
        speeds = None if self.rank_speeds is None else [float(speed) for speed in self.rank_speeds]
        return {
            "rates": rates,
            "rank_speeds": speeds,
            "imbalance": self.imbalance,
            "quality": self.quality,
            "cost": self.cost.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the strategy that `to_dict` described.

        Raises
        ------
        DescriptionError
            If a value is out of range.
        UsageError
            If `data` has unknown fields.
        """
        return cls(**{**data, "cost": CostModel(**data.get("cost", {}))})


def _field_context(field: str) -> str:
    return f"partition graph, field {field}"
