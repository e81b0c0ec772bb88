"""Local indices of a rank's neurons: populations in order, owned blocks padded to 64."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from distsnn.network import Network, PopulationView
from distsnn.network.blocks import GROUP, BlockTable
from distsnn.partition.assignment import Assignment


@dataclass(frozen=True, eq=False)
class LocalLayout:
    """The local index of each neuron of a rank.

    Parameters
    ----------
    network : Network
        The network.
    blocks : BlockTable
        Its blocks.
    assignment : Assignment
        Their owners.
    rank : int
        This rank.

    Attributes
    ----------
    owned_blocks : ndarray of int64, shape (n_owned,)
        Indices of owned blocks.
    block_first_local : ndarray of int64, shape (n_blocks,)
        Local index of each block's first neuron, -1 if the block is not owned.
    first, last : ndarray of int64, shape (n_populations,)
        Half-open range of local indices of each population, multiples of 64.
    group_gid : ndarray of uint32, shape (n_groups,)
        First gid of every group of 64 local neurons.
    group_size : ndarray of int32, shape (n_groups,)
        Neurons in the group; fewer than 64 only at a population's end.
    group_number : ndarray of int64, shape (n_groups,)
        Number of the group within its population.
    """

    network: Network
    blocks: BlockTable
    assignment: Assignment
    rank: int

    @cached_property
    def owned_blocks(self) -> npt.NDArray[np.int64]:  # noqa: D102 (attribute)
        return self.assignment.blocks_of_rank(self.rank)

    @cached_property
    def _groups(self) -> npt.NDArray[np.int64]:
        return -(-self.blocks.size[self.owned_blocks].astype(np.int64) // GROUP)

    @cached_property
    def block_first_local(self) -> npt.NDArray[np.int64]:  # noqa: D102
        local = np.full(self.blocks.n_blocks, -1, np.int64)
        local[self.owned_blocks] = GROUP * (np.cumsum(self._groups) - self._groups)
        return local

    @cached_property
    def last(self) -> npt.NDArray[np.int64]:  # noqa: D102
        counts = np.bincount(
            self.blocks.population[self.owned_blocks],
            weights=self._groups,
            minlength=len(self.network.populations),
        )
        return GROUP * np.cumsum(counts.astype(np.int64))

    @cached_property
    def first(self) -> npt.NDArray[np.int64]:  # noqa: D102
        return np.concatenate([[0], self.last[:-1]]).astype(np.int64)

    @property
    def n_local(self) -> int:
        """Number of local indices, padding included."""
        return int(self.last[-1])

    @property
    def n_neurons(self) -> int:
        """Number of this rank's neurons."""
        return int(self.blocks.size[self.owned_blocks].sum())

    @property
    def n_planes(self) -> int:
        """Largest number of receptors of a population, at least 1: planes of the input ring."""
        receptors = (population.model.receptors for population in self.network.populations)
        return max(1, *map(len, receptors))

    @property
    def target_bits(self) -> int:
        """Number of bits of a local index."""
        return max(1, (self.n_local - 1).bit_length())

    @cached_property
    def _in_block(self) -> npt.NDArray[np.int64]:
        starts = np.cumsum(self._groups) - self._groups
        return np.arange(int(self._groups.sum())) - np.repeat(starts, self._groups)

    @cached_property
    def group_gid(self) -> npt.NDArray[np.uint32]:  # noqa: D102
        gid = np.repeat(self.blocks.gid[self.owned_blocks], self._groups) + GROUP * self._in_block
        return gid.astype(np.uint32)

    @cached_property
    def group_size(self) -> npt.NDArray[np.int32]:  # noqa: D102
        size = np.repeat(self.blocks.size[self.owned_blocks], self._groups) - GROUP * self._in_block
        return np.asarray(np.minimum(size, GROUP), np.int32)

    @cached_property
    def group_number(self) -> npt.NDArray[np.int64]:  # noqa: D102
        start = np.repeat(self.blocks.start[self.owned_blocks], self._groups)
        return start // GROUP + self._in_block

    @cached_property
    def counters(self) -> npt.NDArray[np.uint32]:
        """Philox counters, eight for every group of 64 neurons of a population."""
        counters = 8 * self.group_number[:, None] + np.arange(8)
        return counters.astype(np.uint32).reshape(-1)

    def is_local(self, gid: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """Return which neurons are this rank's."""
        return np.asarray(self.block_first_local[self.blocks.block_of_gid(gid)] >= 0)

    def to_gids(self, local: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the gids of local neurons, which must not be padding."""
        return self.group_gid[local // GROUP].astype(np.int64) + local % GROUP

    def population_neurons(self, index: int) -> npt.NDArray[np.int64]:
        """Return the neuron of population `index` at each of its local indices, -1 for padding."""
        first, last = int(self.first[index]) // GROUP, int(self.last[index]) // GROUP
        neuron = GROUP * self.group_number[first:last, None] + np.arange(GROUP)
        is_neuron = np.arange(GROUP) < self.group_size[first:last, None]
        return np.where(is_neuron, neuron, -1).reshape(-1).astype(np.int64)

    def blocks_of(self, index: int) -> npt.NDArray[np.int64]:
        """Return `block_first_local` of the blocks of population `index`."""
        first, last = np.searchsorted(self.blocks.population, [index, index + 1])
        return self.block_first_local[first:last]

    def blocks_of_rank(self, name: str) -> npt.NDArray[np.int64]:
        """Return the indices of this rank's blocks of a population."""
        is_local = self.blocks.population[self.owned_blocks] == self.population_index(name)
        return np.asarray(self.owned_blocks[is_local])

    def to_local(self, index: int, neurons: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return local indices of neurons of population `index`, -1 for neurons of other ranks."""
        block, within = np.divmod(np.asarray(neurons, np.int64), self.blocks.block_size)
        start = self.blocks_of(index)[block]
        return np.where(start >= 0, start + within, -1)

    def locals_of(self, view: PopulationView) -> npt.NDArray[np.int64]:
        """Return the local indices of this rank's neurons of a view, ascending."""
        index = self.population_index(view.population)
        is_member = view.positions(self.population_neurons(index)) >= 0
        return np.flatnonzero(is_member) + int(self.first[index])

    def population_index(self, name: str) -> int:
        """Return the position of a population."""
        return [population.name for population in self.network.populations].index(name)
