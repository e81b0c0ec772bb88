"""Packets of given spikes, followed on their ways: what a run would send over a board's links."""

from dataclasses import dataclass

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.partition.boards.check import check_tables
from distsnn.partition.boards.mapping import Mapping
from distsnn.partition.boards.place import hops_between
from distsnn.partition.boards.reach import Ints
from distsnn.partition.connectivity import ExpectedConnectivity


@dataclass(frozen=True)
class Counts:
    """What spikes come to.

    Parameters
    ----------
    spikes : int
        Spikes.
    packets : int
        Packets that leave cores: one for each spike that goes anywhere; where routers copy none,
        one for each core that it reaches.
    crossings : int
        Links that they cross.
    """

    spikes: int
    packets: int
    crossings: int


def follow(mapping: Mapping, spikes: Ints) -> Counts:
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
    to, machine, contacts = mapping.to, mapping.machine, mapping.graph.connectivity
    neurons, total = mapping.graph.neurons, int(spikes.sum())
    of_slices = spikes
    if spikes.size != neurons.size:
        of_slices = np.add.reduceat(spikes, np.cumsum(neurons) - neurons)
    if mapping.tables is not None and mapping.keys is not None:
        parts = to, mapping.board, machine, mapping.places, mapping.keys, mapping.tables
        crossed, packets = check_tables(*parts)[1], np.minimum(np.diff(to.start), 1)
        return Counts(total, int(of_slices @ packets), int(of_slices @ crossed))
    if isinstance(contacts, ExpectedConnectivity):
        raise DescriptionError(
            "which neurons have a synapse where is only expected: their packets cannot be followed",
            where=f"mapping onto {mapping.board.name!r}",
            allowed="slices with what was wired (reached.with_counted)",
        )
    node = machine.node_of_core[mapping.places]
    hops = hops_between(machine)
    if contacts is None:
        pieces, home, of_source = iter([(to.source, to.target)]), to.core, of_slices
    else:
        pieces, home = contacts.neuron_core_pairs(to.core, to.cores), np.repeat(to.core, neurons)
        of_source = spikes
    number = crossings = 0
    for source, target in pieces:
        sent = of_source[source]
        number += int(sent.sum())
        crossings += int(sent @ hops[node[home[source]], node[target]].astype(np.int64))
    return Counts(total, number, crossings)
