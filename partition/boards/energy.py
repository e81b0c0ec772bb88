"""What packets and chips spend: costs for placing and routing."""

import numpy as np
import numpy.typing as npt

from distsnn.partition.boards.board import Board
from distsnn.partition.boards.geometry import Machine
from distsnn.partition.boards.place import Cost, hops_between
from distsnn.partition.boards.reach import Floats, Ints
from distsnn.partition.boards.routes import trees

# What a node is, where a chip has more than one.
_PARTS_OF_CHIPS = ("tile", "core")


def along_x(machine: Machine) -> npt.NDArray[np.bool_]:
    """Return which ports lead along x, shape (n_ports,)."""
    return np.array([one in ("E", "W") for one in machine.ports], bool)


def chip_of_node(board: Board, machine: Machine) -> Ints:
    """Return the chip of each node, shape (n_nodes,)."""
    if board.topology.node in _PARTS_OF_CHIPS:
        return np.asarray(machine.board, np.int64)
    return np.arange(machine.n_nodes, dtype=np.int64)


def link_energies(board: Board, machine: Machine) -> Floats:
    """Return the energy of a packet over each link, J, shape (n_nodes, n_ports).

    Raises
    ------
    DescriptionError
        If the energy of a hop is unknown.
    """
    x = board.energy.hop_x.need("the energy of ways")
    y = board.energy.hop_y.need("the energy of ways")
    each = np.where(along_x(machine), x, y)
    return np.broadcast_to(each, machine.neighbour.shape).astype(np.float64)


def energy_cost(board: Board, machine: Machine) -> Cost:
    """Return the cost of places in energy: of ways, and of chips that are on.

    What places do not change has no part in it: updates, spikes, packets as they leave, cores.

    Raises
    ------
    DescriptionError
        If the energy of a hop is unknown, or that of an idle chip where there are several.
    """
    hops, joules = hops_between(machine), link_energies(board, machine)
    chip = chip_of_node(board, machine)
    idle = _idle(board, chip)
    _, parent, port = trees(machine, np.arange(machine.n_nodes), hops, np.zeros(joules.shape))
    between = np.where(hops < 0, -1.0, 0.0)
    for far in range(1, int(hops.max(initial=0)) + 1):
        start, node = np.nonzero(hops == far)
        before = parent[start, node]
        between[start, node] = between[start, before] + joules[before, port[start, node]]
    return Cost(between, chip, idle)


def energy_spent(board: Board, machine: Machine, places: Ints, load: Floats) -> float:
    """Return the power that places and ways decide on, W: that of `energy_cost`, by link loads.

    Parameters
    ----------
    board, machine
        The board and its living parts.
    places : ndarray of int64, shape (n_cores,)
        Place of each core.
    load : ndarray of float64, shape (n_nodes, n_ports)
        Packets/s over each link.

    Raises
    ------
    DescriptionError
        As `energy_cost` does.
    """
    chip = chip_of_node(board, machine)
    chips = np.unique(chip[machine.node_of_core[places]]).size
    return float((load * link_energies(board, machine)).sum()) + _idle(board, chip) * chips


def _idle(board: Board, chip: Ints) -> float:
    if np.unique(chip).size == 1:
        return 0.0
    return board.energy.idle_chip.need("whether fewer chips spend less")
