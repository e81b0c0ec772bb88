"""The exchange of spikes at two levels: every short epoch inside groups of ranks, every long one
among all (see `distsnn.comm.group_entries`).
"""

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from distsnn import jit
from distsnn.comm.exchange import Arrivals, Exchange, ExchangeCounters, Handles
from distsnn.comm.group_entries import ACROSS, GROUP_TABLE_SIZE, INSIDE, KNOWN_UNTIL


def group_of(groups: Sequence[int], rank: int) -> range:
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
        `blocking_in_groups`, `yielding_in_groups` or `silent_in_groups`.
    rank, max_locals, max_total, explain
        As for `Exchange`, of all ranks.
    epoch_steps : (int, int)
        Most steps between two exchanges inside groups, and among all ranks: a multiple.
    groups : sequence of int
        How many ranks each group has, in their order.
    handles : (Handles, Handles)
        MPI handles of the group and of all ranks.

    Attributes
    ----------
    outbox, arrival_gid, arrival_step, arrivals, explain
        As in `Exchange`. Spikes of the own group come first, then those of others, which may be of
        any step since they came last.
    table : ndarray of int64
        The entry's table.
    scalars : ndarray of float64
        The entry's scalars; it uses none.
    heard : ndarray of int64, shape (size,)
        How many spikes of the neurons that were named to `count` came from each rank.
    known_until : ndarray of int64, shape (1,)
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
        max_locals: Sequence[int],
        max_total: int,
        epoch_steps: tuple[int, int],
        groups: Sequence[int],
        handles: tuple[Handles, Handles],
        explain: Callable[[int], str],
    ) -> None:
        inner, outer = epoch_steps
        if inner < 1 or outer % inner:
            raise ValueError(f"{outer} steps are no multiple of {inner}")
        if sum(groups) != len(max_locals):
            raise ValueError(f"groups of {groups} ranks are not of {len(max_locals)}")
        mine = group_of(groups, rank)
        mates = max_locals[mine.start : mine.stop]
        self.heard = np.zeros(len(max_locals), np.int64)
        list_of_all = Arrivals.of(sum(mates) * inner + (max_total - sum(mates)) * outer)
        self._across = Exchange(
            entry,
            rank=rank,
            max_locals=max_locals,
            max_total=max_total,
            epoch_steps=outer,
            handles=handles[1],
            explain=explain,
            skip=mine,
            arrivals=list_of_all,
            heard=self.heard,
        )
        self._inside = Exchange(
            entry,
            rank=rank - mine.start,
            max_locals=mates,
            max_total=sum(mates),
            epoch_steps=inner,
            handles=handles[0],
            explain=explain,
            arrivals=list_of_all,
            heard=self.heard[mine.start : mine.stop],
        )
        self.outbox = self._inside.outbox
        self.arrival_gid, self.arrival_step = list_of_all.gid, list_of_all.step
        self.arrivals, self.scalars = list_of_all.number, np.zeros(1, np.float64)
        self.table = np.zeros(GROUP_TABLE_SIZE, np.int64)
        self.table[INSIDE] = self._inside.table.ctypes.data
        self.table[ACROSS] = self._across.table.ctypes.data
        self.known_until = self.table[KNOWN_UNTIL : KNOWN_UNTIL + 1]
        self.explain = explain
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
