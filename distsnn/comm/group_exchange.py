"""The spike exchange at two levels: after group epochs inside rank groups, after global epochs
among all ranks (`distsnn.comm.group_entries`).
"""

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from distsnn import jit
from distsnn.comm.exchange import Exchange, ExchangeCounters, MpiHandles, ReceiveBuffer
from distsnn.comm.group_entries import COMPLETE_UNTIL, GLOBAL, GROUP, GROUP_TABLE_SIZE


def ranks_of_group(groups: Sequence[int], rank: int) -> range:
    """Return the ranks of the rank group that contains a rank.

    Parameters
    ----------
    groups : sequence of int
        Number of ranks of each group.
    rank : int
        The rank.
    """
    ends = accumulate(groups)
    return next(
        range(end - size, end) for size, end in zip(groups, ends, strict=True) if rank < end
    )


class GroupExchange:
    """Two exchanges behind the interface of a single exchange.

    Made by `Communicator.exchange_in_groups`; it has the interface of `Exchange`.

    Parameters
    ----------
    entry : jit.Entry
        `blocking_group_entry`, `yielding_group_entry` or `dry_run_group_entry`.
    rank, max_spikes_by_rank, max_spikes_total, error_text
        As for `Exchange`, of all ranks.
    epoch_steps : (int, int)
        Maximum steps of a group epoch, and of a global epoch: a multiple.
    groups : sequence of int
        Number of ranks of each group, in their order.
    handles : (MpiHandles, MpiHandles)
        MPI handles of the group and of all ranks.

    Attributes
    ----------
    send_buffer, received_gid, received_step, n_received, error_text
        As in `Exchange`. Spikes of the rank group come first, then spikes of other ranks, which
        may be of any step since the last global exchange.
    table : ndarray of int64
        The entry's table.
    scalars : ndarray of float64
        The entry's scalars; it uses none.
    spikes_from_rank : ndarray of int64, shape (size,)
        Number of received spikes from each rank, of the neurons passed to `count_spikes_of`.
    complete_until : ndarray of int64, shape (1,)
        The iteration before which the spikes of all ranks are known.

    Raises
    ------
    DescriptionError
        An epoch can hold more spikes than MPI counts (2^31 - 1).
    ValueError
        The global epoch is not a multiple of the group epoch, or groups do not add up to all
        ranks.
    """

    def __init__(
        self,
        entry: jit.KernelEntry,
        *,
        rank: int,
        max_spikes_by_rank: Sequence[int],
        max_spikes_total: int,
        epoch_steps: tuple[int, int],
        groups: Sequence[int],
        handles: tuple[MpiHandles, MpiHandles],
        error_text: Callable[[int], str],
    ) -> None:
        group_steps, global_steps = epoch_steps
        if group_steps < 1 or global_steps % group_steps:
            raise ValueError(f"{global_steps} steps are not a multiple of {group_steps}")
        if sum(groups) != len(max_spikes_by_rank):
            n_ranks = len(max_spikes_by_rank)
            raise ValueError(f"rank groups {groups} do not add up to {n_ranks} ranks")
        group = ranks_of_group(groups, rank)
        group_max = max_spikes_by_rank[group.start : group.stop]
        self.spikes_from_rank = np.zeros(len(max_spikes_by_rank), np.int64)
        max_remote = max_spikes_total - sum(group_max)
        receive_buffer = ReceiveBuffer.with_capacity(
            sum(group_max) * group_steps + max_remote * global_steps
        )
        self._global_exchange = Exchange(
            entry,
            rank=rank,
            max_spikes_by_rank=max_spikes_by_rank,
            max_spikes_total=max_spikes_total,
            epoch_steps=global_steps,
            handles=handles[1],
            error_text=error_text,
            skip=group,
            receive_buffer=receive_buffer,
            spikes_from_rank=self.spikes_from_rank,
        )
        self._group_exchange = Exchange(
            entry,
            rank=rank - group.start,
            max_spikes_by_rank=group_max,
            max_spikes_total=sum(group_max),
            epoch_steps=group_steps,
            handles=handles[0],
            error_text=error_text,
            receive_buffer=receive_buffer,
            spikes_from_rank=self.spikes_from_rank[group.start : group.stop],
        )
        self.send_buffer = self._group_exchange.send_buffer
        self.received_gid, self.received_step = receive_buffer.gid, receive_buffer.step
        self.n_received, self.scalars = receive_buffer.n_spikes, np.zeros(1, np.float64)
        self.table = np.zeros(GROUP_TABLE_SIZE, np.int64)
        self.table[GROUP] = self._group_exchange.table.ctypes.data
        self.table[GLOBAL] = self._global_exchange.table.ctypes.data
        self.complete_until = self.table[COMPLETE_UNTIL : COMPLETE_UNTIL + 1]
        self.error_text = error_text
        self._entry = entry

    @property
    def address(self) -> int:
        """Address of the entry; the first access compiles it."""
        return self._entry.address

    @property
    def counters(self) -> ExchangeCounters:
        """The counters of global exchanges; their spikes come from other rank groups."""
        return self._global_exchange.counters

    @property
    def group_counters(self) -> ExchangeCounters:
        """The counters of exchanges inside the rank group."""
        return self._group_exchange.counters

    def count_spikes_of(self, neurons: npt.NDArray[np.uint64]) -> None:
        """Count the received spikes of some neurons in `spikes_from_rank` from now on.

        Parameters
        ----------
        neurons : ndarray of uint64
            A bitmap over all gids: bit g % 64 of word g // 64.
        """
        for level in (self._group_exchange, self._global_exchange):
            level.count_spikes_of(neurons)
