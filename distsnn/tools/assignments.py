"""An assignment from a file: the owner of each population, or of each of its blocks."""

import os
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network import Network
from distsnn.network.blocks import make_blocks
from distsnn.network.checks import as_integer
from distsnn.partition.assignment import Assignment
from distsnn.tools.profiles import read_json
from distsnn.units import format_count

_ALLOWED = 'such as {"E": 0, "I": [1, 2]}, or {"owner": {"E": 0, "I": [1, 2]}, "groups": [1, 2]}'


def load_assignment(
    path: str | os.PathLike[str], network: Network, ranks: int | None = None
) -> Assignment:
    """Return the assignment in a file.

    Parameters
    ----------
    path : str or PathLike
        A JSON file: of each population the rank, or a list of the rank of each of its blocks; or
        this as `owner`, and with it `groups`, the ranks of each group.
    network : Network
        The network that is assigned.
    ranks : int, optional
        Number of ranks; None: the number that the groups or the owners in the file imply.

    Raises
    ------
    DescriptionError
        If the file does not exist, has another content, or does not cover the network.
    """
    where = f"assignment {os.fspath(path)}"
    content = read_json(path, where, "a JSON file")
    groups: Any = []
    # a population may be called "owner", but has no populations itself
    if isinstance(content, dict) and isinstance(content.get("owner"), dict):
        if not content.keys() <= {"owner", "groups"}:
            other = min(content.keys() - {"owner", "groups"})
            raise unknown_name_error("field", other, ["owner", "groups"], where=where)
        content, groups = content["owner"], content.get("groups", [])
    if not isinstance(content, dict):
        raise DescriptionError("holds no ranks of populations", where=where, allowed=_ALLOWED)
    table = make_blocks(network)
    names = [population.name for population in network.populations]
    for population_name in content:
        if population_name not in names:
            raise unknown_name_error("population", population_name, names, where=where)
    for population_name in names:
        if population_name not in content:
            context = f"{where}: population {population_name!r}"
            raise DescriptionError("is missing", where=context, allowed=_ALLOWED)
    owner: list[int] = []
    for population_name, n in zip(
        names, np.bincount(table.population, minlength=len(names)), strict=True
    ):
        context = f"{where}: population {population_name!r}"
        rank_list = (
            content[population_name]
            if isinstance(content[population_name], list)
            else [content[population_name]] * int(n)
        )
        if len(rank_list) != n:
            raise DescriptionError(
                "the number of blocks differs from the network",
                where=context,
                value=len(rank_list),
                allowed=f"{n}, of up to {format_count(table.block_size, 'neuron')}; or one rank",
            )
        max_rank = (ranks or max(table.n_blocks, _count_ranks(groups))) - 1
        owner += [as_integer(rank, where=context, high=max_rank) for rank in rank_list]
    # the last ranks of groups may own nothing
    ranks = ranks or max(max(owner) + 1, _count_ranks(groups))
    try:
        return Assignment(ranks, np.array(owner, np.int32), groups=groups)
    except DescriptionError as error:
        raise error.in_context(where) from error


def _count_ranks(groups: Any) -> int:
    """Return the number of ranks in the groups; 0 without groups."""
    sizes = groups if isinstance(groups, list) else []
    is_list_of_sizes = all(
        isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in sizes
    )
    return sum(sizes) if is_list_of_sizes else 0
