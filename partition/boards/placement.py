"""Placement: map logical cores to physical cores, along Hilbert's curve and then by swaps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.partition.boards.core_targets import CoreTargets, Floats, Ints, sum_by_index
from distsnn.partition.boards.geometry import Machine
from distsnn.partition.boards.placement_kernels import fill_hops, swap_cores
from distsnn.partition.connectivity import sorted_unique
from distsnn.units import format_count

# Number of swaps tried per core, and the maximum number of operations of all swaps (some seconds).
_TRIALS_PER_CORE = 4000
_MAX_OPERATIONS = 1e9
# One packet reaches all cores of a node. A small part of its cost grows with the number of cores,
# which draws a source's last target cores away from a node.
_REPEAT_WEIGHT = 0.1


@dataclass(frozen=True, eq=False)
class PlacementCost:
    """Cost that a placement minimises.

    Parameters
    ----------
    packet_cost : ndarray, shape (n_nodes, n_nodes)
        Cost of a packet between two nodes, hops or J; negative without a path.
    chip : ndarray of int64, shape (n_nodes,)
        Chip of each node.
    chip_cost : float
        Cost of a chip in use.
    """

    packet_cost: npt.NDArray[Any]
    chip: Ints
    chip_cost: float = 0.0


def hops_between(machine: Machine) -> npt.NDArray[np.int16]:
    """Return the hops between all nodes, -1 without a path, shape (n, n)."""
    hops = np.empty((machine.n_nodes, machine.n_nodes), np.int16)
    fill_hops(machine.neighbour, hops)
    return hops


def weighted_hops(
    targets: CoreTargets,
    machine: Machine,
    hops: npt.NDArray[Any],
    physical_core: Ints,
    *,
    unicast: bool,
) -> float:
    """Return the sum over slices of spike rate × hops to each target node (unicast: core), 1/s.

    Parameters
    ----------
    targets, machine, hops, physical_core
        Target cores, the machine, the hops between its nodes, and the physical cores.
    unicast : bool
        Whether a spike is sent once per target core instead of once per target node.
    """
    node, n_nodes = machine.node_of_core[physical_core], machine.n_nodes
    source, target_node = targets.source, node[targets.target]
    if unicast:
        return float(
            (targets.packet_rate * hops[node[targets.core_of_slice[source]], target_node]).sum()
        )
    pairs = sorted_unique(source * np.int64(n_nodes) + target_node)
    source, target_node = pairs // n_nodes, pairs % n_nodes
    return float(
        (targets.spike_rate[source] * hops[node[targets.core_of_slice[source]], target_node]).sum()
    )


def hilbert_order(machine: Machine) -> Ints:
    """Return the nodes in the order of Hilbert's curve, which keeps close nodes close."""
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


def place_cores(
    targets: CoreTargets,
    machine: Machine,
    memory: Floats,
    shared_memory: float,
    *,
    unicast: bool,
    seed: int = 1,
    trials: int | None = None,
    cost: PlacementCost | None = None,
) -> Ints:
    """Compute the physical core of each logical core: its index among the machine's cores.

    Parameters
    ----------
    targets : CoreTargets
        Target cores of the slices.
    machine : Machine
        The machine.
    memory : ndarray of float64, shape (n_cores,)
        Demand of each logical core for the shared memory of its node, bytes.
    shared_memory : float
        Shared memory of a node, bytes; infinite without a limit.
    unicast : bool
        Whether a spike is sent once per target core instead of once per target node.
    seed : int
        Seed of the swaps.
    trials : int, optional
        Number of swaps to try; by default 4000 per core, fewer for a large network.
    cost : PlacementCost, optional
        Cost to minimise; by default hops.

    Raises
    ------
    DescriptionError
        If there are too few cores or too little shared memory.
    """
    hops = hops_between(machine)
    cost = cost or PlacementCost(hops, np.zeros(machine.n_nodes, np.int64))
    # if dead parts disconnect the machine, its largest component is used
    is_reachable = hops[int((hops >= 0).sum(axis=1).argmax())] >= 0
    order = hilbert_order(machine)
    order = order[is_reachable[order]]
    # cores differ in memory only: without a limit of memory another order cannot help
    fits = (_next_fit, _first_fit) if np.isfinite(shared_memory) else (_next_fit,)
    for fit in fits:
        free_memory = np.full(machine.n_nodes, shared_memory)
        physical_core = fit(order, machine, memory, free_memory)
        if physical_core is not None:
            break
    else:
        required, available = (
            format_count(targets.n_cores, "core"),
            format_count(machine.core.size, "core"),
        )
        if np.isfinite(shared_memory):
            required += f", {memory.sum() / 2**20:.0f} MiB"
            available += f", {shared_memory * machine.n_nodes / 2**20:.0f} MiB"
        raise DescriptionError(
            "the network does not fit: it needs more cores or more synapse memory",
            where=f"board of {format_count(machine.n_nodes, 'node')}",
            value=required,
            allowed=available,
        )
    if machine.n_nodes > 1 and targets.n_cores > 0:
        _improve_by_swaps(
            targets, machine, cost, memory, free_memory, physical_core, unicast, seed, trials
        )
    return physical_core


