"""The exchange of spikes, once an epoch, in compiled code that calls MPI itself.

A rank's message is its send buffer, int32 words::

    n | spikes in step 0, 1, ... epoch_steps - 1 | gid, gid, ... in (step, gid) order

One MPI_Allgather sends the first `stride` words of every send buffer. It carries all counts, so
every rank knows whether a message is longer. If a message is, one MPI_Allgatherv sends the words
that remain: the overflow round. All ranks compute the next stride from the same counts. The stride
doubles until the longest message fits, and halves after a window of exchanges that would fit into
half of it. So no spike is lost, and a burst costs one overflow round but no longer message later.
"""

import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from distsnn import jit
from distsnn.comm.exchange_entries import (
    COMMUNICATOR,
    COUNTED_SOURCES,
    DATATYPE,
    EPOCH_STEPS,
    EXCHANGES,
    FIRST_STRIDE,
    LAYOUT,
    MAX_STRIDE,
    MAX_WORDS,
    MESSAGES,
    MIN_STRIDE,
    N_RECEIVED,
    OVERFLOW,
    RANK,
    RECEIVED_GID,
    RECEIVED_SPIKES,
    RECEIVED_STEP,
    SEND_BUFFER,
    SIZE,
    SKIP_FIRST,
    SKIP_LAST,
    SPIKES_FROM_RANK,
    STRIDE,
    STRIDE_CAP,
    TABLE_SIZE,
    WAIT,
    WINDOW,
    WINDOW_LEFT,
)
from distsnn.errors import DescriptionError

# Python names it from 3.13 on; the number is Linux's on x86 and ARM.
_NORESERVE: int = getattr(mmap, "MAP_NORESERVE", 0x4000)


@dataclass(frozen=True)
class MpiHandles:
    """MPI handles as integers (0 where no MPI is behind).

    Attributes
    ----------
    communicator, datatype : int
        Of the ranks that exchange, and of a 32-bit integer.
    """

    communicator: int = 0
    datatype: int = 0


@dataclass(frozen=True)
class ExchangeCounters:
    """What an exchange has done since it was made.

    Attributes
    ----------
    exchanges : int
        Number of epochs exchanged.
    overflow_rounds : int
        In how many of them a message was longer than the stride.
    received_bytes : int
        Bytes received by this rank, its own messages included.
    largest : int
        Most spikes of one rank in one epoch.
    received_spikes : int
        The other ranks' spikes.
    """

    exchanges: int
    overflow_rounds: int
    received_bytes: int
    largest: int
    received_spikes: int


@dataclass(frozen=True, eq=False)
class ReceiveBuffer:
    """The list of other ranks' spikes that exchanges fill.

    Attributes
    ----------
    gid, step : ndarray of uint32, int64
        Spikes and the loops that emitted them.
    number : ndarray of int64, shape (1,)
        How many there are.
    """

    gid: npt.NDArray[np.uint32]
    step: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]

    @classmethod
    def of(cls, capacity: int) -> Self:
        """Return a list for so many spikes."""
        gid, step = _reserved(capacity, np.uint32), _reserved(capacity, np.int64)
        return cls(gid, step, np.zeros(1, np.int64))


