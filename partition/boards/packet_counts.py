"""Packet counts of recorded spikes: the packets and hops that a run causes on a board."""

from dataclasses import dataclass

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.partition.boards.check import check_tables
from distsnn.partition.boards.core_targets import Ints
from distsnn.partition.boards.mapping import BoardMapping
from distsnn.partition.boards.placement import hops_between
from distsnn.partition.connectivity import ExpectedConnectivity


@dataclass(frozen=True)
class PacketCounts:
    """Packets that spikes cause.

    Parameters
    ----------
    spikes : int
        Number of spikes.
    packets : int
        Packets that leave cores. Multicast: one per spike with a target. Unicast: one per spike
        and target core.
    hops : int
        Links that packets cross, summed over packets.
    """

    spikes: int
    packets: int
    hops: int


def count_packets(mapping: BoardMapping, spikes: Ints) -> PacketCounts:
    """Count packets and hops, by tracing the routing tables or along the shortest paths.

    The link loads that the mapping predicts are not used.

    Parameters
    ----------
    mapping : BoardMapping
        The mapping.
    spikes : ndarray of int64, shape (n,) or (n_neurons,)
        Number of spikes of each slice; of each neuron with built connectivity
        (`partition.connectivity.BuiltConnectivity`).

    Raises
    ------
    DescriptionError
        If the board has unicast routers and the connectivity is only expected.
    """
    targets, machine, connectivity = (
        mapping.core_targets,
        mapping.machine,
        mapping.graph.connectivity,
    )
    neurons, total = mapping.graph.neurons, int(spikes.sum())
    slice_spikes = spikes
    if spikes.size != neurons.size:
        slice_spikes = np.add.reduceat(spikes, np.cumsum(neurons) - neurons)
    if mapping.tables is not None and mapping.keys is not None:
        arguments = (
            targets,
            mapping.board,
            machine,
            mapping.physical_core,
            mapping.keys,
            mapping.tables,
        )
        hops_of_slice, packets = check_tables(*arguments)[1], np.minimum(np.diff(targets.start), 1)
        return PacketCounts(total, int(slice_spikes @ packets), int(slice_spikes @ hops_of_slice))
    if isinstance(connectivity, ExpectedConnectivity):
        raise DescriptionError(
            "packets cannot be counted: the mapping has expected connectivity only",
            where=f"mapping onto {mapping.board.name!r}",
            hint="map with built connectivity (with_built_connectivity)",
        )
    node = machine.node_of_core[mapping.physical_core]
    hops = hops_between(machine)
    if connectivity is None:
        pairs, core_of_source, source_spikes = (
            iter([(targets.source, targets.target)]),
            targets.core_of_slice,
            slice_spikes,
        )
    else:
        pairs, core_of_source = (
            connectivity.neuron_core_pairs(targets.core_of_slice, targets.n_cores),
            np.repeat(targets.core_of_slice, neurons),
        )
        source_spikes = spikes
    n_packets = n_hops = 0
    for source, target in pairs:
        n_sent = source_spikes[source]
        n_packets += int(n_sent.sum())
        n_hops += int(n_sent @ hops[node[core_of_source[source]], node[target]].astype(np.int64))
    return PacketCounts(total, n_packets, n_hops)
