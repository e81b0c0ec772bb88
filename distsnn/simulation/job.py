"""Start of a run: its origin, the checkpoint it resumes, and the partition of a resumed run."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError, StoreError
from distsnn.io.reader import StoreReader
from distsnn.io.run_lock import RunLock
from distsnn.partition.assignment import STRATEGIES, Assignment
from distsnn.partition.graph import Graph
from distsnn.units import format_count


@dataclass(frozen=True)
class Job:
    """Start of a simulation, beside the settings of a script.

    Attributes
    ----------
    model : dict or None
        Origin of the network, for the run's metadata.
    start : str, PathLike, StoreReader or None
        A store with a checkpoint from which to resume, written by any number of ranks. If the run
        is recorded to the same store, it continues in a new attempt. A reader from
        `open_shared_reader` is used as it is: rank 0 must have had the lock when it was opened.
    lock : RunLock or None
        The lock on the run's store, if rank 0 has it already; the simulation releases it at its
        end.
    """

    model: dict[str, Any] | None = None
    start: str | os.PathLike[str] | StoreReader | None = None
    lock: RunLock | None = None


def stored_assignment(reader: StoreReader) -> Assignment | None:
    """Return the assignment of a run's last attempt; None where the store holds none.

    Raises
    ------
    StoreError
        If it is corrupt.
    """
    if not reader.attempts or not reader.attempts[-1].assignment:
        return None
    last = reader.attempts[-1]
    stored = last.assignment
    strategy, owner, settings = (stored.get(name) for name in ("strategy", "owner", "settings"))
    try:
        if not isinstance(strategy, str) or not isinstance(owner, list):
            raise TypeError("strategy or owner is missing")
        if settings:
            Graph.from_dict(settings).relative_speeds(last.n_ranks)
        groups = stored.get("groups", [])  # which older runs do not have
        owner_array = np.array(owner, np.int32)
        return Assignment(last.n_ranks, owner_array, strategy, settings or {}, groups)
    except (TypeError, ValueError, OverflowError) as error:
        raise StoreError(f"corrupt: assignment: {error}", path=str(reader.path)) from error


def partition_for_resume(reader: StoreReader, ranks: int) -> str | Assignment | Graph:
    """Return the strategy or assignment of a resumed run.

    Parameters
    ----------
    reader : StoreReader
        The run.
    ranks : int
        Number of ranks of the resumed run.

    Raises
    ------
    DescriptionError
        If its partition is for another number of ranks: given, or with a share of each rank.
    StoreError
        If what the store holds is corrupt.
    """
    assignment = stored_assignment(reader)
    if assignment is None:
        return "round_robin"
    if assignment.ranks == ranks:
        return assignment
    if assignment.strategy in STRATEGIES:
        return assignment.strategy
    if assignment.strategy != "graph" or assignment.settings.get("rank_speeds") is not None:
        subject = "rank speeds were" if assignment.strategy == "graph" else "the assignment was"
        raise DescriptionError(
            f"{subject} given for {format_count(assignment.ranks, 'rank')}",
            where=f"partition of {reader.path}",
            value=format_count(ranks, "rank"),
            allowed=format_count(assignment.ranks, "rank"),
            hint="choose another partition",
        )
    return Graph.from_dict(assignment.settings)
