"""The exchange of spikes at two levels: every short epoch inside groups of ranks, every long one
among all (see `distsnn.comm.group_entries`).
"""

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from distsnn import jit
from distsnn.comm.exchange import Exchange, ExchangeCounters, MpiHandles, ReceiveBuffer
from distsnn.comm.group_entries import COMPLETE_UNTIL, GLOBAL, GROUP, GROUP_TABLE_SIZE


def ranks_of_group(groups: Sequence[int], rank: int) -> range:
    """Return the ranks of the group that a rank is in.

    Parameters
    ----------
    groups : sequence of int
        How many ranks each group has.
    rank : int
        The rank.
    """
    ends = accumulate(groups)
    return next(
        range(end - size, end) for size, end in zip(groups, ends, strict=True) if rank < end
    )


class GroupExchange:
    """Two exchanges as one: the compiled loop sees that of its group.

    Made by `Communicator.exchange_in_groups`. What it offers is what `Exchange` does.

    Parameters
    ----------
    entry : jit.Entry
        `blocking_group_entry`, `yielding_group_entry` or `dry_run_group_entry`.
    rank, max_spikes_by_rank, max_spikes_total, error_text
        As for `Exchange`, of all ranks.
    epoch_steps : (int, int)
        Most steps between two exchanges inside groups, and among all ranks: a multiple.
    groups : sequence of int
        How many ranks each group has, in their order.
    handles : (Handles, Handles)
        MPI handles of the group and of all ranks.

    Attributes
    ----------
    send_buffer, received_gid, received_step, arrivals, error_text
        As in `Exchange`. Spikes of the own group come first, then those of others, which may be of
        any step since they came last.
    table : ndarray of int64
        The entry's table.
    scalars : ndarray of float64
        The entry's scalars; it uses none.
    heard : ndarray of int64, shape (size,)
        How many spikes of the neurons that were named to `count` came from each rank.
    complete_until : ndarray of int64, shape (1,)
        The loop before which all ranks' spikes are known.

    Raises
    ------
    DescriptionError
        An epoch can hold more spikes than MPI counts (2^31 - 1).
    ValueError
        The longer epoch is no multiple of the shorter, or groups are not of all ranks.
    """

    def __init__(
        self,
        entry: jit.Entry,
        *,
        rank: int,
        max_spikes_by_rank: Sequence[int],
        max_spikes_total: int,
        epoch_steps: tuple[int, int],
        groups: Sequence[int],
        handles: tuple[MpiHandles, MpiHandles],
        error_text: Callable[[int], str],
    ) -> None:
        inner, outer = epoch_steps
        if inner < 1 or outer % inner:
            raise ValueError(f"{outer} steps are no multiple of {inner}")
        if sum(groups) != len(max_spikes_by_rank):
            raise ValueError(f"groups of {groups} ranks are not of {len(max_spikes_by_rank)}")
        mine = ranks_of_group(groups, rank)
        mates = max_spikes_by_rank[mine.start : mine.stop]
        self.spikes_from_rank = np.zeros(len(max_spikes_by_rank), np.int64)
        list_of_all = ReceiveBuffer.of(sum(mates) * inner + (max_spikes_total - sum(mates)) * outer)
        self._across = Exchange(
            entry,
            rank=rank,
            max_spikes_by_rank=max_spikes_by_rank,
            max_spikes_total=max_spikes_total,
            epoch_steps=outer,
            handles=handles[1],
            error_text=error_text,
            skip=mine,
            arrivals=list_of_all,
            heard=self.spikes_from_rank,
        )
        self._inside = Exchange(
            entry,
            rank=rank - mine.start,
            max_spikes_by_rank=mates,
            max_spikes_total=sum(mates),
            epoch_steps=inner,
            handles=handles[0],
            error_text=error_text,
            arrivals=list_of_all,
            heard=self.spikes_from_rank[mine.start : mine.stop],
        )
        self.send_buffer = self._inside.send_buffer
        self.received_gid, self.received_step = list_of_all.gid, list_of_all.step
        self.n_received, self.scalars = list_of_all.number, np.zeros(1, np.float64)
        self.table = np.zeros(GROUP_TABLE_SIZE, np.int64)
        self.table[GROUP] = self._inside.table.ctypes.data
        self.table[GLOBAL] = self._across.table.ctypes.data
        self.complete_until = self.table[COMPLETE_UNTIL : COMPLETE_UNTIL + 1]
        self.error_text = error_text
        self._entry = entry

    @property
    def address(self) -> int:
        """Address of the entry (compiles it when first asked for)."""
        return self._entry.address

    @property
    def counters(self) -> ExchangeCounters:
        """What has been exchanged among all ranks so far: spikes are those of other groups."""
        return self._across.counters

    @property
    def group_counters(self) -> ExchangeCounters:
        """What has been exchanged inside the group."""
        return self._inside.counters

    def count(self, neurons: npt.NDArray[np.uint64]) -> None:
        """Count from now on, in `heard`, the spikes that arrive of some neurons.

        Parameters
        ----------
        neurons : ndarray of uint64
            A bitmap over all gids: bit g % 64 of word g // 64.
        """
        for level in (self._inside, self._across):
            level.count(neurons)
