"""Multicast routes: for every slice a tree of shortest ways to all nodes that it reaches.

All slices of a node share one spanning tree, so that what reaches the same nodes takes the same
way and its entries merge; ways turn seldom, so that most entries only say "straight on".
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.partition.boards.geometry import NO_NODE, Machine
from distsnn.partition.boards.place import hops_between
from distsnn.partition.boards.reach import Floats, Ints, Reach
from distsnn.partition.boards.routing_kernels import (
    add_loads,
    add_single_loads,
    count_entries,
    fill_entries,
    grow_trees,
)

_ROUNDS = 8  # of routing anew by the loads that routing made


@dataclass(frozen=True, eq=False)
class Routes:
    """What each node does with each slice's packets, before tables are made of it.

    Parameters
    ----------
    source : ndarray of int32, shape (n_entries,)
        Slice; a slice's entries follow each other, that of its own node first.
    node : ndarray of int32, shape (n_entries,)
        Node.
    arrival : ndarray of int32, shape (n_entries,)
        Port by which packets arrive; -1 where they come from a core of the node.
    links : ndarray of int64, shape (n_entries,)
        Bit p: they leave by port p.
    cores : ndarray of uint64, shape (n_entries, n_words)
        Bit c of the words: they go to core c of the node.
    """

    source: npt.NDArray[np.int32]
    node: npt.NDArray[np.int32]
    arrival: npt.NDArray[np.int32]
    links: Ints
    cores: npt.NDArray[np.uint64]

    def straight_on(self, machine: Machine) -> npt.NDArray[np.bool_]:
        """Return which entries only let packets in by one port and out by its opposite."""
        if not machine.directed:
            return np.zeros(self.source.size, bool)
        half = machine.n_ports // 2
        ahead = np.int64(1) << ((self.arrival.astype(np.int64) + half) % machine.n_ports)
        passing = (self.arrival >= 0) & ~self.cores.any(axis=1)
        straight: npt.NDArray[np.bool_] = passing & (self.links == ahead)
        return straight

    def loads(self, machine: Machine, spikes: Floats) -> Floats:
        """Return the packets/s over each link, shape (n_nodes, n_ports)."""
        out = np.zeros(machine.neighbour.shape)
        add_loads(self.source, self.node, self.links, spikes, out)
        return out


def route(
    to: Reach,
    machine: Machine,
    places: Ints,
    *,
    optimise: str = "hops",
    joules: Floats | None = None,
) -> Routes:
    """Return the routes of all slices.

    Parameters
    ----------
    to : Reach
        Which cores each slice reaches.
    machine : Machine
        The machine.
    places : ndarray of int64, shape (n_cores,)
        Place of each core.
    optimise : {"hops", "congestion", "energy"}
        Whether ways are chosen anew by the load of links: away from loaded ones, to make the
        largest load smaller, or towards them, as packets of one slice that share a way are one.
    joules : ndarray of float64, shape (n_nodes, n_ports), optional
        Energy of a packet over each link, for ``energy``.

    Raises
    ------
    DescriptionError
        If dead parts leave no way to a target.
    """
    hops = hops_between(machine)
    node_of_core = machine.node_of_core[places]
    home = node_of_core[to.core]
    price = np.zeros(machine.neighbour.shape)
    best = _along(to, machine, places, home, hops, price)
    if optimise == "hops" or best.source.size == 0:
        return best

    def cost(load: Floats) -> float:
        return float(load.max(initial=0.0) if joules is None else (load * joules).sum())

    load = best.loads(machine, to.spikes)
    least = cost(load)
    for _ in range(_ROUNDS):
        share = load / max(load.max(initial=0.0), 1e-300)
        # a turn has the price 1
        price = price + share if joules is None else 0.5 * (1.0 - share)
        made = _along(to, machine, places, home, hops, price)
        load = made.loads(machine, to.spikes)
        if cost(load) < least:
            best, least = made, cost(load)
    return best


def _along(
    to: Reach,
    machine: Machine,
    places: Ints,
    home: Ints,
    hops: npt.NDArray[np.int16],
    price: Floats,
) -> Routes:
    tree, parent, port = trees(machine, home, hops, price)
    node_of_core, number = machine.node_of_core[places], machine.core[places]
    counts = np.zeros(home.size, np.int64)
    seen = np.full(machine.n_nodes, NO_NODE, np.int64)
    cut = int(count_entries(home, tree, to.start, to.target, node_of_core, parent, seen, counts))
    if cut >= 0:
        raise _cut_off(to, machine, node_of_core, hops, cut)
    at = np.concatenate(([0], np.cumsum(counts)))
    total, words = int(at[-1]), int(machine.core.max()) // 64 + 1
    source, node, arrival = np.empty((3, total), np.int32)
    links, cores = np.zeros(total, np.int64), np.zeros((total, words), np.uint64)
    fill_entries(
        *(home, tree, to.start, to.target, node_of_core, number),
        *(parent, port, machine.opposite, at),
        np.full(machine.n_nodes, NO_NODE, np.int64),
        (source, node, arrival, links, cores),
    )
    return Routes(source, node, arrival, links, cores)


def single_loads(to: Reach, machine: Machine, places: Ints) -> Floats:
    """Return the packets/s over each link where a spike is sent once for each core it reaches.

    In a mesh packets go along x first.

    Raises
    ------
    DescriptionError
        If dead parts leave no way to a target.
    """
    hops, out = hops_between(machine), np.zeros(machine.neighbour.shape)
    node_of_core = machine.node_of_core[places]
    home = node_of_core[to.core]
    tree, parent, port = trees(machine, home, hops, np.zeros(machine.neighbour.shape))
    cut = int(
        add_single_loads(
            *(home, tree, to.start, to.target, node_of_core, parent, port, to.packets, out)
        )
    )
    if cut >= 0:
        raise _cut_off(to, machine, node_of_core, hops, cut)
    return out


def trees(
    machine: Machine, home: Ints, hops: npt.NDArray[np.int16], price: Floats
) -> tuple[Ints, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the tree of each slice, and the last node and port before each node in each tree.

    Parameters
    ----------
    machine : Machine
        The machine.
    home : ndarray of int64, shape (n,)
        Node of each slice.
    hops : ndarray of int16, shape (n_nodes, n_nodes)
        Distances.
    price : ndarray of float64, shape (n_nodes, n_ports)
        Price of each link, by which ways of one length are chosen.
    """
    roots, tree = np.unique(home, return_inverse=True)
    parent, port = np.empty((2, roots.size, machine.n_nodes), np.int32)
    # the last steps go along y where there is a choice, so the first go along x
    along_y = [one in ("N", "S") for one in machine.ports]
    tries = np.argsort(~np.array(along_y, bool), kind="stable").astype(np.int64)
    grow_trees(roots, machine.neighbour, machine.opposite, tries, 1.0, price, hops, parent, port)
    return tree.reshape(-1).astype(np.int64), parent, port


def _cut_off(
    to: Reach, machine: Machine, node_of_core: Ints, hops: npt.NDArray[np.int16], cut: int
) -> DescriptionError:
    home = int(node_of_core[to.core[cut]])
    lost = node_of_core[to.target[to.start[cut] : to.start[cut + 1]]]
    lost = lost[hops[home, lost] < 0]
    return DescriptionError(
        f"dead parts leave no way from node {machine.label(home)} "
        f"to node {machine.label(int(lost[0]))}",
        where=f"slice {cut}",
    )
