"""Slices of a network that fit the cores of a board, for expected or built connectivity."""

import math
import resource
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distsnn.engine import connections, edges, wiring
from distsnn.engine.layout import LocalLayout
from distsnn.errors import DescriptionError
from distsnn.network import ConnectionFile, Network
from distsnn.network.blocks import make_blocks, make_slices
from distsnn.network.checks import as_integer
from distsnn.network.quanta import choose_quanta
from distsnn.partition.assignment import make_assignment
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.resources import NetworkSize, SlicedNetwork, slice_to_fit
from distsnn.partition.boards.sections import ONE_AXON, UNICAST
from distsnn.partition.boards.slice_connectivity import (
    connectivity_bytes,
    with_built_connectivity,
    with_expected_connectivity,
)
from distsnn.partition.traffic import Rates, TrafficGraph, build_traffic_graph
from distsnn.simulation.build import compile_wiring_kernels
from distsnn.simulation.edge_routing import file_summaries, read_edges
from distsnn.simulation.phase_timer import available_bytes

Ints = npt.NDArray[np.int64]

# Up to this many synapses are stored, in 16 bytes each; more synapses are built again.
_KEPT = 1 << 24
# Synapses that are built at a time.
_BUILT_AT_A_TIME = 1 << 25


def is_unicast(board: Board) -> bool:
    """Return whether a packet is sent to each core."""
    return board.router.scheme.value in (UNICAST, ONE_AXON)


def check_neurons_per_core(board: Board, neurons: int | None) -> None:
    """Check that the number of neurons per core is given, or in the board file.

    Raises
    ------
    DescriptionError
        If it is neither, or not a positive integer.
    """
    if neurons is not None:
        as_integer(neurons, where="neurons_per_core", low=1)
    elif board.core.max_neurons.value is None:
        raise DescriptionError(
            f"the number of neurons per core of board {board.name!r} is unknown",
            where="neurons_per_core",
            hint="set a number of neurons",
        )


def slice_for_board(
    network: Network,
    board: Board,
    rates: Rates,
    *,
    neurons_per_core: int | None,
    connectivity: str | None,
    seed: int,
) -> SlicedNetwork:
    """Return slices that fit a core, for expected or built connectivity.

    Parameters
    ----------
    network : Network
        The network.
    board : Board
        The board.
    rates : mapping of str to array_like, or float
        Rates, spikes/s.
    neurons_per_core : int or None
        Maximum number of neurons per core; None: the limit of the board.
    connectivity : {"expected", "built"} or None
        Connectivity of neurons and cores; None: built if a packet is sent to each core.
    seed : int
        Seed of the network that is built to count.

    Raises
    ------
    DescriptionError
        If no slices fit, or the memory is too small to find out.
    """
    reader = partial(read_edges, dt=network.dt)
    core, unicast = board.core, is_unicast(board)
    is_limited = core.in_axons.value is not None or core.out_axons.value is not None

    def with_expected(neurons: int) -> TrafficGraph:
        table = make_slices(network, neurons)
        graph = build_traffic_graph(network, table, rates, reader)
        if not is_limited and not unicast:
            return graph
        return with_expected_connectivity(graph, network, table, reader)

    def with_built(neurons: int) -> TrafficGraph:
        table = make_slices(network, neurons)
        graph = build_traffic_graph(network, table, rates, reader)
        _check_memory(connectivity_bytes(graph))
        return with_built_connectivity(graph, network, table, rates, synapse_ends())

    synapse_ends = _synapse_ends(network, seed)
    builds = unicast if connectivity is None else connectivity == "built"
    size = _network_size(network)
    sliced = slice_to_fit(
        with_expected, board, neurons_per_core, estimate=builds, network_size=size
    )
    if not builds:
        return sliced
    built = slice_to_fit(with_built, board, sliced.neurons_per_core, network_size=size)
    return built._replace(limit=built.limit or sliced.limit)


def _synapse_ends(network: Network, seed: int) -> Callable[[], Iterable[tuple[Ints, Ints]]]:
    """Return what gives the ends of all synapses: smaller slices need the very same ones again."""
    if network.expected_synapses() > _KEPT:
        return partial(iterate_network_synapses, network, seed)
    return cache(lambda: list(iterate_network_synapses(network, seed)))


def iterate_network_synapses(
    network: Network, seed: int, *, chunk_size: int = _BUILT_AT_A_TIME
) -> Iterator[tuple[Ints, Ints]]:
    """Yield sources and targets (gids) of all synapses, in chunks.

    The synapses of a rank do not depend on the other ranks. The network is therefore built for as
    many ranks as make a chunk small, one rank after another.

    Parameters
    ----------
    network : Network
        The network.
    seed : int
        Seed of the run that has these synapses.
    chunk_size : int
        Approximate number of synapses in memory at a time.
    """
    compile_wiring_kernels()
    table, scales = make_blocks(network), choose_quanta(network, file_summaries(network))
    parts = min(max(1, math.ceil(network.expected_synapses() / chunk_size)), table.n_blocks)
    assignment = make_assignment(table, parts, "contiguous")
    for part in range(parts):
        layout = LocalLayout(network, table, assignment, part)
        explicit_edges = {
            index: [
                edges.split_by_owner(layout, projection, piece)[part]
                for piece in read_edges(projection, network.dt)
            ]
            for index, projection in enumerate(network.projections)
            if isinstance(projection.rule, ConnectionFile)
        }
        yield from connections.iterate_synapses(
            layout, wiring.build_local_synapses(layout, scales, seed, explicit_edges=explicit_edges)
        )


def _network_size(network: Network) -> NetworkSize:
    index = {population.name: position for position, population in enumerate(network.populations)}
    sizes = np.array([population.size for population in network.populations], np.int64)
    pairs = {
        (index[projection.pre.population], index[projection.post.population])
        for projection in network.projections
    }
    return NetworkSize(sizes, pairs, _free_bytes())


def _check_memory(needed: float) -> None:
    """Raise DescriptionError if built connectivity does not fit the memory, before it is built."""
    free = _free_bytes()
    if needed > free:
        raise DescriptionError(
            "the connectivity of neurons and slices needs about "
            f"{needed / 2**30:,.1f} GiB of memory, {free / 2**30:,.1f} GiB are free",
            where="connectivity",
            value="built",
            allowed="expected (without a simulation)",
            hint="use larger slices",
        )


def _free_bytes() -> float:
    """Return the memory that this process may still take: the machine's, or what a limit leaves."""
    limit, status = resource.getrlimit(resource.RLIMIT_AS)[0], Path("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not status.exists():
        return available_bytes()
    resident = int(status.read_text().split()[0]) * resource.getpagesize()
    return min(available_bytes(), max(0.0, float(limit - resident)))
