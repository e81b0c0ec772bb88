"""Packets of given spikes, followed on their ways: what a run would send over a board's links."""

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
    """What spikes come to.

    Parameters
    ----------
    spikes : int
        Spikes.
    packets : int
        Packets that leave cores: one for each spike that goes anywhere; where routers copy none,
        one for each core that it reaches.
    hops : int
        Links that they cross.
    """

    spikes: int
    packets: int
    hops: int


def count_packets(mapping: BoardMapping, spikes: Ints) -> PacketCounts:
    """Follow packets through the tables, or over the shortest ways where there are none.

    The loads that the mapping predicts have no part in it.

    Parameters
    ----------
    mapping : Mapping
        The mapping.
    spikes : ndarray of int64, shape (n,) or (n_neurons,)
        How many spikes each slice sends; or each neuron, where it is known which of them have a
        synapse where (`partition.contacts.Counted`).

    Raises
    ------
    DescriptionError
        If that is only expected, and a packet is sent to each core.
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
            "which neurons have a synapse where is only expected: their packets cannot be followed",
            where=f"mapping onto {mapping.board.name!r}",
            allowed="slices with what was wired (reached.with_counted)",
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
