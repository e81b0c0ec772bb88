"""The assignment of blocks to ranks: data, made by strategies that are pure functions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown
from distsnn.network.blocks import BlockTable
from distsnn.units import counted


@dataclass(frozen=True, eq=False)
class Assignment:
    """Which rank owns each block.

    Parameters
    ----------
    ranks : int
        Number of ranks; a rank may own nothing.
    owner : ndarray of int32, shape (n_blocks,)
        Rank of each block.
    strategy : str
        Name of the strategy that made it.
    settings : mapping
        What the strategy was told besides, as JSON-able data.
    groups : sequence of int
        How many ranks each group has: the first ones, those that follow, and so on. Ranks of a
        group exchange spikes more often than groups do, if delays allow. Empty: no groups, all
        ranks exchange spikes at once.

    Raises
    ------
    DescriptionError
        If an owner is no rank, or groups are not of all ranks.
    """

    ranks: int
    owner: npt.NDArray[np.int32]
    strategy: str = "given"
    settings: Mapping[str, Any] = field(default_factory=dict)
    groups: Sequence[int] = ()

    def __post_init__(self) -> None:
        if self.ranks < 1:
            raise DescriptionError("at least one rank", where="assignment", value=self.ranks)
        is_invalid = (self.owner < 0) | (self.owner >= self.ranks)
        if is_invalid.any():
            block = int(np.argmax(is_invalid))
            raise DescriptionError(
                "owner is no rank",
                where=f"assignment, block {block}",
                value=int(self.owner[block]),
                allowed=f"0 to {self.ranks - 1}",
            )
        object.__setattr__(self, "groups", self._checked_groups())

    def _checked_groups(self) -> tuple[int, ...]:
        sizes: Any = self.groups
        if isinstance(sizes, np.ndarray):
            sizes = sizes.tolist()
        if isinstance(sizes, list | tuple) and not sizes:
            return ()
        if isinstance(sizes, list | tuple) and 2 <= len(sizes) <= self.ranks:
            are_integers = all(
                isinstance(size, int) and not isinstance(size, bool) for size in sizes
            )
            if are_integers and min(sizes) >= 1 and sum(sizes) == self.ranks:
                return tuple(sizes)
        elif isinstance(sizes, list | tuple):
            sizes = counted(len(sizes), "size")  # a store's list may be of any length
        raise DescriptionError(
            "no groups of these ranks",
            where="assignment, field groups",
            value=sizes,
            allowed=f"sizes of two or more groups, {counted(self.ranks, 'rank')} in all",
        )

    @property
    def group_of_rank(self) -> npt.NDArray[np.int32]:
        """Group of each rank, from 0; without groups each rank is one."""
        sizes = self.groups or (1,) * self.ranks
        return np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)

    def blocks_of_rank(self, rank: int) -> npt.NDArray[np.int64]:
        """Return the indices of a rank's blocks, ascending."""
        return np.flatnonzero(self.owner == rank).astype(np.int64)


Strategy = Callable[[BlockTable, int], Assignment]


def round_robin(table: BlockTable, ranks: int) -> Assignment:
    """Deal blocks out one by one: every rank gets its share of every population."""
    owner = (np.arange(table.n_blocks) % ranks).astype(np.int32)
    return Assignment(ranks, owner, "round_robin")


def contiguous(table: BlockTable, ranks: int) -> Assignment:
    """Cut the sequence of blocks into pieces with about equally many neurons."""
    middle = np.cumsum(table.size) - 0.5 * table.size
    owner = np.minimum(middle * ranks // max(1, int(table.size.sum())), ranks - 1)
    return Assignment(ranks, owner.astype(np.int32), "contiguous")


def whole_populations(table: BlockTable, ranks: int) -> Assignment:
    """Give whole populations to ranks, the largest first to the rank with the fewest neurons."""
    sizes = np.bincount(table.population, table.size)
    rank_of_population = np.empty(sizes.size, np.int32)
    neurons = np.zeros(ranks)
    for population in np.argsort(-sizes, kind="stable"):
        rank_of_population[population] = rank = int(np.argmin(neurons))
        neurons[rank] += sizes[population]
    return Assignment(ranks, rank_of_population[table.population], "population")


STRATEGIES: dict[str, Strategy] = {
    "round_robin": round_robin,
    "contiguous": contiguous,
    "population": whole_populations,
}


def make_assignment(table: BlockTable, ranks: int, strategy: str | Assignment) -> Assignment:
    """Return a strategy's assignment, or a given one after checking that it fits.

    Raises
    ------
    DescriptionError
        If the strategy is unknown or a given assignment is for other ranks or blocks.
    """
    if isinstance(strategy, Assignment):
        if strategy.ranks != ranks or strategy.owner.shape != (table.n_blocks,):
            raise DescriptionError(
                "made for another job",
                where="assignment",
                value=f"{counted(strategy.ranks, 'rank')}, {counted(strategy.owner.size, 'block')}",
                allowed=f"{counted(ranks, 'rank')}, {counted(table.n_blocks, 'block')}",
            )
        return strategy
    if strategy not in STRATEGIES:
        raise unknown("strategy", str(strategy), [*STRATEGIES, "graph"], where="partition")
    return STRATEGIES[strategy](table, ranks)
