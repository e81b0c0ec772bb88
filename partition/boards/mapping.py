"""Mapping of a network onto a board: slices to cores, routes, keys and routing tables."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.check import Violation, check_cores, check_keys, check_tables
from distsnn.partition.boards.core_targets import CoreTargets, Floats, Ints, find_core_targets
from distsnn.partition.boards.energy import energy_cost, link_energies, placement_power
from distsnn.partition.boards.geometry import Machine, build_machine
from distsnn.partition.boards.keys import Keys, allocate_keys
from distsnn.partition.boards.placement import place_cores
from distsnn.partition.boards.resources import (
    SliceResources,
    check_runnable,
    first_exceeded_limit,
    pack_slices,
    slice_resources,
)
from distsnn.partition.boards.routes import Routes, route_slices, unicast_loads
from distsnn.partition.boards.sections import MULTICAST, ONE_AXON, UNICAST
from distsnn.partition.boards.tables import Tables, compress_tables
from distsnn.partition.traffic import TrafficGraph

OBJECTIVES = ("hops", "congestion", "energy")


@dataclass(frozen=True, eq=False)
class BoardMapping:
    """Cores of a network's slices, and routes of their packets.

    Parameters
    ----------
    board : Board
        The board.
    machine : Machine
        The working parts of the board.
    graph : TrafficGraph
        The network's slices.
    core_targets : CoreTargets
        Logical core and target cores of each slice.
    resources : SliceResources
        Resource demand of each slice.
    physical_core : ndarray of int64, shape (n_cores,)
        Physical core of each logical core: its index among the machine's cores.
    link_load : ndarray of float64, shape (n_nodes, n_ports)
        Packets over each link, 1/s.
    keys, routes, tables : Keys, Routes, Tables or None
        Keys, routes and routing tables with multicast routers; otherwise None.
    seconds : float
        Wall-clock time of the mapping, s.
    """

    board: Board
    machine: Machine
    graph: TrafficGraph
    core_targets: CoreTargets
    resources: SliceResources
    physical_core: Ints
    link_load: Floats
    keys: Keys | None = None
    routes: Routes | None = None
    tables: Tables | None = None
    seconds: float = 0.0

    @property
    def node_of_slice(self) -> Ints:
        """Node of each slice."""
        return self.machine.node_of_core[self.physical_core[self.core_targets.core_of_slice]]

    def check(self) -> list[Violation]:
        """Check the mapping by tracing packets; return all violations."""
        arguments = self.core_targets, self.resources, self.board, self.machine, self.physical_core
        violations = check_cores(*arguments, self.graph.connectivity)
        if self.keys is not None and self.tables is not None:
            violations += check_keys(self.resources.neurons, self.keys)
            routing = (
                self.core_targets,
                self.board,
                self.machine,
                self.physical_core,
                self.keys,
                self.tables,
            )
            violations += check_tables(*routing)[0]
        return violations


def map_graph(
    graph: TrafficGraph,
    board: Board,
    *,
    models: Sequence[str] = (),
    neurons: int | None = None,
    objective: str = "hops",
    seed: int = 1,
    trials: int | None = None,
) -> BoardMapping:
    """Map the slices of a network onto a board.

    Parameters
    ----------
    graph : TrafficGraph
        The slices, each small enough for a core (`resources.slice_to_fit`).
    board : Board
        The board.
    models : sequence of str
        The neuron model of each population, by name.
    neurons : int, optional
        Maximum number of neurons per core; by default the limit of the board.
    objective : {"hops", "congestion", "energy"}
        ``hops`` minimises rate × hops; ``congestion`` also the maximum link load; ``energy`` the
        energy of hops and of chips in use.
    seed : int
        Seed of the swaps of placement.
    trials : int, optional
        Number of swaps to try.

    Returns
    -------
    BoardMapping
        The mapping, checked.

    Raises
    ------
    DescriptionError
        If the board cannot run the network, a limit is exceeded, the check finds a violation, or
        an energy that the objective needs is unknown.
    """
    check_objective(board, objective)
    start_time = time.perf_counter()
    check_runnable(board, models, _population_pairs(graph))
    resources = slice_resources(graph, board)
    core = pack_slices(graph, board, neurons)
    exceeded = first_exceeded_limit(graph, board, core)
    if exceeded is not None:
        raise DescriptionError(
            f"the slices of a core exceed its {exceeded[0]} limit",
            where=f"board {board.name!r}",
            value=round(exceeded[1], 1),
            allowed=f"at most {exceeded[2]:g}",
        )
    machine, targets = build_machine(board), find_core_targets(graph, core)
    multicast = board.router.scheme.require("the routing of packets") == MULTICAST
    memory = np.bincount(targets.core_of_slice, resources.memory, minlength=targets.n_cores).astype(
        np.float64
    )
    chip_memory = board.chip.shared_memory.value
    if board.core.synapse_memory.value is not None or chip_memory is None:
        memory, shared_memory = np.zeros(targets.n_cores), np.inf
    else:
        shared_memory = float(chip_memory)
    # a placement for few hops may take less energy than the placement found for low energy
    costs = [None, energy_cost(board, machine)] if objective == "energy" else [None]
    mappings = []
    for cost in costs:
        options: dict[str, Any] = {"unicast": not multicast, "seed": seed, "trials": trials}
        physical_core = place_cores(targets, machine, memory, shared_memory, cost=cost, **options)
        if multicast:
            mappings.append(
                route_mapping(
                    board, machine, graph, targets, resources, physical_core, objective=objective
                )
            )
        else:
            link_load = unicast_loads(targets, machine, physical_core)
            mappings.append(
                BoardMapping(board, machine, graph, targets, resources, physical_core, link_load)
            )
    mapping = mappings[0]
    if objective == "energy":
        mapping = min(
            mappings,
            key=lambda candidate: placement_power(
                board, machine, candidate.physical_core, candidate.link_load
            ),
        )
    violations = mapping.check()
    if violations:
        others = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        raise DescriptionError(f"{violations[0]}{others}", where=f"mapping onto {board.name!r}")
    return replace(mapping, seconds=time.perf_counter() - start_time)


def check_objective(board: Board, objective: str) -> None:
    """Check that the board can be optimised for an objective.

    Raises
    ------
    DescriptionError
        If the objective is unknown, or it is ``congestion`` and the routes of the board are fixed.
    """
    if objective not in OBJECTIVES:
        raise unknown_name_error("objective", objective, OBJECTIVES, where="objective")
    if objective == "congestion" and board.router.scheme.value in (UNICAST, ONE_AXON):
        raise DescriptionError(
            "routes of this board are fixed (x before y): congestion cannot be optimised",
            where=f"objective, board {board.name!r}",
            value=objective,
            allowed="hops, energy",
        )


def route_mapping(
    board: Board,
    machine: Machine,
    graph: TrafficGraph,
    targets: CoreTargets,
    resources: SliceResources,
    physical_core: Ints,
    *,
    objective: str = "hops",
) -> BoardMapping:
    """Compute keys, routes and tables of a placement with multicast routers, without a check."""
    node = machine.node_of_core[physical_core[targets.core_of_slice]]
    bits = board.router.key_bits.require("keys")
    link_energy = link_energies(board, machine) if objective == "energy" else None
    routes = route_slices(
        targets, machine, physical_core, objective=objective, link_energy=link_energy
    )
    keys = allocate_keys(resources.neurons, node, routes, machine.n_nodes, bits)
    default = bool(board.router.default_route.value)
    tables = compress_tables(routes, keys, machine, default=default)
    link_load = routes.loads(machine, targets.spike_rate)
    return BoardMapping(
        board, machine, graph, targets, resources, physical_core, link_load, keys, routes, tables
    )


def _population_pairs(graph: TrafficGraph) -> Iterator[tuple[int, int]]:
    """Yield the pairs (source, target) of connected populations."""
    n = int(graph.population.max(initial=-1)) + 1
    is_connected = np.zeros((n, n), bool)
    is_connected[graph.population[graph.source], graph.population[graph.target]] = True
    yield from zip(*(ends.tolist() for ends in np.nonzero(is_connected)), strict=True)
