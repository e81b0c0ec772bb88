"""The exchange of spikes, once an epoch, in compiled code that calls MPI itself.

A rank's message is its outbox, int32 words::

    n | spikes in step 0, 1, ... epoch_steps - 1 | gid, gid, ... in (step, gid) order

One Allgather of the first `stride` words of every outbox carries the counts in-band, so all ranks
know from it alone who had more to say; if anybody had, an Allgatherv brings the rest. From the same
counts every rank draws the same conclusion about the next stride: it doubles as far as the
largest message asks for, and halves when a window of exchanges would have fitted in half of it. No
spike is ever lost to a full buffer, and a burst costs one more round, not a larger message ever
after.
"""

import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from distsnn import jit
from distsnn.comm.exchange_entries import (
    ARRIVAL_GID,
    ARRIVAL_STEP,
    ARRIVALS,
    ARRIVED,
    COMMUNICATOR,
    DATATYPE,
    EPOCH_STEPS,
    EXCHANGES,
    FIRST_STRIDE,
    HEARD,
    INBOX,
    KNOWN,
    LARGEST_STRIDE,
    LAYOUT,
    MOST_WORDS,
    OUTBOX,
    RANK,
    REST,
    SIZE,
    SKIP_FIRST,
    SKIP_LAST,
    STRIDE,
    STRIDE_LEAST,
    STRIDE_LIMIT,
    TABLE_SIZE,
    WAIT,
    WINDOW,
    WINDOW_LEFT,
)
from distsnn.errors import DescriptionError

# Python names it from 3.13 on; the number is Linux's on x86 and ARM.
_NORESERVE: int = getattr(mmap, "MAP_NORESERVE", 0x4000)


