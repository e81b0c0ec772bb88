"""One picture of a network for all that places it: who sends how many spikes to whom.

It is worked out in closed form from the description: vertices are slices of populations, an edge
holds the expected number of synapses from one slice to another and the smallest delay among them.
No synapse is drawn. Explicit edges are counted.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown
from distsnn.network import Explicit, ExplicitFile, Network, OneToOne, Projection
from distsnn.network.blocks import BlockTable
from distsnn.network.checks import Range, check_range, check_shape
from distsnn.network.populations import View
from distsnn.network.projections import delay_steps, delay_support
from distsnn.partition.contacts import Counted, Expected

Rates: TypeAlias = Mapping[str, npt.ArrayLike] | float
# The edges of a file, piece by piece, as records with `source`, `target` and, if given, `delay`.
Reader: TypeAlias = Callable[[Projection], Iterable[npt.NDArray[Any]]]
NO_DELAY = np.int32(2**31 - 1)


@dataclass(frozen=True, eq=False)
class TrafficGraph:
    """Expected synapses and traffic between slices of populations.

    Parameters
    ----------
    population : ndarray of int32, shape (n,)
        Index of each slice's population.
    first : ndarray of int64, shape (n,)
        Its first neuron within the population.
    neurons : ndarray of int64, shape (n,)
        Number of neurons.
    rate : ndarray of float64, shape (n,)
        Mean rate of its neurons, spikes/s.
    start : ndarray of int64, shape (n + 1,)
        The edges of source v are ``start[v]`` to ``start[v + 1]``.
    target : ndarray of int32, shape (n_edges,)
        Target slices, ascending within a source.
    synapses : ndarray of float64, shape (n_edges,)
        Expected number of synapses.
    delay : ndarray of int32, shape (n_edges,)
        No delay of these synapses is smaller, steps.
    contacts : Expected or Counted, optional
        Which neurons of a slice have a synapse onto another; None: any may (`partition.contacts`).
    """

    population: npt.NDArray[np.int32]
    first: npt.NDArray[np.int64]
    neurons: npt.NDArray[np.int64]
    rate: npt.NDArray[np.float64]
    start: npt.NDArray[np.int64]
    target: npt.NDArray[np.int32]
    synapses: npt.NDArray[np.float64]
    delay: npt.NDArray[np.int32]
    contacts: Expected | Counted | None = None

    @property
    def n(self) -> int:
        """Number of slices."""
        return self.neurons.size

    @cached_property
    def source(self) -> npt.NDArray[np.int32]:
        """Source slice of each edge, shape (n_edges,)."""
        return np.repeat(np.arange(self.n, dtype=np.int32), np.diff(self.start))

    @cached_property
    def spikes(self) -> npt.NDArray[np.float64]:
        """Spikes of each slice, per s, shape (n,)."""
        return self.rate * self.neurons

    @cached_property
    def events(self) -> npt.NDArray[np.float64]:
        """Synaptic events that arrive at each slice, per s, shape (n,)."""
        weights = self.synapses * self.rate[self.source]
        return np.bincount(self.target, weights, minlength=self.n).astype(np.float64)

    @cached_property
    def incoming(self) -> npt.NDArray[np.float64]:
        """Expected number of synapses onto each slice, shape (n,)."""
        found = np.bincount(self.target, self.synapses, minlength=self.n)
        return found.astype(np.float64)

    def part(self, chosen: npt.NDArray[np.bool_]) -> Self:
        """Return the graph of some slices, without edges from and to others."""
        edges = chosen[self.source] & chosen[self.target]
        number = np.cumsum(chosen) - 1
        source = number[self.source[edges]]
        return type(self)(
            self.population[chosen],
            self.first[chosen],
            self.neurons[chosen],
            self.rate[chosen],
            np.searchsorted(source, np.arange(np.count_nonzero(chosen) + 1)),
            number[self.target[edges]].astype(np.int32),
            self.synapses[edges],
            self.delay[edges],
        )


def traffic(
    network: Network, table: BlockTable, rates: Rates = 1.0, edges: Reader | None = None
) -> TrafficGraph:
    """Return the traffic between the slices of a network.

    Parameters
    ----------
    network : Network
        The network.
    table : BlockTable
        Its slices.
    rates : mapping of str to array_like, or float
        Rates, spikes/s: of each population one number, or one for each neuron; a number is that
        of all neurons.
    edges : callable, optional
        Reads the edges of a projection from its file; needed where there is one.

    Raises
    ------
    DescriptionError
        If rates are missing, negative or of the wrong shape, or a file's edges would have to be
        read and there is no reader.
    """
    bounds = np.searchsorted(table.population, np.arange(len(network.populations) + 1))
    index = {one.name: at for at, one in enumerate(network.populations)}
    blocks: dict[tuple[int, int], _Block] = {}
    for one in network.projections:
        key = index[one.pre.population], index[one.post.population]
        pre, post = (slice(bounds[at], bounds[at + 1]) for at in key)
        if key not in blocks:
            blocks[key] = _Block(pre.stop - pre.start, post.stop - post.start)
        given = given_edges(one, network.dt, edges)
        if given is None:
            blocks[key].add(*_expected(one, table, pre, post, network.dt))
        else:
            for records in given:
                blocks[key].count(one, table, records, network.dt)
    start, target, synapses, delay = _rows(blocks, bounds)
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
        rates = {one.name: rates for one in network.populations}
    names = {one.name for one in network.populations}
    for name in rates:
        if name not in names:
            raise unknown("population", name, names, where="rates")
    found = []
    for one in network.populations:
        where = f"rates of population {one.name!r}"
        if one.name not in rates:
            raise DescriptionError("is missing", where=where, allowed="spikes/s, at least 0")
        rate = np.asarray(rates[one.name], np.float64)
        if rate.ndim:
            check_shape(rate, (one.size,), where=where, of="one for each neuron")
        check_range(rate, Range(0.0), where=where)
        found.append(np.broadcast_to(rate, one.size))
    return np.concatenate(found)


class _Block:
    """The edges between two populations, as a matrix of slices."""

    def __init__(self, n_pre: int, n_post: int) -> None:
        self.synapses = np.zeros((n_pre, n_post))
        self.delay = np.full((n_pre, n_post), NO_DELAY)

    def add(self, synapses: npt.NDArray[np.float64], delay: int) -> None:
        self.synapses += synapses
        self.delay[synapses > 0.0] = np.minimum(self.delay[synapses > 0.0], delay)

    def count(
        self,
        one: Projection,
        table: BlockTable,
        records: npt.NDArray[Any],
        dt: float,
    ) -> None:
        a = slice_of(table, records["source"], one.pre)
        b = slice_of(table, records["target"], one.post)
        cell = a * self.synapses.shape[1] + b
        self.synapses += np.bincount(cell, minlength=self.synapses.size).reshape(
            self.synapses.shape
        )
        assert records.dtype.names is not None
        if "delay" in records.dtype.names:
            steps: Any = records["delay"]
        else:
            assert one.delay is not None
            steps = np.int32(delay_support(one.delay, dt)[0])
        np.minimum.at(self.delay.reshape(-1), cell, steps)


def slice_of(table: BlockTable, neurons: npt.NDArray[Any], view: View) -> npt.NDArray[np.int64]:
    """Return which slice of its population holds each neuron of a view."""
    # slices of a population all have one size, but for the last
    found: npt.NDArray[np.int64] = (neurons.astype(np.int64) + view.start) // table.block_size
    return found


def given_edges(
    one: Projection, dt: float, edges: Reader | None
) -> Iterable[npt.NDArray[Any]] | None:
    """Return the edges that a projection gives, as records; None where it draws them."""
    if isinstance(one.rule, ExplicitFile):
        if edges is None:
            raise DescriptionError(
                "its edges are in a file, which has to be read", where=f"projection {one.name!r}"
            )
        return edges(one)
    if isinstance(one.rule, Explicit):
        ends = one.rule.sources, one.rule.targets
    elif isinstance(one.rule, OneToOne):
        ends = (np.arange(one.pre.size, dtype=np.int32),) * 2
    else:
        return None
    columns = [("source", "u4"), ("target", "u4")]
    columns += [("delay", "i4")] if isinstance(one.delay, np.ndarray) else []
    records = np.empty(ends[0].size, np.dtype(columns))
    records["source"], records["target"] = ends
    if isinstance(one.delay, np.ndarray):
        records["delay"] = delay_steps(one.delay, dt)
    return [records]


def _expected(
    one: Projection, table: BlockTable, pre: slice, post: slice, dt: float
) -> tuple[npt.NDArray[np.float64], int]:
    # Of all other rules every pair that may connect is as likely as any other.
    a, b = covered(table, pre, one.pre), covered(table, post, one.post)
    pairs = np.outer(a, b).astype(np.float64)
    if one.same and one.rule.skips_autapses:
        pairs[np.diag_indices_from(pairs)] -= a
    total = one.rule.expected_synapses(one.pre.size, one.post.size, one.same)
    assert one.delay is not None
    return total * pairs / max(1.0, pairs.sum()), delay_support(one.delay, dt)[0]


def covered(table: BlockTable, side: slice, view: View) -> npt.NDArray[np.int64]:
    """Return how many neurons of each slice of a population are in a view of it."""
    first, end = table.start[side], table.start[side] + table.size[side]
    found: npt.NDArray[np.int64] = np.minimum(end, view.stop) - np.maximum(first, view.start)
    return found.clip(0)


def _rows(
    blocks: dict[tuple[int, int], _Block], bounds: npt.NDArray[np.int64]
) -> tuple[
    npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float64], npt.NDArray[np.int32]
]:
    counts = np.zeros(bounds[-1] + 1, np.int64)
    for (pre, _), block in blocks.items():
        counts[1 + bounds[pre] : 1 + bounds[pre + 1]] += np.count_nonzero(block.synapses, axis=1)
    start = np.cumsum(counts)
    target = np.empty(start[-1], np.int32)
    synapses, delay = np.empty(start[-1]), np.empty(start[-1], np.int32)
    free = start[:-1].copy()
    for pre, post in sorted(blocks):
        block = blocks.pop((pre, post))
        a, b = np.nonzero(block.synapses)
        per_row = np.bincount(a, minlength=block.synapses.shape[0])
        rows = slice(bounds[pre], bounds[pre + 1])
        at = np.repeat(free[rows] - (np.cumsum(per_row) - per_row), per_row) + np.arange(a.size)
        target[at] = bounds[post] + b
        synapses[at], delay[at] = block.synapses[a, b], block.delay[a, b]
        free[rows] += per_row
    return start, target, synapses, delay
