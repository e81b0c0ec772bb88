"""The strategy `graph`: blocks that talk much, or with short delays, go to one rank."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown
from distsnn.kernels.functions import expm1_array
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
from distsnn.partition.delays import clusters, fits, largest_delay
from distsnn.partition.refinement import Flow, cost, refine
from distsnn.partition.traffic import Rates, Reader, TrafficGraph, traffic

_QUALITIES = ("fast", "best")
_SHARE = Range(0.0, 1.0)
# Starts, of METIS and at random, each refined, of which the best counts: more where they are cheap.
_FEWEST_STARTS, _MOST_STARTS, _EDGES_STARTED = 4, 256, 300_000
# METIS takes integers, and sums of them must fit 31 bits.
_LARGEST_WEIGHT, _LARGEST_SUM = 1e6, 2.0**29


@dataclass(frozen=True)
class Cost:
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
                "must be a mapping of names of models to ns",
                where="cost, field models",
                value=self.models,
            )
        of_models = [(f"models[{name!r}]", value) for name, value in self.models.items()]
        for name, value in [("neuron", self.neuron), ("event", self.event), *of_models]:
            where = f"cost, field {name}"
            check_range(as_number(value, where=where), POSITIVE, where=where)

    def of(
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
        there = [one.model.name for one in network.populations]
        for name in self.models:
            if name not in there:
                raise unknown("neuron model", name, there, where="cost, field models")
        each = np.array([self.models.get(name, self.neuron) for name in there])
        neurons = graph.neurons * each[graph.population] * (1e3 / network.dt)
        return np.asarray(neurons + self.event * graph.events)

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
    shares : sequence of float, optional
        Speed of each rank, of which only ratios count; None: all are alike.
    imbalance : float
        How much more than its share a rank may get.
    quality : {"fast", "best"}
        "best" also tries mtkahypar, which must be installed.
    cost : Cost
        What neurons, by their models, and events take; `distsnn profile` measures it.

    Raises
    ------
    DescriptionError
        If an argument is out of range.
    """

    rates: Rates = 1.0
    shares: Sequence[float] | None = None
    imbalance: float = 0.03
    quality: str = "fast"
    cost: Cost = field(default_factory=Cost)

    def __post_init__(self) -> None:
        check_range(
            as_number(self.imbalance, where=_at("imbalance")), _SHARE, where=_at("imbalance")
        )
        if self.shares is not None:
            check_range(as_floats(self.shares, where=_at("shares")), POSITIVE, where=_at("shares"))
        if self.quality not in _QUALITIES:
            raise unknown("quality", self.quality, _QUALITIES, where=_at("quality"))

    def assign(
        self, network: Network, table: BlockTable, ranks: int, edges: Reader | None = None
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
        return self.assign_graph(traffic(network, table, self.rates, edges), network, ranks)

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
        owner = graph_owners(
            graph,
            self.cost.of_slices(graph, network),
            self.speeds(ranks),
            imbalance=self.imbalance,
            quality=self.quality,
        )
        return Assignment(ranks, owner, "graph", self.to_dict())

    def speeds(self, ranks: int) -> npt.NDArray[np.float64]:
        """Return the speed of each rank, of which only ratios count, shape (ranks,).

        Raises
        ------
        DescriptionError
            If shares were given for another number of ranks.
        """
        if self.shares is None:
            return np.ones(ranks)
        shares = np.asarray(self.shares, np.float64)
        check_shape(shares, (ranks,), where=_at("shares"), of="one for each rank")
        return shares

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-able data: of each population the mean rate."""
        rates: Any = self.rates
        if isinstance(rates, Mapping):
            rates = {name: float(np.mean(one)) for name, one in rates.items()}
        shares = None if self.shares is None else [float(one) for one in self.shares]
        return {
            "rates": rates,
            "shares": shares,
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
        return cls(**{**data, "cost": Cost(**data.get("cost", {}))})


def _at(field: str) -> str:
    return f"partition graph, field {field}"


def graph_owners(
    graph: TrafficGraph,
    weight: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
    *,
    imbalance: float = 0.03,
    quality: str = "fast",
) -> npt.NDArray[np.int32]:
    """Return the rank of each slice.

    First the largest D is found for which the slices can be dealt out in balance so that no
    synapse across ranks is shorter; slices that are closer stay together. Of the assignments that
    remain the one counts with the least traffic: the best of several starts, by METIS and at
    random, each refined by moving and swapping clusters.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    weight : ndarray of float64, shape (n,)
        What simulating each slice costs.
    shares : ndarray of float64, shape (ranks,)
        Speed of each rank; only ratios count.
    imbalance : float
        How much more than its share a rank may get; the largest slice is allowed for besides.
    quality : {"fast", "best"}
        "best" starts from mtkahypar's assignment too.

    Raises
    ------
    DescriptionError
        If a library that `quality` needs is not installed.
    """
    ranks = shares.size
    if ranks == 1 or graph.n == 0:
        return np.zeros(graph.n, np.int32)
    ideal = weight.sum() * shares / shares.sum()
    capacity = (1.0 + imbalance) * ideal
    if not fits(weight, capacity):
        capacity = capacity + weight.max()
    delay = largest_delay(graph, weight, capacity)
    cluster = clusters(graph, delay)
    flow = _flow(graph, weight, cluster)
    starts = _starts(flow, ideal, quality)
    refined = [refine(flow, _within(one, flow.weight, capacity), capacity) for one in starts]

    def badness(owner: npt.NDArray[np.int64]) -> tuple[float, float]:
        over = np.bincount(owner, flow.weight, minlength=ranks) / capacity
        return max(1.0, float(over.max())), cost(flow, owner, ranks)

    return min(refined, key=badness)[cluster].astype(np.int32)


def _flow(
    graph: TrafficGraph, weight: npt.NDArray[np.float64], cluster: npt.NDArray[np.int64]
) -> Flow:
    n = int(cluster.max()) + 1
    spikes = np.bincount(cluster, graph.spikes, minlength=n).astype(np.float64)
    # Of a cluster's spikes each slice has its part, silent ones a little: they may wake.
    part = graph.spikes + 1e-9 * graph.neurons
    part = part / np.bincount(cluster, part, minlength=n)[cluster]
    mean = graph.synapses / graph.neurons[graph.source] * part[graph.source]
    source, target = cluster[graph.source], cluster[graph.target]
    cell, at = np.unique(target * n + source, return_inverse=True)
    target, source = np.divmod(cell, n)
    start = np.searchsorted(target, np.arange(n + 1))
    heavy = np.bincount(cluster, weight, minlength=n).astype(np.float64)
    return Flow(spikes, heavy, start, source, np.bincount(at, mean).astype(np.float64))


def _starts(
    flow: Flow, ideal: npt.NDArray[np.float64], quality: str
) -> list[npt.NDArray[np.int64]]:
    # Clusters one after another, by weight: what there is without a library.
    middle = np.cumsum(flow.weight) - 0.5 * flow.weight
    found = [np.minimum(np.searchsorted(np.cumsum(ideal), middle), ideal.size - 1)]
    n, ranks = flow.spikes.size, ideal.size
    count = min(max(_EDGES_STARTED // max(1, flow.mean.size), _FEWEST_STARTS), _MOST_STARTS)
    draw = np.random.default_rng(1)
    found += [draw.permutation(n) % ranks for _ in range(count)]
    if n > ranks:
        found += _metis(flow, ideal, count)
    if quality == "best":
        found.append(_mtkahypar(flow, ideal))
    return found


def _metis(flow: Flow, ideal: npt.NDArray[np.float64], count: int) -> list[npt.NDArray[np.int64]]:
    try:
        import pymetis
    except ImportError:
        return []
    n = flow.spikes.size
    target = np.repeat(np.arange(n), np.diff(flow.start))
    # An edge weighs what it costs to cut it alone, from either side.
    cut = flow.spikes[flow.source] * -expm1_array(-flow.mean)
    other = target != flow.source
    low, high = np.minimum(target, flow.source)[other], np.maximum(target, flow.source)[other]
    cell, at = np.unique(low * n + high, return_inverse=True)
    if cell.size == 0:
        return []
    low, high = np.divmod(cell, n)
    weight = _integers(np.bincount(at, cut[other]).astype(np.float64))
    ends, back = np.concatenate([low, high]), np.concatenate([high, low])
    order = np.argsort(ends, kind="stable")
    starts = np.searchsorted(ends[order], np.arange(n + 1))
    edges = np.concatenate([weight, weight])[order]
    found = []
    for seed in range(count):
        _, owner = pymetis.part_graph(
            ideal.size,
            pymetis.CSRAdjacency(starts, back[order]),
            vweights=_integers(flow.weight),
            eweights=edges,
            tpwgts=(ideal / ideal.sum()).tolist(),
            recursive=ideal.size <= 8,
            options=pymetis.Options(seed=seed),
        )
        found.append(np.asarray(owner, np.int64))
    return found


def _mtkahypar(flow: Flow, ideal: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    try:
        import mtkahypar
    except ImportError as error:
        raise DescriptionError(
            "needs the library mtkahypar, which is not installed",
            where="partition, field quality",
            value="best",
            allowed="quality='fast', or pip install mtkahypar",
        ) from error
    n = flow.spikes.size
    target = np.repeat(np.arange(n), np.diff(flow.start))
    # A net for each source: its slices are those that it reaches more likely than not.
    likely = flow.mean > np.log(2.0)
    nets: list[list[int]] = [[v] for v in range(n)]
    for a, b in zip(flow.source[likely].tolist(), target[likely].tolist(), strict=True):
        if a != b:
            nets[a].append(b)
    used = [v for v in range(n) if len(nets[v]) > 1]
    library: Any = mtkahypar.initialize(1)
    context = library.context_from_preset(mtkahypar.PresetType.DEFAULT)
    context.set_partitioning_parameters(ideal.size, 0.03, mtkahypar.Objective.KM1)
    context.logging = False
    mtkahypar.set_seed(1)
    nodes, weights = _integers(flow.weight).tolist(), _integers(flow.spikes)
    hypergraph = library.create_hypergraph(
        *(context, n, len(used), [nets[v] for v in used], nodes, weights[used].tolist())
    )
    made = hypergraph.partition(context)
    return np.array([made.block_id(v) for v in range(n)], np.int64)


def _integers(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    largest, total = (max(float(one), 1e-300) for one in (values.max(initial=0.0), values.sum()))
    scale = min(_LARGEST_WEIGHT / largest, _LARGEST_SUM / total)
    return np.maximum(1, np.rint(values * scale)).astype(np.int64)


def _within(
    owner: npt.NDArray[np.int64],
    weight: npt.NDArray[np.float64],
    capacity: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
    # A library's balance is another: what a rank has too much goes to where there is room.
    load = np.bincount(owner, weight, minlength=capacity.size)
    if np.all(load <= capacity):
        return owner
    owner, room = owner.copy(), capacity - load
    for v in np.argsort(weight)[::-1]:
        here = owner[v]
        there = int(np.argmax(room))
        if room[here] < 0.0 and room[there] >= weight[v]:
            owner[v] = there
            room[here] += weight[v]
            room[there] -= weight[v]
    return owner