@dataclass(frozen=True)
class Handles:
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
class Arrivals:
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

    Made by `Communicator.exchange`. The loop writes its own spikes of an epoch to `outbox` and
    calls ``entry(table, scalars, first, last, step)`` with the epoch's first step and its end;
    the epoch may be shorter than `epoch_steps`; `step` is the loop before which the run stops. The
    call returns 0, or an MPI error code that `explain` puts into words.

    Parameters
    ----------
    entry : jit.Entry
        `blocking`, `yielding` or `silent`.
    rank : int
        This rank.
    max_locals : sequence of int
        Every rank's most spikes in one step.
    max_total : int
        Most spikes of all ranks in one step, at least the sum of `max_locals`.
    epoch_steps : int
        Most steps between two exchanges.
    handles : Handles
        MPI handles.
    explain : callable
        Puts an MPI error code into words.
    skip : range, optional
        Ranks whose spikes are not taken; by default this one.
    arrivals : Arrivals, optional
        Where spikes arrive, if another exchange has the same list.
    heard : ndarray of int64, shape (size,), optional
        Where spikes are counted by rank, if not in an array of its own.

    Attributes
    ----------
    outbox : ndarray of int32
        ``outbox[0]`` spikes in all; ``outbox[1 + i]`` spikes in the epoch's step i (entries past a
        short epoch's end are not read); from ``outbox[1 + epoch_steps]`` on the gids (bit patterns
        of uint32) in (step, gid) order.
    arrival_gid : ndarray of uint32
        The other ranks' spikes of the last exchange, ordered by (rank, step).
    arrival_step : ndarray of int64
        The loop indices of these spikes, in [first, last).
    arrivals : ndarray of int64, shape (1,)
        Their number.
    table : ndarray of int64
        The entry's table, laid out as in the module's docstring.
    scalars : ndarray of float64
        The entry's scalars; it uses none.
    heard : ndarray of int64, shape (size,)
        How many spikes of the neurons that were named to `count` came from each rank.
    known_until : None
        All ranks' spikes are known up to the epoch's first step.
    group_counters : None
        There are no groups of ranks.

    Raises
    ------
    DescriptionError
        An epoch can hold more spikes than MPI counts (2^31 - 1).
    ValueError
        `max_total` is less than the sum of `max_locals`, or `epoch_steps` less than 1.
    """

    known_until: None = None
    group_counters: None = None

    def __init__(
        self,
        entry: jit.Entry,
        *,
        rank: int,
        max_locals: Sequence[int],
        max_total: int,
        epoch_steps: int,
        handles: Handles,
        explain: Callable[[int], str],
        skip: range | None = None,
        arrivals: Arrivals | None = None,
        heard: npt.NDArray[np.int64] | None = None,
    ) -> None:
        size, header = len(max_locals), 1 + epoch_steps
        if epoch_steps < 1:
            raise ValueError(f"epoch_steps is {epoch_steps}, must be at least 1")
        if max_total < sum(max_locals):
            raise ValueError(f"max_total is {max_total}, the ranks have {sum(max_locals)}")
        capacity = max_total * epoch_steps
        if capacity + size * header > MOST_WORDS:
            raise DescriptionError(
                "an epoch of so many steps can hold more spikes than one exchange",
                where="exchange of spikes",
                value=epoch_steps,
                allowed=f"at most {max(1, MOST_WORDS // (max_total + size) - 1)} steps "
                f"for {max_total} neurons",
            )
        least = _power_of_two(max(FIRST_STRIDE, 2 * header))
        longest = _power_of_two(header + max(max_locals) * epoch_steps)
        limit = max(least, min(LARGEST_STRIDE, longest))
        self.outbox = _reserved(max(limit, header + max_locals[rank] * epoch_steps), np.int32)
        arrivals = arrivals or Arrivals.of(capacity)
        self.arrival_gid, self.arrival_step = arrivals.gid, arrivals.step
        self.arrivals = arrivals.number
        self._inbox = _reserved(size * limit, np.int32)
        self._rest = _reserved(capacity, np.int32)
        self._layout = np.zeros(2 * size, np.int32)
        self._wait = np.zeros(16, np.int64)
        self.heard = np.zeros(size, np.int64) if heard is None else heard
        self.scalars = np.zeros(1, np.float64)
        self.table = np.zeros(TABLE_SIZE, np.int64)
        for index, buffer in (
            (OUTBOX, self.outbox),
            (INBOX, self._inbox),
            (REST, self._rest),
            (ARRIVAL_GID, self.arrival_gid),
            (ARRIVAL_STEP, self.arrival_step),
            (ARRIVALS, self.arrivals),
            (LAYOUT, self._layout),
            (WAIT, self._wait),
            (HEARD, self.heard),
        ):
            self.table[index] = buffer.ctypes.data
        # A 32-bit handle above 2^31 comes sign-extended to 64 bits, as an unsigned number.
        unsigned = self.table.view(np.uint64)
        unsigned[COMMUNICATOR], unsigned[DATATYPE] = handles.communicator, handles.datatype
        self.table[RANK], self.table[SIZE], self.table[EPOCH_STEPS] = rank, size, epoch_steps
        skip = range(rank, rank + 1) if skip is None else skip
        self.table[SKIP_FIRST], self.table[SKIP_LAST] = skip.start, skip.stop
        self.table[STRIDE] = self.table[STRIDE_LEAST] = least
        self.table[STRIDE_LIMIT] = limit
        self.table[WINDOW_LEFT] = WINDOW
        self.epoch_steps = epoch_steps
        self.explain = explain
        self._entry = entry

    @property
    def address(self) -> int:
        """Address of the entry (compiles it when first asked for)."""
        return self._entry.address

    @property
    def counters(self) -> ExchangeCounters:
        """What has been exchanged so far."""
        return ExchangeCounters(*(int(self.table[i]) for i in range(EXCHANGES, ARRIVED + 1)))

    def count(self, neurons: npt.NDArray[np.uint64]) -> None:
        """Count from now on, in `heard`, the spikes that arrive of some neurons.

        Parameters
        ----------
        neurons : ndarray of uint64
            A bitmap over all gids: bit g % 64 of word g // 64.
        """
        self._known = neurons
        self.table[KNOWN] = neurons.ctypes.data


def _reserved(size: int, dtype: type[np.generic]) -> np.ndarray:
    # The buffers hold the worst case, and untouched pages cost nothing. NORESERVE: a worst case
    # beyond the machine's memory is no reason for the kernel to refuse.
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
    item = np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, max(size, 1) * item, flags=flags), dtype, size)


def _power_of_two(words: int) -> int:
    # The least power of two that holds so many words.
    return 1 << (words - 1).bit_length()
