"""Independent check of a mapping: trace every slice's packets through the routing tables.

The checker shares no code with the mapping. It returns a list of violations, each with its kind
and position.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.partition.boards import check_kernels as kinds
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.core_targets import CoreTargets, Floats, Ints, sum_by_index
from distsnn.partition.boards.geometry import Machine
from distsnn.partition.boards.keys import Keys
from distsnn.partition.boards.resources import PER_NEURON, SliceResources, core_limits
from distsnn.partition.boards.sections import ONE_AXON
from distsnn.partition.boards.tables import Tables
from distsnn.partition.connectivity import BuiltConnectivity, ExpectedConnectivity

_MAX_VIOLATIONS = 10_000  # violations of routes that are reported
_NAMES = {
    kinds.LOOP: "loop",
    kinds.DUPLICATE: "duplicate",
    kinds.DEAD_LINK: "dead link",
    kinds.DEAD_CORE: "dead core",
    kinds.UNWANTED: "unwanted delivery",
    kinds.MISSING: "missing delivery",
    kinds.SPLIT: "split keys",
    kinds.DROPPED: "dropped packet",
    kinds.UNROUTED: "no entry",
}


@dataclass(frozen=True)
class Violation:
    """An error in a mapping.

    Parameters
    ----------
    kind : str
        ``loop``, ``duplicate``, ``dead link``, ``dead core``, ``unwanted delivery``,
        ``missing delivery``, ``split keys``, ``dropped packet``, ``no entry``, ``table too large``,
        ``duplicate key``, ``unaligned key``, ``key out of range``, ``too few keys``,
        ``shared core``, ``overfull core``, ``overfull node`` or ``several axons``.
    message : str
        Position, value and limit.
    """

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def check_cores(
    targets: CoreTargets,
    resources: SliceResources,
    board: Board,
    machine: Machine,
    physical_core: Ints,
    connectivity: ExpectedConnectivity | BuiltConnectivity | None = None,
) -> list[Violation]:
    """Check the limits of cores and nodes, and the axons of neurons.

    Axons are counted independently of the mapping if the connectivity is built.
    """
    violations = []
    used_cores, times = np.unique(physical_core, return_counts=True)
    for core in used_cores[times > 1]:
        label = machine.label(int(machine.node_of_core[core]))
        violations.append(
            Violation("shared core", f"core {machine.core[core]} of node {label} twice")
        )
    limits, _ = core_limits(board)
    shared = board.core.synapse_memory.value is None
    node_of = machine.node_of_core[physical_core]
    axons = _count_axons(targets, resources, connectivity)
    for name, limit in limits.items():
        if name in axons:
            violations += _overfull_cores(name, axons[name], limit, machine, physical_core)
            continue
        values = np.asarray(getattr(resources, name), np.float64)
        if name in PER_NEURON:
            core_values = np.zeros(targets.n_cores)
            np.maximum.at(core_values, targets.core_of_slice, values)
        else:
            core_values = sum_by_index(targets.core_of_slice, values, targets.n_cores)
        if name == "memory" and shared:
            node_bytes = sum_by_index(node_of, core_values, machine.n_nodes)
            for node in np.flatnonzero(node_bytes > limit):
                message = (
                    f"node {machine.label(int(node))}: {node_bytes[node]:.0f} of {limit:.0f} bytes"
                )
                violations.append(Violation("overfull node", message))
            continue
        violations += _overfull_cores(name, core_values, limit, machine, physical_core)
    if board.router.scheme.value == ONE_AXON:
        violations += _several_axons(targets, connectivity)
    return violations


def _overfull_cores(
    name: str, values: Floats, limit: float, machine: Machine, physical_core: Ints
) -> list[Violation]:
    violations = []
    for core in np.flatnonzero(values > limit):
        node = machine.label(int(machine.node_of_core[physical_core[core]]))
        message = (
            f"core {machine.core[physical_core[core]]} of node {node}: "
            f"{name} {values[core]:g}, allowed {limit:g}"
        )
        violations.append(Violation("overfull core", message))
    return violations


def _count_axons(
    targets: CoreTargets,
    resources: SliceResources,
    connectivity: ExpectedConnectivity | BuiltConnectivity | None,
) -> dict[str, Floats]:
    """Return in-axons and out-axons of each core; a source of several of its slices counts once."""
    if isinstance(connectivity, BuiltConnectivity):
        core_of_neuron = np.repeat(targets.core_of_slice, resources.neurons)
        received, sent = np.zeros((2, targets.n_cores))
        for neuron, target in connectivity.neuron_core_pairs(
            targets.core_of_slice, targets.n_cores
        ):
            received += np.bincount(target, minlength=targets.n_cores)
            sent += np.bincount(core_of_neuron[neuron], minlength=targets.n_cores)
        return {"in_axons": received, "out_axons": sent}
    if connectivity is not None:  # expected connectivity has no pairs to count
        return {"in_axons": targets.in_axons(), "out_axons": targets.out_axons()}
    neurons = resources.neurons[targets.source]
    return {
        "in_axons": sum_by_index(targets.target, neurons, targets.n_cores),
        "out_axons": sum_by_index(targets.core_of_slice[targets.source], neurons, targets.n_cores),
    }


def _several_axons(
    targets: CoreTargets, connectivity: ExpectedConnectivity | BuiltConnectivity | None
) -> list[Violation]:
    if isinstance(connectivity, BuiltConnectivity):
        n_targets_of_neuron = np.zeros(connectivity.start.size - 1, np.int64)
        for neuron, _ in connectivity.neuron_core_pairs(targets.core_of_slice, targets.n_cores):
            n_targets_of_neuron += np.bincount(neuron, minlength=n_targets_of_neuron.size)
        sources = [
            (f"neuron {index}", n_targets_of_neuron[index])
            for index in np.flatnonzero(n_targets_of_neuron > 1)
        ]
    else:
        n_targets = np.diff(targets.start)
        sources = [(f"slice {index}", n_targets[index]) for index in np.flatnonzero(n_targets > 1)]
    return [
        Violation("several axons", f"{source} reaches {cores} cores, allowed 1")
        for source, cores in sources
    ]


def check_keys(neurons: Ints, keys: Keys) -> list[Violation]:
    """Check that key blocks are aligned, large enough, in range and disjoint."""
    violations = []
    all_bits = (1 << keys.bits) - 1
    size = (all_bits & ~keys.mask) + 1
    for slice_index in np.flatnonzero(
        (size & (size - 1) != 0) | (keys.key & all_bits & ~keys.mask != 0)
    ):
        violations.append(
            Violation(
                "unaligned key",
                f"slice {slice_index}: key {keys.key[slice_index]:#x}, {keys.mask[slice_index]:#x}",
            )
        )
    for slice_index in np.flatnonzero((keys.key < 0) | (keys.key + size > all_bits + 1)):
        message = (
            f"slice {slice_index}: from {keys.key[slice_index]:#x}, "
            f"{size[slice_index]} keys of {keys.bits} bits"
        )
        violations.append(Violation("key out of range", message))
    for slice_index in np.flatnonzero(size < neurons):
        violations.append(
            Violation(
                "too few keys",
                f"slice {slice_index}: {size[slice_index]} for {neurons[slice_index]} neurons",
            )
        )
    order = np.argsort(keys.key, kind="stable")
    ends = np.maximum.accumulate(keys.key[order] + size[order])
    for index in np.flatnonzero(keys.key[order][1:] < ends[:-1]):
        a, b = order[index], order[index + 1]
        violations.append(
            Violation("duplicate key", f"slices {a} and {b}: {keys.key[a]:#x}, {keys.key[b]:#x}")
        )
    return violations


def check_tables(
    targets: CoreTargets,
    board: Board,
    machine: Machine,
    physical_core: Ints,
    keys: Keys,
    tables: Tables,
) -> tuple[list[Violation], npt.NDArray[np.int64]]:
    """Trace a packet of every slice through the routing tables.

    Returns
    -------
    violations : list of Violation
        Errors of the tables.
    crossed : ndarray of int64, shape (n,)
        Number of links that a packet of each slice crosses.
    """
    violations = []
    max_entries = board.router.entries.value
    for node in np.flatnonzero(tables.sizes > (np.inf if max_entries is None else max_entries)):
        message = (
            f"node {machine.label(int(node))}: {tables.sizes[node]} entries, allowed {max_entries}"
        )
        violations.append(Violation("table too large", message))
    words = tables.cores.shape[1]
    core_index = np.full((machine.n_nodes, 64 * words), -1, np.int64)
    core_index[machine.node_of_core, machine.core] = np.arange(machine.core.size)
    ports = machine.n_ports
    opposite_port = np.full(max(ports, 1), -1, np.int64)
    if machine.directed:
        opposite_port = (np.arange(ports) + ports // 2) % ports
    records, crossed = (
        np.empty((_MAX_VIOLATIONS, 4), np.int64),
        np.zeros(targets.core_of_slice.size, np.int64),
    )
    n_records = kinds.trace_packets(
        *(keys.key, keys.mask, machine.node_of_core[physical_core[targets.core_of_slice]]),
        *(targets.start, physical_core[targets.target], machine.node_of_core),
        *(
            machine.neighbour,
            machine.opposite,
            opposite_port,
            bool(board.router.default_route.value),
        ),
        *(core_index, tables.start, tables.key, tables.mask, tables.links, tables.cores),
        *(records, crossed),
    )
    for kind, source, node, detail in records[: min(n_records, _MAX_VIOLATIONS)].tolist():
        violations.append(
            Violation(_NAMES[kind], _violation_text(kind, source, node, detail, machine))
        )
    return violations, crossed


def _violation_text(kind: int, source: int, node: int, detail: int, machine: Machine) -> str:
    text = f"slice {source}, node {machine.label(node)}"
    if kind == kinds.MISSING:
        return f"{text}, core {machine.core[detail]}"
    if kind in (kinds.DEAD_CORE, kinds.UNWANTED):
        return f"{text}, core {detail}"
    if kind == kinds.SPLIT:
        return f"{text}, entry {detail}"
    if kind == kinds.UNROUTED or detail < 0:
        return text
    return f"{text}, port {machine.ports[detail] if detail < machine.n_ports else detail}"
