"""Assignments of blocks to ranks, and the simple partition strategies that compute them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network.blocks import BlockTable
from distsnn.network.checks import as_integer
from distsnn.public_api import public_class
from distsnn.units import format_count


@public_class
@dataclass(frozen=True, eq=False)
class Assignment:
    """Map from blocks to the ranks that own them, with optional rank groups.

    Parameters
    ----------
    ranks : int
        Number of ranks. A rank may own no block.
    owner : array_like of int, shape (n_blocks,)
        Owner of each block, 0 to ``ranks - 1``.
    strategy : str
        Name of the partition strategy.
    settings : mapping
        Settings of the strategy, as JSON-able data.
    groups : sequence of int
        Number of ranks in each rank group, in the order of ranks. Ranks of one group exchange
        spikes more often than groups do, if delays allow. Empty: all ranks exchange together.

    Raises
    ------
    DescriptionError
        If the owners are not a list of integers, an owner is not a rank, or the sizes of groups do
        not add up to the number of ranks.
    """

    ranks: int
    owner: npt.NDArray[np.int32]
    strategy: str = "given"
    settings: Mapping[str, Any] = field(default_factory=dict)
    groups: Sequence[int] = ()

    def __post_init__(self) -> None:
        as_integer(self.ranks, where="assignment, field ranks", low=1)
        owner = np.asarray(self.owner)
        if owner.ndim != 1 or owner.dtype.kind not in "iu":
            raise DescriptionError(
                "must have one rank per block",
                where="assignment, field owner",
                value=self.owner,
                allowed="a list or array of integers",
            )
        is_invalid = (owner < 0) | (owner >= self.ranks)
        if is_invalid.any():
            block = int(np.argmax(is_invalid))
            raise DescriptionError(
                "the owner is not a rank",
                where=f"assignment, block {block}",
                value=int(owner[block]),
                allowed=f"0 to {self.ranks - 1}",
            )
        object.__setattr__(self, "owner", owner.astype(np.int32, copy=False))
        object.__setattr__(self, "groups", self._checked_groups())
        object.__setattr__(self, "settings", dict(self.settings))  # as in `Graph`

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
            sizes = format_count(len(sizes), "size")  # a store may hold a list of any length
        raise DescriptionError(
            "the sizes of rank groups do not add up to the number of ranks",
            where="assignment, field groups",
            value=sizes,
            allowed=f"sizes of two or more groups, {format_count(self.ranks, 'rank')} in all",
        )

    @property
    def group_of_rank(self) -> npt.NDArray[np.int32]:
        """Rank group of each rank, from 0; without groups each rank is a group of its own."""
        sizes = self.groups or (1,) * self.ranks
        return np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)

    def blocks_of_rank(self, rank: int) -> npt.NDArray[np.int64]:
        """Return the indices of the blocks that a rank owns, ascending."""
        return np.flatnonzero(self.owner == rank).astype(np.int64)


Strategy = Callable[[BlockTable, int], Assignment]


def round_robin(table: BlockTable, ranks: int) -> Assignment:
    """Assign block i to rank i modulo the number of ranks, which splits every population."""
    owner = (np.arange(table.n_blocks) % ranks).astype(np.int32)
    return Assignment(ranks, owner, "round_robin")


def contiguous(table: BlockTable, ranks: int) -> Assignment:
    """Assign to each rank a range of consecutive blocks with about the same number of neurons."""
    middle = np.cumsum(table.size) - 0.5 * table.size
    owner = np.minimum(middle * ranks // max(1, int(table.size.sum())), ranks - 1)
    return Assignment(ranks, owner.astype(np.int32), "contiguous")


def whole_populations(table: BlockTable, ranks: int) -> Assignment:
    """Assign whole populations, the largest first, each to the rank with the fewest neurons."""
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


# Also the strategy `partition.graph.Graph`, which needs more than blocks and ranks.
STRATEGY_NAMES = (*STRATEGIES, "graph")


def check_strategy(
    name: str, names: Iterable[str] = STRATEGY_NAMES, *, where: str = "partition"
) -> None:
    """Raise DescriptionError if the name of a partition strategy is unknown."""
    if name not in names:
        raise unknown_name_error("strategy", str(name), STRATEGY_NAMES, where=where)


def make_assignment(table: BlockTable, ranks: int, strategy: str | Assignment) -> Assignment:
    """Compute the assignment of a strategy, or check that a given assignment fits.

    Raises
    ------
    DescriptionError
        If the strategy is unknown, or the assignment has another number of ranks or blocks.
    """
    if isinstance(strategy, Assignment):
        if strategy.ranks != ranks or strategy.owner.shape != (table.n_blocks,):
            raise DescriptionError(
                "the assignment does not match the number of ranks and blocks of this run",
                where="assignment",
                value=f"{format_count(strategy.ranks, 'rank')}, "
                f"{format_count(strategy.owner.size, 'block')}",
                allowed=f"{format_count(ranks, 'rank')}, {format_count(table.n_blocks, 'block')}",
            )
        return strategy
    check_strategy(strategy, STRATEGIES)
    return STRATEGIES[strategy](table, ranks)
