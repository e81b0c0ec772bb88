"""``distsnn map``: slices that fit a board's cores, for expected or built connectivity."""

import resource
from argparse import Namespace
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.network import Network
from distsnn.network.blocks import make_slices
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.resources import NetworkSize, SlicedNetwork, slice_to_fit
from distsnn.partition.boards.sections import ONE_AXON, UNICAST
from distsnn.partition.boards.slice_connectivity import (
    connectivity_bytes,
    with_built_connectivity,
    with_expected_connectivity,
)
from distsnn.partition.traffic import Rates, TrafficGraph, build_traffic_graph
from distsnn.simulation.clock import available_bytes
from distsnn.simulation.edge_routing import read_edges
from distsnn.simulation.wired_ends import wired_ends

Ints = npt.NDArray[np.int64]

# Up to this many synapses are stored, in 16 bytes each; more synapses are built again.
_KEPT = 1 << 24


def sends_each(board: Board) -> bool:
    """Return whether a packet is sent to each core."""
    return board.router.scheme.value in (UNICAST, ONE_AXON)


def check_neurons_per_core(board: Board, neurons: int | None) -> None:
    """Check that the number of neurons per core is given, or in the board file.

    Raises
    ------
    DescriptionError
        If it is one.
    """
    if neurons is None and board.core.max_neurons.value is None:
        raise DescriptionError(
            f"the number of neurons per core of board {board.name!r} is unknown",
            where="--neurons-per-core",
            allowed="a number of neurons",
        )


def fitted(
    network: Network, board: Board, options: Namespace, rates: Rates, seed: int
) -> SlicedNetwork:
    """Return slices that fit a core, for expected or built connectivity.

    Raises
    ------
    DescriptionError
        If none do, or the memory is too small to find out.
    """
    reader = partial(read_edges, dt=network.dt)
    core, single = board.core, sends_each(board)
    limited = core.in_axons.value is not None or core.out_axons.value is not None

    def expected(neurons: int) -> TrafficGraph:
        table = make_slices(network, neurons)
        graph = build_traffic_graph(network, table, rates, reader)
        return (
            with_expected_connectivity(graph, network, table, reader)
            if limited or single
            else graph
        )

    def counted(neurons: int) -> TrafficGraph:
        table = make_slices(network, neurons)
        graph = build_traffic_graph(network, table, rates, reader)
        _check_memory(connectivity_bytes(graph))
        return with_built_connectivity(graph, network, table, rates, ends())

    ends = _ends(network, seed)
    count = single if options.contacts is None else options.contacts == "counted"
    extent = _extent(network)
    sliced = slice_to_fit(
        expected, board, options.neurons_per_core, estimate=count, network_size=extent
    )
    if not count:
        return sliced
    built = slice_to_fit(counted, board, sliced.neurons_per_core, network_size=extent)
    return built._replace(limit=built.limit or sliced.limit)


def _ends(network: Network, seed: int) -> Callable[[], Iterable[tuple[Ints, Ints]]]:
    """Return what gives the ends of all synapses: smaller slices need the very same ones again."""
    synapses = sum(
        projection.rule.expected_synapses(
            projection.pre.size, projection.post.size, projection.is_recurrent
        )
        for projection in network.projections
    )
    if synapses > _KEPT:
        return partial(wired_ends, network, seed)
    ends: list[tuple[Ints, Ints]] = []

    def once() -> Iterable[tuple[Ints, Ints]]:
        if not ends:
            ends.extend(wired_ends(network, seed))
        return ends

    return once


def _extent(network: Network) -> NetworkSize:
    index = {population.name: position for position, population in enumerate(network.populations)}
    sizes = np.array([population.size for population in network.populations], np.int64)
    pairs = {
        (index[projection.pre.population], index[projection.post.population])
        for projection in network.projections
    }
    return NetworkSize(sizes, pairs, _free_bytes())


def _check_memory(needed: float) -> None:
    """Refuse to count contacts that would not fit the memory, before anything is built."""
    free = _free_bytes()
    if needed > free:
        raise DescriptionError(
            f"neurons and the slices that they reach take about {needed / 2**30:,.1f} GiB, "
            f"and {free / 2**30:,.1f} GiB of memory are free",
            where="--contacts",
            value="counted",
            allowed="--contacts expected, which builds nothing (without --run), or larger slices",
        )


def _free_bytes() -> float:
    """Return the memory that this process may still take: the machine's, or what a limit leaves."""
    limit, status = resource.getrlimit(resource.RLIMIT_AS)[0], Path("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not status.exists():
        return available_bytes()
    resident = int(status.read_text().split()[0]) * resource.getpagesize()
    return min(available_bytes(), max(0.0, float(limit - resident)))