class Exchange:
    """The buffers and the entry by which the compiled loop swaps an epoch's spikes.

    Made by `Communicator.exchange`. The loop writes its own spikes of an epoch to `send_buffer` and
    calls ``entry(table, scalars, first, last, step)`` with the epoch's first step and its end;
    the epoch may be shorter than `epoch_steps`; `step` is the loop before which the run stops. The
    call returns 0, or an MPI error code that `error_text` puts into words.

    Parameters
    ----------
    entry : jit.Entry
        `blocking_entry`, `yielding_entry` or `dry_run_entry`.
    rank : int
        This rank.
    max_spikes_by_rank : sequence of int
        Every rank's most spikes in one step.
    max_spikes_total : int
        Most spikes of all ranks in one step, at least the sum of `max_spikes_by_rank`.
    epoch_steps : int
        Most steps between two exchanges.
    handles : Handles
        MPI handles.
    error_text : callable
        Puts an MPI error code into words.
    skip : range, optional
        Ranks whose spikes are not taken; by default this one.
    arrivals : Arrivals, optional
        Where spikes arrive, if another exchange has the same list.
    heard : ndarray of int64, shape (size,), optional
        Where spikes are counted by rank, if not in an array of its own.

    Attributes
    ----------
    send_buffer : ndarray of int32
        Entry 0: number of spikes. Entry 1 + i: spikes in the epoch's step i; entries past the end
        of a short epoch are not read. From entry 1 + `epoch_steps` on: gids (bit patterns of
        uint32) in (step, gid) order.
    received_gid : ndarray of uint32
        The other ranks' spikes of the last exchange, ordered by (rank, step).
    received_step : ndarray of int64
        The loop indices of these spikes, in [first, last).
    arrivals : ndarray of int64, shape (1,)
        Their number.
    table : ndarray of int64
        The entry's table, laid out as in the module's docstring.
    scalars : ndarray of float64
        The entry's scalars; it uses none.
    heard : ndarray of int64, shape (size,)
        How many spikes of the neurons that were named to `count` came from each rank.
    complete_until : None
        All ranks' spikes are known up to the epoch's first step.
    group_counters : None
        There are no groups of ranks.

    Raises
    ------
    DescriptionError
        An epoch can hold more spikes than MPI counts (2^31 - 1).
    ValueError
        `max_spikes_total` is less than the sum of `max_spikes_by_rank`, or `epoch_steps` is 0.
    """

    complete_until: None = None
    group_counters: None = None

    def __init__(
        self,
        entry: jit.Entry,
        *,
        rank: int,
        max_spikes_by_rank: Sequence[int],
        max_spikes_total: int,
        epoch_steps: int,
        handles: MpiHandles,
        error_text: Callable[[int], str],
        skip: range | None = None,
        arrivals: ReceiveBuffer | None = None,
        heard: npt.NDArray[np.int64] | None = None,
    ) -> None:
        size, header = len(max_spikes_by_rank), 1 + epoch_steps
        if epoch_steps < 1:
            raise ValueError(f"epoch_steps is {epoch_steps}, must be at least 1")
        if max_spikes_total < sum(max_spikes_by_rank):
            raise ValueError(
                f"max_spikes_total is {max_spikes_total}, the ranks have {sum(max_spikes_by_rank)}"
            )
        capacity = max_spikes_total * epoch_steps
        if capacity + size * header > MAX_WORDS:
            raise DescriptionError(
                "an epoch of so many steps can hold more spikes than one exchange",
                where="exchange of spikes",
                value=epoch_steps,
                allowed=f"at most {max(1, MAX_WORDS // (max_spikes_total + size) - 1)} steps "
                f"for {max_spikes_total} neurons",
            )
        least = _power_of_two(max(FIRST_STRIDE, 2 * header))
        longest = _power_of_two(header + max(max_spikes_by_rank) * epoch_steps)
        limit = max(least, min(STRIDE_CAP, longest))
        self.send_buffer = _reserved(
            max(limit, header + max_spikes_by_rank[rank] * epoch_steps), np.int32
        )
        arrivals = arrivals or ReceiveBuffer.of(capacity)
        self.received_gid, self.received_step = arrivals.gid, arrivals.step
        self.n_received = arrivals.number
        self._inbox = _reserved(size * limit, np.int32)
        self._rest = _reserved(capacity, np.int32)
        self._layout = np.zeros(2 * size, np.int32)
        self._wait = np.zeros(16, np.int64)
        self.spikes_from_rank = np.zeros(size, np.int64) if heard is None else heard
        self.scalars = np.zeros(1, np.float64)
        self.table = np.zeros(TABLE_SIZE, np.int64)
        for index, buffer in (
            (SEND_BUFFER, self.send_buffer),
            (MESSAGES, self._inbox),
            (OVERFLOW, self._rest),
            (RECEIVED_GID, self.received_gid),
            (RECEIVED_STEP, self.received_step),
            (N_RECEIVED, self.n_received),
            (LAYOUT, self._layout),
            (WAIT, self._wait),
            (SPIKES_FROM_RANK, self.spikes_from_rank),
        ):
            self.table[index] = buffer.ctypes.data
        # A 32-bit handle above 2^31 comes sign-extended to 64 bits, as an unsigned number.
        unsigned = self.table.view(np.uint64)
        unsigned[COMMUNICATOR], unsigned[DATATYPE] = handles.communicator, handles.datatype
        self.table[RANK], self.table[SIZE], self.table[EPOCH_STEPS] = rank, size, epoch_steps
        skip = range(rank, rank + 1) if skip is None else skip
        self.table[SKIP_FIRST], self.table[SKIP_LAST] = skip.start, skip.stop
        self.table[STRIDE] = self.table[MIN_STRIDE] = least
        self.table[MAX_STRIDE] = limit
        self.table[WINDOW_LEFT] = WINDOW
        self.epoch_steps = epoch_steps
        self.error_text = error_text
        self._entry = entry

    @property
    def address(self) -> int:
        """Address of the entry (compiles it when first asked for)."""
        return self._entry.address

    @property
    def counters(self) -> ExchangeCounters:
        """What has been exchanged so far."""
        return ExchangeCounters(
            *(int(self.table[i]) for i in range(EXCHANGES, RECEIVED_SPIKES + 1))
        )

    def count(self, neurons: npt.NDArray[np.uint64]) -> None:
        """Count from now on, in `heard`, the spikes that arrive of some neurons.

        Parameters
        ----------
        neurons : ndarray of uint64
            A bitmap over all gids: bit g % 64 of word g // 64.
        """
        self._known = neurons
        self.table[COUNTED_SOURCES] = neurons.ctypes.data


def _reserved(size: int, dtype: type[np.generic]) -> np.ndarray:
    # The buffers hold the worst case, and untouched pages cost nothing. NORESERVE: a worst case
    # beyond the machine's memory is no reason for the kernel to refuse.
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
    item = np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, max(size, 1) * item, flags=flags), dtype, size)


def _power_of_two(words: int) -> int:
    # The least power of two that holds so many words.
    return 1 << (words - 1).bit_length()
