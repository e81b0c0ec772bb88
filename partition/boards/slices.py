"""Slices of populations of any size: what a core may hold."""

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network import Network
from distsnn.network.blocks import BlockTable


def slices(network: Network, neurons: int) -> BlockTable:
    """Return a network's populations cut into slices.

    Parameters
    ----------
    network : Network
        The network.
    neurons : int
        Neurons per slice; a population's last may have fewer.

    Raises
    ------
    DescriptionError
        If there would be none in a slice.
    """
    if neurons < 1:
        raise DescriptionError("at least one neuron", where="neurons of a slice", value=neurons)
    sizes = np.array([one.size for one in network.populations], np.int64)
    counts = -(-sizes // neurons)
    population = np.repeat(np.arange(sizes.size, dtype=np.int32), counts)
    start = (np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)) * neurons
    size = np.minimum(neurons, sizes[population] - start).astype(np.int32)
    gid = (np.cumsum(sizes) - sizes)[population] + start
    return BlockTable(neurons, population, start, size, gid)
