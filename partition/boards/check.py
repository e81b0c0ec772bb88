"""An independent check of a mapping: every slice's packets are followed through the tables.

Nothing here knows how the mapping was made. What is wrong is returned as a list of violations, each
with its kind and place.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.partition.boards import check_kernels as kinds
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.demand import PER_NEURON, Demand, limits
from distsnn.partition.boards.geometry import Machine
from distsnn.partition.boards.keys import Keys
from distsnn.partition.boards.reach import Floats, Ints, Reach
from distsnn.partition.boards.sections import ONE_AXON
from distsnn.partition.boards.tables import Tables
from distsnn.partition.connectivity import BuiltConnectivity, ExpectedConnectivity

_MOST = 10_000  # violations of routes that are told
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
    """One thing that is wrong with a mapping.

    Parameters
    ----------
    kind : str
        Its name: ``loop``, ``duplicate``, ``dead link``, ``dead core``, ``unwanted delivery``,
        ``missing delivery``, ``split keys``, ``dropped packet``, ``no entry``; ``table too large``,
        ``duplicate key``, ``unaligned key``, ``key out of range``, ``too few keys``,
        ``shared core``, ``overfull core``, ``overfull node``, ``several axons``.
    what : str
        What, where and how much, in a sentence.
    """

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def check_cores(
    to: Reach,
    needs: Demand,
    board: Board,
    machine: Machine,
    places: Ints,
    contacts: ExpectedConnectivity | BuiltConnectivity | None = None,
) -> list[Violation]:
    """Check what cores and nodes hold, and how many axons neurons have.

    Axons are counted again where it is known which neurons have a synapse where.
    """
    found = []
    places_used, times = np.unique(places, return_counts=True)
    for one in places_used[times > 1]:
        node = machine.label(int(machine.node_of_core[one]))
        found.append(Violation("shared core", f"core {machine.core[one]} of node {node} twice"))
    known, _ = limits(board)
    shared = board.core.synapse_memory.value is None
    node_of = machine.node_of_core[places]
    axons = _axons(to, needs, contacts)
    for name, limit in known.items():
        if name in axons:
            found += _overfull(name, axons[name], limit, machine, places)
            continue
        values = np.asarray(getattr(needs, name), np.float64)
        if name in PER_NEURON:
            held = np.zeros(to.cores)
            np.maximum.at(held, to.core, values)
        else:
            held = _sums(to.core, values, to.cores)
        if name == "memory" and shared:
            at_node = _sums(node_of, held, machine.n_nodes)
            for full in np.flatnonzero(at_node > limit):
                what = f"node {machine.label(int(full))}: {at_node[full]:.0f} of {limit:.0f} bytes"
                found.append(Violation("overfull node", what))
            continue
        found += _overfull(name, held, limit, machine, places)
    if board.router.scheme.value == ONE_AXON:
        found += _several_axons(to, contacts)
    return found


def _sums(at: Ints, values: npt.NDArray[Any], size: int) -> Floats:
    return np.bincount(at, values, minlength=size).astype(np.float64)


def _overfull(
    name: str, held: Floats, limit: float, machine: Machine, places: Ints
) -> list[Violation]:
    found = []
    for core in np.flatnonzero(held > limit):
        node = machine.label(int(machine.node_of_core[places[core]]))
        what = (
            f"core {machine.core[places[core]]} of node {node}: "
            f"{name} {held[core]:g}, allowed {limit:g}"
        )
        found.append(Violation("overfull core", what))
    return found


def _axons(
    to: Reach, needs: Demand, contacts: ExpectedConnectivity | BuiltConnectivity | None
) -> dict[str, Floats]:
    """Return in-axons and out-axons of each core: a source of several of its slices counts once."""
    if isinstance(contacts, BuiltConnectivity):
        home = np.repeat(to.core, needs.neurons)
        received, sent = np.zeros((2, to.cores))
        for neuron, target in contacts.neuron_core_pairs(to.core, to.cores):
            received += np.bincount(target, minlength=to.cores)
            sent += np.bincount(home[neuron], minlength=to.cores)
        return {"in_axons": received, "out_axons": sent}
    if contacts is not None:  # nothing to count
        return {"in_axons": to.in_axons(), "out_axons": to.out_axons()}
    neurons = needs.neurons[to.source]
    return {
        "in_axons": _sums(to.target, neurons, to.cores),
        "out_axons": _sums(to.core[to.source], neurons, to.cores),
    }


def _several_axons(
    to: Reach, contacts: ExpectedConnectivity | BuiltConnectivity | None
) -> list[Violation]:
    if isinstance(contacts, BuiltConnectivity):
        times = np.zeros(contacts.start.size - 1, np.int64)
        for neuron, _ in contacts.neuron_core_pairs(to.core, to.cores):
            times += np.bincount(neuron, minlength=times.size)
        many = [(f"neuron {one}", times[one]) for one in np.flatnonzero(times > 1)]
    else:
        reached = np.diff(to.start)
        many = [(f"slice {one}", reached[one]) for one in np.flatnonzero(reached > 1)]
    return [
        Violation("several axons", f"{who} reaches {cores} cores, allowed 1") for who, cores in many
    ]


def check_keys(neurons: Ints, keys: Keys) -> list[Violation]:
    """Check that blocks of keys are aligned, large enough, in range, and have no key in common."""
    found = []
    full = (1 << keys.bits) - 1
    size = (full & ~keys.mask) + 1
    for one in np.flatnonzero((size & (size - 1) != 0) | (keys.key & full & ~keys.mask != 0)):
        found.append(
            Violation("unaligned key", f"slice {one}: key {keys.key[one]:#x}, {keys.mask[one]:#x}")
        )
    for one in np.flatnonzero((keys.key < 0) | (keys.key + size > full + 1)):
        what = f"slice {one}: from {keys.key[one]:#x}, {size[one]} keys of {keys.bits} bits"
        found.append(Violation("key out of range", what))
    for one in np.flatnonzero(size < neurons):
        found.append(
            Violation("too few keys", f"slice {one}: {size[one]} for {neurons[one]} neurons")
        )
    order = np.argsort(keys.key, kind="stable")
    ends = np.maximum.accumulate(keys.key[order] + size[order])
    for at in np.flatnonzero(keys.key[order][1:] < ends[:-1]):
        a, b = order[at], order[at + 1]
        found.append(
            Violation("duplicate key", f"slices {a} and {b}: {keys.key[a]:#x}, {keys.key[b]:#x}")
        )
    return found


def check_tables(
    to: Reach, board: Board, machine: Machine, places: Ints, keys: Keys, tables: Tables
) -> tuple[list[Violation], npt.NDArray[np.int64]]:
    """Follow every slice's packets.

    Returns
    -------
    violations : list of Violation
        What is wrong.
    crossed : ndarray of int64, shape (n,)
        Links that a packet of each slice crosses.
    """
    found = []
    most = board.router.entries.value
    for node in np.flatnonzero(tables.sizes > (np.inf if most is None else most)):
        what = f"node {machine.label(int(node))}: {tables.sizes[node]} entries, allowed {most}"
        found.append(Violation("table too large", what))
    words = tables.cores.shape[1]
    place_of = np.full((machine.n_nodes, 64 * words), -1, np.int64)
    place_of[machine.node_of_core, machine.core] = np.arange(machine.core.size)
    ports = machine.n_ports
    straight = np.full(max(ports, 1), -1, np.int64)
    if machine.directed:
        straight = (np.arange(ports) + ports // 2) % ports
    notes, crossed = np.empty((_MOST, 4), np.int64), np.zeros(to.core.size, np.int64)
    number = kinds.walk(
        *(keys.key, keys.mask, machine.node_of_core[places[to.core]]),
        *(to.start, places[to.target], machine.node_of_core),
        *(machine.neighbour, machine.opposite, straight, bool(board.router.default_route.value)),
        *(place_of, tables.start, tables.key, tables.mask, tables.links, tables.cores),
        *(notes, crossed),
    )
    for kind, source, node, detail in notes[: min(number, _MOST)].tolist():
        found.append(Violation(_NAMES[kind], _sentence(kind, source, node, detail, machine)))
    return found, crossed


def _sentence(kind: int, source: int, node: int, detail: int, machine: Machine) -> str:
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
