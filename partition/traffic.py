"""The traffic graph of a network: slices with expected synapses, rates and delays between them.

Vertices are slices of populations. An edge has the expected number of synapses from one slice to
another, and their minimum delay. Both follow in closed form from the network description: no
synapse is drawn. Explicit edges are counted.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network import ConnectionFile, ConnectionList, Network, OneToOne, Projection
from distsnn.network.blocks import BlockTable
from distsnn.network.checks import Interval, check_range, check_shape
from distsnn.network.populations import PopulationView
from distsnn.network.projections import delay_bounds, delay_steps
from distsnn.partition.connectivity import BuiltConnectivity, ExpectedConnectivity

Rates: TypeAlias = Mapping[str, npt.ArrayLike] | float
# Yields the edges of a file in chunks of records with fields `source`, `target`, optional `delay`.
EdgeReader: TypeAlias = Callable[[Projection], Iterable[npt.NDArray[Any]]]
NO_DELAY = np.int32(2**31 - 1)


@dataclass(frozen=True, eq=False)
class TrafficGraph:
    """Expected synapses and traffic between slices of populations.

    Parameters
    ----------
    population : ndarray of int32, shape (n,)
        Index of each slice's population.
    first_neuron : ndarray of int64, shape (n,)
        Index within its population of the first neuron of each slice.
    neurons : ndarray of int64, shape (n,)
        Number of neurons of each slice.
    rate : ndarray of float64, shape (n,)
        Mean rate of the neurons of each slice, spikes/s.
    start : ndarray of int64, shape (n + 1,)
        The edges of source slice v are ``start[v]`` to ``start[v + 1]``, exclusive.
    target : ndarray of int32, shape (n_edges,)
        Target slices, ascending for each source slice.
    synapses : ndarray of float64, shape (n_edges,)
        Expected number of synapses.
    min_delay : ndarray of int32, shape (n_edges,)
        Lower bound of the delays of these synapses, steps.
    connectivity : ExpectedConnectivity or BuiltConnectivity, optional
        Neurons of a slice with a synapse onto another; None: all neurons may have one.
    """

    population: npt.NDArray[np.int32]
    first_neuron: npt.NDArray[np.int64]
    neurons: npt.NDArray[np.int64]
    rate: npt.NDArray[np.float64]
    start: npt.NDArray[np.int64]
    target: npt.NDArray[np.int32]
    synapses: npt.NDArray[np.float64]
    min_delay: npt.NDArray[np.int32]
    connectivity: ExpectedConnectivity | BuiltConnectivity | None = None

    @property
    def n(self) -> int:
        """Number of slices."""
        return self.neurons.size

    @cached_property
    def core_targets(self) -> dict[bytes, Any]:
        """Core targets that were computed for this graph, by the core of each slice.

        Packing, limits and mapping onto boards need the same ones, and built connectivity makes
        them slow to compute.
        """
        return {}

    @cached_property
    def source(self) -> npt.NDArray[np.int32]:
        """Source slice of each edge, shape (n_edges,)."""
        return np.repeat(np.arange(self.n, dtype=np.int32), np.diff(self.start))

    @cached_property
    def spike_rate(self) -> npt.NDArray[np.float64]:
        """Spikes of each slice, 1/s, shape (n,)."""
        return self.rate * self.neurons

    @cached_property
    def event_rate(self) -> npt.NDArray[np.float64]:
        """Synaptic events that arrive at each slice, 1/s, shape (n,)."""
        weights = self.synapses * self.rate[self.source]
        return np.bincount(self.target, weights, minlength=self.n).astype(np.float64)

    @cached_property
    def incoming_synapses(self) -> npt.NDArray[np.float64]:
        """Expected number of synapses onto each slice, shape (n,)."""
        counts = np.bincount(self.target, self.synapses, minlength=self.n)
        return counts.astype(np.float64)

    def subgraph(self, selected: npt.NDArray[np.bool_]) -> Self:
        """Return the graph of the selected slices and of the edges between them."""
        edges = selected[self.source] & selected[self.target]
        new_index = np.cumsum(selected) - 1
        source = new_index[self.source[edges]]
        return type(self)(
            self.population[selected],
            self.first_neuron[selected],
            self.neurons[selected],
            self.rate[selected],
            np.searchsorted(source, np.arange(np.count_nonzero(selected) + 1)),
            new_index[self.target[edges]].astype(np.int32),
            self.synapses[edges],
            self.min_delay[edges],
        )


def build_traffic_graph(
    network: Network, table: BlockTable, rates: Rates = 1.0, edges: EdgeReader | None = None
) -> TrafficGraph:
    """Build the traffic graph of a network.

    Parameters
    ----------
    network : Network
        The network.
    table : BlockTable
        Its slices.
    rates : mapping of str to array_like, or float
        Rates, spikes/s: for each population one number or an array with one per neuron. A single
        number applies to all neurons.
    edges : callable, optional
        Reads the edges of a projection from its file; required if the network has edge files.

    Raises
    ------
    DescriptionError
        If rates are missing, negative or of the wrong shape, or `edges` is missing.
    """
    bounds = np.searchsorted(table.population, np.arange(len(network.populations) + 1))
    index = {population.name: i for i, population in enumerate(network.populations)}
    pairs: dict[tuple[int, int], _PopulationPair] = {}
    for projection in network.projections:
        pair = index[projection.pre.population], index[projection.post.population]
        pre, post = (slice(bounds[i], bounds[i + 1]) for i in pair)
        if pair not in pairs:
            pairs[pair] = _PopulationPair(pre.stop - pre.start, post.stop - post.start)
        chunks = explicit_edges(projection, network.dt, edges)
        if chunks is None:
            pairs[pair].add_expected(*_expected_synapses(projection, table, pre, post, network.dt))
        else:
            for records in chunks:
                pairs[pair].count_edges(projection, table, records, network.dt)
    start, target, synapses, delay = _edges_by_source(pairs, bounds)
    return TrafficGraph(
        table.population,
        table.start,
        table.size.astype(np.int64),
        np.add.reduceat(neuron_rates(network, rates), table.gid) / table.size,
        start,
        target,
        synapses,
        delay,
    )


def neuron_rates(network: Network, rates: Rates) -> npt.NDArray[np.float64]:
    """Return the rate of each neuron, spikes/s, shape (n_neurons,).

    Raises
    ------
    DescriptionError
        If rates are missing, unknown, negative or of the wrong shape.
    """
    if not isinstance(rates, Mapping):
        rates = {population.name: rates for population in network.populations}
    names = {population.name for population in network.populations}
    for name in rates:
        if name not in names:
            raise unknown_name_error("population", name, names, where="rates")
    rate_arrays = []
    for population in network.populations:
        where = f"rates, population {population.name!r}"
        if population.name not in rates:
            raise DescriptionError(
                "the rate is missing", where=where, allowed="spikes/s, at least 0"
            )
        rate = np.asarray(rates[population.name], np.float64)
        if rate.ndim:
            check_shape(rate, (population.size,), where=where, meaning="one for each neuron")
        check_range(rate, Interval(0.0), where=where)
        rate_arrays.append(np.broadcast_to(rate, population.size))
    return np.concatenate(rate_arrays)


class _PopulationPair:
    """Synapses and minimum delays between two populations, as matrices of slices."""

    def __init__(self, n_pre: int, n_post: int) -> None:
        self.synapses = np.zeros((n_pre, n_post))
        self.min_delay = np.full((n_pre, n_post), NO_DELAY)

    def add_expected(self, synapses: npt.NDArray[np.float64], delay: int) -> None:
        self.synapses += synapses
        self.min_delay[synapses > 0.0] = np.minimum(self.min_delay[synapses > 0.0], delay)

    def count_edges(
        self,
        projection: Projection,
        table: BlockTable,
        records: npt.NDArray[Any],
        dt: float,
    ) -> None:
        source = slice_of(table, records["source"], projection.pre)
        target = slice_of(table, records["target"], projection.post)
        cell = source * self.synapses.shape[1] + target
        self.synapses += np.bincount(cell, minlength=self.synapses.size).reshape(
            self.synapses.shape
        )
        assert records.dtype.names is not None
        if "delay" in records.dtype.names:
            steps: Any = records["delay"]
        else:
            assert projection.delay is not None
            steps = np.int32(delay_bounds(projection.delay, dt)[0])
        np.minimum.at(self.min_delay.reshape(-1), cell, steps)


def slice_of(
    table: BlockTable, neurons: npt.NDArray[Any], view: PopulationView
) -> npt.NDArray[np.int64]:
    """Return the index, within the population, of the slice of each neuron of a view."""
    # all slices of a population have the same size, except for the last
    return view.neurons_at(neurons) // table.block_size


def explicit_edges(
    projection: Projection, dt: float, edges: EdgeReader | None
) -> Iterable[npt.NDArray[Any]] | None:
    """Return the edges that a projection lists, as chunks of records; None if it draws them."""
    if isinstance(projection.rule, ConnectionFile):
        if edges is None:
            raise DescriptionError(
                "the edges are in a file, and no reader of edge files is given",
                where=f"projection {projection.name!r}",
            )
        return edges(projection)
    if isinstance(projection.rule, ConnectionList):
        ends = projection.rule.sources, projection.rule.targets
    elif isinstance(projection.rule, OneToOne):
        ends = (np.arange(projection.pre.size, dtype=np.int32),) * 2
    else:
        return None
    columns = [("source", "u4"), ("target", "u4")]
    columns += [("delay", "i4")] if isinstance(projection.delay, np.ndarray) else []
    records = np.empty(ends[0].size, np.dtype(columns))
    records["source"], records["target"] = ends
    if isinstance(projection.delay, np.ndarray):
        records["delay"] = delay_steps(projection.delay, dt)
    return [records]


def _expected_synapses(
    projection: Projection, table: BlockTable, pre: slice, post: slice, dt: float
) -> tuple[npt.NDArray[np.float64], int]:
    # Under all other rules, all pairs that can connect have the same probability.
    n_source, n_target = (
        count_in_view(table, pre, projection.pre),
        count_in_view(table, post, projection.post),
    )
    pairs = np.outer(n_source, n_target).astype(np.float64)
    if projection.is_recurrent and projection.rule.skips_autapses:
        pairs[np.diag_indices_from(pairs)] -= n_source
    total = projection.rule.expected_synapses(
        projection.pre.size, projection.post.size, projection.is_recurrent
    )
    assert projection.delay is not None
    return total * pairs / max(1.0, pairs.sum()), delay_bounds(projection.delay, dt)[0]


def count_in_view(table: BlockTable, slices: slice, view: PopulationView) -> npt.NDArray[np.int64]:
    """Return the number of neurons of a view in each slice of its population."""
    start = table.start[slices]
    return view.count_below(start + table.size[slices]) - view.count_below(start)


def _edges_by_source(
    pairs: dict[tuple[int, int], _PopulationPair], bounds: npt.NDArray[np.int64]
) -> tuple[
    npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float64], npt.NDArray[np.int32]
]:
    counts = np.zeros(bounds[-1] + 1, np.int64)
    for (pre, _), pair in pairs.items():
        counts[1 + bounds[pre] : 1 + bounds[pre + 1]] += np.count_nonzero(pair.synapses, axis=1)
    start = np.cumsum(counts)
    target = np.empty(start[-1], np.int32)
    synapses, delay = np.empty(start[-1]), np.empty(start[-1], np.int32)
    next_edge = start[:-1].copy()
    for pre, post in sorted(pairs):
        pair = pairs.pop((pre, post))
        a, b = np.nonzero(pair.synapses)
        edges_per_source = np.bincount(a, minlength=pair.synapses.shape[0])
        sources = slice(bounds[pre], bounds[pre + 1])
        edge = np.repeat(
            next_edge[sources] - (np.cumsum(edges_per_source) - edges_per_source), edges_per_source
        ) + np.arange(a.size)
        target[edge] = bounds[post] + b
        synapses[edge], delay[edge] = pair.synapses[a, b], pair.min_delay[a, b]
        next_edge[sources] += edges_per_source
    return start, target, synapses, delay
