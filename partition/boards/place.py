"""Which core of the machine each core of the network gets: along a curve, then by swaps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.partition.boards.geometry import Machine
from distsnn.partition.boards.placing_kernels import anneal, distances
from distsnn.partition.boards.reach import Floats, Ints, Reach, sums
from distsnn.partition.connectivity import sorted_unique
from distsnn.units import counted

# Trials of a swap for each core, and the most operations that all of them may take (some seconds).
_TRIALS = 4000
_OPERATIONS = 1e9
# One packet reaches all cores of a node. Were it reckoned so while cores are moved, nothing would
# draw a source's last targets from a node: a small part of it grows with their number.
_LAST_ONES = 0.1


@dataclass(frozen=True, eq=False)
class Cost:
    """What a placement is to make small.

    Parameters
    ----------
    between : ndarray, shape (n_nodes, n_nodes)
        Cost of a packet/s between two nodes: hops, or W; negative where there is no way.
    chip : ndarray of int64, shape (n_nodes,)
        Chip of each node.
    idle : float
        Cost of a chip that is in use.
    """

    between: npt.NDArray[Any]
    chip: Ints
    idle: float = 0.0


def hops_between(machine: Machine) -> npt.NDArray[np.int16]:
    """Return the hops between all nodes, -1 where there is no way, shape (n, n)."""
    out = np.empty((machine.n_nodes, machine.n_nodes), np.int16)
    distances(machine.neighbour, out)
    return out


def rate_hops(
    to: Reach, machine: Machine, hops: npt.NDArray[Any], places: Ints, *, copies: bool
) -> float:
    """Return the sum over slices of spikes/s × hops to each node (or core) that they reach.

    Parameters
    ----------
    to, machine, hops, places
        Who sends to whom, the machine, the hops between its nodes, and each core's place.
    copies : bool
        Whether a spike is sent once for each core (unicast) instead of once for each node.
    """
    node, nodes = machine.node_of_core[places], machine.n_nodes
    source, there = to.source, node[to.target]
    if copies:
        return float((to.packets * hops[node[to.core[source]], there]).sum())
    pairs = sorted_unique(source * np.int64(nodes) + there)
    source, there = pairs // nodes, pairs % nodes
    return float((to.spikes[source] * hops[node[to.core[source]], there]).sum())


def curve(machine: Machine) -> Ints:
    """Return the nodes in the order of Hilbert's curve: neighbours in it are neighbours on it."""
    side = 1
    while side < max(machine.width, machine.height):
        side *= 2
    x, y = machine.x.copy(), machine.y.copy()
    key = np.zeros_like(x)
    step = side // 2
    while step:
        right, up = (x & step) > 0, (y & step) > 0
        key += step * step * ((3 * right) ^ up)
        flip = ~up & right
        x, y = np.where(flip, side - 1 - x, x), np.where(flip, side - 1 - y, y)
        x, y = np.where(~up, y, x), np.where(~up, x, y)
        step //= 2
    return np.lexsort((machine.x, machine.y, key)).astype(np.int64)


def place(
    to: Reach,
    machine: Machine,
    memory: Floats,
    shared_memory: float,
    *,
    copies: bool,
    seed: int = 1,
    trials: int | None = None,
    cost: Cost | None = None,
) -> Ints:
    """Return the place of each core: its index among the machine's cores.

    Parameters
    ----------
    to : Reach
        Who sends to whom.
    machine : Machine
        The machine.
    memory : ndarray of float64, shape (n_cores,)
        What each core takes of its node's shared memory, bytes.
    shared_memory : float
        A node's shared memory, bytes; infinite if it has no limit.
    copies : bool
        Whether a spike is sent once for each core (unicast) instead of once for each node.
    seed : int
        Seed of the swaps.
    trials : int, optional
        Swaps to try; by default some thousands for each core, fewer for a large network.
    cost : Cost, optional
        What is to be small; by default hops.

    Raises
    ------
    DescriptionError
        If there are too few cores or too little shared memory.
    """
    hops = hops_between(machine)
    cost = cost or Cost(hops, np.zeros(machine.n_nodes, np.int64))
    # where dead parts cut the machine, its largest piece is used
    near = hops[int((hops >= 0).sum(axis=1).argmax())] >= 0
    order = curve(machine)
    order = order[near[order]]
    # cores are alike but for their memory: where there is enough, another order is no help
    fits = (_next_fit, _first_fit) if np.isfinite(shared_memory) else (_next_fit,)
    for fit in fits:
        room = np.full(machine.n_nodes, shared_memory)
        places = fit(order, machine, memory, room)
        if places is not None:
            break
    else:
        needed, there = counted(to.cores, "core"), counted(machine.core.size, "core")
        if np.isfinite(shared_memory):
            needed += f", {memory.sum() / 2**20:.0f} MiB"
            there += f", {shared_memory * machine.n_nodes / 2**20:.0f} MiB"
        raise DescriptionError(
            "the network does not fit: it needs more cores, or more memory for synapses",
            where=f"board of {counted(machine.n_nodes, 'node')}",
            value=needed,
            allowed=there,
        )
    if machine.n_nodes > 1 and to.cores > 0:
        _swap(to, machine, cost, memory, room, places, copies, seed, trials)
    return places


