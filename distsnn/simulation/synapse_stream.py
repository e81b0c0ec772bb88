"""All synapses of a network as they will be built, on one rank and in little memory."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from distsnn.engine import connections, edges, wiring
from distsnn.engine.layout import LocalLayout
from distsnn.network import ConnectionFile, Network
from distsnn.network.blocks import make_blocks
from distsnn.network.quanta import choose_quanta
from distsnn.partition.assignment import make_assignment
from distsnn.simulation.build import compile_wiring_kernels
from distsnn.simulation.edge_routing import file_summaries, read_edges

Ints = npt.NDArray[np.int64]

_AT_A_TIME = 1 << 25  # synapses that are built at a time


def iterate_network_synapses(
    network: Network, seed: int, *, chunk_size: int = _AT_A_TIME
) -> Iterator[tuple[Ints, Ints]]:
    """Yield sources and targets (gids) of all synapses, a piece at a time.

    What a rank draws does not depend on what others own. So the network is built for as many
    ranks as keep each small, one after another, and these are forgotten.

    Parameters
    ----------
    network : Network
        The network.
    seed : int
        Seed of the run that has these synapses.
    chunk_size : int
        About how many are held at a time.
    """
    compile_wiring_kernels()
    table, scales = make_blocks(network), choose_quanta(network, file_summaries(network))
    parts = min(max(1, math.ceil(network.expected_synapses() / chunk_size)), table.n_blocks)
    assignment = make_assignment(table, parts, "contiguous")
    for part in range(parts):
        layout = LocalLayout(network, table, assignment, part)
        explicit_edges = {
            index: [
                edges.split_by_owner(layout, projection, piece)[part]
                for piece in read_edges(projection, network.dt)
            ]
            for index, projection in enumerate(network.projections)
            if isinstance(projection.rule, ConnectionFile)
        }
        yield from connections.iterate_synapses(
            layout, wiring.build_local_synapses(layout, scales, seed, explicit_edges=explicit_edges)
        )
