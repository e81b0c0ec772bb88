"""Report of a mapping: sizes, hops with a lower bound, link loads, tables, energy, latency."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.partition.boards.board_parameters import BoardParameter
from distsnn.partition.boards.energy import chip_of_node, ports_along_x
from distsnn.partition.boards.mapping import BoardMapping
from distsnn.partition.boards.placement import hops_between, weighted_hops
from distsnn.partition.boards.resources import core_limits
from distsnn.partition.connectivity import BuiltConnectivity, ExpectedConnectivity


def mapping_report(mapping: BoardMapping, *, dt: float | None = None) -> dict[str, Any]:
    """Return the properties of a mapping as plain data.

    Parameters
    ----------
    mapping : BoardMapping
        The mapping.
    dt : float, optional
        Time step of the network, ms; required if the time step of the board is unknown.

    Returns
    -------
    dict
        Rates are per second of biological time, powers in W. A value that needs an unknown board
        parameter is None, and ``unknown`` names the parameter.
    """
    board, targets = mapping.board, mapping.core_targets
    used_nodes = np.unique(mapping.machine.node_of_core[mapping.physical_core])
    link_load = mapping.link_load[mapping.machine.neighbour >= 0]
    hops = rate_weighted_hops(mapping)
    bound = hops_bound(mapping)
    unknown_values: dict[str, str] = {}
    values: dict[str, Any] = {
        "board": board.name,
        "boards": list(board.topology.board_grid),
        "checked_by": board.checked_by,
        "slices": int(targets.core_of_slice.size),
        "neurons": int(mapping.resources.neurons.sum()),
        "cores": targets.n_cores,
        "cores_available": int(mapping.machine.core.size),
        "nodes": int(used_nodes.size),
        "chips": int(np.unique(chip_of_node(board, mapping.machine)[used_nodes]).size),
        "packets_per_s": float(_packet_rate(mapping)),
        "rate_weighted_hops": hops,
        "link_crossings_per_s": float(mapping.link_load.sum()),
        "max_link_load": float(link_load.max(initial=0.0)),
        "p99_link_load": float(np.percentile(link_load, 99)) if link_load.size else 0.0,
        "lower_bound_hops": bound,
        "relative_gap": (hops - bound) / hops if hops > 0.0 else 0.0,
        "seconds": mapping.seconds,
        "connectivity": _connectivity_kind(mapping),
        "axons": _axon_limits(mapping),
        "unknown_limits": core_limits(board)[1],
    }
    if mapping.tables is not None and mapping.routes is not None:
        n_default_routed = int(mapping.routes.is_default_routed(mapping.machine).sum())
        values["table_entries"] = {
            "uncompressed": int(mapping.routes.source.size),
            "without_default": int(mapping.routes.source.size) - n_default_routed,
            "compressed": int(mapping.tables.sizes.sum()),
            "max_per_node": int(mapping.tables.sizes.max(initial=0)),
        }
    values["power_W"] = _power_terms(mapping, values, dt, unknown_values)
    values["latency_s"] = _value_or_none("latency_s", lambda: max_latency(mapping), unknown_values)
    values["max_link_use"] = _value_or_none(
        "max_link_use", lambda: max_link_use(mapping), unknown_values
    )
    values["unknown"] = unknown_values
    return values


def rate_weighted_hops(mapping: BoardMapping) -> float:
    """Return the sum over slices of spike rate × hops to each target node (unicast: core), 1/s."""
    hops, unicast = hops_between(mapping.machine), mapping.tables is None
    return weighted_hops(
        mapping.core_targets, mapping.machine, hops, mapping.physical_core, unicast=unicast
    )


def hops_bound(mapping: BoardMapping) -> float:
    """Return a lower bound of the rate-weighted hops of any placement on this machine, 1/s.

    The bound places each slice alone in the best way: its targets fill its own node, then the
    nearest nodes. Every node has as many cores as the largest and as near neighbours as the best.
    """
    targets, unicast = mapping.core_targets, mapping.tables is None
    hops = hops_between(mapping.machine).astype(np.int64)
    sorted_hops = np.sort(np.where(hops < 0, np.iinfo(np.int32).max, hops), axis=1).min(axis=0)
    max_cores = int(mapping.machine.cores_of_node.max())
    core_hops = np.repeat(sorted_hops, max_cores if unicast else 1)
    cumulative_hops = np.concatenate(([0], np.cumsum(core_hops)))
    is_own_core = targets.target == targets.core_of_slice[targets.source]
    n_own = np.bincount(targets.source, is_own_core, minlength=targets.core_of_slice.size).astype(
        np.int64
    )
    n_others = np.diff(targets.start) - n_own
    if unicast:
        # the slice's own core takes a core of the node; the most packets take the shortest paths
        is_remote = ~is_own_core
        source, packets = targets.source[is_remote], targets.packet_rate[is_remote]
        order = np.lexsort((-packets, source))
        first_pair = np.cumsum(n_others) - n_others
        order_in_slice = np.arange(order.size) - first_pair[source[order]]
        return float((packets[order] * core_hops[order_in_slice + 1]).sum())
    return float((targets.spike_rate * cumulative_hops[-(-(n_others + 1) // max_cores)]).sum())


def max_latency(mapping: BoardMapping) -> float:
    """Return the maximum latency of a packet in routers and links, s.

    Raises
    ------
    DescriptionError
        If the latency of a hop is unknown.
    """
    hop_latency = mapping.board.links.latency.require("the latency of packets")
    targets, hops = mapping.core_targets, hops_between(mapping.machine)
    node_of_core = mapping.machine.node_of_core[mapping.physical_core]
    return (
        float(
            hops[mapping.node_of_slice[targets.source], node_of_core[targets.target]].max(initial=0)
        )
        * hop_latency
    )


def max_link_use(mapping: BoardMapping) -> float:
    """Return the maximum link load as a fraction of the bandwidth.

    Raises
    ------
    DescriptionError
        If the bandwidth is unknown.
    """
    bandwidth = mapping.board.links.bandwidth.require("the use of links")
    return float(mapping.link_load.max(initial=0.0)) / bandwidth


def _packet_rate(mapping: BoardMapping) -> float:
    if mapping.tables is None:
        return float(mapping.core_targets.packet_rate.sum())
    return float(
        (mapping.core_targets.spike_rate * np.minimum(np.diff(mapping.core_targets.start), 1)).sum()
    )


def _connectivity_kind(mapping: BoardMapping) -> str:
    """Return the kind of connectivity: `expected`, `built` or `all possible`."""
    kinds = {ExpectedConnectivity: "expected", BuiltConnectivity: "built"}
    return kinds.get(type(mapping.graph.connectivity), "all possible")


def _axon_limits(mapping: BoardMapping) -> dict[str, dict[str, float]]:
    """Return the maximum number of limited axons of a core, and the limit."""
    limits, targets = core_limits(mapping.board)[0], mapping.core_targets
    return {
        name: {"max": float(axons().max(initial=0.0)), "allowed": limits[name]}
        for name, axons in (("in_axons", targets.in_axons), ("out_axons", targets.out_axons))
        if name in limits
    }


def _power_terms(
    mapping: BoardMapping, values: dict[str, Any], dt: float | None, unknown_values: dict[str, str]
) -> dict[str, float | None]:
    """Return the power of each term, W, and their sum if all terms are known."""
    graph, energy = mapping.graph, mapping.board.energy
    x_load = float(mapping.link_load[:, ports_along_x(mapping.machine)].sum())

    def updates() -> float:
        step = mapping.board.time.step
        neuron_dt = dt if step.value is None else step.value
        return float(
            values["neurons"] * 1000.0 / (neuron_dt or step.require("the number of updates"))
        )

    def events() -> float:
        if isinstance(graph.connectivity, BuiltConnectivity):
            return float(graph.connectivity.rate @ graph.connectivity.fan_out)
        return float(graph.rate[graph.source] @ graph.synapses)

    terms: dict[str, tuple[BoardParameter[float], Callable[[], Any]]] = {
        "synaptic_event": (energy.synaptic_event, events),
        "neuron_update": (energy.neuron_update, updates),
        "neuron_spike": (energy.neuron_spike, lambda: mapping.core_targets.spike_rate.sum()),
        "packet_out": (energy.packet_out, lambda: values["packets_per_s"]),
        "hop_x": (energy.hop_x, lambda: x_load),
        "hop_y": (energy.hop_y, lambda: values["link_crossings_per_s"] - x_load),
        "idle_chip": (energy.idle_chip, lambda: values["chips"]),
        "active_core": (energy.active_core, lambda: values["cores"]),
    }
    powers: dict[str, float | None] = {}
    for name, (parameter, count) in terms.items():
        powers[name] = _value_or_none(
            f"power_W.{name}", partial(_power, parameter, count), unknown_values
        )
    known_powers = [power for power in powers.values() if power is not None]
    powers["total"] = sum(known_powers) if len(known_powers) == len(powers) else None
    return powers


def _power(parameter: BoardParameter[float], count: Callable[[], Any]) -> float:
    return parameter.require("this term of the power") * float(count())


def _value_or_none(
    name: str, compute: Callable[[], float], unknown_values: dict[str, str]
) -> float | None:
    try:
        return compute()
    except DescriptionError as error:
        unknown_values[name] = str(error)
        return None
