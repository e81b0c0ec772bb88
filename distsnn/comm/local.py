"""Communicators of a single process: the only rank of a job, and the dry run of one of N ranks."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn, TypeVar, overload

import numpy as np

from distsnn.errors import DescriptionError

if TYPE_CHECKING:  # with numba, see `protocol`
    from distsnn.comm.exchange import Exchange
    from distsnn.comm.group_exchange import GroupExchange

T = TypeVar("T")


class SingleProcess:
    """The communicator of a job with one rank."""

    rank = 0
    size = 1
    node_rank = 0
    node_size = 1
    library = "single process"

    @property
    def cores(self) -> int:
        """Number of cores this process may use."""
        return len(os.sched_getaffinity(0))

    def bcast(self, value: T) -> T:
        """Return `value`."""
        return value

    def gather(self, value: T) -> list[T] | None:
        """Return ``[value]``."""
        return [value]

    def allgather(self, value: T) -> list[T]:
        """Return ``[value]``."""
        return [value]

    @overload
    def allreduce_max(self, value: int) -> int: ...
    @overload
    def allreduce_max(self, value: np.ndarray) -> np.ndarray: ...
    def allreduce_max(self, value: int | np.ndarray) -> int | np.ndarray:
        """Return `value`, an array as a copy."""
        return value.copy() if isinstance(value, np.ndarray) else value

    def alltoall(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return a list of this rank's part."""
        return [parts[0]]

    def barrier(self) -> None:
        """Return at once."""

    def node_barrier(self) -> None:
        """Return at once."""

    def exchange(
        self,
        max_spikes: int,
        max_spikes_total: int,
        epoch_steps: int,
        *,
        yielding: bool | None = None,
    ) -> "Exchange | None":
        """Return None: a single rank exchanges no spikes."""
        return None

    def exchange_in_groups(
        self,
        max_spikes: int,
        max_spikes_total: int,
        epoch_steps: tuple[int, int],
        groups: Sequence[int],
        *,
        yielding: bool | None = None,
    ) -> "GroupExchange | None":
        """Return None: a single rank exchanges no spikes."""
        return None

    def gather_exit_codes(self, code: int, timeout_s: float | None) -> tuple[int, ...] | None:
        """Return ``(code,)``."""
        return (code,)

    def abort(self, code: int) -> NoReturn:
        """Raise SystemExit with the code."""
        sys.stdout.flush()
        sys.stderr.flush()
        raise SystemExit(code)


class DryRun(SingleProcess):
    """Imitates one of N ranks in a single process, to estimate its memory and build time.

    The other ranks are assumed equal to this rank: gathering repeats this rank's value, and epochs
    are as long as its own delays allow. They never spike. All are on this compute node.

    Parameters
    ----------
    rank : int
        The rank to imitate.
    size : int
        The number of ranks to imitate.

    Raises
    ------
    DescriptionError
        `rank` is not in ``range(size)``.
    """

    library = "dry run"

    def __init__(self, rank: int, size: int) -> None:
        if not 0 <= rank < size:
            raise DescriptionError(
                "no such rank", where="dry run", value=rank, allowed=f"0 to {size - 1}"
            )
        self.rank = self.node_rank = rank
        self.size = self.node_size = size

    def gather(self, value: T) -> list[T] | None:
        """Return `value` repeated on rank 0, None elsewhere."""
        return [value] * self.size if self.rank == 0 else None

    def allgather(self, value: T) -> list[T]:
        """Return `value` repeated."""
        return [value] * self.size

    def alltoall(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return this rank's part repeated."""
        return [parts[self.rank]] * self.size

    def exchange(
        self,
        max_spikes: int,
        max_spikes_total: int,
        epoch_steps: int,
        *,
        yielding: bool | None = None,
    ) -> "Exchange | None":
        """Return an exchange in which other ranks never spike; None for a single rank."""
        if self.size == 1:
            return None
        from distsnn.comm.exchange import Exchange, MpiHandles
        from distsnn.comm.exchange_entries import dry_run_entry

        return Exchange(
            dry_run_entry,
            rank=self.rank,
            max_spikes_by_rank=self._max_spikes_by_rank(max_spikes, max_spikes_total),
            max_spikes_total=max_spikes_total,
            epoch_steps=epoch_steps,
            handles=MpiHandles(),
            error_text=str,
        )

    def exchange_in_groups(
        self,
        max_spikes: int,
        max_spikes_total: int,
        epoch_steps: tuple[int, int],
        groups: Sequence[int],
        *,
        yielding: bool | None = None,
    ) -> "GroupExchange | None":
        """Return an exchange in which other ranks never spike; None for a single rank."""
        if self.size == 1:
            return None
        from distsnn.comm.exchange import MpiHandles
        from distsnn.comm.group_entries import dry_run_group_entry
        from distsnn.comm.group_exchange import GroupExchange

        return GroupExchange(
            dry_run_group_entry,
            rank=self.rank,
            max_spikes_by_rank=self._max_spikes_by_rank(max_spikes, max_spikes_total),
            max_spikes_total=max_spikes_total,
            epoch_steps=epoch_steps,
            groups=groups,
            handles=(MpiHandles(), MpiHandles()),
            error_text=str,
        )

    def _max_spikes_by_rank(self, max_spikes: int, max_spikes_total: int) -> list[int]:
        remote = [(max_spikes_total - max_spikes) // (self.size - 1)] * (self.size - 1)
        return [*remote[: self.rank], max_spikes, *remote[self.rank :]]

    def gather_exit_codes(self, code: int, timeout_s: float | None) -> tuple[int, ...] | None:
        """Return `code` repeated."""
        return (code,) * self.size
