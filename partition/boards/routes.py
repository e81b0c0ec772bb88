"""Multicast routes: for every slice a tree of shortest paths to all its target nodes.

All slices of a node share one spanning tree, so that packets to the same nodes take the same path
and their entries merge. Paths have few turns, so that most packets take the default route.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.partition.boards.core_targets import CoreTargets, Floats, Ints
from distsnn.partition.boards.geometry import NO_NODE, Machine
from distsnn.partition.boards.placement import hops_between
from distsnn.partition.boards.routing_kernels import (
    add_loads,
    add_unicast_loads,
    count_entries,
    fill_entries,
    grow_trees,
)

_REROUTINGS = 8  # number of times that routes are computed again, by the loads of the last routes


@dataclass(frozen=True, eq=False)
class Routes:
    """Action of each node on each slice's packets, from which the routing tables follow.

    Parameters
    ----------
    source : ndarray of int32, shape (n_entries,)
        Slice. The entries of a slice are consecutive; the first entry is at the slice's node.
    node : ndarray of int32, shape (n_entries,)
        Node.
    arrival : ndarray of int32, shape (n_entries,)
        Port through which packets arrive; -1 from a core of the node.
    links : ndarray of int64, shape (n_entries,)
        Bit p: packets leave through port p.
    cores : ndarray of uint64, shape (n_entries, n_words)
        Bit c of the words: packets are delivered to core c of the node.
    """

    source: npt.NDArray[np.int32]
    node: npt.NDArray[np.int32]
    arrival: npt.NDArray[np.int32]
    links: Ints
    cores: npt.NDArray[np.uint64]

    def is_default_routed(self, machine: Machine) -> npt.NDArray[np.bool_]:
        """Return a mask of the entries whose packets only leave opposite to their arrival."""
        if not machine.directed:
            return np.zeros(self.source.size, bool)
        half = machine.n_ports // 2
        opposite_link = np.int64(1) << ((self.arrival.astype(np.int64) + half) % machine.n_ports)
        only_passes = (self.arrival >= 0) & ~self.cores.any(axis=1)
        is_default: npt.NDArray[np.bool_] = only_passes & (self.links == opposite_link)
        return is_default

    def loads(self, machine: Machine, spikes: Floats) -> Floats:
        """Return the packets over each link, 1/s, shape (n_nodes, n_ports)."""
        link_load = np.zeros(machine.neighbour.shape)
        add_loads(self.source, self.node, self.links, spikes, link_load)
        return link_load


def route_slices(
    targets: CoreTargets,
    machine: Machine,
    physical_core: Ints,
    *,
    objective: str = "hops",
    link_energy: Floats | None = None,
) -> Routes:
    """Compute the routes of all slices.

    Parameters
    ----------
    targets : CoreTargets
        Target cores of the slices.
    machine : Machine
        The machine.
    physical_core : ndarray of int64, shape (n_cores,)
        Physical core of each logical core.
    objective : {"hops", "congestion", "energy"}
        ``hops``: shortest paths. The other two choose among shortest paths by link load:
        ``congestion`` avoids loaded links, ``energy`` prefers them, as shared paths save packets.
    link_energy : ndarray of float64, shape (n_nodes, n_ports), optional
        Energy of a packet over each link, for ``energy``.

    Raises
    ------
    DescriptionError
        If dead parts disconnect a target.
    """
    hops = hops_between(machine)
    node_of_core = machine.node_of_core[physical_core]
    home = node_of_core[targets.core_of_slice]
    price = np.zeros(machine.neighbour.shape)
    best = _route_along_trees(targets, machine, physical_core, home, hops, price)
    if objective == "hops" or best.source.size == 0:
        return best

    def cost(load: Floats) -> float:
        return float(load.max(initial=0.0) if link_energy is None else (load * link_energy).sum())

    load = best.loads(machine, targets.spike_rate)
    min_cost = cost(load)
    for _ in range(_REROUTINGS):
        relative_load = load / max(load.max(initial=0.0), 1e-300)
        # a turn costs 1
        price = price + relative_load if link_energy is None else 0.5 * (1.0 - relative_load)
        candidate = _route_along_trees(targets, machine, physical_core, home, hops, price)
        load = candidate.loads(machine, targets.spike_rate)
        if cost(load) < min_cost:
            best, min_cost = candidate, cost(load)
    return best


def _route_along_trees(
    targets: CoreTargets,
    machine: Machine,
    physical_core: Ints,
    home: Ints,
    hops: npt.NDArray[np.int16],
    price: Floats,
) -> Routes:
    tree, parent, port = shortest_path_trees(machine, home, hops, price)
    node_of_core, core_number = machine.node_of_core[physical_core], machine.core[physical_core]
    counts = np.zeros(home.size, np.int64)
    visited = np.full(machine.n_nodes, NO_NODE, np.int64)
    unreached = int(
        count_entries(
            home, tree, targets.start, targets.target, node_of_core, parent, visited, counts
        )
    )
    if unreached >= 0:
        raise _unreachable_error(targets, machine, node_of_core, hops, unreached)
    starts = np.concatenate(([0], np.cumsum(counts)))
    n_entries, n_words = int(starts[-1]), int(machine.core.max()) // 64 + 1
    source, node, arrival = np.empty((3, n_entries), np.int32)
    links, cores = np.zeros(n_entries, np.int64), np.zeros((n_entries, n_words), np.uint64)
    fill_entries(
        *(home, tree, targets.start, targets.target, node_of_core, core_number),
        *(parent, port, machine.opposite, starts),
        np.full(machine.n_nodes, NO_NODE, np.int64),
        (source, node, arrival, links, cores),
    )
    return Routes(source, node, arrival, links, cores)


def unicast_loads(targets: CoreTargets, machine: Machine, physical_core: Ints) -> Floats:
    """Return the packets over each link with unicast routers, 1/s, shape (n_nodes, n_ports).

    In a mesh packets move along x first.

    Raises
    ------
    DescriptionError
        If dead parts disconnect a target.
    """
    hops, link_load = hops_between(machine), np.zeros(machine.neighbour.shape)
    node_of_core = machine.node_of_core[physical_core]
    home = node_of_core[targets.core_of_slice]
    tree, parent, port = shortest_path_trees(machine, home, hops, np.zeros(machine.neighbour.shape))
    unreached = int(
        add_unicast_loads(
            *(
                home,
                tree,
                targets.start,
                targets.target,
                node_of_core,
                parent,
                port,
                targets.packet_rate,
                link_load,
            )
        )
    )
    if unreached >= 0:
        raise _unreachable_error(targets, machine, node_of_core, hops, unreached)
    return link_load


def shortest_path_trees(
    machine: Machine, home: Ints, hops: npt.NDArray[np.int16], price: Floats
) -> tuple[Ints, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the tree of each slice, and the parent and its port of each node in each tree.

    Parameters
    ----------
    machine : Machine
        The machine.
    home : ndarray of int64, shape (n,)
        Node of each slice.
    hops : ndarray of int16, shape (n_nodes, n_nodes)
        Distances.
    price : ndarray of float64, shape (n_nodes, n_ports)
        Cost of each link, which decides between paths of equal length.
    """
    roots, tree = np.unique(home, return_inverse=True)
    parent, port = np.empty((2, roots.size, machine.n_nodes), np.int32)
    # ports along x are tried last, so that paths move along x first
    is_along_y = [name in ("N", "S") for name in machine.ports]
    port_order = np.argsort(~np.array(is_along_y, bool), kind="stable").astype(np.int64)
    grow_trees(
        roots, machine.neighbour, machine.opposite, port_order, 1.0, price, hops, parent, port
    )
    return tree.reshape(-1).astype(np.int64), parent, port


def _unreachable_error(
    targets: CoreTargets,
    machine: Machine,
    node_of_core: Ints,
    hops: npt.NDArray[np.int16],
    source: int,
) -> DescriptionError:
    home = int(node_of_core[targets.core_of_slice[source]])
    unreachable = node_of_core[targets.target[targets.start[source] : targets.start[source + 1]]]
    unreachable = unreachable[hops[home, unreachable] < 0]
    return DescriptionError(
        f"dead parts disconnect node {machine.label(home)} "
        f"from node {machine.label(int(unreachable[0]))}",
        where=f"slice {source}",
    )