def _next_fit(order: Ints, machine: Machine, memory: Floats, room: Floats) -> Ints | None:
    """Return places along some nodes, never back to one, or None; what is taken leaves `room`."""
    places = np.full(memory.size, -1, np.int64)
    free = iter(order.tolist())
    node, first, last = -1, 0, 0
    for core in range(memory.size):
        while first == last or room[node] < memory[core]:
            node = next(free, -1)
            if node < 0:
                return None
            first, last = int(machine.first_core[node]), int(machine.first_core[node + 1])
        places[core] = first
        first += 1
        room[node] -= memory[core]
    return places


def _first_fit(order: Ints, machine: Machine, memory: Floats, room: Floats) -> Ints | None:
    """Return places, the largest first, each on the first node with room, or None."""
    places = np.full(memory.size, -1, np.int64)
    first, last = machine.first_core[:-1].copy(), machine.first_core[1:]
    for core in np.argsort(-memory, kind="stable"):
        fits = order[(first[order] < last[order]) & (room[order] >= memory[core])]
        if not fits.size:
            return None
        node = fits[0]
        places[core] = first[node]
        first[node] += 1
        room[node] -= memory[core]
    return places


def _swap(
    to: Reach,
    machine: Machine,
    cost: Cost,
    memory: Floats,
    room: Floats,
    places: Ints,
    copies: bool,
    seed: int,
    trials: int | None,
) -> None:
    order = np.argsort(to.target, kind="stable")
    in_start = np.searchsorted(to.target[order], np.arange(to.cores + 1)).astype(np.int64)
    own = np.argsort(to.core, kind="stable").astype(np.int64)
    own_start = np.searchsorted(to.core[own], np.arange(to.cores + 1)).astype(np.int64)
    node_of_core = machine.node_of_core[places]
    part = np.ones(order.size)
    if copies:
        # how much of the slice's spikes each core is sent
        np.divide(to.packets, to.spikes[to.source], where=to.packets > 0.0, out=part)
    held_by = to.source * np.int64(machine.n_nodes) + node_of_core[to.target]
    count = sums(held_by, part, to.core.size * machine.n_nodes).reshape(-1, machine.n_nodes)
    occupant = np.full(machine.core.size, -1, np.int64)
    occupant[places] = np.arange(to.cores)
    # while two cores swap, a node has one too many
    targets = np.arange(int(machine.cores.max()) + 2, dtype=np.float64)
    worth = (1.0 - _LAST_ONES) * np.minimum(targets, 1.0) + _LAST_ONES * (1.0 - 0.5**targets)
    if copies:
        worth = worth[:0]
    held = np.bincount(cost.chip[node_of_core], minlength=int(cost.chip.max()) + 1).astype(np.int64)

    def price() -> float:
        chips = np.unique(cost.chip[machine.node_of_core[places]]).size
        return rate_hops(to, machine, cost.between, places, copies=copies) + cost.idle * chips

    before = price(), places.copy()
    if trials is None:
        each = 4 * (order.size / to.cores + machine.n_nodes)
        trials = int(min(_TRIALS * to.cores, _OPERATIONS / each))
    anneal(
        trials,
        np.uint64(seed),
        worth,
        cost.between,
        to.spikes,
        in_start,
        to.source[order],
        part[order],
        own_start,
        own,
        places,
        occupant,
        machine.node_of_core,
        memory,
        room,
        node_of_core[to.core],
        count,
        cost.chip,
        held,
        cost.idle,
    )
    if price() > before[0]:
        places[:] = before[1]
