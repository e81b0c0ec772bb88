"""Packets of given spikes, followed on their ways: what a run would send over a board's links."""

from dataclasses import dataclass

import numpy as np

from distsnn.partition.boards.check import check_tables
from distsnn.partition.boards.demand import Ints
from distsnn.partition.boards.mapping import Mapping
from distsnn.partition.boards.place import hops_between


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
    spikes : ndarray of int64, shape (n,)
        How many spikes each slice sends.
    """
    to, machine = mapping.to, mapping.machine
    if mapping.tables is not None and mapping.keys is not None:
        parts = to, mapping.board, machine, mapping.places, mapping.keys, mapping.tables
        crossed, packets = check_tables(*parts)[1], np.minimum(np.diff(to.start), 1)
    else:
        node = machine.node_of_core[mapping.places]
        hops = hops_between(machine)[node[to.core[to.source]], node[to.target]]
        crossed = np.bincount(to.source, hops, minlength=to.core.size).astype(np.int64)
        packets = np.diff(to.start)
    return Counts(int(spikes.sum()), int(spikes @ packets), int(spikes @ crossed))
