"""An assignment from a file: which rank has which population, or which of its blocks."""

from pathlib import Path
from typing import Any

import numpy as np

from distsnn.cli.rates import read_json
from distsnn.errors import DescriptionError, unknown
from distsnn.network import Network
from distsnn.network.blocks import blocks
from distsnn.network.checks import as_integer
from distsnn.partition.assignment import Assignment
from distsnn.units import counted

_ALLOWED = 'such as {"E": 0, "I": [1, 2]}, or {"owner": {"E": 0, "I": [1, 2]}, "groups": [1, 2]}'


def load_assignment(name: str, network: Network, ranks: int | None = None) -> Assignment:
    """Return the assignment that a file tells.

    Parameters
    ----------
    name : str
        A JSON file: of each population the rank, or a list of the rank of each of its blocks; or
        this as `owner`, and with it `groups`, the ranks of each group.
    network : Network
        The network that is assigned.
    ranks : int, optional
        Number of ranks; None: as many as the file names, by its groups or as owners, of which
        there is at most one for each block.

    Raises
    ------
    DescriptionError
        If there is no such file, or it holds anything else, or not all of the network.
    """
    where = f"--assignment {name}"
    found = read_json(Path(name), where, "a JSON file")
    groups: Any = []
    # a population may be called "owner", but has no populations itself
    if isinstance(found, dict) and isinstance(found.get("owner"), dict):
        if not found.keys() <= {"owner", "groups"}:
            other = min(found.keys() - {"owner", "groups"})
            raise unknown("field", other, ["owner", "groups"], where=where)
        found, groups = found["owner"], found.get("groups", [])
    if not isinstance(found, dict):
        raise DescriptionError("holds no ranks of populations", where=where, allowed=_ALLOWED)
    table, names = blocks(network), [one.name for one in network.populations]
    for one in found:
        if one not in names:
            raise unknown("population", one, names, where=where)
    for one in names:
        if one not in found:
            place = f"{where}: population {one!r}"
            raise DescriptionError("is missing", where=place, allowed=_ALLOWED)
    owner: list[int] = []
    for one, n in zip(names, np.bincount(table.population, minlength=len(names)), strict=True):
        place = f"{where}: population {one!r}"
        given = found[one] if isinstance(found[one], list) else [found[one]] * int(n)
        if len(given) != n:
            raise DescriptionError(
                "tells ranks of another number of blocks",
                where=place,
                value=len(given),
                allowed=f"{n}, of up to {counted(table.block_size, 'neuron')}; or one rank",
            )
        most = (ranks or table.n_blocks) - 1
        owner += [as_integer(rank, where=place, high=most) for rank in given]
    # the last ranks of groups may own nothing
    ranks = ranks or max(max(owner) + 1, _ranks_of(groups))
    try:
        return Assignment(ranks, np.array(owner, np.int32), groups=groups)
    except DescriptionError as error:
        raise error.within(where) from error


def _ranks_of(groups: Any) -> int:
    """Return how many ranks groups have, 0 where they are none."""
    sizes = groups if isinstance(groups, list) else []
    whole = all(isinstance(one, int) and not isinstance(one, bool) and one >= 1 for one in sizes)
    return sum(sizes) if whole else 0
