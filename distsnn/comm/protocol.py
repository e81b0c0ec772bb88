"""What a communicator is: the one view of the other ranks that the rest of distsnn has."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar, overload

import numpy as np

# numba takes a third of a second to import: a process that only starts ranks skips it
if TYPE_CHECKING:
    from distsnn.comm.exchange import Exchange
    from distsnn.comm.group_exchange import GroupExchange

T = TypeVar("T")


class Communicator(Protocol):
    """All ranks of a job, seen from one of them.

    Every method except `abort` is collective: all ranks call it, in the same order. Waiting is
    polite: a rank that waits for a long serial phase of another leaves it the core.
    """

    @property
    def rank(self) -> int:
        """This rank, from 0."""

    @property
    def size(self) -> int:
        """Number of ranks."""

    @property
    def node_rank(self) -> int:
        """This rank among those on the same node, from 0."""

    @property
    def node_size(self) -> int:
        """Number of ranks on this node."""

    @property
    def cores(self) -> int:
        """Number of cores that the ranks of this node may use together."""

    @property
    def library(self) -> str:
        """Name and version of what carries the messages, for a run's metadata."""

    def bcast(self, value: T) -> T:
        """Return rank 0's `value` on all ranks (any object that can be pickled)."""

    def gather(self, value: T) -> list[T] | None:
        """Return all ranks' values in rank order on rank 0, None elsewhere."""

    def allgather(self, value: T) -> list[T]:
        """Return all ranks' values in rank order."""

    @overload
    def allreduce_max(self, value: int) -> int: ...
    @overload
    def allreduce_max(self, value: np.ndarray) -> np.ndarray: ...
    def allreduce_max(self, value: int | np.ndarray) -> int | np.ndarray:
        """Return the maximum over ranks, element by element.

        Parameters
        ----------
        value : int or ndarray
            Same shape and dtype (a number, not bool) on all ranks.

        Returns
        -------
        int or ndarray
            A new array; the argument is left as it was.
        """

    def alltoall(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Send an array to every rank and return what every rank sent here, in rank order.

        Callers keep a part below 2^31 bytes: what is larger goes in rounds.

        Parameters
        ----------
        parts : sequence of ndarray, shape (n,), one for each rank
            Any length, this rank's own included; the same dtype (without objects) on all ranks.
        """

    def barrier(self) -> None:
        """Wait for all ranks, leaving the core to others meanwhile."""

    def node_barrier(self) -> None:
        """Wait for the ranks of this node, leaving the core to others meanwhile."""

    def exchange(
        self,
        max_spikes: int,
        max_spikes_total: int,
        epoch_steps: int,
        *,
        yielding: bool | None = None,
    ) -> "Exchange | None":
        """Return the exchange of spikes, or None where there is no other rank.

        Parameters
        ----------
        max_spikes : int
            Most spikes of this rank in one step (its number of neurons).
        max_spikes_total : int
            Most spikes of all ranks in one step; at least the sum of `max_spikes`.
        epoch_steps : int
            Most steps between two exchanges; the same on all ranks.
        yielding : bool, optional
            Whether waiting in the compiled loop gives the core away. By default it does where
            a node has more ranks than cores.

        Raises
        ------
        DescriptionError
            An epoch can hold more spikes than MPI counts (2^31 - 1).
        """

    def exchange_in_groups(
        self,
        max_spikes: int,
        max_spikes_total: int,
        epoch_steps: tuple[int, int],
        groups: Sequence[int],
        *,
        yielding: bool | None = None,
    ) -> "GroupExchange | None":
        """Return an exchange at two levels, or None where there is no other rank.

        Parameters
        ----------
        max_spikes, max_spikes_total, yielding
            As for `exchange`.
        epoch_steps : (int, int)
            Most steps between two exchanges inside groups, and among all ranks: a multiple.
        groups : sequence of int
            How many ranks each group has: the first ones, those that follow, and so on.

        Raises
        ------
        DescriptionError
            An epoch can hold more spikes than MPI counts (2^31 - 1).
        """

    def gather_exit_codes(self, code: int, patience: float | None) -> tuple[int, ...] | None:
        """Return all ranks' codes at the end of the job, or None if not all came in time.

        It does not get in the way of other collectives, so a failing rank may call it while the
        others still are in one.

        Parameters
        ----------
        code : int
            This rank's code.
        patience : float or None
            Seconds to wait; None waits for good.
        """

    def abort(self, code: int) -> NoReturn:
        """End all ranks at once with an exit code. Not collective."""
