"""What a mapping costs: sizes, hops, loads, tables, energy, latency, and how far from a bound."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.partition.boards.demand import limits
from distsnn.partition.boards.energy import along_x, chip_of_node
from distsnn.partition.boards.figures import Figure
from distsnn.partition.boards.mapping import Mapping
from distsnn.partition.boards.place import hops_between, rate_hops
from distsnn.partition.connectivity import BuiltConnectivity, ExpectedConnectivity


def report(mapping: Mapping, *, dt: float | None = None) -> dict[str, Any]:
    """Return a mapping's figures as plain data.

    Parameters
    ----------
    mapping : Mapping
        The mapping.
    dt : float, optional
        Step of the network, ms, where the board's own is unknown.

    Returns
    -------
    dict
        Rates are per second of the network's time, powers in W. What a board's figures do not tell
        is None, with the missing figure under ``unknown``.
    """
    board, to = mapping.board, mapping.to
    used = np.unique(mapping.machine.node_of_core[mapping.places])
    busy = mapping.load[mapping.machine.neighbour >= 0]
    hops = rate_weighted_hops(mapping)
    bound = hops_bound(mapping)
    unknown: dict[str, str] = {}
    made: dict[str, Any] = {
        "board": board.name,
        "boards": list(board.topology.boards),
        "checked_by": board.checked_by,
        "slices": int(to.core.size),
        "neurons": int(mapping.needs.neurons.sum()),
        "cores": to.cores,
        "cores_available": int(mapping.machine.core.size),
        "nodes": int(used.size),
        "chips": int(np.unique(chip_of_node(board, mapping.machine)[used]).size),
        "packets_per_s": float(_packets(mapping)),
        "rate_weighted_hops": hops,
        "link_crossings_per_s": float(mapping.load.sum()),
        "largest_link_load": float(busy.max(initial=0.0)),
        "p99_link_load": float(np.percentile(busy, 99)) if busy.size else 0.0,
        "lower_bound_hops": bound,
        "gap": (hops - bound) / hops if hops > 0.0 else 0.0,
        "seconds": mapping.seconds,
        "contacts": _contacts(mapping),
        "axons": _axons(mapping),
        "unchecked": limits(board)[1],
    }
    if mapping.tables is not None and mapping.routes is not None:
        straight = int(mapping.routes.straight_on(mapping.machine).sum())
        made["table_entries"] = {
            "plain": int(mapping.routes.source.size),
            "without_default": int(mapping.routes.source.size) - straight,
            "compressed": int(mapping.tables.sizes.sum()),
            "largest": int(mapping.tables.sizes.max(initial=0)),
        }
    made["power_W"] = _powers(mapping, made, dt, unknown)
    made["latency_s"] = _known("latency_s", lambda: latency(mapping), unknown)
    made["largest_link_use"] = _known("largest_link_use", lambda: link_use(mapping), unknown)
    made["unknown"] = unknown
    return made


def rate_weighted_hops(mapping: Mapping) -> float:
    """Return the sum over slices of spikes/s × hops to each node (unicast: core) they reach."""
    hops, copies = hops_between(mapping.machine), mapping.tables is None
    return rate_hops(mapping.to, mapping.machine, hops, mapping.places, copies=copies)


def hops_bound(mapping: Mapping) -> float:
    """Return rate-weighted hops that no placement on this machine is below.

    Each slice alone gets the best it could have: its targets fill its own node, then the nearest
    nodes, each with as many cores as the largest has, from the node with the nearest neighbours.
    """
    to, copies = mapping.to, mapping.tables is None
    hops = hops_between(mapping.machine).astype(np.int64)
    near = np.sort(np.where(hops < 0, np.iinfo(np.int32).max, hops), axis=1).min(axis=0)
    most = int(mapping.machine.cores.max())
    ways = np.repeat(near, most if copies else 1)
    nearest = np.concatenate(([0], np.cumsum(ways)))
    own = to.target == to.core[to.source]
    itself = np.bincount(to.source, own, minlength=to.core.size).astype(np.int64)
    others = np.diff(to.start) - itself
    if copies:
        # the slice's own core takes one of its node's; the most packets go the shortest ways
        away = ~own
        source, packets = to.source[away], to.packets[away]
        order = np.lexsort((-packets, source))
        first = np.cumsum(others) - others
        nth = np.arange(order.size) - first[source[order]]
        return float((packets[order] * ways[nth + 1]).sum())
    return float((to.spikes * nearest[-(-(others + 1) // most)]).sum())


def latency(mapping: Mapping) -> float:
    """Return the time of the farthest hops, s (routers' and links' alone).

    Raises
    ------
    DescriptionError
        If the latency of a hop is unknown.
    """
    each = mapping.board.links.latency.need("the latency of spikes")
    to, hops = mapping.to, hops_between(mapping.machine)
    node = mapping.machine.node_of_core[mapping.places]
    return float(hops[mapping.node[to.source], node[to.target]].max(initial=0)) * each


def link_use(mapping: Mapping) -> float:
    """Return the largest link load as a part of what a link carries.

    Raises
    ------
    DescriptionError
        If the bandwidth is unknown.
    """
    most = mapping.board.links.bandwidth.need("how much of it is used")
    return float(mapping.load.max(initial=0.0)) / most


def _packets(mapping: Mapping) -> float:
    if mapping.tables is None:
        return float(mapping.to.packets.sum())
    return float((mapping.to.spikes * np.minimum(np.diff(mapping.to.start), 1)).sum())


def _contacts(mapping: Mapping) -> str:
    """Return how it is known which neurons have a synapse where."""
    kinds = {ExpectedConnectivity: "expected", BuiltConnectivity: "counted"}
    return kinds.get(type(mapping.graph.connectivity), "all that may be")


def _axons(mapping: Mapping) -> dict[str, dict[str, float]]:
    """Return the most axons of a core, of those that are limited, and the limit."""
    known, to = limits(mapping.board)[0], mapping.to
    return {
        name: {"largest": float(axons().max(initial=0.0)), "allowed": known[name]}
        for name, axons in (("in_axons", to.in_axons), ("out_axons", to.out_axons))
        if name in known
    }


def _powers(
    mapping: Mapping, made: dict[str, Any], dt: float | None, unknown: dict[str, str]
) -> dict[str, float | None]:
    """Return the power of each term, W, and their sum where all are known."""
    graph, energy = mapping.graph, mapping.board.energy
    x_load = float(mapping.load[:, along_x(mapping.machine)].sum())

    def updates() -> float:
        step = mapping.board.time.step
        each = dt if step.value is None else step.value
        return float(made["neurons"] * 1000.0 / (each or step.need("how often neurons update")))

    def events() -> float:
        if isinstance(graph.connectivity, BuiltConnectivity):
            return float(graph.connectivity.rate @ graph.connectivity.fan_out)
        return float(graph.rate[graph.source] @ graph.synapses)

    terms: dict[str, tuple[Figure[float], Callable[[], Any]]] = {
        "synaptic_event": (energy.synaptic_event, events),
        "neuron_update": (energy.neuron_update, updates),
        "neuron_spike": (energy.neuron_spike, lambda: mapping.to.spikes.sum()),
        "packet_out": (energy.packet_out, lambda: made["packets_per_s"]),
        "hop_x": (energy.hop_x, lambda: x_load),
        "hop_y": (energy.hop_y, lambda: made["link_crossings_per_s"] - x_load),
        "idle_chip": (energy.idle_chip, lambda: made["chips"]),
        "active_core": (energy.active_core, lambda: made["cores"]),
    }
    powers: dict[str, float | None] = {}
    for name, (figure, number) in terms.items():
        powers[name] = _known(f"power_W.{name}", partial(_term, figure, number), unknown)
    parts = [one for one in powers.values() if one is not None]
    powers["total"] = sum(parts) if len(parts) == len(powers) else None
    return powers


def _term(figure: Figure[float], number: Callable[[], Any]) -> float:
    return figure.need("its part of the energy") * float(number())


def _known(name: str, value: Callable[[], float], unknown: dict[str, str]) -> float | None:
    try:
        return value()
    except DescriptionError as error:
        unknown[name] = str(error)
        return None
