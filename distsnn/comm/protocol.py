"""The interface of communicators, by which the rest of distsnn calls other ranks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar, overload

import numpy as np

# numba takes a third of a second to import: a process that only starts ranks does without
if TYPE_CHECKING:
    from distsnn.comm.exchange import Exchange
    from distsnn.comm.group_exchange import GroupExchange

T = TypeVar("T")


class Communicator(Protocol):
    """All ranks of a job, seen from one of them.

    Every method except `abort` is collective: all ranks call it, in the same order. A rank that
    waits yields its core to the other ranks.
    """

    @property
    def rank(self) -> int:
        """This rank, from 0."""

    @property
    def size(self) -> int:
        """Number of ranks."""

    @property
    def node_rank(self) -> int:
        """Index of this rank on its compute node, from 0."""

    @property
    def node_size(self) -> int:
        """Number of ranks on this compute node."""

    @property
    def cores(self) -> int:
        """Number of cores that all ranks of this compute node may use."""

    @property
    def library(self) -> str:
        """Name and version of the message library, for a run's metadata."""

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
            A new array; the argument is unchanged.
        """

    def alltoall(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Send an array to every rank and return the arrays of every rank, in rank order.

        Callers keep a part below 2^31 bytes and send larger arrays in rounds.

        Parameters
        ----------
        parts : sequence of ndarray, shape (n,), one for each rank
            Of any length; the same dtype (without objects) on all ranks.
        """

    def barrier(self) -> None:
        """Wait for all ranks."""

    def node_barrier(self) -> None:
        """Wait for the ranks of this compute node."""

    def exchange(
        self,
        max_spikes: int,
        max_spikes_total: int,
        epoch_steps: int,
        *,
        yielding: bool | None = None,
    ) -> "Exchange | None":
        """Return the spike exchange, or None for a single rank.

        Parameters
        ----------
        max_spikes : int
            Maximum spikes of this rank in a step (its number of neurons).
        max_spikes_total : int
            Maximum spikes of all ranks in a step; at least the sum of `max_spikes`.
        epoch_steps : int
            Maximum steps between two exchanges; the same on all ranks.
        yielding : bool, optional
            Whether a wait in the epoch loop yields the core, and sleeps if it lasts. By default it
            does if a compute node has more ranks than cores.

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
        """Return a spike exchange at two levels, or None for a single rank.

        Parameters
        ----------
        max_spikes, max_spikes_total, yielding
            As for `exchange`.
        epoch_steps : (int, int)
            Maximum steps of a group epoch, and of a global epoch: a multiple.
        groups : sequence of int
            Number of ranks of each rank group, in rank order.

        Raises
        ------
        DescriptionError
            An epoch can hold more spikes than MPI counts (2^31 - 1).
        """

    def gather_exit_codes(self, code: int, timeout_s: float | None) -> tuple[int, ...] | None:
        """Return the exit codes of all ranks, or None after the timeout.

        It is independent of other collective calls: a failing rank may call it while other ranks
        are still in another call.

        Parameters
        ----------
        code : int
            This rank's code.
        timeout_s : float or None
            Seconds to wait; None for no limit.
        """

    def abort(self, code: int) -> NoReturn:
        """End all ranks at once with an exit code. Not collective."""