def _next_fit(order: Ints, machine: Machine, memory: Floats, free_memory: Floats) -> Ints | None:
    """Fill the nodes in order; return physical cores or None, and reduce `free_memory`."""
    physical_core = np.full(memory.size, -1, np.int64)
    nodes = iter(order.tolist())
    node, next_core, stop = -1, 0, 0
    for core in range(memory.size):
        while next_core == stop or free_memory[node] < memory[core]:
            node = next(nodes, -1)
            if node < 0:
                return None
            next_core, stop = int(machine.first_core[node]), int(machine.first_core[node + 1])
        physical_core[core] = next_core
        next_core += 1
        free_memory[node] -= memory[core]
    return physical_core


def _first_fit(order: Ints, machine: Machine, memory: Floats, free_memory: Floats) -> Ints | None:
    """Place the largest core first, each on the first node with enough memory; or return None."""
    physical_core = np.full(memory.size, -1, np.int64)
    next_core, stop = machine.first_core[:-1].copy(), machine.first_core[1:]
    for core in np.argsort(-memory, kind="stable"):
        fits = order[(next_core[order] < stop[order]) & (free_memory[order] >= memory[core])]
        if not fits.size:
            return None
        node = fits[0]
        physical_core[core] = next_core[node]
        next_core[node] += 1
        free_memory[node] -= memory[core]
    return physical_core


def _improve_by_swaps(
    targets: CoreTargets,
    machine: Machine,
    cost: PlacementCost,
    memory: Floats,
    free_memory: Floats,
    physical_core: Ints,
    unicast: bool,
    seed: int,
    trials: int | None,
) -> None:
    order = np.argsort(targets.target, kind="stable")
    in_start = np.searchsorted(targets.target[order], np.arange(targets.n_cores + 1)).astype(
        np.int64
    )
    slices_by_core = np.argsort(targets.core_of_slice, kind="stable").astype(np.int64)
    slice_start = np.searchsorted(
        targets.core_of_slice[slices_by_core], np.arange(targets.n_cores + 1)
    ).astype(np.int64)
    node_of_core = machine.node_of_core[physical_core]
    fraction = np.ones(order.size)
    if unicast:
        # fraction of the slice's spikes that is sent to each core
        np.divide(
            targets.packet_rate,
            targets.spike_rate[targets.source],
            where=targets.packet_rate > 0.0,
            out=fraction,
        )
    node_of_pair = targets.source * np.int64(machine.n_nodes) + node_of_core[targets.target]
    cores_on_node = sum_by_index(
        node_of_pair, fraction, targets.core_of_slice.size * machine.n_nodes
    ).reshape(-1, machine.n_nodes)
    occupant = np.full(machine.core.size, -1, np.int64)
    occupant[physical_core] = np.arange(targets.n_cores)
    # during a swap of two cores, a node has one core more than it can hold
    n_targets = np.arange(int(machine.cores_of_node.max()) + 2, dtype=np.float64)
    packets_for = (1.0 - _REPEAT_WEIGHT) * np.minimum(n_targets, 1.0) + _REPEAT_WEIGHT * (
        1.0 - 0.5**n_targets
    )
    if unicast:
        packets_for = packets_for[:0]
    cores_on_chip = np.bincount(cost.chip[node_of_core], minlength=int(cost.chip.max()) + 1).astype(
        np.int64
    )

    def current_cost() -> float:
        chips = np.unique(cost.chip[machine.node_of_core[physical_core]]).size
        return (
            weighted_hops(targets, machine, cost.packet_cost, physical_core, unicast=unicast)
            + cost.chip_cost * chips
        )

    initial = current_cost(), physical_core.copy()
    if trials is None:
        operations_per_trial = 4 * (order.size / targets.n_cores + machine.n_nodes)
        trials = int(
            min(_TRIALS_PER_CORE * targets.n_cores, _MAX_OPERATIONS / operations_per_trial)
        )
    swap_cores(
        trials,
        np.uint64(seed),
        packets_for,
        cost.packet_cost,
        targets.spike_rate,
        in_start,
        targets.source[order],
        fraction[order],
        slice_start,
        slices_by_core,
        physical_core,
        occupant,
        machine.node_of_core,
        memory,
        free_memory,
        node_of_core[targets.core_of_slice],
        cores_on_node,
        cost.chip,
        cores_on_chip,
        cost.chip_cost,
    )
    if current_cost() > initial[0]:
        physical_core[:] = initial[1]
