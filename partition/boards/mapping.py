"""The mapping of a network onto a board, made step by step by pure functions."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError, unknown
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.check import Violation, check_cores, check_keys, check_tables
from distsnn.partition.boards.demand import (
    Demand,
    check_runnable,
    demand,
    overfull,
    pack,
)
from distsnn.partition.boards.energy import energy_cost, energy_spent, link_energies
from distsnn.partition.boards.geometry import Machine, machine
from distsnn.partition.boards.keys import Keys, allot
from distsnn.partition.boards.place import place
from distsnn.partition.boards.reach import Floats, Ints, Reach, reach
from distsnn.partition.boards.routes import Routes, route, single_loads
from distsnn.partition.boards.sections import MULTICAST, ONE_AXON, UNICAST
from distsnn.partition.boards.tables import Tables, compressed_tables
from distsnn.partition.traffic import TrafficGraph

OPTIMISE = ("hops", "congestion", "energy")


@dataclass(frozen=True, eq=False)
class Mapping:
    """Where each slice of a network is, and how its spikes get where they go.

    Parameters
    ----------
    board : Board
        The board.
    machine : Machine
        Its living parts.
    graph : TrafficGraph
        The network's slices.
    to : Reach
        Which core holds each slice, and which cores it reaches.
    needs : Demand
        What each slice takes of its core.
    places : ndarray of int64, shape (n_cores,)
        Place of each core among the machine's cores.
    load : ndarray of float64, shape (n_nodes, n_ports)
        Packets/s over each link.
    keys, routes, tables : Keys, Routes, Tables or None
        Of boards with multicast routers; None on others.
    seconds : float
        Time that it took, s.
    """

    board: Board
    machine: Machine
    graph: TrafficGraph
    to: Reach
    needs: Demand
    places: Ints
    load: Floats
    keys: Keys | None = None
    routes: Routes | None = None
    tables: Tables | None = None
    seconds: float = 0.0

    @property
    def node(self) -> Ints:
        """Node of each slice."""
        return self.machine.node_of_core[self.places[self.to.core]]

    def check(self) -> list[Violation]:
        """Return all that is wrong, found by following packets; nothing if all is well."""
        held = self.to, self.needs, self.board, self.machine, self.places
        found = check_cores(*held, self.graph.connectivity)
        if self.keys is not None and self.tables is not None:
            found += check_keys(self.needs.neurons, self.keys)
            parts = self.to, self.board, self.machine, self.places, self.keys, self.tables
            found += check_tables(*parts)[0]
        return found


def map_graph(
    graph: TrafficGraph,
    board: Board,
    *,
    models: Sequence[str] = (),
    neurons: int | None = None,
    optimise: str = "hops",
    seed: int = 1,
    trials: int | None = None,
) -> Mapping:
    """Map the slices of a network onto a board.

    Parameters
    ----------
    graph : TrafficGraph
        The slices, each small enough for a core (`demand.fitting_slices`).
    board : Board
        The board.
    models : sequence of str
        The neuron model of each population, by name.
    neurons : int, optional
        The most neurons of a core; by default as many as it holds.
    optimise : {"hops", "congestion", "energy"}
        Whether ways are only short; or also spread over links so that the most loaded has less; or
        places and ways are chosen by their energy, chips that need not be on included.
        `check_objective` tells where there is nothing to spread.
    seed : int
        Seed of the swaps of placement.
    trials : int, optional
        Swaps to try.

    Returns
    -------
    Mapping
        Checked: an error tells of the first violation.

    Raises
    ------
    DescriptionError
        If the network cannot run there or does not fit, naming the limit; or the energies that
        places decide on are unknown.
    """
    check_objective(board, optimise)
    began = time.perf_counter()
    check_runnable(board, models, _links(graph))
    needs = demand(graph, board)
    core = pack(graph, board, neurons)
    over = overfull(graph, board, core)
    if over is not None:
        raise DescriptionError(
            f"slices exceed what a core takes: {over[0]}",
            where=f"board {board.name!r}",
            value=round(over[1], 1),
            allowed=f"at most {over[2]:g}",
        )
    made, to = machine(board), reach(graph, core)
    multicast = board.router.scheme.need("how packets find their way") == MULTICAST
    memory = np.bincount(to.core, needs.memory, minlength=to.cores).astype(np.float64)
    shared = board.chip.shared_memory.value
    if board.core.synapse_memory.value is not None or shared is None:
        memory, shared_memory = np.zeros(to.cores), np.inf
    else:
        shared_memory = float(shared)
    # places of few hops may have ways of less energy than those that were sought by energy
    costs = [None, energy_cost(board, made)] if optimise == "energy" else [None]
    mappings = []
    for cost in costs:
        how: dict[str, Any] = {"copies": not multicast, "seed": seed, "trials": trials}
        places = place(to, made, memory, shared_memory, cost=cost, **how)
        if multicast:
            mappings.append(routed(board, made, graph, to, needs, places, optimise=optimise))
        else:
            load = single_loads(to, made, places)
            mappings.append(Mapping(board, made, graph, to, needs, places, load))
    mapping = mappings[0]
    if optimise == "energy":
        mapping = min(mappings, key=lambda one: energy_spent(board, made, one.places, one.load))
    found = mapping.check()
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise DescriptionError(f"{found[0]}{more}", where=f"mapping onto {board.name!r}")
    return replace(mapping, seconds=time.perf_counter() - began)


def check_objective(board: Board, optimise: str) -> None:
    """Refuse an objective that there is not, or that nothing on the board can serve.

    Raises
    ------
    DescriptionError
        If it is unknown, or packets are to be spread over links where each has one way only.
    """
    if optimise not in OPTIMISE:
        raise unknown("objective", optimise, OPTIMISE, where="map, optimise")
    if optimise == "congestion" and board.router.scheme.value in (UNICAST, ONE_AXON):
        raise DescriptionError(
            "packets take one way each there, along x first in a mesh: there is none to choose",
            where=f"map, optimise, board {board.name!r}",
            value=optimise,
            allowed="hops, energy",
        )


def routed(
    board: Board,
    made: Machine,
    graph: TrafficGraph,
    to: Reach,
    needs: Demand,
    places: Ints,
    *,
    optimise: str = "hops",
) -> Mapping:
    """Return the mapping of a placement by multicast: keys, routes and tables, not checked."""
    node = made.node_of_core[places[to.core]]
    bits = board.router.key_bits.need("keys")
    joules = link_energies(board, made) if optimise == "energy" else None
    routes = route(to, made, places, optimise=optimise, joules=joules)
    keys = allot(needs.neurons, node, routes, made.n_nodes, bits)
    default = bool(board.router.default_route.value)
    tables = compressed_tables(routes, keys, made, default=default)
    load = routes.loads(made, to.spikes)
    return Mapping(board, made, graph, to, needs, places, load, keys, routes, tables)


def _links(graph: TrafficGraph) -> Iterator[tuple[int, int]]:
    """Yield the pairs of populations of which the first sends to the second."""
    n = int(graph.population.max(initial=-1)) + 1
    links = np.zeros((n, n), bool)
    links[graph.population[graph.source], graph.population[graph.target]] = True
    yield from zip(*(ends.tolist() for ends in np.nonzero(links)), strict=True)
