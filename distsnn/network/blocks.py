"""Blocks: the pieces of populations that ranks own whole; a function of the description only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.network.description import Network

# Philox streams are keyed per 64 neurons, and a block must not cut such a group.
GROUP = 64
# Full blocks of the largest network; ragged last blocks of populations come on top.
MOST_BLOCKS = 1024


@dataclass(frozen=True, eq=False)
class BlockTable:
    """The blocks of a network, in order of their gids.

    Parameters
    ----------
    block_size : int
        Neurons in a full block.
    population : ndarray of int32, shape (n_blocks,)
        Index of the block's population.
    start : ndarray of int64, shape (n_blocks,)
        First neuron within the population.
    size : ndarray of int32, shape (n_blocks,)
        Neurons.
    gid : ndarray of int64, shape (n_blocks,)
        Gid of the first neuron.
    """

    block_size: int
    population: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    size: npt.NDArray[np.int32]
    gid: npt.NDArray[np.int64]

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return self.gid.size

    def block_of_gid(self, gid: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the index of the block that holds each gid."""
        return np.searchsorted(self.gid, np.asarray(gid), side="right").astype(np.int64) - 1


def block_size(n_neurons: int) -> int:
    """Return the block size: the smallest 64·2^k that makes at most 1024 full blocks.

    Examples
    --------
    >>> block_size(77169)
    128
    """
    size = GROUP
    while n_neurons > MOST_BLOCKS * size:
        size *= 2
    return size


def make_blocks(network: Network) -> BlockTable:
    """Return the blocks of a network, as ranks own them."""
    return make_slices(network, block_size(network.n_neurons))


def make_slices(network: Network, neurons_per_slice: int) -> BlockTable:
    """Return a network cut into slices of at most `neurons_per_slice` neurons of one population.

    Boundaries lie at multiples of `neurons_per_slice` from each population's start; its last slice
    may be smaller.

    Raises
    ------
    DescriptionError
        If there would be no neuron in a slice.
    """
    if neurons_per_slice < 1:
        raise DescriptionError(
            "at least one neuron", where="neurons of a slice", value=neurons_per_slice
        )
    sizes = np.array([population.size for population in network.populations], np.int64)
    counts = -(-sizes // neurons_per_slice)
    population = np.repeat(np.arange(sizes.size, dtype=np.int32), counts)
    start = (
        np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    ) * neurons_per_slice
    size = np.minimum(neurons_per_slice, sizes[population] - start).astype(np.int32)
    gid = (np.cumsum(sizes) - sizes)[population] + start
    for array in (population, start, size, gid):
        array.setflags(write=False)
    return BlockTable(neurons_per_slice, population, start, size, gid)
