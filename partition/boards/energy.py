"""Energy of packets and chips: costs for placement and routing."""

import numpy as np
import numpy.typing as npt

from distsnn.partition.boards.board import Board
from distsnn.partition.boards.core_targets import Floats, Ints
from distsnn.partition.boards.geometry import Machine
from distsnn.partition.boards.placement import PlacementCost, hops_between
from distsnn.partition.boards.routes import shortest_path_trees

# Kinds of nodes that are parts of a chip.
_CHIP_PARTS = ("tile", "core")


def ports_along_x(machine: Machine) -> npt.NDArray[np.bool_]:
    """Return a mask of the ports that lead along x, shape (n_ports,)."""
    return np.array([port in ("E", "W") for port in machine.ports], bool)


def chip_of_node(board: Board, machine: Machine) -> Ints:
    """Return the chip of each node, shape (n_nodes,)."""
    if board.topology.node in _CHIP_PARTS:
        return np.asarray(machine.board, np.int64)
    return np.arange(machine.n_nodes, dtype=np.int64)


def link_energies(board: Board, machine: Machine) -> Floats:
    """Return the energy of a packet over each link, J, shape (n_nodes, n_ports).

    Raises
    ------
    DescriptionError
        If the energy of a hop is unknown.
    """
    x = board.energy.hop_x.require("the energy of hops")
    y = board.energy.hop_y.require("the energy of hops")
    port_energy = np.where(ports_along_x(machine), x, y)
    return np.broadcast_to(port_energy, machine.neighbour.shape).astype(np.float64)


def energy_cost(board: Board, machine: Machine) -> PlacementCost:
    """Return the placement cost in energy: of hops, and of chips in use.

    Terms that do not depend on the placement are left out: updates, spikes, emitted packets, cores.

    Raises
    ------
    DescriptionError
        If the energy of a hop is unknown, or the power of an idle chip on a board with several.
    """
    hops, joules = hops_between(machine), link_energies(board, machine)
    chip = chip_of_node(board, machine)
    chip_power = _idle_chip_power(board, chip)
    _, parent, port = shortest_path_trees(
        machine, np.arange(machine.n_nodes), hops, np.zeros(joules.shape)
    )
    packet_energy = np.where(hops < 0, -1.0, 0.0)
    for n_hops in range(1, int(hops.max(initial=0)) + 1):
        start, node = np.nonzero(hops == n_hops)
        before = parent[start, node]
        packet_energy[start, node] = (
            packet_energy[start, before] + joules[before, port[start, node]]
        )
    return PlacementCost(packet_energy, chip, chip_power)


def placement_power(
    board: Board, machine: Machine, physical_core: Ints, link_load: Floats
) -> float:
    """Return the power that depends on placement and routes, W.

    Parameters
    ----------
    board, machine
        The board and its working parts.
    physical_core : ndarray of int64, shape (n_cores,)
        Physical core of each logical core.
    link_load : ndarray of float64, shape (n_nodes, n_ports)
        Packets over each link, 1/s.

    Raises
    ------
    DescriptionError
        If the energy of a hop is unknown, or the power of an idle chip on a board with several.
    """
    chip = chip_of_node(board, machine)
    chips = np.unique(chip[machine.node_of_core[physical_core]]).size
    return (
        float((link_load * link_energies(board, machine)).sum())
        + _idle_chip_power(board, chip) * chips
    )


def _idle_chip_power(board: Board, chip: Ints) -> float:
    if np.unique(chip).size == 1:
        return 0.0
    return board.energy.idle_chip.require("the power of idle chips")
